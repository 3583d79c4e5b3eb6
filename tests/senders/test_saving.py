"""Saving: revisions that never change, passwords that stay with their destination."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from smtp_admin.audit.models import Audit
from smtp_admin.errors import Conflict, InvalidInput, KeyMissing, SecretUnreadable
from smtp_admin.host import Actor
from smtp_admin.senders.fields import DRIVER
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.resolve import ResolvedSender, load_sender, load_sender_by_id
from smtp_admin.senders.revisions import save_settings
from smtp_admin.senders.values import SenderValues
from smtp_admin.transports.driver import Driver
from smtp_admin.transports.smtp.fields import FIELDS
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

PASSWORD_FIELD = next(one for one in FIELDS if one.name == "password")

#: Each field of a destination, changed; another authority is made when the tests run.
MOVES: dict[str, Any] = {
    "host": "evil.example",
    "port": 2525,
    "security": "none",
    "verify_tls": False,
    "username": "other",
    "driver": "twin",
    "oauth_tenant": "acme.example",
    "oauth_client_id": "4711",
    "oauth_authority": "https://login.example",
    "oauth_token_url": "https://login.example/token",
    "oauth_authorize_url": "https://login.example/authorize",
}


@pytest.fixture
def moves(twin: Driver, ca_certificate: str) -> dict[str, Any]:
    """Every field of a destination, changed."""
    return MOVES | {"driver": twin.name, "ca_certificate": ca_certificate}


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
    secrets = {"password": password}
    saved = save_settings(
        session, partner_id, values, secrets=secrets, expected_revision=revision, actor=actor
    )
    session.commit()
    return saved


def history(session: Session) -> dict[int, tuple[Any, ...]]:
    """Every revision's row, by its number within the sender."""
    table = SenderRevision.__table__
    rows = session.execute(select(table).order_by(table.c.id)).all()
    session.rollback()
    return {row.id: tuple(row) for row in rows}


def password_of(
    site: HostApp, sender: ResolvedSender, values: SenderValues, typed: str = ""
) -> str:
    return sender.secret_for(PASSWORD_FIELD, values, site.installation.keyring, typed)


def sealed(session: Session) -> list[str]:
    """Every sealed password, in the order of the revisions."""
    documents = session.scalars(select(SenderRevision.secrets).order_by(SenderRevision.id))
    return [str(one["password"]["sealed"]) for one in documents if "password" in one]


def edit_in_sql(session: Session, sender_id: int, **changes: Any) -> None:
    """Change stored values past everything that guards them."""
    table = SenderRevision.__table__
    of_this_sender = table.c.sender_id == sender_id
    columns = {name: value for name, value in changes.items() if name in table.c}
    document = session.scalars(select(table.c.fields).where(of_this_sender)).one()
    others = {name: value for name, value in changes.items() if name not in table.c}
    assert others.keys() <= document.keys()
    changed = session.execute(
        update(SenderRevision).where(of_this_sender).values(columns | {"fields": document | others})
    )
    assert changed.rowcount == 1  # type: ignore[attr-defined]  # an UPDATE has one
    session.commit()


def test_destination_is_covered(moves: dict[str, Any]) -> None:
    """But for the way to sign in, with which no password goes anywhere."""
    moved = {*moves, "sign_in"}
    assert {one.name for one in (DRIVER, *FIELDS) if one.destination} == moved
    assert {name for name, _ in VALUES.destination.values} == moved


def test_what_is_saved_comes_back(site: HostApp, session: Session) -> None:
    saved = save(session, password=PASSWORD)
    loaded = load_sender(session, "acme")
    assert loaded.values == saved.values == VALUES
    assert (loaded.revision, loaded.saved_by) == (1, "Ada")
    assert loaded.has_secret("password")
    assert password_of(site, loaded, VALUES) == PASSWORD
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
    assert password_of(site, saved, values) == password


