"""The weekly summary: sent, failed and bounced of the week before, and what needs somebody now.

Once a week, from Monday 07:00 UTC on, each who wants it gets one mail, however many workers there
are: its idempotency key names the week. A worker that was away that morning makes up for it for a
day; after that the week has none.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, database_now, reading, transaction
from smtp_admin.delivery.doorbell import listen
from smtp_admin.delivery.models import IS_OPEN, Counter, Delivery
from smtp_admin.errors import SMTPAdminError
from smtp_admin.installation import Kept, installation
from smtp_admin.mail import service
from smtp_admin.mail.compose import Order
from smtp_admin.monitor.alerts.carriers import working_sender
from smtp_admin.monitor.alerts.recipients import language_of, usable
from smtp_admin.monitor.alerts.service import open_alerts
from smtp_admin.repeated import host_raised
from smtp_admin.translation import day, gettext, ngettext, number

log = logging.getLogger(__name__)

TYPE = "weekly_summary"
_HOUR = 7
#: No longer than mail is kept at least: its idempotency key is in the mail.
_MADE_UP_FOR = timedelta(hours=20)
_WEEK = timedelta(days=7)
#: Owners that are named one by one.
_MOST_OWNERS = 50
_MOST_ATTENTION = 50


@dataclass(frozen=True, slots=True)
class Numbers:
    """One owner's week.

    Attributes:
        bounced: what came back after it was accepted; complained: what was marked as spam. Of
            senders whose providers tell.
    """

    name: str
    sent: int = 0
    failed: int = 0
    dead: int = 0
    bounced: int = 0
    complained: int = 0
    waiting: int = 0


@dataclass(slots=True)
class _Seen:
    """The week that this process has sent summaries of."""

    week: str = ""


_SEEN = Kept[_Seen](lambda _: _Seen())


def send_summaries(engine: Engine) -> int:
    """Queue the summaries of the week that ended, if it is time; how many. Needs an app context."""
    config = installation().config
    seen = _SEEN.of(installation())
    if not config.weekly_summary:
        return 0
    with transaction(engine) as session:
        moment = database_now(session)
    begins = week_before(moment)
    if begins is None or seen.week == _name(begins):
        return 0
    with reading(engine) as session:
        mails = _mails(session, begins)
    failed = 0
    for address, key, context in mails:
        try:
            _queue(engine, address, key, context)
        except SMTPAdminError as error:
            failed += 1
            log.warning("a weekly summary was not queued: %s", error.message)
    if not failed:
        seen.week = _name(begins)
    return len(mails) - failed


def week_before(moment: datetime) -> datetime | None:
    """When the week began that a summary is due of now; ``None`` if none is."""
    monday = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    monday -= timedelta(days=moment.weekday())
    due = monday + timedelta(hours=_HOUR)
    return monday - _WEEK if due <= moment < due + _MADE_UP_FOR else None


def wanted() -> dict[str, frozenset[str] | None]:
    """Address → the partners that its summary is about, ``None`` for all mail."""
    found: dict[str, frozenset[str] | None] = dict.fromkeys(installation().config.summary_emails)
    try:
        told = [
            (address, None if partners is None else frozenset(partners))
            for address, partners in installation().host.summary_recipients()
        ]
    except Exception as error:  # noqa: BLE001 - the host's own code
        host_raised(log, "summary_recipients", error)
        return found
    for address, partners in told:
        for one in usable([address]):
            before = found.get(one, frozenset())
            found[one] = None if partners is None or before is None else before | partners
    return {one: partners for one, partners in found.items() if partners is None or partners}


def _mails(session: Session, begins: datetime) -> list[tuple[str, str, dict[str, Any]]]:
    people = wanted()
    if not people:
        return []
    numbers = _numbers(session, begins)
    names = {one.id: one.name for one in installation().host.partners()}
    week = _name(begins)
    found = []
    for address, partners in people.items():
        whose = sha256(address.encode()).hexdigest()[:16]
        context = _context(session, begins, numbers, names, partners)
        found.append((address, f"{TYPE}-{week}-{whose}", context))
    return found


def _context(
    session: Session,
    begins: datetime,
    numbers: Mapping[str, Numbers],
    names: Mapping[str, str],
    partners: Collection[str] | None,
) -> dict[str, Any]:
    config = installation().config
    mine = [
        Numbers(names.get(one, one) if one else gettext("The system"), *_values(numbers[one]))
        for one in sorted(numbers)
        if partners is None or (one in partners and one != SYSTEM)
    ]
    mine.sort(key=lambda one: -one.sent)
    shown, rest = mine[:_MOST_OWNERS], mine[_MOST_OWNERS:]
    if rest:
        more = ngettext("%(number)s more", "%(number)s more", len(rest))
        shown.append(_together(more, rest))
    alerts = open_alerts(session, partners)
    attention = [one.sentence for one in alerts[:_MOST_ATTENTION]]
    if left := max(0, len(alerts) - _MOST_ATTENTION):
        attention.append(
            ngettext("And %(number)s more alert.", "And %(number)s more alerts.", left)
        )
    first, last = (day(at, year=True) for at in (begins, begins + _WEEK - timedelta(days=1)))
    return {
        "week": _name(begins),
        "begins": first,
        "ends": last,
        "title": gettext("Mail from %(begins)s to %(ends)s", begins=first, ends=last),
        "owners": [_in_words(one) for one in shown],
        "total": _in_words(_together("", mine)),
        "attention": attention,
        "url": f"{config.public_url}{config.url_prefix}/" if config.public_url else "",
    }


def _in_words(one: Numbers) -> dict[str, str]:
    """The numbers of an owner, as people write them."""
    values = asdict(one)
    return {name: number(got) if isinstance(got, int) else got for name, got in values.items()}


def _numbers(session: Session, begins: datetime) -> dict[str, Numbers]:
    """Every partner's week, by the counters, and what waits now."""
    week = session.execute(
        select(
            Counter.partner_id,
            func.sum(Counter.sent),
            func.sum(Counter.failed),
            func.sum(Counter.dead),
            func.sum(Counter.bounced),
            func.sum(Counter.complained),
        )
        .where(Counter.minute >= begins, Counter.minute < begins + _WEEK)
        .group_by(Counter.partner_id)
    )
    found = {row.partner_id: Numbers(row.partner_id, *map(int, row[1:])) for row in week}
    queue = session.execute(
        select(Delivery.partner_id, func.count())
        .where(IS_OPEN, Delivery.state != "dead")
        .group_by(Delivery.partner_id)
    )
    for whose, count in queue:
        found[whose] = replace(found.get(whose, Numbers(whose)), waiting=int(count))
    return found


def _together(name: str, some: Iterable[Numbers]) -> Numbers:
    columns = list(zip(*map(_values, some), strict=True)) or [(0,)] * 6
    return Numbers(name, *(sum(column) for column in columns))


def _values(one: Numbers) -> tuple[int, ...]:
    return one.sent, one.failed, one.dead, one.bounced, one.complained, one.waiting


def _queue(engine: Engine, address: str, key: str, context: Mapping[str, Any]) -> None:
    with transaction(engine) as session:
        listen(session)
        # What needs somebody may be the sender that it would go by.
        carrier = working_sender(session, (SYSTEM,))
        order = Order(
            partner_id=SYSTEM, sender=carrier.key if carrier else None, idempotency_key=key
        )
        language = language_of(address)
        service.send(session, TYPE, to=address, context=context, language=language, order=order)


def _name(begins: datetime) -> str:
    year, week, _ = begins.isocalendar()
    return f"{year}-W{week:02}"
