"""``…/deliverability``: what DNS says about a sender; JSON for scripts, a page for people."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.audit.in_flight import in_flight
from smtp_admin.audit.service import NETWORK, record_within
from smtp_admin.database import session
from smtp_admin.deliverability.service import check_and_remember, dns_remembered
from smtp_admin.errors import InvalidInput, NotFound, RequestError
from smtp_admin.installation import installation
from smtp_admin.pages.sender_frame import frame
from smtp_admin.pages.sender_routes import add_sender_page
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.routing import sender_for_mail
from smtp_admin.translation import gettext


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    add_sender_page(blueprint, "deliverability", _deliverability)


def _deliverability(partner_id: str, key: str) -> ResponseReturnValue:
    """What DNS said about a sender when it was last asked; POST asks.

    Looking asks nobody: else whoever opens a page could keep our threads waiting for name servers.
    """
    sender = load_sender(session(), partner_id, key)
    found = dns_remembered(sender) if sender.configured else None
    error: RequestError | None = None
    asks = request.method == "POST"
    try:
        if not sender.configured and (asks or web.wants_json()):
            raise InvalidInput(
                gettext("No settings are saved for this sender."),
                hint=gettext("Fill in its SMTP tab first."),
            )
        if asks:
            config = installation().config
            with in_flight(partner_id):
                record_within(
                    session(), web.signed_in(), partner_id, "dns.checked", sender.values.from_email,
                    limit=config.test_limit, for_partner=config.partner_test_limit, of=NETWORK,
                )  # fmt: skip
                found = check_and_remember(sender)
        elif web.wants_json() and found is None:
            raise NotFound(
                gettext("DNS was not checked for this sender yet."),
                hint=gettext("Send a POST request to this address to check."),
            )
    except RequestError as refused:
        session().rollback()
        if web.wants_json():
            raise
        error = refused
    if web.wants_json() and found is not None:
        return web.answer_json({"ok": True, **found.as_json()})
    page = render_template(
        "smtp_admin/deliverability.html",
        sender=sender,
        through=None if sender.configured else sender_for_mail(session(), partner_id),
        found=found,
        error=error,
        **frame(partner_id, key),
    )
    return page, error.status if error else 200
