"""What is wrong right now: each rule looks at one kind of thing, for all senders at once.

However many senders there are, it is the handful of queries that their states take, and four more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, database_now
from smtp_admin.delivery.doorbell import doorbell
from smtp_admin.delivery.models import Counter, Lane
from smtp_admin.events.queries import silences
from smtp_admin.installation import installation
from smtp_admin.monitor.alerts.kinds import OF_STATE, Finding
from smtp_admin.sender_state.facts import states_of
from smtp_admin.sender_state.state import State
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.owner_names import partner_name
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, resolve_with
from smtp_admin.translation import gettext, number

#: So long before it expires, somebody must know.
EXPIRES_SOON = timedelta(days=14)
_DAY = timedelta(hours=24)
#: Fields of a sender that hold certificates, and what each is called.
_CERTIFICATES = {
    "client_certificate": gettext("client certificate"),
    "ca_certificate": gettext("certificate of its own authority"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found.

    Attributes:
        unknown: ids of senders of which nobody can say how they are, because nobody sends: their
            incidents neither go on nor end.
    """

    findings: tuple[Finding, ...]
    unknown: frozenset[int] = frozenset()


def look(session: Session, *, for_workers: bool = True) -> Look:
    """Everything that is wrong now; needs an app context.

    Args:
        for_workers: also whether one runs, which a worker itself need not ask.
    """
    senders = senders_that_send(session)
    states = list(zip(senders, states_of(session, senders), strict=True))
    moment = database_now(session)
    found = [
        *_of_states(states),
        *_dead_letters(session, moment),
        *_expiring(senders, moment),
        *_silent(session, senders),
        *(no_worker(session) if for_workers else ()),
    ]
    unknown = frozenset(one.sender_id for one, state in states if state.key == "no_worker")
    return Look(tuple(found), unknown)


def senders_that_send(session: Session) -> list[ResolvedSender]:
    """Every sender that has settings, and the system's default in any case, by id; one query.

    Mail of partners without settings is with the system's.
    """
    rows = session.execute(
        select(Sender, SenderRevision)
        .outerjoin(
            SenderRevision,
            (SenderRevision.sender_id == Sender.id)
            & (SenderRevision.number == Sender.current_revision),
        )
        .where(Sender.deleted_at.is_(None))
        .order_by(Sender.id)
    )
    found = [resolve_with(row, saved, row.partner_id, row.key) for row, saved in rows]
    return [one for one in found if one.configured or _is_systems(one)]


def _is_systems(sender: ResolvedSender) -> bool:
    return sender.partner_id == SYSTEM and sender.key == DEFAULT_KEY


def owner_words(partner_id: str) -> str:
    """An owner of senders, in words."""
    if partner_id == SYSTEM:
        return gettext("the system")
    name = partner_name(partner_id) or partner_id
    return gettext("partner %(name)s", name=name)


def whose(sender: ResolvedSender) -> str:
    """Whose sender it is, in words."""
    owner = owner_words(sender.partner_id)
    return (
        gettext("%(owner)s, sender %(name)s", owner=owner, name=sender.name)
        if sender.key
        else owner
    )


def _of_states(states: Sequence[tuple[ResolvedSender, State]]) -> Iterator[Finding]:
    for sender, state in states:
        kind = OF_STATE[state.key]
        if kind is None or (state.key == "unconfigured" and not state.waiting):
            continue
        yield Finding(
            kind=kind[0],
            partner_id=sender.partner_id,
            whose=whose(sender),
            severity="critical" if state.tone == "bad" else "warning",
            headline=state.headline,
            detail=state.detail,
            sender_id=sender.sender_id,
            sender_key=sender.key,
            lasts=kind[1],
        )


