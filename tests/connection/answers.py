"""What comes back from a connection test, and what every such answer must fulfil."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from smtp_admin.smtp.failure import CODES
from smtp_admin.transports.smtp.probe import STEPS
from tests.servers.scripted import ScriptedServer

USERNAME = "robot@acme.example"
PASSWORD = "pässword-canary-7731"
CONNECTION_KEYS = {
    "driver", "host", "port", "security", "username", "from_email", "address", "tls", "extensions",
    "auth_methods",
}  # fmt: skip
STEP_KEYS = {"name", "status", "ms", "detail", "reply"}


@dataclass(frozen=True)
class Answer:
    """One answer; ``seconds`` is how long it took."""

    status: int
    body: dict[str, Any]
    text: str
    seconds: float

    @property
    def steps(self) -> dict[str, str]:
        """Each step with its status."""
        return {step["name"]: step["status"] for step in self.body["steps"]}

    @property
    def warnings(self) -> list[str]:
        """The codes of the warnings of a success."""
        return [one["code"] for one in self.body["warnings"]]


def secret_forms(password: str = PASSWORD, username: str = USERNAME) -> Iterator[str]:
    """The password, and each way in which it travels."""
    yield password
    for raw in (password, f"\0{username}\0{password}"):
        yield base64.b64encode(raw.encode()).decode().rstrip("=")


def assert_no_secret(*texts: str) -> None:
    """No form of the password is in any of *texts*, escaped as JSON or not."""
    for text in texts:
        for form in secret_forms():
            assert form not in text
            assert form.encode("ascii", "backslashreplace").decode() not in text
        assert "canary" not in text


def assert_no_login(server: ScriptedServer) -> None:
    """Nothing of a login reached the server, neither in plain text nor encrypted."""
    for session in server.sessions:
        assert session.auth_attempts == []
        for sent in (session.plain_bytes, session.tls_bytes):
            assert b"AUTH" not in sent
            assert not any(form.encode() in sent for form in secret_forms())


def check_envelope(
    answer: Answer, code: str, step: str | None, *, status: int = 400
) -> dict[str, Any]:
    """The documented form of a failure with this *code* at this *step*; returns its error."""
    assert answer.status == status, answer.text
    body = answer.body
    assert set(body) - {"duration_ms"} == {"ok", "error", "connection", "steps"}
    assert body["ok"] is False
    error: dict[str, Any] = body["error"]
    assert set(error) == {"code", "message", "step", "hint", "reply", "fields", "fixes"}
    assert (error["code"], error["step"]) == (code, step), error
    assert error["code"] in CODES
    _assert_sentence(error["message"])
    assert isinstance(error["hint"], str)
    _check_reply(error["reply"])
    check_steps(body["steps"])
    if code not in {"invalid_input", "missing_host", "password_required", "rate_limited"}:
        assert error["hint"], "a failure says what to do"
        assert set(body["connection"]) == CONNECTION_KEYS
        assert [one["name"] for one in body["steps"] if one["status"] == "failed"] == [step]
    return error


def check_steps(steps: Sequence[dict[str, Any]]) -> None:
    """Every step is documented, described, and shown once, in the order of the conversation."""
    names = [step["name"] for step in steps]
    if "starttls" in names:
        assert names == sorted(set(names), key=list(STEPS).index)
    else:  # with immediate encryption the handshake comes before the first word
        assert len(names) == len(set(names))
        assert set(names) <= set(STEPS)
    for step in steps:
        assert set(step) == STEP_KEYS
        assert step["status"] in {"ok", "failed", "skipped"}
        assert step["ms"] >= 0
        _check_reply(step["reply"])


def _assert_sentence(message: str) -> None:
    assert (
        message[:1].isupper() or message[:1].isdigit() or "." in message.split(" ", maxsplit=1)[0]
    ), message
    assert message.endswith((".", "…")), message
    assert len(message.split()) > 2, message
    assert message.isprintable()


def _check_reply(reply: dict[str, Any] | None) -> None:
    if reply is None:
        return
    assert set(reply) == {"code", "enhanced", "text"}
    assert 200 <= reply["code"] <= 599
    assert len(reply["text"]) <= 200
    assert reply["text"].isprintable()
