"""Rolling back: the old values and password come back as a new revision, or nothing changes."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from smtp_admin.clock import now
from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.host import Actor
from smtp_admin.settings.models import Audit, Sender, SenderRevision
from smtp_admin.settings.sender import load_sender
from smtp_admin.smtp.dialling import Network
from tests.app import ACME_ADMIN, ADMIN, GLOBEX_ADMIN, HostApp, TestHost
from tests.delivery.workbench import deliveries, queue, row_of
from tests.servers.scripted import ScriptedServer

PAGE = "/smtp-admin/partners/acme"
SYSTEM = "/smtp-admin/system"
HTML = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}
NOWHERE: tuple[Network, ...] = ()


@pytest.fixture
def inside(site: HostApp) -> Iterator[HostApp]:
    """The app with its context open."""
    with site.app.app_context():
        yield site


def back(
    site: HostApp, number: Any, revision: Any = None, page: str = PAGE, **headers: str
) -> TestResponse:
    """Ask to roll back, as a script does."""
    if revision is None:
        site.db.session.rollback()
        revision = load_sender(site.db.session(), "acme" if page == PAGE else "").revision
    return site.client.post(
        f"{page}/rollback",
        data={"number": number, "revision": revision},
        headers=headers or JSON,
    )


def password(site: HostApp, partner_id: str = "acme") -> str:
    session = site.db.session()
    session.rollback()
    sender = load_sender(session, partner_id)
    return sender.password_for(sender.values.destination, site.installation.keyring)


def rows(site: HostApp) -> list[tuple[Any, ...]]:
    """Every revision as it is stored."""
    session = site.db.session()
    session.rollback()
    table = SenderRevision.__table__
    return [tuple(row) for row in session.execute(select(table).order_by(table.c.id))]


def reconfigure(site: HostApp, **changes: Any) -> None:
    """The same app, started with another configuration; `site` puts the old one back."""
    here = site.installation
    site.app.extensions["smtp_admin"] = replace(
        here,
        config=replace(here.config, **changes),
        keyring=Keyring(changes.get("secret_keys", here.config.secret_keys)),
    )


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
    for secret in ("old word", "v1."):
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


# Rules of today


def refused(site: HostApp, number: int = 1, page: str = PAGE) -> dict[str, Any]:
    """The error; nothing was changed, and the page says the same and offers no button."""
    before = rows(site)
    answer = back(site, number, page=page)
    assert answer.status_code in {400, 503}
    assert rows(site) == before
    error: dict[str, Any] = answer.get_json()["error"]
    shown = site.client.get(f"{page}/rollback?number={number}", headers=HTML)
    assert shown.status_code == 200
    assert error["message"].replace("'", "&#39;") in shown.text
    assert "<button" not in shown.text
    plan = site.client.get(f"{page}/rollback?number={number}", headers=JSON).get_json()
    assert (plan["possible"], plan["obstacle"]["message"]) == (False, error["message"])
    posted = back(site, number, page=page, **HTML)
    assert posted.status_code == answer.status_code
    assert error["message"].replace("'", "&#39;") in posted.text
    return error


def test_a_port_that_is_not_allowed_any_more(inside: HostApp) -> None:
    inside.save_sender(port=2526)
    inside.save_sender(port=25)
    reconfigure(inside, allowed_ports=frozenset({25}))
    error = refused(inside)
    assert error["code"] == "destination_not_allowed"
    assert "Port 2526 is not allowed here." in error["message"]
    assert "port" in error["fields"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_network_that_is_not_allowed_any_more(inside: HostApp, host: str) -> None:
    inside.save_sender(host=host)
    inside.save_sender(host="203.0.113.7")
    reconfigure(inside, allowed_networks=NOWHERE)
    error = refused(inside)
    assert error["code"] == "destination_not_allowed"
    assert "host" in error["fields"]


def test_a_name_that_dns_does_not_know_is_no_obstacle(inside: HostApp) -> None:
    """It may be back tomorrow, and the connection test says so."""
    inside.save_sender(host="gone.invalid")
    inside.save_sender()
    assert back(inside, 1).status_code == 200


def test_a_value_that_is_not_taken_any_more(inside: HostApp) -> None:
    inside.save_sender()
    inside.save_sender(port=26)
    session = inside.db.session()
    session.execute(
        update(SenderRevision).where(SenderRevision.number == 1).values(from_email="no address")
    )
    session.commit()
    error = refused(inside)
    assert list(error["fields"]) == ["from_email"]


def test_a_key_that_is_gone(inside: HostApp) -> None:
    inside.save_sender(username="u", password="one")
    reconfigure(inside, secret_keys=(generate_key(), *inside.installation.config.secret_keys))
    inside.save_sender(username="u", password="two")
    newest = inside.installation.config.secret_keys[:1]
    reconfigure(inside, secret_keys=newest)
    error = refused(inside)
    assert error["code"] == "unavailable"
    assert "Revision 1 cannot be used again." in error["message"]
    assert "SMTP_ADMIN_SECRET_KEYS" in error["message"]
    assert password(inside) == "two"


def test_after_a_rotation_old_revisions_open_with_the_new_key(inside: HostApp) -> None:
    from smtp_admin.settings.keys import rotate_keys

    inside.save_sender(username="u", password="one")
    inside.save_sender(username="u", password="two")
    keys = (generate_key(), *inside.installation.config.secret_keys)
    rotate_keys(inside.db.session(), Keyring(keys))
    reconfigure(inside, secret_keys=keys[:1])
    assert back(inside, 1).status_code == 200
    assert password(inside) == "one"


def test_a_password_of_another_row_does_not_open(inside: HostApp) -> None:
    inside.save_sender("globex", username="u", password="theirs")
    inside.save_sender("acme", username="u", password="one")
    inside.save_sender("acme", username="u", password="two")
    session = inside.db.session()
    theirs, ours = session.scalars(
        select(SenderRevision).where(SenderRevision.number == 1).order_by(SenderRevision.id)
    )
    ours.password_sealed = theirs.password_sealed
    session.commit()
    assert "does not belong to these settings" in refused(inside)["message"]


def environment(site: HostApp, **variables: str) -> None:
    site.app.extensions["smtp_admin"] = replace(site.installation, environment=variables)


def saved_system(site: HostApp, *variants: dict[str, Any]) -> int:
    """Save the system's sender like this and like that; the number of the first."""
    first = 0
    for values in variants:
        first = first or load_sender(site.db.session(), "").revision + 1
        site.save_sender("", **values)
    return first


