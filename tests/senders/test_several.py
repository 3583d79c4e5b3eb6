"""Any number of senders for a partner: each on its own, deleted ones with their history."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smtp_admin.audit.models import Audit
from smtp_admin.clock import now
from smtp_admin.errors import Conflict, InvalidInput, SecretUnreadable
from smtp_admin.senders.cleaning import clean_key
from smtp_admin.senders.history import history
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.pauses import pause, resume
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.senders.revisions import delete_sender, save_settings
from smtp_admin.senders.rollback import plan_rollback, roll_back
from smtp_admin.senders.routing import senders_of
from smtp_admin.senders.values import SenderValues
from tests.app import ACME_ADMIN, ADMIN, HostApp

VALUES = SenderValues(host="mail.example", username="u", from_email="noreply@acme.example")


@pytest.fixture
def session(inside: HostApp) -> Iterator[Session]:
    """The host's session, inside the app's context, on each kind of database."""
    session = inside.db.session()
    yield session
    session.rollback()


def save(
    session: Session, key: str, partner_id: str = "acme", *, label: str | None = None,
    password: str = "", **values: Any,
) -> ResolvedSender:  # fmt: skip
    """Save a sender as its next revision, and commit."""
    saved = save_settings(
        session, partner_id, VALUES.replace(**values), secrets={"password": password},
        expected_revision=load_sender(session, partner_id, key).revision, actor=ACME_ADMIN,
        key=key, label=label,
    )  # fmt: skip
    session.commit()
    return saved


def password(site: HostApp, key: str) -> str:
    sender = load_sender(site.db.session(), "acme", key)
    return sender.secrets_for(sender.values, site.installation.keyring)["password"]


def test_each_has_its_own_revisions(inside: HostApp, session: Session) -> None:
    save(session, "", password="of the default", from_name="A")
    save(session, "news", password="of the news", from_name="B", label="Newsletters")
    save(session, "news", from_name="C")
    default, news = load_sender(session, "acme"), load_sender(session, "acme", "news")
    assert (default.revision, news.revision) == (1, 2)
    assert (default.values.from_name, news.values.from_name) == ("A", "C")
    assert (password(inside, ""), password(inside, "news")) == ("of the default", "of the news")
    assert (default.name, news.name, news.label) == ("default", "Newsletters", "Newsletters")
    assert [one.revision.number for one in history(session, "acme").entries] == [1]
    assert [one.revision.number for one in history(session, "acme", key="news").entries] == [2, 1]
    assert [one.key for one in senders_of(session, "acme")] == ["", "news"]
    details = list(session.scalars(select(Audit.detail).order_by(Audit.id)))
    assert details == ["revision 1", "revision 1 of news", "revision 2 of Newsletters"]


def test_rolling_one_back_leaves_the_other(inside: HostApp, session: Session) -> None:
    for key in ("", "news"):
        save(session, key, password=f"first of {key}", from_name="first")
        save(session, key, password=f"second of {key}", from_name="second")
    plan = plan_rollback(session, "acme", 1, actor=ADMIN, key="news")
    assert {one.field for one in plan.changes} == {"from_name", "password"}
    roll_back(session, "acme", 1, expected_revision=2, actor=ADMIN, key="news")
    session.commit()
    assert load_sender(session, "acme", "news").values.from_name == "first"
    assert load_sender(session, "acme").values.from_name == "second"
    assert (password(inside, "news"), password(inside, "")) == ("first of news", "second of ")


def test_a_pause_is_of_one(session: Session) -> None:
    save(session, "", password="x")
    save(session, "news", password="x")
    pause(session, load_sender(session, "acme", "news"), ACME_ADMIN)
    session.commit()
    paused, other = load_sender(session, "acme", "news"), load_sender(session, "acme")
    assert paused.paused_until
    assert paused.paused_until > now()
    assert other.paused_until is None
    save(session, "news", from_name="New")
    assert load_sender(session, "acme", "news").pause_code, "a person's own pause stays"
    with pytest.raises(Conflict):
        resume(session, other, ACME_ADMIN)
    resume(session, paused, ACME_ADMIN)
    session.commit()
    assert load_sender(session, "acme", "news").paused_until is None


def test_second_one_of_a_key_is_told_who_was_first(inside: HostApp, session: Session) -> None:
    """Two add a sender with one key; the first one's stays."""
    with Session(inside.db.engine) as other:
        assert load_sender(other, "acme", "news").revision == 0
        save(session, "news", password="first", from_name="first")
        with pytest.raises(Conflict) as caught:
            save_settings(
                other, "acme", VALUES, secrets={"password": "second"}, expected_revision=0,
                actor=ADMIN, key="news",
            )  # fmt: skip
        assert "Mia saved these settings" in caught.value.message
        other.rollback()
    session.rollback()
    assert load_sender(session, "acme", "news").values.from_name == "first"


