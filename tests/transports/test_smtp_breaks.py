"""Servers that break off in the middle: nothing is lost, or sent twice unknowingly."""

import time

import pytest

from smtp_admin.smtp.client import Timeouts
from smtp_admin.transports.outcome import SenderHealth, Verdict
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import (
    Behaviour,
    Close,
    Raw,
    Reply,
    Reset,
    ScriptedServer,
    Session,
    Stage,
    Stall,
    Step,
)
from tests.servers.session import ConversationError
from tests.transports.sending import (
    ACCEPTED,
    BODY,
    BOTH_WAYS,
    MEGABYTE,
    PERMANENT,
    RELEASED,
    TEMPORARY,
    UNCERTAIN,
    deliver,
    extensions,
    mail,
    mails,
    patience,
    transport_to,
    verdicts,
)


@BOTH_WAYS
@pytest.mark.parametrize("then", [Close(), Reset(), Stall()], ids=["close", "reset", "stall"])
@pytest.mark.parametrize(
    ("stage", "refusal", "verdict", "health"),
    [
        ("mail", "550 5.1.8 no such domain", PERMANENT, SenderHealth.FINE),
        ("mail", "451 4.3.0 later", TEMPORARY, SenderHealth.FINE),
        ("mail", "421 4.7.0 too fast", RELEASED, SenderHealth.LIMITED),
        ("mail", "530 5.7.0 log in", RELEASED, SenderHealth.MISCONFIGURED),
        ("rcpt", "550 5.1.1 unknown", PERMANENT, SenderHealth.FINE),
    ],
)
def test_first_refusal_counts_whatever_follows(
    pipelining: bool,
    then: Step,
    stage: Stage,
    refusal: str,
    verdict: Verdict,
    health: SenderHealth,
) -> None:
    """A server that refuses and then hangs up has refused: it is not merely out of reach.

    Otherwise one such mail would be released, tried first again, and stop its sender for ever.
    """
    next_stage: Stage = "rcpt" if stage == "mail" else "data"
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining),
            behaviours={stage: Raw(f"{refusal}\r\n".encode()), next_stage: then, "rset": then},
        ) as server,
        transport_to(server, timeouts=patience(then)) as transport,
    ):
        found = deliver(transport, mails(3))
        assert (found[0].verdict, found[0].health) == (verdict, health)
        assert found[0].reply is not None
        assert str(found[0].reply.code) == refusal[:3]
        assert not server.messages


@pytest.mark.parametrize("then", [Close(), Reset(), Stall()], ids=["close", "reset", "stall"])
def test_refused_then_broken_at_the_empty_body(then: Step) -> None:
    """The reply to the body that was never meant decides nothing."""
    behaviours: dict[Stage, Step] = {
        "rcpt": Reply("550 5.1.1 unknown"), "data": Reply("354 go on"), "dot": then
    }  # fmt: skip
    with (
        ScriptedServer(behaviours=behaviours) as server,
        transport_to(server, timeouts=patience(then)) as transport,
    ):
        assert deliver(transport, mails(1))[0].verdict is PERMANENT


@BOTH_WAYS
@pytest.mark.parametrize("reply", ["250 2.0.0 Ok", "220 hello", "334 what"])
def test_data_without_a_go_ahead(pipelining: bool, reply: str) -> None:
    """Only 354 asks for the mail. A 250 to DATA has accepted nothing: nothing was sent."""
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining), behaviours={"data": Reply(reply)}
        ) as server,
        transport_to(server) as transport,
    ):
        found = deliver(transport, mails(2))
        assert verdicts(found) == {0: RELEASED}
        assert found[0].health is SenderHealth.DOWN
        assert not server.messages


#: Not 421: some say it with another code, and some do not hang up after it.
_WORN = (
    "451 4.4.2 Timeout - closing connection.",
    "451 Timeout waiting for data from client.",
    "451 4.7.0 Too many messages in this session",
)
_WAYS = ("and stays", "and hangs up")


def _says_and_hangs_up(words: str) -> Step:
    def act(_server: ScriptedServer, session: Session, _line: str) -> None:
        session.write(f"{words}\r\n".encode())
        raise ConversationError("over and out")

    return act


@BOTH_WAYS
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
@pytest.mark.parametrize(
    "ending",
    [
        Reply("421 4.3.2 closing"),
        Reply("421 4.4.7 Too many messages in this session"),
        Close(),
        *(step for words in _WORN for step in (Reply(words), _says_and_hangs_up(words))),
    ],
    ids=["421", "session", "close", *(f"{words[:12]} {way}" for words in _WORN for way in _WAYS)],
)
def test_a_worn_connection_is_followed_by_another(
    pipelining: bool, stage: Stage, ending: Step
) -> None:
    """A server may take so many mails on a connection, and no more."""
    behaviours: dict[Stage, tuple[Step, ...]] = {stage: (None, None, ending) * 2 + (None,)}
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining), behaviours=behaviours
        ) as server,
        transport_to(server) as transport,
    ):
        assert verdicts(deliver(transport, mails(6))) == dict.fromkeys(range(6), ACCEPTED)
        assert server.connections == 3
        taken = [recipient for one in server.messages for recipient in one.recipients]
        assert taken == [f"r{number}@example.com" for number in range(6)]


