"""Broken, silent and hostile servers: each has its own code, in time, and gets no password."""

import gc
import tracemalloc

import pytest

from tests.connection.answers import assert_no_login, assert_no_secret, check_envelope
from tests.connection.conftest import Ask
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import (
    Close,
    Drip,
    Flood,
    Raw,
    Reply,
    Reset,
    ScriptedServer,
    Stage,
    Stall,
    Step,
)

ACCOUNT = ("robot@acme.example", "pässword-canary-7731")
MEGABYTE = 1024 * 1024

# stage → the step that the person sees
STAGES: dict[Stage, str] = {
    "connect": "greeting",
    "greeting": "greeting",
    "ehlo": "ehlo",
    "starttls": "starttls",
    "handshake": "tls",
    "ehlo2": "ehlo",
    "auth": "auth",
    "mail": "sender",
    "rcpt": "sender",
}
SECRET_COMES_AFTER = {"connect", "greeting", "ehlo", "starttls", "handshake", "ehlo2"}


def starttls_server(
    certificates: CertificateFactory, stage: Stage, behaviour: Step
) -> ScriptedServer:
    """A good server but for one stage."""
    context = certificates.server_context(certificates.valid())
    return ScriptedServer(starttls=context, auth=ACCOUNT, behaviours={stage: behaviour})


def test_unknown_host(ask: Ask) -> None:
    answer = ask(25, host="mail.no-such-name.invalid")
    check_envelope(answer, "dns_failed", "dns")
    assert "mail.no-such-name.invalid" in answer.body["error"]["message"]


def test_closed_port(ask: Ask, closed_port: int) -> None:
    check_envelope(ask(closed_port), "connection_refused", "connect")


@pytest.mark.parametrize("overall_seconds", [1.5], indirect=True)
@pytest.mark.parametrize("stage", STAGES)
def test_silence(ask: Ask, certificates: CertificateFactory, stage: Stage) -> None:
    """The answer is there soon after the deadline, however silent the server stays."""
    with starttls_server(certificates, stage, Stall()) as server:
        answer = ask(server, security="tls")
        check_envelope(answer, "timeout", STAGES[stage])
        assert answer.seconds > 1.4
        if stage in SECRET_COMES_AFTER:
            assert_no_login(server)


@pytest.mark.parametrize("ending", [Close(), Reset()], ids=["close", "reset"])
@pytest.mark.parametrize("stage", STAGES)
def test_hanging_up(
    ask: Ask, certificates: CertificateFactory, stage: Stage, ending: Close | Reset
) -> None:
    with starttls_server(certificates, stage, ending) as server:
        answer = ask(server, security="tls")
        step = STAGES[stage]
        if step == "greeting" and answer.body["error"]["step"] == "connect":
            step = "connect"  # the reset was faster than the end of our own connecting
        check_envelope(answer, "connection_lost", step)
        if stage in SECRET_COMES_AFTER:
            assert_no_login(server)


@pytest.mark.parametrize("ending", [Close(), Reset()], ids=["close", "reset"])
def test_hanging_up_during_an_immediate_handshake(
    ask: Ask, certificates: CertificateFactory, ending: Close | Reset
) -> None:
    context = certificates.server_context(certificates.valid())
    with ScriptedServer(implicit_tls=context, behaviours={"handshake": ending}) as server:
        check_envelope(ask(server, security="ssl"), "connection_lost", "tls")
        assert_no_login(server)


@pytest.mark.parametrize(
    ("stage", "code", "step"),
    [
        ("greeting", "server_refused", "greeting"),
        ("ehlo", "server_refused", "ehlo"),
        ("starttls", "tls_failed", "starttls"),
        ("ehlo2", "server_refused", "ehlo"),
        ("auth", "server_refused", "auth"),
    ],
)
def test_closing_reply(
    ask: Ask, certificates: CertificateFactory, stage: Stage, code: str, step: str
) -> None:
    with starttls_server(certificates, stage, Reply("421 4.3.2 shutting down")) as server:
        error = check_envelope(ask(server, security="tls"), code, step)
        assert error["reply"] == {"code": 421, "enhanced": "4.3.2", "text": "shutting down"}
        if stage in SECRET_COMES_AFTER:
            assert_no_login(server)


