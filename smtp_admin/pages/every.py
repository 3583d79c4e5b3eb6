"""THE list of pages: each module here registers its routes."""

from flask import Blueprint

from smtp_admin import protection, ways_back
from smtp_admin.pages import (
    advice,
    alerts,
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
    webhook,
)

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


def make_pages_blueprint(prefix: str) -> Blueprint:
    """The blueprint of all pages.

    Args:
        prefix: where they are mounted.
    """
    blueprint = protection.make_blueprint(prefix)
    for page in _PAGES:
        page.add_to(blueprint)
    ways_back.lead_back_from_forms(blueprint)
    return blueprint
