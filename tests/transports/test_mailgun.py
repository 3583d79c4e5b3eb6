"""Mailgun: what its answers mean, how its connection is kept, and what becomes of broken calls."""

import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from typing import Any

import pytest
from werkzeug.formparser import parse_form_data
from werkzeug.test import EnvironBuilder

from smtp_admin.providers.catalogue import replies
from smtp_admin.replies.row import Row
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.session import Dialler
from smtp_admin.transports.base import Outgoing, Transport
from smtp_admin.transports.driver import Setup, Surroundings
from smtp_admin.transports.mailgun.driver import DRIVER, clean_domain, clean_key
from smtp_admin.transports.outcome import Outcome, SenderHealth
from tests.replies.judging import example_of
from tests.servers.certificates import CertificateFactory
from tests.servers.mailgun import DOMAIN, KEY, MailgunAPI, refusal
from tests.servers.provider_api import ProviderAPI, Response
from tests.transports.contract.sink import surroundings
from tests.transports.sending import (
    ACCEPTED,
    BODY,
    LOOPBACK,
    MEGABYTE,
    PERMANENT,
    RELEASED,
    TEMPORARY,
    UNCERTAIN,
    deliver,
    mail,
    mails,
    verdicts,
)

FINE, DOWN, MISCONFIGURED, LIMITED = (
    SenderHealth.FINE, SenderHealth.DOWN, SenderHealth.MISCONFIGURED, SenderHealth.LIMITED,
)  # fmt: skip
OUR_ROWS = [row for row in replies().rows if row.provider == "mailgun" and "api" in row.steps]
#: Short where no answer will come.
IMPATIENT = Timeouts(connect=5, command=5, final_dot=1.5)


def setup(domain: str = DOMAIN, key: str = KEY, region: str = "eu") -> Setup:
    return DRIVER.read({"mailgun_region": region, "mailgun_domain": domain}, {"mailgun_key": key})


@pytest.fixture
def api() -> Iterator[MailgunAPI]:
    api = MailgunAPI()
    with api.server:
        yield api


@contextmanager
def transport_to(url: str, *, key: str = KEY, **lent: Any) -> Iterator[Transport]:
    opened = DRIVER.open(setup(key=key), surroundings(endpoints={"mailgun": url}, **lent))
    try:
        yield opened
    finally:
        opened.close()


def one_outcome(api: MailgunAPI, sent: Outgoing | None = None, **lent: Any) -> Outcome:
    with transport_to(api.server.url, **lent) as transport:
        (found,) = deliver(transport, [sent or mail(0)]).values()
    return found


# --- What is posted -------------------------------------------------------------------------------


def test_the_form_is_one_that_others_read_too(api: MailgunAPI) -> None:
    content = BODY + bytes(range(256)) + b"\r\n--x\r\n.\r\n" + b"z" * MEGABYTE
    outcome = one_outcome(api, Outgoing(1, "a@acme.example", "mia+x@example.org", content))
    (call,) = api.server.calls
    environ = EnvironBuilder(
        method="POST", headers=list(call.headers.items()), input_stream=io.BytesIO(call.body)
    ).get_environ()
    _, form, files = parse_form_data(environ)
    assert dict(form) == {"to": "mia+x@example.org"}
    with files["message"].stream as posted:
        assert posted.read() == content
    assert call.path == f"/v3/{DOMAIN}/messages.mime"
    assert outcome.provider_id.endswith(f"@{DOMAIN}")
    assert outcome.provider_id[0] != "<"


@pytest.mark.parametrize(
    ("recipient", "code"),
    [("a@b.example, c@d.example", "recipient_refused"), ("a@b.example\r\nx", "recipient_refused"),
     ("x <a@b.example>", "recipient_refused"), ("", "recipient_refused")],
)  # fmt: skip
def test_an_address_that_could_be_several_is_not_posted(
    api: MailgunAPI, recipient: str, code: str
) -> None:
    outcome = one_outcome(api, Outgoing(1, "a@acme.example", recipient, BODY))
    assert (outcome.verdict, outcome.code) == (PERMANENT, code)
    assert not api.server.connections


