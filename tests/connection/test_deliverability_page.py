"""What DNS says about a sender, on its page: the records to copy, with the age of the answer."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from smtp_admin.audit.models import Audit
from smtp_admin.clock import shifted
from smtp_admin.dns import NAMES
from smtp_admin.smtp.nameserver import NameService
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.servers.dns import DNSServer, Fail

HTML = {"Accept": "text/html"}
PAGE = "/smtp-admin/partners/acme/deliverability"
SPF = '"v=spf1 include:_spf.old.example -all"'
RECORDS = {
    ("acme.example", "MX"): ["10 mail.acme.example."],
    ("mail.acme.example", "A"): ["192.0.2.1"],
    ("acme.example", "TXT"): [SPF],
    ("_spf.old.example", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
}


@pytest.fixture
def dns() -> Iterator[DNSServer]:
    with DNSServer(RECORDS) as server:
        yield server


@pytest.fixture
def site(new_app: Callable[..., HostApp], dns: DNSServer) -> Iterator[HostApp]:
    """A partner who sends through Gmail."""
    made = new_app(TEST_LIMIT="3 per hour")
    made.actor = ACME_ADMIN
    NAMES.put(made.installation, NameService((dns.address,)))
    with made.app.app_context():
        made.save_sender("acme", host="smtp.gmail.com", port=587, security="tls")
        yield made


def look(site: HostApp, path: str = PAGE) -> str:
    return site.client.get(path, headers=HTML).text


def check(site: HostApp, path: str = PAGE) -> str:
    return site.client.post(path, headers=HTML).text


def age(page: str) -> str:
    (found,) = re.findall(r"Checked\s+<time[^>]*>([^<]*)</time>", page)
    return str(found)


def test_the_records_to_copy_and_what_dns_says(site: HostApp) -> None:
    page = check(site)
    assert "include:_spf.google.com” is missing" in page
    # One record: it keeps what is valid and adds the provider.
    assert "v=spf1 include:_spf.old.example include:_spf.google.com -all" in page
    assert "google._domainkey.acme.example" in page
    assert "v=DMARC1; p=none; rua=mailto:postmaster@acme.example" in page
    assert "Replies and bounces go to mail.acme.example." in page
    assert age(page) == "just now"


def test_looking_asks_nobody(site: HostApp, dns: DNSServer) -> None:
    """Whoever only opens pages cannot keep our threads waiting for name servers."""
    for _ in range(3):
        page = look(site)
        assert "Not checked yet" in page
        assert "Check now" in page
    answer = site.client.get(PAGE)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "not_found")
    assert "POST" in answer.get_json()["error"]["hint"]
    assert dns.queries == []


def test_the_age_is_shown_and_dns_is_asked_again_when_it_is_wanted(
    site: HostApp, dns: DNSServer
) -> None:
    check(site)
    asked = len(dns.queries)
    dns.set("_dmarc.acme.example", "TXT", ['"v=DMARC1; p=reject; rua=mailto:x@acme.example"'])
    with shifted(timedelta(minutes=3)):
        page = look(site)
        assert age(page) == "3 minutes ago"
        assert "acme.example has no DMARC record" in page
        assert len(dns.queries) == asked
        again = check(site)
        assert age(again) == "just now"
        assert "has no DMARC record" not in again
        assert "asks receivers to refuse forged mail" in again
        assert age(look(site)) == "just now"
    asked = len(dns.queries)
    with shifted(timedelta(days=1, hours=1)):
        assert age(look(site)) == "1 day ago"
    assert len(dns.queries) == asked


def test_other_settings_are_another_question(site: HostApp) -> None:
    check(site)
    site.save_sender("acme", host="smtp.sendgrid.net", port=587, security="tls")
    assert "Not checked yet" in look(site)
    page = check(site)
    assert "SendGrid" in page
    assert "google._domainkey" not in page


def test_what_cannot_be_looked_up_is_not_called_missing(site: HostApp, dns: DNSServer) -> None:
    for name in ("acme.example", "_dmarc.acme.example", "google._domainkey.acme.example"):
        for kind in ("TXT", "MX"):
            dns.set(name, kind, Fail("SERVFAIL"))
    page = check(site)
    assert "has no SPF record" not in page
    assert "The DNS server has no answer" in page
    assert "Records to publish" in page
    assert "smtp-admin-step--missing" not in page


def test_checking_again_is_limited_and_recorded(site: HostApp) -> None:
    for _ in range(3):
        assert site.client.post(PAGE, headers=HTML).status_code == 200
    refused = site.client.post(PAGE, headers=HTML)
    assert refused.status_code == 429
    assert "That was more than" in refused.text
    assert "Records to publish" in refused.text, "what is known stays on the page"
    assert site.client.post(PAGE).status_code == 429
    assert look(site)
    done = site.db.session.scalars(select(Audit.action).where(Audit.action == "dns.checked"))
    assert len(done.all()) == 3


def test_as_json(site: HostApp) -> None:
    asked = site.client.post(PAGE)
    answer = site.client.get(PAGE)
    assert (asked.status_code, answer.status_code) == (200, 200)
    body = answer.get_json()
    assert body == asked.get_json()
    assert body["ok"] is True
    assert body["domain"] == "acme.example"
    assert [one["subject"] for one in body["checks"]] == ["spf", "dkim", "dmarc", "alignment", "mx"]
    nothing = site.client.get("/smtp-admin/system/deliverability")
    assert nothing.status_code == 403
    site.actor = ADMIN
    nothing = site.client.get("/smtp-admin/system/deliverability")
    assert (nothing.status_code, nothing.get_json()["error"]["code"]) == (400, "invalid_input")


def test_without_settings_it_says_what_to_do(site: HostApp, dns: DNSServer) -> None:
    site.actor = ADMIN
    globex = "/smtp-admin/partners/globex/deliverability"
    assert "Save a from address on the" in look(site, globex)
    site.save_sender("", from_email="noreply@platform.example")
    assert "sends this partner's mail from noreply@platform.example" in look(site, globex)
    assert dns.queries == []
    assert site.client.post(globex, headers=HTML).status_code == 400


def test_what_strangers_publish_is_text(site: HostApp, dns: DNSServer) -> None:
    dns.set("acme.example", "TXT", ['"v=spf1 <script>alert(1)</script> -all"'])
    page = check(site)
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_it_is_linked_from_the_tab_and_back(site: HostApp) -> None:
    tab = look(site, "/smtp-admin/partners/acme")
    assert f'<a href="{PAGE}" >Deliverability</a>' in tab
    assert re.search(r'<a href="/smtp-admin/partners/acme" >SMTP</a>', look(site))
    assert f'<a href="{PAGE}" aria-current="page">Deliverability</a>' in look(site)
