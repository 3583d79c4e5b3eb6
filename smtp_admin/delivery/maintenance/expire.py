"""End what is too old to be sent."""

from sqlalchemy import Engine, select, update

from smtp_admin.database import changed, database_now, reading, transaction
from smtp_admin.delivery import states
from smtp_admin.delivery.models import IS_QUEUED, Delivery
from smtp_admin.delivery.sensitive import erase_sensitive
from smtp_admin.translation import gettext

_AT_ONCE = 1000


def expire(engine: Engine) -> int:
    """End what is too old to be sent; how many."""
    with reading(engine) as session:
        moment = database_now(session)
        too_old = (IS_QUEUED, Delivery.expires_at <= moment)
        found = session.scalars(select(Delivery.id).where(*too_old).limit(_AT_ONCE)).all()
    if not found:
        return 0
    with transaction(engine) as session:
        old = session.execute(
            select(Delivery.id, Delivery.message_pk)
            .where(Delivery.id.in_(found), *too_old)
            # What somebody has begun to cancel is left to them: nobody waits for their commit.
            .with_for_update(skip_locked=True)
        ).all()
        count = changed(
            session,
            update(Delivery)
            .where(Delivery.id.in_([row.id for row in old]))
            .values(
                state=states.check("queued", "expired"),
                finished_at=moment,
                last_code="expired",
                last_cause="",
                last_error=gettext("It waited too long and was not sent."),
            ),
        )
        erase_sensitive(session, {row.message_pk for row in old})
        return count
