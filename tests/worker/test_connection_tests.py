"""Connection tests by a real worker process, asked for by the page, the API and the command."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from smtp_admin.connection.from_worker import ask_worker, look
from smtp_admin.connection.models import WorkerTest
from smtp_admin.connection.service import prepare
from smtp_admin.database import transaction
from smtp_admin.delivery.doorbell import doorbell
from smtp_admin.installation import installation
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import queue
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer, Stall
from tests.worker.running import PROMPTLY, Site, until

PAGE = "/smtp-admin/partners/acme"
PASSWORD = "typed, not saved"


def on_screen(server: ScriptedServer) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "username": "u",
        "password": PASSWORD,
        "from_email": "noreply@acme.example",
    }


def hears(host: HostApp) -> bool:
    """Whether a worker listens."""
    with host.app.app_context():
        return bool(doorbell(installation()).workers())


@pytest.fixture
def site(tmp_path: Path, redis: RedisServer) -> Site:
    """A host app for workers, with the admin signed in."""
    made = Site(tmp_path, redis.url)
    made.host.actor = ADMIN
    return made


def test_the_answer_is_there_at_once(site: Site, redis: RedisServer) -> None:
    server = ScriptedServer(auth=("u", PASSWORD))
    with server, site.opened() as host, site.worker() as worker:
        assert until(lambda: hears(host)), worker.output
        answer = host.client.post(f"{PAGE}/test-connection/worker", json=on_screen(server))
        body = answer.get_json()
        assert (answer.status_code, body["status"]) == (200, "done"), body
        assert body["web"]["ok"] is body["worker"]["ok"] is True
        assert len(server.sessions) == 2
        headers = {"Accept": "text/html"}
        page = host.client.post(
            f"{PAGE}/test-connection/worker", data=on_screen(server), headers=headers
        )
        assert "From the worker: it works." in page.text
        host.save_sender(port=server.port, username="u", password=PASSWORD)
        words = ["smtp-admin", "test-connection", "--partner", "acme", "--from-worker"]
        result = host.app.test_cli_runner().invoke(args=words)
        assert result.exit_code == 0, result.output
        assert "From the worker" in result.output
        result = host.app.test_cli_runner().invoke(args=[*words, "--json"])
        assert json.loads(result.stdout)["worker"]["ok"] is True
        assert PASSWORD.encode() not in redis.dump_text() + worker.output.encode()
        assert worker.stop() < PROMPTLY


def test_a_worker_with_other_rules_and_without_redis(
    site: Site, tmp_path: Path, redis: RedisServer
) -> None:
    """It finds the test by itself, within a sweep, and says what it may not dial."""
    config = json.loads((tmp_path / "config.json").read_text())
    config["SMTP_ADMIN_ALLOWED_PORTS"] = [25]
    (tmp_path / "config.json").write_text(json.dumps(config))
    server = ScriptedServer(auth=("u", PASSWORD))
    with server, site.opened() as host, site.worker() as worker:
        worker.ready()
        redis.stop()
        began = time.monotonic()
        answer = host.client.post(f"{PAGE}/test-connection/worker", json=on_screen(server))
        assert time.monotonic() - began < 20, "a page does not hang"
        # The worker's own look may come while the page still waits, and its answer too.
        there = answer.status_code != 202
        assert (
            not there or answer.get_json()["worker"]["error"]["code"] == "destination_not_allowed"
        )
        said = answer.get_json().get("message", "A worker is testing.")
        assert "Redis does not answer" in said or said == "A worker is testing."
        address = answer.get_json()["follow"]
        assert until(lambda: host.client.get(address).status_code == 400), worker.output
        body = host.client.get(address).get_json()
        assert body["worker"]["error"]["code"] == "destination_not_allowed"
        assert body["differs_at"] == "validate"
        redis.start()


def test_a_server_that_says_nothing_holds_up_neither_mail_nor_the_end(site: Site) -> None:
    silent = ScriptedServer(behaviours={"greeting": Stall()})
    with silent, ScriptedServer() as server, site.opened() as host, site.worker() as worker:
        host.save_sender(port=server.port)
        assert until(lambda: hears(host)), worker.output
        given = on_screen(silent) | {"username": "", "password": ""}
        with host.app.app_context():
            # Only the worker's part: this process would wait for the server too.
            session = host.db.session()
            prepared = prepare(session, "acme", given, ADMIN)
            test_id, _ = ask_worker(session, "acme", prepared, ADMIN)
            session.commit()
            assert doorbell().call_for_test(test_id)
        assert until(lambda: silent.connections == 1), worker.output
        queue(host)
        assert server.wait_for_messages(1), worker.output
        assert worker.stop() < PROMPTLY


def test_what_a_session_read_before_is_not_believed(site: Site) -> None:
    """A host may keep one session for many requests, and the row with it."""
    with site.opened() as host:
        session = host.db.session()
        given = on_screen(ScriptedServer()) | {"port": 2525, "username": "", "password": ""}
        test_id, public_id = ask_worker(
            session, "acme", prepare(session, "acme", given, ADMIN), ADMIN
        )
        session.commit()
        held = session.get(WorkerTest, test_id)
        assert held is not None
        assert held.state == "waiting"
        with transaction(host.db.engine) as other:  # a worker, in its own process
            other.execute(update(WorkerTest).values(state="failed", problem="not here"))
        seen = look(session, "acme", public_id)
        assert seen is not None
        assert (seen.status, seen.message) == ("failed", "not here")
