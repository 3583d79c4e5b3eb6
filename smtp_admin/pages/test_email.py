"""``POST …/test-email`` and the page that follows a queued one."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.database import SYSTEM, session
from smtp_admin.delivery.queries import follow
from smtp_admin.diagnosis.explanation import Explanation, explain_followed, explain_refusal
from smtp_admin.errors import InvalidInput, NotFound, RequestError
from smtp_admin.installation import installation
from smtp_admin.mail.testmail import (
    Sent,
    TestMailRefused,
    queue_test_mail,
    send_test_mail_now,
)
from smtp_admin.pages.sender_form import SenderForm
from smtp_admin.pages.senders import show_tab, tab_url
from smtp_admin.providers.shape import usable_password
from smtp_admin.senders.resolve import load_sender


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.post("/system/test-email")(send_system_test)
    blueprint.post("/partners/<partner_id>/test-email")(send_partner_test)
    blueprint.get("/system/test-email/<public_id>")(follow_system_test)
    blueprint.get("/partners/<partner_id>/test-email/<public_id>")(follow_partner_test)


@guarded(Action.EDIT_SYSTEM_SENDER)
def send_system_test() -> ResponseReturnValue:
    """Send a test mail from the system's sender."""
    return _send(SYSTEM)


@guarded(Action.EDIT_PARTNER_SENDER)
def send_partner_test(partner_id: str) -> ResponseReturnValue:
    """Send a test mail from a partner's sender."""
    return _send(partner_id)


@guarded(Action.EDIT_SYSTEM_SENDER)
def follow_system_test(public_id: str) -> ResponseReturnValue:
    """How far a test mail of the system's sender got."""
    return _follow(SYSTEM, public_id)


@guarded(Action.EDIT_PARTNER_SENDER)
def follow_partner_test(partner_id: str, public_id: str) -> ResponseReturnValue:
    """How far a test mail of a partner got."""
    return _follow(partner_id, public_id)


def _send(partner_id: str) -> ResponseReturnValue:
    as_json = web.wants_json()
    try:
        sent = _send_as_asked(partner_id)
    except RequestError as error:
        session().rollback()
        explained = _explained(error)
        if as_json:
            raise
        return show_tab(
            partner_id, status=error.status, mail_error=error, mail_explanation=explained
        )
    if as_json:
        body = {
            "ok": True,
            "to": sent.recipient,
            "id": sent.public_id,
            "status": "queued" if sent.public_id else "sent",
            "reply": sent.reply,
            "follow": _follow_url(partner_id, sent) if sent.public_id else None,
        }
        return web.answer_json(body, 202 if sent.public_id else 200)
    if sent.public_id:
        return redirect(tab_url(partner_id, mail=sent.public_id) + "#test-mail", code=303)
    return show_tab(partner_id, sent=sent)


def _explained(error: RequestError) -> Explanation | None:
    """Why a test mail was refused, with the first cause as the error's hint; else ``None``."""
    if not isinstance(error, TestMailRefused):
        return None
    tried = error.outcome
    explained = explain_refusal(tried.code, tried.reason, tried.reply, error.values)
    error.hint = explained.hint
    return explained


def _send_as_asked(partner_id: str) -> Sent:
    actor = web.signed_in()
    given: Mapping[str, Any] = web.read_json() if request.is_json else request.form
    to = given.get("to") or ""
    if not isinstance(to, str):
        raise InvalidInput(fields={"to": ["This must be text."]})
    if request.is_json or "host" not in request.form:
        return _queue(partner_id, to)
    form = SenderForm(request.form)
    sender = load_sender(session(), partner_id)
    values = form.cleaned(sender)
    if values == sender.values and not form.typed_password and sender.revision:
        return _queue(partner_id, to)
    typed = usable_password(values.host, values.username, form.typed_password, values.from_email)
    password = sender.password_for(values.destination, installation().keyring, typed)
    return send_test_mail_now(session(), sender, values, password, to, actor)


def _queue(partner_id: str, to: str) -> Sent:
    sent = queue_test_mail(session(), partner_id, to, web.signed_in())
    session().commit()
    return sent


def _follow(partner_id: str, public_id: str) -> ResponseReturnValue:
    found = follow(session(), public_id, partner_id)
    if found is None:
        raise NotFound
    if not web.wants_json():
        return redirect(tab_url(partner_id, mail=public_id) + "#test-mail", code=303)
    explained = explain_followed(session(), found)
    return web.answer_json(
        {
            "ok": True,
            "id": found.public_id,
            "to": found.recipient,
            "status": found.state,
            "message": found.error,
            "reply": found.reply,
            "hint": explained.hint if explained else "",
        }
    )


def _follow_url(partner_id: str, sent: Sent) -> str:
    if partner_id == SYSTEM:
        return url_for(".follow_system_test", public_id=sent.public_id)
    return url_for(".follow_partner_test", partner_id=partner_id, public_id=sent.public_id)
