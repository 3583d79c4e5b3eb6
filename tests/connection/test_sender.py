"""The sender address is asked about, never used: what each refusal of it means."""

import pytest

from tests.connection.answers import PASSWORD, USERNAME, check_envelope
from tests.connection.conftest import Ask
from tests.servers.scripted import Close, Reply, Reset, ScriptedServer, Stage, Stall, Step

ACCOUNT = (USERNAME, PASSWORD)


def test_order(ask: Ask) -> None:
    with ScriptedServer(auth=ACCOUNT) as server:
        assert ask(server).status == 200
        said = [one.partition(" ")[0] for one in server.sessions[0].commands]
        assert said == ["EHLO", "AUTH", "MAIL", "RCPT", "RSET", "QUIT"]
        assert "MAIL FROM:<noreply@acme.example>" in server.sessions[0].commands
        assert "RCPT TO:<noreply@acme.example>" in server.sessions[0].commands


def test_no_address_no_question(ask: Ask) -> None:
    with ScriptedServer(auth=ACCOUNT) as server:
        answer = ask(server, from_email="")
        assert answer.status == 200
        assert answer.steps["sender"] == "skipped"
        assert not any(one.startswith("MAIL") for one in server.sessions[0].commands)


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("mail", "550 5.7.1 not your address"),
        ("mail", "553 5.1.8 no such domain"),
        ("mail", "550 no"),
        ("mail", "501 5.1.7 bad syntax"),
        ("rcpt", "550 5.7.1 sender not owned by user"),
        ("rcpt", "554 5.7.1 relay access denied"),
        ("rcpt", "550 5.7.60 client does not have permissions to send as this sender"),
        ("rcpt", "550 5.1.8 sender address rejected: domain not found"),
        ("rcpt", "553 5.1.7 bad sender"),
        ("rcpt", "553 sender address rejected: not owned by user"),
        ("rcpt", "550 relaying denied"),
    ],
)
def test_refused_for_good(ask: Ask, stage: Stage, reply: str) -> None:
    with ScriptedServer(auth=ACCOUNT, behaviours={stage: Reply(reply)}) as server:
        error = check_envelope(ask(server), "sender_refused", "sender")
        assert error["reply"]["code"] == int(reply[:3])
        assert "noreply@acme.example" in error["message"]
        assert server.sessions[0].commands[-1] == "QUIT"


@pytest.mark.parametrize("overall_seconds", [2.0], indirect=True)
@pytest.mark.parametrize("then", [Close(), Reset(), Stall()], ids=["close", "reset", "stall"])
@pytest.mark.parametrize("stage", ["mail", "rcpt"])
def test_refused_for_good_and_nothing_more(ask: Ask, stage: Stage, then: Step) -> None:
    """The refusal counts, also if the server says nothing more after it."""
    refusal = Reply("550 5.7.1 not your address")
    with ScriptedServer(auth=ACCOUNT, behaviours={stage: refusal, "rset": then}) as server:
        error = check_envelope(ask(server), "sender_refused", "sender")
        assert error["reply"]["code"] == 550


@pytest.mark.parametrize(
    ("stage", "reply", "warning"),
    [
        ("rcpt", "550 5.1.1 no such user", "sender_not_a_mailbox"),
        ("rcpt", "550 no such user here", "sender_not_a_mailbox"),
        ("rcpt", "552 5.2.2 mailbox full", "sender_not_a_mailbox"),
        ("rcpt", "450 4.2.0 greylisted", "sender_not_now"),
        ("rcpt", "451 4.7.1 greylisted", "sender_not_now"),
        ("rcpt", "452 4.5.3 too many", "sender_not_now"),
        ("mail", "451 4.3.0 busy", "sender_not_now"),
        ("mail", "450 try again", "sender_not_now"),
    ],
)
def test_a_warning_only(ask: Ask, stage: Stage, reply: str, warning: str) -> None:
    with ScriptedServer(auth=ACCOUNT, behaviours={stage: Reply(reply)}) as server:
        answer = ask(server)
        assert answer.status == 200, answer.text
        assert answer.body["ok"] is True
        assert warning in answer.warnings
        [told] = [one for one in answer.body["warnings"] if one["code"] == warning]
        assert reply[:3] in told["message"]
        assert server.sessions[0].commands[-1] == "QUIT"


@pytest.mark.parametrize("stage", ["mail", "rcpt"])
@pytest.mark.parametrize("reply", ["354 go on", "334 what"])
def test_answer_out_of_turn(ask: Ask, stage: Stage, reply: str) -> None:
    """A server that answers like this delivers nothing, so the test cannot succeed."""
    with ScriptedServer(auth=ACCOUNT, behaviours={stage: Reply(reply)}) as server:
        check_envelope(ask(server), "not_smtp", "sender")


def test_login_wanted_but_none_given(ask: Ask) -> None:
    """``530`` speaks of the login, as it does for the worker, not of the address."""
    with ScriptedServer(auth=ACCOUNT) as server:
        error = check_envelope(ask(server, username="", password=""), "auth_failed", "sender")
        assert error["reply"]["code"] == 530
