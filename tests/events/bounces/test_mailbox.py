"""A mailbox read over IMAP: by one worker at a time, each mail once; what is wrong is said."""

import base64
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from smtp_admin.audit.models import Audit
from smtp_admin.clock import shifted
from smtp_admin.delivery.models import Delivery
from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.errors import InvalidInput
from smtp_admin.events.bounces import collecting, imap
from smtp_admin.events.bounces.collecting import collect
from smtp_admin.events.bounces.imap import Account
from smtp_admin.events.bounces.mailboxes import (
    Due,
    entered,
    mailbox_of,
    save,
    sealed_in_mailboxes,
)
from smtp_admin.events.models import BounceMailbox
from smtp_admin.senders.keys import KeyReport
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.sealed_texts import check_texts, rotate_texts
from tests.app import ADMIN
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import deliveries, queue
from tests.events.bounces.corpus_words import NOTHING
from tests.events.bounces.letters import MIA, OURS, group, plain, report
from tests.events.conftest import Hook, database, opened
from tests.events.hooking import Hooked
from tests.servers.certificates import CertificateFactory
from tests.servers.imap import ImapServer
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import PROMPTLY, until
from tests.worker.running import Site as Worked

__all__ = ["database", "opened"]

PAGE = "/smtp-admin/partners/acme/bounces"
JSON = {"Accept": "application/json"}
NOAH = "noah@example.org"


@pytest.fixture
def server(certificates: CertificateFactory) -> Iterator[ImapServer]:
    """Empty, encrypted from the first byte."""
    with ImapServer(certificates.server_context(certificates.valid())) as running:
        yield running


@pytest.fixture
def site(opened: NewHost, hook: Hook, certificates: CertificateFactory) -> Hooked:
    """On SQLite."""
    return _site(opened, hook, certificates)


def _site(
    opened: NewHost, hook: Hook, certificates: CertificateFactory, uri: str | None = None
) -> Hooked:
    more = {} if uri is None else {"uri": uri}
    made = hook(opened(CA_FILE=str(certificates.ca_file), **more))
    made.host.save_sender("acme")
    return made


def account(server: ImapServer, **changes: object) -> Account:
    values: dict[str, object] = {
        "host": "localhost", "port": server.port,
        "security": "tls" if server.starttls else "ssl",
        "username": server.username, "password": server.password,
    }  # fmt: skip
    return Account(**(values | changes))  # type: ignore[arg-type]


def turn_on(site: Hooked, server: ImapServer, **changes: object) -> None:
    session = site.host.db.session()
    save(session, load_sender(session, "acme"), account(server, **changes), ADMIN)
    session.commit()


def row(site: Hooked) -> BounceMailbox:
    session = site.host.db.session()
    session.rollback()
    found = mailbox_of(session, load_sender(session, "acme").sender_id)
    assert found is not None
    session.refresh(found)
    return found


def read(site: Hooked, later: float = 0) -> int:
    """What a worker does, so many minutes later; how many mails it read."""
    site.host.db.session.rollback()
    with shifted(timedelta(minutes=later)):
        return collect(site.engine, lambda: False)


def bounce(site: Hooked, mail: Delivery, to: str = MIA) -> bytes:
    text = report(group("failed", "5.1.1", "smtp; 550 5.1.1 unknown", to=to))
    return text.replace(OURS, site.message_id(mail)).encode()


def test_each_mail_is_read_once(
    opened: NewHost, hook: Hook, certificates: CertificateFactory, database: str, server: ImapServer
) -> None:
    """On each database, by two workers at once; what is no bounce stays as it was."""
    site = _site(opened, hook, certificates, database)
    mia, noah = site.sent(MIA)[0], site.sent(NOAH)[0]
    server.mails = {3: bounce(site, mia), 5: NOTHING[0].content}
    turn_on(site, server)
    counts: list[int] = []

    def work() -> None:
        with site.host.app.app_context():
            counts.append(collect(site.engine, lambda: False))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert sorted(counts) == [0, 2]
    site.apply()
    assert site.state(mia) == "bounced"
    assert server.seen == {3}
    seen = row(site)
    assert (seen.mails, seen.events, seen.last_uid, seen.lease) == (2, 1, 5, "")
    assert seen.last_read_at is not None
    assert read(site, later=0.5) == 0  # it is not due
    server.mails[9] = bounce(site, noah, NOAH)
    assert read(site, later=2) == 1
    server.validity += 1  # all numbers are new: all is read again, and nothing counts twice
    assert read(site, later=4) == 3
    site.apply()
    assert len(site.events()) == 2


