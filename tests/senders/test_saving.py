"""Saving: revisions that never change, passwords that stay with their destination."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from smtp_admin.senders.destination import Destination
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from smtp_admin.audit.models import Audit
from smtp_admin.errors import Conflict, InvalidInput, KeyMissing, SecretUnreadable
from smtp_admin.host import Actor
from smtp_admin.senders.models import SenderRevision
from smtp_admin.senders.resolve import ResolvedSender, load_sender, load_sender_by_id
from smtp_admin.senders.revisions import save_settings
from smtp_admin.senders.values import SenderValues
from tests.app import ACME_ADMIN, ADMIN, HostApp

VALUES = SenderValues(
    host="mail.example",
    port=587,
    security="tls",
    username="lögin",
    from_email="noreply@acme.example",
    from_name="Acme – 試験",
    reply_to="support@acme.example",
    max_per_hour=100,
)
PASSWORD = " pässwörd 密 "

#: Each field of a destination, changed.
MOVES: dict[str, Any] = {
    "host": "evil.example",
    "port": 2525,
    "security": "none",
    "verify_tls": False,
    "username": "other",
    "driver": "sendmail",
}


@pytest.fixture
def session(site: HostApp) -> Iterator[Session]:
    """The host's session, inside the app's context."""
    with site.app.app_context():
        yield site.db.session()


def save(
    session: Session,
    values: SenderValues = VALUES,
    *,
    partner_id: str = "acme",
    password: str = "",
    seen: int | None = None,
    actor: Actor = ADMIN,
) -> ResolvedSender:
    """Save as the next revision, or as the one after *seen*, and commit."""
    revision = load_sender(session, partner_id).revision if seen is None else seen
    saved = save_settings(
        session, partner_id, values, password=password, expected_revision=revision, actor=actor
    )
    session.commit()
    return saved


def history(session: Session) -> dict[int, tuple[Any, ...]]:
    """Every revision's row, by its number within the sender."""
    table = SenderRevision.__table__
    rows = session.execute(select(table).order_by(table.c.id)).all()
    session.rollback()
    return {row.id: tuple(row) for row in rows}


def password_of(site: HostApp, sender: ResolvedSender, destination: Destination) -> str:
    return sender.password_for(destination, site.installation.keyring)


def test_destination_is_covered() -> None:
    assert {field.name for field in dataclasses.fields(Destination)} == set(MOVES)


def test_what_is_saved_comes_back(site: HostApp, session: Session) -> None:
    saved = save(session, password=PASSWORD)
    loaded = load_sender(session, "acme")
    assert loaded.values == saved.values == VALUES
    assert (loaded.revision, loaded.saved_by) == (1, "Ada")
    assert loaded.has_password
    assert password_of(site, loaded, VALUES.destination) == PASSWORD
    by_id = load_sender_by_id(session, loaded.sender_id)
    assert by_id
    assert by_id.partner_id == "acme"
    assert load_sender(session, "globex").revision == 0
    audit = session.scalars(select(Audit)).one()
    assert (audit.actor_id, audit.partner_id, audit.action) == ("1", "acme", "settings.saved")


def test_longest_values_fit(site: HostApp, session: Session) -> None:
    """PostgreSQL refuses what is too long; the form lets exactly these through."""
    label = "a" * 63
    values = SenderValues(
        host=".".join([label, label, label, "a" * 61]),
        port=65535,
        security="none",
        username="\U0001f600" * 320,
        from_email=f"{'a' * 64}@{label}.{label}.{'a' * 61}",
        from_name="\U0001f600" * 64,
        reply_to=f"{'a' * 64}@{label}.{label}.{'a' * 61}",
        max_per_hour=10_000_000,
    )
    password = "\U0001f600" * 1000
    saved = save(session, values, password=password)
    assert load_sender(session, "acme").values == values
    assert password_of(site, saved, values.destination) == password


