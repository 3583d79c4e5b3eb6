"""Sending: each mail's outcome is its own, and each arrives as it was."""

import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtp_admin.transports.outcome import SenderHealth
from tests.examples import examples
from tests.servers.scripted import (
    Reply,
    ScriptedServer,
    Session,
    Stage,
    Step,
)
from tests.transports.sending import (
    ACCEPTED,
    BODY,
    BOTH_WAYS,
    PERMANENT,
    PLAIN_EXTENSIONS,
    TEMPORARY,
    deliver,
    extensions,
    mail,
    mails,
    said,
    transport_to,
    verdicts,
)
from tests.worker.running import until


@BOTH_WAYS
def test_many(pipelining: bool) -> None:
    """All of them arrive once, in order, as they were, over one connection."""
    batch = mails(50)
    with (
        ScriptedServer(extensions=extensions(pipelining=pipelining)) as server,
        transport_to(server) as transport,
    ):
        assert verdicts(deliver(transport, batch)) == dict.fromkeys(range(50), ACCEPTED)
        assert verdicts(deliver(transport, batch[:1])) == {0: ACCEPTED}
        assert server.connections == 1
        got = [(one.mail_from, one.recipients, one.data) for one in server.messages]
        assert got == [(one.mail_from, [one.recipient], one.content) for one in [*batch, batch[0]]]
        assert "RSET" not in said(server.sessions[0])


def test_order_of_commands() -> None:
    with ScriptedServer() as server, transport_to(server) as transport:
        deliver(transport, mails(2))
        transport.close()
        assert until(lambda: server.occurrences("quit") == 1)
        assert said(server.sessions[0]) == ["EHLO", *["MAIL", "RCPT", "DATA"] * 2, "QUIT"]


def test_pipelined_in_one_write() -> None:
    """The envelope travels at once, and the next one with the body before it (RFC 2920)."""
    waiting: list[int] = []

    def count(server: ScriptedServer, session: Session, line: str) -> bytes | None:
        waiting.append(len(session._buffer))
        return None

    with (
        ScriptedServer(behaviours={"mail": count, "dot": count}) as server,
        transport_to(server) as transport,
    ):
        deliver(transport, mails(2))
        first_mail, first_dot, second_mail, second_dot = waiting
        assert first_mail == len(b"RCPT TO:<r0@example.com>\r\nDATA\r\n")
        assert first_dot > second_mail > 0
        assert second_dot == 0


def test_nothing_is_pipelined_where_that_is_not_offered() -> None:
    def alone(server: ScriptedServer, session: Session, line: str) -> bytes | None:
        time.sleep(0.01)
        assert not session._buffer
        return None

    stages: tuple[Stage, ...] = ("mail", "rcpt", "data", "dot")
    with (
        ScriptedServer(
            extensions=PLAIN_EXTENSIONS, behaviours=dict.fromkeys(stages, alone)
        ) as server,
        transport_to(server) as transport,
    ):
        assert verdicts(deliver(transport, mails(2))) == {0: ACCEPTED, 1: ACCEPTED}


MIXED: dict[Stage, tuple[Step, ...]] = {
    "mail": (None, None, None, None, Reply("451 4.3.0 busy"), None),
    "rcpt": (None, Reply("550 5.1.1 unknown"), Reply("450 4.2.0 grey"), None),
    "dot": (None, Reply("554 5.7.1 spam"), Reply("451 4.3.0 later"), None),
}


@BOTH_WAYS
def test_mixed_replies(pipelining: bool) -> None:
    """Each reply counts for the mail that it answers, and the connection goes on."""
    # mail 4 is refused at MAIL; without pipelining its RCPT is never sent
    with (
        ScriptedServer(extensions=extensions(pipelining=pipelining), behaviours=MIXED) as server,
        transport_to(server) as transport,
    ):
        found = deliver(transport, mails(8))
        assert verdicts(found) == {
            0: ACCEPTED, 1: PERMANENT, 2: TEMPORARY, 3: PERMANENT, 4: TEMPORARY, 5: TEMPORARY,
            6: ACCEPTED, 7: ACCEPTED,
        }  # fmt: skip
        codes = {key: one.reply.code for key, one in found.items() if one.reply}
        assert codes == {0: 250, 1: 550, 2: 450, 3: 554, 4: 451, 5: 451, 6: 250, 7: 250}
        assert found[1].bad_address
        assert all(one.health is SenderHealth.FINE for one in found.values())
        assert [one.recipients for one in server.messages] == [
            ["r0@example.com"], ["r6@example.com"], ["r7@example.com"]
        ]  # fmt: skip
        assert server.connections == 1


@BOTH_WAYS
def test_reset_only_after_a_refusal(pipelining: bool) -> None:
    behaviours: dict[Stage, tuple[Step, ...]] = {
        "rcpt": (None, Reply("550 5.1.1 unknown"), None),
        "dot": (None, Reply("554 5.7.1 spam"), None),
    }
    with (
        ScriptedServer(
            extensions=extensions(pipelining=pipelining), behaviours=behaviours
        ) as server,
        transport_to(server) as transport,
    ):
        deliver(transport, mails(2))
        assert "RSET" not in said(server.sessions[0]), "not before it is needed"
        deliver(transport, mails(3))
        commands = said(server.sessions[0])
        # What travelled with a refused body could not wait for that refusal.
        assert commands.count("RSET") == (1 if pipelining else 2)
        after = commands.index("RSET")
        assert commands[after + 1] == "MAIL"
        assert commands[after - (2 if pipelining else 1)] == "RCPT"