def test_revisions_never_change(session: Session) -> None:
    save(session, password=PASSWORD)
    save(session, partner_id="globex", password=PASSWORD)
    seen = history(session)
    changes: tuple[dict[str, Any], ...] = (
        {"from_name": "B"}, {"port": 25}, {"username": ""}, {"username": "x"}, {"from_name": "B"},
    )  # fmt: skip
    for change in changes:
        values = VALUES.replace(**change)
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
    changed = VALUES.replace(from_name="New", reply_to="", max_per_hour=None)
    second = save(session, changed)
    assert password_of(site, second, VALUES) == PASSWORD
    assert second.secret_set_at("password") == first.secret_set_at("password") is not None
    assert (
        len(set(sealed(session))) == 2
    )  # sealed anew, so that two rows do not show that they are equal


def test_moved_destination_asks_for_the_password(
    site: HostApp, session: Session, moves: dict[str, Any]
) -> None:
    sender = save(session, password=PASSWORD)
    before = history(session)
    for field, value in moves.items():
        moved = VALUES.replace(**{field: value})
        with pytest.raises(InvalidInput) as caught:
            save(session, moved)
        session.rollback()
        assert caught.value.code == "password_required", field
        assert "password" in caught.value.fields
        assert history(session) == before
        assert load_sender(session, "acme").revision == 1
        with pytest.raises(InvalidInput) as caught:
            password_of(site, sender, moved)
        assert caught.value.code == "password_required", field
        assert password_of(site, sender, moved, "typed") == "typed"


def test_moved_destination_with_its_own_password(
    site: HostApp, session: Session, moves: dict[str, Any]
) -> None:
    for field, value in moves.items():
        save(session, partner_id=field, password=PASSWORD)
        moved = VALUES.replace(**{field: value})
        saved = save(session, moved, partner_id=field, password="typed")
        assert password_of(site, saved, moved) == "typed"
        with pytest.raises(InvalidInput):
            password_of(site, saved, VALUES)


def test_cleared_login_drops_the_password(site: HostApp, session: Session) -> None:
    save(session, password=PASSWORD)
    without = save(session, VALUES.replace(username=""))
    assert not without.has_secret("password")
    assert password_of(site, without, without.values) == ""
    with pytest.raises(InvalidInput) as caught:
        save(session)
    assert caught.value.code == "password_required"


def test_password_without_a_login_is_refused(session: Session) -> None:
    with pytest.raises(InvalidInput) as caught:
        save(session, VALUES.replace(username=""), password="x")
    assert "username" in caught.value.fields
    session.rollback()
    assert history(session) == {}


def test_sealed_password_copied_to_another_partner(site: HostApp, session: Session) -> None:
    acme = save(session, password=PASSWORD).sender_id
    globex = save(session, partner_id="globex", password="own").sender_id
    stolen = session.scalar(select(SenderRevision.secrets).where(SenderRevision.sender_id == acme))
    copied = session.execute(
        update(SenderRevision).where(SenderRevision.sender_id == globex).values(secrets=stolen)
    )
    assert copied.rowcount == 1  # type: ignore[attr-defined]  # an UPDATE has one
    session.commit()
    with pytest.raises(SecretUnreadable):
        password_of(site, load_sender(session, "globex"), VALUES)
    assert password_of(site, load_sender(session, "acme"), VALUES) == PASSWORD


def test_sealed_password_copied_to_another_sender_of_the_same_partner(
    site: HostApp, session: Session
) -> None:
    """With the very same settings: the row that it was sealed for is part of the binding."""
    save(session, password=PASSWORD)
    save_settings(
        session, "acme", VALUES, secrets={"password": "own"}, expected_revision=0, actor=ADMIN,
        key="news",
    )  # fmt: skip
    session.commit()
    rows = session.scalars(select(SenderRevision).order_by(SenderRevision.id)).all()
    rows[1].secrets = rows[0].secrets
    session.commit()
    with pytest.raises(SecretUnreadable):
        password_of(site, load_sender(session, "acme", "news"), VALUES)


