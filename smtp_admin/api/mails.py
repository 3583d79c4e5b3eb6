"""``/messages/<id>`` and ``/batch/<id>``: what became of mail; cancelling it, sending it again."""

from collections.abc import Sequence
from typing import Any

from flask.typing import ResponseReturnValue
from sqlalchemy import select

from smtp_admin import web
from smtp_admin.access import scope
from smtp_admin.api import notices
from smtp_admin.database import beside_workers, session
from smtp_admin.delivery.actions import message_id_of
from smtp_admin.delivery.batches import batch_in_scope
from smtp_admin.delivery.bulk_actions import Done, act_on_selected
from smtp_admin.delivery.hops import HopSeen, hops_seen
from smtp_admin.delivery.logged_mail import LoggedMail, rows_of
from smtp_admin.delivery.mail_actions import MAIL_ACTIONS, ActionName
from smtp_admin.delivery.models import Attempt
from smtp_admin.delivery.seen_mail import ids_of_mail, seen_by
from smtp_admin.errors import Conflict, NotFound
from smtp_admin.events.models import MailEvent
from smtp_admin.events.queries import told_of

#: Deliveries that one answer tells of, and their attempts, the newest ones.
_MOST_DELIVERIES, _MOST_ATTEMPTS = 100, 1000


def message(public_id: str) -> ResponseReturnValue:
    """One mail with its deliveries, and each with its attempts; of a notice, its digest."""
    item = notices.seen(session(), public_id)
    if item is not None:
        if item.message_id is None or not ids_of_mail(
            session(), item.message_id, seen_by(web.signed_in())
        ):
            return web.answer_json(notices.as_message(item))
        public_id = item.message_id
    ids = _deliveries_of(public_id)
    shown = tuple(reversed(rows_of(session(), ids[:_MOST_DELIVERIES])))
    numbers = [one.id for one in shown]
    attempts = _attempts(numbers)
    hops = hops_seen(session(), numbers)
    told = told_of(session(), numbers)
    whole = web.signed_in().is_admin
    states: dict[str, int] = {}
    for one in shown:
        states[one.state] = states.get(one.state, 0) + 1
    first = shown[0]
    return web.answer_json(
        {
            "ok": True,
            "id": first.public_id,
            "partner_id": first.partner_id,
            "type": first.type_name,
            "subject": first.subject,
            "message_id": message_id_of(session(), first.public_id),
            "queued_at": first.created_at.isoformat(),
            "states": states,
            "recipients": len(ids),
            "deliveries": [
                _delivery(
                    one,
                    attempts.get(one.id, ()),
                    [hop if whole else hop.for_partner() for hop in hops.get(one.id, ())],
                    told.get(one.id, ()),
                )
                for one in shown
            ],
        }
    )


def cancel(public_id: str) -> ResponseReturnValue:
    """Do not send what of a mail is still queued, or take a notice out of its digest."""
    item = notices.seen(session(), public_id)
    if item is not None:
        return web.answer_json({"ok": True, "id": public_id, "count": notices.take_out(item)})
    done = _act(public_id, "cancel")
    return web.answer_json({"ok": True, "id": public_id, "count": done.count})


def retry(public_id: str) -> ResponseReturnValue:
    """Send dead letters and unknown outcomes of a mail once more.

    What goes to a suppressed address is kept back, and counted apart.
    """
    if notices.seen(session(), public_id) is not None:
        raise Conflict(_TOO_LATE["retry"])
    done = _act(public_id, "retry")
    return web.answer_json(
        {"ok": True, "id": public_id, "count": done.count, "kept_back": done.kept_back}
    )


def batch_status(public_id: str) -> ResponseReturnValue:
    """How a batch stands."""
    found = batch_in_scope(session(), public_id, scope(web.signed_in()))
    return web.answer_json({"ok": True, **found.as_json()})


def _deliveries_of(public_id: str) -> list[int]:
    found = ids_of_mail(session(), public_id, seen_by(web.signed_in()))
    if not found:
        raise NotFound
    return found


def _act(public_id: str, name: ActionName) -> Done:
    actor, ids = web.signed_in(), _deliveries_of(public_id)
    session().rollback()  # the steps below are transactions of their own
    try:
        with beside_workers() as engine:
            return act_on_selected(engine, actor, MAIL_ACTIONS[name], seen_by(actor), ids)
    except Conflict as error:
        raise Conflict(_TOO_LATE[name]) from error


_TOO_LATE: dict[ActionName, str] = {
    "cancel": "Nothing of this mail is queued any more, so nothing was cancelled.",
    "retry": "This mail is neither a dead letter nor of unknown outcome, so nothing was queued.",
}


def _attempts(delivery_ids: Sequence[int]) -> dict[int, list[Attempt]]:
    newest = (
        select(Attempt)
        .where(Attempt.delivery_id.in_(delivery_ids))
        .order_by(Attempt.id.desc())
        .limit(_MOST_ATTEMPTS)
    )
    found: dict[int, list[Attempt]] = {}
    for one in reversed(session().scalars(newest).all()):
        found.setdefault(one.delivery_id, []).append(one)
    return found


def _delivery(
    one: LoggedMail,
    attempts: Sequence[Attempt],
    hops: Sequence[HopSeen],
    told: Sequence[MailEvent],
) -> dict[str, Any]:
    """A delivery; which worker sent it, and how the system's sender is set up, is left out."""
    waits = one.state == "queued"
    return {
        "recipient": one.recipient,
        "archive": one.archive,
        "state": one.state,
        "tries": one.tries,
        "next_attempt_at": one.next_attempt_at.isoformat() if waits else None,
        "finished_at": one.finished_at.isoformat() if one.finished_at else None,
        "code": one.code,
        "cause": one.cause,
        "error": one.error,
        "reply": one.reply,
        "attempts": [
            {
                "at": each.at.isoformat(),
                "verdict": each.verdict,
                "code": each.code,
                "cause": each.cause,
                "error": each.error,
                "reply": each.reply,
            }
            for each in attempts
        ],
        "handed_over": [
            {
                "at": hop.at.isoformat(),
                "from": hop.from_sender,
                "to": hop.to_sender,
                "reason": hop.reason,
            }
            for hop in hops
        ],
        "events": [
            {
                "at": (each.at or each.received_at).isoformat(),
                "kind": each.kind,
                "bounce": each.bounce,
                "code": each.code,
                "words": each.words,
            }
            for each in told
        ],
    }