def test_a_region_has_an_address_of_its_own() -> None:
    assert setup(region="us") != setup(region="eu")
    assert setup(key="another-key") != setup()
    assert KEY not in f"{setup()!r} {setup().settings!r} {setup().place}"


@pytest.mark.parametrize(
    "text", ["a@mg.acme.example", "https://mg.acme.example", "127.0.0.1", "x y"]
)
def test_domains_that_cannot_be_used(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        clean_domain(text)


def test_fields_are_cleaned() -> None:
    assert clean_domain(" MG.Acme.Example. ") == "mg.acme.example"
    assert clean_domain("post.bücher.example") == "post.xn--bcher-kva.example"
    assert clean_key(f" {KEY}\n") == KEY
    for bad in ("short", "with space in it", "é" * 20, "x" * 201):
        with pytest.raises(ValueError, match="not an API key"):
            clean_key(bad)


# --- Answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "verdict", "health", "code", "pause"),
    [
        (refusal(400, "'to' parameter is not a valid address"), PERMANENT, FINE,
         "recipient_refused", None),
        (refusal(400, "something else"), PERMANENT, FINE, "message_refused", None),
        (Response(401, b"Forbidden", {"Content-Type": "text/plain"}), RELEASED, MISCONFIGURED,
         "auth_failed", None),
        (refusal(403, "Domain mg.acme.example is not allowed to send: suspended"), RELEASED,
         MISCONFIGURED, "sender_refused", None),
        (refusal(404, "Domain not found: mg.acme.example"), RELEASED, MISCONFIGURED,
         "sender_refused", None),
        (Response(413, b"too large"), PERMANENT, FINE, "message_refused", None),
        (refusal(429, "Too many requests"), RELEASED, LIMITED, "rate_limited", None),
        (refusal(429, "Too many requests", Retry_After="17"), RELEASED, LIMITED, "rate_limited",
         17.0),
        (refusal(429, "wait", Retry_After="999999999999"), RELEASED, LIMITED, "rate_limited",
         12 * 3600.0),
        (refusal(429, "wait", Retry_After="soon"), RELEASED, LIMITED, "rate_limited", None),
        (refusal(500, "Internal Error", Retry_After="60"), TEMPORARY, FINE, "server_refused",
         60.0),
        (Response(502, b"<html>", {"Content-Type": "text/html"}), RELEASED, DOWN,
         "server_refused", None),
        (refusal(503, "down", Retry_After="90"), RELEASED, DOWN, "server_refused", 90.0),
        (Response(504, b""), UNCERTAIN, DOWN, "timeout", None),
        (Response(302, b"", {"Location": "http://127.0.0.1/"}), RELEASED, DOWN, "not_api", None),
        (Response(200, b"<html>Welcome"), UNCERTAIN, DOWN, "not_api", None),
        (Response(200, b'{"id": 7}'), UNCERTAIN, DOWN, "not_api", None),
        (Response(200, b'["id"]'), UNCERTAIN, DOWN, "not_api", None),
        (Response(200, b"[" * 100_000), UNCERTAIN, DOWN, "not_api", None),
        (Response(202, b"{}"), UNCERTAIN, DOWN, "not_api", None),
        (Response(raw=b"220 mail.example ESMTP\r\n"), UNCERTAIN, DOWN, "not_api", None),
        (Response(200, b"x" * 300_000), UNCERTAIN, DOWN, "not_api", None),
    ],
)  # fmt: skip
def test_answers(
    api: MailgunAPI, answer: Response, verdict: Any, health: Any, code: str, pause: float | None
) -> None:
    api.answer = lambda _: answer
    outcome = one_outcome(api)
    assert (outcome.verdict, outcome.health, outcome.code) == (verdict, health, code)
    assert outcome.pause == pause
    assert outcome.reason.endswith(".")
    assert outcome.provider_id == ""


def test_a_date_to_come_back_at(api: MailgunAPI) -> None:
    api.at = lambda _: refusal(503, "down", Retry_After=formatdate(time.time() + 600, usegmt=True))
    pause = one_outcome(api).pause
    assert pause is not None
    assert 590 < pause <= 600


