"""Move waiting mail from one sender to another, with the other's headers.

Only mail that no server has seen a byte of is moved. It keeps its id and its Message-ID; From,
envelope sender, Reply-To and the sender's own headers become those of the one that takes over, and
from then on never change. Each move leaves a row, so that what failed first stays visible.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.orm import Session

from smtp_admin.database import changed
from smtp_admin.delivery.hops import HopKind
from smtp_admin.delivery.models import IS_QUEUED, Delivery, Hop, Message
from smtp_admin.delivery.sender_headers import Stamped, stamped, without_sender
from smtp_admin.senders.resolve import ResolvedSender

_KEPT = (
    "public_id", "partner_id", "type_name", "subject", "sensitive", "notice", "is_test",
    "on_uncertain", "batch_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Move:
    """From which sender to which, and why.

    Attributes:
        answers_to: the sender whose address answers go to where neither the mail nor the one that
            takes over says otherwise.
    """

    source: ResolvedSender
    target: ResolvedSender
    answers_to: ResolvedSender
    kind: HopKind
    reason: str


def is_movable(sender_id: int) -> tuple[ColumnElement[bool], ...]:
    """Whether a delivery waits at this sender and no server can have it."""
    # An unknown outcome may have arrived: other bytes would be a second mail.
    return (Delivery.sender_id == sender_id, IS_QUEUED, Delivery.uncertains == 0)


def move_mail(session: Session, message_pk: int, delivery_ids: Sequence[int], move: Move) -> int:
    """Move these deliveries of one mail, as far as they still wait; how many.

    They are locked first: whatever they waited for may be over just now, and a worker that claims
    one of them must not find its bytes changed.
    """
    still = (Delivery.id.in_(delivery_ids), *is_movable(move.source.sender_id))
    mine = select(Delivery.id).where(*still, Delivery.message_pk == message_pk)
    ids = session.scalars(mine.with_for_update(skip_locked=True)).all()
    if not ids:
        return 0
    everybody = session.scalar(
        select(func.count()).select_from(Delivery).where(Delivery.message_pk == message_pk)
    )
    kept_by = _with_other_headers(session, message_pk, move, shared=everybody != len(ids))
    moved = changed(
        session,
        update(Delivery)
        .where(Delivery.id.in_(ids), Delivery.state == "queued")
        .values(sender_id=move.target.sender_id, message_pk=kept_by),
    )
    session.execute(
        insert(Hop),
        [
            {
                "delivery_id": one,
                "from_sender_id": move.source.sender_id,
                "to_sender_id": move.target.sender_id,
                "reason": move.reason[:500],
                "kind": move.kind,
            }
            for one in ids
        ],
    )
    return moved


def _with_other_headers(session: Session, message_pk: int, move: Move, *, shared: bool) -> int:
    """The row of the same mail from the other sender.

    Args:
        shared: whether other recipients need the first bytes: those stay with them.
    """
    before = session.get_one(Message, message_pk)
    other = _other_bytes(before, move)
    if not shared:
        changed(session, update(Message).where(Message.id == message_pk).values(**other))
        session.expire(before)
        return message_pk
    kept = {name: getattr(before, name) for name in _KEPT}
    result = session.execute(
        insert(Message).values(**kept, **other, copy_of=before.copy_of or before.id)
    )
    return int(result.inserted_primary_key[0])  # type: ignore[attr-defined]  # an INSERT has one


def _other_bytes(before: Message, move: Move) -> Stamped:
    values = move.answers_to.values
    answers = values.reply_to or values.from_email
    content = without_sender(before)
    return stamped(move.target, content, before.message_id, answers=answers)
