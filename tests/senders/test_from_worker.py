"""A connection test that a worker runs: taken once, sealed until then, forgotten soon."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select
from werkzeug.test import TestResponse

from smtp_admin.audit.models import Audit
from smtp_admin.clock import shifted
from smtp_admin.config import Rate
from smtp_admin.connection import from_worker
from smtp_admin.connection.from_worker import (
    ANSWER_WITHIN,
    TAKE_WITHIN,
    count_worker_test,
    run_waiting_test,
    waiting_tests,
)
from smtp_admin.connection.models import WorkerTest
from smtp_admin.database import worker_engine
from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.senders.history import find_revision
from smtp_admin.senders.models import RevisionTest
from smtp_admin.senders.revisions import save_settings
from smtp_admin.senders.values import SenderValues
from tests.app import ADMIN, HostApp, started_with
from tests.patience import SECONDS
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import Reply, ScriptedServer

PAGE = "/smtp-admin/partners/acme"
HTML = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}
FROM = "noreply@acme.example"
PASSWORD = "typed and not saved 密"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """One that wants a login."""
    with ScriptedServer(auth=("u", PASSWORD)) as running:
        yield running


@pytest.fixture
def engine(inside: HostApp) -> Iterator[Engine]:
    """As a worker has one."""
    own = worker_engine(inside.db.engine, pool_size=6)
    yield own
    own.dispose()


def on_screen(server: ScriptedServer, **changes: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "username": "u",
        "password": PASSWORD,
        "from_email": FROM,
    } | changes


def ask(site: HostApp, given: dict[str, Any]) -> dict[str, Any]:
    """Let it be tested from both places; no worker is running yet."""
    answer = site.client.post(f"{PAGE}/test-connection/worker", json=given)
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.get_json()
    assert (body["ok"], body["status"], body["worker"]) == (True, "waiting", None)
    return body


def follow(site: HostApp, asked: dict[str, Any]) -> TestResponse:
    site.db.session.rollback()
    return site.client.get(asked["follow"], headers=JSON)


def work(site: HostApp, engine: Engine, name: str = "box:1", **changes: Any) -> list[bool]:
    """What a worker does with the tests that wait, with its own configuration."""
    site.db.session.rollback()
    config = replace(site.installation.config, **changes)
    keyring = Keyring(config.secret_keys)
    ids = waiting_tests(engine)
    return [run_waiting_test(engine, config, keyring, name, test_id) for test_id in ids]


def row(site: HostApp) -> WorkerTest:
    site.db.session.rollback()
    return site.db.session.scalars(select(WorkerTest)).one()


def test_both_places_side_by_side(inside: HostApp, engine: Engine, server: ScriptedServer) -> None:
    """With a password that is only on the screen."""
    began = time.monotonic()
    asked = ask(inside, on_screen(server))
    assert time.monotonic() - began < 20, "without a worker nobody waits"
    assert asked["message"] == "No worker is running."
    assert asked["web"]["ok"] is True
    waiting = row(inside)
    assert set(waiting.secrets) == {"password"}
    assert PASSWORD not in waiting.secrets["password"]
    assert "password" not in waiting.settings
    assert work(inside, engine) == [True]
    assert row(inside).secrets == {}, "from then on nobody needs it"
    answer = follow(inside, asked)
    body = answer.get_json()
    assert (answer.status_code, body["ok"], body["status"]) == (200, True, "done")
    assert body["differs_at"] is None
    assert body["worker"]["connection"] == body["web"]["connection"]
    assert [one["name"] for one in body["worker"]["steps"]] == [
        one["name"] for one in body["web"]["steps"]
    ]
    assert [one.auth_attempts[0][2] for one in server.sessions] == [PASSWORD] * 2
    assert inside.db.session.scalars(select(RevisionTest)).all() == [], "nothing was saved"
    page = inside.client.get(asked["follow"], headers=HTML).text
    assert "From the web: it works." in page
    assert "From the worker: it works." in page
    assert "box:1" in page
    assert work(inside, engine) == [], "it is done once"


def test_what_is_saved_keeps_both_results(
    inside: HostApp, engine: Engine, server: ScriptedServer
) -> None:
    inside.save_sender(port=server.port, username="u", password=PASSWORD)
    asked = ask(inside, on_screen(server, password=""))
    server.behave("auth", Reply("535 5.7.8 not from there"))
    work(inside, engine)
    answer = follow(inside, asked)
    body = answer.get_json()
    assert (answer.status_code, body["error"]["code"]) == (400, "auth_failed")
    assert (body["web"]["ok"], body["worker"]["ok"], body["differs_at"]) == (True, False, "auth")
    found = inside.db.session.scalars(select(RevisionTest).order_by(RevisionTest.place))
    assert [(one.place, one.ok, one.reply, one.tested_by) for one in found] == [
        ("web", True, "", "Ada"),
        ("worker", False, "535 5.7.8 not from there", "Ada"),
    ]
    page = inside.client.get(asked["follow"], headers=HTML).text
    assert "The results differ at <strong>Login</strong>" in page


def test_its_result_comes_while_the_settings_are_saved(
    inside: HostApp, engine: Engine, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither leaves it to the other to keep the result with the revision."""
    asked = ask(inside, on_screen(server))
    here, session = inside.installation, inside.db.session()
    tested, saved = threading.Event(), threading.Event()
    run = from_worker._run

    def slowly(*arguments: Any) -> Any:
        found = run(*arguments)
        tested.set()
        assert saved.wait(SECONDS)
        return found

    def work_on(test_id: int) -> None:
        with inside.app.app_context():
            run_waiting_test(engine, here.config, here.keyring, "box:1", test_id)

    monkeypatch.setattr(from_worker, "_run", slowly)
    worker = threading.Thread(target=work_on, args=waiting_tests(engine))
    worker.start()
    assert tested.wait(SECONDS)
    session.rollback()
    values = SenderValues(host="127.0.0.1", port=server.port, security="none", from_email=FROM)
    save_settings(session, "acme", values, secrets={}, expected_revision=0, actor=ADMIN)
    revision = find_revision(session, "acme", 1, "")
    assert revision is not None
    count_worker_test(session, asked["follow"].rpartition("/")[2], revision)
    saved.set()
    worker.join(0.5)
    session.commit()
    worker.join(SECONDS)
    found = session.scalars(select(RevisionTest)).all()
    assert [(one.revision_id, one.place, one.ok) for one in found] == [
        (revision.id, "worker", True)
    ]


