"""THE list of pages: each module here registers its routes. And of all blueprints of ours."""

from functools import cache
from typing import NamedTuple

from flask import Blueprint

from smtp_admin import protection, ways_back
from smtp_admin.api.views import make_api_blueprint
from smtp_admin.pages import (
    advice,
    alerts,
    arrival,
    audit_log,
    batch_log,
    bounces,
    connection,
    deliverability,
    discovery,
    erase_address,
    expiry,
    explain,
    history,
    hooks,
    mail_changes,
    mail_log,
    metrics,
    new_batch,
    oauth,
    one_mail,
    overview,
    reminders,
    renewals,
    routes,
    sender_actions,
    sender_list,
    suppressions,
    symptoms,
    tab,
    templates,
    test_email,
    tokens,
    unsubscribe,
    webhook,
)
from smtp_admin.pages.page_values import page_values

_PAGES = (
    overview,
    alerts,
    metrics,
    tab,
    sender_list,
    sender_actions,
    oauth,
    routes,
    connection,
    advice,
    discovery,
    deliverability,
    webhook,
    bounces,
    test_email,
    history,
    explain,
    symptoms,
    mail_log,
    mail_changes,
    one_mail,
    batch_log,
    new_batch,
    suppressions,
    erase_address,
    audit_log,
    tokens,
    expiry,
    renewals,
    reminders,
    templates,
)


class Blueprints(NamedTuple):
    """All of ours, in the order in which an app gets them.

    Attributes:
        links: what one may do by a link in a mail, without signing in.
        arrivals: where somebody says that a mail arrived.
        events: where providers post what became of mails.
    """

    pages: Blueprint
    api: Blueprint
    links: Blueprint
    arrivals: Blueprint
    events: Blueprint


@cache
def blueprints(prefix: str) -> Blueprints:
    """The blueprints, the same for each app of this process: none of them knows its app.

    Args:
        prefix: where the pages are mounted.
    """
    made = Blueprints(
        _make_pages_blueprint(prefix),
        make_api_blueprint(),
        unsubscribe.make_unsubscribe_blueprint(prefix),
        arrival.make_arrival_blueprint(prefix),
        hooks.make_hooks_blueprint(),
    )
    for one in (made.pages, made.api, made.links, made.arrivals):
        one.context_processor(page_values)
    return made


def _make_pages_blueprint(prefix: str) -> Blueprint:
    blueprint = protection.make_blueprint(prefix)
    for page in _PAGES:
        page.add_to(blueprint)
    ways_back.lead_back_from_forms(blueprint)
    return blueprint
