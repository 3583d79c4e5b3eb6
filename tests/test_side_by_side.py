"""Limits hold where many requests come at the same moment."""

from collections import Counter as Tally
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from sqlalchemy import func, select

from smtp_admin.audit.models import Audit
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.delivery.conftest import database, opened
from tests.delivery.workbench import deliveries
from tests.patience import SECONDS
from tests.scene import JSON
from tests.servers.behaviours import Drip, Stall
from tests.servers.scripted import ScriptedServer
from tests.worker.running import until

__all__ = ["database", "opened"]
TAB = "/smtp-admin/partners/acme"
MANY = 12


def all_at_once(host: HostApp, ask: Callable[[int], int]) -> Tally[int]:
    """How often each status came."""
    barrier = Barrier(MANY)

    def one(number: int) -> int:
        barrier.wait(SECONDS)
        return ask(number)

    host.db.session.remove()
    with ThreadPoolExecutor(MANY) as threads:
        return Tally(threads.map(one, range(MANY)))


def recorded(host: HostApp) -> int:
    host.db.session.rollback()
    return host.db.session.scalar(select(func.count()).select_from(Audit)) or 0


def test_connection_tests(
    opened: Callable[..., HostApp], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smtp_admin.audit.in_flight.MOST_FOR_PARTNER", MANY)
    host = opened(uri=database, TEST_LIMIT="5 per hour", TESTS_AT_ONCE=MANY)
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


def test_few_run_at_a_time(opened: Callable[..., HostApp]) -> None:
    """Whoever tests a silent server keeps two threads, and no more of them wait behind."""
    host = opened()

    def ask(server: ScriptedServer, partner_id: str) -> int:
        given = {"host": "127.0.0.1", "port": server.port, "security": "none",
                 "from_email": "a@acme.example"}  # fmt: skip
        address = f"/smtp-admin/partners/{partner_id}/test-connection"
        return host.app.test_client().post(address, json=given, headers=JSON).status_code

    with (
        ThreadPoolExecutor(4) as threads,
        ScriptedServer(behaviours={"greeting": Stall()}) as silent,
        ScriptedServer() as quick,
    ):
        waiting = [threads.submit(ask, silent, "acme") for _ in range(2)]
        assert until(lambda: silent.connections == 2)
        counted = recorded(host)
        assert ask(quick, "acme") == 429, "two run already"
        assert recorded(host) == counted, "what was not begun does not count"
        assert ask(quick, "globex") == 200, "others are not concerned"
        waiting.append(threads.submit(ask, silent, "globex"))
        assert until(lambda: silent.connections == 3)
        assert ask(quick, "globex") == 429, "three are enough for a process"
        assert [one.done() for one in waiting] == [False] * 3
        silent.stop()
        assert [one.result(SECONDS) for one in waiting] == [400] * 3
        assert ask(quick, "acme") == 200, "what has ended is not counted"


def test_a_test_mail_comes_to_an_end(
    opened: Callable[..., HostApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may answer each command just in time, and all of them never."""
    monkeypatch.setattr("smtp_admin.mail.testmail.OVERALL_SECONDS", 1.0)
    host = opened()
    form = {"host": "127.0.0.1", "security": "none", "from_email": "a@acme.example",
            "driver": "smtp", "revision": "0", "to": "sam@example.org"}  # fmt: skip
    with ScriptedServer(behaviours={"ehlo": Drip("250 hello", 3.0)}) as server:
        answer = host.client.post(
            f"{TAB}/test-email", data=form | {"port": server.port}, headers=JSON
        )
    assert answer.status_code == 400, answer.text
    error = answer.get_json()["error"]
    assert error["code"] == "timeout"
    assert "did not finish within 1 seconds" in error["message"]


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