def test_a_machine_with_other_rules(
    inside: HostApp, engine: Engine, server: ScriptedServer
) -> None:
    asked = ask(inside, on_screen(server))
    work(inside, engine, allowed_ports=frozenset({25}))
    body = follow(inside, asked).get_json()
    assert body["worker"]["error"]["code"] == "destination_not_allowed"
    assert body["differs_at"] == "validate"
    assert server.connections == 1, "only from here"


def test_one_worker_of_many_takes_it(
    inside: HostApp, engine: Engine, server: ScriptedServer
) -> None:
    ask(inside, on_screen(server))
    (test_id,) = waiting_tests(engine)
    here, barrier = inside.installation, threading.Barrier(4)
    taken: list[bool] = []

    def take(name: str) -> None:
        barrier.wait()
        with inside.app.app_context():
            taken.append(run_waiting_test(engine, here.config, here.keyring, name, test_id))

    threads = [threading.Thread(target=take, args=(f"box:{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False, False, False, True]
    assert server.connections == 2, "one from here, one from a worker"
    assert row(inside).state == "done"


def test_a_key_that_the_worker_lacks(
    inside: HostApp, engine: Engine, server: ScriptedServer
) -> None:
    asked = ask(inside, on_screen(server))
    work(inside, engine, secret_keys=(generate_key(),))
    answer = follow(inside, asked)
    assert answer.status_code == 503
    error = answer.get_json()["error"]
    assert "The worker cannot decrypt the password." in error["message"]
    assert (
        "SMTP_ADMIN_SECRET_KEYS. Start workers and web processes with the same keys"
        in error["message"]
    )
    assert server.connections == 1
    assert "cannot decrypt the password" in inside.client.get(asked["follow"], headers=HTML).text


def test_a_row_that_was_led_elsewhere(
    inside: HostApp, engine: Engine, server: ScriptedServer
) -> None:
    """Its password goes where the person who asked wanted it to go, or nowhere."""
    with ScriptedServer(auth=("u", PASSWORD)) as other:
        for change in ({"port": other.port}, {"host": "localhost"}, {"ca_certificate": "another"}):
            asked = ask(inside, on_screen(server))
            changed = row(inside)
            changed.settings = changed.settings | change
            inside.db.session.commit()
            work(inside, engine)
            answer = follow(inside, asked)
            assert answer.status_code == 503
            assert "does not match these settings" in answer.get_json()["error"]["message"]
            inside.db.session.delete(row(inside))
            inside.db.session.commit()
        assert other.connections == 0
    assert server.connections == 3, "only from here"


def test_nobody_took_it(inside: HostApp, engine: Engine, server: ScriptedServer) -> None:
    asked = ask(inside, on_screen(server))
    with shifted(TAKE_WITHIN + timedelta(seconds=1)):
        here = inside.installation
        test_id = row(inside).id
        assert not run_waiting_test(engine, here.config, here.keyring, "late", test_id)
        assert waiting_tests(engine) == []
        assert row(inside).secrets == {}, "it is of no more use"
        answer = follow(inside, asked)
        assert answer.status_code == 503
        assert "No worker took the test" in answer.get_json()["error"]["message"]
        assert answer.get_json()["web"]["ok"] is True
        page = inside.client.get(asked["follow"], headers=HTML).text
        assert "No worker took the test" in page
        assert "Check again" not in page
    assert server.connections == 1


def test_it_is_forgotten(inside: HostApp, engine: Engine, server: ScriptedServer) -> None:
    asked = ask(inside, on_screen(server))
    with shifted(timedelta(minutes=11)):
        assert follow(inside, asked).status_code == 404
        waiting_tests(engine)
        inside.db.session.rollback()
        assert inside.db.session.scalars(select(WorkerTest)).all() == []


def test_it_is_forgotten_where_no_worker_ever_runs(inside: HostApp, server: ScriptedServer) -> None:
    ask(inside, on_screen(server))
    with shifted(TAKE_WITHIN + timedelta(seconds=1)):
        ask(inside, on_screen(server))
        inside.db.session.rollback()
        found = inside.db.session.scalars(select(WorkerTest).order_by(WorkerTest.id)).all()
        assert [bool(one.secrets) for one in found] == [False, True]
    with shifted(timedelta(minutes=10, seconds=30)):
        ask(inside, on_screen(server))
        inside.db.session.rollback()
        assert len(inside.db.session.scalars(select(WorkerTest)).all()) == 2


def test_a_worker_that_was_stopped_in_the_middle(inside: HostApp, server: ScriptedServer) -> None:
    asked = ask(inside, on_screen(server))
    taken = row(inside)
    taken.state, taken.worker, taken.taken_at = "running", "box:1", taken.created_at
    inside.db.session.commit()
    assert follow(inside, asked).get_json()["status"] == "running"
    with shifted(ANSWER_WITHIN + timedelta(seconds=1)):
        answer = follow(inside, asked)
    assert (answer.status_code, answer.get_json()["status"]) == (503, "unanswered")


def test_it_counts_as_two_tests(inside: HostApp, engine: Engine, server: ScriptedServer) -> None:
    """And the audit log has two entries; each gets its outcome when there is one."""
    config = replace(inside.installation.config, test_limit=Rate(3, 600))
    inside.app.extensions["smtp_admin"] = replace(inside.installation, config=config)
    ask(inside, on_screen(server))
    refused = inside.client.post(f"{PAGE}/test-connection/worker", json=on_screen(server))
    assert refused.status_code == 429, "one is left, and it needs two"
    assert refused.headers["Retry-After"]
    assert server.connections == 1
    noted = select(Audit.detail).order_by(Audit.id)
    here, waiting = f"127.0.0.1:{server.port}", row(inside).public_id
    assert inside.db.session.scalars(noted).all() == [
        f"{here}: succeeded", f"{here} by a worker, test {waiting}"
    ]  # fmt: skip
    work(inside, engine, allowed_ports=frozenset({25}))
    assert inside.db.session.scalars(noted).all() == [
        f"{here}: succeeded",
        f"{here} by a worker: failed at validate (destination_not_allowed)",
    ]
    assert inside.client.post(f"{PAGE}/test-connection", json=on_screen(server)).status_code == 200


def test_fields_that_cannot_be_used(inside: HostApp, server: ScriptedServer) -> None:
    for change, code in (
        ({"host": ""}, "missing_host"),
        ({"port": "many"}, "invalid_input"),
        ({"password": ""}, "password_required"),
    ):
        given = on_screen(server, **change)
        answer = inside.client.post(f"{PAGE}/test-connection/worker", json=given)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, code)
        form = {name: str(value) for name, value in given.items()}
        page = inside.client.post(f"{PAGE}/test-connection/worker", data=form, headers=HTML)
        assert page.status_code == 400
        assert "No connection was made." in page.text
    assert inside.db.session.scalars(select(WorkerTest)).all() == []
    assert server.connections == 0


def test_without_a_key_no_password_is_kept_for_a_worker(
    inside: HostApp, server: ScriptedServer
) -> None:
    inside.app.extensions["smtp_admin"] = replace(inside.installation, keyring=Keyring([]))
    for headers in (JSON, HTML):
        form = {name: str(value) for name, value in on_screen(server).items()}
        answer = inside.client.post(f"{PAGE}/test-connection/worker", data=form, headers=headers)
        assert answer.status_code == 503
        assert "SMTP_ADMIN_SECRET_KEYS" in answer.text
    assert inside.db.session.scalars(select(WorkerTest)).all() == []
    # Without a password there is nothing to seal.
    ask(inside, on_screen(server, username="", password=""))


def test_only_a_number_goes_through_redis(
    inside: HostApp, server: ScriptedServer, redis: RedisServer
) -> None:
    ask(inside, on_screen(server))
    text = redis.dump_text()
    assert b"test_connection" in text
    for secret in (PASSWORD, row(inside).secrets["password"], "127.0.0.1", "noreply@"):
        assert secret.encode() not in text


def test_redis_that_is_away_is_said_within_seconds(
    inside: HostApp, engine: Engine, server: ScriptedServer, closed_port: int
) -> None:
    config = replace(inside.installation.config, redis_url=f"redis://127.0.0.1:{closed_port}/0")
    inside.app.extensions["smtp_admin"] = started_with(inside.installation, config=config)
    began = time.monotonic()
    asked = ask(inside, on_screen(server))
    assert time.monotonic() - began < 20
    assert asked["message"] == "Redis does not answer, so no worker was notified."
    page = inside.client.get(asked["follow"], headers=HTML).text
    assert "Redis does not answer" in page
    assert "Check again" in page
    assert work(inside, engine) == [True], "workers find it by themselves"
    assert follow(inside, asked).status_code == 200


def test_the_command_says_at_once_that_nobody_works(
    inside: HostApp, server: ScriptedServer
) -> None:
    inside.save_sender(port=server.port, username="u", password=PASSWORD)
    runner = inside.app.test_cli_runner()
    words = ["smtp-admin", "test-connection", "--partner", "acme", "--from-worker"]
    began = time.monotonic()
    result = runner.invoke(args=words)
    assert time.monotonic() - began < 20, "a worker that is there may take 25"
    assert result.exit_code == 1
    assert "No worker is running." in result.output
    assert "Works." in result.output, "from here it does"


def test_a_burst_runs_it(inside: HostApp, server: ScriptedServer) -> None:
    inside.actor = ADMIN
    asked = ask(inside, on_screen(server))
    inside.work()
    assert follow(inside, asked).status_code == 200