def _dead_letters(session: Session, moment: datetime) -> Iterator[Finding]:
    """Partners whose dead letters of 24 hours are too many, by the counters."""
    most = installation().config.alert_dead_letters
    count = func.sum(Counter.dead)
    rows = session.execute(
        select(Counter.partner_id, count)
        .where(Counter.minute > moment - _DAY, Counter.dead > 0)
        .group_by(Counter.partner_id)
        .having(count >= most)
        .order_by(Counter.partner_id)
    )
    for partner_id, dead in rows:
        yield Finding(
            kind="dead_letters",
            partner_id=partner_id,
            whose=owner_words(partner_id),
            severity="warning",
            headline=gettext("%(dead)s dead letters in 24 hours", dead=number(int(dead))),
            detail=gettext(
                "These mails were not delivered and are not retried automatically. "
                "Fix the cause, then send them again."
            ),
        )


def _silent(session: Session, senders: Sequence[ResolvedSender]) -> Iterator[Finding]:
    """Senders whose mail goes out, and whose webhook says nothing of it."""
    found = silences(session)
    for sender in senders:
        silence = found.get(sender.sender_id)
        if silence is not None:
            yield Finding(
                kind="events_silent",
                partner_id=sender.partner_id,
                whose=whose(sender),
                severity="warning",
                headline=gettext("Mail is sent, but its webhook gets no events"),
                detail=gettext(
                    "%(number)s mails were accepted in 24 hours. Check the address and the events "
                    "at the provider, and send a sample on the webhook's page.",
                    number=number(silence.sent),
                ),
                sender_id=sender.sender_id,
                sender_key=sender.key,
            )


def no_worker(session: Session) -> Iterator[Finding]:
    """Whether it is certain that nobody sends, for anybody.

    A worker cannot find that out. Web processes and commands ask this when they are asked.
    """
    if doorbell().workers() != 0:
        return
    at_work = select(Lane.id).where(
        Lane.lease.is_not(None), Lane.lease_until > database_now(session)
    )
    if session.scalar(at_work.limit(1)) is None:
        yield Finding(
            kind="no_worker",
            partner_id=SYSTEM,
            whose=gettext("the system"),
            severity="critical",
            headline=gettext("No worker runs"),
            detail=gettext("Mail waits until a worker runs. Start one: flask smtp-admin worker"),
        )


def _expiring(senders: Sequence[ResolvedSender], moment: datetime) -> Iterator[Finding]:
    """What a sender shows or trusts and that ends soon, of each of :data:`SOURCES`."""
    for sender in senders:
        for source in SOURCES:
            for subject, what, ends in source(sender):
                if ends - moment > EXPIRES_SOON:
                    continue
                over = ends <= moment
                yield Finding(
                    kind="expiring",
                    partner_id=sender.partner_id,
                    whose=whose(sender),
                    severity="critical" if over else "warning",
                    headline=_when(what, ends, over=over),
                    detail=gettext("Enter the new one on the sender's tab."),
                    sender_id=sender.sender_id,
                    sender_key=sender.key,
                    subject=subject,
                )


def _when(what: str, ends: datetime, *, over: bool) -> str:
    day = f"{ends:%Y-%m-%d}"
    if over:
        return gettext("The %(what)s expired on %(day)s", what=what, day=day)
    return gettext("The %(what)s expires on %(day)s", what=what, day=day)


def _certificates(sender: ResolvedSender) -> Iterator[tuple[str, str, datetime]]:
    for name, what in _CERTIFICATES.items():
        pem = sender.values.get(name, "")
        ends = _ends(pem) if pem else None
        if ends is not None:
            yield name, what, ends


#: What may expire: each yields the subject, what it is called, and when it ends. A way to log in
#: whose secrets have an end adds its own here.
SOURCES: list[Callable[[ResolvedSender], Iterator[tuple[str, str, datetime]]]] = [_certificates]


@lru_cache(maxsize=4096)
def _ends(pem: str) -> datetime | None:
    """When the first certificate of *pem* ends; read once, as every minute asks again."""
    try:
        return x509.load_pem_x509_certificate(pem.encode("ascii")).not_valid_after_utc
    except ValueError:
        return None
