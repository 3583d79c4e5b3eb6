"""A mailbox that cannot be read is seen: alert, doctor and page say why, and what to do."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from smtp_admin.clock import now
from smtp_admin.events.models import BounceMailbox
from smtp_admin.monitor.alerts.models import Alert
from tests.alerts.watching import alerts, look
from tests.cli import doctor
from tests.events.bounces.test_mailbox import (
    PAGE,
    read,
    row,
    server,
    site,
    turn_on,
)
from tests.events.conftest import opened
from tests.events.hooking import Hooked
from tests.servers.certificates import CertificateFactory
from tests.servers.imap import ImapServer

__all__ = ["opened", "server", "site"]

HTML, JSON = {"Accept": "text/html"}, {"Accept": "application/json"}


def told(site: Hooked) -> list[Alert]:
    """The alerts about mailboxes, oldest first."""
    return [one for one in alerts(site.host) if one.kind == "bounces_unread"]


def wrong_login(server: ImapServer, _: CertificateFactory) -> None:
    server.password = "changed"


def host_away(server: ImapServer, _: CertificateFactory) -> None:
    server.__exit__()


def other_certificate(server: ImapServer, certificates: CertificateFactory) -> None:
    server.context = certificates.server_context(certificates.unknown_ca())


def breaks_off(server: ImapServer, _: CertificateFactory) -> None:
    server.answers["UID SEARCH"] = b"* BYE too busy\r\n"


#: What breaks it, how many tries that takes to be told, and words of cause and remedy.
BROKEN: dict[str, tuple[Callable[[ImapServer, CertificateFactory], None], int, str, str]] = {
    "login": (wrong_login, 2, "refused the user name or password", "app password"),
    "host": (host_away, 3, "nothing listens on port", "993 for SSL/TLS"),
    "certificate": (other_certificate, 3, "certificate", "ask the operator of the server"),
    "busy": (breaks_off, 3, "closed the connection", "may be overloaded"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_it_is_told_with_cause_and_remedy(
    site: Hooked, server: ImapServer, certificates: CertificateFactory, name: str
) -> None:
    breaks, tries, cause, remedy = BROKEN[name]
    turn_on(site, server)
    read(site)
    assert "are read: 1" in doctor.only(site.host, "bounces")["message"]
    breaks(server, certificates)
    for number in range(1, tries + 1):
        look(site.host)
        assert told(site) == []
        # The pauses are longer each time; here they are over at once.
        past = now() - timedelta(seconds=1)
        site.host.db.session.execute(update(BounceMailbox).values(next_read_at=past))
        site.host.db.session.commit()
        read(site)
        assert row(site).failures == number
        first = doctor.only(site.host, "bounces")
        assert first["status"] == "warning", "the doctor waits for no second try"
        assert cause in first["message"]
    for _ in range(2):
        look(site.host)
    (alert,) = told(site)
    check = doctor.only(site.host, "bounces")
    assert (check["status"], check["subject"]) == ("warning", "partner acme")
    assert f"{tries} tries in a row failed" in check["message"]
    page = site.client.get(PAGE, headers=HTML).text
    known = site.client.get(PAGE, headers=JSON).json
    assert known is not None
    assert known["mailbox"]["remedy"] == check["hint"]
    assert "smtp-admin-note--bad" in page
    for text in (alert.detail, f"{check['message']} {check['hint']}", page):
        assert cause in text
        assert remedy in text


def test_it_is_one_incident_that_ends(site: Hooked, server: ImapServer) -> None:
    turn_on(site, server)
    server.greeting = b"* BYE\r\n"
    later = 0.0
    for _ in range(5):
        read(site, later)
        look(site.host, timedelta(minutes=later))
        later += 70
    (alert,) = told(site)
    assert (alert.ended_at, alert.partner_id) == (None, "acme")
    server.greeting = b"* OK ready\r\n"
    assert read(site, later) == 0
    assert row(site).failures == 0
    for minutes in (later, later + 6):
        look(site.host, timedelta(minutes=minutes))
    (alert,) = told(site)
    assert alert.ended_at is not None


def test_what_nobody_looks_at_is_said(site: Hooked, server: ImapServer) -> None:
    """Where no worker looks, nothing fails either."""
    assert "No sender has a mailbox" in doctor.only(site.host, "bounces")["message"]
    turn_on(site, server)
    assert doctor.only(site.host, "bounces")["status"] == "ok"
    assert "are read: 0. Not read yet: 1." in doctor.only(site.host, "bounces")["message"]
    server.greeting = b"* BYE\r\n"
    read(site)
    assert "was never read; the last try failed" in doctor.only(site.host, "bounces")["message"]
    server.greeting = b"* OK ready\r\n"
    read(site, 10)
    past = now() - timedelta(minutes=20)
    site.host.db.session.execute(update(BounceMailbox).values(next_read_at=past))
    site.host.db.session.commit()
    check = doctor.only(site.host, "bounces")
    assert (check["status"], check["hint"]) == ("warning", "See “workers”.")
