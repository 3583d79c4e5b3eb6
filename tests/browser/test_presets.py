"""Each provider as somebody meets it who never set up a mailer: choose, read, type, be told."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

import pytest

from smtp_admin.providers.catalogue import providers
from smtp_admin.providers.provider import Provider

from .site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

TAB = "/smtp-admin/partners/globex"
#: What people enter by mistake, where its shape alone shows that it cannot work: login, password,
#: the field that is marked, and a word of what it says.
MISTAKES: dict[str, tuple[str, str, str, str]] = {
    "gmail": ("sam@gmail.com", "the account's password", "password", "app password"),
    "microsoft365": ("sam", "a password", "username", "full address"),
    "sendgrid": ("sam@acme.example", "SG.x", "username", "the word apikey"),
    "mailgun": ("api", "a password", "username", "postmaster@"),
    "ses": ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "password",
            "secret access key"),
    "postmark": ("sam@acme.example", "a password", "username", "Server API token"),
    "sparkpost": ("sam@acme.example", "a key", "username", "SMTP_Injection"),
}  # fmt: skip
#: Where any shape may be right: there the page only advises.
DOUBTFUL = {"yahoo", "mailtrap", "cpanel"}


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every address outside this machine that the app, which runs in this process, connects to."""
    begun: list[str] = []
    connect = socket.socket.connect

    def recording(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not ipaddress.ip_address(address[0]).is_loopback:
            begun.append(str(address[0]))
            raise ConnectionRefusedError
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", recording)
    return begun


def said_at(page: Page, field: str) -> str:
    """What stands at a field for those who hear it."""
    described = str(page.get_attribute(f"#{field}", "aria-describedby")).split()
    return " ".join(str(page.text_content(f"#{one}")) for one in described)


def test_every_provider_is_tried() -> None:
    assert {*MISTAKES, *DOUBTFUL} == {one.key for one in providers()}


@pytest.mark.parametrize("one", providers(), ids=lambda one: one.key)
def test_what_to_type_is_clear_from_the_page(
    page: Page, site: Site, dialled: list[str], one: Provider
) -> None:
    page.goto(site.url + TAB)
    page.select_option("#preset", one.key)
    page.wait_for_selector("#preset-steps")
    region = one.regions[-1].key if one.regions else ""
    if region:
        page.select_option("#region", region)
        page.wait_for_url(lambda url: f"region={region}" in url)
    assert page.input_value("#host") == one.host_for(region=region, domain="globex.example")
    assert page.input_value("#port") == str(one.port)
    assert page.input_value("#security") == one.security
    shown = " ".join(page.inner_text("#preset-steps").split())
    for step in one.steps:
        assert step in shown
    assert one.login in said_at(page, "username")
    assert one.password in said_at(page, "password")
    assert one.from_address in said_at(page, "from_email")
    assert str(one.port) in said_at(page, "port")
    for limit in one.limits:
        assert limit.who in shown
    assert page.get_attribute("#preset-steps a", "href") == one.page
    if one.key in MISTAKES:
        username, password, field, word = MISTAKES[one.key]
        page.fill("#username", username)
        page.fill("#password", password)
        page.fill("#from_email", "noreply@globex.example")
        page.click("text=Test connection")
        page.wait_for_selector("text=No connection was made.")
        assert word in page.inner_text("#connection-test")
        page.click("button >> text=/^Save$/")
        page.wait_for_selector(f"#{field}[aria-invalid=true]")
        assert word in said_at(page, field)
        assert page.input_value("#username") == username
    assert dialled == []


def test_the_stored_password_is_not_promised_to_another_provider(page: Page, site: Site) -> None:
    site.save("acme")
    page.goto(f"{site.url}/smtp-admin/partners/acme?preset=gmail")
    said = said_at(page, "password")
    assert "16 letters" in said
    assert "The stored one is only ever sent to localhost." in said
    assert "Leave empty" not in said
