"""What the host supplies, asked in one place: where its own code raises, one error says so."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import g

from smtp_admin.database import SYSTEM
from smtp_admin.errors import Unavailable
from smtp_admin.host import ExpiringService, has_own
from smtp_admin.installation import installation
from smtp_admin.renewals.records import own_problem_of
from smtp_admin.repeated import host_raised
from smtp_admin.translation import gettext

log = logging.getLogger(__name__)


class HostFailedError(Unavailable):
    """The host's own code raised; its log has the details."""

    def __init__(self, method: str, error: Exception) -> None:
        super().__init__(
            gettext(
                "The app's %(method)s() failed with %(name)s.",
                method=method,
                name=type(error).__name__,
            ),
            hint=gettext("Its log has the details."),
        )


@dataclass(frozen=True, slots=True)
class Supplied:
    """What the host says about one customer.

    Attributes:
        services: partner id → those that can be used, in the host's order.
        broken: how many records cannot be used, so that nothing follows from their absence.
    """

    services: Mapping[str, tuple[ExpiringService, ...]]
    broken: int


def expiring(until: datetime, partner_id: str) -> Iterator[Any]:
    """The host's records of what expires up to *until*, as they come.

    Raises:
        HostFailedError: its code raised; what came before can be used.
    """
    try:
        yield from installation().host.expiring_services(until, partner_id)
    except Exception as error:
        host_raised(log, "expiring_services", error)
        raise HostFailedError("expiring_services", error) from error


def of_customer(customer_id: str) -> Supplied:
    """Everything of one customer, with all partners.

    Raises:
        HostFailedError: the host's code raised.
    """
    try:
        records: list[Any] = list(installation().host.customer_services(customer_id))
    except Exception as error:
        host_raised(log, "customer_services", error)
        raise HostFailedError("customer_services", error) from error
    services: dict[str, list[ExpiringService]] = {}
    problems: list[str] = []
    for record in records:
        problem = own_problem_of(record)
        if not problem and record.customer_id != customer_id:
            problem = gettext(
                "its customer_id is %(customer_id)s", customer_id=repr(record.customer_id[:40])
            )
        if problem:
            problems.append(problem)
        else:
            services.setdefault(record.partner_id, []).append(record)
    if problems:
        log.warning(
            "customer_services(%r) of the host handed over %d records that cannot be used: %s",
            customer_id, len(problems), "; ".join(problems[:3]),
        )  # fmt: skip
    return Supplied({name: tuple(some) for name, some in services.items()}, len(problems))


def tells_of_customers() -> bool:
    """Whether the host has a ``customer_services()`` of its own."""
    return has_own(installation().host, "customer_services")


def partner_name(partner_id: str) -> str:
    """What people call this partner, or the app itself; asked once in a request or a run.

    Raises:
        HostFailedError: the host's code raised.
    """
    names: dict[str, str] = g.setdefault("_smtp_admin_partner_names", {})
    if partner_id not in names:
        try:
            found = installation().host.partner(partner_id) if partner_id != SYSTEM else None
            names[partner_id] = found.name if found is not None else ""
        except Exception as error:
            host_raised(log, "partner", error)
            raise HostFailedError("partner", error) from error
    return names[partner_id] or installation().config.app_name


def partner_ids() -> Iterator[str]:
    """The system, then every partner of the host.

    Raises:
        HostFailedError: the host's code raised.
    """
    yield SYSTEM
    try:
        yield from [one.id for one in installation().host.partners()]
    except Exception as error:
        host_raised(log, "partners", error)
        raise HostFailedError("partners", error) from error
