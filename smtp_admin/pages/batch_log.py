"""``/batches`` and ``…/batches``: what was sent to many, how far it is, and how it is stopped."""

from dataclasses import replace

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.audit.service import record_change
from smtp_admin.database import beside_workers, session
from smtp_admin.delivery.acts import doer
from smtp_admin.delivery.batch_ends import cancel_batch
from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.batches import BatchSeen, batch_in_scope, find_batch, seen_batches
from smtp_admin.delivery.dead_letters import dead_groups
from smtp_admin.delivery.mail_log import GROUPS
from smtp_admin.mail import batches as service
from smtp_admin.pages import lists
from smtp_admin.pages.mail_filters import MailView, log_url, seen_by_actor
from smtp_admin.pages.mail_log import owner_name, shown_groups, types
from smtp_admin.pages.mail_words import GROUP_LABELS
from smtp_admin.pages.sender_frame import frame
from smtp_admin.pages.sender_routes import add_owner_page, owner_url
from smtp_admin.translation import ngettext


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/batches")(batches)
    blueprint.get("/batches/<public_id>")(one_batch)
    blueprint.post("/batches/<public_id>/cancel")(batch_cancel)
    blueprint.post("/batches/<public_id>/resume")(batch_resume)
    add_owner_page(blueprint, "batches", _list)


@guarded(Action.SEE_MAIL)
def batches() -> ResponseReturnValue:
    """The batches of all whom one looks after."""
    return _list(None)


@guarded(Action.SEE_MAIL)
def one_batch(public_id: str) -> ResponseReturnValue:
    """How one batch stands."""
    one = mine(public_id)
    if web.wants_json():
        return web.answer_json({"ok": True, **one.as_json()})
    row = find_batch(session(), public_id, one.partner_id)
    failed = replace(seen_by_actor(), partner_ids=frozenset({one.partner_id}), batch_id=row.id)
    view = MailView(one.partner_id, {"batch": public_id}, failed)
    return render_template(
        "smtp_admin/mail/batch.html",
        batch=one,
        owner=owner_name(one.partner_id),
        owner_batches=owner_url(one.partner_id, "batches"),
        type=dict(types()).get(one.type, one.type),
        groups=[
            (label, sum(one.states.get(state, 0) for state in GROUPS[name]),
             log_url(one.partner_id, batch=public_id, state=name))
            for name, label in GROUP_LABELS.items()
        ],
        problems=shown_groups(dead_groups(session(), failed), view),
        log=log_url(one.partner_id, batch=public_id),
        runs=bool(one.waiting) and one.cancelled_at is None,
    )  # fmt: skip


@guarded(Action.CHANGE_MAIL)
def batch_cancel(public_id: str) -> ResponseReturnValue:
    """Send nothing more of a batch."""
    one = mine(public_id)
    record_change(
        session(), web.signed_in(), one.partner_id, "batch.cancelled", one.label or one.id
    )
    session().commit()
    with beside_workers() as engine:
        count = cancel_batch(engine, public_id, one.partner_id, doer(web.signed_in()))
    return _told(
        public_id,
        count,
        ngettext(
            "Cancelled. %(number)s mail will not be sent.",
            "Cancelled. %(number)s mails will not be sent.",
            count,
        ),
    )


@guarded(Action.CHANGE_MAIL)
def batch_resume(public_id: str) -> ResponseReturnValue:
    """Let a cancelled batch go on."""
    one = mine(public_id)
    count = service.resume(session(), public_id, one.partner_id, doer(web.signed_in()))
    record_change(session(), web.signed_in(), one.partner_id, "batch.resumed", one.label or one.id)
    session().commit()
    return _told(
        public_id,
        count,
        ngettext(
            "Resumed: %(number)s mail is queued again.",
            "Resumed: %(number)s mails are queued again.",
            count,
        ),
    )


def _told(public_id: str, count: int, words: str) -> ResponseReturnValue:
    if web.wants_json():
        return web.answer_json({"ok": True, "id": public_id, "count": count})
    web.notify(words)
    return redirect(url_for("smtp_admin.one_batch", public_id=public_id), code=303)


def mine(public_id: str) -> BatchSeen:
    """A batch that the present person may see.

    Raises:
        NotFound: there is no such batch, or it is somebody else's.
    """
    return batch_in_scope(session(), public_id, lists.scope())


def _new_url(owner: str | None, scope: frozenset[str] | None) -> str:
    """Where to send to many; empty where one must choose in whose name first."""
    if owner is None and scope is not None and len(scope) == 1:
        (owner,) = scope
    return "" if owner is None else owner_url(owner, "new_batch")


def _list(owner: str | None) -> ResponseReturnValue:
    base = url_for("smtp_admin.batches") if owner is None else owner_url(owner, "batches")
    scope = lists.scope() if owner is None else frozenset({owner})
    chosen = {"q": lists.word("q", 100)}
    wanted = select(Batch)
    if scope is not None:
        wanted = wanted.where(Batch.partner_id.in_(sorted(scope)))
    if chosen["q"]:
        wanted = wanted.where(
            Batch.label.icontains(chosen["q"], autoescape=True) | (Batch.public_id == chosen["q"])
        )
    rows, older, newer = lists.page_by_id(session(), wanted, Batch.id, **lists.place())
    pager = lists.pager(base, chosen, older=older, newer=newer)
    found = seen_batches(session(), rows)
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "batches": [one.as_json() for one in found],
                "older": pager.older or None,
                "newer": pager.newer or None,
            }
        )
    labels = dict(types())
    return render_template(
        "smtp_admin/mail/batches.html",
        here="batches",
        all_=owner is None,
        base=base,
        chosen=chosen,
        rows=[(one, owner_name(one.partner_id), labels.get(one.type, one.type)) for one in found],
        pager=pager,
        new_url=_new_url(owner, scope),
        **(frame(owner) if owner is not None else {}),
    )
