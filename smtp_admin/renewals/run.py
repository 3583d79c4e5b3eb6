"""A run: every customer with something that expires, a decision, and a notice where it is due.

Nothing is held but one batch of customers. Each batch is decided by what the ledger says, its
mails are rendered outside any transaction, and entered in one together with their notices.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from flask import current_app
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from smtp_admin.database import database_now, reading, transaction
from smtp_admin.database_errors import begin_again
from smtp_admin.delivery import outbox
from smtp_admin.delivery.backlog import backlog
from smtp_admin.delivery.doorbell import listen
from smtp_admin.delivery.outgoing import OutgoingMail
from smtp_admin.errors import MessageError, QueueFull, TooLarge
from smtp_admin.installation import installation
from smtp_admin.mail.templates import Voice
from smtp_admin.renewals import ledger, notices, supply
from smtp_admin.renewals.days import surely_after
from smtp_admin.renewals.records import Customer, batches, customers, together, usable
from smtp_admin.renewals.report import Report
from smtp_admin.renewals.schedule import Decision, Facts, Reason, decide
from smtp_admin.renewals.values import RenewalValues, zone_called
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext

log = logging.getLogger(__name__)

#: Customers that are looked at together, and notices that are entered in one transaction.
BATCH = 500
_MOST_ENTERED = 100
_UNKNOWN = ledger.Known(Facts(), 0, "")
#: Of the partner's queue; the rest is for mail that somebody waits for.
_SHARE_OF_QUEUE = 0.5


@dataclass(slots=True)
class Run:
    """One run over one partner's services.

    Attributes:
        only_look: decide and count, and write nothing.
        tell: called after each batch with the report so far.
        stopped: asked between batches whether to end early.
    """

    engine: Engine
    partner_id: str
    values: RenewalValues
    only_look: bool = False
    tell: Callable[[Report], object] | None = None
    stopped: Callable[[], bool] = bool
    report: Report = field(default_factory=Report)

    def go(self) -> Report:
        """Do it; what the host or a template does wrong is in the report, not raised."""
        if zone_called(self.values.time_zone) is None:
            self.report.settings_zone = self.values.time_zone
        with reading(self.engine) as session:
            until = surely_after(database_now(session), self.values.lead_days)
        # A context of its own: what the host's session went through must not reach the next run.
        with current_app.app_context():
            try:
                supply.partner_name(self.partner_id)  # kept for every mail; none goes out unsigned
                for batch in batches(customers(self._services(until)), BATCH):
                    if self.stopped():
                        self.report.ended = gettext("It was stopped. The next run continues.")
                        break
                    if not self._work(self._once_each(batch)):
                        break
                    if self.tell is not None:
                        self.tell(self.report)
            except supply.HostFailedError as error:
                self.report.failed += 1
                self.report.ended = gettext(
                    "%(message)s %(hint)s The customers after that were not checked.",
                    message=error.message,
                    hint=error.hint,
                )
        return self.report

    def _services(self, until: datetime) -> Iterator[Any]:
        records = supply.expiring(until, self.partner_id)
        for one in usable(records, self.partner_id, self.report.note_broken):
            self.report.services += 1
            yield one

    def _once_each(self, batch: list[Customer]) -> list[Customer]:
        found = together(batch)
        if len(found) < len(batch):
            self.report.note_unordered()
        return found

    def _work(self, batch: Sequence[Customer]) -> bool:
        """Decide a batch and enter what is due; whether to go on with the next."""
        with reading(self.engine) as session:
            now = database_now(session)
            places = ledger.known(session, self.partner_id, [one.id for one in batch])
            sender = notices.sender_of(session, self.partner_id, on_demand=False)
            works = notices.can_send(session, sender, now, on_demand=False)
            room = self._room(session)
            voice = replace(notices.voice_for(session, self.partner_id), session=None)
        due: list[tuple[Customer, Decision]] = []
        full = False
        for one in batch:
            place = places.get(one.id, _UNKNOWN)
            decision = decide(self.values, one, place.facts, now, sender_works=works)
            if decision.reason is None and len(due) >= room:
                decision, full = Decision(decision.services, Reason.QUEUE_FULL), True
            if decision.reason is None:
                due.append((one, decision))
            self.report.note(one.id, decision.reason)
            if one.unknown_zone:
                self.report.note_zone(one.id, one.unknown_zone, self.values.zone.key)
        for begin in range(0, 0 if self.only_look else len(due), _MOST_ENTERED):
            some = due[begin : begin + _MOST_ENTERED]
            full = self._write(some, places, sender, voice, now) or full
        if full:
            self.report.ended = gettext("The mail queue is full. The next run continues.")
        return not full

    def _room(self, session: Session) -> int:
        limit = int(installation().config.queue_limit * _SHARE_OF_QUEUE)
        return max(0, limit - backlog(session, self.partner_id))

    def _write(
        self,
        due: Sequence[tuple[Customer, Decision]],
        places: dict[str, ledger.Known],
        sender: ResolvedSender,
        voice: Voice,
        now: datetime,
    ) -> bool:
        """Enter the notices; whether the queue is full."""
        strangers = [one.id for one, _ in due if one.id not in places]
        if strangers:
            with transaction(self.engine) as session:
                ledger.introduce(session, self.partner_id, strangers)
                tokens = ledger.known(session, self.partner_id, strangers)
            # The version is the one that was decided with: none.
            places |= {name: ledger.Known(Facts(), 0, tokens[name].token) for name in strangers}
        ready = []
        for one, decision in due:
            try:
                ready.append(self._prepare(one, decision, places[one.id], sender, voice, now))
            except (MessageError, TooLarge) as error:
                self.report.note_failed(one.id, error.message)
            except Exception as error:  # one customer's odd values must not cost the others theirs
                log.exception("the notice to customer %r of %r failed", one.id, self.partner_id)
                self.report.note_failed(
                    one.id, gettext("%(name)s; the log has the details", name=type(error).__name__)
                )
        outcome = begin_again(partial(_enter, self.engine, self.partner_id, ready))
        for customer_id, reason in outcome.items():
            self.report.change(customer_id, reason)
        return Reason.QUEUE_FULL in outcome.values()

    def _prepare(
        self,
        customer: Customer,
        decision: Decision,
        place: ledger.Known,
        sender: ResolvedSender,
        voice: Voice,
        now: datetime,
    ) -> "Ready":
        message = notices.compose(customer, decision.services, self.values, place.token, voice)
        mail = notices.outgoing(
            message, sender, self.partner_id, decision.services, now, on_demand=False
        )
        return Ready(customer.id, place.version, decision, mail)


@dataclass(frozen=True, slots=True)
class Ready:
    """A notice with its mail, ready to be entered by whoever still has the version."""

    customer_id: str
    version: int
    decision: Decision
    mail: OutgoingMail


def write(session: Session, partner_id: str, ready: Ready, *, on_demand: bool) -> dict[str, Any]:
    """Move the customer and queue the mail; the row to enter, or nothing if another was faster.

    Raises:
        QueueFull: there is no room; the customer stays without a notice.
    """
    key = ledger.move(session, partner_id, ready.customer_id, ready.version)
    if not key:
        return {}
    return _row(key, partner_id, ready, outbox.add(session, ready.mail), on_demand=on_demand)


def _row(
    key: str, partner_id: str, ready: Ready, mail_id: str, *, on_demand: bool
) -> dict[str, Any]:
    return ledger.notice_row(
        key,
        partner_id,
        ready.customer_id,
        mail_id=mail_id,
        recipient=ready.mail.recipients[0],
        services=ready.decision.services,
        on_demand=on_demand,
    )


def _enter(engine: Engine, partner_id: str, ready: Sequence[Ready]) -> dict[str, Reason]:
    """Enter them in one transaction; the customers that got nothing after all, and why."""
    if not ready:
        return {}
    try:
        return _enter_together(engine, partner_id, ready)
    except QueueFull:
        return _enter_singly(engine, partner_id, ready)


def _enter_together(engine: Engine, partner_id: str, ready: Sequence[Ready]) -> dict[str, Reason]:
    with transaction(engine) as session:
        listen(session)
        versions = {one.customer_id: one.version for one in ready}
        keys = ledger.move_all(session, partner_id, versions)
        moved = [one for one in ready if one.customer_id in keys]
        mail_ids = outbox.add_all(session, [one.mail for one in moved])
        rows = [
            _row(keys[one.customer_id], partner_id, one, mail_id, on_demand=False)
            for one, mail_id in zip(moved, mail_ids, strict=True)
        ]
        ledger.enter(session, rows)
    return {one.customer_id: Reason.RACED for one in ready if one.customer_id not in keys}


def _enter_singly(engine: Engine, partner_id: str, ready: Sequence[Ready]) -> dict[str, Reason]:
    """As many as the queue has room for."""
    outcome: dict[str, Reason] = {}
    with transaction(engine) as session:
        listen(session)
        rows = []
        for position, one in enumerate(ready):
            try:
                row = write(session, partner_id, one, on_demand=False)
            except QueueFull:
                outcome |= {late.customer_id: Reason.QUEUE_FULL for late in ready[position:]}
                break
            if row:
                rows.append(row)
            else:
                outcome[one.customer_id] = Reason.RACED
        ledger.enter(session, rows)
    return outcome
