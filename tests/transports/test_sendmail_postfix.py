"""A real Postfix behind its sendmail command: what it takes arrives, what it refuses is clear."""

from collections.abc import Iterator

import pytest

from smtp_admin.providers.catalogue import replies
from smtp_admin.smtp.client import Timeouts
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.outcome import SenderHealth
from smtp_admin.transports.sendmail.transport import SendmailTransport
from tests.servers.postfix_queue import PostfixQueue
from tests.servers.scripted import ScriptedServer
from tests.servers.skipping import skipped_if_unavailable
from tests.transports.sending import (
    ACCEPTED,
    PERMANENT,
    RELEASED,
    deliver,
    mail,
    verdicts,
)
from tests.worker.running import until

# Complete, so that Postfix adds nothing but where it came from.
WHOLE = (
    b"From: sender@acme.example\r\nTo: sam@example.com\r\nMessage-ID: <1@acme.example>\r\n"
    b"Date: Mon, 01 Jan 2024 00:00:00 +0000\r\nSubject: a mail\r\n\r\n"
    b".\r\n..\r\nFrom me to you\r\n\xc3\xa4\xff\r\n" + b"x" * 900 + b"\r\n.\r\n\r\n"
)
RECEIVED = b"Received: by mail.acme.example (Postfix"


@pytest.fixture
def far() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def postfix(far: ScriptedServer) -> Iterator[PostfixQueue]:
    with skipped_if_unavailable():
        queue = PostfixQueue(far.port, largest=20_000)
    with queue:
        yield queue


def test_mails_arrive_as_they_were(postfix: PostfixQueue, far: ScriptedServer) -> None:
    transport = SendmailTransport(postfix.command, Timeouts(), replies())
    sent = [mail(key, WHOLE) for key in range(4)]
    sent.append(Outgoing(4, "", "r4@example.com", mail(4, WHOLE).content))
    sent.append(Outgoing(5, "sender@acme.example", "用户@example.com", mail(5, WHOLE).content))
    assert verdicts(deliver(transport, sent)) == dict.fromkeys(range(6), ACCEPTED)
    assert until(lambda: len(far.messages) == len(sent)), postfix.log
    arrived = {one.recipients[0]: one for one in far.messages}
    for one in sent:
        found = arrived[one.recipient]
        assert found.mail_from == one.mail_from
        added, whole = found.data[: -len(one.content)], found.data[-len(one.content) :]
        assert whole == one.content
        assert added.startswith(RECEIVED)


def test_what_it_refuses(postfix: PostfixQueue, far: ScriptedServer) -> None:
    """It ends with 75 whatever the failure is; its words tell them apart."""
    transport = SendmailTransport(postfix.command, Timeouts(), replies())
    found = deliver(transport, [mail(0, WHOLE + b"y" * 70 * 400), mail(1, WHOLE)])
    assert verdicts(found) == {0: PERMANENT, 1: ACCEPTED}
    assert found[0].code == "too_large"
    assert "message file too big" in found[0].reason

    postfix.settings(authorized_submit_users="nobody")
    found = deliver(transport, [mail(2, WHOLE), mail(3, WHOLE)])
    assert verdicts(found) == {2: RELEASED}
    assert found[2].health is SenderHealth.MISCONFIGURED
    assert found[2].code == "program_refused"
    postfix.settings(authorized_submit_users="static:anyone")
    assert verdicts(deliver(transport, [mail(4, WHOLE)])) == {4: ACCEPTED}


@pytest.mark.parametrize("arguments", [("-bX",), ("-C", "/nowhere")])
def test_wrong_arguments_of_the_host(postfix: PostfixQueue, arguments: tuple[str, ...]) -> None:
    transport = SendmailTransport((*postfix.command, *arguments), Timeouts(), replies())
    found = deliver(transport, [mail(0, WHOLE)])
    assert (found[0].verdict, found[0].health) == (RELEASED, SenderHealth.MISCONFIGURED)
    assert "sendmail: fatal: " in found[0].reason


def test_a_queue_that_cannot_be_written(postfix: PostfixQueue) -> None:
    """Its postdrop tries for as long as it is let: nothing is lost, and the sender waits."""
    postfix.break_queue()
    transport = SendmailTransport(postfix.command, Timeouts(command=1, final_dot=1), replies())
    found = deliver(transport, [mail(0, WHOLE), mail(1, WHOLE)])
    assert [*found] == [0]
    assert found[0].verdict is RELEASED, "it has not read the mail yet"
    assert found[0].health is SenderHealth.DOWN
    assert "maildrop" in found[0].reason
