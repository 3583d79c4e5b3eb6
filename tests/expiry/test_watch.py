"""What ends: read where it stands, soon enough and never too soon."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from smtp_admin.api.models import ApiToken
from smtp_admin.api.tokens import create_token
from smtp_admin.clock import now
from smtp_admin.credentials.key_pair import new_key_pair
from smtp_admin.database import host_engine
from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.expiry.kinds import BY_NAME, KINDS
from smtp_admin.expiry.seen_certificates import SeenCertificates
from smtp_admin.expiry.things import condition_of
from smtp_admin.expiry.watch import advice_on, headline
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.smtp.tls import TLSDescription
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.credentials.logins import MAILBOX
from tests.delivery.workbench import queue
from tests.expiry.ending import DAY, ends_of, microsoft, signed_in_sender, the
from tests.servers.certificates import CertificateFactory
from tests.servers.databases import sqlite_url
from tests.servers.scripted import ScriptedServer
from tests.servers.token_server import TokenServer


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as made:
        made.claims = None
        yield made


def test_every_kind_is_in_the_table_once() -> None:
    assert len(BY_NAME) == len(KINDS)
    assert all(one.do.endswith(".") for one in KINDS)


@pytest.mark.parametrize(
    ("life", "left", "condition"),
    [
        (730, 29, "fine"), (730, 28, "soon"), (730, 0, "over"),
        # What lives shortly is renewed late: a certificate of 90 days, one of six, a token of 30.
        (90, 19, "fine"), (90, 17, "soon"), (6, 2, "fine"), (6, 1, "soon"), (30, 7, "fine"),
        (None, 27, "soon"),
    ],
)  # fmt: skip
def test_how_soon_is_soon(life: int | None, left: int, condition: str) -> None:
    moment = datetime(2026, 11, 29, tzinfo=UTC)
    ends = moment + left * DAY
    begins = None if life is None else ends - life * DAY
    assert condition_of(ends, begins, moment) == condition


@pytest.mark.parametrize(
    ("days", "later", "condition"),
    [(100, 0, "fine"), (100, 73, "soon"), (100, 101, "over"),
     # Without a day it is what Microsoft allows at most, and somebody is to enter it.
     (None, 0, "attention"), (None, 710, "soon"), (None, 731, "over")],
)  # fmt: skip
def test_client_secrets(host: HostApp, days: int | None, later: int, condition: str) -> None:
    host.save_sender(**microsoft(days))
    found = the(host, "client_secret", later * DAY)
    assert found.condition == condition
    assert found.ends is not None
    if condition == "over":
        assert ": ended on " in headline(found)
    if condition != "fine":
        assert "Make a new one at the vendor" in advice_on(found)


def test_a_new_secret_with_the_old_day_is_no_alarm(host: HostApp) -> None:
    """It was entered after the day beside it, so that day is another secret's."""
    host.save_sender(**microsoft(-3))
    found = the(host, "client_secret")
    assert (found.condition, found.ends) == ("attention", None)
    assert "last day of the new one" in found.detail


def test_no_secret_lives_for_three_years(host: HostApp) -> None:
    page = host.client.post("/smtp-admin/partners/acme/test-connection", json={
        **{k: v for k, v in microsoft(1000).items() if k != "secrets"}, "oauth_secret": "x",
        "from_email": MAILBOX,
    })  # fmt: skip
    assert page.status_code == 400
    assert "24 months" in str(page.get_json()["error"]["fields"]["oauth_secret_until"])


def test_certificates_that_senders_hold(host: HostApp, certificates: CertificateFactory) -> None:
    pair = certificates.ending(now() + 20 * DAY)
    old = certificates.expired().certfile.read_text()
    new = certificates.ending(now() + 300 * DAY).certfile.read_text()
    host.save_sender(
        client_certificate=pair.certfile.read_text(),
        # While an authority is replaced, both are trusted.
        ca_certificate=old + new,
        secrets={"client_key": pair.keyfile.read_text()},
        security="tls",
    )
    assert the(host, "client_certificate", 17 * DAY).condition == "soon"
    assert the(host, "client_certificate", 21 * DAY).condition == "over"
    assert the(host, "ca_certificate").condition == "fine"
    certificate, key = new_key_pair("mine", life=100 * DAY)
    host.save_sender("globex", **microsoft(None, oauth_certificate=certificate,
                                           secrets={"oauth_key": key}))  # fmt: skip
    assert the(host, "app_certificate").condition == "fine"
    assert the(host, "app_certificate", 85 * DAY).condition == "soon"
    # Its key ends with it, and a secret is none.
    kinds = {one.kind for one in ends_of(host) if one.partner_id == "globex"}
    assert kinds == {"app_certificate"}


