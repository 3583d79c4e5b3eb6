"""A good connection: the documented JSON, no more and no less."""

import datetime
import re
from typing import Any

import pytest

from tests.app import HostApp
from tests.connection.answers import (
    CONNECTION_KEYS,
    PASSWORD,
    USERNAME,
    Answer,
    assert_no_secret,
    check_steps,
)
from tests.connection.conftest import ADDRESS, Ask
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import EXTENSIONS, ScriptedServer

ACCOUNT = (USERNAME, PASSWORD)


def check_success(answer: Answer, server: ScriptedServer, security: str) -> dict[str, Any]:
    """The documented form of a success; returns its ``connection``."""
    assert answer.status == 200, answer.text
    body = answer.body
    assert set(body) == {"ok", "duration_ms", "connection", "steps", "warnings"}
    assert body["ok"] is True
    assert 0 < body["duration_ms"] <= answer.seconds * 1000 + 1
    check_steps(body["steps"])
    assert set(answer.steps.values()) <= {"ok", "skipped"}
    connection: dict[str, Any] = body["connection"]
    assert set(connection) == CONNECTION_KEYS
    assert connection["port"] == server.port
    assert connection["security"] == security
    assert connection["username"] == USERNAME
    assert connection["from_email"] == "noreply@acme.example"
    assert connection["address"] == "127.0.0.1"
    assert connection["auth_methods"] == ["PLAIN", "LOGIN"]
    assert connection["extensions"] == [*EXTENSIONS, "AUTH PLAIN LOGIN"]
    assert_no_secret(answer.text)
    assert server.sessions[0].auth_attempts == [("PLAIN", *ACCOUNT)]
    assert server.sessions[0].commands[-1] == "QUIT"
    return connection


def test_plain(ask: Ask) -> None:
    with ScriptedServer(auth=ACCOUNT) as server:
        answer = ask(server)
        connection = check_success(answer, server, "none")
        assert connection["tls"] is None
        assert answer.warnings == ["no_encryption"]
        assert answer.steps["auth"] == answer.steps["sender"] == "ok"


@pytest.mark.parametrize("security", ["ssl", "tls"])
def test_encrypted(ask: Ask, certificates: CertificateFactory, security: str) -> None:
    context = certificates.server_context(certificates.valid())
    how: dict[str, Any] = {"implicit_tls" if security == "ssl" else "starttls": context}
    with ScriptedServer(auth=ACCOUNT, **how) as server:
        answer = ask(server, security=security)
        connection = check_success(answer, server, security)
        assert connection["host"] == "localhost"
        tls = connection["tls"]
        expires = datetime.datetime.fromisoformat(tls.pop("expires"))
        assert expires > datetime.datetime.now(datetime.UTC)
        assert re.fullmatch(r"[A-Z0-9_]+", tls.pop("cipher"))
        assert tls == {"version": "TLSv1.3", "verified": True, "subject": "localhost",
                       "issuer": "Test authority"}  # fmt: skip
        assert answer.warnings == []
        assert answer.steps["certificate"] == answer.steps["tls"] == "ok"
        assert ("starttls" in answer.steps) == (security == "tls")
        assert b"AUTH" not in server.sessions[0].plain_bytes


def test_without_login(ask: Ask) -> None:
    with ScriptedServer() as server:
        answer = ask(server, username="", password="never to be sent")
        assert answer.status == 200
        assert answer.steps["auth"] == "skipped"
        assert b"AUTH" not in server.sessions[0].plain_bytes


def test_form_without_a_script(ask: Ask, tested_host: HostApp) -> None:
    """A browser without JavaScript gets the page, with the result in it and no password."""
    with ScriptedServer(auth=ACCOUNT) as server:
        given = {
            "host": "127.0.0.1",
            "port": str(server.port),
            "security": "none",
            "username": USERNAME,
            "password": PASSWORD,
            "from_email": "noreply@acme.example",
        }
        page = tested_host.client.post(ADDRESS, data=given, headers={"Accept": "text/html"})
        assert page.status_code == 200
        assert page.mimetype == "text/html"
        assert len(server.sessions[0].auth_attempts) == 1
        assert_no_secret(page.text)


def test_answer_is_not_kept(ask: Ask, tested_host: HostApp) -> None:
    response = tested_host.client.post(ADDRESS, json={})
    assert response.headers["Cache-Control"] == "no-store"
