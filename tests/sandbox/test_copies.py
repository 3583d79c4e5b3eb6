"""A copied database, and a process beside the original: nothing goes out, no row changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select

from smtp_admin.delivery.held_actions import DROPPED
from smtp_admin.delivery.models import Delivery
from smtp_admin.renewals.scheduler import run_slot
from smtp_admin.sandbox import site
from smtp_admin.sandbox.models import Site
from smtp_admin.sandbox_rule import Sandbox
from tests.app import HostApp
from tests.delivery.workbench import letter
from tests.sandbox.copies import copy, dump
from tests.servers.databases import sqlite_url
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import Site as WorkerSite
from tests.worker.running import until

PANEL, STAGING = "https://panel.example.com", "https://staging.example.com"
NewApp = Callable[..., HostApp]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes empty databases of each kind in turn."""
    if request.param == "sqlite":
        names = iter("abc")

        def make() -> str:
            folder = tmp_path / next(names)
            folder.mkdir()
            return sqlite_url(folder)

        return make
    made: Callable[[], str] = request.getfixturevalue(request.param).create_database
    return made


@pytest.fixture
def server() -> Any:
    """A mail server that takes everything."""
    with ScriptedServer() as running:
        yield running


def fill(host: HostApp, server: ScriptedServer, count: int = 100) -> None:
    """Mail that waits in a database that is at home."""
    with host.app.app_context():
        assert site.record_start(host.db.engine)
        host.save_sender(port=server.port)
        for number in range(count):
            host.plugin.send_message(letter(f"you{number}@example.org"), partner_id="acme")
        host.db.session.commit()


def dumped(host: HostApp) -> dict[str, list[tuple[Any, ...]]]:
    with host.app.app_context():
        return dump(host.db.engine)


def work(host: HostApp) -> None:
    with host.app.app_context():
        host.work()
        host.db.session.remove()


def states(host: HostApp) -> list[str]:
    with host.app.app_context():
        found = [str(one) for one in host.db.session.scalars(select(Delivery.state))]
        host.db.session.remove()
        return found


def run(host: HostApp, *words: str, answer: str = "") -> Result:
    result = host.app.test_cli_runner().invoke(args=["smtp-admin", *words], input=answer)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def test_a_copy_sends_nothing_until_it_is_released(
    databases: Callable[[], str], new_app: NewApp, server: ScriptedServer
) -> None:
    original = new_app(uri=databases(), PUBLIC_URL=PANEL)
    fill(original, server)
    other = new_app(uri=databases(), PUBLIC_URL=STAGING)
    copy(original, other)
    before = dumped(other)
    work(other)
    assert server.messages == []
    assert dumped(other) == before

    work(original)
    assert len(server.messages) == 100, "the original goes on"
    assert set(states(original)) == {"sent"}
    assert dumped(other) == before

    assert run(other, "sandbox", "release", answer="n\n").exit_code == 1
    work(other)
    assert dumped(other) == before
    assert run(other, "sandbox", "release", "--yes").exit_code == 0
    work(other)
    assert len(server.messages) == 200
    assert set(states(other)) == {"sent"}


def test_dropped_instead(
    databases: Callable[[], str], new_app: NewApp, server: ScriptedServer
) -> None:
    """What waits is cancelled, what may have arrived is given up: nothing goes out later."""
    original = new_app(uri=databases(), PUBLIC_URL=PANEL)
    fill(original, server, 20)
    with original.app.app_context():
        some = list(original.db.session.scalars(select(Delivery).order_by(Delivery.id)))
        for one in some[:3]:
            one.state, one.lease = "sending", "a" * 32
        some[3].state = "uncertain"
        original.db.session.commit()
    other = new_app(uri=databases(), PUBLIC_URL=STAGING)
    copy(original, other)
    asked = run(other, "sandbox", "drop", answer="y\n")
    assert "16 mails wait and 4 are being sent in the database of panel.example.com" in asked.output
    assert "20 dropped." in asked.output
    assert run(other, "sandbox", "release", "--yes").exit_code == 0
    work(other)
    assert server.messages == []
    assert states(other).count("cancelled") == 16
    assert states(other).count("dead") == 4
    with other.app.app_context():
        codes = set(other.db.session.scalars(select(Delivery.last_code)))
    assert codes == {DROPPED}


