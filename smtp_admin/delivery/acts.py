"""What people did with deliveries: kept with each of them, and who it was."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, insert, literal, select
from sqlalchemy.orm import Session

from smtp_admin.audit.service import name_of
from smtp_admin.delivery.models import Act, ActKind, Delivery
from smtp_admin.host import Actor

_COLUMNS = (Act.delivery_id, Act.at, Act.kind, Act.actor_id, Act.actor_name)


class Doer(NamedTuple):
    """Whoever did it, as they are called now."""

    id: str
    name: str


#: No person: the app itself, or nobody knows.
NOBODY = Doer("", "")


def doer(actor: Actor) -> Doer:
    """A person as a doer."""
    return Doer(actor.id, name_of(actor))


def note(
    session: Session,
    ids: Sequence[int],
    kind: ActKind,
    moment: datetime,
    by: Doer,
    *where: ColumnElement[bool],
) -> None:
    """Keep that *kind* was done with those of *ids* for which *where* holds now."""
    if not ids:
        return
    values = zip(_COLUMNS[1:], (moment, kind, *by), strict=True)
    rows = select(Delivery.id, *(literal(value, column.type) for column, value in values))
    rows = rows.where(Delivery.id.in_(ids), *where)
    session.execute(insert(Act).from_select([one.key for one in _COLUMNS], rows))


def acts_on(session: Session, delivery_id: int) -> Sequence[Act]:
    """What people did with a delivery, oldest first."""
    mine = select(Act).where(Act.delivery_id == delivery_id).order_by(Act.at, Act.id)
    return session.scalars(mine).all()
