"""``…/history`` and ``…/rollback``: what was saved before, and back to it."""

from typing import Any

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.database import session
from smtp_admin.delivery.sent_between import SentBetween, sent_between
from smtp_admin.errors import InvalidInput, NotFound, RequestError, SecretError, envelope
from smtp_admin.pages.driver_choice import refuse_read_only
from smtp_admin.pages.oauth_guidance import must_sign_in
from smtp_admin.pages.revision_seen import revision_seen
from smtp_admin.pages.sender_frame import frame
from smtp_admin.pages.sender_routes import add_sender_page, page_url
from smtp_admin.senders.history import Page, changes, find_revision, history, revision_json
from smtp_admin.senders.models import SenderRevision
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.senders.rollback import plan_rollback, roll_back
from smtp_admin.translation import gettext


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    add_sender_page(blueprint, "history", _history)
    add_sender_page(blueprint, "rollback", _rollback)


def _history(partner_id: str, key: str) -> ResponseReturnValue:
    """The revisions of a sender, or two of them compared."""
    if {"from", "to"} & request.args.keys():
        return _compare(partner_id, key)
    before = _number(request.args["before"]) if "before" in request.args else None
    page = history(session(), partner_id, before, key)
    sender = load_sender(session(), partner_id, key)
    sent = _sent(sender, page)
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "current": sender.revision,
                "older": page.older,
                "revisions": [
                    one.as_json() | {"sent": sent[one.revision.number].sent} for one in page.entries
                ],
            },
            200,
        )
    return _page(
        partner_id, key, "history", page=page, sent=sent, sender=sender, first_page=before is None
    )


def _sent(sender: ResolvedSender, page: Page) -> dict[int, SentBetween]:
    """Number of a revision → what the sender sent while that was in use."""
    shown = [one.revision for one in reversed(page.entries)]
    newest = shown[-1].number if shown else 0
    after = find_revision(session(), sender.partner_id, newest + 1, sender.key)
    ends = [after.created_at] if after else []
    times = [*(one.created_at for one in shown), *ends]
    found = sent_between(session(), sender.sender_id, times)
    return {one.number: sent for one, sent in zip(shown, found, strict=False)}


def _compare(partner_id: str, key: str) -> ResponseReturnValue:
    """Two revisions; one that is not named is the one in use."""
    sender = load_sender(session(), partner_id, key)
    old, new = (
        _revision(partner_id, key, _number(request.args.get(name) or str(sender.revision)))
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
    return _page(partner_id, key, "compare", old=old, new=new, changes=found, sender=sender)


def _rollback(partner_id: str, key: str) -> ResponseReturnValue:
    """What rolling a sender back would change; POST does it."""
    if request.method != "POST":
        if "number" not in request.args and not web.wants_json():
            return redirect(page_url(partner_id, key, "history"))  # where one is chosen
        return _show_plan(partner_id, key, _number(request.args.get("number", "")))
    given = web.read_json() if request.is_json else request.form
    number = _number(str(given.get("number", "")))
    try:
        refuse_read_only(load_sender(session(), partner_id, key), web.signed_in())
        saved = roll_back(
            session(),
            partner_id,
            number,
            expected_revision=revision_seen(str(given.get("revision", ""))),
            actor=web.signed_in(),
            key=key,
        )
        session().commit()
    except (RequestError, SecretError) as error:
        session().rollback()
        if web.wants_json() or isinstance(error, NotFound):
            raise
        status = error.status if isinstance(error, RequestError) else 503
        return _show_plan(partner_id, key, number, error=error, status=status)
    if web.wants_json():
        return web.answer_json({"ok": True, "revision": saved.revision, "restores": number}, 200)
    if saved.revision == revision_seen(str(given.get("revision", ""))):
        web.notify(
            gettext(
                "Revision %(number)s is already in use, so there is no new revision.", number=number
            )
        )
    else:
        done = gettext(
            "Saved as revision %(revision)s, with the values of revision "
            "%(number)s. New mail is sent with these settings.",
            revision=saved.revision,
            number=number,
        )
        if must_sign_in(saved):
            done = gettext(
                "Saved as revision %(revision)s, with the values of revision %(number)s. "
                "Now sign in. Until then no mail is sent.",
                revision=saved.revision,
                number=number,
            )
        web.notify(done)
    return redirect(page_url(partner_id, key, "tab"), code=303)


def _show_plan(
    partner_id: str,
    key: str,
    number: int,
    *,
    error: RequestError | SecretError | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    plan = plan_rollback(session(), partner_id, number, actor=web.signed_in(), key=key)
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
    target = _revision(partner_id, key, number)
    return _page(partner_id, key, "rollback", plan=plan, target=target, error=error, status=status)


def _page(
    partner_id: str, key: str, name: str, *, status: int = 200, **values: Any
) -> tuple[str, int]:
    page = render_template(f"smtp_admin/{name}.html", **frame(partner_id, key), **values)
    return page, status


def _revision(partner_id: str, key: str, number: int) -> SenderRevision:
    found = find_revision(session(), partner_id, number, key)
    if found is None:
        raise NotFound
    return found


def _number(text: str) -> int:
    """The number of a revision.

    Raises:
        InvalidInput: it is none.
    """
    number = revision_seen(text)
    if number < 0:
        raise InvalidInput(
            gettext("This is not a revision number."),
            fields={"number": [gettext("Enter a whole number, such as 3.")]},
        )
    return number