def test_beside_the_original(new_app: NewApp, server: ScriptedServer, tmp_path: Path) -> None:
    """A laptop on the production database changes nothing, and stops nobody but itself."""
    uri = sqlite_url(tmp_path)
    original = new_app(uri=uri, PUBLIC_URL=PANEL)
    fill(original, server)
    for wrong in (STAGING, "", "http://localhost:5000"):
        laptop = new_app(uri=uri, PUBLIC_URL=wrong)
        before = dumped(laptop)
        work(laptop)
        assert dumped(original) == before, wrong
    assert server.messages == []
    with laptop.app.app_context():  # mail can be queued there all the same
        laptop.plugin.send_message(letter("me@example.org"), partner_id="acme")
        laptop.db.session.commit()
    work(original)
    assert len(server.messages) == 101


def test_worker_processes(redis: RedisServer, tmp_path: Path, server: ScriptedServer) -> None:
    """Both run at once; released, the copy's worker goes on without a new start."""
    original = WorkerSite(tmp_path / "original", redis.url, PUBLIC_URL=PANEL)
    fill(original.host, server)
    other = WorkerSite(tmp_path / "copy", redis.url, PUBLIC_URL=STAGING)
    copy(original.host, other.host)
    before = dumped(other.host)
    with other.worker() as idle:
        idle.ready()
        assert (
            "panel.example.com, and SMTP_ADMIN_PUBLIC_URL says staging.example.com" in idle.output
        )
        with original.worker() as busy:
            busy.ready()
            assert "this worker acts for panel.example.com" in busy.output
            assert until(lambda: len(server.messages) == 100)
            assert until(lambda: set(states(original.host)) == {"sent"})
        assert dumped(other.host) == before
        assert run(other.host, "sandbox", "release", "--yes").exit_code == 0
        assert until(lambda: len(server.messages) == 200, 40)
        assert until(lambda: set(states(other.host)) == {"sent"})
        assert "this worker acts for staging.example.com" in idle.output
        assert run(other.host, "sandbox", "release", "--remove", STAGING).exit_code == 0
        assert until(lambda: idle.output.count("This process sends nothing") == 2)
        with other.opened() as host:
            host.plugin.send_message(letter(), partner_id="acme")
            host.db.session.commit()
        assert not until(lambda: len(server.messages) > 200, 3)


def test_renewals_do_nothing(new_app: NewApp, server: ScriptedServer, tmp_path: Path) -> None:
    uri = sqlite_url(tmp_path)
    fill(new_app(uri=uri, PUBLIC_URL=PANEL), server, 1)
    other = new_app(uri=uri, PUBLIC_URL=STAGING)
    before = dumped(other)
    with other.app.app_context():
        assert run_slot(other.db.engine, other.installation) == 0
    result = run(other, "renewals", "run")
    assert result.exit_code == 1
    assert "SMTP_ADMIN_PUBLIC_URL says staging.example.com" in result.output
    assert run(other, "renewals", "preview").exit_code == 0
    assert dumped(other) == before


def test_the_first_start_records(new_app: NewApp, tmp_path: Path) -> None:
    uri = sqlite_url(tmp_path)
    work(new_app(uri=uri))  # without an address there is nothing to record, and all goes on
    first, second = new_app(uri=uri, PUBLIC_URL=PANEL), new_app(uri=uri, PUBLIC_URL=STAGING)
    work(first)
    work(second)
    with first.app.app_context():
        assert list(first.db.session.scalars(select(Site.address))) == ["panel.example.com"]


