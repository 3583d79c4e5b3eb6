"""Tokens, assertions, client secrets and keys are found nowhere, although servers repeat them.

They pass through sign-in, renewal, sending, failures and tests; then all that people, logs, Redis
and the database keep is searched for each of them.
"""

import base64
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from sqlalchemy import inspect, text

from smtp_admin.clock import shifted
from smtp_admin.database import host_engine
from smtp_admin.delivery.maintenance.idle_sign_ins import IdleSignIns
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.senders.resolve import load_sender
from tests.alerts.watching import look
from tests.app import ADMIN, HostApp
from tests.credentials.logins import MAILBOX, key_pair, public_key, without_lines
from tests.credentials.test_bearer import Checks, offering
from tests.delivery.workbench import queue
from tests.oauth.test_sign_in import agree
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer, Session
from tests.servers.token_server import Asked, TokenServer

PAGE = "/smtp-admin/partners/acme"
HTML, JSON = {"Accept": "text/html"}, {"Accept": "application/json"}
SECRET = "canary~secret/of+the&app=7c1e"
HOUR = timedelta(hours=1)
_PATHS = (
    "/", PAGE.removeprefix("/smtp-admin"), "/partners/acme/history", "/partners/acme/explain",
    "/partners/acme/symptoms", "/partners/acme/delete", "/partners/acme/history?from=1",
    "/mail", "/audit", "/alerts", "/expiry", "/tokens", "/mail?export=csv", "/audit?export=csv",
    "/expiry?export=csv", "/metrics",
)  # fmt: skip
_COMMANDS = (
    ["test-connection", "--partner", "acme"], ["status"], ["expiry", "--all"], ["doctor"],
    ["explain", "--partner", "acme"], ["mail", "list"], ["alerts", "list"], ["senders", "list"],
    ["keys", "check"],
)  # fmt: skip


class Talkative(TokenServer):
    """One that remembers all that is secret, and repeats it where it is told to.

    Attributes:
        says: the error with which it repeats everything; empty for what is right.
    """

    def __init__(self) -> None:
        super().__init__()
        self.secret = SECRET
        self.says = ""
        self.granted: list[str] = []
        self.given: list[str] = []

    def grant(self) -> str:
        self.granted.append(super().grant())
        return self.granted[-1]

    def authorize(self, query: Mapping[str, str]) -> str:
        back = super().authorize(query)
        self.given += self.codes
        return back

    def answer(self, asked: Asked) -> tuple[int, Mapping[str, str], bytes]:
        right = super().answer(asked)
        if not self.says:
            return right
        heard = {**asked.form, "header": asked.headers.get("Authorization", "")}
        words = f"you said {heard}, and {right[2].decode()}, and {self.secret}"
        if self.says == "nonsense":
            return 200, {}, json.dumps({"access_token": [words], "said": words}).encode()
        status = {"invalid_client": 401, "server_error": 503}.get(self.says, 400)
        said = {"error": self.says, "error_description": words, "error_uri": words}
        return status, {"WWW-Authenticate": "Basic"}, json.dumps(said).encode()

    @property
    def secrets(self) -> set[str]:
        """All that nobody else may ever see."""
        sent = [one.form.get(name, "") for one in self.asked
                for name in ("assertion", "client_assertion", "code", "code_verifier")]  # fmt: skip
        basic = [one.headers.get("Authorization", "").removeprefix("Basic ") for one in self.asked]
        signed = [one.rpartition(".")[2] for one in sent if one.count(".") == 2]
        key = without_lines(key_pair()[1])
        found = {self.secret, key, *self.issued, *self.granted, *self.given, *sent, *signed}
        return {one for one in (*found, *basic) if one}


class Repeating(Checks):
    """A mail server that repeats the token when it refuses it."""

    def __call__(self, server: ScriptedServer, session: Session, line: str) -> bytes | None:
        answer = super().__call__(server, session, line)
        if answer != self.final:
            return answer
        said = self.said[-1]
        token = said.partition("auth=Bearer ")[2].rstrip("\1")
        coded = base64.b64encode(said.encode()).decode()
        return f"535-5.7.8 {token[:400]}\r\n535-5.7.8 {coded[:400]}\r\n535 5.7.8 no\r\n".encode()


