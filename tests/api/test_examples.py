"""The examples of the API's page, run as they stand there against a real server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import playwright
import pytest

from smtp_admin.api.operations import OPERATIONS, QUEUE_FIELDS
from smtp_admin.api.scopes import SCOPES, scopes_with
from tests.app import HostApp
from tests.delivery.workbench import deliveries
from tests.servers import find_program
from tests.servers.curl import find_curl
from tests.servers.scripted import Reply, ScriptedServer
from tests.servers.skipping import skipped_if_unavailable
from tests.test_docs import blocks, coded, rows, section
from tests.test_docs_examples import form_of

from .conftest import READY, Program, a_token
from .fuzzing import served

PAGE = "docs/api.md"


@pytest.fixture
def surroundings(site: HostApp) -> Iterator[dict[str, str]]:
    """The environment that the examples read."""
    token = a_token(site, "acme", ["send", "read", "change", "suppressions"])
    with served(site) as address:
        yield {"MAIL_API": address, "MAIL_TOKEN": token, "PATH": os.environ["PATH"]}


def example(language: str, words: str) -> str:
    (found,) = (text for page, text in blocks(language) if page == PAGE and words in text)
    return found


def run(surroundings: dict[str, str], *command: str, text: str = "") -> str:
    done = subprocess.run(
        command,
        input=text,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_with_curl(site: HostApp, surroundings: dict[str, str]) -> None:
    with skipped_if_unavailable():
        find_curl()
    text = example("sh", "$MAIL_API/queue")
    first, second = (json.loads(run(surroundings, "sh", "-eu", text=text)) for _ in range(2))
    assert first["ok"] is True
    assert first == second
    assert [one.recipient for one in deliveries(site)] == ["mia@example.com"]
    added = json.loads(run(surroundings, "sh", "-eu", text=example("sh", "$MAIL_API/suppressions")))
    assert (added["address"], added["new"]) == ("gone@example.com", True)


def test_with_python(site: HostApp, surroundings: dict[str, str]) -> None:
    text = example("python", "urllib.request")
    assert run(surroundings, sys.executable, "-", text=text) == "{'queued': 1}\n"
    assert [one.recipient for one in deliveries(site)] == ["mia@example.com"]
    refused = text.replace('"type": "password_reset"', '"type": "nothing"')
    done = subprocess.run(
        [sys.executable, "-"], input=refused.replace("reset-42", "reset-43"), env=surroundings,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "RuntimeError: Please fix “type”." in done.stderr


def test_with_javascript(site: HostApp, surroundings: dict[str, str], tmp_path: Path) -> None:
    # Playwright brings a Node.js of its own.
    node = find_program("node") or Path(playwright.__file__).parent / "driver" / "node"
    file = tmp_path / "example.mjs"
    file.write_text(example("js", "fetch("), "utf-8")
    assert run(surroundings, str(node), str(file)) == "1\n"
    assert [one.state for one in deliveries(site)] == ["cancelled"]


def test_the_answers_have_the_fields_that_are_shown(
    site: HostApp, program: Callable[..., Program]
) -> None:
    queued, message, _, error = (json.loads(text) for page, text in blocks("json") if page == PAGE)
    ask = program()
    with ScriptedServer(behaviours={"rcpt": Reply("550 5.1.1 no such user")}) as server:
        site.save_sender(port=server.port)
        answer = ask("POST", "/queue", json=READY).get_json()
        assert form_of(answer) == form_of(queued)
        site.work()
        seen = ask("GET", f"/messages/{answer['id']}").get_json()
    assert form_of(seen) == form_of(message)
    shown, real = (
        {name: one["deliveries"][0][name] for name in ("code", "cause", "error", "reply", "state")}
        for one in (message, seen)
    )
    assert shown == real
    refused = ask("POST", "/queue", json=READY | {"to": ["mia@example.com", "tom@"]})
    assert refused.get_json() == error


def test_to_many_as_it_is_printed(host: HostApp) -> None:
    """With the types as they are shipped, not with a test's own."""
    batch = json.loads(example("json", '"batch_key"'))
    host.save_sender("acme")
    answer = Program(host, a_token(host, "acme", ["send"]))("POST", "/batch", json=batch)
    assert answer.status_code == 202, answer.text
    assert answer.get_json()["queued"] == 2


def test_the_tables_are_complete() -> None:
    named = {name for row in rows(section(PAGE, "Queue a mail")) for name in coded(row[0])}
    assert named == {one.name for one in QUEUE_FIELDS}
    shown = {
        coded(row[0])[0]: {one.replace("<id>", "<public_id>") for one in coded(row[1])}
        for row in rows(section(PAGE, "Tokens"))
    }
    assert shown == {
        scope: {
            f"{one.method} {one.path}" for one in OPERATIONS if scope in scopes_with(one.action)
        }
        for scope in SCOPES
    }
