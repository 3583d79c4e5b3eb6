"""What the host hands over: which records can be used, and whose they are. No database here."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from operator import attrgetter
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from smtp_admin.host import ExpiringService
from smtp_admin.renewals.values import RenewalValues, zone_called
from smtp_admin.smtp.address import clean_address

_LONGEST_ID = 100
#: Beyond these, changing the time zone would leave the calendar.
_FIRST_YEAR, _LAST_YEAR = 1900, 9000
_TOO_MUCH = Decimal(10) ** 15
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CURRENCY = re.compile(r"[A-Z]{3}")
#: What nearly every link looks like; parsing each would be a third of a run's work.
_PLAIN_LINK = re.compile(r"https?://[A-Za-z0-9.-]+(/[!-~]*)?")
_TEXTS = (
    "partner_id",
    "customer_id",
    "service_id",
    "customer_email",
    "customer_name",
    "language",
    "time_zone",
    "service_name",
    "currency",
    "payment_url",
)
_texts_of = attrgetter(*_TEXTS)


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer with all that the host said is expiring, in its order."""

    id: str
    services: tuple[ExpiringService, ...]

    @property
    def email(self) -> str:
        """The first of the given addresses that mail can go to, cleaned, or ``""``."""
        for one in self.services:
            try:
                return clean_address(one.customer_email)
            except ValueError:
                continue
        return ""

    @property
    def time_zone(self) -> str:
        """The first zone given that there is, or ``""``."""
        names = (one.time_zone for one in self.services)
        return next((one for one in names if one and zone_called(one)), "")

    @property
    def unknown_zone(self) -> str:
        """The first zone given where none of them is known, or ``""``; another is taken then."""
        return (
            "" if self.time_zone else next((s.time_zone for s in self.services if s.time_zone), "")
        )

    def zone(self, values: RenewalValues) -> ZoneInfo:
        """Whose calendar and clock count for this customer: the own, else that of *values*."""
        return zone_called(self.time_zone) or values.zone


def problem_of(record: Any, partner_id: str) -> str:
    """Why *record* cannot be used for *partner_id*, as a sentence; ``""`` if it can."""
    problem = own_problem_of(record)
    if not problem and record.partner_id != partner_id:
        return f"its partner_id is {record.partner_id[:40]!r}"
    return problem


def own_problem_of(record: Any) -> str:
    """Why *record* cannot be used for any partner, as a sentence; ``""`` if it can.

    An address that mail cannot go to is no problem of the record: the customer is skipped with
    that as the reason.
    """
    try:
        return _checked(record)
    except Exception as error:  # noqa: BLE001 - whatever the app put into it may raise
        return f"reading it failed with {type(error).__name__}"


def _checked(record: Any) -> str:
    if not isinstance(record, ExpiringService):
        return f"it is a {type(record).__name__}, not an ExpiringService"
    for position, value in enumerate(_texts_of(record)):
        if not _is_text(value):
            return f"{_TEXTS[position]} is not text"
    for name in ("customer_id", "service_id"):
        value = getattr(record, name)
        if not 0 < len(value) <= _LONGEST_ID or _CONTROL.search(value):
            return f"{name} must have 1 to {_LONGEST_ID} characters"
    extra: Any = record.extra
    if not isinstance(extra, Mapping):
        return "extra is not a dictionary"
    if not isinstance(record.expires_at, datetime) or record.expires_at.utcoffset() is None:
        return "expires_at is not a time with a time zone"
    if not _FIRST_YEAR <= record.expires_at.year <= _LAST_YEAR:
        return f"expires_at is in the year {record.expires_at.year}"
    for name in ("price", "balance"):
        if not _is_amount(getattr(record, name)):
            return f"{name} is not a number"
    if record.currency and not _CURRENCY.fullmatch(record.currency):
        return "currency must be three letters, such as EUR"
    if not _is_link(record.payment_url):
        return "payment_url must begin with https:// or http://"
    return ""


def _is_amount(value: Any) -> bool:
    if value is None:
        return True
    try:
        return abs(Decimal(str(value))) < _TOO_MUCH
    except InvalidOperation:  # also where it is not a number at all
        return False


def _is_text(value: Any) -> bool:
    """Whether it is text that a database and a mail can hold."""
    if not isinstance(value, str):
        return False
    if value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_link(text: str) -> bool:
    if not text or _PLAIN_LINK.fullmatch(text):
        return True
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"https", "http"} and bool(parts.netloc) and not _CONTROL.search(text)


def usable(
    records: Iterable[Any], partner_id: str, broken: Callable[[str], object]
) -> Iterator[ExpiringService]:
    """The records that can be used; *broken* is told about each other one."""
    for number, record in enumerate(records, 1):
        problem = problem_of(record, partner_id)
        if problem:
            name = record.service_id if isinstance(record, ExpiringService) else None
            shown = name[:60] if isinstance(name, str) else type(name).__name__
            broken(f"Record {number} (service {shown!r}): {problem}.")
            continue
        yield record


def customers(services: Iterable[ExpiringService]) -> Iterator[Customer]:
    """Services that follow each other and have the same customer, together."""
    of = ""
    mine: list[ExpiringService] = []
    for one in services:
        if mine and one.customer_id != of:
            yield Customer(of, tuple(mine))
            mine = []
        of = one.customer_id
        mine.append(one)
    if mine:
        yield Customer(of, tuple(mine))


def batches(found: Iterable[Customer], size: int) -> Iterator[list[Customer]]:
    """*size* customers at a time; where *found* raises, those that were whole come first."""
    batch: list[Customer] = []
    try:
        for one in found:
            batch.append(one)
            if len(batch) == size:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def together(batch: Iterable[Customer]) -> list[Customer]:
    """Each customer once, with all services: the host may not have ordered by customer."""
    found: dict[str, tuple[ExpiringService, ...]] = {}
    for one in batch:
        found[one.id] = (*found.get(one.id, ()), *one.services)
    return [Customer(name, services) for name, services in found.items()]
