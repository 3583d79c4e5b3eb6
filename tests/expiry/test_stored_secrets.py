"""What is stored sealed: one list of places, by which keys are counted, checked and changed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, String, select

import smtp_admin
from smtp_admin.connection.from_worker import ask_worker
from smtp_admin.connection.service import prepare
from smtp_admin.database import Base
from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.events.bounces import mailboxes
from smtp_admin.events.bounces.imap import Account
from smtp_admin.events.models import Webhook
from smtp_admin.events.sealing import SealedFor as ForWebhook
from smtp_admin.monitor.check_database import keys
from smtp_admin.monitor.stored_secrets import (
    PLACES,
    SETTINGS,
    SHORT_LIVED,
    check_all,
    needed_keys,
    rotate_all,
)
from smtp_admin.oauth.models import OAuthGrant, Sealed
from smtp_admin.oauth.sealing import SealedFor as ForGrant
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import load_sender
from tests.app import ADMIN, HostApp
from tests.expiry.ending import the

LISTED = {str(one.property.columns[0]) for place in PLACES for one in place.columns}
ALL = LISTED | {str(SETTINGS.property.columns[0])}
#: Who seals: what one of them stores is in the list, lives for minutes, or is in a mail or a form.
SEALS = {
    "connection/from_worker.py", "encryption.py", "events/bounces/mailboxes.py",
    "events/sealing.py", "events/webhooks.py", "mail/links.py", "oauth/sealing.py",
    "oauth/writing.py", "renewals/switching.py", "senders/keys.py", "senders/revisions.py",
    "senders/sealed_texts.py", "senders/secrets.py",
}  # fmt: skip


@pytest.fixture
def full(host: HostApp) -> HostApp:
    """A sender with a secret in every place, on SQLite."""
    return filled(host)


def filled(host: HostApp) -> HostApp:
    """A sender with a secret in every place."""
    row = host.save_sender(username="mia", password="geheim", security="tls")
    session, ring = host.db.session(), host.installation.keyring
    sender = session.get_one(Sender, row.sender_id)
    grant = ForGrant(ring, "acme", sender.id)
    session.add(
        OAuthGrant(
            sender_id=sender.id, purpose="p", access_token=grant.seal("access", "p", "one"),
            refresh_token=grant.seal("refresh", "p", "two"),
        )
    )  # fmt: skip
    webhook = Webhook(sender_id=sender.id, source="generic", key_hash="h", created_by="ada")
    hook = ForWebhook.of(ring, sender, webhook)
    webhook.key, webhook.secret = hook.seal("key", "three"), hook.seal("secret", "four")
    webhook.former_secret = hook.seal("former_secret", "five")
    session.add(webhook)
    account = Account("imap.example", 993, "ssl", "bounces", "six")
    mailboxes.save(session, load_sender(session, "acme"), account, ADMIN)
    typed = {"host": "mail.example", "port": "587", "username": "mia", "password": "seven"}
    ask_worker(session, "acme", prepare(session, "acme", typed, ADMIN, ("web",)), ADMIN)
    session.commit()
    return host


def sealed_texts(host: HostApp) -> Iterator[tuple[str, str]]:
    """Each column with a text that names a key of the ring, in any table."""
    for table in Base.metadata.sorted_tables:
        texts = [one for one in table.columns if isinstance(one.type, String | JSON)]
        for row in host.db.session.execute(select(*texts)) if texts else ():
            for column, value in zip(texts, row, strict=True):
                text = value if isinstance(value, str) else json.dumps(value)
                for name in host.installation.keyring.fingerprints:
                    if f".{name}." in text:
                        yield str(column), name


def test_the_list_is_whole(full: HostApp) -> None:
    assert {column for column, _ in sealed_texts(full)} == ALL | SHORT_LIVED
    columns = [one for table in Base.metadata.tables.values() for one in table.columns]
    assert {str(one) for one in columns if one.type is Sealed} == LISTED


def test_whoever_seals_something_new_enters_it_in_the_list() -> None:
    """A failure here means: enter the new column in PLACES, and its module above."""
    root = Path(smtp_admin.__file__).parent
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if ".seal(" in path.read_text() or "def seal(" in path.read_text()
    }
    assert found == SEALS


def test_all_say_the_same_number_and_none_forgets_a_place(full: HostApp) -> None:
    session, here, old = full.db.session(), full.installation, full.installation.keyring
    assert check_all(session, old).total == 7
    assert the(full, "encryption_key").detail == "7 stored secrets need it."
    assert [one.message for one in keys()] == ["All stored secrets (7) open, with the newest key."]
    new = generate_key()
    here.keyring = Keyring([new, full.secret_key])
    assert "7 stored secrets still need it" in the(full, "encryption_key").detail
    assert [one.status for one in keys()] == ["warning"]
    assert rotate_all(session, here.keyring).newest == 7
    here.keyring = Keyring([new])
    assert {column for column, _ in sealed_texts(full)} == ALL, "nothing was left out"
    assert check_all(session, here.keyring).unreadable == ()
    assert the(full, "encryption_key").detail == "7 stored secrets need it."


def test_a_lost_key_of_a_webhook_is_no_lost_password(full: HostApp) -> None:
    """What cannot be opened is named by its place: such a sender still sends."""
    lost: Any = Keyring([generate_key()])
    session = full.db.session()
    webhook = session.scalars(select(Webhook)).one()
    webhook.secret = lost.seal("four", ["webhook"])
    session.commit()
    (found,) = keys()
    assert found.status == "warning"
    assert "for webhooks or mailboxes for bounces cannot be decrypted" in found.message
    result = full.app.test_cli_runner().invoke(args=["smtp-admin", "keys", "check"])
    assert result.exit_code == 1
    assert "partner acme, sender default, webhook: " in result.output


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_other_databases(
    request: pytest.FixtureRequest, new_app: Callable[..., HostApp], kind: str
) -> None:
    made = new_app(uri=request.getfixturevalue(kind).create_database())
    with made.app.app_context():
        session, ring = filled(made).db.session(), made.installation.keyring
        assert needed_keys(session).used == {ring.fingerprints[0]: 7}
        new = Keyring([generate_key(), made.secret_key])
        assert rotate_all(session, new).newest == 7
        assert needed_keys(session).all == {new.fingerprints[0]: 7}