@BOTH_WAYS
@pytest.mark.parametrize("words", ["421 4.3.2 closing", *_WORN])
def test_a_new_connection_that_takes_nothing_is_not_worn(pipelining: bool, words: str) -> None:
    behaviours: dict[Stage, tuple[Step, ...]] = {"mail": (None, Reply(words))}
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining), behaviours=behaviours
        ) as server,
        transport_to(server) as transport,
    ):
        found = deliver(transport, mails(5))
        assert verdicts(found) == {0: ACCEPTED, 1: RELEASED}
        assert found[1].health is SenderHealth.DOWN
        assert server.connections == 2


@BOTH_WAYS
@pytest.mark.parametrize(
    "ending",
    [Reply("421 4.7.0 mail.acme.example Error: too many errors"), Reply("421 4.3.2 bye"), Close()],
    ids=["errors", "421", "close"],
)
def test_a_server_that_has_refused_enough_is_not_down(pipelining: bool, ending: Step) -> None:
    """Postfix ends a connection after 20 refusals in a row (smtpd_hard_error_limit).

    It has answered for each mail, and does so on the next connection too.
    """
    refused = Reply("550 5.1.1 no such user")
    behaviours: dict[Stage, tuple[Step, ...]] = {
        "mail": (None, None, ending) * 2 + (None,),
        "rcpt": (refused,),
    }
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining), behaviours=behaviours
        ) as server,
        transport_to(server) as transport,
    ):
        assert verdicts(deliver(transport, mails(6))) == dict.fromkeys(range(6), PERMANENT)
        assert server.connections == 3


@BOTH_WAYS
def test_an_aborted_transport_dials_no_more(pipelining: bool) -> None:
    with ScriptedServer(extensions=extensions(pipelining=pipelining)) as server:
        with transport_to(server) as transport:
            outcomes = transport.deliver(mails(5))
            assert next(outcomes)[1].verdict is ACCEPTED
            transport.abort()
            for _key, outcome in outcomes:
                assert outcome.verdict is not ACCEPTED
        assert server.connections == 1


@BOTH_WAYS
@pytest.mark.parametrize(
    ("stage", "reply", "health"),
    [
        *(
            (stage, "421 4.7.0 too fast", SenderHealth.LIMITED)
            for stage in ("mail", "rcpt", "data")
        ),
        ("dot", "421 4.7.0 too fast", SenderHealth.LIMITED),
        ("dot", "421 4.3.2 closing", SenderHealth.DOWN),
    ],
)
def test_closing_in_the_middle_of_a_batch(
    pipelining: bool,
    stage: Stage,
    reply: str,
    health: SenderHealth,
) -> None:
    """The mail under way goes back, those after it are not touched, those before it are sent."""
    behaviours: dict[Stage, tuple[Step, ...]] = {stage: (None, None, Reply(reply), None)}
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining), behaviours=behaviours
        ) as server,
        transport_to(server) as transport,
    ):
        found = deliver(transport, mails(5))
        assert verdicts(found) == {0: ACCEPTED, 1: ACCEPTED, 2: RELEASED}
        assert found[2].health is health
        assert [one.recipients for one in server.messages] == [
            ["r0@example.com"], ["r1@example.com"]
        ]  # fmt: skip
        # and the next call finds its way by itself
        assert verdicts(deliver(transport, mails(5)[2:])) == dict.fromkeys((2, 3, 4), ACCEPTED)
        assert server.connections == 2


ENDINGS = pytest.mark.parametrize("ending", [Close(), Reset(), Stall()],
                                  ids=["close", "reset", "stall"])  # fmt: skip


@BOTH_WAYS
@ENDINGS
@pytest.mark.parametrize(
    ("stage", "verdict"),
    [("mail", RELEASED), ("rcpt", RELEASED), ("data", RELEASED), ("dot", UNCERTAIN)],
)
def test_connection_breaks(
    pipelining: bool,
    ending: Step,
    stage: Stage,
    verdict: Verdict,
) -> None:
    """Before the dot the server has nothing; after it, nobody knows whether it took the mail."""
    behaviours: dict[Stage, tuple[Step, ...]] = {stage: (ending, None)}
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining), behaviours=behaviours
        ) as server,
        transport_to(server, timeouts=patience(ending, greets=True)) as transport,
    ):
        found = deliver(transport, mails(4))
        assert verdicts(found) == {0: verdict}
        assert found[0].health is SenderHealth.DOWN
        assert not server.messages
        assert len(server.sessions[0].bodies) == (1 if stage == "dot" else 0)
        assert verdicts(deliver(transport, [mail(9)])) == {9: ACCEPTED}
        assert server.connections == 2


