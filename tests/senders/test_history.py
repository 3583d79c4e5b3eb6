"""The history: who saved what when, how any two revisions differ, and never a secret."""

import re
from typing import Any

import pytest
from sqlalchemy import select, update

from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.senders import history as history_module
from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.history import changes, find_revision, history
from smtp_admin.senders.keys import rotate_keys
from smtp_admin.senders.models import SenderRevision
from smtp_admin.transports.driver import Driver
from tests.app import ACME_ADMIN, ADMIN, HostApp

PAGE = "/smtp-admin/partners/acme"
HTML = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}
PASSWORD = "a secret word 密"


def found(site: HostApp, old: int, new: int) -> dict[str, tuple[str | None, str]]:
    """Field → old and new, between two revisions of acme."""
    session = site.db.session()
    rows = [find_revision(session, "acme", number) for number in (old, new)]
    assert rows[1]
    return {one.field: (one.old, one.new) for one in changes(rows[0], rows[1])}


def test_every_revision_with_who_when_and_what(inside: HostApp) -> None:
    inside.save_sender(host="one.example", username="u", password=PASSWORD, max_per_hour=1000)
    inside.save_sender(host="one.example", username="u", max_per_hour=None, security="none")
    inside.save_sender(host="two.example", username="u", password=PASSWORD, fallbacks=("system",))
    answer = inside.client.get(f"{PAGE}/history", headers=JSON)
    body = answer.get_json()
    assert (answer.status_code, body["ok"], body["current"], body["older"]) == (200, True, 3, None)
    assert [one["number"] for one in body["revisions"]] == [3, 2, 1]
    assert [one["current"] for one in body["revisions"]] == [True, False, False]
    assert {one["saved_by"] for one in body["revisions"]} == {"Ada"}
    for one in body["revisions"]:  # as everywhere in our JSON
        assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}Z", one["saved_at"])
    assert body["revisions"][1]["changes"] == [
        {"field": "max_per_hour", "old": "1,000", "new": "no limit"}
    ]
    assert body["revisions"][0]["changes"] == [
        {"field": "host", "old": "one.example", "new": "two.example"},
        {"field": "password", "old": None, "new": "changed"},
        {"field": "fallbacks", "old": "nobody", "new": "system"},
    ]
    first = {one["field"]: one["new"] for one in body["revisions"][2]["changes"]}
    assert first["host"] == "one.example"
    assert first["password"] == "set"
    assert "reply_to" not in first, "what is empty was not entered"
    page = inside.client.get(f"{PAGE}/history", headers=HTML).text
    for text in ("one.example", "two.example", "Ada", "in use", "no limit"):
        assert text in page
    for shown in (page, answer.text):
        assert PASSWORD not in shown
        for sealed in ("v1.", "v2."):
            assert sealed not in shown, "not even sealed"


def test_what_happened_to_the_password(inside: HostApp) -> None:
    settings: dict[str, Any] = {"host": "one.example", "security": "none"}
    inside.save_sender(**settings)
    inside.save_sender(**settings, username="u", password="first")
    inside.save_sender(**settings, username="u", from_name="Kept")
    inside.save_sender(**settings, username="u", from_name="Kept", password="second")
    inside.save_sender(**settings, from_name="Kept")
    assert found(inside, 1, 2)["password"] == (None, "set")
    assert found(inside, 2, 3) == {"from_name": ("empty", "Kept")}
    assert found(inside, 3, 4) == {"password": (None, "changed")}
    assert found(inside, 4, 5) == {"username": ("u", "empty"), "password": (None, "removed")}
    # Sealed anew it is still the same password.
    old = inside.installation.config.secret_keys[0]
    rotate_keys(inside.db.session(), Keyring([generate_key(), old]))
    assert found(inside, 2, 3) == {"from_name": ("empty", "Kept")}


#: Each field, changed.
OTHERS: dict[str, Any] = {
    "driver": "twin",
    "host": "other.example",
    "port": 2525,
    "security": "ssl",
    "verify_tls": False,
    "username": "other",
    "from_email": "other@acme.example",
    "from_name": "Other",
    "reply_to": "reply@acme.example",
    "max_per_hour": 7,
    "max_per_day": 8,
    "max_connections": 9,
    "fallbacks": ["system"],
    "envelope_from": "bounces@acme.example",
    "bounce_address": "bounce@acme.example",
    "headers": [["X-Stream", "outbound"]],
    "archive_to": "archive@acme.example",
    "ehlo_name": "app.acme.example",
    "sign_in": "google_service",
    "oauth_tenant": "acme.example",
    "oauth_client_id": "4711",
    "oauth_secret_until": "2027-11-30",
    "oauth_authority": "https://login.example",
    "oauth_token_url": "https://login.example/token",
    "oauth_authorize_url": "https://login.example/authorize",
    "oauth_scope": "mail",
    "oauth_mechanism": "xoauth2",
}
CERTIFICATES = {"ca_certificate", "client_certificate", "oauth_certificate"}  # fmt: skip


