"""Settings that went wrong with other products: test and mail name the same true cause first.

What servers said there stands in ``tests/replies/test_tried.py``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

import pytest

from smtp_admin.connection.probe import TestResult, probe
from smtp_admin.diagnosis.causes import Cause
from smtp_admin.diagnosis.explanation import explain_pause, explain_refusal
from smtp_admin.providers.catalogue import replies
from smtp_admin.senders.resolve import load_sender
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.session import Dialler
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.driver import Surroundings
from smtp_admin.transports.outcome import Outcome
from smtp_admin.transports.smtp.driver import DRIVER
from tests.app import ADMIN, HostApp, started_with
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import Reply, ScriptedServer
from tests.setups import request_for

MAIL = Outgoing(0, "news@acme.example", "mia@example.org", b"Subject: x\r\n\r\nx\r\n")
TAB = "/smtp-admin/partners/acme"


@dataclass
class Tried:
    """One try by the test and one by a worker, with what is shown beside each."""

    test: TestResult
    outcome: Outcome
    by_test: tuple[Cause, ...]
    by_worker: tuple[Cause, ...]

    @property
    def first(self) -> tuple[str, str]:
        """The first cause of each."""
        return self.by_test[0].key, self.by_worker[0].key


@pytest.fixture
def attempt(certificates: CertificateFactory) -> Callable[..., Tried]:
    """``attempt(port, host=…)`` tests these settings and sends with them; any name leads here."""

    def make(port: int, *, addresses: tuple[str, ...] = ("127.0.0.1",), **settings: Any) -> Tried:
        request = request_for(**{"security": "none", **settings}, port=port,
                              from_email="news@acme.example")  # fmt: skip
        policy = DiallingPolicy(
            frozenset({port}), (ip_network("127.0.0.0/8"),), lambda *_: [*addresses]
        )
        dialler = Dialler(policy, Timeouts(5, 5, final_dot=5), certificates.ca_file)
        surroundings = Surroundings(dialler, replies())
        result = probe(request, surroundings, 5.0)
        transport = DRIVER.open(request.setup, surroundings)
        ((_, outcome),) = transport.deliver([MAIL])
        transport.close()
        assert result.failure is not None
        assert result.diagnosis is not None
        assert outcome.code == result.failure.code
        assert outcome.cause == result.failure.cause
        shown = explain_refusal(outcome, request.values)
        return Tried(result, outcome, result.diagnosis.causes, shown.causes)

    return make


Attempt = Callable[..., Tried]


def test_certificate_of_a_host_with_another_ending(
    attempt: Attempt, certificates: CertificateFactory
) -> None:
    context = certificates.server_context(certificates.valid("*.mailgun.org"))
    with ScriptedServer(implicit_tls=context) as server:
        tried = attempt(server.port, host="smtp.mailgun.com", security="ssl")
    assert tried.outcome.code == "certificate_error"
    assert tried.first == ("near_miss", "near_miss")
    assert "smtp.mailgun.org" in tried.by_worker[0].do
    told = {one.key: one for one in tried.by_test}
    assert "for *.mailgun.org" in told["certificate_meant"].what
    assert told["certificate_meant"].do == "Did you mean smtp.mailgun.org? Enter it as the host."


def test_certificate_of_nobody_that_is_known(
    attempt: Attempt, certificates: CertificateFactory
) -> None:
    context = certificates.server_context(certificates.valid("mail.acme.example"))
    with ScriptedServer(implicit_tls=context) as server:
        tried = attempt(server.port, host="mail.acme.exmaple", security="ssl")
    # The names in it are read in the test only; what is wrong is the same.
    assert tried.first == ("certificate_meant", "certificate_name")
    assert "mail.acme.example" in tried.by_test[0].do


def test_certificate_and_an_address_as_host(
    attempt: Attempt, certificates: CertificateFactory
) -> None:
    context = certificates.server_context(certificates.wrong_name())
    with ScriptedServer(implicit_tls=context) as server:
        tried = attempt(server.port, host="127.0.0.1", security="ssl")
    assert tried.first == ("certificate_address_names", "certificate_address")
    assert "other.example" in tried.by_test[0].what


def test_several_addresses_each_with_what_came_of_it(attempt: Attempt, closed_port: int) -> None:
    tried = attempt(closed_port, host="mail.acme.example", addresses=("127.0.0.2", "127.0.0.3"))
    both = "127.0.0.2: connection refused; 127.0.0.3: connection refused"
    assert tried.first == ("no_address_answers", "no_address_answers")
    assert both in tried.by_test[0].what
    assert both in tried.by_worker[0].what
    assert both in tried.outcome.reason


def test_the_server_that_takes_mail_in(attempt: Attempt, closed_port: int) -> None:
    host = "example-com.mail.protection.outlook.com"
    refused = attempt(closed_port, host=host)
    with ScriptedServer(behaviours={"rcpt": Reply("554 5.7.1 <x>: Relay access denied")}) as server:
        not_relayed = attempt(server.port, host=host)
    for tried in (refused, not_relayed):
        assert tried.first == ("incoming_server", "incoming_server")
        for one in (tried.by_test[0], tried.by_worker[0]):
            assert one.do == "Enter the outgoing server: smtp.office365.com, port 587."


def test_a_slip_in_the_name_of_the_host(attempt: Attempt, closed_port: int) -> None:
    tried = attempt(closed_port, host="smtp.gmial.com")
    assert tried.first == ("near_miss", "near_miss")
    assert tried.by_test[0].do == "If you mean smtp.gmail.com, enter that."


# --- What the database and the environment know --------------------------------------------------


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(auth=("news", "right")) as running:
        yield running


@pytest.fixture
def site(new_app: Callable[..., HostApp]) -> Iterator[HostApp]:
    made = new_app()
    made.actor = ADMIN
    with made.app.app_context():
        yield made


def causes_of(site: HostApp, partner_id: str = "acme") -> tuple[list[str], str]:
    """The causes beside the pause, and the code of a test of the saved settings before it.

    Beside the failed test the same cause comes first.
    """
    page = TAB if partner_id else "/smtp-admin/system"
    session = site.db.session()
    given = dict(load_sender(session, partner_id).values)
    tested = site.client.post(f"{page}/test-connection", json=given | {"password": ""}).get_json()
    assert (
        site.client.post(f"{page}/test-email", json={"to": "you@else.example"}).status_code == 202
    )
    site.work()
    explained = explain_pause(session, load_sender(session, partner_id))
    assert explained is not None
    hint = explained.causes[0]
    assert tested["error"]["hint"].startswith(f"{hint.what} {hint.do}")
    return [one.key for one in explained.causes], tested["error"]["code"]


def test_the_password_was_changed_and_worked_before(site: HostApp, server: ScriptedServer) -> None:
    there: dict[str, Any] = {"port": server.port, "username": "news"}
    site.save_sender(**there, password="right")
    tested = {"host": "127.0.0.1", "security": "none", "from_email": "noreply@acme.example"}
    answer = site.client.post(f"{TAB}/test-connection", json=there | tested)
    assert answer.status_code == 200, answer.text
    site.save_sender(**there, password="wrong")
    keys, code = causes_of(site)
    assert (keys[0], code) == ("worked_before", "auth_failed")
    explained = explain_pause(site.db.session(), load_sender(site.db.session(), "acme"))
    assert explained is not None
    assert "revision 1 " in explained.hint


def test_a_mail_that_was_taken_shows_it_too(site: HostApp, server: ScriptedServer) -> None:
    there: dict[str, Any] = {"port": server.port, "username": "news"}
    site.save_sender(**there, password="right")
    site.client.post(f"{TAB}/test-email", json={"to": "you@else.example"})
    site.work()
    site.save_sender(**there, password="wrong")
    assert causes_of(site)[0][0] == "worked_before"


@pytest.mark.parametrize(
    "change",
    [{"username": "another"}, {"password": "right"}, {}],
    ids=["another login", "never tested", "never changed"],
)
def test_it_is_not_said_where_nobody_knows(
    site: HostApp, server: ScriptedServer, change: dict[str, Any]
) -> None:
    there: dict[str, Any] = {"port": server.port, "username": "news"}
    site.save_sender(**there, password="right" if change.get("username") else "wrong")
    if change.get("username"):
        site.client.post(f"{TAB}/test-email", json={"to": "you@else.example"})
        site.work()
    site.save_sender(**there | {"password": "wrong"} | change)
    server.behave("auth", Reply("535 5.7.8 no"))
    assert causes_of(site)[0][0] == "whole_address"


def test_a_password_with_letters_that_some_servers_do_not_take(
    site: HostApp, server: ScriptedServer
) -> None:
    site.save_sender(port=server.port, username="news@acme.example", password="pa§§word")
    keys, code = causes_of(site)
    assert (keys[0], code) == ("letters_in_password", "auth_failed")


@pytest.mark.parametrize("prefix", ["", "SETGET_"])
def test_false_is_not_no_encryption(site: HostApp, prefix: str) -> None:
    """A relay in one's own network whose STARTTLS is broken, or that has none."""
    with ScriptedServer() as server:
        environment = {
            f"{prefix}SMTP_HOST": "127.0.0.1",
            f"{prefix}SMTP_PORT": str(server.port),
            f"{prefix}SMTP_SECURE": "false",
            f"{prefix}SMTP_FROM": "noreply@platform.example",
        }
        config = replace(site.installation.config, env_prefix=prefix)
        site.app.extensions["smtp_admin"] = started_with(
            site.installation, environment=environment, config=config
        )
        keys, code = causes_of(site, "")
    assert (keys[0], code) == ("false_is_not_none", "tls_not_offered")
    explained = explain_pause(site.db.session(), load_sender(site.db.session(), ""))
    assert explained is not None
    assert f"{prefix}SMTP_SECURITY=none" in explained.hint
    assert "plain text" in explained.hint
