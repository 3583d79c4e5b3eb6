"""Limits hold where many requests come at the same moment."""

from collections import Counter as Tally
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

from sqlalchemy import func, select

from smtp_admin.audit.models import Audit
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.delivery.conftest import database, opened
from tests.delivery.workbench import deliveries
from tests.scene import JSON
from tests.servers.scripted import ScriptedServer

__all__ = ["database", "opened"]
TAB = "/smtp-admin/partners/acme"
MANY = 12


def all_at_once(host: HostApp, ask: Callable[[int], int]) -> Tally[int]:
    """How often each status came."""
    barrier = Barrier(MANY)

    def one(number: int) -> int:
        barrier.wait(10)
        return ask(number)

    host.db.session.remove()
    with ThreadPoolExecutor(MANY) as threads:
        return Tally(threads.map(one, range(MANY)))


def recorded(host: HostApp) -> int:
    host.db.session.rollback()
    return host.db.session.scalar(select(func.count()).select_from(Audit)) or 0


def test_connection_tests(opened: Callable[..., HostApp], database: str) -> None:
    host = opened(uri=database, TEST_LIMIT="5 per hour")
    with ScriptedServer() as server:
        given = {"host": "127.0.0.1", "port": server.port, "security": "none",
                 "from_email": "a@acme.example"}  # fmt: skip
        found = all_at_once(
            host,
            lambda _: (
                host.app.test_client()
                .post(f"{TAB}/test-connection", json=given, headers=JSON)
                .status_code
            ),
        )
        assert found == {200: 5, 429: MANY - 5}
        assert server.connections == 5
    assert recorded(host) == 5


def test_test_mails_to_others(opened: Callable[..., HostApp], database: str) -> None:
    host = opened(uri=database, TEST_MAIL_LIMIT="2 per hour")
    host.save_sender("acme")
    found = all_at_once(
        host,
        lambda _: (
            host.app.test_client()
            .post(f"{TAB}/test-email", json={"to": "other@example.org"}, headers=JSON)
            .status_code
        ),
    )
    assert found == {202: 2, 429: MANY - 2}
    assert len(deliveries(host)) == 2


def test_people_of_one_partner_share_a_limit(opened: Callable[..., HostApp]) -> None:
    host = opened(PARTNER_TEST_LIMIT="3 per hour")
    given = {"address": "someone@nowhere.invalid"}
    seen: list[int] = []
    for number in range(5):
        host.actor = replace(ACME_ADMIN, id=f"person{number}")
        answer = host.client.post(f"{TAB}/discover", json=given, headers=JSON)
        seen.append(answer.status_code)
        if answer.status_code == 429:
            assert "for this partner" in answer.get_json()["error"]["message"]
            assert int(answer.headers["Retry-After"]) > 3000
    assert [one == 429 for one in seen] == [False, False, False, True, True]
    host.actor = ADMIN
    globex = host.client.post("/smtp-admin/partners/globex/discover", json=given, headers=JSON)
    assert globex.status_code != 429


def test_nobody_changes_things_in_a_loop(opened: Callable[..., HostApp]) -> None:
    host = opened(CHANGE_LIMIT="4 per hour")
    host.save_sender("acme")
    before = recorded(host)
    host.actor = replace(ACME_ADMIN, id="busy")
    seen = [
        host.client.post(f"{TAB}/{which}", headers=JSON).status_code
        for which in ("pause", "resume") * 3
    ]
    assert seen == [200] * 4 + [429] * 2
    assert recorded(host) - before == 4
    runner = host.app.test_cli_runner()
    for word in ("pause", "resume") * 3:
        command = ["smtp-admin", "senders", word, "default", "--partner", "acme"]
        done = runner.invoke(args=command)
        assert done.exit_code == 0, done.output