@BOTH_WAYS
@pytest.mark.parametrize("reply", ["garbage", "999 what", "354 again"])
def test_nonsense_after_the_dot(pipelining: bool, reply: str) -> None:
    """The server has the mail and did not say what becomes of it."""
    behaviours: dict[Stage, Step] = {"dot": Raw(reply.encode() + b"\r\n")}
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining), behaviours=behaviours
        ) as server,
        transport_to(server) as transport,
    ):
        assert verdicts(deliver(transport, mails(2))) == {0: UNCERTAIN}


@BOTH_WAYS
@pytest.mark.parametrize("ending", [Reset(), Stall()], ids=["reset", "stall"])
def test_breaks_in_the_middle_of_a_large_body(
    pipelining: bool,
    ending: Step,
) -> None:
    """The dot was not written yet, so the server cannot have accepted anything (RFC 5321, 3.8)."""
    large = mail(0, BODY + b"0123456789abcdef\r\n" * MEGABYTE)
    with (
        ScriptedServer(
            extensions=("PIPELINING",) if pipelining else (), behaviours={"body": ending}
        ) as server,
        transport_to(
            server, timeouts=Timeouts(command=1.0, body_rate=10**9, final_dot=1.0)
        ) as transport,
    ):
        assert verdicts(deliver(transport, [large, mail(1)])) == {0: RELEASED}
        assert not server.sessions[0].bodies


@BOTH_WAYS
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("552 5.3.4 Message size exceeds fixed limit", PERMANENT),
        ("451 4.3.0 Out of space", TEMPORARY),
        ("421 4.3.2 Shutting down", RELEASED),
        ("250 2.0.0 Thank you", RELEASED),
        ("354 2.0.0 Go on", RELEASED),
    ],
)
def test_a_refusal_in_the_middle_of_the_body_is_heard(
    certificates: CertificateFactory, pipelining: bool, encrypted: bool, text: str, verdict: Verdict
) -> None:
    """Some servers say it as soon as they know, and hang up on what is still being sent.

    Unheard, one mail that is too large would pause its sender again and again.
    """

    def refuse(_server: ScriptedServer, session: Session, _line: str) -> bytes:
        session.write(text.encode() + b"\r\n")
        session.hang_up()
        raise ConversationError("The server has heard enough.")

    context = certificates.server_context(certificates.valid()) if encrypted else None
    large = mail(0, BODY + b"0123456789abcdef\r\n" * (MEGABYTE // 2))
    with (
        ScriptedServer(
            extensions=("PIPELINING",) if pipelining else (),
            behaviours={"body": refuse},
            starttls=context,
        ) as server,
        transport_to(
            server, security="tls" if encrypted else "none", verify_tls=False
        ) as transport,
    ):
        found = deliver(transport, [large])
        assert verdicts(found) == {0: verdict}
        if verdict is not RELEASED:
            assert text.endswith(found[0].reply.text if found[0].reply else "?")


@BOTH_WAYS
@pytest.mark.parametrize(
    ("early", "verdict"),
    [("554 5.7.1 This violates SMTP", PERMANENT), ("451 4.3.0 Not now", TEMPORARY)],
)
def test_a_refusal_right_after_the_go_ahead_is_a_refusal(
    pipelining: bool, early: str, verdict: Verdict
) -> None:
    """As ``smtp-sink -A 0`` does it. Taken for nonsense, it would pause the sender each time."""
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining),
            behaviours={"data": [Raw(b"354 go on\r\n%s\r\n" % early.encode()), None]},
        ) as server,
        transport_to(server) as transport,
    ):
        found = deliver(transport, mails(2))
        assert verdicts(found) == {0: verdict}
        assert found[0].health is SenderHealth.FINE
        assert verdicts(deliver(transport, mails(1))) == {0: ACCEPTED}
        assert server.connections == 2, "its half of this one is lost"


def test_unasked_words_between_mails() -> None:
    """A reply that nobody asked for must not be taken for the next one's."""
    with ScriptedServer() as server, transport_to(server) as transport:
        deliver(transport, mails(1))
        server.sessions[0].write(b"250 2.0.0 a gift\r\n")
        time.sleep(0.05)
        server.behave("dot", Reply("554 5.7.1 spam"))
        assert verdicts(deliver(transport, mails(1))) == {0: PERMANENT}
        assert server.connections == 2