def test_what_a_mail_server_showed(host: HostApp) -> None:
    sender = host.save_sender(host="mail.acme.example", port=587, security="tls")
    seen = SeenCertificates()

    def show(days: int, place: str = "mail.acme.example:587") -> None:
        ends = now() + days * DAY
        showed = TLSDescription("TLSv1.3", "x", True, "mail", "ca", ends, ends - 365 * DAY)
        seen.note(sender.sender_id, place, showed)
        assert seen.write(host_engine()) == 1

    show(27)
    assert the(host, "server_certificate").condition == "soon"
    # Nobody has looked for days: it may have been renewed since.
    assert the(host, "server_certificate", 4 * DAY).condition == "endless"
    assert the(host, "server_certificate").told
    host.save_sender(host="smtp.gmail.com", port=587, security="tls", username="m@acme.example",
                     password="x")  # fmt: skip
    show(20, "smtp.gmail.com:587")
    assert not the(host, "server_certificate").told
    host.save_sender(host="mail.acme.example", port=587, security="tls")
    show(360)
    assert the(host, "server_certificate").condition == "fine"
    show(1, "mail.other.example:587")
    assert not [one for one in ends_of(host) if one.kind == "server_certificate"]
    assert seen.write(host_engine()) == 0


@pytest.mark.parametrize(
    ("way", "days"), [("microsoft_mailbox", 90), ("google_mailbox", 180), ("other_mailbox", None)]
)
def test_sign_ins(host: HostApp, server: TokenServer, way: str, days: int | None) -> None:
    sender, _ = signed_in_sender(host, server, way)
    found = the(host, "sign_in")
    if days is None:
        assert (found.condition, found.ends) == ("endless", None)
        return
    assert found.condition == "fine"
    assert the(host, "sign_in", (days - 10) * DAY).condition == "soon"
    # One renewal later everything is well.
    with host_engine().begin() as connection:
        connection.execute(update(OAuthGrant).values(issued_at=now() + 60 * DAY))
    assert the(host, "sign_in", (days - 10) * DAY).condition == "fine"
    host.save_sender(**{**dict(sender.values), "username": "sam@acme.example"},
                     secrets={"oauth_secret": server.secret})  # fmt: skip
    nobody = the(host, "sign_in")
    assert (nobody.condition, nobody.ends) == ("attention", None)
    assert "Nobody has signed in" in nobody.detail


@pytest.mark.parametrize("name", ["refresh_token_expires_in", "refresh_expires_in"])
def test_a_server_that_says_how_long(host: HostApp, server: TokenServer, name: str) -> None:
    """Google says so of a sign-in for an app in "Testing", Keycloak of every one."""
    server.more = {name: 7 * 86400}
    _, person = signed_in_sender(host, server, "google_mailbox")
    assert the(host, "sign_in").condition == "fine"
    assert the(host, "sign_in", 6 * DAY).condition == "soon"
    assert the(host, "sign_in", 8 * DAY).condition == "over"
    assert person.way.vendor == "google"


def test_secrets_by_age(host: HostApp) -> None:
    host.save_sender(username="mia", password="geheim", security="tls")
    host.save_sender("globex", driver="mailgun", mailgun_domain="mg.globex.example",
                     secrets={"mailgun_key": "key-0123456789"})  # fmt: skip
    assert the(host, "password").condition == "endless"
    assert the(host, "password", 366 * DAY).condition == "attention"
    key = the(host, "api_key", 366 * DAY)
    assert (headline(key), key.condition) == ("Mailgun API key", "attention")