def test_db_upgrade_records(new_app: NewApp) -> None:
    host = new_app(PUBLIC_URL=PANEL)
    assert "belongs to panel.example.com" in run(host, "db", "upgrade").output
    assert "belongs to" not in run(host, "db", "upgrade").output


def test_two_first_starts_at_once(
    databases: Callable[[], str], new_app: NewApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where neither saw the other's row, only one is recorded."""
    uri = databases()
    hosts = [new_app(uri=uri, PUBLIC_URL=one) for one in (PANEL, STAGING)]
    with hosts[0].app.app_context():
        assert site.record_start(hosts[0].db.engine)
    with hosts[1].app.app_context():
        monkeypatch.setattr("sqlalchemy.orm.Session.scalar", lambda *_: None)
        assert not site.record_start(hosts[1].db.engine)
        monkeypatch.undo()
        assert not site.may_act(hosts[1].db.engine)


def test_loopback_is_one_place(new_app: NewApp, tmp_path: Path) -> None:
    uri = sqlite_url(tmp_path)
    work(new_app(uri=uri, PUBLIC_URL="http://127.0.0.1:5000"))
    for address in ("http://localhost:5000/", "https://[::1]:5000", "http://127.9.9.9:5000"):
        host = new_app(uri=uri, PUBLIC_URL=address)
        with host.app.app_context():
            assert site.may_act(host.db.engine), address


def test_a_change_of_domain(new_app: NewApp, server: ScriptedServer, tmp_path: Path) -> None:
    uri = sqlite_url(tmp_path)
    before = new_app(uri=uri, PUBLIC_URL=PANEL)
    fill(before, server, 1)
    assert run(before, "sandbox", "release", "--add", STAGING).exit_code == 0
    after = new_app(uri=uri, PUBLIC_URL=STAGING)
    work(after)
    assert len(server.messages) == 1
    assert run(after, "sandbox", "release", "--remove", f"{PANEL}/").exit_code == 0
    with before.app.app_context():
        site.forget()
        assert not site.may_act(before.db.engine)
    assert run(after, "sandbox", "release", "--remove", PANEL).exit_code == 1
    assert run(after, "sandbox", "release", "--add", "panel.example.com").exit_code == 2


def test_release_without_an_address_names_the_variable(
    new_app: NewApp, server: ScriptedServer, tmp_path: Path
) -> None:
    uri = sqlite_url(tmp_path)
    fill(new_app(uri=uri, PUBLIC_URL=PANEL), server, 1)
    unset = new_app(uri=uri)
    result = run(unset, "sandbox", "release", "--yes")
    assert result.exit_code == 1
    assert "SMTP_ADMIN_PUBLIC_URL is not set here" in result.output


def test_held_mail_is_released_as_far_as_the_sandbox_lets_it(
    databases: Callable[[], str], new_app: NewApp, server: ScriptedServer
) -> None:
    uri = databases()
    held = new_app(uri=uri, SANDBOX="allow:nobody@example.com")
    with held.app.app_context():
        held.save_sender(port=server.port)
        for name in ("me", "you", "mia"):
            held.plugin.send_message(letter(f"{name}@example.org"), partner_id="acme")
        held.db.session.commit()
    work(held)
    assert server.messages == []
    assert '"held": 3' in run(held, "sandbox", "status", "--json").output
    some = new_app(uri=uri, SANDBOX="allow:me@example.org")
    assert run(some, "sandbox", "release").exit_code == 0
    work(some)
    assert [one.recipients for one in server.messages] == [["me@example.org"]]
    assert run(some, "sandbox", "drop", "--yes").output == "2 dropped.\n"
    assert sorted(states(some)) == ["cancelled", "cancelled", "sent"]
    work(new_app(uri=uri))
    assert len(server.messages) == 1
    assert Sandbox(allow=("me@example.org",)) == some.installation.config.sandbox
