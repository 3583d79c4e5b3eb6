"""The banner that names what does not work while no sender is configured."""

import re

import pytest

from smtp_admin.mail.types import TYPES, EmailType
from tests.app import ACME_ADMIN, ADMIN, HostApp, TestHost
from tests.test_pages import get, names, site

__all__ = ["names", "site"]

BANNER = "No mail is sent from here yet"


def test_banner_while_unconfigured(site: HostApp) -> None:
    assert BANNER in get(site, "/partners/acme").text
    assert BANNER in get(site, "/system").text
    with site.app.app_context():
        site.save_sender("acme")
    assert BANNER not in get(site, "/partners/acme").text
    assert BANNER in get(site, "/partners/globex").text
    with site.app.app_context():
        site.save_sender("")
    # Now the system's sender stands in, and the page says so instead.
    page = get(site, "/partners/globex").text
    assert BANNER not in page
    assert "Using the system&#39;s sender" in page
    assert BANNER not in get(site, "/system").text


def test_the_banner_names_what_and_whose_mail_waits(site: HostApp) -> None:
    """On every page that one comes to first, for those whose senders one may see."""
    kinds = "Password reset, Renewal reminder"
    for path in ("/", "/partners", "/partners/acme", "/system"):
        assert kinds in get(site, path).text, path
    for path in ("/", "/partners"):
        shown = banner(get(site, path).text)
        for name in ("the system", "Acme GmbH", "Globex", "Initech"):
            assert name in shown, path
    with site.app.app_context():
        site.save_sender("acme")
    shown = banner(get(site, "/").text)
    assert "Acme GmbH" not in shown
    assert "Globex" in shown
    site.actor = ACME_ADMIN
    assert 'id="no-sender"' not in get(site, "/").text
    site.actor = ADMIN
    with site.app.app_context():
        site.save_sender("")  # it stands in for all who have none
    for path in ("/", "/partners", "/partners/globex", "/system"):
        assert 'id="no-sender"' not in get(site, path).text, path


def banner(page: str) -> str:
    (found,) = re.findall(r'id="no-sender">.*?</div>', page, re.DOTALL)
    return str(found)


def test_the_banner_names_five_and_counts_the_others(
    site: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smtp_admin import Partner

    many = [Partner(f"p{n}", f"Partner {n}") for n in range(9)]
    monkeypatch.setattr(TestHost, "partners", lambda _: many)
    shown = " ".join(banner(get(site, "/partners").text).split())
    assert shown.count("<a ") == 5
    assert "and 5 more:" in shown


def test_the_banner_names_the_hosts_own_kinds(site: HostApp) -> None:
    TYPES.of(site.installation).add(EmailType("odd", "Odd <b>", {}, {}, priority="urgent"))
    for path in ("/", "/partners", "/partners/acme"):
        page = get(site, path).text
        assert "Password reset, Odd &lt;b&gt;, Renewal reminder" in page
