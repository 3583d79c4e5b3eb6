"""Services and customers to try things on."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

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


def ids(services: Sequence[ExpiringService]) -> list[str]:
    """What they are called."""
    return [one.service_id for one in services]
