"""One browser and one site for all tests in here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from smtp_admin.dns import NAMES
from smtp_admin.smtp.nameserver import NameService
from tests.servers.certificates import CertificateFactory
from tests.servers.chromium import browser
from tests.servers.dns import DNSServer
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.servers.skipping import skipped_if_unavailable

from .inspection import Listener, new_context, sign_in
from .site import LOGIN, MAIL_PASSWORD, Site, running_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ADMIN = "admin@northwind.example"
PARTNER_ADMIN = "mia@acme.example"
CUSTOMER = "carl@customer.example"


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """A browser, for these tests only: while it is open, its event loop runs in this thread."""
    with skipped_if_unavailable(), browser() as running:
        yield running


@pytest.fixture(scope="package")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    redis_server: RedisServer,
    certificates: CertificateFactory,
) -> Iterator[Site]:
    """The example app; its partners have no sender until a test saves one."""
    redis_server.start()
    redis_server.flush()
    config = {
        "SMTP_ADMIN_REDIS_URL": redis_server.url,
        "SMTP_ADMIN_CA_FILE": certificates.ca_file,
    }
    instance = tmp_path_factory.mktemp("site") / "instance"
    tls = certificates.server_context(certificates.valid("localhost"))
    with (
        ScriptedServer(starttls=tls, auth=(LOGIN, MAIL_PASSWORD)) as smtp,
        DNSServer(records(smtp.port)) as dns,
        running_site(instance, smtp, config) as running,
    ):
        NAMES.put(running.app.extensions["smtp_admin"], NameService((dns.address,)))
        yield running


def records(port: int) -> dict[tuple[str, str], list[str]]:
    """What DNS says: Acme announces that mail server, and publishes some of what receivers want."""
    return {
        ("_submission._tcp.acme.example", "SRV"): [f"0 1 {port} localhost."],
        ("acme.example", "MX"): ["10 mail.acme.example."],
        ("mail.acme.example", "A"): ["192.0.2.1"],
        ("acme.example", "TXT"): [
            f'"v=spf1 ip4:192.0.2.0/24 include:_spf.{"long" * 15}.example -all"'
        ],
        (f"_spf.{'long' * 15}.example", "TXT"): ['"v=spf1 ip4:198.51.100.0/24 -all"'],
        ("_dmarc.acme.example", "TXT"): ['"v=DMARC1; p=none"'],
    }


@pytest.fixture(autouse=True)
def well_behaved(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test the mail server is as it was."""
    yield
    if "site" in request.fixturenames:
        smtp = request.getfixturevalue("site").smtp
        for stage in ("greeting", "ehlo", "auth", "mail", "rcpt", "dot"):
            smtp.behave(stage, None)


@pytest.fixture(scope="package")
def cookies(chromium: Browser, site: Site) -> dict[str, Any]:
    """The sessions of an administrator, a partner's administrator and a customer, and of nobody."""
    kept: dict[str, Any] = {"nobody": None}
    for name, email in (("admin", ADMIN), ("partner", PARTNER_ADMIN), ("customer", CUSTOMER)):
        context = new_context(chromium)
        sign_in(context.new_page(), site.url, email)
        kept[name] = context.storage_state()
        context.close()
    return kept


@pytest.fixture
def who() -> str:
    """Who looks; a test that wants another one parametrizes it."""
    return "admin"


@pytest.fixture
def scripts() -> bool:
    """Whether the browser runs scripts."""
    return True


@pytest.fixture(scope="package")
def people(
    chromium: Browser, site: Site, cookies: dict[str, Any]
) -> Callable[[str, bool], BrowserContext]:
    """The browser of each of them, with scripts or without."""
    opened: dict[tuple[str, bool], BrowserContext] = {}

    def opening(who: str, scripts: bool) -> BrowserContext:
        if (who, scripts) not in opened:
            context = new_context(chromium, storage_state=cookies[who], java_script_enabled=scripts)
            # It stays open, and with it the process that shows the pages of the site.
            context.new_page().goto(f"{site.url}/smtp-admin/static/css/smtp-admin.css")
            opened[who, scripts] = context
        return opened[who, scripts]

    return opening


@pytest.fixture
def page(
    people: Callable[[str, bool], BrowserContext],
    site: Site,
    cookies: dict[str, Any],
    who: str,
    scripts: bool,
) -> Iterator[Page]:
    """A page of somebody who is signed in; the test fails if it complained about anything."""
    context = people(who, scripts)
    page = context.new_page()
    listener = Listener(page, site.url)
    yield page
    for each in context.pages[1:]:
        each.close()
    context.clear_permissions()
    context.clear_cookies()
    context.add_cookies((cookies[who] or {"cookies": []})["cookies"])
    assert not listener.complaints