def test_owners_take_turns(site: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has many mailboxes at slow servers keeps nobody else waiting for all of them."""
    session, order = site.host.db.session(), list[str]()
    slow = Account("imap.example", 993, "ssl", "x", "y")
    for owner, key in (("acme", ""), ("acme", "a"), ("acme", "b"), ("globex", "")):
        site.host.save_sender(owner, key=key)
        save(session, load_sender(session, owner, key), slow, ADMIN)
        session.commit()

    def reads(_engine: object, due: Due, _stopping: object) -> int:
        order.append(due.partner_id)
        return 1

    monkeypatch.setattr(collecting, "_collect", reads)
    monkeypatch.setattr(collecting, "_turns", {})
    assert read(site) == 4
    assert order == ["acme", "globex", "acme", "acme"]
    monkeypatch.setattr(collecting, "_LOOK_ENDS_SECONDS", 0.0)
    assert [read(site) for _ in range(3)] == [1, 1, 1]
    assert order[4:] == ["globex", "acme", "globex"], "all of them are still due here"


def test_over_starttls(site: Hooked, certificates: CertificateFactory) -> None:
    with ImapServer(certificates.server_context(certificates.valid()), starttls=True) as server:
        (mail,) = site.sent(MIA)
        server.mails = {1: bounce(site, mail)}
        server.capabilities += " AUTH=PLAIN"
        server.folders = ("R&APw-ckl&AOQ-ufer",)
        turn_on(site, server, folder="Rückläufer")
        assert read(site) == 1
        site.apply()
        assert site.state(mail) == "bounced"
        assert not any(server.password in one for one in server.said)


def test_a_refused_login_is_not_repeated(site: Hooked, server: ImapServer) -> None:
    """The server would lock the account; saving the settings again is a new try."""
    turn_on(site, server, password="wrong")
    assert read(site) == 0
    seen = row(site)
    assert (seen.failures, seen.failed_step, seen.failed_code) == (1, "auth", "auth_failed")
    assert "Wrong login" in seen.failed_words
    before = len(server.said)
    read(site, later=50)
    assert len(server.said) == before
    page = site.client.get(PAGE, headers={"Accept": "text/html"}).text
    assert "The mailbox was not read." in page
    turn_on(site, server)
    read(site)
    assert row(site).failures == 0


def test_a_worker_that_dies_is_followed_by_another(site: Hooked, server: ImapServer) -> None:
    """After it kept what one mail says, and before it read the next."""
    mia, noah = site.sent(MIA)[0], site.sent(NOAH)[0]
    server.mails = {1: bounce(site, mia), 2: bounce(site, noah, NOAH)}
    turn_on(site, server)
    calls = iter([False, False])  # before the mailbox, before the first mail; then it is gone
    with pytest.raises(StopIteration):
        collect(site.engine, lambda: next(calls))
    assert (row(site).last_uid, bool(row(site).lease)) == (1, True)
    assert read(site, later=1) == 0
    assert read(site, later=6) == 1
    with shifted(timedelta(minutes=7)):
        site.apply()
    assert (site.state(mia), site.state(noah)) == ("bounced", "bounced")
    assert len(site.events()) == 2


#: What is changed at the server, and in what is entered → code and step.
WRONG: dict[str, tuple[dict[str, object], dict[str, object], tuple[str, str]]] = {
    "login": ({}, {"password": "wrong"}, ("auth_failed", "auth")),
    "folder": ({}, {"folder": "Nowhere"}, ("server_refused", "folder")),
    "port": ({}, {"port": 1}, ("connection_refused", "connect")),
    "name": ({}, {"host": "nowhere.invalid"}, ("dns_failed", "dns")),
    "network": ({}, {"host": "169.254.169.254"}, ("destination_not_allowed", "dns")),
    "other service": ({"greeting": b"220 smtp ready\r\n"}, {}, ("connection_lost", "greeting")),
    "endless line": (
        {"answers": {"SELECT": b"* " + b"x" * 1_000_000}}, {}, ("not_smtp", "folder"),
    ),
    "huge literal": ({"answers": {"SELECT": b"* X {99999999999}\r\n"}}, {}, ("not_smtp", "folder")),
    "hangs up": ({"answers": {"CAPABILITY": b"* BYE\r\n"}}, {}, ("connection_lost", "greeting")),
    "no passwords": (
        {"capabilities": "IMAP4rev1 LOGINDISABLED"}, {}, ("auth_not_offered", "auth"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(site: Hooked, server: ImapServer, name: str) -> None:
    broken, changes, (code, step) = WRONG[name]
    for attribute, value in broken.items():
        setattr(server, attribute, value)
    wanted = account(server, **changes)
    form = {
        one: str(getattr(wanted, one))
        for one in ("host", "port", "security", "username", "password", "folder")
    }
    said = site.client.post(PAGE, data={"do": "test", **form}, headers=JSON)
    assert said.status_code == 200
    assert said.json is not None
    error = said.json["test"]["error"]
    assert (error["code"], error["step"]) == (code, step)
    assert error["message"]
    assert not re.search(r"SMTP(?!_ADMIN)|outgoing|\b(25|465|587|2525)\b", error["hint"]), error[
        "hint"
    ]
    assert server.password not in said.text
    html = site.client.post(PAGE, data={"do": "test", **form}, headers={"Accept": "text/html"})
    assert html.status_code == 200
    assert 'id="test-result"' in html.text
    assert not site.host.db.session.scalars(select(BounceMailbox)).all()
    tests = select(Audit.detail).where(Audit.action == "bounces.tested")
    (noted,) = set(site.host.db.session.scalars(tests))
    assert f": failed at {step} ({code}" in noted


def test_a_mailbox_of_very_many_mails(
    site: Hooked, server: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their numbers come in one long line; the first are read first."""
    monkeypatch.setattr(imap, "MOST_AT_ONCE", 2)
    numbers = b" ".join(b"%d" % one for one in range(400_000, 0, -1))
    server.answers["UID SEARCH"] = b"* SEARCH " + numbers + b"\r\n{tag} OK done\r\n"
    turn_on(site, server)
    assert read(site) == 2
    assert (row(site).last_uid, row(site).failed_words) == (2, "")


@pytest.mark.parametrize("said", [b"* SEARCH" + b" 1" * 100_000 + b"\r\n", b"* X\r\n" * 10_000])
def test_a_server_that_floods(site: Hooked, server: ImapServer, said: bytes) -> None:
    """Whoever enters a server of their own gets no more of a worker's memory than others.

    Each number, and each line, would take many times its own size.
    """
    server.answers["UID SEARCH"] = said * (12_000_000 // len(said)) + b"{tag} OK done\r\n"
    turn_on(site, server)
    read(site)
    assert (row(site).failed_code, row(site).failed_step) == ("not_smtp", "folder")


_PLAIN = base64.b64encode(b"\0bounce@acme.example\0correct horse")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("LOGIN", b'you said "correct horse"'), ("LOGIN", b"correct%20horse"),
        ("LOGIN", _PLAIN), ("SELECT", b"correct  horse"), ("UID SEARCH", b"no: correct horse"),
    ],
)  # fmt: skip
def test_a_server_that_repeats_the_password(
    site: Hooked, server: ImapServer, caplog: pytest.LogCaptureFixture, command: str, said: bytes
) -> None:
    server.answers[command] = b"{tag} NO " + said + b"\r\n"
    turn_on(site, server)
    read(site)
    seen = row(site)
    html = site.client.get(PAGE, headers={"Accept": "text/html"}).text
    form = {"host": "localhost", "port": str(server.port), "username": server.username}
    tried = site.client.post(PAGE, data={"do": "test", **form}, headers=JSON).text
    for text in (seen.failed_words, html, tried, caplog.text):
        assert "horse" not in text
        assert _PLAIN.decode() not in text
    assert "*****" in seen.failed_words


