"""A password that is used everywhere is found nowhere.

It is saved, tested, sent with and refused, by servers that repeat it in their replies; then
everything that people, logs, Redis and the database keep is searched for it.
"""

import base64
import html
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from smtp_admin.providers.catalogue import replies
from smtp_admin.senders.resolve import load_sender
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.session import Dialler, Server
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.driver import Surroundings
from smtp_admin.transports.warm import make_transport
from tests.app import ADMIN, HostApp
from tests.servers.certificates import CertificateFactory
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer, Session, Stage

LOGIN = "canary@acme.example"
PASSWORDS = ["Kanarienvögel-密-\U0001f426-9f3b", 'canary <"&"> 7c1e%s \\x5c']
PAGE = "/smtp-admin/partners/acme"
HTML = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}


def needles(password: str) -> set[str]:
    """The password in every form in which it may travel."""
    raw, login = password.encode(), LOGIN.encode()
    shapes = {
        password,
        ascii(password)[1:-1],
        json.dumps(password)[1:-1],
        json.dumps(password, ensure_ascii=False)[1:-1],
        html.escape(password),
        str(raw)[2:-1],
    }
    for form in (raw, b"\0" + login + b"\0" + raw, login + b"\0" + login + b"\0" + raw):
        shapes.add(base64.b64encode(form).decode().rstrip("="))
        shapes.add(base64.urlsafe_b64encode(form).decode().rstrip("="))
    return shapes


class Places:
    """Everything that was kept, by where it was found."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.searched: dict[str, str] = {}

    def add(self, where: str, what: str | bytes) -> None:
        """Keep one more."""
        shown = what if isinstance(what, str) else what.decode("utf-8", "backslashreplace")
        self.searched[where] = self.searched.get(where, "") + shown + "\n"

    def finds(self) -> list[str]:
        """Where the password was found, in which form."""
        return [
            f"{where}: {form!r}"
            for where, kept in self.searched.items()
            for shown in (f"{kept}{html.unescape(kept)}",)
            for form in needles(self.password)
            if form in shown
        ]


def echo(password: str, code: str) -> Callable[[ScriptedServer, Session, str], bytes]:
    """An answer that repeats the login line, the password and its base64."""

    def answer(_server: ScriptedServer, _session: Session, line: str) -> bytes:
        coded = base64.b64encode(password.encode()).decode()
        lines = [line, f"you said {password} at login", f"that is {coded}", "the end"]
        parts = [f"{code}-{one}" for one in lines[:-1]] + [f"{code} {lines[-1]}"]
        return "".join(f"{one}\r\n" for one in parts).encode()

    return answer


@pytest.fixture(
    params=[pytest.param(PASSWORDS[0], marks=pytest.mark.long), PASSWORDS[1]],
    ids=["utf-8", "ascii"],
)
def places(request: pytest.FixtureRequest) -> Places:
    """What is collected, and for which password."""
    return Places(request.param)


@pytest.fixture
def server(places: Places, certificates: CertificateFactory) -> Iterator[ScriptedServer]:
    """A mail server that wants STARTTLS and the password."""
    context = certificates.server_context(certificates.valid())
    with ScriptedServer(starttls=context, auth=(LOGIN, places.password)) as running:
        yield running


class Run:
    """One app and what is done with it."""

    def __init__(self, site: HostApp, server: ScriptedServer, places: Places) -> None:
        self.site = site
        self.server = server
        self.places = places

    def form(self, **changes: Any) -> dict[str, Any]:
        """The tab as it is filled in."""
        with self.site.app.app_context():
            revision = load_sender(self.site.db.session(), "acme").revision
        return {
            "host": "127.0.0.1",
            "port": self.server.port,
            "security": "tls",
            "username": LOGIN,
            "password": self.places.password,
            "from_email": "noreply@acme.example",
            "verify_tls": "true",
            "revision": revision,
        } | changes

    def post(self, path: str, expected: int, headers: dict[str, str], **changes: Any) -> str:
        """Submit the tab and keep the answer."""
        answer = self.site.client.post(PAGE + path, data=self.form(**changes), headers=headers)
        assert answer.status_code == expected, answer.text
        kind = "pages" if answer.mimetype == "text/html" else "json"
        self.places.add(kind, answer.text)
        self.places.add("headers", str(answer.headers))
        return str(answer.text)

    def work(self) -> None:
        """Let a worker send what is due."""
        with self.site.app.app_context():
            self.site.work()

    def test_from_both(self) -> None:
        """From here and by a worker; everything that is kept of it, before and after."""
        answer = json.loads(self.post("/test-connection/worker", 202, JSON))
        self.post("/test-connection/worker", 200, HTML)
        self.keep_tables()
        self.work()
        for headers in (JSON, HTML):
            followed = self.site.client.get(answer["follow"], headers=headers)
            assert followed.status_code in {200, 400}, followed.text
            assert "worker" in followed.text
            self.places.add("pages" if headers is HTML else "json", followed.text)

    def keep_tables(self) -> None:
        """Every row of every table as it is now."""
        with self.site.app.app_context(), self.site.db.engine.connect() as connection:
            for name in inspect(connection).get_table_names():
                for row in connection.execute(text(f"SELECT * FROM {name}")):
                    for value in row:
                        self.places.add(
                            f"table {name}", value if isinstance(value, bytes) else f"{value}"
                        )

    def queue(self) -> None:
        """A test mail through the queue, from the saved settings."""
        answer = self.site.client.post(f"{PAGE}/test-email", json={"to": "you@else.example"})
        assert answer.status_code == 202
        assert answer.json
        self.places.add("json", answer.text)
        self.follow = str(answer.json["follow"])

    def look(self) -> None:
        """Open every page and every JSON answer."""
        client = self.site.client
        acme = "/partners/acme"
        for path in ("/", "/partners", "/system", acme, f"{acme}/history", f"{acme}/explain",
                     f"{acme}/history?from=1", f"{acme}/rollback?number=1",
                     "/symptoms", f"{acme}/symptoms"):  # fmt: skip
            for kind, headers in (("pages", HTML), ("json", JSON)):
                self.places.add(kind, client.get(f"/smtp-admin{path}", headers=headers).text)
        mail = self.follow.rpartition("/")[2]
        self.places.add("pages", client.get(f"{PAGE}?mail={mail}", headers=HTML).text)
        for address in (self.follow, "/api/email/status", "/api/email/status?partner_id=acme"):
            self.places.add("json", client.get(address, headers=JSON).text)
        runner = self.site.app.test_cli_runner()
        for command in (["test-connection", "--partner", "acme"], ["status"],
                        ["explain", "--partner", "acme"]):  # fmt: skip
            for more in ([], ["--json"]):
                result = runner.invoke(args=["smtp-admin", *command, *more])
                self.places.add("commands", result.output)


@pytest.fixture
def run(
    new_app: Callable[..., HostApp],
    certificates: CertificateFactory,
    server: ScriptedServer,
    places: Places,
) -> Run:
    """An app that trusts the test's authority."""
    site = new_app(CA_FILE=str(certificates.ca_file), RETRY_ATTEMPTS=0, TEST_LIMIT="300 per 1 hour")
    site.actor = ADMIN
    return Run(site, server, places)


