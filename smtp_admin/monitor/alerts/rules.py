"""What is wrong right now: each rule looks at one kind of thing, for all senders at once.

However many senders there are, it is the handful of queries that their states take, and a few more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, database_now
from smtp_admin.delivery.doorbell import workers_now
from smtp_admin.delivery.listeners import at_work
from smtp_admin.delivery.models import Counter, Lane
from smtp_admin.events.bounces.trouble import troubles
from smtp_admin.events.models import Webhook
from smtp_admin.events.queries import over_limits, silences
from smtp_admin.expiry.watch import advice_on, headline, watch
from smtp_admin.installation import installation
from smtp_admin.monitor.alerts.kinds import OF_STATE, Finding
from smtp_admin.monitor.stored_secrets import needed_keys
from smtp_admin.sender_state.facts import states_of
from smtp_admin.sender_state.state import State
from smtp_admin.senders.owner_names import partner_name
from smtp_admin.senders.queries import all_senders
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender
from smtp_admin.translation import clock_time, gettext, joined, number

_DAY = timedelta(hours=24)
#: What comes too fast comes again a little later: only where that goes on, somebody is told.
_FAST_FOR = timedelta(minutes=5)


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
        *_expiring(session, senders),
        *_silent(session, senders),
        *_unread(session, senders),
        *_over_limit(session, senders, moment),
        *(no_worker(session) if for_workers else ()),
    ]
    unknown = frozenset(one.sender_id for one, state in states if state.key == "no_worker")
    return Look(tuple(found), unknown)


def senders_that_send(
    session: Session, partner_ids: frozenset[str] | None = None
) -> list[ResolvedSender]:
    """Every sender that has settings, and the system's default in any case, by id; one query.

    Mail of partners without settings is with the system's.

    Args:
        partner_ids: only theirs; ``None`` for everybody's.
    """
    found = all_senders(session, partner_ids)
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


def _unread(session: Session, senders: Sequence[ResolvedSender]) -> Iterator[Finding]:
    """Senders whose bounces are not seen, because their mailbox cannot be read."""
    found = troubles(session)
    for sender in senders:
        trouble = found.get(sender.sender_id)
        if trouble is not None:
            yield Finding(
                kind="bounces_unread",
                partner_id=sender.partner_id,
                whose=whose(sender),
                severity="warning",
                headline=gettext(
                    "The mailbox for bounces at %(host)s is not read", host=trouble.host
                ),
                detail=joined((trouble.cause, trouble.remedy)),
                sender_id=sender.sender_id,
                sender_key=sender.key,
            )


def _over_limit(
    session: Session, senders: Sequence[ResolvedSender], moment: datetime
) -> Iterator[Finding]:
    """Owners whose webhooks refuse events, for they got all that they may.

    All of a partner share their limits, and so are one incident; each of the system's has its own.
    """
    found = over_limits(session)
    over = [(one, found[one.sender_id]) for one in senders if one.sender_id in found]
    told: set[str] = set()
    for sender, webhook in sorted(over, key=lambda one: one[1].limited_by != "day"):
        own = sender.partner_id == SYSTEM
        if sender.partner_id in told:
            continue
        if not own:
            told.add(sender.partner_id)
        for_day = webhook.limited_by == "day"
        yield Finding(
            kind="events_over_limit",
            partner_id=sender.partner_id,
            whose=whose(sender) if own else owner_words(sender.partner_id),
            severity="warning",
            headline=gettext("More events arrive at webhooks than are accepted"),
            detail=_of_a_day(webhook, moment) if for_day else _too_fast(),
            sender_id=sender.sender_id if own else 0,
            sender_key=sender.key,
            lasts=timedelta() if for_day else _FAST_FOR,
        )


def _of_a_day(webhook: Webhook, moment: datetime) -> str:
    return gettext(
        "%(number)s events came in a day, and no more are accepted until %(at)s. Choose fewer "
        "kinds of events at the provider, such as no opens and clicks, or ask the platform's "
        "operator to raise SMTP_ADMIN_EVENT_DAY_LIMIT.",
        number=number(installation().config.event_day_limit),
        at=clock_time(webhook.limited_until or moment, moment),
    )


def _too_fast() -> str:
    return gettext(
        "They come faster than SMTP_ADMIN_EVENT_LIMIT allows, so providers send the rest again "
        "later, and what became of mail is shown late. Choose fewer kinds of events at the "
        "provider, such as no opens and clicks, or ask the platform's operator to raise the limit."
    )


def no_worker(session: Session) -> Iterator[Finding]:
    """Whether it is certain that nobody sends, for anybody.

    A worker cannot find that out. Web processes and commands ask this when they are asked.
    """
    if workers_now() != 0:
        return
    sending = select(Lane.id).where(at_work(database_now(session)))
    if session.scalar(sending.limit(1)) is None:
        yield Finding(
            kind="no_worker",
            partner_id=SYSTEM,
            whose=gettext("the system"),
            severity="critical",
            headline=gettext("No worker runs"),
            detail=gettext("Mail waits until a worker runs. Start one: flask smtp-admin worker"),
        )


def _expiring(session: Session, senders: Sequence[ResolvedSender]) -> Iterator[Finding]:
    """What has ended or ends soon, of everything that :mod:`smtp_admin.expiry` watches."""
    for one in watch(session, senders, needed_keys=needed_keys, for_alerts=True):
        sender = one.sender
        yield Finding(
            kind="expiring",
            partner_id=one.partner_id,
            whose=whose(sender) if sender else owner_words(one.partner_id),
            severity="critical" if one.condition == "over" else "warning",
            headline=headline(one),
            detail=advice_on(one),
            sender_id=sender.sender_id if sender else 0,
            sender_key=sender.key if sender else "",
            subject=f"{one.kind}:{one.subject}" if one.subject else one.kind,
        )
