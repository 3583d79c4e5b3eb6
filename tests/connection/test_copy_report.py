"""The report of a connection test says what a provider's support needs, and nothing secret."""

import base64
from datetime import UTC, datetime

from smtp_admin.connection.copy_report import report_text
from smtp_admin.connection.from_worker import BothTests
from tests.connection.trying import FROM, LOGIN, PASSWORD, try_settings
from tests.servers.scripted import ScriptedServer

NOON = datetime(2026, 11, 28, 12, 0, 5, tzinfo=UTC)


def test_a_refused_login_is_told_in_full_and_without_the_password() -> None:
    with ScriptedServer(auth=(LOGIN, "another")) as server:
        result, _ = try_settings(server.port, None, security="none", host="127.0.0.1")
    text = report_text(result, at=NOON)
    assert "Connection test, 2026-11-28 12:00:05 UTC" in text
    assert "Host: 127.0.0.1" in text
    assert f"Port: {server.port}" in text
    assert f"From address: {FROM}" in text
    assert "[auth_failed at auth]" in text
    assert "The server said: 535 5.7.8" in text
    assert "- connect: ok" in text
    assert "- auth: failed" in text
    assert "Tried 127.0.0.1: connected" in text
    assert "C: EHLO" in text
    assert "S: 535" in text
    plain = base64.b64encode(f"\0{LOGIN}\0{PASSWORD}".encode()).decode()
    for secret in (PASSWORD, plain, base64.b64encode(PASSWORD.encode()).decode()):
        assert secret not in text


def test_a_server_that_is_not_there(closed_port: int) -> None:
    result, _ = try_settings(closed_port, None, security="none", host="127.0.0.1")
    text = report_text(result, at=NOON)
    assert "Tried 127.0.0.1: connection refused" in text
    assert "[connection_refused at connect]" in text
    assert "Dialogue" not in text


def test_both_places_stand_in_one_text() -> None:
    with ScriptedServer(auth=(LOGIN, PASSWORD)) as server:
        here, _ = try_settings(server.port, None, security="none", host="127.0.0.1")
        there, _ = try_settings(
            server.port, None, security="none", host="127.0.0.1", password="wrong"
        )
    both = BothTests("x" * 32, "done", web=here, remote=there, worker="vm:1")
    text = report_text(here, both, at=NOON)
    assert text.index("From the web process:") < text.index("From a worker:")
    assert text.count("It worked") == 1
    assert text.count("[auth_failed at auth]") == 1


def test_a_worker_that_does_not_answer_is_told() -> None:
    with ScriptedServer() as server:
        here, _ = try_settings(server.port, None, security="none", host="127.0.0.1", username="")
    both = BothTests("x" * 32, "unanswered", web=here, message="No worker took the test.")
    assert "From a worker: No worker took the test." in report_text(here, both, at=NOON)