def everything_that_happens(run: Run) -> None:
    """Save, test, send; all of it once with success and once with a server that talks too much."""
    server, password = run.server, run.places.password
    run.post("/test-connection", 200, JSON)
    run.post("/test-connection", 200, HTML)
    run.post("/test-email", 200, JSON)
    run.post("/test-email", 200, HTML)
    run.post("", 400, HTML, port="x")
    run.post("", 409, HTML, revision=7)
    run.post("", 303, HTML)
    run.post("/test-connection", 200, JSON, password="")
    run.test_from_both()
    run.queue()
    run.work()
    assert len(server.wait_for_messages(3)) == 3
    run.look()

    accepting: dict[Stage, str] = {"auth": "235", "mail": "250", "rcpt": "250", "dot": "250",
                                   "quit": "221"}  # fmt: skip
    for stage, code in accepting.items():
        server.behave(stage, echo(password, code))
    run.post("/test-connection", 200, JSON)
    run.post("/test-connection", 200, HTML)
    run.post("/test-email", 200, JSON)
    run.post("/test-email", 200, HTML, from_name="not saved")
    run.queue()
    run.work()
    run.look()

    refusing: dict[Stage, str] = {"dot": "554", "rcpt": "550", "mail": "550", "auth": "535"}
    for stage, code in refusing.items():
        server.behave(stage, echo(password, code))
        run.queue()
        run.work()
        tested = 200 if stage in {"dot", "rcpt"} else 400
        for headers in (JSON, HTML):
            run.post("/test-email", 400, headers, from_name="not saved")
            run.post("/test-connection", tested, headers)
        run.test_from_both()
        run.look()
    server.auth_methods = ("LOGIN",)
    run.post("/test-connection", 400, JSON)


