"""``…/history`` and ``…/rollback``: what was saved before, and back to it."""

from typing import Any

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.database import SYSTEM, session
from smtp_admin.errors import InvalidInput, NotFound, RequestError, SecretError, envelope
from smtp_admin.pages.senders import sender_urls, tab_url
from smtp_admin.senders.history import changes, find_revision, history, revision_json
from smtp_admin.senders.models import SenderRevision
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.rollback import plan_rollback, roll_back

_LONGEST_NUMBER = 9


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/system/history")(system_history)
    blueprint.get("/partners/<partner_id>/history")(partner_history)
    blueprint.route("/system/rollback", methods=["GET", "POST"])(system_rollback)
    blueprint.route("/partners/<partner_id>/rollback", methods=["GET", "POST"])(partner_rollback)


@guarded(Action.EDIT_SYSTEM_SENDER)
def system_history() -> ResponseReturnValue:
    """The revisions of the system's sender, or two of them compared."""
    return _history(SYSTEM)


@guarded(Action.EDIT_PARTNER_SENDER)
def partner_history(partner_id: str) -> ResponseReturnValue:
    """The revisions of a partner's sender, or two of them compared."""
    return _history(partner_id)


@guarded(Action.EDIT_SYSTEM_SENDER)
def system_rollback() -> ResponseReturnValue:
    """What rolling the system's sender back would change; POST does it."""
    return _rollback(SYSTEM)


@guarded(Action.EDIT_PARTNER_SENDER)
def partner_rollback(partner_id: str) -> ResponseReturnValue:
    """What rolling a partner's sender back would change; POST does it."""
    return _rollback(partner_id)


def _history(partner_id: str) -> ResponseReturnValue:
    if {"from", "to"} & request.args.keys():
        return _compare(partner_id)
    before = _number(request.args["before"]) if "before" in request.args else None
    page = history(session(), partner_id, before)
    current = load_sender(session(), partner_id).revision
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "current": current,
                "older": page.older,
                "revisions": [one.as_json() for one in page.entries],
            },
            200,
        )
    return _page(partner_id, "history", page=page, current=current, first_page=before is None)


def _compare(partner_id: str) -> ResponseReturnValue:
    """Two revisions; one that is not named is the one in use."""
    current = load_sender(session(), partner_id).revision
    old, new = (
        _revision(session(), partner_id, _number(request.args.get(name) or str(current)))
        for name in ("from", "to")
    )
    found = changes(old, new)
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "from": revision_json(old),
                "to": revision_json(new),
                "changes": [one.as_json() for one in found],
            },
            200,
        )
    return _page(partner_id, "compare", old=old, new=new, changes=found, current=current)


def _rollback(partner_id: str) -> ResponseReturnValue:
    if request.method != "POST":
        if "number" not in request.args and not web.wants_json():
            return redirect(sender_urls(partner_id)["history"])  # where one is chosen
        return _show_plan(partner_id, _number(request.args.get("number", "")))
    given = web.read_json() if request.is_json else request.form
    number = _number(str(given.get("number", "")))
    try:
        saved = roll_back(
            session(),
            partner_id,
            number,
            expected_revision=_seen(str(given.get("revision", ""))),
            actor=web.signed_in(),
        )
        session().commit()
    except (RequestError, SecretError) as error:
        session().rollback()
        if web.wants_json() or isinstance(error, NotFound):
            raise
        status = error.status if isinstance(error, RequestError) else 503
        return _show_plan(partner_id, number, error=error, status=status)
    if web.wants_json():
        return web.answer_json({"ok": True, "revision": saved.revision, "restores": number}, 200)
    web.notify(
        f"Saved as revision {saved.revision}, with the values of revision {number}. "
        "Mail from now on goes out this way."
    )
    return redirect(tab_url(partner_id), code=303)


def _show_plan(
    partner_id: str,
    number: int,
    *,
    error: RequestError | SecretError | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    plan = plan_rollback(session(), partner_id, number)
    if web.wants_json():
        obstacle = plan.obstacle
        return web.answer_json(
            {
                "ok": True,
                "number": number,
                "revision": plan.seen,
                "changes": [one.as_json() for one in plan.changes],
                "possible": obstacle is None,
                "obstacle": obstacle and envelope(obstacle)["error"],
            },
            200,
        )
    target = _revision(session(), partner_id, number)
    return _page(partner_id, "rollback", plan=plan, target=target, error=error, status=status)


def _page(partner_id: str, name: str, *, status: int = 200, **values: Any) -> tuple[str, int]:
    page = render_template(
        f"smtp_admin/{name}.html",
        partner=web.current_partner() if partner_id != SYSTEM else None,
        urls=sender_urls(partner_id),
        **values,
    )
    return page, status


def _revision(session: Session, partner_id: str, number: int) -> SenderRevision:
    found = find_revision(session, partner_id, number)
    if found is None:
        raise NotFound
    return found


def _number(text: str) -> int:
    """The number of a revision.

    Raises:
        InvalidInput: it is none.
    """
    number = _seen(text)
    if number < 0:
        raise InvalidInput(
            "This is not the number of a revision.",
            fields={"number": ["Enter a whole number, such as 3."]},
        )
    return number


def _seen(text: str) -> int:
    """A revision's number that a form sent back; -1, which none has, for anything else."""
    usual = text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
    return int(text) if usual else -1