def test_fields_of_the_environment(inside: HostApp) -> None:
    first = saved_system(inside, {"port": 25, "from_name": "A"}, {"port": 26, "from_name": "B"})
    environment(inside, SMTP_PORT="26")
    error = refused(inside, first, SYSTEM)
    assert error["fields"] == {
        "port": [f"Port is set by SMTP_PORT in the environment; revision {first} has 25."]
    }
    # One that says the same as the revision is not in the way.
    environment(inside, SMTP_PORT="25")
    assert back(inside, first, page=SYSTEM).status_code == 200
    sender = load_sender(inside.db.session(), "")
    assert (sender.values.port, sender.values.from_name) == (25, "A")


def test_a_password_of_the_environment_stays(inside: HostApp) -> None:
    first = saved_system(
        inside,
        {"username": "u", "password": "one", "from_name": "A"},
        {"username": "u", "from_name": "B"},
    )
    environment(inside, SMTP_PASSWORD="from outside")
    plan = inside.client.get(f"{SYSTEM}/rollback?number={first}", headers=JSON).get_json()
    assert [one["field"] for one in plan["changes"]] == ["from_name"]
    page = inside.client.get(f"{SYSTEM}/rollback?number={first}", headers=HTML).text
    assert "SMTP_PASSWORD" in page
    assert "from outside" not in page
    assert back(inside, first, page=SYSTEM).status_code == 200
    assert password(inside, "") == "from outside"


def test_a_revision_whose_password_was_in_the_environment(inside: HostApp) -> None:
    environment(inside, SMTP_PASSWORD="from outside")
    first = saved_system(inside, {"username": "u", "from_name": "A"})
    environment(inside)
    inside.save_sender("", username="", from_name="B")
    error = refused(inside, first, SYSTEM)
    assert error["code"] == "password_required"
    # The password that is stored now may serve, where it belongs to the same destination.
    inside.save_sender("", username="u", password="now stored", from_name="C")
    assert back(inside, first, page=SYSTEM).status_code == 200
    assert password(inside, "") == "now stored"


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
    session.execute(update(SenderRevision).values(password_set_at=long_ago))
    session.commit()
    inside.save_sender(username="u", password="two")
    assert back(inside, 1).status_code == 200
    session.rollback()
    assert load_sender(session, "acme").password_set_at == long_ago
