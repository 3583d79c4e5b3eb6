"""The name in From where a sender has none: its partner's, and no trouble with what a host says."""

from typing import Any

import pytest

from smtp_admin import Partner
from smtp_admin.senders import owner_names
from smtp_admin.senders.owner_names import owner_name
from tests.app import HostApp
from tests.delivery.workbench import queue, row_of


def test_mail_is_signed_by_the_partner(host: HostApp) -> None:
    host.save_sender()
    host.save_sender("", from_email="mail@platform.example")
    assert b"From: Acme GmbH <" in row_of(host, queue(host)).content
    # Who sends for a partner without settings signs with its own name.
    assert b"From: Northwind <mail@" in row_of(host, queue(host, partner_id="globex")).content


def test_what_was_entered_counts(host: HostApp) -> None:
    host.save_sender(from_name="Acme support")
    assert b"From: Acme support <" in row_of(host, queue(host)).content


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Acme\r\nBcc: eve@example.org", "Acme Bcc: eve@example.org"),
        ("  Acme \t GmbH ", "Acme GmbH"),
        ("=?utf-8?q?x?=", "Northwind"),
        ("\x00\x07", "Northwind"),
        ("x" * 200, "x" * 64),
        ("Grüße", "Grüße"),
    ],
)
def test_odd_names(host: HostApp, monkeypatch: pytest.MonkeyPatch, name: str, shown: str) -> None:
    partner = Partner("acme", "Acme")
    object.__setattr__(partner, "name", name)
    monkeypatch.setattr(host.host, "partner", lambda _: partner, raising=False)
    host.save_sender()
    assert owner_name("acme") == shown
    content = row_of(host, queue(host)).content
    assert content.count(b"\r\nBcc:") == 0


def test_a_host_that_fails_stops_no_mail(
    host: HostApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    def fail(partner_id: str) -> Any:
        asked.append(partner_id)
        raise RuntimeError("no database")

    assert owner_name("acme") == "Acme GmbH"
    monkeypatch.setattr(host.host, "partner", fail, raising=False)
    assert owner_name("acme") == "Acme GmbH"
    assert asked == []  # it is known for a minute
    monkeypatch.setattr(owner_names, "_KEPT_SECONDS", 0.0)
    assert owner_name("acme") == "Acme GmbH"
    assert owner_name("globex") == "Northwind"
    assert asked == ["acme", "globex"]
    assert len(caplog.records) == 1, "of both, in a short time"