def forms(secret: str) -> set[str]:
    """A secret in every form in which it may travel; of a long one its beginning will do."""
    wire = f"user={MAILBOX}\1auth=Bearer {secret}\1\1".encode()
    coded = {base64.b64encode(one).decode().rstrip("=") for one in (secret.encode(), wire)}
    shapes = {secret, quote(secret, safe=""), quote_plus(secret), *coded}
    return {one[:200] for one in shapes} | {one[-60:] for one in coded}


class Kept:
    """Everything that was kept, by where it was found."""

    def __init__(self) -> None:
        self.searched: dict[str, str] = {}

    def add(self, where: str, what: str | bytes) -> None:
        """Keep one more."""
        shown = what if isinstance(what, str) else what.decode("utf-8", "backslashreplace")
        self.searched[where] = self.searched.get(where, "") + shown + "\n"

    def finds(self, secrets: set[str]) -> list[str]:
        """Where a secret was found."""
        needles = {form for secret in secrets for form in forms(secret)}
        return [
            f"{where}: {one[:60]}"
            for where, shown in self.searched.items()
            for one in needles
            if one in shown
        ]


class Run:
    """One app, its servers, and what is done with them."""

    def __init__(self, site: HostApp, tokens: Talkative, smtp: ScriptedServer, way: str) -> None:
        self.site, self.tokens, self.smtp, self.way = site, tokens, smtp, way
        self.browser = site.app.test_client()
        self.kept = Kept()
        self.turn, self.first = False, True
        by_key = way in {"microsoft_app", "google_service"}
        self.form: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": smtp.port,
            "security": "none",
            "username": MAILBOX,
            "from_email": MAILBOX,
            "verify_tls": "true",
            "sign_in": way,
            "oauth_tenant": "acme.example" if way.startswith("microsoft") else "",
            "oauth_client_id": tokens.client_id,
            "oauth_token_url": f"{tokens.url}/token",
            "oauth_authorize_url": f"{tokens.url}/authorize" if "mailbox" in way else "",
        }
        if way == "microsoft_app":
            tokens.certificate = self.form["oauth_certificate"] = key_pair()[0]
        self.typed = {"oauth_key": key_pair()[1]} if by_key else {"oauth_secret": SECRET}

    def post(self, path: str, headers: dict[str, str], **more: Any) -> Any:
        """Submit the tab, and keep the answer."""
        with self.site.app.app_context():
            seen = load_sender(self.site.db.session(), "acme").revision
        answer = self.browser.post(
            PAGE + path, data=self.form | {"revision": seen} | more, headers=headers
        )
        self.keep(answer)
        return answer

    def keep(self, answer: Any) -> None:
        """Keep an answer with its headers."""
        self.kept.add("pages" if answer.mimetype == "text/html" else "json", answer.text)
        self.kept.add("headers", str(answer.headers))

    def sign_in(self) -> None:
        """As a person does."""
        if "mailbox" not in self.way:
            return
        vendor = self.way.partition("_")[0]
        asked = self.browser.get(
            f"/smtp-admin/oauth/{vendor}/start?partner=acme&sender=", headers=HTML
        )
        self.keep(asked)
        self.keep(self.browser.get(agree(asked.location), headers=HTML))

    def act(self, later: timedelta = timedelta()) -> None:
        """Test from both places, send at once and through the queue, and do what is due.

        What is answered to a page and to a script comes in turns.
        """
        self.turn = not self.turn
        for path, headers in (
            ("/test-connection", JSON if self.turn else HTML),
            ("/test-connection", HTML) if self.first else ("/test-connection/worker", JSON),
            ("/test-email", HTML if self.turn else JSON),
        ):
            self.post(path, headers, **({"from_name": "not saved"} if "email" in path else {}))
        self.first = False
        with self.site.app.app_context():
            self.site.db.session.rollback()
            with shifted(later):
                queue(self.site)
                self.site.work()
                IdleSignIns(host_engine(), lambda: False).renew()
                look(self.site, later)

    def look(self) -> None:
        """Open every page and every JSON answer, and run commands."""
        for path in _PATHS:
            for headers in (HTML, JSON):
                self.keep(self.browser.get(f"/smtp-admin{path}", headers=headers))
        runner = self.site.app.test_cli_runner()
        for command in _COMMANDS:
            result = runner.invoke(args=["smtp-admin", *command])
            self.kept.add("commands", result.output)
        self.keep_tables()

    def keep_tables(self) -> None:
        """Every row of every table as it is now."""
        with self.site.app.app_context(), self.site.db.engine.connect() as connection:
            for name in inspect(connection).get_table_names():
                for row in connection.execute(text(f"SELECT * FROM {name}")):
                    self.kept.add(f"table {name}", " ".join(f"{value}" for value in row))


