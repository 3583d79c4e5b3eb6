"""A failed test offers what would mend it: never what is there already, nor less encryption."""

from collections.abc import Iterator
from typing import Any

import pytest

from smtp_admin.connection.fixes import fixes
from smtp_admin.connection.probe import TestResult
from smtp_admin.connection.request import TestRequest
from smtp_admin.diagnosis.diagnose import of_failure
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.failure import Code, SMTPFailure
from smtp_admin.smtp.report import Report
from tests.app import HostApp
from tests.servers.scripted import ScriptedServer

USUAL = {
    "host": "mail.acme.example",
    "port": 587,
    "security": "tls",
    "from_email": "a@acme.example",
}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def offered(
    site: HostApp, code: Code, step: str, cause: str = "", locked: tuple[str, ...] = (), **more: Any
) -> list[dict[str, str]]:
    """What is offered after a failure with these settings."""
    facts = more.pop("facts", {})
    values = SenderValues(**(USUAL | more))
    failure = SMTPFailure(code, step, "It failed.", cause=cause, facts=facts)
    with site.app.app_context():
        request = TestRequest(values, values.kind.read(values, {"password": ""}))
        result = TestResult(request, Report(), 1.0, failure)
        result.diagnosis = of_failure(failure, values)
        return [dict(one.fields) for one in fixes(result, locked)]


STARTTLS, SSL = {"port": "587", "security": "tls"}, {"port": "465", "security": "ssl"}


@pytest.mark.parametrize(
    ("code", "step", "settings", "first"),
    [
        ("timeout", "greeting", {"port": 465}, {"security": "ssl"}),
        ("tls_failed", "tls", {"security": "ssl"}, {"security": "tls"}),
        ("tls_not_offered", "starttls", {}, SSL),
        ("timeout", "connect", {"port": 25}, STARTTLS),
        ("connection_refused", "connect", {}, SSL),
        ("connection_refused", "connect", {"host": "smtp.gmail.com", "port": 465,
                                           "security": "ssl"}, STARTTLS),
        ("dns_failed", "dns", {"host": "smtp.gmial.com"}, {"host": "smtp.gmail.com"}),
        ("timeout", "connect", {"host": "imap.gmail.com"},
         {"host": "smtp.gmail.com", "port": "587", "security": "tls"}),
        ("auth_not_offered", "auth", {"security": "none", "username": "u"}, {"security": "tls"}),
        ("auth_failed", "auth", {"username": "sam"}, {"username": "a@acme.example"}),
    ],
    ids=lambda one: str(one)[:30],
)  # fmt: skip
def test_the_first_thing_to_try(
    host: HostApp, code: Code, step: str, settings: dict[str, Any], first: dict[str, str]
) -> None:
    found = offered(host, code, step, **settings)
    assert found[0] == first
    assert len(found) <= 3
    assert not any(one.get("security") == "none" for one in found)


def test_what_cannot_be_changed_is_not_offered(host: HostApp) -> None:
    assert offered(host, "tls_failed", "tls", security="ssl", locked=("security",)) == []
    ports = {one["port"] for one in offered(host, "connection_refused", "connect", port=25)}
    assert ports <= {str(one) for one in host.installation.config.allowed_ports}


def test_page_and_json_offer_the_same(host: HostApp, server: ScriptedServer) -> None:
    form = {"driver": "smtp", "host": "127.0.0.1", "port": str(server.port), "security": "ssl",
            "from_email": "a@acme.example", "verify_tls": "true", "revision": "0"}  # fmt: skip
    url = "/smtp-admin/partners/acme/test-connection"
    client = host.client
    answer = client.post(url, data=form, headers={"Accept": "application/json"})
    assert answer.get_json()["error"]["fixes"][0] == {
        "label": "Use STARTTLS",
        "fields": {"security": "tls"},
    }
    page = client.post(url, data=form, headers={"Accept": "text/html"}).text
    assert "Use STARTTLS and test again" in page
    pressed = client.post(
        url, data=form | {"apply": "security=tls&password=x"}, headers={"Accept": "text/html"}
    )
    assert '<option value="tls" selected>' in pressed.text
    assert "The server does not offer STARTTLS" in " ".join(pressed.text.split())
