"""Which sender a queued mail goes by, and what waits without a From address following routes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event

from smtp_admin.database import SYSTEM, host_engine
from smtp_admin.delivery.maintenance.reassign import reassign_strays
from smtp_admin.errors import MessageError
from smtp_admin.senders.models import Sender
from smtp_admin.senders.routing import save_routes
from tests.app import ADMIN, HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import Workbench, deliveries, letter, queue, row_of
from tests.patience import SECONDS
from tests.servers.scripted import ScriptedServer

RESET = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}


def route(host: HostApp, partner_id: str, **keys: str) -> None:
    """Routes by e-mail type or priority: ``password_reset="urgent"``."""
    session = host.db.session()
    kinds = {"urgent": "priority", "normal": "priority", "bulk": "priority"}
    wanted: Any = {(kinds.get(name, "type"), name): key for name, key in keys.items()}
    save_routes(session, partner_id, wanted, ADMIN)
    session.commit()


def reset(host: HostApp, partner_id: str = "acme", **more: Any) -> str:
    public_id = host.plugin.send(
        "password_reset", to="sam@example.org", partner_id=partner_id, context=RESET, **more
    )
    host.db.session.commit()
    return public_id


def at(host: HostApp) -> list[tuple[str, str]]:
    """With whom each delivery is: partner and key."""
    session = host.db.session()
    session.rollback()
    rows = (session.get_one(Sender, one.sender_id) for one in deliveries(host))
    return [(row.partner_id, row.key) for row in rows]


def test_a_sender_that_is_named_and_one_that_a_route_names(each: HostApp) -> None:
    each.save_sender("acme")
    each.save_sender("acme", key="news", from_email="news@acme.example")
    each.save_sender("acme", key="urgent", from_email="now@acme.example")
    route(each, "acme", password_reset="urgent", normal="news")
    reset(each)
    queue(each)
    reset(each, sender="news")
    queue(each, sender="")
    assert [key for _, key in at(each)] == ["urgent", "news", "news", ""]
    (first, *_) = deliveries(each)
    assert first.partner_id == "acme"


def test_an_unknown_sender_is_refused_before_anything_is_written(each: HostApp) -> None:
    each.save_sender("acme")
    for wrong in ("news", "ACME", "x" * 200):
        with pytest.raises(MessageError, match="There is no sender"):
            each.plugin.send_message(letter(), partner_id="acme", sender=wrong)
    nonsense: Any = 5
    with pytest.raises(MessageError, match="by its key"):
        each.plugin.send_message(letter(), partner_id="acme", sender=nonsense)
    with pytest.raises(MessageError, match="no partner"):
        each.plugin.send_message(letter(), partner_id="nobody", sender=None)
    assert deliveries(each) == []


def test_a_partner_without_a_sender_has_the_systems_by_its_routes(each: HostApp) -> None:
    each.save_sender("")
    each.save_sender("", key="bulk", from_email="bulk@platform.example")
    route(each, SYSTEM, password_reset="bulk")
    reset(each)
    queue(each)
    queue(each, partner_id="globex", sender="bulk")
    assert at(each) == [("", "bulk"), ("", ""), ("", "bulk")]


def test_mail_with_a_from_address_stays_where_it_is(host: HostApp) -> None:
    host.save_sender("acme")
    host.save_sender("acme", key="news", from_email="news@acme.example")
    queue(host)
    route(host, "acme", message="news")
    assert reassign_strays(host_engine()) == 0
    assert at(host) == [("acme", "")]


def test_mail_without_one_follows_the_routes(each: HostApp) -> None:
    """It was queued before there was any sender."""
    queue(each)
    reset(each)
    queue(each, partner_id=SYSTEM)
    assert at(each) == [("", "")] * 3
    each.save_sender("acme", key="news", from_email="news@acme.example")
    assert at(each) == [("", "")] * 3, "no route and no default names it"
    route(each, "acme", message="news")
    assert at(each) == [("acme", "news"), ("", ""), ("", "")]
    each.save_sender("acme")
    assert at(each) == [("acme", "news"), ("acme", ""), ("", "")]
    route(each, "acme", urgent="news")
    assert at(each) == [("acme", ""), ("acme", "news"), ("", "")]


def test_a_partners_waiting_mail_follows_the_systems_routes_soon(each: HostApp) -> None:
    """Within ten seconds: whoever saves does not wait until every partner was looked at."""
    queue(each)
    queue(each, partner_id="globex")
    each.save_sender("")
    each.save_sender("", key="bulk", from_email="bulk@platform.example")
    route(each, SYSTEM, message="bulk")
    assert at(each) == [("", "")] * 2
    each.db.session.rollback()
    assert reassign_strays(host_engine()) == 2
    assert at(each) == [("", "bulk")] * 2
    each.db.session.rollback()
    assert reassign_strays(host_engine()) == 0


def test_a_route_that_is_changed_while_mail_is_being_queued(
    opened: NewHost, shared_database: str
) -> None:
    """Neither waits for the other, and what was queued by the old route is found later."""
    host = opened(uri=shared_database)
    public_id = host.plugin.send_message(letter(), partner_id="acme")

    def save() -> None:
        with host.app.app_context():
            host.save_sender("acme")
            host.save_sender("acme", key="news", from_email="news@acme.example")
            route(host, "acme", message="news")
            host.db.session.remove()

    with ThreadPoolExecutor(1) as threads:
        threads.submit(save).result(timeout=SECONDS)
    host.db.session.commit()
    assert at(host) == [("", "")]
    host.db.session.rollback()
    assert reassign_strays(host_engine()) == 1
    assert at(host) == [("acme", "news")]
    assert row_of(host, public_id).from_email is None


def test_looking_for_strays_writes_nothing(host: HostApp) -> None:
    """Every worker looks every ten seconds; on SQLite a writer would hold up all others."""
    host.save_sender("acme")
    queue(host)
    queue(host, partner_id="globex")
    host.db.session.rollback()
    engine = host_engine()
    written: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("SELECT", "BEGIN")):
            written.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert reassign_strays(engine) == 0
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert written == []


def test_each_sender_of_a_partner_sends_its_own(
    each: HostApp, bench_of: Callable[..., Workbench]
) -> None:
    with ScriptedServer() as first, ScriptedServer() as second:
        each.save_sender("acme", port=first.port)
        each.save_sender("acme", key="news", port=second.port, from_email="news@acme.example")
        queue(each)
        queue(each, sender="news")
        bench = bench_of(each)
        bench.tick()
        assert [one.mail_from for one in first.messages] == ["noreply@acme.example"]
        assert [one.mail_from for one in second.messages] == ["news@acme.example"]
    assert [one.state for one in deliveries(each)] == ["sent", "sent"]
