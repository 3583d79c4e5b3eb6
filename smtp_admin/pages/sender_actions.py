"""Pausing, resuming and deleting a sender."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from smtp_admin import web
from smtp_admin.database import session
from smtp_admin.delivery.queries import waiting_of
from smtp_admin.errors import Conflict, NotFound, RequestError
from smtp_admin.events.bounces.mailboxes import mailbox_of
from smtp_admin.host import Actor
from smtp_admin.mail.explain import known_types
from smtp_admin.pages.driver_choice import refuse_read_only
from smtp_admin.pages.sender_frame import frame, has_heir, is_last_resort, sender_name
from smtp_admin.pages.sender_routes import add_sender_page, owner_url, page_url
from smtp_admin.senders import pauses
from smtp_admin.senders.cleaning import DEFAULT
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, load_sender
from smtp_admin.senders.revisions import delete_sender
from smtp_admin.senders.routing import routes_of, senders_of
from smtp_admin.translation import gettext


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    add_sender_page(blueprint, "pause", _pause)
    add_sender_page(blueprint, "resume", _resume)
    add_sender_page(blueprint, "delete", _delete)


def _pause(partner_id: str, key: str) -> ResponseReturnValue:
    """Send nothing by a sender until somebody resumes it."""
    return _change(
        partner_id,
        key,
        pauses.pause,
        paused=True,
        notice=gettext("Paused. Mail waits until you resume it."),
    )


def _resume(partner_id: str, key: str) -> ResponseReturnValue:
    """Let a sender try again now."""
    return _change(
        partner_id,
        key,
        pauses.resume,
        paused=False,
        notice=gettext("Resumed. Waiting mail is being sent."),
    )


def _change(
    partner_id: str,
    key: str,
    act: Callable[[Session, ResolvedSender, Actor], None],
    *,
    paused: bool,
    notice: str,
) -> ResponseReturnValue:
    sender = load_sender(session(), partner_id, key)
    if not sender.sender_id or sender.deleted:
        raise Conflict(
            gettext("No settings are saved for this sender, so there is nothing to pause."),
            hint=gettext("Save its tab first."),
        )
    act(session(), sender, web.signed_in())
    session().commit()
    if web.wants_json():
        return web.answer_json({"ok": True, "paused": paused})
    web.notify(notice)
    return redirect(page_url(partner_id, key, "tab"), code=303)


@dataclass(frozen=True, slots=True)
class Mentions:
    """Where a sender is named, so that its deletion changes more than itself.

    Attributes:
        routes: the e-mail types and priorities that go by it.
        fallbacks: the senders that it steps in for.
    """

    routes: tuple[str, ...]
    fallbacks: tuple[str, ...]


def _delete(partner_id: str, key: str) -> ResponseReturnValue:
    """What deleting a sender does; POST does it."""
    sender = load_sender(session(), partner_id, key)
    if not sender.sender_id or sender.deleted:
        raise NotFound
    if request.method != "POST":
        return _ask(sender)
    try:
        refuse_read_only(sender, web.signed_in())
        delete_sender(session(), sender, web.signed_in())
        session().commit()
    except RequestError as error:
        session().rollback()
        if web.wants_json():
            raise
        return _ask(sender, error)
    if web.wants_json():
        return web.answer_json({"ok": True})
    if key == DEFAULT_KEY:
        web.notify(
            gettext("The system's sender now sends this mail. The history of the settings is kept.")
            if has_heir(sender)
            else gettext("Deleted. No sender is set up for this mail now, so it waits.")
        )
        return redirect(page_url(partner_id, key, "tab"), code=303)
    web.notify(
        gettext(
            "Deleted: %(sender_name)s. Its history is kept.",
            sender_name=sender_name(key, sender.label),
        )
    )
    return redirect(owner_url(partner_id, "senders"), code=303)


def _ask(sender: ResolvedSender, error: RequestError | None = None) -> ResponseReturnValue:
    waiting = waiting_of(session(), sender.sender_id)
    mentions = _mentions(sender)
    possible = not is_last_resort(sender)
    has_mailbox = mailbox_of(session(), sender.sender_id) is not None
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "possible": possible,
                "waiting": waiting.count,
                "unknown": waiting.unknown,
                "goes_to": waiting.goes_to,
                "routes": list(mentions.routes),
                "fallbacks": list(mentions.fallbacks),
                "mailbox": has_mailbox,
            }
        )
    page = render_template(
        "smtp_admin/delete.html",
        sender=sender,
        waiting=waiting,
        mentions=mentions,
        has_mailbox=has_mailbox,
        possible=possible,
        has_heir=has_heir(sender),
        error=error,
        **frame(sender.partner_id, sender.key),
    )
    return page, error.status if error else 200


def _mentions(sender: ResolvedSender) -> Mentions:
    routes = routes_of(session(), sender.partner_id)
    labels = {one.name: one.label for one in known_types()}
    mine = sender.key or DEFAULT
    return Mentions(
        tuple(
            labels.get(name, name) if kind == "type" else gettext("%(name)s mail", name=name)
            for (kind, name), sender_id in routes.items()
            if sender_id == sender.sender_id
        ),
        tuple(
            sender_name(one.key, one.label)
            for one in senders_of(session(), sender.partner_id)
            if mine in one.values.fallbacks
        ),
    )
