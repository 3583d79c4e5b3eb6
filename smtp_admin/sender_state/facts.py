"""What the states of senders follow from, found for many senders at once.

However many senders there are, it is a handful of queries: one for each kind of fact, and never
one for each sender. Each state is decided when it is asked for, and nothing is kept of it: whoever
sorts a thousand needs the words of fifty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import case, func, literal, or_, select, type_coerce
from sqlalchemy.orm import Session

from smtp_admin.clock import a_second_after
from smtp_admin.database import SYSTEM, UTCDateTime, database_now
from smtp_admin.delivery.doorbell import workers_now
from smtp_admin.delivery.gate import REDIRECTED
from smtp_admin.delivery.listeners import at_work
from smtp_admin.delivery.models import Attempt, Lane
from smtp_admin.providers.catalogue import replies
from smtp_admin.read_back import read_back
from smtp_admin.sender_state.basis import Facts
from smtp_admin.sender_state.queues import EMPTY, Queues, queues_of
from smtp_admin.sender_state.state import State, decide
from smtp_admin.sender_state.usage import Usage, usage_of
from smtp_admin.sender_state.which import these
from smtp_admin.senders.models import RevisionTest, Sender, SenderRevision
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, password_trouble
from smtp_admin.senders.routing import choose_sender
from smtp_admin.transports.outcome import Verdict

_NO_FAILURES = (Verdict.ACCEPTED.value, REDIRECTED)
_REFUSED = (Verdict.PERMANENT.value, Verdict.TEMPORARY.value)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: How many mails failed, whether the server refused them all, and the error and reply of the last.
_Failures = tuple[int, bool, str, str]
_NO_FAILURE: _Failures = (0, False, "", "")
#: Whether the last test worked, and why not.
_Test = tuple[bool | None, str]
_NO_TEST: _Test = (None, "")
_NO_TROUBLE = ("", "")


def state_of(session: Session, sender: ResolvedSender) -> State:
    """The state of one sender."""
    return states_of(session, [sender])[0]


def states_of(session: Session, senders: Sequence[ResolvedSender]) -> list[State]:
    """The states of *senders*, in their order; needs an app context."""
    found = look_at(session, senders)
    return [found.state_of(one) for one in senders]


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found out about some senders.

    Attributes:
        systems: who sends for partners without settings, where one of them is among the senders.
    """

    moment: datetime
    workers: int | None
    at_work: frozenset[int]
    queues: Queues
    usage: Usage
    failures: dict[int, _Failures]
    tests: dict[int, _Test]
    systems: ResolvedSender | None

    def state_of(self, sender: ResolvedSender) -> State:
        """The state of one of them."""
        own = self._facts(sender)
        systems = self.systems
        if systems is None or not _needs_carrier(sender):
            return decide(sender, own)
        theirs = self._facts(systems, sender.partner_id)
        if systems.configured:
            return decide(sender, own, (systems, theirs))
        return decide(sender, own._replace(waiting=own.waiting + theirs.waiting))

    def _facts(self, sender: ResolvedSender, partner_id: str | None = None) -> Facts:
        """The facts of *sender*.

        Args:
            partner_id: whose mail alone is meant.
        """
        own = sender.sender_id
        hour: int | None = None
        day: int | None = None
        if partner_id is None:
            queue = self.queues.of_sender.get(own, EMPTY)
            hour, day = self.usage.hour.get(own), self.usage.day.get(own)
        else:  # how much a sender sent that others use too is nobody's business
            queue = self.queues.of_partner.get((own, partner_id), EMPTY)
        waiting, due, due_since, held, next_at = queue
        full = self.usage.full.get(own)
        failed, refused, error, reply = self.failures.get(own, _NO_FAILURE)
        return Facts(
            self.moment,
            password_trouble(sender) if sender.configured else _NO_TROUBLE,
            self.workers,
            own in self.at_work,
            waiting,
            due,
            due_since,
            held,
            next_at,
            full is not None,
            full.until if full else None,
            full is not None and full.urgent,
            hour,
            day,
            failed,
            refused,
            read_back(error) + f" ({reply})" if reply else error,
            *self.tests.get(own, _NO_TEST),
        )


def look_at(session: Session, senders: Sequence[ResolvedSender]) -> Looked:
    """Find out what the states of *senders* follow from; needs an app context."""
    asked = {one.sender_id: one for one in senders if one.sender_id}
    systems = None
    if any(map(_needs_carrier, senders)):
        # It may be asked about for each of a thousand partners: its secrets are opened once.
        systems = systems_sender(session).examined()
        if systems.sender_id:
            asked.setdefault(systems.sender_id, systems)
    moment = database_now(session)
    ids, known_senders = list(asked), list(asked.values())
    held = select(Lane.sender_id).where(these(session, Lane.sender_id, ids), at_work(moment))
    return Looked(
        moment=moment,
        workers=workers_now(),
        at_work=frozenset(session.scalars(held)) if ids else frozenset(),
        queues=queues_of(session, known_senders, moment),
        usage=usage_of(session, known_senders, moment),
        failures=_failures(session, ids) if ids else {},
        tests=_tests(session, ids) if ids else {},
        systems=systems,
    )


def systems_sender(session: Session) -> ResolvedSender:
    """Who sends for partners without a sender, whether or not it is set up."""
    return choose_sender(session, SYSTEM, "", "normal").sender


def _needs_carrier(sender: ResolvedSender) -> bool:
    """Whether mail of its owner goes by the system's sender, if there is one."""
    return not sender.configured and sender.partner_id != SYSTEM and sender.key == DEFAULT_KEY


def _failures(session: Session, ids: Sequence[int]) -> dict[int, _Failures]:
    """How many mails of each failed since one was accepted, and the words of the last one.

    By its present settings, that is. What is written down together with a success came before it,
    or with it, as far as one knows. Of a sender whose mail was accepted, a wrong address or a full
    mailbox says nothing: it works, and the trouble is the recipient's.
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
        .where(
            these(session, Sender.id, ids),
            Attempt.verdict.not_in(_NO_FAILURES),
            or_(
                last.is_(None),
                saved > last,
                Attempt.cause.not_in(sorted(replies().recipient_causes)),
            ),
        )
        .group_by(Attempt.sender_id)
        .subquery()
    )
    rows = session.connection().execute(
        select(counted.c.sender_id, counted.c.mails, counted.c.refused, Attempt.error,
               Attempt.reply)
        .join(Attempt, Attempt.id == counted.c.last)
    )  # fmt: skip
    return {
        sender_id: (mails, bool(refused), error, reply)
        for sender_id, mails, refused, error, reply in rows
    }


def _tests(session: Session, ids: Sequence[int]) -> dict[int, _Test]:
    """The last test of each whose present settings have sent nothing.

    Of two places the worker's counts, for it is what sends; ``worker`` comes last.
    """
    rows = session.execute(
        select(SenderRevision.sender_id, RevisionTest.ok, RevisionTest.message)
        .join(RevisionTest, RevisionTest.revision_id == SenderRevision.id)
        .join(
            Sender,
            (Sender.id == SenderRevision.sender_id)
            & (Sender.current_revision == SenderRevision.number),
        )
        .where(
            these(session, Sender.id, ids),
            or_(
                Sender.last_accepted_at.is_(None),
                Sender.last_accepted_at < SenderRevision.created_at,
            ),
        )
        .order_by(RevisionTest.place)
    )
    return {sender_id: (ok, message) for sender_id, ok, message in rows}
