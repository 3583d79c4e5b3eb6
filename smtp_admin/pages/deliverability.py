"""``…/deliverability``: what DNS says about a sender; JSON for scripts, a page for people."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.audit.service import record_within
from smtp_admin.database import session
from smtp_admin.deliverability.check import Deliverability
from smtp_admin.deliverability.service import dns_lately
from smtp_admin.errors import InvalidInput, RequestError
from smtp_admin.installation import installation
from smtp_admin.pages.sender_frame import frame
from smtp_admin.pages.sender_routes import add_sender_page
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.routing import sender_for_mail


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    add_sender_page(blueprint, "deliverability", _deliverability)


def _deliverability(partner_id: str, key: str) -> ResponseReturnValue:
    """What DNS says about a sender; POST asks again."""
    sender = load_sender(session(), partner_id, key)
    found: Deliverability | None = None
    error: RequestError | None = None
    anew = request.method == "POST"
    try:
        if not sender.configured:
            if anew or web.wants_json():
                raise InvalidInput(
                    "No settings are saved for this sender.", hint="Fill in its SMTP tab first."
                )
        else:
            if anew:
                actor = web.signed_in()
                config = installation().config
                record_within(
                    session(), actor, partner_id, "dns.checked", sender.values.from_email,
                    limit=config.test_limit, for_partner=config.partner_test_limit,
                )  # fmt: skip
            # No transaction is open while name servers are asked.
            session().commit()
            found = dns_lately(sender, anew=anew)
    except RequestError as refused:
        session().rollback()
        if web.wants_json():
            raise
        error = refused
        found = dns_lately(sender) if sender.configured else None
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