def test_body_wanted_although_the_recipient_was_refused() -> None:
    """RFC 2920, 3.1: an empty mail ends it; nobody gets the real one, and the next one is fine."""
    behaviours: dict[Stage, tuple[Step, ...]] = {
        "rcpt": (Reply("550 5.1.1 unknown"), None),
        "data": (Reply("354 go on all the same"), None),
        "dot": (Reply("554 5.5.1 no valid recipients"), None),
    }
    with ScriptedServer(behaviours=behaviours) as server, transport_to(server) as transport:
        found = deliver(transport, mails(2))
        assert verdicts(found) == {0: PERMANENT, 1: ACCEPTED}
        assert found[0].reply is not None
        assert found[0].reply.enhanced == "5.1.1"
        assert server.sessions[0].bodies[0].data == b""
        assert [one.recipients for one in server.messages] == [["r1@example.com"]]


@BOTH_WAYS
def test_size_limit(pipelining: bool) -> None:
    """A mail that is too large is not even begun; the ones around it go."""
    offered = ("SIZE 1000", "PIPELINING") if pipelining else ("SIZE 1000",)
    batch = [mail(0), mail(1, BODY + b"x" * 990 + b"\r\n"), mail(2)]
    with ScriptedServer(extensions=offered) as server, transport_to(server) as transport:
        found = deliver(transport, batch)
        assert verdicts(found) == {0: ACCEPTED, 1: PERMANENT, 2: ACCEPTED}
        assert found[1].code == "too_large"
        assert "1000" in found[1].reason
        announced = [one for one in server.sessions[0].commands if one.startswith("MAIL")]
        assert announced == [
            f"MAIL FROM:<sender@acme.example> SIZE={len(one.content)}"
            for one in (batch[0], batch[2])
        ]


@pytest.mark.parametrize("offered", ["SIZE", "SIZE 0", "SIZE what", "SIZE ٣", "SIZE -1"])
def test_size_without_a_limit(offered: str) -> None:
    with ScriptedServer(extensions=(offered,)) as server, transport_to(server) as transport:
        assert verdicts(deliver(transport, mails(1))) == {0: ACCEPTED}


def test_no_size_no_parameter() -> None:
    with ScriptedServer(extensions=()) as server, transport_to(server) as transport:
        deliver(transport, mails(1))
        assert "MAIL FROM:<sender@acme.example>" in server.sessions[0].commands


@BOTH_WAYS
@pytest.mark.parametrize("offered", [True, False], ids=["offered", "missing"])
def test_international_recipient(pipelining: bool, offered: bool) -> None:
    names = [*(["SMTPUTF8"] if offered else []), *(["PIPELINING"] if pipelining else [])]
    batch = [mail(0), mail(1, recipient="用户@example.com"), mail(2)]
    with ScriptedServer(extensions=names) as server, transport_to(server) as transport:
        found = deliver(transport, batch)
        assert found[0].verdict is found[2].verdict is ACCEPTED
        assert found[1].verdict is (ACCEPTED if offered else PERMANENT)
        assert not found[1].bad_address, "another server may be able to"
        commands = server.sessions[0].commands
        assert [one.endswith(" SMTPUTF8") for one in commands if one.startswith("MAIL")] == (
            [False, True, False] if offered else [False, False]
        )
        assert ("RCPT TO:<用户@example.com>" in commands) is offered


LINES = st.lists(
    st.one_of(
        st.sampled_from([b"", b".", b"..", b"...", b".a", b"a.", b". ", b"RSET", b"QUIT", b".\t"]),
        st.binary(max_size=20).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")),
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture(scope="module")
def round_trip() -> Iterator[Callable[[list[bytes]], list[bytes]]]:
    """Sends these contents in one batch over a standing connection; what arrived."""
    with ScriptedServer() as server, transport_to(server) as transport:

        def send(contents: list[bytes]) -> list[bytes]:
            before = len(server.messages)
            batch = [mail(key, content) for key, content in enumerate(contents)]
            found = deliver(transport, batch)
            assert set(verdicts(found).values()) == {ACCEPTED}
            assert len(found) == len(contents)
            return [one.data for one in server.messages[before:]]

        yield send


@given(st.lists(LINES, min_size=1, max_size=4))
@settings(max_examples=examples(150))
def test_what_arrives_is_what_was_sent(
    round_trip: Callable[[list[bytes]], list[bytes]], batch: list[list[bytes]]
) -> None:
    """Lines of dots, commands and any bytes travel unchanged and end no mail early."""
    contents = [b"".join(line + b"\r\n" for line in lines) for lines in batch]
    assert round_trip(contents) == contents


def test_missing_last_line_end(round_trip: Callable[[list[bytes]], list[bytes]]) -> None:
    """It is completed, because the dot needs a line of its own."""
    assert round_trip([b"a", b".", b"a\r\n."]) == [b"a\r\n", b".\r\n", b"a\r\n.\r\n"]