def test_found_nowhere(
    run: Run,
    places: Places,
    redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    everything_that_happens(run)
    with run.site.app.app_context():
        sender = load_sender(run.site.db.session(), "acme")
        assert sender.paused_until is not None  # the worker did fail to log in
        assert sender.pause_code == "auth_failed"
        credential = sender.setup(run.site.installation.keyring).credential
        assert list(credential.secrets) == [places.password]
        places.add("reprs", f"{sender!r} {run.site.installation!r} {run.site!r}")
    run.keep_tables()
    for file in tmp_path.glob("*.db*"):
        places.add("database files", file.read_bytes())
    places.add("redis", redis.dump_text())
    places.add("logs", caplog.text)
    for record in caplog.records:
        places.add("logs", f"{record.msg!r} {record.args!r}")
    places.add("output", "".join(capfd.readouterr()))
    # The servers did say it, and the search would see it.
    said = "".join(session.auth_attempts[0][2] for session in run.server.sessions
                   if session.auth_attempts)  # fmt: skip
    assert places.password in said
    assert {"pages", "json", "headers", "commands", "logs", "redis", "reprs",
            "table smtp_admin_attempt", "table smtp_admin_sender_revision",
            "table smtp_admin_worker_test", "table smtp_admin_revision_test",
            "database files"} <= set(places.searched)  # fmt: skip
    assert "*****" in places.searched["logs"]
    assert "*****" in places.searched["json"]
    assert "*****" in places.searched["table smtp_admin_delivery"]
    assert places.finds() == []


def test_server_that_remembers_the_last_login(
    run: Run, places: Places, caplog: pytest.LogCaptureFixture
) -> None:
    """The password may come back before the next login: it was sent at the one before."""
    caplog.set_level(logging.DEBUG)
    server, password = run.server, places.password
    run.post("", 303, HTML)
    server.behave("quit", echo(password, "221"))
    run.post("/test-connection", 200, HTML)
    server.behave("greeting", echo(password, "220"))
    server.behave("starttls", echo(password, "220"))
    server.behave("ehlo2", echo(password, "250"))
    run.post("/test-connection", 400, HTML, password="")
    server.behave("ehlo2", None)
    run.post("/test-connection", 200, JSON, password="")
    run.queue()
    run.work()
    run.look()
    refusing: dict[Stage, str] = {"starttls": "454", "ehlo": "550", "greeting": "554"}
    for stage, code in refusing.items():
        server.behave(stage, echo(password, code))
        run.post("/test-connection", 400, JSON)
    places.add("logs", caplog.text)
    assert places.finds() == []


def test_found_in_no_traceback(
    server: ScriptedServer,
    run: Run,
    places: Places,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What a host's own handler logs when something fails with the password at hand."""
    caplog.set_level(logging.DEBUG)
    server.behave("auth", echo(places.password, "535"))
    log = logging.getLogger("host")
    with run.site.app.app_context():
        sender = run.site.save_sender(
            password=places.password, username=LOGIN, port=server.port, security="tls"
        )
        dialler = Dialler.from_config(run.site.installation.config)
        setup = sender.setup(run.site.installation.keyring)
        to = setup.settings
        assert isinstance(to, Server)
        transport = make_transport(setup, Surroundings(dialler, replies()))
        outgoing = Outgoing(1, "a@acme.example", "b@else.example", b"Subject: x\r\n\r\nx\r\n")
        outcomes = list(transport.deliver([outgoing]))
        log.error("outcomes %r of %r", outcomes, transport)
        for broken in ([], [None]):
            try:
                list(transport.deliver(broken))  # type: ignore[arg-type]  # it is to fail inside
            except Exception:
                log.exception("the transport %r of %r failed", transport, setup)
        try:
            from smtp_admin.smtp.session import open_session

            open_session(to, setup.credential, dialler)
        except SMTPFailure as failure:
            log.exception("the session failed")
            places.add("failure", f"{failure!r} {failure.args} {failure.reply!r}")
    places.add("logs", caplog.text)
    assert "Traceback" in places.searched["logs"]
    assert places.finds() == []


def test_found_in_no_answer_to_a_crash(
    run: Run, places: Places, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody expected, in the middle of a request that carries the password."""
    caplog.set_level(logging.DEBUG)
    run.site.app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)

    def partner(_self: Any, _partner_id: str) -> None:
        raise RuntimeError("the host broke")

    monkeypatch.setattr(type(run.site.host), "partner", partner)
    for headers in (JSON, HTML):
        for path in ("", "/test-connection", "/test-email"):
            answer = run.post(path, 500, headers)
            assert "the host broke" not in answer
            assert "Traceback" not in answer
    assert "the host broke" in caplog.text
    places.add("logs", caplog.text)
    assert places.finds() == []


def test_the_search_finds(places: Places) -> None:
    """Each form would be found in each kind of place."""
    raw = places.password.encode()
    for what in (
        f"<p>{html.escape(places.password)}</p>",
        json.dumps({"reply": places.password}),
        repr({"password": places.password}),
        base64.b64encode(b"\0" + LOGIN.encode() + b"\0" + raw),
        raw,
    ):
        places.searched.clear()
        places.add("here", what)
        assert places.finds()