@pytest.mark.parametrize("row", OUR_ROWS, ids=lambda row: row.key)
def test_the_test_says_what_sending_does(api: MailgunAPI, row: Row) -> None:
    """Each row, told to both: the same code and the same cause."""
    from tests.transports.test_mailgun_probe import probed

    status, _, words = example_of(row)[1].partition(" ")
    api.answer = lambda _: refusal(int(status), words)
    outcome = one_outcome(api)
    assert outcome.cause == row.cause
    failure = probed(api)[1]
    if row.test == "warning":  # of a recipient, and the test has none
        return
    assert failure is not None
    assert (failure.cause, failure.code) == (outcome.cause, outcome.code)


def test_faults_in_a_row_are_the_providers(api: MailgunAPI) -> None:
    api.at = lambda _: refusal(500, "Internal Error")
    with transport_to(api.server.url) as transport:
        outcomes = deliver(transport, mails(5))
    assert verdicts(outcomes) == {0: TEMPORARY, 1: TEMPORARY, 2: RELEASED}
    assert outcomes[2].health is DOWN


def test_the_key_is_nowhere_in_what_is_kept(api: MailgunAPI) -> None:
    api.answer = lambda call: refusal(
        403, f"bad key {KEY} {call.headers['authorization'].partition(' ')[2]}"
    )
    outcome = one_outcome(api)
    assert KEY not in f"{outcome!r}"
    assert "*****" in str(outcome.reply)
    assert "YXBp" not in str(outcome.reply), "the header's form of it"


# --- Broken calls ---------------------------------------------------------------------------------

ACCEPTANCE = Response.of({"id": "<1@x>", "message": "Queued."}).bytes()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response(raw=ACCEPTANCE, cut=0), "connection_lost"),
        (Response(raw=ACCEPTANCE, cut=8), "connection_lost"),
        (Response(raw=ACCEPTANCE, cut=len(ACCEPTANCE) - 3), "connection_lost"),
        (Response(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"id", cut=60),
         "connection_lost"),
        (Response(hang=True), "timeout"),
        (Response(raw=ACCEPTANCE, drip=0.05), "timeout"),
        (Response(raw=b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000, drip=0.0), "not_api"),
    ],
    ids=["none", "half a line", "half a body", "half a chunk", "silence", "drip", "headers"],
)  # fmt: skip
def test_an_answer_that_is_lost_leaves_it_open(
    api: MailgunAPI, answer: Response, code: str
) -> None:
    """All of the mail has left: Mailgun may have it. Nothing after it is touched."""
    api.at = lambda posted: answer if posted.recipient.startswith("r1@") else None
    began = time.monotonic()
    with transport_to(api.server.url, timeouts=IMPATIENT) as transport:
        outcomes = deliver(transport, mails(3))
        assert verdicts(outcomes) == {0: ACCEPTED, 1: UNCERTAIN}
        assert (outcomes[1].code, outcomes[1].health) == (code, DOWN)
        assert time.monotonic() - began < 15
        assert [one.recipient[:2] for one in api.posted] == ["r0", "r1"]
        api.at = lambda _: None
        assert verdicts(deliver(transport, [mail(2)])) == {2: ACCEPTED}


def test_a_refusal_whose_words_are_lost_is_one_all_the_same(api: MailgunAPI) -> None:
    api.answer = lambda _: Response(
        raw=b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 99\r\n\r\nForb", cut=60
    )
    assert one_outcome(api).code == "auth_failed"


def test_a_mail_that_did_not_leave_is_released(api: MailgunAPI) -> None:
    """The server hangs up in the middle of a large mail: it cannot have it."""
    api.server.begun = lambda _: False
    large = mail(0, BODY + b"y" * 20 * MEGABYTE)
    outcome = one_outcome(api, large)
    assert (outcome.verdict, outcome.code) == (RELEASED, "connection_lost")
    assert not outcome.opening


