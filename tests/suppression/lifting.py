"""Suppress addresses of acme, and remove them on its page."""

from typing import Any

from sqlalchemy import select

from smtp_admin.delivery.suppressions import suppress
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.reasons import Reason
from tests.app import HostApp

PAGE = "/smtp-admin/partners/acme/suppressions"
JSON = {"Accept": "application/json"}
#: The last with letters that mean something in the path of a call.
MIA, TOM, ZOE = "mia+x@example.org", "tom@example.org", "zoe/a?b%41#c@example.org"


def stop(host: HostApp, address: str, reason: Reason = "bounce", category: str = "") -> None:
    suppress(host.db.session(), "acme", address, reason, category=category)
    host.db.session.commit()


def ours(host: HostApp) -> list[tuple[str, str]]:
    rows = host.db.session.scalars(select(Suppression).order_by(Suppression.id))
    return [(one.address, one.category) for one in rows]


def lift(host: HostApp, *addresses: str, category: str = "") -> list[dict[str, Any]]:
    """Remove on the page; what it says of providers."""
    mine = select(Suppression.id).where(Suppression.address.in_(addresses))
    if category:
        mine = mine.where(Suppression.category == category)
    ids = [*host.db.session.scalars(mine)]
    host.db.session.rollback()
    answer = host.client.post(f"{PAGE}/remove", json={"ids": ids}, headers=JSON)
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    assert answer.json["count"] == len(ids)
    found: list[dict[str, Any]] = answer.json["providers"]
    return found