def test_one_row_for_a_key(session: Session) -> None:
    save(session, "news", password="x")
    save(session, "news", "globex", password="x")
    session.add(Sender(partner_id="acme", key="news"))
    with pytest.raises(IntegrityError):
        session.flush()


# Keys and labels

BAD_KEYS = [
    "default", "system", "Default", "SYSTEM ", "", " ", "x" * 41, "a b", "a_b", "ä", "a/b", "..",
    "a\0b", "a\nb", "Ａ", "a.b", "%61",
]  # fmt: skip


@pytest.mark.parametrize("key", BAD_KEYS, ids=ascii)
def test_keys_that_cannot_be(key: str) -> None:
    with pytest.raises(ValueError, match=r"[A-Z“][^\n]+\."):
        clean_key(key)


@pytest.mark.parametrize("key", ["a", "x" * 40, "0", "news-2", "-", " News "])
def test_keys_that_can_be(key: str) -> None:
    assert clean_key(key) == key.strip().lower()


@pytest.mark.parametrize("key", ["default", "system", "News", "a b", "x" * 41, "ä", "../x"])
def test_no_way_in_saves_such_a_key(inside: HostApp, session: Session, key: str) -> None:
    """Whoever calls it: a page, a command, or code of the host's."""
    with pytest.raises(InvalidInput) as caught:
        save(session, key, password="x")
    session.rollback()
    assert list(caught.value.fields) == ["key"]
    assert session.scalars(select(Sender).where(Sender.partner_id == "acme")).all() == []
    answer = inside.client.post(
        f"/smtp-admin/partners/acme/senders/{key}?new=1",
        data={"host": "x.example", "from_email": "a@acme.example", "port": "25", "revision": "0"},
    )
    assert answer.status_code == 404
    assert session.scalars(select(Sender).where(Sender.partner_id == "acme")).all() == []


