"""Keep what a mail that came back says, if it is about mail of whose mailbox it came to.

Anybody can write a bounce. It is believed about one delivery only: the one whose signed tag is in
the address that it came back to, or whose Message-ID it returns. Both are known to nobody but who
had that mail, and both count only for mail of the owner of the mailbox.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, among, database_now
from smtp_admin.delivery.doorbell import doorbell
from smtp_admin.delivery.models import Delivery, Message, address_parts
from smtp_admin.delivery.return_path import ReturnPaths
from smtp_admin.events.bounces.reading import read
from smtp_admin.events.bounces.report import Reading, Report
from smtp_admin.events.event import Bounce, Event, identity_of
from smtp_admin.events.storing import Origin, keep
from smtp_admin.installation import installation
from smtp_admin.senders.models import Sender

_ORIGIN = "bounces"
#: A time that the report's author made up tells nobody anything.
_OLDEST, _NEWEST = timedelta(days=30), timedelta(days=1)
_MOST_CANDIDATES = 500
_NOT_OURS = "It is about no mail that was sent from here for this owner."


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one mail.

    Attributes:
        events: how many were kept; ``why`` says why there is none.
    """

    events: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    id: int
    sender_id: int
    recipient: str
    message_id: str


def take_in(session: Session, partner_id: str, content: bytes) -> Taken:
    """Keep the events of one mail that came to a mailbox of *partner_id*; the caller commits.

    Args:
        partner_id: whose mailbox it came to; ``''`` is the system, whose senders carry mail of all.
    """
    reading = read(content)
    if not reading.reports:
        return Taken(0, reading.why)
    tagged = _tagged(session, partner_id, reading)
    candidates = tagged or _returned(session, partner_id, reading)
    if not candidates:
        return Taken(0, _NOT_OURS)
    at = _sane(reading.at, database_now(session))
    found = 0
    for report in reading.reports:
        one = _meant(report, candidates, alone=len(reading.reports) == 1)
        if one is None:
            continue
        event = _event(reading, report, one, at)
        keep(session, Origin(_ORIGIN, partner_id, one.sender_id), [event])
        found += 1
    return Taken(found) if found else Taken(0, _NOT_OURS)


def call_for_events() -> None:
    """After the commit: a worker looks at once."""
    doorbell().call_for_events()


def _tagged(session: Session, partner_id: str, reading: Reading) -> list[_Candidate]:
    ids = ReturnPaths(installation().keyring).deliveries_in(reading.addresses)
    return _candidates(session, partner_id, Delivery.id.in_(ids)) if ids else []


def _returned(session: Session, partner_id: str, reading: Reading) -> list[_Candidate]:
    if not reading.message_ids:
        return []
    ids = [f"<{one}>" for one in reading.message_ids]
    return _candidates(session, partner_id, among(session, Message.message_id, ids))


def _candidates(session: Session, partner_id: str, which: Any) -> list[_Candidate]:
    wanted = (
        select(Delivery.id, Delivery.sender_id, Delivery.recipient, Message.message_id)
        .join(Message, Message.id == Delivery.message_pk)
        .join(Sender, Sender.id == Delivery.sender_id)
        .where(which, Sender.partner_id == partner_id)
        .order_by(Delivery.id)
        .limit(_MOST_CANDIDATES)
    )
    if partner_id != SYSTEM:
        wanted = wanted.where(Delivery.partner_id == partner_id)
    return [_Candidate(*row) for row in session.execute(wanted)]


def _meant(report: Report, candidates: Sequence[_Candidate], *, alone: bool) -> _Candidate | None:
    """The delivery that *report* is about.

    One that went on to another address is known by being the only one.
    """
    for name in report.recipients:
        parts = address_parts(name)
        for one in candidates:
            if address_parts(one.recipient) == parts:
                return one
    return candidates[0] if alone and len(candidates) == 1 else None


def _event(reading: Reading, report: Report, one: _Candidate, at: datetime | None) -> Event:
    bounce: Bounce = report.bounce
    ours = {address_parts(each) for each in report.recipients}
    if bounce == "hard" and ours and address_parts(one.recipient) not in ours:
        # The address to which the recipient's server sent it on is gone, not the recipient's.
        bounce = "soft"
    return Event(
        report.kind,
        # A mail comes back once, however many reports tell it; it may be delayed several times.
        identity=identity_of(
            _ORIGIN,
            one.id,
            report.kind,
            bounce,
            report.code,
            reading.own_id if report.kind == "deferred" else "",
        ),
        recipient=one.recipient,
        at=at,
        message_id=one.message_id.removeprefix("<").removesuffix(">"),
        bounce=bounce,
        code=report.code,
        words=report.words,
    )


def _sane(at: datetime | None, moment: datetime) -> datetime | None:
    return at if at is not None and moment - _OLDEST < at < moment + _NEWEST else None
