"""``POST …/test-email`` and the page that follows a queued one."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.database import database_now, session
from smtp_admin.delivery.queries import follow, next_try
from smtp_admin.diagnosis.explanation import Explanation, explain_followed, explain_refusal
from smtp_admin.errors import InvalidInput, NotFound, RequestError
from smtp_admin.events.queries import told
from smtp_admin.mail.testmail import (
    Sent,
    TestMailRefused,
    queue_test_mail,
    send_test_mail_now,
)
from smtp_admin.pages.driver_choice import entered_form
from smtp_admin.pages.sender_routes import add_sender_page, page_url
from smtp_admin.pages.sent_once import form_key
from smtp_admin.pages.tab import entered_secrets, show_tab, show_typed
from smtp_admin.senders.drivers import check_driver
from smtp_admin.senders.fields import all_fields
from smtp_admin.senders.resolve import load_sender
from smtp_admin.translation import gettext


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    add_sender_page(blueprint, "mail", _send, show_typed)
    add_sender_page(blueprint, "mail_result", _follow)


def _send(partner_id: str, key: str) -> ResponseReturnValue:
    """Send a test mail by a sender."""
    as_json = web.wants_json()
    try:
        sent = _send_as_asked(partner_id, key)
    except RequestError as error:
        session().rollback()
        error.call_fields({one.name: one.label for one in all_fields()} | {"to": gettext("To")})
        explained = _explained(error)
        if as_json:
            raise
        return show_tab(
            partner_id, key, status=error.status, mail_error=error, mail_explanation=explained
        )
    if as_json:
        body = {
            "ok": True,
            "to": sent.recipient,
            "id": sent.public_id,
            "status": "queued" if sent.public_id else "sent",
            "reply": sent.reply,
            "follow": _result_url(partner_id, key, sent.public_id) if sent.public_id else None,
        }
        return web.answer_json(body, 202 if sent.public_id else 200)
    if sent.public_id:
        return redirect(_tab_url(partner_id, key, sent.public_id), code=303)
    return show_tab(partner_id, key, sent=sent)


def _explained(error: RequestError) -> Explanation | None:
    """Why a test mail was refused, with the first cause as the error's hint; else ``None``."""
    if not isinstance(error, TestMailRefused):
        return None
    explained = explain_refusal(error.outcome, error.values)
    error.hint = explained.hint
    return explained


def _send_as_asked(partner_id: str, key: str) -> Sent:
    actor = web.signed_in()
    given: Mapping[str, Any] = web.read_json() if request.is_json else request.form
    to = given.get("to") or ""
    if not isinstance(to, str):
        raise InvalidInput(fields={"to": [gettext("This must be text.")]})
    if request.is_json or "revision" not in request.form:
        return _queue(partner_id, key, to)
    sender = load_sender(session(), partner_id, key)
    form = entered_form(sender)
    values = form.cleaned(sender)
    if values == sender.values and not form.secrets(sender) and sender.configured:
        return _queue(partner_id, key, to)
    check_driver(actor, values.driver)
    typed = entered_secrets(form, sender, values)
    return send_test_mail_now(session(), sender, values, typed, to, actor)


def _queue(partner_id: str, key: str, to: str) -> Sent:
    sent = queue_test_mail(session(), partner_id, to, web.signed_in(), key, form_key(to))
    session().commit()
    return sent


def _follow(partner_id: str, key: str, public_id: str) -> ResponseReturnValue:
    """How far a test mail got."""
    found = follow(session(), public_id, partner_id)
    if found is None:
        raise NotFound
    if not web.wants_json():
        return redirect(_tab_url(partner_id, key, public_id), code=303)
    explained = explain_followed(session(), found)
    how = told(session(), found.public_id, found.state)
    moment = database_now(session())
    later = next_try(found.state, found.code, found.next_attempt_at, moment)
    return web.answer_json(
        {
            "ok": True,
            "id": found.public_id,
            "to": found.recipient,
            "status": found.state,
            "message": found.error,
            "reply": found.reply,
            "hint": explained.hint if explained else "",
            "next_attempt_at": later.isoformat() if later else None,
            "told_by": how.by if how else None,
            "told_after_seconds": how.after.total_seconds() if how else None,
        }
    )


def _result_url(partner_id: str, key: str, public_id: str) -> str:
    return page_url(partner_id, key, "mail_result", public_id=public_id)


def _tab_url(partner_id: str, key: str, public_id: str) -> str:
    return page_url(partner_id, key, "tab", mail=public_id, _anchor="test-mail")