@pytest.mark.parametrize("label", ["x" * 81, "a\0b", "a\x1bb", "=?utf-8?q?x?="])
def test_labels_that_cannot_be(session: Session, label: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        save(session, "news", password="x", label=label)
    session.rollback()
    assert list(caught.value.fields) == ["label"]
    assert load_sender(session, "acme", "news").revision == 0


def test_a_label_is_kept_until_another_is_given(session: Session) -> None:
    assert save(session, "news", password="x", label=" News  letter ").label == "News letter"
    assert save(session, "news").label == "News letter"
    assert save(session, "news", label="").label == ""
    assert save(session, "news").name == "news"


# Deleted ones


def test_deleted_one_is_hidden(session: Session) -> None:
    save(session, "", password="x")
    save(session, "news", password="x")
    delete_sender(session, load_sender(session, "acme", "news"), ACME_ADMIN)
    session.commit()
    assert [one.key for one in senders_of(session, "acme")] == [""]
    gone = load_sender(session, "acme", "news")
    assert (gone.deleted, gone.configured) == (True, False)
    assert not gone.has_secret("password")
    assert len(history(session, "acme", key="news").entries) == 1
    with pytest.raises(Conflict, match="no longer exists"):
        delete_sender(session, gone, ACME_ADMIN)
    audit = session.scalars(select(Audit).order_by(Audit.id.desc())).first()
    assert audit
    assert (audit.action, audit.detail, audit.actor_id) == ("sender.deleted", "news", "2")


def test_it_comes_back_with_its_history(inside: HostApp, session: Session) -> None:
    """Under its key, as the next revision; its secrets must be entered again."""
    first = save(session, "news", password="first", from_name="A", label="News")
    delete_sender(session, first, ADMIN)
    session.commit()
    with pytest.raises(InvalidInput) as caught:
        save(session, "news", from_name="B")
    assert caught.value.code == "password_required"
    session.rollback()
    back = save(session, "news", password="second", from_name="B")
    assert (back.sender_id, back.revision, back.deleted) == (first.sender_id, 2, False)
    assert (back.label, back.configured) == ("News", True)
    entries = history(session, "acme", key="news").entries
    assert [one.revision.number for one in entries] == [2, 1]
    assert password(inside, "news") == "second"


def test_a_partners_default_can_go_and_come_back(session: Session) -> None:
    default = save(session, "", password="x")
    delete_sender(session, default, ACME_ADMIN)
    session.commit()
    assert senders_of(session, "acme") == []
    assert save(session, "", password="x").revision == 2


def test_the_systems_default_stays(session: Session) -> None:
    saved = save(session, "", "", password="x")
    save(session, "other", "", password="x")
    with pytest.raises(Conflict, match="cannot be deleted"):
        delete_sender(session, saved, ADMIN)
    delete_sender(session, load_sender(session, "", "other"), ADMIN)
    session.commit()
    assert [one.key for one in senders_of(session, "")] == [""]


def test_a_pause_does_not_outlive_its_sender(session: Session) -> None:
    sender = save(session, "news", password="x")
    pause(session, sender, ADMIN)
    delete_sender(session, sender, ADMIN)
    session.commit()
    assert load_sender(session, "acme", "news").pause_code == ""


# Who steps in

REFUSED = {
    "nobody": "There is no sender 'nobody' here.",
    "news": "A sender cannot be its own fallback.",
    "theirs": "There is no sender 'theirs' here.",
    "gone": "There is no sender 'gone' here.",
    "default": "There is no sender 'default' here.",
}


@pytest.mark.parametrize("name", REFUSED)
def test_who_cannot_step_in(session: Session, name: str) -> None:
    """Nobody, itself, another partner's, a deleted one, a default that was never saved."""
    save(session, "theirs", "globex", password="x")
    delete_sender(session, save(session, "gone", password="x"), ADMIN)
    save(session, "other", password="x")
    with pytest.raises(InvalidInput) as caught:
        save(session, "news", password="x", fallbacks=("other", name))
    session.rollback()
    assert caught.value.fields == {"fallbacks": [REFUSED[name]]}
    assert load_sender(session, "acme", "news").revision == 0


def test_who_can_step_in(session: Session) -> None:
    save(session, "", password="x")
    save(session, "other", password="x")
    saved = save(session, "news", password="x", fallbacks=("other", "default", "system"))
    assert saved.values.fallbacks == ("other", "default", "system")
    with pytest.raises(InvalidInput) as caught:
        save(session, "", fallbacks=("default",))
    assert caught.value.fields == {"fallbacks": ["A sender cannot be its own fallback."]}
    session.rollback()


def test_the_system_has_nobody_behind_it(session: Session) -> None:
    """Its senders may step in for each other, but the word means itself to partners only."""
    save(session, "", "", password="x")
    save(session, "other", "", password="x", fallbacks=("default",))
    with pytest.raises(InvalidInput) as caught:
        save(session, "other", "", fallbacks=("default", "system"))
    assert caught.value.fields == {"fallbacks": ["There is no sender 'system' here."]}
    session.rollback()


def test_rolling_back_does_not_bring_back_who_is_gone(session: Session) -> None:
    other = save(session, "other", password="x")
    save(session, "news", password="x", fallbacks=("other",))
    save(session, "news", fallbacks=())
    delete_sender(session, other, ADMIN)
    session.commit()
    with pytest.raises(InvalidInput) as caught:
        roll_back(session, "acme", 1, expected_revision=2, actor=ADMIN, key="news")
    session.rollback()
    assert caught.value.fields == {"fallbacks": ["There is no sender 'other' here."]}
    obstacle = plan_rollback(session, "acme", 1, actor=ADMIN, key="news").obstacle
    assert obstacle is not None
    assert "values that are no longer accepted" in obstacle.message


# Two partners never mix


def test_a_key_is_each_partners_own(inside: HostApp, session: Session) -> None:
    """Same key, same settings: other rows, other secrets, other history."""
    ours = save(session, "news", password="ours")
    theirs = save(session, "news", "globex", password="theirs")
    assert ours.sender_id != theirs.sender_id
    keyring = inside.installation.keyring
    rows = session.scalars(select(SenderRevision).order_by(SenderRevision.id)).all()
    assert len(history(session, "globex", key="news").entries) == 1
    session.execute(
        update(SenderRevision)
        .where(SenderRevision.id == rows[1].id)
        .values(secrets=rows[0].secrets)
    )
    session.commit()
    moved = load_sender(session, "globex", "news")
    with pytest.raises(SecretUnreadable):
        moved.secrets_for(moved.values, keyring)
    inside.actor = ACME_ADMIN
    for path in ("", "/history", "/rollback?number=1", "/delete"):
        answer = inside.client.get(f"/smtp-admin/partners/globex/senders/news{path}")
        assert answer.status_code == 404
    absent = inside.client.get("/smtp-admin/partners/globex/senders/absent")
    assert absent.text == answer.text, "and nobody learns which keys there are"
