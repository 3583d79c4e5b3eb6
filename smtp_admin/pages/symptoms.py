"""``/symptoms`` and ``…/symptoms``: what may be wrong, from what one sees."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.database import session
from smtp_admin.diagnosis.table import causes
from smtp_admin.monitor.symptoms import troubleshoot
from smtp_admin.pages.mail_filters import numbers_url, sender_url
from smtp_admin.pages.owners import owners
from smtp_admin.pages.sender_frame import frame
from smtp_admin.pages.sender_routes import add_sender_page, page_url
from smtp_admin.senders.resolve import DEFAULT_KEY, load_sender


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/symptoms")(symptoms)
    add_sender_page(blueprint, "symptoms", _symptoms)


@guarded(Action.SEE_OVERVIEW)
def symptoms() -> ResponseReturnValue:
    """Every symptom, and whose mail one may look at for it."""
    found = owners(Action.EDIT_SYSTEM_SENDER)
    links = [(name, page_url(one, DEFAULT_KEY, "symptoms")) for one, name in found.shown]
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "symptoms": [
                    {"key": one.key, "title": one.title, "means": one.means, "first": one.first}
                    for one in causes().symptoms
                ],
                "senders": [{"name": name, "url": url} for name, url in links],
                "next": found.next or None,
            }
        )
    return render_template(
        "smtp_admin/symptoms_of_all.html", symptoms=causes().symptoms, owners=found, links=links
    )


def _symptoms(partner_id: str, key: str) -> ResponseReturnValue:
    """The symptoms with what is known of one sender."""
    sender = load_sender(session(), partner_id, key)
    found = troubleshoot(session(), sender)
    if web.wants_json():
        return web.answer_json(
            {"ok": True, "partner_id": partner_id, "sender": key, **found.as_json()}
        )
    shown = found.evidence.card
    numbers_log = numbers_url(shown.scope)
    return render_template(
        "smtp_admin/symptoms.html",
        sender=sender,
        found=found,
        numbers_log=numbers_log,
        failed_log=numbers_log if shown.by_system else sender_url(sender),
        **frame(partner_id, key),
    )
