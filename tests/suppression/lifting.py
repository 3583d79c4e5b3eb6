"""Suppress addresses of acme, remove them on its page, and do what a worker does."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from smtp_admin.database import host_engine, worker_engine
from smtp_admin.delivery.maintenance.provider_lists import import_lists
from smtp_admin.delivery.maintenance.provider_removals import remove_waiting
from smtp_admin.delivery.suppressions import suppress
from smtp_admin.mail.service import registry
from smtp_admin.mail.unsubscribing import Reader, token_for
from smtp_admin.suppression.models import ProviderRemoval, Suppression
from smtp_admin.suppression.reading import suppressions_of
from smtp_admin.suppression.reasons import Reason
from tests.app import HostApp
from tests.mail.newsletter import NAME, add_newsletter
from tests.suppression.providers import Provider

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


def work(stopping: Callable[[], bool] = lambda: False) -> int:
    """What a worker does."""
    engine = worker_engine(host_engine(), pool_size=2)
    try:
        return remove_waiting(engine, stopping)
    finally:
        engine.dispose()


def reader(host: HostApp, address: str = MIA) -> str:
    if all(one.name != NAME for one in registry()):
        add_newsletter(host, notice=True)
    return f"/unsubscribe/{token_for(Reader('acme', address, NAME))}"


def reasons(host: HostApp, address: str = MIA) -> list[str]:
    host.db.session.rollback()
    return [one.reason for one in suppressions_of(host.db.session(), "acme", address)]


def waiting(host: HostApp) -> list[ProviderRemoval]:
    host.db.session.rollback()
    host.db.session.expire_all()
    return [*host.db.session.scalars(select(ProviderRemoval).order_by(ProviderRemoval.id))]


def imported(host: HostApp, provider: Provider) -> int:
    """How many entries an import by hand takes over."""
    answer = host.client.post(f"{PAGE}/sync", json={"sender": "default"}, headers=JSON)
    assert answer.json, provider.name
    return int(answer.json["rows"])


def imported_by_worker() -> int:
    """How many lists a worker imports."""
    engine = worker_engine(host_engine(), pool_size=2)
    try:
        return import_lists(engine, lambda: False)
    finally:
        engine.dispose()
