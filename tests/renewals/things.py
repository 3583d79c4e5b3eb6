"""Services and customers to try things on."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from smtp_admin import ExpiringService
from smtp_admin.renewals.records import Customer

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def a_service(
    days: float = 3,
    *,
    customer_id: str = "c1",
    service_id: str = "s1",
    now: datetime = NOW,
    **values: Any,
) -> ExpiringService:
    """One of acme's, that expires in *days*."""
    usual: dict[str, Any] = {
        "partner_id": "acme",
        "customer_id": customer_id,
        "service_id": service_id,
        "customer_email": f"{customer_id}@customer.example",
        "customer_name": "Carl",
        "language": "",
        "time_zone": "",
        "service_name": f"Hosting {service_id}",
        "expires_at": now + timedelta(days=days),
        "price": "12.90",
        "currency": "EUR",
        "payment_url": "https://pay.example/1?a=1&b=2",
        "balance": "3.5",
    }
    return ExpiringService(**(usual | values))


def a_customer(*services: ExpiringService, customer_id: str = "c1") -> Customer:
    """With these services, or one that expires in three days."""
    return Customer(customer_id, tuple(services) or (a_service(customer_id=customer_id),))


@lru_cache(maxsize=100_000)
def days_earlier(moment: datetime, days: int, zone_name: str) -> datetime:
    """The same time of day so many days earlier, found by trying each offset that the zone has.

    The first moment at which the clocks there show it; if they skip it, as much later.
    """
    zone = ZoneInfo(zone_name)
    wanted = moment.astimezone(zone).replace(tzinfo=None) - timedelta(days=days)
    around = wanted.replace(tzinfo=UTC)
    offsets = {
        (around + timedelta(hours=hours)).astimezone(zone).utcoffset() or timedelta()
        for hours in range(-40, 41)
    }
    tried = {around - one for one in offsets}
    shown = [one for one in tried if one.astimezone(zone).replace(tzinfo=None) == wanted]
    if shown:
        return min(shown)
    return max((one for one in tried if one < moment), default=min(tried))


def changes(zone: ZoneInfo, first: int, last: int) -> Iterator[datetime]:
    """Every moment from one year to another at which the clocks of *zone* change."""
    moment = datetime(first, 1, 1, tzinfo=UTC)
    while moment.year <= last:
        later = moment + timedelta(days=1)
        if moment.astimezone(zone).utcoffset() != later.astimezone(zone).utcoffset():
            low, high = moment, later
            while high - low > timedelta(microseconds=1):
                middle = low + (high - low) / 2
                same = middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            yield high
        moment = later


def ids(services: Sequence[ExpiringService]) -> list[str]:
    """What they are called."""
    return [one.service_id for one in services]