@BOTH_WAYS
@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("mail", b"250 Ok\r\n250 Ok again\r\n"),
        ("rcpt", b"250 Ok\r\n354 go on\r\n"),
        ("data", b"354 go on\r\n250 accepted, whatever comes\r\n"),
    ],
)
def test_extra_reply_during_a_mail(pipelining: bool, stage: Stage, answer: bytes) -> None:
    """Off by one, a reply would pass for the next one's: for the mail's acceptance, in the end."""
    behaviours: dict[Stage, Step] = {stage: Raw(answer), "dot": Reply("554 5.7.1 spam")}
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining), behaviours=behaviours
        ) as server,
        transport_to(server, timeouts=patience(Stall(), greets=True)) as transport,
    ):
        found = deliver(transport, mails(2))
        assert set(verdicts(found)) == {0}
        assert found[0].verdict in {RELEASED, UNCERTAIN}
        assert not server.messages


@BOTH_WAYS
@pytest.mark.parametrize("answer", ["502 5.5.1 no such command", "421 4.3.2 bye", "451 4.3.0 busy"])
def test_a_refused_reset_is_nobodys_refusal(pipelining: bool, answer: str) -> None:
    """The server still holds the envelope before, and would refuse all mail that follows."""
    behaviours: dict[Stage, Behaviour] = {
        "rcpt": [Reply("550 5.1.1 no such user"), None],
        "rset": Reply(answer),
    }
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining), behaviours=behaviours
        ) as server,
        transport_to(server) as transport,
    ):
        found = verdicts(deliver(transport, mails(4)))
        assert found == {0: PERMANENT, 1: ACCEPTED, 2: ACCEPTED, 3: ACCEPTED}
        assert [one.recipients for one in server.messages] == [
            [f"r{key}@example.com"] for key in (1, 2, 3)
        ]
        assert server.connections == 2


@BOTH_WAYS
def test_an_envelope_that_outlives_its_refused_mail_harms_no_other(pipelining: bool) -> None:
    """Postfix keeps it after a refusal by ``smtpd_end_of_data_restrictions``.

    The next recipient is added to it then: an empty body in answer to the go-ahead would reach
    both.
    """

    def end(_server: ScriptedServer, session: Session, _line: str) -> bytes:
        open_envelopes[session] = True
        return b"554 5.7.1 <END-OF-MESSAGE>: Access denied\r\n"

    def begin(_server: ScriptedServer, session: Session, _line: str) -> bytes | None:
        return b"503 5.5.1 Error: nested MAIL command\r\n" if open_envelopes.get(session) else None

    def add(_server: ScriptedServer, session: Session, _line: str) -> bytes | None:
        return b"250 2.1.5 Ok\r\n" if open_envelopes.get(session) else None

    def go(_server: ScriptedServer, session: Session, _line: str) -> bytes | None:
        return b"354 Go on\r\n" if open_envelopes.get(session) else None

    def forget(_server: ScriptedServer, session: Session, _line: str) -> None:
        open_envelopes.pop(session, None)

    open_envelopes: dict[Session, bool] = {}
    behaviours: dict[Stage, Behaviour] = {
        "dot": [end, None], "mail": begin, "rcpt": add, "data": go, "rset": forget,
    }  # fmt: skip
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining), behaviours=behaviours
        ) as server,
        transport_to(server) as transport,
    ):
        found = deliver(transport, mails(4))
        assert verdicts(found) == {0: PERMANENT, 1: ACCEPTED, 2: ACCEPTED, 3: ACCEPTED}
        assert found[0].code == "message_refused"
        assert [one.data for one in server.messages] == [mail(key).content for key in (1, 2, 3)]


@BOTH_WAYS
def test_a_refused_sender_gets_no_empty_mail_sent(pipelining: bool) -> None:
    """Whatever the server says to the commands after it."""
    behaviours: dict[Stage, Behaviour] = {
        "mail": [Reply("550 5.7.1 no"), None],
        "rcpt": [Reply("250 2.1.5 Ok"), None],
        "data": [Raw(b"354 Go on\r\n"), None],
    }
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining), behaviours=behaviours
        ) as server,
        transport_to(server) as transport,
    ):
        assert verdicts(deliver(transport, mails(1))) == {0: PERMANENT}
        assert not server.messages


@BOTH_WAYS
def test_an_unasked_refusal_after_a_mail_kills_no_other(pipelining: bool) -> None:
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining),
            behaviours={"dot": [Raw(b"250 2.0.0 ok\r\n554 5.5.0 and this\r\n"), None]},
        ) as server,
        transport_to(server) as transport,
    ):
        found = verdicts(deliver(transport, mails(3)))
        assert PERMANENT not in found.values()
        assert found[0] is ACCEPTED