@pytest.mark.parametrize("injected", [b"a OK x\r\n", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"])
def test_what_is_said_before_encryption_is_not_believed(
    site: Hooked, certificates: CertificateFactory, injected: bytes
) -> None:
    context = certificates.server_context(certificates.valid())
    with ImapServer(context, starttls=True, injected=injected) as server:
        turn_on(site, server)
        read(site)
        assert row(site).failed_step == "tls"
        assert not any(one.startswith(("LOGIN", "AUTHENTICATE")) for one in server.said)


def test_a_certificate_of_somebody_else(site: Hooked, certificates: CertificateFactory) -> None:
    pair = certificates.unknown_ca()
    with ImapServer(certificates.server_context(pair)) as server:
        turn_on(site, server)
        read(site)
        assert (row(site).failed_code, row(site).failed_step) == (
            "certificate_error",
            "certificate",
        )
        assert not server.said


def test_the_page(site: Hooked, server: ImapServer) -> None:
    """Tested, saved, changed and turned off; the password goes to its own server only."""
    wanted = account(server)
    form = {
        "host": wanted.host, "port": str(wanted.port), "security": "ssl",
        "username": wanted.username, "password": wanted.password, "folder": "",
    }  # fmt: skip
    html = {"Accept": "text/html"}
    tested = site.client.post(PAGE, data={"do": "test", **form}, headers=html)
    assert "The mailbox can be read." in tested.text
    assert wanted.password not in tested.text
    again = "Enter the password again: pages never send it back."
    assert again in tested.text
    empty = site.client.post(PAGE, data={"do": "save"} | form | {"host": "", "password": ""},
                             headers=html).text  # fmt: skip
    assert "such as imap.example.com" in empty
    assert again not in empty
    assert site.client.post(PAGE, data={"do": "save", **form}, headers=html).status_code == 303
    assert row(site).folder == "INBOX"
    assert wanted.password not in row(site).password
    kept = form | {"password": ""}
    assert site.client.post(PAGE, data={"do": "test", **kept}, headers=JSON).json["ok"]  # type: ignore[index]
    for other in ({"host": "127.0.0.1"}, {"port": "993"}, {"username": "other"}):
        said = site.client.post(PAGE, data={"do": "save", **kept, **other}, headers=JSON)
        assert said.status_code == 400
        assert said.json is not None
        assert list(said.json["error"]["fields"]) == ["password"]
    bad = {"host": "a b", "port": "x", "security": "none", "username": "", "folder": "a\nb\x01"}
    said = site.client.post(PAGE, data={"do": "save", **bad}, headers=JSON)
    assert said.json is not None
    assert {"host", "port", "security", "username"} <= set(said.json["error"]["fields"])
    assert site.client.post(PAGE, data={"do": "off"}, headers=html).status_code == 303
    assert site.client.post(PAGE, data={"do": "off"}, headers=JSON).status_code == 404


def test_keys(opened: NewHost, hook: Hook, certificates: CertificateFactory) -> None:
    """A password is sealed anew with the first key, and bound to where it may go."""
    old, new = generate_key(), generate_key()
    site = hook(opened(SECRET_KEYS=[old]))
    site.host.save_sender("acme")
    with ImapServer(certificates.server_context(certificates.valid())) as server:
        turn_on(site, server)
        session, ring = site.host.db.session(), Keyring([new, old])
        report_ = KeyReport()
        rotate_texts(sealed_in_mailboxes(session, locked=True), ring, report_)
        session.commit()
        assert (report_.newest, report_.older, report_.unreadable) == (1, 0, ())
        check_texts(sealed_in_mailboxes(session), Keyring([new]), after := KeyReport())
        assert (after.newest, after.unreadable) == (1, ())
        found = mailbox_of(session, load_sender(session, "acme").sender_id)
        assert found is not None
        found.host = "evil.example"
        check_texts(sealed_in_mailboxes(session), ring, moved := KeyReport())
        assert len(moved.unreadable) == 1
        session.rollback()
        with pytest.raises(InvalidInput):
            entered(
                session, load_sender(session, "acme"), {"host": "evil.example", "username": "x"}
            )


def test_a_real_worker(
    tmp_path: Path, redis: RedisServer, certificates: CertificateFactory, server: ImapServer
) -> None:
    """Mail that it sent with a signed address comes back there, with nothing else of it."""
    made = Worked(tmp_path, redis.url, CA_FILE=str(certificates.ca_file))
    made.host.actor = ADMIN
    with ScriptedServer() as outgoing, made.opened() as host:
        host.save_sender("acme", port=outgoing.port, bounce_address="bounce@acme.example")
        hooked = Hooked(host)
        queue(host, MIA)
        with made.worker("--burst") as first:
            assert first.wait(60) == 0, first.output
        notice = "The mail could not be delivered: 550 5.1.1 User unknown."
        text = plain("mailer-daemon@mx.example.net", "failed", notice)
        (address,) = {one.mail_from for one in outgoing.messages}
        server.mails = {1: text.replace("bounce@acme.example", address).encode()}
        turn_on(hooked, server)
        (sent,) = deliveries(host)
        with made.worker() as worker:
            worker.ready()
            assert until(lambda: hooked.state(sent) == "bounced"), worker.output
            assert worker.stop() < PROMPTLY
            assert server.password not in worker.output
        hooked.engine.dispose()
