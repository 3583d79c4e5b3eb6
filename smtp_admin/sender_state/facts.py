"""What the states of senders follow from, found for many senders at once.

However many senders there are, it is a handful of queries: one for each kind of fact, and never
one for each sender.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    false,
    func,
    literal,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.orm import Session

from smtp_admin.clock import a_second_after
from smtp_admin.database import SYSTEM, UTCDateTime, among, database_now
from smtp_admin.delivery.doorbell import doorbell
from smtp_admin.delivery.gate import REDIRECTED
from smtp_admin.delivery.held import as_held
from smtp_admin.delivery.limits import COUNTED, DAY, HOUR, kept_for_urgent
from smtp_admin.delivery.models import IS_QUEUED, Attempt, Delivery, Lane
from smtp_admin.sender_state.state import Facts, State, decide
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, password_trouble
from smtp_admin.senders.routing import choose_sender
from smtp_admin.translation import known
from smtp_admin.transports.outcome import Verdict

#: Later than that is no time: the sandbox holds it.
_HELD_AT: datetime = as_held()["next_attempt_at"]
_NO_FAILURES = (Verdict.ACCEPTED.value, REDIRECTED)
_REFUSED = (Verdict.PERMANENT.value, Verdict.TEMPORARY.value)
_MANY = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WEIGHT = Delivery.uncertains + case((Delivery.state.in_(COUNTED), 1), else_=0)


def state_of(session: Session, sender: ResolvedSender) -> State:
    """The state of one sender."""
    return states_of(session, [sender])[0]


def states_of(session: Session, senders: Sequence[ResolvedSender]) -> list[State]:
    """The states of *senders*, in their order; needs an app context."""
    asked = {one.sender_id: one for one in senders if one.sender_id}
    systems = systems_sender(session) if any(map(_needs_carrier, senders)) else None
    if systems is not None and systems.sender_id:
        asked.setdefault(systems.sender_id, systems)
    known = _look(session, list(asked.values()))
    return [
        decide(one, known.of(one))
        if systems is None or not _needs_carrier(one)
        else _carried(one, systems, known)
        for one in senders
    ]


def _carried(sender: ResolvedSender, systems: ResolvedSender, known: "_Known") -> State:
    """The state of a sender without settings: its mail is with the system's."""
    theirs, own = known.of(systems, sender.partner_id), known.of(sender)
    if systems.configured:
        return decide(sender, own, (systems, theirs))
    return decide(sender, replace(own, waiting=own.waiting + theirs.waiting))


def systems_sender(session: Session) -> ResolvedSender:
    """Who sends for partners without a sender, whether or not it is set up."""
    return choose_sender(session, SYSTEM, "", "normal").sender


