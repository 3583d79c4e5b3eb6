"""Rolling back: the old values and password come back as a new revision, or nothing changes."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from smtp_admin.audit.models import Audit
from smtp_admin.clock import now
from smtp_admin.host import Actor
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.resolve import load_sender
from tests.app import ACME_ADMIN, ADMIN, GLOBEX_ADMIN, HostApp, TestHost
from tests.delivery.workbench import deliveries, queue, row_of
from tests.senders.rolling import HTML, JSON, PAGE, SYSTEM, back, password, rows
from tests.servers.scripted import ScriptedServer


def test_the_old_destination_and_its_password_are_back(inside: HostApp) -> None:
    """The story of the task: change host, save, roll back; then mail goes the old way."""
    with ScriptedServer(auth=("u", "old word")) as old, ScriptedServer(auth=("u", "new")) as new:
        inside.save_sender(port=old.port, username="u", password="old word", from_name="Old")
        queue(inside, "first@example.org")
        inside.work()
        inside.save_sender(port=new.port, username="u", password="new", from_name="New")
        queue(inside, "second@example.org")
        inside.work()
        kept, sent = rows(inside), row_of(inside, queue_id(inside, 1)).content
        answer = back(inside, 1)
        assert answer.get_json() == {"ok": True, "revision": 3, "restores": 1}
        assert rows(inside)[:2] == kept, "old revisions never change"
        sender = load_sender(inside.db.session(), "acme")
        assert (sender.revision, sender.values.port, sender.values.from_name) == (
            3,
            old.port,
            "Old",
        )
        assert password(inside) == "old word"
        assert row_of(inside, queue_id(inside, 1)).content == sent
        queue(inside, "third@example.org")
        inside.work()
        assert [one.recipients[0] for one in old.messages] == [
            "first@example.org",
            "third@example.org",
        ]
        assert [one.recipients[0] for one in new.messages] == ["second@example.org"]
        assert b"From: Old <" in old.messages[1].data
        assert {one.state for one in deliveries(inside)} == {"sent"}
    entries = inside.client.get(f"{PAGE}/history", headers=JSON).get_json()["revisions"]
    assert (entries[0]["restores"], entries[0]["saved_by"]) == (1, "Ada")
    assert {"field": "password", "old": None, "new": "changed"} in entries[0]["changes"]
    text = inside.client.get(f"{PAGE}/history", headers=HTML).text
    assert "Back to revision 1" in text
    for secret in ("old word", "v1.", "v2."):
        assert secret not in text
    audit = inside.db.session.scalars(select(Audit).order_by(Audit.id.desc())).first()
    assert audit
    assert (audit.actor_id, audit.partner_id, audit.action, audit.detail) == (
        ADMIN.id, "acme", "settings.rolled_back", "revision 3 with the values of 1",
    )  # fmt: skip
    # Against the first revision nothing differs, not even the password.
    same = inside.client.get(f"{PAGE}/history?from=1&to=3", headers=JSON).get_json()
    assert same["changes"] == []


def queue_id(site: HostApp, number: int) -> str:
    """The public id of the mail that was queued as this one."""
    from smtp_admin.delivery.models import Message

    ids = site.db.session.scalars(select(Message.public_id).order_by(Message.id)).all()
    return str(ids[number - 1])


def test_the_page_says_exactly_what_will_change(inside: HostApp) -> None:
    inside.save_sender(host="127.0.0.1", port=25, username="u", password="one", max_per_hour=80)
    inside.save_sender(host="127.0.0.2", port=26, username="u", password="two")
    before = rows(inside)
    body = inside.client.get(f"{PAGE}/rollback?number=1", headers=JSON).get_json()
    assert body["possible"] is True
    assert body["revision"] == 2
    assert {one["field"]: (one["old"], one["new"]) for one in body["changes"]} == {
        "host": ("127.0.0.2", "127.0.0.1"),
        "port": ("26", "25"),
        "password": (None, "changed"),
        "max_per_hour": ("no limit", "80"),
    }
    page = inside.client.get(f"{PAGE}/rollback?number=1", headers=HTML).text
    assert 'name="number" value="1"' in page
    assert 'name="revision" value="2"' in page
    assert "127.0.0.2" in page
    assert rows(inside) == before, "looking changes nothing"
    answer = inside.client.post(
        f"{PAGE}/rollback", data={"number": "1", "revision": "2"}, headers=HTML
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    assert password(inside) == "one"


def test_a_paused_sender_tries_again(inside: HostApp) -> None:
    inside.save_sender(port=25)
    inside.save_sender(port=26)
    session = inside.db.session()
    pause = {"paused_until": now() + timedelta(hours=1), "pause_code": "auth_failed", "pauses": 3}
    session.execute(update(Sender).where(Sender.partner_id == "acme").values(pause))
    session.commit()
    assert back(inside, 1).status_code == 200
    session.rollback()
    sender = load_sender(session, "acme")
    assert (sender.paused_until, sender.pause_code) == (None, "")


def test_mail_without_a_sender_gets_its_from_line(inside: HostApp) -> None:
    """The signal of a save goes out too, with all that hangs on it."""
    from smtp_admin.signals import settings_changed

    heard: list[Any] = []

    def hear(_app: Any, **what: Any) -> None:
        heard.append((what["partner_id"], what["revision"]))

    inside.save_sender(port=25)
    inside.save_sender(port=26)
    with settings_changed.connected_to(hear):
        back(inside, 1)
    assert heard == [("acme", 3)]


@pytest.mark.parametrize(
    ("number", "status"),
    [("2", 400), ("3", 404), ("0", 404), ("x", 400), ("", 400), ("-1", 400), ("9" * 30, 400)],
)
def test_what_cannot_be_gone_back_to(inside: HostApp, number: str, status: int) -> None:
    inside.save_sender(port=25)
    inside.save_sender(port=26)
    before = rows(inside)
    for headers in (JSON, HTML):
        answer = back(inside, number, **headers)
        assert answer.status_code == status
    assert rows(inside) == before


def test_without_a_number_the_history_is_where_to_choose(inside: HostApp) -> None:
    answer = inside.client.get(f"{PAGE}/rollback", headers=HTML)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{PAGE}/history")
    assert inside.client.get(f"{PAGE}/rollback", headers=JSON).status_code == 400


def test_another_partners_revision_is_none(inside: HostApp) -> None:
    for port in (25, 26):
        inside.save_sender("acme", port=port)
    for port in (25, 26, 27):
        inside.save_sender("globex", port=port)
    inside.actor = ACME_ADMIN
    assert back(inside, 3).status_code == 404
    before = rows(inside)
    inside.actor = GLOBEX_ADMIN
    assert back(inside, 1).status_code == 404
    assert back(inside, 1, page=SYSTEM).status_code == 403
    assert rows(inside) == before


# Two at once


def test_somebody_saved_meanwhile(inside: HostApp) -> None:
    for port in (25, 26, 27):
        inside.save_sender(port=port)
    before = rows(inside)
    for headers in (JSON, HTML):
        answer = back(inside, 1, 2, **headers)
        assert answer.status_code == 409
        assert "Ada saved these settings while you were deciding." in answer.text
    for forged in ("", "x", "-1", "٣", "9" * 30):
        assert back(inside, 1, forged).status_code == 409
    assert rows(inside) == before
    page = back(inside, 1, 2, **HTML).text
    assert 'name="revision" value="3"' in page, "the next try is made knowing what is saved now"


class CallingHost(TestHost):
    """Every thread is somebody else."""

    def current_actor(self) -> Actor:
        name = threading.current_thread().name
        return Actor(id=name, email=f"{name}@platform.example", name=name, is_admin=True)


def test_two_admins_roll_back_at_once(site: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    with site.app.app_context():
        for port in (25, 26, 27):
            site.save_sender(port=port)
    monkeypatch.setattr(TestHost, "current_actor", CallingHost.current_actor)
    barrier = threading.Barrier(2)
    answers: dict[int, TestResponse] = {}

    def act(number: int) -> None:
        client = site.client
        barrier.wait()
        answers[number] = client.post(
            f"{PAGE}/rollback", data={"number": number, "revision": 3}, headers=JSON
        )

    threads = [
        threading.Thread(target=act, args=(number,), name=f"admin{number}") for number in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.status_code for one in answers.values()) == [200, 409]
    (winner,) = (number for number, one in answers.items() if one.status_code == 200)
    with site.app.app_context():
        made = site.db.session.execute(
            select(SenderRevision.number, SenderRevision.restores, SenderRevision.created_by)
            .join(Sender, Sender.id == SenderRevision.sender_id)
            .where(Sender.partner_id == "acme", SenderRevision.number > 3)
        )
        assert [tuple(one) for one in made] == [(4, winner, f"admin{winner}")]
    loser = answers[3 - winner].get_json()["error"]["message"]
    assert f"admin{winner} saved these settings" in loser


def test_json_bodies(inside: HostApp) -> None:
    inside.save_sender(port=25)
    inside.save_sender(port=26)
    ask: Callable[..., TestResponse] = inside.client.post
    for body, status in (
        ({"number": [1], "revision": 2}, 400),
        ({"number": True, "revision": 2}, 400),
        ({"number": 1, "revision": None}, 409),
        ({"number": 1}, 409),
        ([1, 2], 400),
        ({"number": 1, "revision": 2}, 200),
    ):
        assert ask(f"{PAGE}/rollback", json=body).status_code == status, body


def test_times_are_the_revisions_own(inside: HostApp) -> None:
    """The age of a password is that of the password, not of the rolling back."""
    inside.save_sender(username="u", password="one")
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    session = inside.db.session()
    for one in session.scalars(select(SenderRevision)):
        if one.secrets:
            password_then = one.secrets["password"] | {"set_at": long_ago.isoformat()}
            one.secrets = {"password": password_then}
    session.commit()
    inside.save_sender(username="u", password="two")
    assert back(inside, 1).status_code == 200
    session.rollback()
    assert load_sender(session, "acme").secret_set_at("password") == long_ago