@pytest.mark.parametrize("stage", ["mail", "rcpt"])
def test_closing_reply_about_the_sender_is_temporary(
    ask: Ask, certificates: CertificateFactory, stage: Stage
) -> None:
    with starttls_server(certificates, stage, Reply("421 4.3.2 shutting down")) as server:
        answer = ask(server, security="tls")
        assert answer.status == 200
        assert answer.warnings == ["sender_not_now"]


@pytest.mark.parametrize(
    "fault",
    [Close(), Reset(), Stall(), Reply("500 what"), Reply("421 bye"), Raw(b"nonsense\r\n")],
    ids=["close", "reset", "stall", "500", "421", "nonsense"],
)
@pytest.mark.parametrize("stage", ["rset", "quit"])
@pytest.mark.parametrize("overall_seconds", [2.0], indirect=True)
def test_goodbye_decides_nothing(ask: Ask, stage: Stage, fault: Step) -> None:
    """When RSET or QUIT go wrong, everything that was asked has been answered already."""
    with ScriptedServer(auth=ACCOUNT, behaviours={stage: fault}) as server:
        answer = ask(server)
        assert answer.status == 200, answer.text
        assert answer.steps["sender"] == "ok"


@pytest.mark.parametrize(
    ("stage", "behaviour", "code", "step"),
    [
        ("greeting", Reply("554 5.7.1 go away"), "server_refused", "greeting"),
        ("ehlo", Reply("502 5.5.1 never heard of it"), "server_refused", "ehlo"),
        ("starttls", Reply("454 4.7.0 not now"), "tls_failed", "starttls"),
        ("auth", Reply("535 5.7.8 wrong"), "auth_failed", "auth"),
        ("mail", Reply("550 5.7.1 not yours"), "sender_refused", "sender"),
        ("rcpt", Reply("550 5.7.1 not yours"), "sender_refused", "sender"),
    ],
)
def test_quit_after_a_failure(
    ask: Ask, certificates: CertificateFactory, stage: Stage, behaviour: Reply, code: str, step: str
) -> None:
    with starttls_server(certificates, stage, behaviour) as server:
        answer = ask(server, security="tls")
        error = check_envelope(answer, code, step)
        assert error["reply"]["code"] == int(str(behaviour.text)[:3])
        assert server.sessions[0].commands[-1] == "QUIT"
        assert answer.steps["quit"] == "ok"


@pytest.mark.parametrize("overall_seconds", [2.0], indirect=True)
@pytest.mark.parametrize("stage", ["greeting", "ehlo", "auth"])
def test_one_byte_at_a_time(ask: Ask, stage: Stage) -> None:
    """Each wait is short; only a limit for the whole conversation ends this."""
    slow = Drip("250 " + "x" * 500, interval=0.2)
    with ScriptedServer(auth=ACCOUNT, behaviours={stage: slow}) as server:
        check_envelope(ask(server), "timeout", stage)


@pytest.mark.parametrize(
    ("stage", "flood"),
    [
        ("greeting", Flood("220-welcome, and welcome, and welcome")),
        ("ehlo", Flood("250-X-EXTENSION")),
        ("auth", Flood("535-no, no, no")),
        ("mail", Flood("250-on and on")),
        ("greeting", Raw(b"220 " + b"x" * MEGABYTE + b"\r\n")),
        ("greeting", Raw(b"x" * MEGABYTE)),
        ("ehlo", Raw(b"250-" + b"x" * MEGABYTE + b"\r\n250 SIZE\r\n")),
        ("ehlo", Raw(b"250-X-MANY\r\n" * 10_000 + b"250 SIZE\r\n")),
    ],
    ids=[
        "endless greeting", "endless ehlo", "endless auth", "endless mail", "long greeting",
        "no line end", "long ehlo line", "10000 extensions",
    ],
)  # fmt: skip
def test_flood(ask: Ask, closed_port: int, stage: Stage, flood: Step) -> None:
    """It ends at once, with little memory, and takes little from the server."""
    with ScriptedServer(auth=ACCOUNT, behaviours={stage: flood}) as server:
        ask(closed_port)  # loads what every test needs
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        try:
            answer = ask(server)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        check_envelope(answer, "not_smtp", "sender" if stage == "mail" else stage)
        assert answer.seconds < 15
        assert peak - before < 5 * MEGABYTE
        assert server.sessions[-1].flooded < 20 * MEGABYTE