@pytest.mark.parametrize("name", [one.name for one in fields_of("smtp") if not one.secret])
def test_no_change_goes_unseen(
    inside: HostApp, twin: Driver, ca_certificate: str, name: str
) -> None:
    """Also of a field that is added one day: then `OTHERS` lacks it."""
    inside.save_sender(username="u", password="x")
    inside.save_sender(username="u", password="x", from_name="Another")  # the same makes none
    session = inside.db.session()
    one, two = session.scalars(select(SenderRevision).order_by(SenderRevision.number)).all()
    other = ca_certificate if name in CERTIFICATES else OTHERS[name]
    column = name in SenderRevision.__table__.c
    session.execute(
        update(SenderRevision)
        .where(SenderRevision.id == two.id)
        .values(
            {"from_name": one.from_name}
            | ({name: other} if column else {"fields": two.fields | {name: other}})
        )
    )
    two.secrets = one.secrets
    session.commit()
    assert list(found(inside, 1, 2)) == [name]


def test_any_two_can_be_compared(inside: HostApp) -> None:
    for port in (587, 465, 587):
        inside.save_sender(port=port)
    ask = inside.client.get
    body = ask(f"{PAGE}/history?from=1&to=2", headers=JSON).get_json()
    assert (body["from"]["number"], body["to"]["number"]) == (1, 2)
    assert body["changes"] == [{"field": "port", "old": "587", "new": "465"}]
    back = ask(f"{PAGE}/history?from=2&to=1", headers=JSON).get_json()
    assert back["changes"] == [{"field": "port", "old": "465", "new": "587"}]
    assert ask(f"{PAGE}/history?from=1&to=3", headers=JSON).get_json()["changes"] == []
    # The one that is not named is the one in use.
    assert ask(f"{PAGE}/history?from=2", headers=JSON).get_json()["to"]["number"] == 3
    assert (
        "The two revisions are identical" in ask(f"{PAGE}/history?from=1&to=3", headers=HTML).text
    )
    for query, status in (
        ("from=1&to=99", 404), ("from=0", 404), ("from=x", 400), ("to=-1", 400), ("before=٣", 400),
        ("from=" + "9" * 30, 400),
    ):  # fmt: skip
        for headers in (JSON, HTML):
            assert ask(f"{PAGE}/history?{query}", headers=headers).status_code == status, query


def test_long_histories_come_in_pages(inside: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "AT_ONCE", 2)
    for port in (25, 26, 27, 28, 29):
        inside.save_sender(port=port)
    session = inside.db.session()
    numbers, before = [], None
    for _ in range(3):
        page = history(session, "acme", before)
        for one in page.entries:
            numbers.append(one.revision.number)
            ports = [change for change in one.changes if change.field == "port"]
            assert len(ports) == 1, "the last of a page is compared with the first of the next"
        before = page.older
    assert numbers == [5, 4, 3, 2, 1]
    assert before is None
    text = inside.client.get(f"{PAGE}/history", headers=HTML).text
    assert f'href="{PAGE}/history?before=4"' in text


def test_empty_history(inside: HostApp) -> None:
    assert inside.client.get(f"{PAGE}/history", headers=JSON).get_json()["revisions"] == []
    text = inside.client.get(f"{PAGE}/history", headers=HTML).text
    assert "There are no revisions yet." in text
    assert inside.client.get(f"{PAGE}/history?from=1", headers=HTML).status_code == 404


def test_only_ones_own(inside: HostApp) -> None:
    inside.save_sender("acme", from_name="Acme's")
    inside.save_sender("globex", from_name="Globex's")
    inside.save_sender("", from_name="Platform's")
    inside.actor = ACME_ADMIN
    text = inside.client.get(f"{PAGE}/history", headers=HTML).text
    assert "Acme&#39;s" in text
    assert "Globex" not in text
    assert inside.client.get("/smtp-admin/partners/globex/history").status_code == 404
    assert inside.client.get("/smtp-admin/system/history").status_code == 403
    inside.actor = ADMIN
    text = inside.client.get("/smtp-admin/system/history", headers=HTML).text
    assert "Platform&#39;s" in text