def test_revisions_never_change(session: Session) -> None:
    save(session, password=PASSWORD)
    save(session, partner_id="globex", password=PASSWORD)
    seen = history(session)
    changes: tuple[dict[str, Any], ...] = (
        {"from_name": "B"}, {"port": 25}, {"username": ""}, {"username": "x"}, {"from_name": "B"},
    )  # fmt: skip
    for change in changes:
        values = dataclasses.replace(VALUES, **change)
        save(session, values, password=PASSWORD if values.username else "")
        after = history(session)
        assert {key: row for key, row in after.items() if key in seen} == seen
        assert len(after) == len(seen) + 1
        seen = after
    acme = load_sender(session, "acme").sender_id
    numbers = select(SenderRevision.number).where(SenderRevision.sender_id == acme)
    assert sorted(session.scalars(numbers)) == [1, 2, 3, 4, 5, 6]


def test_empty_password_keeps_the_stored_one(site: HostApp, session: Session) -> None:
    first = save(session, password=PASSWORD)
    changed = dataclasses.replace(VALUES, from_name="New", reply_to="", max_per_hour=None)
    second = save(session, changed)
    assert password_of(site, second, VALUES.destination) == PASSWORD
    assert second.password_set_at == first.password_set_at
    rows = session.scalars(select(SenderRevision.password_sealed)).all()
    assert len(set(rows)) == 2  # sealed anew, so that two rows do not show that they are equal


def test_moved_destination_asks_for_the_password(site: HostApp, session: Session) -> None:
    keyring = site.installation.keyring
    sender = save(session, password=PASSWORD)
    before = history(session)
    for field, value in MOVES.items():
        moved = dataclasses.replace(VALUES, **{field: value})
        with pytest.raises(InvalidInput) as caught:
            save(session, moved)
        session.rollback()
        assert caught.value.code == "password_required", field
        assert "password" in caught.value.fields
        assert history(session) == before
        assert load_sender(session, "acme").revision == 1
        with pytest.raises(InvalidInput) as caught:
            password_of(site, sender, moved.destination)
        assert caught.value.code == "password_required", field
        assert sender.password_for(moved.destination, keyring, "typed") == "typed"


def test_moved_destination_with_its_own_password(site: HostApp, session: Session) -> None:
    for field, value in MOVES.items():
        save(session, partner_id=field, password=PASSWORD)
        moved = dataclasses.replace(VALUES, **{field: value})
        saved = save(session, moved, partner_id=field, password="typed")
        assert password_of(site, saved, moved.destination) == "typed"
        with pytest.raises(InvalidInput):
            password_of(site, saved, VALUES.destination)


def test_cleared_login_drops_the_password(site: HostApp, session: Session) -> None:
    save(session, password=PASSWORD)
    without = save(session, dataclasses.replace(VALUES, username=""))
    assert not without.has_password
    assert password_of(site, without, without.values.destination) == ""
    with pytest.raises(InvalidInput) as caught:
        save(session)
    assert caught.value.code == "password_required"


def test_password_without_a_login_is_refused(session: Session) -> None:
    with pytest.raises(InvalidInput) as caught:
        save(session, dataclasses.replace(VALUES, username=""), password="x")
    assert "username" in caught.value.fields
    session.rollback()
    assert history(session) == {}


def test_sealed_password_copied_to_another_partner(site: HostApp, session: Session) -> None:
    acme = save(session, password=PASSWORD).sender_id
    globex = save(session, partner_id="globex", password="own").sender_id
    sealed = select(SenderRevision.password_sealed).where(SenderRevision.sender_id == acme)
    copied = session.execute(
        update(SenderRevision)
        .where(SenderRevision.sender_id == globex)
        .values(password_sealed=session.scalar(sealed))
    )
    assert copied.rowcount == 1  # type: ignore[attr-defined]  # an UPDATE has one
    session.commit()
    with pytest.raises(SecretUnreadable):
        password_of(site, load_sender(session, "globex"), VALUES.destination)
    assert password_of(site, load_sender(session, "acme"), VALUES.destination) == PASSWORD


