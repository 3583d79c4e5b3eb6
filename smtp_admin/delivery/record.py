"""Write down what became of claimed deliveries, many in one transaction.

Every write is guarded by state and lease: a worker that was thought dead, and wakes up late,
changes nothing.
"""

from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from smtp_admin.config import Config
from smtp_admin.database import changed, database_now, is_one_of, transaction
from smtp_admin.delivery import states
from smtp_admin.delivery.breaker import judge_sender
from smtp_admin.delivery.claim import Claimed
from smtp_admin.delivery.copies import counted_for
from smtp_admin.delivery.lanes import HeldLane
from smtp_admin.delivery.models import Attempt, Counter, Delivery
from smtp_admin.delivery.refused_addresses import suppress_refused
from smtp_admin.delivery.retry import Decision, decide
from smtp_admin.delivery.sensitive import erase_sensitive
from smtp_admin.delivery.suppressed_mail import suppress_again
from smtp_admin.transports.outcome import Outcome, Verdict


@dataclass(slots=True)
class Result:
    """A claimed delivery and what came of it; nobody changes one."""

    delivery: Claimed
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was really written: result and decision of each, without those that were not ours."""

    entries: list[tuple[Result, Decision]]
    paused: bool


def record(
    database: Engine | Connection,
    lane: HeldLane,
    results: Sequence[Result],
    *,
    config: Config,
    revision: int,
    worker: str,
    moment: datetime | None = None,
) -> Recorded:
    """Write *results* down in one transaction.

    Args:
        revision: of the settings that they were sent with.
        moment: the database's time, if it is known already.
    """
    with transaction(database) as session:
        if session.connection().dialect.name == "postgresql":
            # The journal covers the time until the disk has it: the next claim waits for that.
            session.connection().exec_driver_sql("SET LOCAL synchronous_commit TO off")
        moment = moment or database_now(session)
        decided = [(result, _decide(result, config)) for result in results]
        sent = [pair for pair in decided if pair[1].state == "sent"]
        others = [pair for pair in decided if pair[1].state != "sent"]
        kept = _write_sent(session, lane, sent, moment)
        kept += [pair for pair in others if _write_one(session, lane, *pair, moment)]
        _write_attempts(session, lane.sender_id, kept, revision, worker, moment)
        _count(session, lane.sender_id, kept, moment)
        erase_sensitive(
            session,
            [
                result.delivery.message_pk
                for result, decision in kept
                if decision.state == "sent" and result.delivery.sensitive
            ],
        )
        # Whom it is for may have been suppressed while a server had it.
        again = [one.delivery.id for one, decision in kept if decision.state == "queued"]
        if again:
            suppress_again(session, again, moment)
        works = any(decision.state == "sent" for _, decision in kept)
        sandbox = config.sandbox
        if sandbox is None or not sandbox.redirect:  # else it was another address
            told = _told_of_addresses(results, kept)
            suppress_refused(session, lane.sender_id, told, moment)
        paused = judge_sender(
            session,
            lane,
            revision,
            moment,
            works=works,
            refused=_refused_at_the_end(results, kept),
            last=kept[-1][0].outcome if kept else None,
        )
    return Recorded(kept, paused)


def give_back(database: Engine | Connection, lane: HeldLane, ids: Iterable[int]) -> None:
    """Return untouched deliveries to the queue, as if they had never been claimed."""
    ids = list(ids)
    if not ids:
        return
    with transaction(database) as session:
        changed(
            session,
            update(Delivery)
            .where(Delivery.id.in_(ids), Delivery.state == "sending", Delivery.lease == lane.lease)
            .values(state=states.check("sending", "queued"), lease=None),
        )


def _told_of_addresses(
    results: Sequence[Result], kept: Sequence[tuple[Result, Decision]]
) -> list[tuple[int, bool]]:
    """Deliveries of which a server said that their address is right, or (off) that there is none.

    In the order of sending; empty while there is no wrong one.
    """
    wrong = {one.delivery.id for one, decision in kept if _is_wrong_address(one, decision)}
    if not wrong:
        return []
    right = {one.delivery.id for one, decision in kept if decision.state == "sent"}
    ids = dict.fromkeys(one.delivery.id for one in results)
    return [(one, one in right) for one in ids if one in right or one in wrong]


def _is_wrong_address(result: Result, decision: Decision) -> bool:
    """Whether a server said so: what cannot be an address at all was never with one."""
    outcome = result.outcome
    return decision.state == "dead" and outcome.bad_address and outcome.reply is not None


def _decide(result: Result, config: Config) -> Decision:
    one = result.delivery
    return decide(
        result.outcome,
        attempts=one.attempts,
        releases=one.releases,
        uncertains=one.uncertains,
        on_uncertain=one.on_uncertain,
        config=config,
    )


def _write_sent(
    session: Session, lane: HeldLane, sent: list[tuple[Result, Decision]], moment: datetime
) -> list[tuple[Result, Decision]]:
    if not sent:
        return []
    values = {
        "ids": [result.delivery.id for result, _ in sent],
        "our_lease": lane.lease,
        "moment": moment,
        "reply": str(sent[-1][0].outcome.reply or "")[:300],
    }
    database = session.connection()  # no objects of the session's are concerned
    dialect = database.dialect.name
    ours = {"ids": values["ids"], "our_lease": lane.lease}
    name_sent(database, {r.delivery.id: r.outcome.provider_id for r, _ in sent}, lane.lease)
    if dialect == "postgresql":
        found = set(database.scalars(_as_sent_telling(dialect), values))
    elif dialect == "sqlite" and database.scalar(_count_of_ours(dialect), ours) == len(sent):
        # Each row of a result costs time, while others wait for the lock; mostly all are ours.
        database.execute(_as_sent(dialect), values)
        return sent
    else:
        found = set(database.scalars(_ours(dialect), ours))
        database.execute(_as_sent(dialect), values)
    return sent if len(found) == len(sent) else [p for p in sent if p[0].delivery.id in found]


def name_sent(database: Connection, names: Mapping[int, str], lease: str) -> None:
    """Write down what the provider calls deliveries that are still held under *lease*."""
    told = [{"which": one, "name": name} for one, name in names.items() if name]
    if told:
        database.execute(
            update(Delivery)
            .where(
                Delivery.id == bindparam("which"),
                Delivery.state == "sending",
                Delivery.lease == lease,
            )
            .values(provider_message_id=bindparam("name")),
            told,
        )


def _guard(dialect: str) -> tuple[ColumnElement[bool], ...]:
    return (
        is_one_of(Delivery.id, "ids", dialect),
        Delivery.state == "sending",
        Delivery.lease == bindparam("our_lease"),
    )


@lru_cache
def _ours(dialect: str) -> Any:
    return select(Delivery.id).where(*_guard(dialect)).with_for_update()


@lru_cache
def _count_of_ours(dialect: str) -> Any:
    return select(func.count()).where(*_guard(dialect))


@lru_cache
def _as_sent(dialect: str) -> Any:
    return (
        update(Delivery)
        .where(*_guard(dialect))
        .values(
            state=states.check("sending", "sent"),
            lease=None,
            finished_at=bindparam("moment"),
            last_code="",
            last_cause="",
            last_error="",
            last_reply=bindparam("reply"),
        )
    )


@lru_cache
def _as_sent_telling(dialect: str) -> Any:
    return _as_sent(dialect).returning(Delivery.id)


def _write_one(
    session: Session, lane: HeldLane, result: Result, decision: Decision, moment: datetime
) -> bool:
    outcome = result.outcome
    final = decision.state in {"dead", "uncertain"}
    count = changed(
        session,
        update(Delivery)
        .where(
            Delivery.id == result.delivery.id,
            Delivery.state == "sending",
            Delivery.lease == lane.lease,
        )
        .values(
            state=states.check("sending", decision.state),
            lease=None,
            attempts=decision.attempts,
            releases=decision.releases,
            uncertains=decision.uncertains,
            next_attempt_at=moment + decision.delay,
            **({"finished_at": moment} if final else {}),
            last_code=outcome.code,
            last_cause=outcome.cause[:60],
            last_error=outcome.reason[:500],
            last_reply=str(outcome.reply or "")[:300],
        ),
    )
    return count == 1


def _write_attempts(
    session: Session,
    sender_id: int,
    kept: list[tuple[Result, Decision]],
    revision: int,
    worker: str,
    moment: datetime,
) -> None:
    rows = [
        {
            "delivery_id": result.delivery.id,
            "sender_id": sender_id,
            "at": moment,
            "verdict": result.outcome.verdict.value,
            "code": result.outcome.code,
            "cause": result.outcome.cause[:60],
            "error": result.outcome.reason[:500],
            "reply": str(result.outcome.reply or "")[:300],
            "revision": revision,
            "worker": worker[:100],
        }
        for result, decision in kept
        if decision.state != "sent" or result.delivery.attempts or result.delivery.uncertains
    ]
    if rows:
        session.execute(insert(Attempt), rows)


def _count(
    session: Session,
    sender_id: int,
    kept: list[tuple[Result, Decision]],
    moment: datetime,
) -> None:
    minute = moment.replace(second=0, microsecond=0)
    copies = [result.delivery for result, _ in kept if result.delivery.archive]
    owners = counted_for(session, copies)
    tallies: dict[str, Tally[str]] = {}
    for result, decision in kept:
        mail = result.delivery
        one = tallies.setdefault(owners.get(mail.id, mail.partner_id), Tally())
        if decision.state == "sent":
            one["sent"] += 1
            one["milliseconds"] += int((moment - result.delivery.created_at) / _MILLISECOND)
        elif result.outcome.verdict is not Verdict.RELEASED:
            one["failed"] += 1
        if decision.state == "dead":
            one["dead"] += 1
    # In one order everywhere: two connections must not each wait for the other's row.
    for partner_id, tally in sorted(tallies.items()):
        if tally:
            add_to_counter(session, sender_id, partner_id, minute, tally)


def count_as_sent(session: Session, rows: Sequence[Any], moment: datetime) -> None:
    """Count deliveries as accepted that turned out to be, in the minute that they are listed by.

    Args:
        rows: each with ``id``, ``sender_id``, ``partner_id``, ``created_at`` and ``finished_at``.
    """
    owners = counted_for(session, rows)
    tallies: dict[tuple[int, str, datetime], Tally[str]] = {}
    for row in rows:
        at = row.finished_at or moment
        minute = at.replace(second=0, microsecond=0)
        one = tallies.setdefault((row.sender_id, owners[row.id], minute), Tally())
        one.update(sent=1, milliseconds=int((at - row.created_at) / _MILLISECOND))
    for (sender_id, partner_id, minute), tally in sorted(tallies.items()):
        add_to_counter(session, sender_id, partner_id, minute, tally)


def add_to_counter(
    session: Session,
    sender_id: int,
    partner_id: str,
    minute: datetime,
    tally: Tally[str],
    span: int = 1,
) -> None:
    """Add to the row of this minute (or of *span* minutes), which may not exist yet."""
    database = session.connection()
    database.execute(
        _add_to_counter(database.dialect.name),
        {
            "sender_id": sender_id,
            "partner_id": partner_id,
            "span": span,
            "minute": minute,
            "sent": tally["sent"],
            "failed": tally["failed"],
            "dead": tally["dead"],
            "bounced": tally["bounced"],
            "complained": tally["complained"],
            "seconds": tally["milliseconds"] / 1000,
        },
    )


@lru_cache
def _add_to_counter(dialect: str) -> Any:
    table: Any = Counter.__table__
    added = ("sent", "failed", "dead", "bounced", "complained", "seconds")
    if dialect in {"mysql", "mariadb"}:
        row = mysql.insert(table)
        return row.on_duplicate_key_update(
            {name: table.c[name] + row.inserted[name] for name in added}
        )
    new: Any = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return new.on_conflict_do_update(
        index_elements=["sender_id", "partner_id", "span", "minute"],
        set_={name: table.c[name] + new.excluded[name] for name in added},
    )


def _refused_at_the_end(results: Sequence[Result], kept: Sequence[tuple[Result, Decision]]) -> int:
    """How many were refused because of the sender after all others; written twice counts once."""
    last = list(takewhile(lambda one: one.outcome.code == "sender_refused", reversed(results)))
    if not last:
        return 0
    written = {result.delivery.id for result, _ in kept}
    return sum(one.delivery.id in written for one in last)


_MILLISECOND = timedelta(milliseconds=1)
