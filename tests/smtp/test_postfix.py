"""A real Postfix at its limits: what it says then is neither a mail's fault nor the end."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from smtp_admin.credentials.password import Password
from smtp_admin.providers.catalogue import replies
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.session import Dialler, Server
from smtp_admin.transports.outcome import SenderHealth
from smtp_admin.transports.smtp.transport import SMTPTransport
from tests.servers.certificates import CertificateFactory
from tests.servers.postfix import PostfixWithDovecot
from tests.servers.skipping import skipped_if_unavailable
from tests.transports.sending import (
    ACCEPTED,
    BODY,
    LOOPBACK,
    PERMANENT,
    RELEASED,
    deliver,
    mail,
    mails,
    verdicts,
)

LOGIN, PASSWORD = "anna@acme.example", "open sesame"
LARGE = BODY + b"0123456789abcdef\r\n" * 2000


@pytest.fixture(scope="module")
def postfix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostfixWithDovecot]:
    with (
        skipped_if_unavailable(),
        PostfixWithDovecot(
            certificate=CertificateFactory(tmp_path_factory.mktemp("limits")).valid(),
            accounts={LOGIN: PASSWORD},
            owners={"sender@acme.example": LOGIN},
            doors={
                "messages": {"smtpd_client_message_rate_limit": "3"},
                "recipients": {"smtpd_client_recipient_rate_limit": "3"},
                "connections": {"smtpd_client_connection_count_limit": "1"},
                "screens": {
                    "smtpd_end_of_data_restrictions": (
                        "check_recipient_access inline:{ { r0@example.com = REJECT } }"
                    )
                },
                "small": {"message_size_limit": "20000", "smtpd_discard_ehlo_keywords": "size"},
            },
        ) as running,
    ):
        yield running


@contextmanager
def through(postfix: PostfixWithDovecot, door: str) -> Iterator[SMTPTransport]:
    port = postfix.ports[door]
    dialler = Dialler(
        DiallingPolicy(frozenset({port}), LOOPBACK), Timeouts(connect=10, command=30, final_dot=30)
    )
    server = Server("127.0.0.1", port, "tls", verify_tls=False)
    transport = SMTPTransport(server, Password(LOGIN, PASSWORD), dialler, replies())
    try:
        yield transport
    finally:
        transport.close()


@pytest.mark.parametrize("door", ["messages", "recipients"])
def test_its_limits_a_minute_hold_the_rest_back(postfix: PostfixWithDovecot, door: str) -> None:
    with through(postfix, door) as transport:
        found = deliver(transport, mails(6))
    assert verdicts(found) == {0: ACCEPTED, 1: ACCEPTED, 2: ACCEPTED, 3: RELEASED}
    assert found[3].health is SenderHealth.LIMITED


def test_one_connection_too_many_harms_no_mail(postfix: PostfixWithDovecot) -> None:
    with through(postfix, "connections") as first, through(postfix, "connections") as second:
        assert verdicts(deliver(first, mails(1))) == {0: ACCEPTED}
        found = deliver(second, mails(1))
        assert verdicts(found) == {0: RELEASED}
        assert found[0].opening
        assert verdicts(deliver(first, mails(1))) == {0: ACCEPTED}


def test_it_ends_a_connection_after_many_refusals_and_takes_the_next(
    postfix: PostfixWithDovecot,
) -> None:
    """Each of them was an answer about that mail (``smtpd_hard_error_limit``)."""
    with through(postfix, "small") as transport:
        found = deliver(transport, [mail(key, LARGE) for key in range(45)])
    assert verdicts(found) == dict.fromkeys(range(45), PERMANENT)
    assert {outcome.code for outcome in found.values()} == {"message_refused"}
    assert "too many errors" in postfix.log


def test_a_mail_that_is_too_large_stops_no_other(postfix: PostfixWithDovecot) -> None:
    with through(postfix, "small") as transport:
        found = deliver(transport, [mail(0, LARGE), mail(1), mail(2, LARGE), mail(3)])
    assert verdicts(found) == {0: PERMANENT, 1: ACCEPTED, 2: PERMANENT, 3: ACCEPTED}
    assert {found[key].code for key in (0, 2)} == {"message_refused"}


def test_a_refusal_at_the_end_of_a_mail_does_not_touch_the_next(
    postfix: PostfixWithDovecot,
) -> None:
    """Postfix keeps the refused envelope then, and answers 503 to the next MAIL."""
    with through(postfix, "screens") as transport:
        assert verdicts(deliver(transport, mails(3))) == {0: PERMANENT, 1: ACCEPTED, 2: ACCEPTED}
        assert verdicts(deliver(transport, mails(2))) == {0: PERMANENT, 1: ACCEPTED}
