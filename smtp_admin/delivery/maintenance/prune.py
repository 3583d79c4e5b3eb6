"""Forget what is over: finished mails and notices after a while, and old audits."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine, delete, exists, or_, select
from sqlalchemy.orm import Session, aliased

from smtp_admin.audit.models import Audit
from smtp_admin.config import Config
from smtp_admin.database import changed, database_now, reading, transaction
from smtp_admin.delivery.digest_models import DigestItem
from smtp_admin.delivery.maintenance.retention import Retention, retentions
from smtp_admin.delivery.models import Act, Attempt, Delivery, Hop, Message
from smtp_admin.oauth.forgetting import TOKENS

#: Small steps, so that nobody waits for a lock.
_STEP = 500
_OVER = ("sent", "delivered", "bounced", "complained", "suppressed", "cancelled", "expired")


def prune(engine: Engine, config: Config) -> int:
    """Delete finished mail older than its partner's is kept; how many messages.

    Dead letters and unknown outcomes stay until somebody has looked at them. Needs an app context.
    """
    with transaction(engine) as session:
        TOKENS.forget_leftovers(session)
    total = 0
    for one in retentions(config):
        with transaction(engine) as session:
            before = database_now(session) - one.keep
            for model, at in ((Audit, Audit.at), (DigestItem, DigestItem.ended_at)):
                mine = one.concerns(model.partner_id)
                changed(session, delete(model).where(at < before, mine))
        while step := _prune_step(engine, one):
            total += step
    return total


def _prune_step(engine: Engine, retention: Retention) -> int:
    keep = retention.keep
    # The whole table may have to be looked through, and on SQLite others must write meanwhile.
    with reading(engine) as session:
        moment = database_now(session)
        needed = exists().where(
            Delivery.message_pk == Message.id,
            or_(
                Delivery.state.not_in(_OVER),
                Delivery.finished_at.is_(None),
                Delivery.finished_at >= moment - keep,
            ),
        )
        # The first one has the idempotency key that copies have not.
        copy = aliased(Message)
        copied = exists().where(copy.copy_of == Message.id)
        old = session.scalars(
            select(Message.id)
            .where(
                Message.created_at < moment - keep,
                retention.concerns(Message.partner_id),
                ~needed,
                ~copied,
            )
            .limit(_STEP)
        ).all()
    if not old:
        return 0
    with transaction(engine) as session:
        old = _still_over(session, old, moment - keep)
        gone = select(Delivery.id).where(Delivery.message_pk.in_(old)).scalar_subquery()
        for of_it in (Attempt, Hop, Act):
            changed(session, delete(of_it).where(of_it.delivery_id.in_(gone)))
        changed(session, delete(Delivery).where(Delivery.message_pk.in_(old)))
        changed(session, delete(Message).where(Message.id.in_(old)))
        return len(old)


def _still_over(session: Session, messages: Sequence[int], before: datetime) -> list[int]:
    """Those that nobody undid or sent after all meanwhile; until the commit nobody can."""
    mine = (
        select(Delivery.message_pk, Delivery.state, Delivery.finished_at)
        .where(Delivery.message_pk.in_(messages))
        .order_by(Delivery.id)
        .with_for_update()
    )
    again = {
        one.message_pk
        for one in session.execute(mine)
        if one.state not in _OVER or one.finished_at is None or one.finished_at >= before
    }
    return [one for one in messages if one not in again]