def test_row_edited_in_sql_does_not_open(
    site: HostApp, session: Session, moves: dict[str, Any]
) -> None:
    for field, value in moves.items():
        sender_id = save(session, partner_id=field, password=PASSWORD).sender_id
        edit_in_sql(session, sender_id, **{field: value})
        sender = load_sender(session, field)
        assert sender.values[field] == value
        with pytest.raises(SecretUnreadable) as caught:
            password_of(site, sender, sender.values)
        assert PASSWORD not in str(caught.value)
        with pytest.raises(InvalidInput):
            password_of(site, sender, VALUES)


def test_authority_taken_out_in_sql_does_not_open(
    site: HostApp, session: Session, ca_certificate: str
) -> None:
    """Without its own authority, somebody with a public certificate could be in between."""
    values = VALUES.replace(ca_certificate=ca_certificate)
    sender_id = save(session, values, password=PASSWORD).sender_id
    assert password_of(site, load_sender(session, "acme"), values) == PASSWORD
    edit_in_sql(session, sender_id, ca_certificate="")
    with pytest.raises(SecretUnreadable):
        password_of(site, load_sender(session, "acme"), VALUES)


def test_way_of_sending_without_a_login_drops_the_password(site: HostApp, session: Session) -> None:
    save(session, password=PASSWORD)
    by_sendmail = save(session, VALUES.replace(driver="sendmail"))
    assert (by_sendmail.values.from_name, by_sendmail.secrets) == (VALUES.from_name, {})
    with pytest.raises(InvalidInput) as caught:
        save(session)
    assert caught.value.code == "password_required"
    session.rollback()
    assert password_of(site, save(session, password="new"), VALUES) == "new"


def test_sender_given_to_another_partner_in_sql(site: HostApp, session: Session) -> None:
    save(session, password=PASSWORD)
    session.execute(
        text("UPDATE smtp_admin_sender SET partner_id = 'globex' WHERE partner_id = 'acme'")
    )
    session.commit()
    with pytest.raises(SecretUnreadable):
        password_of(site, load_sender(session, "globex"), VALUES)


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
    assert save(session, VALUES.replace(username="")).revision == 1


def test_second_of_two_is_told_who_was_first(site: HostApp, session: Session) -> None:
    """Both have read before either writes; the database's isolation must not hide the first."""
    save(session, password=PASSWORD)
    with Session(site.db.engine) as other:
        assert load_sender(other, "acme").revision == 1
        save(session, VALUES.replace(from_name="first"), actor=ACME_ADMIN)
        before = history(session)
        with pytest.raises(Conflict) as caught:
            save(other, VALUES.replace(from_name="second"), seen=1)
        other.rollback()
        assert "Mia" in caught.value.message
        assert caught.value.status == 409
        assert history(session) == before
        assert load_sender(other, "acme").values.from_name == "first"
        again = save(other, VALUES.replace(from_name="second"), seen=2)
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
    save_settings(
        session, "acme", VALUES, secrets={"password": PASSWORD}, expected_revision=0, actor=ADMIN
    )
    session.rollback()
    assert load_sender(session, "acme").revision == 0
    assert history(session) == {}


def test_saving_what_is_saved_makes_no_revision(inside: HostApp) -> None:
    """Also where the same password is typed; a pause ends all the same, a person's own stays."""
    session = inside.db.session()
    first = inside.save_sender(username="u", password="x")
    for code, stays in (("connection_refused", False), ("paused_by_hand", True)):
        session.execute(
            update(Sender).values(
                paused_until=datetime.now(UTC) + timedelta(days=1), pause_code=code
            )
        )
        session.commit()
        inside.save_sender(username="u", password="x")
        session.commit()
        now = load_sender(session, "acme")
        assert now.revision == first.revision
        assert (now.paused_until is not None) == stays
    assert inside.save_sender(username="u", password="y").revision == first.revision + 1
