"""Certificates and their keys, authorities, and passwords that the first version sealed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.errors import InvalidInput, SecretUnreadable
from smtp_admin.senders.environment import read_overrides
from smtp_admin.senders.history import changes
from smtp_admin.senders.keys import check_keys, rotate_keys
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.smtp.session import Server
from smtp_admin.transports.driver import Driver
from smtp_admin.transports.registry import forget, register
from smtp_admin.transports.smtp.pem import clean_key
from tests.app import HostApp, started_with
from tests.first_format import first_format

PASSWORD = "pässwörd 密"
PAGE = "/smtp-admin/partners/acme"
JSON = {"Accept": "application/json"}


@dataclass(frozen=True)
class Shown:
    """What a sender shows to a server: a certificate and its key, as PEM."""

    certificate: str
    key: str

    @classmethod
    def new(cls, name: str, key: ec.EllipticCurvePrivateKey | None = None) -> "Shown":
        """A certificate that vouches for itself, for a new key or for *key*."""
        own = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(days=1))
            .not_valid_after(datetime.now(UTC) + timedelta(days=365))
            .sign(own, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        written = own.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(made.public_bytes(pem).decode(), written.decode())

    def renewed(self) -> "Shown":
        """Next year's certificate for the same key."""
        key = serialization.load_pem_private_key(self.key.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return Shown.new("renewed.example", key)


@pytest.fixture(scope="module")
def first() -> Shown:
    """One certificate with its key."""
    return Shown.new("first.example")


@pytest.fixture(scope="module")
def other() -> Shown:
    """Another one."""
    return Shown.new("other.example")


@pytest.fixture
def session(host: HostApp) -> Session:
    """The host's session."""
    return host.db.session()


def save(site: HostApp, partner_id: str = "acme", key: str = "", **values: Any) -> ResolvedSender:
    """Save over TLS, with a login."""
    settings: dict[str, Any] = {"host": "mail.example", "port": 587, "security": "tls",
                                "username": "u"}  # fmt: skip
    return site.save_sender(partner_id, key=key, **settings | values)


def with_both(host: HostApp, shown: Shown, partner_id: str = "acme", **more: Any) -> ResolvedSender:
    """Save with a password, a certificate and its key."""
    return save(
        host, partner_id, password=PASSWORD, client_certificate=shown.certificate,
        secrets={"client_key": shown.key}, **more,
    )  # fmt: skip


def opened(host: HostApp, partner_id: str = "acme", key: str = "") -> dict[str, str]:
    """The secrets that would be used now."""
    session = host.db.session()
    session.rollback()
    session.expire_all()
    sender = load_sender(session, partner_id, key)
    found = sender.secrets_for(sender.values, host.installation.keyring)
    return {name: text for name, text in found.items() if not name.startswith("oauth_")}


def refusal(site: HostApp, **values: Any) -> dict[str, list[str]]:
    """What is said beside the fields; nothing was saved."""
    before = load_sender(site.db.session(), "acme").revision
    with pytest.raises(InvalidInput) as caught:
        save(site, **values)
    site.db.session.rollback()
    assert load_sender(site.db.session(), "acme").revision == before
    return caught.value.fields


# Certificates of a sender


def test_key_is_kept_with_its_certificate(host: HostApp, first: Shown) -> None:
    with_both(host, first)
    assert opened(host) == {"password": PASSWORD, "client_key": first.key}
    save(host, client_certificate=first.certificate, from_name="New")
    assert opened(host) == {"password": PASSWORD, "client_key": first.key}
    sender = load_sender(host.db.session(), "acme")
    server = sender.setup(host.installation.keyring).settings
    assert isinstance(server, Server)
    assert (server.client_certificate, server.client_key) == (first.certificate, first.key)
    assert "PRIVATE" not in f"{sender!r} {server!r} {sender.setup(host.installation.keyring)!r}"


def test_renewed_certificate_asks_for_nothing(host: HostApp, first: Shown) -> None:
    with_both(host, first)
    renewed = first.renewed()
    assert renewed.certificate != first.certificate
    save(host, client_certificate=renewed.certificate)
    assert opened(host) == {"password": PASSWORD, "client_key": first.key}


def test_another_host_asks_for_the_password_alone(host: HostApp, first: Shown) -> None:
    with_both(host, first)
    moved: dict[str, Any] = {"host": "other.example", "client_certificate": first.certificate}
    assert list(refusal(host, **moved)) == ["password"]
    save(host, password="new word", **moved)
    assert opened(host) == {"password": "new word", "client_key": first.key}


def test_certificate_with_another_key_wants_that_key(
    host: HostApp, first: Shown, other: Shown
) -> None:
    with_both(host, first)
    sentence = {"client_key": ["This key does not belong to the client certificate."]}
    assert refusal(host, client_certificate=other.certificate) == sentence
    wrong = {"client_certificate": first.certificate, "secrets": {"client_key": other.key}}
    assert refusal(host, **wrong) == sentence
    save(host, client_certificate=other.certificate, secrets={"client_key": other.key})
    assert opened(host) == {"password": PASSWORD, "client_key": other.key}


def test_certificate_without_any_key(host: HostApp, first: Shown) -> None:
    save(host, password=PASSWORD)
    found = refusal(host, client_certificate=first.certificate)
    assert found == {"client_key": ["Enter the key of the client certificate too."]}


def test_removed_certificate_takes_its_key_along(host: HostApp, first: Shown) -> None:
    with_both(host, first)
    without = save(host)
    assert not without.has_secret("client_key")
    assert opened(host) == {"password": PASSWORD, "client_key": ""}
    assert list(refusal(host, client_certificate=first.certificate)) == ["client_key"]


@pytest.mark.parametrize("path", ["", "/test-connection"])
def test_sentences_stand_beside_the_field(
    host: HostApp, first: Shown, other: Shown, path: str
) -> None:
    """On the page as in the JSON of a test; nothing is dialled."""
    form = {
        "host": "mail.example", "port": "587", "security": "tls", "username": "u", "password": "p",
        "from_email": "a@acme.example", "verify_tls": "true", "revision": "0",
        "client_certificate": first.certificate,
    }  # fmt: skip
    for key, sentence in (
        ("", "Enter the key of the client certificate too."),
        (other.key, "This key does not belong to the client certificate."),
        (first.key[:80], "This is not a private key in PEM form."),
        (first.certificate, "This is not a private key in PEM form."),
    ):
        answer = host.client.post(PAGE + path, data=form | {"client_key": key},
                                  headers={"Accept": "text/html"})  # fmt: skip
        assert answer.status_code == 400
        assert f'id="client_key-error">{sentence}' in answer.text
        assert "PRIVATE KEY" not in answer.text
        if path:
            error = host.client.post(PAGE + path, json=form | {"client_key": key}).get_json()
            assert error["error"]["fields"] == {"client_key": [sentence]}


def test_history_and_comparison_show_no_key(host: HostApp, first: Shown, other: Shown) -> None:
    with_both(host, first)
    with_both(host, other)
    body = host.client.get(f"{PAGE}/history", headers=JSON)
    newest = {one["field"]: one["new"] for one in body.get_json()["revisions"][0]["changes"]}
    assert newest["client_key"] == "changed"
    assert "other.example" in newest["client_certificate"]
    for text in (body.text, host.client.get(f"{PAGE}/history").text):
        assert "PRIVATE" not in text
        for line in (*first.key.splitlines()[1:-1], *other.key.splitlines()[1:-1]):
            assert line not in text


def test_rolling_back_brings_the_key_of_that_certificate(
    host: HostApp, first: Shown, other: Shown
) -> None:
    with_both(host, first)
    with_both(host, other)
    answer = host.client.post(f"{PAGE}/rollback", data={"number": 1, "revision": 2}, headers=JSON)
    assert answer.status_code == 200, answer.text
    assert opened(host)["client_key"] == first.key


def test_key_goes_with_a_host_of_the_environment_and_the_password_does_not(
    host: HostApp, first: Shown
) -> None:
    """It is this sender's own, wherever it sends; and it is never sent, only proven."""
    with_both(host, first, "")
    environment = {"SMTP_HOST": "env.example"}
    host.app.extensions["smtp_admin"] = started_with(host.installation, environment=environment)
    sender = load_sender(host.db.session(), "")
    assert read_overrides(environment, "").moves_destination
    assert (sender.has_secret("client_key"), sender.has_secret("password")) == (True, False)


# Moved in SQL


def rows(session: Session) -> list[SenderRevision]:
    session.rollback()
    return list(session.scalars(select(SenderRevision).order_by(SenderRevision.id)))


@pytest.mark.parametrize(
    ("partner_id", "key"), [("globex", ""), ("acme", "news"), ("", "")], ids=str
)
def test_key_moved_to_another_sender_does_not_open(
    host: HostApp, session: Session, first: Shown, partner_id: str, key: str
) -> None:
    """With the very same settings there, and the same certificate."""
    with_both(host, first)
    with_both(host, first, partner_id, key=key)
    ours, theirs = rows(session)
    theirs.secrets = theirs.secrets | {"client_key": ours.secrets["client_key"]}
    session.commit()
    with pytest.raises(SecretUnreadable):
        opened(host, partner_id, key)
    assert opened(host)["client_key"] == first.key


def test_secret_under_another_name_does_not_open(
    host: HostApp, session: Session, first: Shown
) -> None:
    """A key that was made a password would be sent to the server in plain."""
    with_both(host, first)
    (row,) = rows(session)
    row.secrets = row.secrets | {"password": row.secrets["client_key"]}
    session.commit()
    with pytest.raises(SecretUnreadable):
        opened(host)


# Authorities


def test_another_authority_asks_for_the_password(
    host: HostApp, first: Shown, ca_certificate: str
) -> None:
    """Whoever may choose the authority may stand in between."""
    with_both(host, first)
    same = {"client_certificate": first.certificate}
    assert list(refusal(host, ca_certificate=ca_certificate, **same)) == ["password"]
    save(host, ca_certificate=ca_certificate, password=PASSWORD, **same)
    for another in ("", first.certificate, ca_certificate + first.certificate):
        assert list(refusal(host, ca_certificate=another, **same)) == ["password"]
    answer = host.client.post(
        f"{PAGE}/test-connection",
        json={"host": "mail.example", "port": 587, "username": "u", "ca_certificate": ""} | same,
    )
    assert answer.get_json()["error"]["code"] == "password_required"
    kept = save(host, ca_certificate=ca_certificate, from_name="Same authority", **same)
    assert opened(host) == {"password": PASSWORD, "client_key": first.key}
    assert kept.values.ca_certificate == ca_certificate


def test_authority_written_otherwise_is_the_same(host: HostApp, ca_certificate: str) -> None:
    """Line ends of Windows, spaces and blank lines are not another destination."""
    form = {"host": "mail.example", "port": "587", "security": "tls", "username": "u",
            "from_email": "a@acme.example", "verify_tls": "true"}  # fmt: skip
    for number, (text, password) in enumerate(
        (
            (ca_certificate, PASSWORD),
            (ca_certificate.replace("\n", "\r\n"), ""),
            (f"\n  {ca_certificate.replace(chr(10), f'  {chr(10)}{chr(10)}')}\n", ""),
        )
    ):
        more = {"ca_certificate": text, "password": password, "revision": str(min(number, 1))}
        assert host.client.post(PAGE, data=form | more).status_code == 303


# Passwords of the first version

OF_FIRST = ("driver", "host", "port", "security", "verify_tls", "username")


def as_before(host: HostApp, row: SenderRevision, partner_id: str, **other: Any) -> None:
    """Have the revision's password sealed as an upgrade leaves it."""
    values = {"driver": row.driver, **row.fields}
    binding = [partner_id, [values[name] for name in OF_FIRST]]
    sealed = first_format(other.get("key", host.secret_key), PASSWORD, binding)
    set_at = "2026-01-31T12:00:00+00:00"
    row.secrets = {"password": {"sealed": sealed, "set_at": set_at}}
    host.db.session.commit()


@pytest.fixture
def old(host: HostApp, session: Session) -> SenderRevision:
    """A revision whose password the first version sealed, of acme's sender."""
    save(host, password="x")
    (row,) = rows(session)
    as_before(host, row, "acme")
    return row


def test_it_opens_by_its_six_values(host: HostApp, old: SenderRevision) -> None:
    assert opened(host)["password"] == PASSWORD
    # And so does a value that today's cleaner would write otherwise.
    old.fields = old.fields | {"host": "BÜCHER.example", "username": " u "}
    as_before(host, old, "acme")
    assert opened(host)["password"] == PASSWORD


#: Each of the six, and what could be added that did not exist then.
EDITS: dict[str, Any] = {
    "host": "evil.example", "port": 25, "security": "none", "verify_tls": False,
    "username": "other", "driver": "twin", "ca_certificate": "-----BEGIN CERTIFICATE-----\n",
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_it_does_not_open_where_something_was_changed(
    host: HostApp, old: SenderRevision, twin: Driver, name: str
) -> None:
    if name == "driver":
        old.driver = twin.name
    else:
        old.fields = old.fields | {name: EDITS[name]}
    host.db.session.commit()
    with pytest.raises(SecretUnreadable):
        opened(host)


def test_it_does_not_open_for_another_partner_or_sender_or_name(
    host: HostApp, session: Session, old: SenderRevision, first: Shown
) -> None:
    stolen = dict(old.secrets)
    save(host, "globex", password="y")
    save(host, "acme", key="news", host="news.example", password="z")
    for row in rows(session)[1:]:
        row.secrets = stolen
    session.commit()
    for partner_id, key in (("globex", ""), ("acme", "news")):
        with pytest.raises(SecretUnreadable):
            opened(host, partner_id, key)
    with_both(host, first)
    newest = rows(session)[-1]
    newest.secrets = newest.secrets | {"client_key": stolen["password"]}
    session.commit()
    with pytest.raises(SecretUnreadable):
        opened(host)


def test_partner_moved_in_sql_does_not_open(
    host: HostApp, session: Session, old: SenderRevision
) -> None:
    sender = session.get(Sender, old.sender_id)
    assert sender
    sender.partner_id = "globex"
    session.commit()
    with pytest.raises(SecretUnreadable):
        opened(host, "globex")


def test_next_save_seals_it_anew(host: HostApp, session: Session, old: SenderRevision) -> None:
    save(host, from_name="New")
    assert opened(host)["password"] == PASSWORD
    before, after = (one.secrets["password"] for one in rows(session))
    assert (str(before["sealed"])[:3], str(after["sealed"])[:3]) == ("v1.", "v2.")
    assert before["set_at"] == after["set_at"]
    assert [one.field for one in changes(*rows(session))] == ["from_name"]


def test_rotation_seals_it_anew(host: HostApp, session: Session, old: SenderRevision) -> None:
    """Even where the key stays; then the whole binding holds."""
    ring = host.installation.keyring
    before = check_keys(session, ring)
    assert (before.newest, before.older, before.unreadable) == (0, 1, ())
    after = rotate_keys(session, ring)
    assert (after.newest, after.older, after.unreadable) == (1, 0, ())
    (row,) = rows(session)
    assert str(row.secrets["password"]["sealed"]).startswith("v2.")
    assert row.secrets["password"]["set_at"] == "2026-01-31T12:00:00+00:00"
    assert opened(host)["password"] == PASSWORD
    save(host, "acme", key="news", password="x")
    rows(session)[1].secrets = dict(row.secrets)
    session.commit()
    with pytest.raises(SecretUnreadable):
        opened(host, "acme", "news")


def test_rotation_names_what_does_not_open(
    host: HostApp, session: Session, old: SenderRevision
) -> None:
    lost = generate_key()
    as_before(host, old, "acme", key=lost)
    (unreadable,) = rotate_keys(session, host.installation.keyring).unreadable
    assert (unreadable.partner_id, unreadable.key, unreadable.revision) == ("acme", "", 1)
    assert "SMTP_ADMIN_SECRET_KEYS" in unreadable.reason
    assert rotate_keys(session, Keyring([host.secret_key, lost])).unreadable == ()
    assert opened(host)["password"] == PASSWORD


def test_rotation_without_the_driver_waits_for_it(
    host: HostApp, session: Session, twin: Driver
) -> None:
    save(host, driver=twin.name, password=PASSWORD)
    keys = Keyring([generate_key(), host.secret_key])
    forget(twin.name)
    (unreadable,) = rotate_keys(session, keys).unreadable
    assert "twin" in unreadable.reason
    assert load_sender(session, "acme").problems
    register(twin)
    report = rotate_keys(session, keys)
    assert (report.newest, report.unreadable) == (1, ())


def test_a_key_that_takes_long_to_check_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "smtp_admin.transports.smtp.pem.load_pem_private_key", lambda *_, **__: pytest.fail("is")
    )
    body = "\n".join(["A" * 64] * 190)  # of 16,384 bits
    with pytest.raises(ValueError, match="at most 8192 bits"):
        clean_key(f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----")
