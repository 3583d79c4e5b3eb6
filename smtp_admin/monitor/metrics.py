"""The numbers for Prometheus, read from SQL when they are asked for.

Nothing is kept in a process, so any number of web processes and workers tell the same. The number
of queries is always the same, and so that a series for each sender stays affordable, those beyond
the first thousand are told together.
"""

from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, database_now
from smtp_admin.delivery.doorbell import doorbell
from smtp_admin.delivery.limits import COUNTED, DAY, HOUR
from smtp_admin.delivery.models import IS_OPEN, Counter, Delivery
from smtp_admin.monitor.alerts.kinds import KINDS
from smtp_admin.monitor.alerts.models import Alert
from smtp_admin.monitor.alerts.rules import senders_that_send
from smtp_admin.sender_state.facts import states_of
from smtp_admin.sender_state.state import State
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import ResolvedSender

#: Series of one family; what is beyond has the label :data:`OTHERS`.
MOST_SERIES = 1000
#: No id of a partner has a slash.
OTHERS = "/others"
_STATES = ("queued", "sending", "uncertain", "dead")
_LABELS = ("partner", "sender")
_Labelled = tuple[str, str]


def metrics_text(session: Session) -> bytes:
    """Everything in Prometheus's text format; needs an app context."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(session))
    return generate_latest(registry)


class _Numbers(Collector):
    """Asks the database, once."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def describe(self) -> list[Metric]:
        """Nothing: the registry need not ask the database for names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        session = self._session
        moment = database_now(session)
        senders = senders_that_send(session)
        states = states_of(session, senders)
        yield from _mails(session)
        yield from _queue(session, moment)
        yield from _of_senders(senders, states)
        yield from _limits(session, senders, moment)
        yield from _workers()
        yield from _alerts(session)


def _mails(session: Session) -> Iterator[Metric]:
    rows = session.execute(
        select(
            Counter.partner_id,
            Sender.partner_id,
            Sender.key,
            func.sum(Counter.sent),
            func.sum(Counter.failed),
            func.sum(Counter.dead),
            func.sum(Counter.bounced),
            func.sum(Counter.complained),
        )
        .join(Sender, Sender.id == Counter.sender_id, isouter=True)
        .group_by(Counter.partner_id, Counter.sender_id, Sender.partner_id, Sender.key)
        # The oldest stay the same from one time to the next.
        .order_by(Counter.sender_id, Counter.partner_id)
    )
    sums: dict[_Labelled, Tally[str]] = {}
    for partner_id, owner, key, *numbers in rows:
        labels = (partner_id, _sender(owner or SYSTEM, key or ""))
        if labels not in sums and len(sums) >= MOST_SERIES:
            labels = (OTHERS, OTHERS)
        sums.setdefault(labels, Tally()).update(dict(zip(_COUNTED, map(int, numbers), strict=True)))
    for name, words in _COUNTED.items():
        family = CounterMetricFamily(f"smtp_admin_mails_{name}", words, labels=_LABELS)
        for labels, tally in sums.items():
            family.add_metric(labels, tally[name])
        yield family


_COUNTED = {
    "sent": "Mails that a server accepted.",
    "failed": "Sends that failed, those that are tried again included.",
    "dead": "Mails that became dead letters.",
    "bounced": "Mails that came back after they were accepted.",
    "complained": "Mails that their recipients marked as spam.",
}


def _queue(session: Session, moment: datetime) -> Iterator[Metric]:
    rows = session.execute(
        select(Delivery.state, func.count(), func.min(Delivery.created_at))
        .where(IS_OPEN)
        .group_by(Delivery.state)
    )
    found = {str(state): (int(count), oldest) for state, count, oldest in rows}
    family = GaugeMetricFamily("smtp_admin_queue_mails", "Mails by state.", labels=("state",))
    for state in _STATES:
        family.add_metric((state,), found.get(state, (0, None))[0])
    yield family
    _, oldest = found.get("queued", (0, None))
    age = 0.0 if oldest is None else max(0.0, (moment - oldest).total_seconds())
    yield GaugeMetricFamily(
        "smtp_admin_oldest_pending_seconds",
        "Age of the oldest mail that waits, scheduled ones too.",
        value=age,
    )


def _of_senders(senders: Sequence[ResolvedSender], states: Sequence[State]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "smtp_admin_sender_state",
        "1 for the state that a sender is in.",
        labels=(*_LABELS, "state", "tone"),
    )
    waiting = GaugeMetricFamily(
        "smtp_admin_sender_waiting_mails", "Mails that wait for a sender.", labels=_LABELS
    )
    for sender, one in list(zip(senders, states, strict=True))[:MOST_SERIES]:
        labels = (sender.partner_id, _sender(sender.partner_id, sender.key))
        state.add_metric((*labels, one.key, one.tone), 1)
        waiting.add_metric(labels, one.waiting)
    yield state
    yield waiting


def _limits(
    session: Session, senders: Sequence[ResolvedSender], moment: datetime
) -> Iterator[Metric]:
    """What is used of each limit, by the same deliveries that the limit itself counts."""
    limited = [one for one in senders if one.values.max_per_hour or one.values.max_per_day][
        :MOST_SERIES
    ]
    weight = Delivery.uncertains + case((Delivery.state.in_(COUNTED), 1), else_=0)
    in_hour = case((Delivery.finished_at > moment - HOUR, weight), else_=0)
    rows = session.execute(
        select(Delivery.sender_id, func.sum(in_hour), func.sum(weight))
        .where(
            Delivery.sender_id.in_([one.sender_id for one in limited]),
            Delivery.finished_at > moment - DAY,
        )
        .group_by(Delivery.sender_id)
    )
    used = {int(one): (int(hour or 0), int(day or 0)) for one, hour, day in rows}
    labels = (*_LABELS, "window")
    most = GaugeMetricFamily("smtp_admin_limit_max", "Mails that a sender may send.", labels=labels)
    now = GaugeMetricFamily(
        "smtp_admin_limit_used", "Mails of that limit that are used up.", labels=labels
    )
    for sender in limited:
        hour, day = used.get(sender.sender_id, (0, 0))
        for window, limit, count in (
            ("hour", sender.values.max_per_hour, hour),
            ("day", sender.values.max_per_day, day),
        ):
            if limit:
                whose = (sender.partner_id, _sender(sender.partner_id, sender.key), window)
                most.add_metric(whose, limit)
                now.add_metric(whose, count)
    yield most
    yield now


def _workers() -> Iterator[Metric]:
    """How many run; nothing while Redis does not say."""
    count = doorbell().workers()
    family = GaugeMetricFamily(
        "smtp_admin_workers", "Workers that run; absent while Redis is away.", labels=()
    )
    if count is not None:
        family.add_metric((), count)
    yield family


def _alerts(session: Session) -> Iterator[Metric]:
    rows = session.execute(
        select(Alert.kind, func.count())
        .where(Alert.opened_at.is_not(None), Alert.ended_at.is_(None))
        .group_by(Alert.kind)
    )
    found = {str(kind): int(count) for kind, count in rows}
    family = GaugeMetricFamily("smtp_admin_alerts_open", "Alerts that are open.", labels=("kind",))
    for kind in KINDS:
        family.add_metric((kind.name,), found.get(kind.name, 0))
    yield family


def _sender(owner: str, key: str) -> str:
    """A sender's label: its owner, which is empty for the system, and its key."""
    return f"{owner}/{key or 'default'}"