def test_what_is_refused_early_is_read(api: MailgunAPI) -> None:
    """A server may say that a mail is too large before it has read it, and hang up."""
    ready = threading.Event()

    def serve(listening: socket.socket) -> None:
        with listening.accept()[0] as connection, suppress(OSError):
            connection.recv(1000)
            connection.sendall(
                b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            connection.shutdown(socket.SHUT_WR)
            ready.wait(40)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        slow = Timeouts(connect=5, command=2, body_rate=100 * MEGABYTE, final_dot=5)
        with transport_to(url, timeouts=slow) as transport:
            (outcome,) = deliver(transport, [mail(0, BODY + b"y" * 20 * MEGABYTE)]).values()
        ready.set()
        thread.join()
    assert (outcome.verdict, outcome.cause) == (PERMANENT, "larger_than_allowed")


# --- The connection -------------------------------------------------------------------------------


def test_a_connection_that_the_server_let_go_of_costs_nothing(api: MailgunAPI) -> None:
    with transport_to(api.server.url) as transport:
        assert verdicts(deliver(transport, [mail(0)])) == {0: ACCEPTED}
        api.server.hang_up()
        assert verdicts(deliver(transport, [mail(1)])) == {1: ACCEPTED}
        assert api.server.connections == 2


def test_a_server_that_wants_no_second_call_gets_none(api: MailgunAPI) -> None:
    api.at = lambda _: Response.of({"id": "<1@x>"}, 200, Connection="close")
    with transport_to(api.server.url) as transport:
        assert verdicts(deliver(transport, mails(3))) == dict.fromkeys(range(3), ACCEPTED)
    assert api.server.connections == 3


def test_what_comes_unasked_is_no_answer(api: MailgunAPI) -> None:
    """Bytes after an answer would be taken for the answer to the next mail."""
    api.at = lambda _: Response(raw=ACCEPTANCE + Response(400, b"{}").bytes())
    with transport_to(api.server.url) as transport:
        assert verdicts(deliver(transport, mails(3))) == dict.fromkeys(range(3), ACCEPTED)


def test_interim_answers_are_passed_over(api: MailgunAPI) -> None:
    api.at = lambda _: Response(
        raw=b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + ACCEPTANCE
    )
    assert one_outcome(api).provider_id == "1@x"


def test_over_tls(certificates: CertificateFactory) -> None:
    api = MailgunAPI()
    own = ProviderAPI(
        api.server.answering, certificates.server_context(certificates.valid("localhost"))
    )
    api.server._listening.close()
    with own:
        trusting = Dialler(DiallingPolicy(frozenset(), LOOPBACK), ca_file=certificates.ca_file)
        for dialler, verdict in ((trusting, ACCEPTED), (Dialler(trusting.policy), RELEASED)):
            lent = Surroundings(dialler, replies(), endpoints={"mailgun": own.url})
            transport = DRIVER.open(setup(), lent)
            outcome = deliver(transport, [mail(0)])[0]
            transport.close()
            assert outcome.verdict is verdict
        assert (outcome.health, outcome.cause) == (MISCONFIGURED, "api_encryption")
    assert len(own.calls) == 1
    assert ssl.HAS_TLSv1_3


def test_no_address_is_dialled_that_the_policy_forbids(api: MailgunAPI) -> None:
    """However the operator's address is spelled; and a name that leads to another place."""
    inside = Dialler(DiallingPolicy(frozenset(), (), resolve=lambda _host, _port: ["127.0.0.1"]))
    for url in (api.server.url, ""):
        transport = DRIVER.open(
            setup(), Surroundings(inside, replies(), endpoints={"mailgun": url} if url else {})
        )
        outcome = deliver(transport, mails(2))[0]
        assert (outcome.verdict, outcome.code) == (RELEASED, "destination_not_allowed")
        assert outcome.opening
    assert not api.server.connections


def test_nothing_listens(closed_port: int) -> None:
    with transport_to(f"http://127.0.0.1:{closed_port}") as transport:
        outcomes = deliver(transport, mails(2))
    assert verdicts(outcomes) == {0: RELEASED}
    assert (outcomes[0].code, outcomes[0].cause) == ("connection_refused", "api_unreachable")
    assert outcomes[0].opening