@pytest.fixture
def tokens() -> Iterator[Talkative]:
    with Talkative() as server:
        server.public_key, server.service_mailboxes = public_key(), {MAILBOX}
        yield server


@pytest.mark.parametrize(
    "way",
    [
        "microsoft_app",
        "other_mailbox",
        pytest.param("microsoft_mailbox", marks=pytest.mark.long),
        pytest.param("google_service", marks=pytest.mark.long),
    ],
)
def test_found_nowhere(
    new_app: Callable[..., HostApp], tokens: Talkative, redis: RedisServer, tmp_path: Path,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], way: str,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    tokens.claims = None if way.startswith(("google", "other")) else {
        "aud": "https://outlook.office365.com", "roles": ["SMTP.SendAsApp"], "scp": "SMTP.Send",
    }  # fmt: skip
    tokens.opaque_length = 300
    refusing: list[bool] = []
    checks = Repeating(lambda token: token in tokens.issued and not refusing)
    checks.refusal = None
    with offering(checks) as smtp:
        limits = ("TEST_LIMIT", "PARTNER_TEST_LIMIT", "CHANGE_LIMIT", "TEST_MAIL_LIMIT")
        site = new_app(
            ALLOWED_PORTS=[tokens.port, smtp.port, 25, 587],
            **dict.fromkeys(limits, "1000 per 1 hour"),
        )
        site.actor = ADMIN
        run = Run(site, tokens, smtp, way)
        run.post("/test-connection", JSON, **run.typed)
        run.post("", HTML, **run.typed, port="x")
        assert run.post("", HTML, **run.typed).status_code == 303
        run.sign_in()
        run.act()
        assert smtp.wait_for_messages(2)
        # Renewed, then refused by the mail server, then by the token server in every way.
        run.act(2 * HOUR)
        refusing.append(True)
        run.act(3 * HOUR)
        run.look()
        refusing.clear()
        for number, error in enumerate(
            ("server_error", "nonsense", "invalid_client", "invalid_scope", "invalid_grant")
        ):
            tokens.says = error
            with site.app.app_context(), site.db.session() as session:
                session.query(OAuthGrant).update({"access_token": "", "retry_at": None})
                session.commit()
            run.post("", HTML, from_name=f"Trial {number}")
            run.sign_in()
            run.act((4 + 30 * number) * HOUR)
            run.keep_tables()
        run.look()
    for file in tmp_path.glob("*.db*"):
        run.kept.add("database files", file.read_bytes())
    run.kept.add("redis", redis.dump_text())
    run.kept.add("logs", caplog.text)
    for record in caplog.records:
        run.kept.add("logs", f"{record.msg!r} {record.args!r}")
    run.kept.add("output", "".join(capfd.readouterr()))
    with site.app.app_context():
        sender = load_sender(site.db.session(), "acme")
        setup = sender.setup(site.installation.keyring)
        run.kept.add("reprs", f"{sender!r} {setup!r} {setup.credential!r} {site.installation!r}")
    secrets = tokens.secrets
    assert len(tokens.issued) >= 4
    assert len(secrets) >= 8
    assert {"pages", "json", "headers", "commands", "logs", "redis", "output", "reprs",
            "database files", "table smtp_admin_oauth_grant",
            "table smtp_admin_audit"} <= set(run.kept.searched)  # fmt: skip
    # What was repeated did come through, with what was secret taken out.
    assert "you said" in run.kept.searched["json"]
    assert "*****" in run.kept.searched["json"]
    assert run.kept.finds(secrets) == []


def test_the_search_finds(tokens: Talkative) -> None:
    """Each form would be found."""
    wire = f"user={MAILBOX}\1auth=Bearer {SECRET}\1\1".encode()
    for what in (SECRET, quote(SECRET, safe=""), base64.b64encode(wire), SECRET.encode()):
        kept = Kept()
        kept.add("here", what)
        assert kept.finds(tokens.secrets)
