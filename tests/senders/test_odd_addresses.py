"""Ids in an address that no database has: the same answer on each kind, never an error of its own.

PostgreSQL refuses a NUL in a text and a number beyond its type, where SQLite shrugs.
"""

import pytest

from smtp_admin.senders.resolve import load_sender
from tests.app import HostApp

HTML = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}
ODD = ["%00", "a%00b", "%FF", "%ED%A0%80", "%F0%9F%98%80", "0", "-1", "9" * 40, "x" * 5000,
       "%27%20OR%201=1--", "..%2F..", "%0D%0AX:1", "٣", "%25"]  # fmt: skip


@pytest.mark.parametrize("headers", [HTML, JSON], ids=["html", "json"])
def test_mail_that_does_not_exist(site: HostApp, headers: dict[str, str]) -> None:
    with site.app.app_context():
        site.save_sender("acme")
    client = site.client
    for odd in ODD:
        path = f"/smtp-admin/partners/acme/test-email/{odd}"
        assert client.get(path, headers=headers).status_code == 404, odd
        assert client.get(f"/smtp-admin/system/test-email/{odd}").status_code == 404, odd


def test_mail_to_follow_that_does_not_exist(site: HostApp) -> None:
    client = site.client
    for odd in ODD:
        answer = client.get(f"/smtp-admin/partners/acme?mail={odd}", headers=HTML)
        assert answer.status_code == 200, odd
        assert "data-smtp-admin-follow" not in answer.text


def test_partner_that_does_not_exist(site: HostApp) -> None:
    client = site.client
    for odd in ODD:
        assert client.get(f"/smtp-admin/partners/{odd}", headers=HTML).status_code == 404, odd
        answer = client.get(f"/api/email/status?partner_id={odd}", headers=JSON)
        assert answer.status_code == 404, odd


def test_partners_whose_ids_differ_by_little(site: HostApp) -> None:
    """MariaDB's usual comparison takes case, accents and spaces at the end for nothing."""
    ids = ["acme", "ACME", "acmé", "acme ", "ac\u00adme"]
    with site.app.app_context():
        for number, partner_id in enumerate(ids, 1):
            assert load_sender(site.db.session(), partner_id).revision == 0, partner_id
            site.save_sender(partner_id, max_per_hour=number)
        for number, partner_id in enumerate(ids, 1):
            sender = load_sender(site.db.session(), partner_id)
            assert (sender.revision, sender.values.max_per_hour) == (1, number)