def test_row_edited_in_sql_does_not_open(site: HostApp, session: Session) -> None:
    for field, value in MOVES.items():
        sender_id = save(session, partner_id=field, password=PASSWORD).sender_id
        session.execute(
            text(f"UPDATE smtp_admin_sender_revision SET {field} = :value WHERE sender_id = :id"),
            {"value": value, "id": sender_id},
        )
        session.commit()
        sender = load_sender(session, field)
        with pytest.raises(SecretUnreadable) as caught:
            password_of(site, sender, sender.values.destination)
        assert PASSWORD not in str(caught.value)
        with pytest.raises(InvalidInput):
            password_of(site, sender, VALUES.destination)


def test_sender_given_to_another_partner_in_sql(site: HostApp, session: Session) -> None:
    save(session, password=PASSWORD)
    session.execute(
        text("UPDATE smtp_admin_sender SET partner_id = 'globex' WHERE partner_id = 'acme'")
    )
    session.commit()
    with pytest.raises(SecretUnreadable):
        password_of(site, load_sender(session, "globex"), VALUES.destination)


def test_without_keys_nothing_is_half_saved(site: HostApp, session: Session) -> None:
    keyless = dataclasses.replace(site.installation, keyring=type(site.installation.keyring)([]))
    site.app.extensions["smtp_admin"] = keyless
    before = {
        name: session.scalar(text(f"SELECT count(*) FROM smtp_admin_{name}"))
        for name in ("sender", "sender_revision", "audit", "lane")
    }
    with pytest.raises(KeyMissing):
        save(session, password=PASSWORD)
    session.commit()  # even a host that goes on and commits saves nothing
    assert load_sender(session, "acme").sender_id == 0
    for name, count in before.items():
        assert session.scalar(text(f"SELECT count(*) FROM smtp_admin_{name}")) == count
    assert save(session, dataclasses.replace(VALUES, username="")).revision == 1


def test_second_of_two_is_told_who_was_first(site: HostApp, session: Session) -> None:
    """Both have read before either writes; the database's isolation must not hide the first."""
    save(session, password=PASSWORD)
    with Session(site.db.engine) as other:
        assert load_sender(other, "acme").revision == 1
        save(session, dataclasses.replace(VALUES, from_name="first"), actor=ACME_ADMIN)
        before = history(session)
        with pytest.raises(Conflict) as caught:
            save(other, dataclasses.replace(VALUES, from_name="second"), seen=1)
        other.rollback()
        assert "Mia" in caught.value.message
        assert caught.value.status == 409
        assert history(session) == before
        assert load_sender(other, "acme").values.from_name == "first"
        again = save(other, dataclasses.replace(VALUES, from_name="second"), seen=2)
        assert (again.revision, again.values.from_name) == (3, "second")


def test_revision_that_is_not_the_present_one(session: Session) -> None:
    save(session, password=PASSWORD)
    before = history(session)
    for seen in (-1, 0, 2, 10**9):
        with pytest.raises(Conflict):
            save(session, seen=seen)
        session.rollback()
        assert history(session) == before


def test_saving_ends_a_pause(session: Session) -> None:
    save(session, password=PASSWORD)
    session.execute(
        text("UPDATE smtp_admin_sender SET pauses = 3, pause_code = 'auth_failed',"
             " pause_reason = 'no', paused_until = '2999-01-01 00:00:00.000000'")
    )  # fmt: skip
    session.commit()
    assert load_sender(session, "acme").paused_until
    saved = save(session, password="right")
    assert saved.paused_until is None
    assert (saved.pause_code, saved.pause_reason) == ("", "")


def test_rolled_back_with_the_host(site: HostApp, session: Session) -> None:
    save_settings(session, "acme", VALUES, password=PASSWORD, expected_revision=0, actor=ADMIN)
    session.rollback()
    assert load_sender(session, "acme").revision == 0
    assert history(session) == {}
