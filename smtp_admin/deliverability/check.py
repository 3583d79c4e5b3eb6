"""Whether receivers will believe mail from a domain: what DNS says now, and what to copy into it.

SPF names who may send, DKIM proves who signed, DMARC says what to do with the rest, and MX lets
answers and bounces come back. The envelope sender of our mail is the From address itself, so SPF
counts for DMARC unless a provider puts another one there.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from smtp_admin.deliverability.dns_checks import (
    check_alignment,
    check_dkim,
    check_dmarc,
    check_mx,
    check_spf,
    related,
)
from smtp_admin.deliverability.dns_records import Check, Record, Sending, Status, records_to_copy
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.nameserver import NameService

__all__ = ["Check", "Deliverability", "Record", "Sending", "check", "records_to_copy"]

OVERALL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Deliverability:
    """Every check of one domain, the records to copy, and when DNS was asked."""

    domain: str
    checked_at: datetime
    checks: tuple[Check, ...]
    records: tuple[Record, ...]

    @property
    def status(self) -> Status:
        """The worst of all checks."""
        order: tuple[Status, ...] = ("missing", "warning", "unknown", "ok")
        return min((one.status for one in self.checks), key=order.index)

    def as_json(self) -> dict[str, Any]:
        """As the page shows it."""
        return {
            "domain": self.domain,
            "checked_at": self.checked_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "status": self.status,
            "checks": [one.as_json() for one in self.checks],
            "records": [one.as_json() for one in self.records],
        }


def check(
    sending: Sending,
    names: NameService,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    overall_seconds: float = OVERALL_SECONDS,
) -> Deliverability:
    """Look up what DNS says now about mail that leaves as *sending* says.

    Raises:
        ValueError: the From address is none.
    """
    domain, envelope = sending.domain, sending.envelope
    limit = Deadline(overall_seconds)
    with ThreadPoolExecutor(5, thread_name_prefix="deliverability") as pool:
        asked_spf = pool.submit(check_spf, sending, names, limit)
        asked_dkim = pool.submit(check_dkim, sending, names, limit)
        asked_dmarc = pool.submit(check_dmarc, domain, names, limit)
        asked_mx = pool.submit(check_mx, domain, names, limit)
        asked_related = pool.submit(related, domain, envelope, names, limit)
    about_spf, about_dkim, about_mx = asked_spf.result(), asked_dkim.result(), asked_mx.result()
    about_dmarc, standing = asked_dmarc.result()
    aligned = asked_related.result()
    if envelope != domain and standing and standing.record and standing.record.strict_spf:
        aligned = False
    alignment = check_alignment(sending, about_spf, about_dkim, aligned=aligned)
    checks = (about_spf, about_dkim, about_dmarc, alignment, about_mx)
    return Deliverability(domain, now(), checks, records_to_copy(sending, checks))