def test_keys_that_something_still_needs(host: HostApp) -> None:
    host.save_sender(username="mia", password="geheim", security="tls")
    assert the(host, "encryption_key").condition == "endless"
    old, here = host.installation.keyring, host.installation
    here.keyring = Keyring([generate_key(), host.secret_key])
    found = the(host, "encryption_key")
    assert (found.condition, found.what) == ("attention", old.fingerprints[0])
    assert "1 stored secret still needs it" in found.detail
    here.keyring = Keyring([generate_key()])
    assert the(host, "encryption_key").condition == "over"
    scoped = ends_of(host, scope=frozenset({"acme"}))
    assert {one.kind for one in scoped} == {"password"}


def test_tokens_of_the_api(host: HostApp) -> None:
    session = host.db.session()
    for partner_id, name in (("acme", "CRM"), ("", "Cron")):
        create_token(session, ADMIN, partner_id, name=name, scopes=["send"], lifetime="90d")
    create_token(session, ADMIN, "acme", name="Ever", scopes=["send"], lifetime="never")
    session.commit()
    assert [one.condition for one in ends_of(host)] == ["fine", "fine"]
    unused = ends_of(host, 80 * DAY)
    assert {(one.condition, one.told) for one in unused} == {("soon", False)}
    # Nobody misses what nobody used.
    assert ends_of(host, 91 * DAY) == []
    session.execute(update(ApiToken).values(last_used_at=now() + 79 * DAY))
    session.commit()
    assert {(one.condition, one.told) for one in ends_of(host, 80 * DAY)} == {("soon", True)}
    assert {one.condition for one in ends_of(host, 91 * DAY)} == {"over"}
    mine = ends_of(host, 80 * DAY, frozenset({"acme"}))
    assert [one.what for one in mine] == ["CRM"]


@pytest.mark.parametrize("database", ["postgresql", "mariadb", "sqlite"])
def test_on_each_database(
    request: pytest.FixtureRequest, tmp_path: Path, new_app: Callable[..., HostApp],
    server: TokenServer, database: str,
) -> None:  # fmt: skip
    uri = (
        sqlite_url(tmp_path)
        if database == "sqlite"
        else request.getfixturevalue(database).create_database()
    )
    host = new_app(uri=uri)
    host.actor = ACME_ADMIN
    with host.app.app_context():
        sender, _ = signed_in_sender(host, server)
        seen = SeenCertificates()
        soon = TLSDescription("", "", True, "mail", "", now() + DAY, now() - DAY)
        for _ in range(2):
            seen.note(sender.sender_id, "127.0.0.1:25", soon)
            seen.write(host_engine())
        session = host.db.session()
        create_token(session, ADMIN, "acme", name="CRM", scopes=["send"], lifetime="30d")
        session.commit()
        everything = {one.kind for one in ends_of(host)}
        theirs = {one.kind for one in ends_of(host, scope=frozenset({"acme"}))}
    assert theirs == {"client_secret", "sign_in", "server_certificate", "api_token"}
    assert everything == theirs | {"encryption_key"}


@pytest.mark.parametrize("by", ["sending", "test", "worker's test"])
def test_seen_by_whoever_talks_to_the_server(
    new_app: Callable[..., HostApp], certificates: CertificateFactory, by: str
) -> None:
    pair = certificates.ending(now() + 3 * DAY)
    context = certificates.server_context(pair)
    with ScriptedServer(starttls=context) as smtp:
        host = new_app(CA_FILE=str(certificates.ca_file))
        host.actor = ADMIN
        page = "/smtp-admin/partners/acme"
        with host.app.app_context():
            host.save_sender(host="localhost", port=smtp.port, security="tls")
            if by == "sending":
                queue(host)
            else:
                more = "/worker" if "worker" in by else ""
                given = {"host": "localhost", "port": smtp.port, "security": "tls",
                         "from_email": "noreply@acme.example"}  # fmt: skip
                answer = host.client.post(f"{page}/test-connection{more}", json=given)
                assert answer.status_code < 300, answer.text
            if by != "test":
                host.work()
            found = the(host, "server_certificate")
    assert found.what == "localhost"
    assert found.ends is not None
    assert found.begins is not None
    assert abs(found.ends - now() - 3 * DAY) < timedelta(minutes=1)
