"""``…/bounces``: the mailbox to which mail of a sender comes back; tested, saved, turned off."""

from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.database import session
from smtp_admin.errors import InvalidInput, NotFound, RequestError, SecretError
from smtp_admin.events.bounces import mailboxes
from smtp_admin.events.bounces.imap import PORTS
from smtp_admin.events.bounces.signing_in import servers_for
from smtp_admin.events.bounces.testing import Tried, try_mailbox
from smtp_admin.events.bounces.trouble import is_in_trouble, remedy_of
from smtp_admin.events.models import BounceMailbox
from smtp_admin.pages import lists
from smtp_admin.pages.driver_choice import refuse_read_only
from smtp_admin.pages.sender_frame import frame
from smtp_admin.pages.sender_routes import add_sender_page, page_url
from smtp_admin.read_back import read_back
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.translation import gettext

_FIELDS = ("host", "port", "security", "username", "folder")
_ENTERED = (*_FIELDS, "sign_in")
#: The steps of a test, as people know them.
STEPS = {
    "token": gettext("Token"),
    "dns": gettext("Name"),
    "connect": gettext("Connection"),
    "greeting": gettext("Greeting"),
    "tls": gettext("Encryption"),
    "certificate": gettext("Certificate"),
    "auth": gettext("Login"),
    "folder": gettext("Folder"),
}


def add_to(blueprint: Blueprint) -> None:
    """Register the route."""
    add_sender_page(blueprint, "bounces", _bounces)


@dataclass(slots=True)
class _Outcome:
    """What a form came to.

    Attributes:
        typed: what stands in the form, where it is not what is saved.
    """

    notice: str = ""
    tried: Tried | None = None
    error: RequestError | None = None
    typed: dict[str, str] = field(default_factory=dict)


def _bounces(partner_id: str, key: str) -> ResponseReturnValue:
    """The mailbox of a sender; POST does what its field ``do`` says."""
    sender = load_sender(session(), partner_id, key)
    if request.method != "POST":
        return _show(sender, _Outcome())
    typed = {name: lists.word(name) for name in _ENTERED}
    try:
        refuse_read_only(sender, web.signed_in())
        outcome = _act(sender, lists.word("do", 10), typed)
        session().commit()
    except (RequestError, SecretError) as problem:
        session().rollback()
        error = problem if isinstance(problem, RequestError) else _unreadable(problem)
        if web.wants_json():
            raise error from problem
        error.call_fields(mailboxes.LABELS)
        return _show(load_sender(session(), partner_id, key), _Outcome(error=error, typed=typed))
    if web.wants_json():
        return web.answer_json(_json(sender, outcome))
    if outcome.tried is not None:
        return _show(sender, outcome)
    web.notify(outcome.notice)
    return redirect(page_url(partner_id, key, "bounces"), 303)


def _act(sender: ResolvedSender, do: str, typed: dict[str, str]) -> _Outcome:
    actor = web.signed_in()
    if do in {"save", "test"}:
        texts = typed | {"password": request.form.get("password", "")}
        account = mailboxes.entered(session(), sender, texts)
        if do == "test":
            return _Outcome(tried=try_mailbox(session(), sender, account, actor), typed=typed)
        mailboxes.save(session(), sender, account, actor)
        return _Outcome(gettext("Saved. A worker reads it within a minute."))
    row = mailboxes.mailbox_of(session(), sender.sender_id, to_change=True)
    if row is None:
        raise NotFound
    if do == "off":
        mailboxes.turn_off(session(), sender, row, actor)
        return _Outcome(gettext("Turned off. The mailbox is no longer read."))
    raise InvalidInput(fields={"do": [gettext("This is not known.")]})


def _unreadable(problem: SecretError) -> InvalidInput:
    return InvalidInput(fields={"password": [problem.message]})


def _show(sender: ResolvedSender, outcome: _Outcome) -> ResponseReturnValue:
    row = mailboxes.mailbox_of(session(), sender.sender_id) if sender.sender_id else None
    if web.wants_json():
        return web.answer_json(_json(sender, outcome))
    servers = servers_for(sender.values)
    page = render_template(
        "smtp_admin/bounces.html",
        mailbox=row,
        entered=outcome.typed or _saved(sender, row),
        servers=servers,
        by_sender=mailboxes.BY_SENDER,
        labels=mailboxes.LABELS,
        ports=PORTS,
        steps=STEPS,
        tried=outcome.tried,
        failed_words=read_back(row.failed_words) if row is not None else "",
        remedy=remedy_of(row) if row is not None else "",
        in_trouble=row is not None and is_in_trouble(row),
        error=outcome.error,
        again=bool(outcome.typed and request.form.get("password")),
        bounce_address=str(sender.values.get("bounce_address", "")),
        can_tag="bounce_address" in sender.values,
        **frame(sender.partner_id, sender.key),
    )
    return page, outcome.error.status if outcome.error else 200


def _saved(sender: ResolvedSender, row: BounceMailbox | None) -> dict[str, str]:
    """What stands in the form: what is saved, or what the sender's own sign-in could open."""
    if row is not None:
        return {name: str(getattr(row, name)) for name in _FIELDS} | {"sign_in": _sign_in(row)}
    servers = servers_for(sender.values)
    if not servers:
        return {}
    return {
        "sign_in": mailboxes.BY_SENDER,
        "host": servers[0],
        "username": sender.values.username,
    }


def _sign_in(row: BounceMailbox) -> str:
    return mailboxes.BY_PASSWORD if row.password else mailboxes.BY_SENDER


def _json(sender: ResolvedSender, outcome: _Outcome) -> dict[str, Any]:
    row = mailboxes.mailbox_of(session(), sender.sender_id) if sender.sender_id else None
    body: dict[str, Any] = {"ok": True, "mailbox": None if row is None else _row(row)}
    tried = outcome.tried
    if tried is not None:
        body["ok"] = tried.failure is None
        body["test"] = {
            "mails": tried.count,
            "steps": [
                {"name": one.name, "status": one.status, "detail": one.detail}
                for one in tried.report.steps
            ],
            "error": None
            if tried.failure is None
            else {
                "code": tried.failure.code,
                "step": tried.failure.step,
                "message": tried.failure.message,
                "hint": tried.failure.hint,
            },
        }
    return body


def _row(row: BounceMailbox) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in _FIELDS},
        "sign_in": _sign_in(row),
        "last_read_at": row.last_read_at.isoformat() if row.last_read_at else None,
        "mails": row.mails,
        "events": row.events,
        "failures": row.failures,
        "failed_code": row.failed_code,
        "failed_words": row.failed_words,
        "remedy": remedy_of(row),
        "next_read_at": row.next_read_at.isoformat(),
    }
