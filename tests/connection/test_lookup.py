"""Discovery and the DNS check know the providers, and what this installation may dial."""

from collections.abc import Iterator

import pytest

from smtp_admin.deliverability.service import check_dns
from smtp_admin.discovery.service import find_settings
from smtp_admin.senders.resolve import load_sender
from smtp_admin.smtp.nameserver import NameService
from tests.app import HostApp
from tests.servers.dns import DNSServer

RECORDS = {
    ("workspace.example", "MX"): ["1 aspmx.l.google.com."],
    ("mail.acme.example", "A"): ["192.0.2.1"],
    ("acme.example", "MX"): ["10 mail.acme.example."],
    ("acme.example", "TXT"): ['"v=spf1 include:sendgrid.net -all"'],
    ("_dmarc.acme.example", "TXT"): ['"v=DMARC1; p=reject"'],
}


@pytest.fixture
def names() -> Iterator[NameService]:
    with DNSServer(RECORDS) as server:
        yield NameService((server.address,))


@pytest.mark.parametrize("address", ["mia@gmail.com", "mia@workspace.example"])
def test_a_known_provider_is_suggested(host: HostApp, names: NameService, address: str) -> None:
    found = find_settings(address, names)
    assert found.best is not None
    assert (found.best.host, found.best.port, found.best.security) == ("smtp.gmail.com", 587, "tls")


def test_no_address_is_said(host: HostApp, names: NameService) -> None:
    with pytest.raises(ValueError, match="@"):
        find_settings("mia", names)


def test_dns_is_compared_with_what_the_provider_wants(host: HostApp, names: NameService) -> None:
    host.save_sender("acme", host="smtp.sendgrid.net", port=587, security="tls")
    found = check_dns(load_sender(host.db.session(), "acme"), names)
    by_subject = {one.subject: one for one in found.checks}
    assert found.domain == "acme.example"
    assert by_subject["dmarc"].status == "ok"
    assert by_subject["mx"].status == "ok"