NOT_SMTP = {
    "http": b"HTTP/1.1 400 Bad Request\r\nServer: canary\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2 canary\r\n",
    "redis": b"-ERR unknown command 'canary'\r\n",
    "imap": b"* OK canary ready\r\n",
    "pop3": b"+OK canary ready\r\n",
    "nntp": b"200 news canary NNRP service ready\r\n",
    "a date": b"2024-05-01 12:00:00 canary service started\r\n",
    "empty line": b"\r\n",
    "2": b"2\r\n",
    "20": b"20\r\n",
    "999": b"999 canary\r\n",
    "100": b"100 canary\r\n",
    "+20": b"+20 canary\r\n",
    "-1": b"-1 canary\r\n",
    "NUL": b"\0\0\0 canary\r\n",
    "non-ASCII": "２２０ canary\r\n".encode(),
    "other code in a later line": b"220-canary\r\n250 canary\r\n",
    "started mail": b"354 canary\r\n",
    "no text": b"250\r\n",
}


@pytest.mark.parametrize("banner", NOT_SMTP.values(), ids=NOT_SMTP.keys())
def test_other_service(
    ask: Ask, banner: bytes, caplog: pytest.LogCaptureFixture, overall_seconds: float
) -> None:
    """It is named as what it is, and its words are shown to nobody: they may be an inner one's."""
    with ScriptedServer(auth=ACCOUNT, behaviours={"greeting": Raw(banner)}) as server:
        answer = ask(server)
        check_envelope(answer, "not_smtp", "greeting")
        assert "canary" not in answer.text + caplog.text
        assert_no_login(server)


@pytest.mark.parametrize("overall_seconds", [2.0], indirect=True)
@pytest.mark.parametrize("ending", [Close(), Stall()], ids=["closes", "stays"])
def test_tls_record_in_plain_text(ask: Ask, ending: Close | Stall) -> None:
    """An alert of a TLS server has no line end: its first byte shows that it is no reply."""
    alert = b"\x15\x03\x01\x00\x02\x02\x46"
    with ScriptedServer(behaviours={"greeting": Raw(alert), "ehlo": ending}) as server:
        check_envelope(ask(server), "not_smtp", "greeting")


@pytest.mark.parametrize("text", [b"250", b"250 "], ids=["bare code", "code and space"])
def test_reply_without_words(ask: Ask, text: bytes) -> None:
    with ScriptedServer(behaviours={"ehlo": Raw(text + b"\r\n")}) as server:
        answer = ask(server, username="", password="")
        assert answer.status == 200, answer.text
        assert answer.body["connection"]["extensions"] == []


def test_words_that_cannot_be_shown(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    """Escape sequences, line ends and NUL in a reply do not reach a terminal or a log."""
    strange = b"554 5.7.1 \x1b[31mred\x00 \xff\xfe\xe2\x80\xa8\rX-Evil: 1\r\n"
    with ScriptedServer(behaviours={"greeting": Raw(strange)}) as server:
        error = check_envelope(ask(server), "server_refused", "greeting")
        assert error["reply"]["text"].isprintable()
        assert "\x1b" not in caplog.text


def test_wrong_code_order(ask: Ask) -> None:
    """A reply to a command that was not given yet must not count as the next one's."""
    early = Raw(b"220 localhost ESMTP\r\n250 too early\r\n")
    with ScriptedServer(auth=ACCOUNT, behaviours={"greeting": early}) as server:
        answer = ask(server, security="tls", host="127.0.0.1")
        check_envelope(answer, "tls_not_offered", "starttls")
        assert_no_login(server)


def test_nothing_secret_in_any_failure(
    ask: Ask, certificates: CertificateFactory, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        for stage in STAGES:
            with starttls_server(certificates, stage, Reply("554 5.0.0 no")) as server:
                assert_no_secret(ask(server, security="tls").text)
    assert_no_secret(caplog.text)
