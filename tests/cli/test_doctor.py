"""``doctor``: it sees what is wrong, says what to do, never waits for long and never falls over."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from socket import socket
from threading import Event
from typing import Any

import pytest
import redis as redis_py
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from smtp_admin import SMTPAdmin, clock, schema
from smtp_admin.clock import shifted
from smtp_admin.database import VERSION_TABLE
from smtp_admin.delivery import listeners
from smtp_admin.delivery.doorbell import doorbell
from smtp_admin.host import OPERATOR
from smtp_admin.monitor import check_database, check_redis
from smtp_admin.monitor.check_links import links
from smtp_admin.monitor.health import Check, Part, examine
from smtp_admin.monitor.parts import PARTS
from smtp_admin.senders import pauses
from smtp_admin.senders.resolve import load_sender
from tests.app import HostApp, make_app
from tests.cli.doctor import PASSWORD, look, only, run, statuses
from tests.cli.site import make_site_with_partners
from tests.delivery.workbench import queue
from tests.patience import SECONDS
from tests.servers.certificates import CertificateFactory
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import Site, until

LOGIN = "mia@acme.example"


# --- All well, and workers -----------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, redis: RedisServer, certificates: CertificateFactory) -> Site:
    """An app that workers can be started for."""
    return make_site_with_partners(tmp_path / "site", redis.url, certificates)


def test_all_is_well_and_then_the_worker_dies(
    site: Site,
    redis: RedisServer,
    new_app: Callable[..., HostApp],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ScriptedServer(auth=(LOGIN, PASSWORD)) as server, site.opened() as host:
        host.save_sender("", port=server.port, username=LOGIN, password=PASSWORD)
        assert "No worker runs for this database" in only(host, "workers")["message"]
        with site.worker() as worker:
            worker.ready()
            queue(host, partner_id="")
            assert server.wait_for_messages(1)
            assert until(lambda: "Last accepted" in only(host, "sender")["message"])
            answer = subprocess.run(
                [sys.executable, "-m", "flask", "--app", "app.py", "smtp-admin", "doctor"],
                cwd=site.folder,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (answer.returncode, answer.stderr) == (0, "")
            assert "✕" not in answer.stdout
            # It may be slow to answer, on a busy machine.
            fine = "! (certificates|sandbox|links|redis +Redis [^ ]+ at [^ ]+: it took)"
            assert "!" not in re.sub(fine, "", answer.stdout)
            assert "1 worker (" in answer.stdout
            # Somebody emptied Redis: the worker says again that it is there.
            redis.flush()
            assert until(lambda: only(host, "workers")["status"] == "ok")
            # Another app on the same Redis has no worker, and is told where one might be.
            other = new_app()
            with other.app.app_context():
                assert only(other, "workers")["status"] == "failed"
                assert "SQLALCHEMY_DATABASE_URI" in only(other, "workers")["hint"]
            monkeypatch.setattr(listeners, "SILENT_SECONDS", 4.0)
            worker.kill()
            assert until(lambda: only(host, "workers")["status"] == "failed")
            assert "was last heard" in only(host, "workers")["message"]
            assert doorbell().workers() == 0, "what pages and alerts ask"
            assert "flask smtp-admin worker" in only(host, "workers")["hint"]
            with site.worker() as second:
                second.ready()
                assert until(lambda: look(host)["workers"][0]["status"] == "ok")
                assert [one["status"] for one in look(host)["workers"]] == ["ok", "warning"]
                assert run(host).exit_code == 0
                assert run(host, "--strict").exit_code == 1


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("http://127.0.0.1:5000", "warning", "they work here only"),
        ("http://panel.example.com", "warning", "no one-click unsubscribe"),
        ("https://panel.example.com", "ok", "begin with https://panel.example.com."),
    ],
)
def test_links_in_mail(new_app: Callable[..., HostApp], url: str, status: str, words: str) -> None:
    """On the machine of whoever tries it out, that is right, and said so."""
    with new_app(PUBLIC_URL=url).app.app_context():
        (found,) = links()
    assert found.status == status
    assert words in found.message
    assert ("trying it out" in found.hint) == ("127.0.0.1" in url)


# --- Redis ---------------------------------------------------------------------------------------


def test_redis_stopped(host: HostApp, redis: RedisServer) -> None:
    redis.stop()
    began = time.monotonic()
    result = run(host)
    assert time.monotonic() - began < 30
    assert result.exit_code == 1
    assert "cannot be reached" in result.output
    assert statuses(host) | {"redis": "failed", "clock": "skipped"} == statuses(host)
    assert "is unknown whether" in only(host, "workers")["message"]


@pytest.mark.usefixtures("redis_seconds")
def test_redis_frozen(host: HostApp, redis: RedisServer) -> None:
    redis.pause()
    try:
        began = time.monotonic()
        result = run(host)
        assert time.monotonic() - began < 30
    finally:
        redis.resume()
    assert result.exit_code == 1
    assert "does not answer in 2 seconds" in " ".join(result.output.split())


@contextmanager
def told(redis: RedisServer, *settings: tuple[str, str]) -> Iterator[None]:
    """Redis with other *settings* for a while."""
    client: Any = redis_py.Redis.from_url(redis.url)
    before = {name: client.config_get(name)[name] for name, _ in settings}
    for name, value in settings:
        client.config_set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            client.config_set(name, value)
        client.close()


def test_redis_that_throws_bells_away(host: HostApp, redis: RedisServer) -> None:
    with told(redis, ("maxmemory", "100mb"), ("maxmemory-policy", "allkeys-lru")):
        found = only(host, "redis")
    assert (found["status"], "allkeys-lru" in found["message"]) == ("warning", True)
    assert "noeviction" in found["hint"]
    with told(redis, ("maxmemory", "1mb")):
        found = only(host, "redis")
    assert found["status"] in {"warning", "failed"}  # full, or as good as full
    # More than once: on a busy machine Redis may be slow to answer, and the doctor says so.
    assert until(lambda: only(host, "redis")["status"] == "ok")


def test_redis_that_takes_no_writes(host: HostApp, redis: RedisServer) -> None:
    client: Any = redis_py.Redis.from_url(redis.url)
    client.replicaof("127.0.0.1", "1")
    try:
        found = only(host, "redis")
    finally:
        client.replicaof("NO", "ONE")
        client.close()
    assert (found["status"], "refuses writes" in found["message"]) == ("failed", True)


def test_redis_refuses_our_password(new_app: Callable[..., HostApp], redis: RedisServer) -> None:
    made = new_app(REDIS_URL=redis.url.replace("//", f"//:{PASSWORD}@"))
    with told(redis, ("requirepass", "another")), made.app.app_context():
        # The test's own client was connected before, so that it can take it back.
        found = only(made, "redis")
    assert (found["status"], "refuses our password" in found["message"]) == ("failed", True)


# --- The database --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_other_databases(request: pytest.FixtureRequest, redis: RedisServer, kind: str) -> None:
    uri = request.getfixturevalue(kind).create_database()
    made = make_app(uri, {"REDIS_URL": redis.url})
    with made.app.app_context():
        made.save_sender("", username=LOGIN, password=PASSWORD)
        queue(made, partner_id="")
        found = statuses(made)
        assert found.pop("workers") == "failed"
        found.pop("certificates")
        assert found.pop("sender") == "warning"  # its mail waits for a worker
        # There is no SMTP_ADMIN_PUBLIC_URL.
        assert (found.pop("sandbox"), found.pop("links")) == ("warning", "warning")
        assert set(found.values()) == {"ok"}
        with shifted(timedelta(minutes=11)):
            assert only(made, "mail")["status"] == "failed"
        made.db.session.remove()
        made.db.engine.dispose()


def test_tables_missing_and_too_new(host: HostApp) -> None:
    with host.db.engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    assert "9999" in only(host, "tables")["message"]
    with host.db.engine.begin() as connection:
        head = schema.head()
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{head}'"))
    schema.downgrade(host.db.engine, "base")
    result = run(host)
    assert result.exit_code == 1
    assert "flask smtp-admin db upgrade" in result.output
    found = statuses(host)
    assert found["tables"] == "failed"
    for name in ("workers", "mail", "keys", "sender", "servers"):
        assert found[name] == "skipped"
    assert found["redis"] in {"ok", "warning"}  # it may be slow


def test_a_database_that_never_answers(new_app: Callable[..., HostApp]) -> None:
    made = new_app()
    with socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        frozen = app_on(f"postgresql+psycopg://u@127.0.0.1:{port}/x", made)
        with frozen.app.app_context():
            began = time.monotonic()
            health = examine(PARTS, patience=5.0)
            assert time.monotonic() - began < 30
    found = {one.name: one.status for one in health.checks}
    assert (found["database"], found["tables"], found["sender"]) == ("failed", "skipped", "skipped")
    assert found["environment"] == "ok"
    away = app_on(f"postgresql+psycopg://u:{PASSWORD}@127.0.0.1:{port}/shop", made)
    with away.app.app_context():
        found_ = only(away, "database")
    assert (found_["status"], f"127.0.0.1:{port}/shop" in found_["message"]) == ("failed", True)


def app_on(uri: str, like: HostApp) -> HostApp:
    """An app whose database is not there, so that it cannot be migrated."""
    app = Flask("tests.app")
    app.config.update(like.app.config, SQLALCHEMY_DATABASE_URI=uri)
    db = SQLAlchemy(app)
    plugin = SMTPAdmin(host=like.host)
    plugin.init_app(app, db)
    return HostApp(app, db, plugin, like.host, like.secret_key)


def test_readers_that_block_the_writer(host: HostApp) -> None:
    with host.db.engine.connect() as connection:
        connection.execute(text("PRAGMA journal_mode=DELETE"))
    found = only(host, "storage")
    assert (found["status"], "delete" in found["message"]) == ("warning", True)


@pytest.mark.parametrize(
    ("ahead", "status"),
    [(0.5, "ok"), (-1.9, "ok"), (5, "warning"), (-59, "warning"), (90, "failed")],
)
def test_clocks(host: HostApp, ahead: float, status: str) -> None:
    """The machine's clock is moved; those of the database and of Redis are what they are."""

    def wrong() -> Any:
        return clock.now() - timedelta(seconds=ahead)

    (ours,) = check_database.database_clock(wrong)
    (theirs,) = check_redis.redis_clock(wrong)
    assert (ours.status, theirs.status) == (status, status)
    if status != "ok":
        assert ("ahead of" if ahead > 0 else "behind") in ours.message
        assert "Redis" in theirs.message


