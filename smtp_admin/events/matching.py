"""Which delivery an event is about: only one that a sender of the same owner sent.

An event is believed about the mail of whose provider told it, and about nobody else's: ids can be
guessed, overheard or made up.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, among
from smtp_admin.delivery.models import HAS_PROVIDER_ID, Delivery, Message, address_parts
from smtp_admin.events.models import MailEvent
from smtp_admin.senders.models import Sender


@dataclass(frozen=True, slots=True)
class Candidate:
    """A delivery that an id leads to.

    Attributes:
        owner: whose sender it is with.
    """

    id: int
    owner: str
    partner_id: str
    address: tuple[str, str]


def find_deliveries(session: Session, events: Sequence[MailEvent]) -> dict[int, int]:
    """Id of an event → the id of its delivery, of those that have one."""
    by_message = _by_message_id(session, events)
    by_provider = _by_provider_id(session, events)
    found: dict[int, int] = {}
    for one in events:
        ours = _one_of(one, by_message.get(one.message_id, ()) if one.message_id else ())
        # The provider's id names one mail to one recipient, however that is written.
        named = [each for each in by_provider.get(one.provider_id, ()) if _may_concern(one, each)]
        if ours is not None:
            found[one.id] = ours
        elif one.provider_id and len(named) == 1:
            found[one.id] = named[0].id
    return found


def _one_of(one: MailEvent, candidates: Iterable[Candidate]) -> int | None:
    """The one that *one* is about: by its recipient, or the only one where it names none."""
    mine = [each for each in candidates if _may_concern(one, each)]
    if one.recipient:
        address = address_parts(one.recipient)
        mine = [each for each in mine if each.address == address]
    return mine[0].id if len(mine) == 1 else None


def _may_concern(one: MailEvent, candidate: Candidate) -> bool:
    if candidate.owner != one.partner_id:
        return False
    # The system's senders carry everybody's mail, a partner's only its own.
    return one.partner_id in (SYSTEM, candidate.partner_id)


def _by_message_id(session: Session, events: Sequence[MailEvent]) -> dict[str, list[Candidate]]:
    ids = sorted({f"<{one.message_id}>" for one in events if one.message_id})
    if not ids:
        return {}
    rows = session.execute(
        _CANDIDATES.add_columns(Message.message_id)
        .join(Message, Message.id == Delivery.message_pk)
        .where(among(session, Message.message_id, ids), *_recipients(session, events))
    )
    found: dict[str, list[Candidate]] = defaultdict(list)
    for row in rows:
        found[row[5].removeprefix("<").removesuffix(">")].append(_candidate(row))
    return found


def _recipients(session: Session, events: Sequence[MailEvent]) -> list[Any]:
    """Of a mail to thousands, only the recipients that are meant are read."""
    named = [address_parts(one.recipient)[1] for one in events if one.message_id]
    if not all(named):
        return []
    return [among(session, Delivery.mailbox, sorted(set(named)))]


def _by_provider_id(session: Session, events: Sequence[MailEvent]) -> dict[str, list[Candidate]]:
    ids = sorted({one.provider_id for one in events if one.provider_id})
    if not ids:
        return {}
    rows = session.execute(
        _CANDIDATES.add_columns(Delivery.provider_message_id).where(
            among(session, Delivery.provider_message_id, ids), HAS_PROVIDER_ID
        )
    )
    found: dict[str, list[Candidate]] = defaultdict(list)
    for row in rows:
        found[row[5]].append(_candidate(row))
    return found


_CANDIDATES: Any = select(
    Delivery.id,
    Sender.partner_id.label("owner"),
    Delivery.partner_id,
    Delivery.domain,
    Delivery.mailbox,
).join(Sender, Sender.id == Delivery.sender_id)


def _candidate(row: Any) -> Candidate:
    return Candidate(row[0], row[1], row[2], (row[3], row[4]))
