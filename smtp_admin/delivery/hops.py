"""Which senders a delivery went through before its present one, and why."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from smtp_admin.database import SYSTEM
from smtp_admin.delivery.models import Hop
from smtp_admin.senders.models import Sender
from smtp_admin.translation import gettext

HopKind = Literal["fallback", "deleted"]
#: What a partner's admin reads of any of the system's senders.
THE_SYSTEMS = gettext("the system's sender")


@dataclass(frozen=True, slots=True)
class HopSeen:
    """One hop, for people.

    Attributes:
        from_sender: what the sender is called that did not send it.
        to_sender: what the one is called that took over.
        reason: why the first one could not.
        kind: ``fallback`` or ``deleted``.
    """

    at: datetime
    from_sender: str
    to_sender: str
    reason: str
    kind: str

    def for_partner(self) -> "HopSeen":
        """What a partner may know: the system's senders, and their troubles, are the platform's."""
        hop = self
        if _is_systems(hop.from_sender):
            hop = replace(hop, from_sender=THE_SYSTEMS, reason="")
        return replace(hop, to_sender=THE_SYSTEMS) if _is_systems(hop.to_sender) else hop

    def __str__(self) -> str:
        return gettext(
            "by %(to_sender)s instead of %(from_sender)s, because: %(reason)s",
            to_sender=self.to_sender,
            from_sender=self.from_sender,
            reason=self.reason,
        )


def _is_systems(name: str) -> bool:
    return name.startswith(THE_SYSTEMS)


def sender_name(partner_id: str, key: str, label: str) -> str:
    """What a sender is called where mail of several may stand."""
    if partner_id == SYSTEM:
        return (
            gettext("the system's sender %(value)s", value=label or key)
            if label or key
            else THE_SYSTEMS
        )
    return (
        gettext("the sender %(value)s", value=label or key)
        if label or key
        else gettext("the default sender")
    )


def hops_seen(session: Session, delivery_ids: Collection[int]) -> dict[int, tuple[HopSeen, ...]]:
    """The hops of each of these deliveries that has any, oldest first."""
    if not delivery_ids:
        return {}
    before, after = aliased(Sender), aliased(Sender)
    rows = session.execute(
        select(Hop, before.partner_id, before.key, before.label)
        .add_columns(after.partner_id, after.key, after.label)
        .join(before, before.id == Hop.from_sender_id)
        .join(after, after.id == Hop.to_sender_id)
        .where(Hop.delivery_id.in_(delivery_ids))
        .order_by(Hop.id)
    ).all()
    found: dict[int, tuple[HopSeen, ...]] = {}
    for row in rows:
        hop: Hop = row[0]
        one = HopSeen(hop.at, sender_name(*row[1:4]), sender_name(*row[4:7]), hop.reason, hop.kind)
        found[hop.delivery_id] = (*found.get(hop.delivery_id, ()), one)
    return found


@dataclass(frozen=True, slots=True)
class Way:
    """Where a delivery has been.

    Attributes:
        origin: the sender that its mail was meant for. After that one was deleted, whoever took
            over: the wishes of a deleted sender count no more.
        been: every sender that had it, the present one included.
    """

    origin: int
    been: frozenset[int]


def ways(session: Session, at: int, delivery_ids: Collection[int]) -> dict[int, Way]:
    """Where each of these deliveries has been, which are with the sender *at* now."""
    found: dict[int, list[Hop]] = {one: [] for one in delivery_ids}
    for hop in session.scalars(
        select(Hop).where(Hop.delivery_id.in_(delivery_ids)).order_by(Hop.id)
    ):
        found[hop.delivery_id].append(hop)
    return {delivery_id: _way(at, hops) for delivery_id, hops in found.items()}


def _way(at: int, hops: Iterable[Hop]) -> Way:
    origin: int | None = None
    been = {at}
    for hop in hops:
        been |= {hop.from_sender_id, hop.to_sender_id}
        if hop.kind == "deleted":
            origin = hop.to_sender_id
        elif origin is None:
            origin = hop.from_sender_id
    return Way(at if origin is None else origin, frozenset(been))