def _needs_carrier(sender: ResolvedSender) -> bool:
    """Whether mail of its owner goes by the system's sender, if there is one."""
    return not sender.configured and sender.partner_id != SYSTEM and sender.key == DEFAULT_KEY


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found out, by sender; queues also by partner."""

    moment: datetime
    workers: int | None
    at_work: frozenset[int]
    queues: Mapping[int, Mapping[str, "_Queue"]]
    limits: "_Limits"
    failures: Mapping[int, "_Failures"]
    troubles: dict[int, tuple[str, str]] = field(default_factory=dict)

    def of(self, sender: ResolvedSender, partner_id: str | None = None) -> Facts:
        """The facts of *sender*.

        Args:
            partner_id: whose mail alone is meant.
        """
        own = sender.sender_id
        waiting = self.queues.get(own, {}) if own else {}
        if partner_id is None and waiting:
            queue = reduce(_Queue.plus, waiting.values())
        else:
            queue = waiting.get(partner_id or "", _NOTHING)
        failures, limit = self.failures.get(own, _NO_FAILURE), self.limits.full.get(own)
        # Of a sender that others use too, how much they sent is nobody's business.
        used = self.limits.used.get(own, {}) if partner_id is None else {}
        return Facts(
            moment=self.moment,
            trouble=self._trouble_of(sender),
            workers=self.workers,
            at_work=own in self.at_work,
            waiting=queue.waiting,
            due=queue.due,
            due_since=queue.due_since,
            held=queue.held,
            next_at=queue.next_at,
            limited=limit is not None,
            limit_until=limit.until if limit else None,
            urgent_goes=limit is not None and limit.urgent,
            used_hour=used.get(HOUR),
            used_day=used.get(DAY),
            failed=failures.mails,
            refused=failures.refused,
            last_error=failures.error,
        )

    def _trouble_of(self, sender: ResolvedSender) -> tuple[str, str]:
        if not sender.configured:
            return "", ""
        if sender.sender_id not in self.troubles:
            self.troubles[sender.sender_id] = password_trouble(sender)
        return self.troubles[sender.sender_id]


@dataclass(frozen=True, slots=True)
class _Queue:
    waiting: int = 0
    due: int = 0
    due_since: datetime | None = None
    held: int = 0
    next_at: datetime | None = None

    def plus(self, other: "_Queue") -> "_Queue":
        return _Queue(
            self.waiting + other.waiting,
            self.due + other.due,
            _first(self.due_since, other.due_since),
            self.held + other.held,
            _first(self.next_at, other.next_at),
        )


@dataclass(frozen=True, slots=True)
class _Failures:
    mails: int = 0
    refused: bool = False
    error: str = ""


_NOTHING, _NO_FAILURE = _Queue(), _Failures()


@dataclass(frozen=True, slots=True)
class _Limit:
    """A limit that is used up.

    Attributes:
        until: when it goes on; ``None`` if nobody can say.
        urgent: whether there is something left for urgent mail.
    """

    until: datetime | None
    urgent: bool

    def and_also(self, other: "_Limit") -> "_Limit":
        """Both at once."""
        known = None if self.until is None or other.until is None else max(self.until, other.until)
        return _Limit(known, self.urgent and other.urgent)


@dataclass(frozen=True, slots=True)
class _Limits:
    """Limits that are used up, and how much is used of each that there is, by its span."""

    full: dict[int, _Limit] = field(default_factory=dict)
    used: dict[int, dict[timedelta, int]] = field(default_factory=dict)


def _first(*times: datetime | None) -> datetime | None:
    return min((one for one in times if one is not None), default=None)


def _look(session: Session, senders: Sequence[ResolvedSender]) -> _Known:
    moment = database_now(session)
    ids = [one.sender_id for one in senders]
    held = select(Lane.sender_id).where(
        _these(session, Lane.sender_id, ids), Lane.lease.is_not(None), Lane.lease_until > moment
    )
    return _Known(
        moment=moment,
        workers=doorbell().workers(),
        at_work=frozenset(session.scalars(held)) if ids else frozenset(),
        queues=_queues(session, ids, moment) if ids else {},
        limits=_limits(session, senders, moment),
        failures=_failures(session, ids) if ids else {},
    )


def _these(session: Session, column: Any, ids: Sequence[int]) -> ColumnElement[bool]:
    """Rows of these senders; of many, all rows are read: there are few of what is asked here."""
    return among(session, column, ids) if len(ids) <= _MANY else true()


def _queues(session: Session, ids: Sequence[int], moment: datetime) -> dict[int, dict[str, _Queue]]:
    """What waits, by sender and partner; the index of what is due has all that is asked for."""
    at = Delivery.next_attempt_at
    rows = session.execute(
        select(
            Delivery.sender_id,
            Delivery.partner_id,
            func.count(),
            func.sum(case((at <= moment, 1), else_=0)),
            func.min(case((at <= moment, at))),
            func.sum(case((at >= _HELD_AT, 1), else_=0)),
            func.min(case((and_(at > moment, at < _HELD_AT), at))),
        )
        .where(IS_QUEUED, _these(session, Delivery.sender_id, ids))
        .group_by(Delivery.sender_id, Delivery.partner_id)
    )
    found: dict[int, dict[str, _Queue]] = {}
    for sender_id, partner_id, count, due, since, held, later in rows:
        queue = _Queue(count, int(due), since, int(held), later)
        found.setdefault(int(sender_id), {})[partner_id] = queue
    return found


def _failures(session: Session, ids: Sequence[int]) -> dict[int, _Failures]:
    """How many mails of each failed since one was accepted, and the words of the last one.

    By its present settings, that is. What is written down together with a success came before it,
    or with it, as far as one knows.
    """
    last, saved = Sender.last_accepted_at, SenderRevision.created_at
    since = case(
        (or_(last.is_(None), saved > last), literal(_EPOCH, UTCDateTime)),
        else_=type_coerce(a_second_after(last), UTCDateTime),
    )
    counted = (
        select(
            Attempt.sender_id,
            func.count(Attempt.delivery_id.distinct()).label("mails"),
            func.min(case((Attempt.verdict.in_(_REFUSED), 1), else_=0)).label("refused"),
            func.max(Attempt.id).label("last"),
        )
        .select_from(Sender)
        .join(
            SenderRevision,
            (SenderRevision.sender_id == Sender.id)
            & (SenderRevision.number == Sender.current_revision),
        )
        .join(
            Attempt,
            (Attempt.sender_id == Sender.id)
            & (Attempt.revision == Sender.current_revision)
            & (Attempt.at > since),
        )
        .where(_these(session, Sender.id, ids), Attempt.verdict.not_in(_NO_FAILURES))
        .group_by(Attempt.sender_id)
        .subquery()
    )
    rows = session.execute(
        select(counted.c.sender_id, counted.c.mails, counted.c.refused, Attempt.error,
               Attempt.reply)
        .join(Attempt, Attempt.id == counted.c.last)
    )  # fmt: skip
    return {
        int(sender_id): _Failures(
            int(mails), bool(refused), known(error) + f" ({reply})" if reply else error
        )
        for sender_id, mails, refused, error, reply in rows
    }


def _limits(session: Session, senders: Sequence[ResolvedSender], moment: datetime) -> _Limits:
    """How much each has used, and who may send nothing but urgent mail, if that, until when."""
    found = _Limits()
    values = [one.values for one in senders]
    if all(one.max_per_hour is None and one.max_per_day is None for one in values):
        return found
    under_way = _under_way(session, [one.sender_id for one in senders])
    for window, name in ((HOUR, "max_per_hour"), (DAY, "max_per_day")):
        most = {
            one.sender_id: limit
            for one in senders
            if (limit := getattr(one.values, name)) is not None
        }
        used = _used(session, most, under_way, moment - window)
        for sender_id, count in used.items():
            found.used.setdefault(sender_id, {})[window] = count
        for sender_id, used_up in _used_up(session, most, used, under_way, moment - window):
            one = replace(used_up, until=used_up.until and used_up.until + window)
            before = found.full.get(sender_id)
            found.full[sender_id] = one.and_also(before) if before else one
    return found


def _used(
    session: Session, most: Mapping[int, int], under_way: Mapping[int, int], since: datetime
) -> dict[int, int]:
    if not most:
        return {}
    rows = session.execute(
        select(Delivery.sender_id, func.sum(_WEIGHT))
        .where(among(session, Delivery.sender_id, most), Delivery.finished_at > since)
        .group_by(Delivery.sender_id)
    )
    finished = {int(sender_id): int(count or 0) for sender_id, count in rows}
    return {one: finished.get(one, 0) + under_way.get(one, 0) for one in most}


def _used_up(
    session: Session,
    most: Mapping[int, int],
    used: Mapping[int, int],
    under_way: Mapping[int, int],
    since: datetime,
) -> Iterator[tuple[int, "_Limit"]]:
    """Of the senders in *most*, those that have used up that number, until what is to grow old."""
    full = {
        one: limit - kept_for_urgent(limit) - under_way.get(one, 0)
        for one, limit in most.items()
        if used[one] >= limit - kept_for_urgent(limit)
    }
    if not full:
        return
    # Counted from the newest back, the mail that fills the limit is the one that must grow old.
    running = (
        select(
            Delivery.sender_id,
            Delivery.finished_at,
            func.sum(_WEIGHT)
            .over(partition_by=Delivery.sender_id, order_by=Delivery.finished_at.desc())
            .label("newer"),
        )
        .where(among(session, Delivery.sender_id, full), Delivery.finished_at > since)
        .subquery()
    )
    enough = or_(
        *(
            and_(running.c.sender_id == one, running.c.newer >= left)
            for one, left in full.items()
            if left > 0
        ),
        false(),
    )
    newest = session.execute(
        select(running.c.sender_id, func.max(running.c.finished_at))
        .where(enough)
        .group_by(running.c.sender_id)
    )
    opens: dict[int, datetime] = {int(sender_id): at for sender_id, at in newest}
    for one in full:
        yield one, _Limit(opens.get(one), urgent=used[one] < most[one])


def _under_way(session: Session, ids: Sequence[int]) -> dict[int, int]:
    """How many mails of each sender are with a server; found by the leases that are held."""
    rows = session.execute(
        select(Lane.sender_id, func.count())
        .join(Delivery, Delivery.lease == Lane.lease)
        .where(
            _these(session, Lane.sender_id, ids),
            Delivery.lease.is_not(None),
            Delivery.state == "sending",
        )
        .group_by(Lane.sender_id)
    )
    return {int(sender_id): int(count) for sender_id, count in rows}