# --- Whatever happens ----------------------------------------------------------------------------


def test_a_check_that_breaks_or_hangs_hides_no_other(host: HostApp) -> None:
    def breaks() -> Iterator[Check]:
        raise ZeroDivisionError(PASSWORD)

    over = Event()

    def hangs() -> Iterator[Check]:
        over.wait(SECONDS)
        yield Check("hangs", "ok", "Late.")

    def fine() -> Iterator[Check]:
        yield Check("fine", "ok", "Fine.")

    parts = (Part("breaks", breaks), Part("hangs", hangs), Part("fine", fine),
             Part("needs", fine, ("hangs",)))  # fmt: skip
    health = examine(parts, patience=2.0)
    over.set()
    assert [one.status for one in health.checks] == ["failed", "failed", "ok", "skipped"]
    assert "ZeroDivisionError" in health.checks[0].message
    assert PASSWORD not in str(health)


def test_a_pause_by_hand_is_no_mystery(host: HostApp) -> None:
    host.save_sender("acme")
    with_session = host.db.session()
    pauses.pause(with_session, load_sender(with_session, "acme"), OPERATOR)
    with_session.commit()
    (found,) = [one for one in look(host)["sender"] if one["subject"] == "partner acme"]
    assert found["status"] == "warning"
    assert "Paused by hand" in found["message"]
    assert "smtp-admin senders resume" in found["hint"]


def test_a_terminal_that_knows_few_letters(site: Site) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app.py", "smtp-admin", "doctor"],
        cwd=site.folder,
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    )
    assert (answer.returncode, answer.stderr) == (1, b"")
    assert b"\nok database" in answer.stdout
    assert b"\nX  workers" in answer.stdout


def test_exit_status(host: HostApp) -> None:
    assert run(host).exit_code == 1  # no worker
    assert run(host, "--strict").exit_code == 1
    assert json.loads(run(host, "--json").stdout)["versions"]["smtp_admin"]
