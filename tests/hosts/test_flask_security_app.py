"""An app with Flask-Security: one setting, and its mails are types of ours, through the outbox."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import flask_mail
import flask_security
import pytest
from flask import Flask
from flask_babel import Babel, refresh
from flask_security.core import _default_config
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select
from werkzeug.serving import make_server

from smtp_admin import ConfigError, EmailType, SMTPAdmin
from smtp_admin.database import SYSTEM
from smtp_admin.delivery.models import Delivery
from smtp_admin.delivery.models import Message as Row
from smtp_admin.flask_security import MailUtil
from smtp_admin.host import Actor
from smtp_admin.mail import templates
from smtp_admin.mail.explain import explain, gather
from smtp_admin.mail.saved_templates import write
from smtp_admin.mail.security_types import OTHER, SECURITY_MAILS
from smtp_admin.mail.templates import Voice
from smtp_admin.mail.wording import Texts
from smtp_admin.pages.mail_log import types
from smtp_admin.worker.process import WorkerProcess
from tests.app import migrate
from tests.hosts.apps.members import create_app
from tests.servers.databases import sqlite_url
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer

from .visitor import Visitor

#: Since Flask-Security 5.8.
NAMED_BY_SETTINGS = "EMAIL_TEMPLATE_CONFIRM" in _default_config
PASSWORD = "correct horse battery"
SETTINGS = {"SMTP_SECURITY": "none", "SMTP_FROM_EMAIL": "members@club.example"}


@dataclass
class Club:
    """The app, its plugin and its mail server."""

    app: Flask
    db: SQLAlchemy
    plugin: SMTPAdmin
    server: ScriptedServer

    def arrived(self) -> list[EmailMessage]:
        """Let a worker send what waits; the mails since the last time."""
        self.server.messages.clear()
        WorkerProcess(self.app, 1).run_burst()
        received = [one.data for one in self.server.messages]
        return [message_from_bytes(one, _class=EmailMessage, policy=SMTP) for one in received]

    def queued(self) -> list[Row]:
        self.db.session.rollback()
        return list(self.db.session.scalars(select(Row).order_by(Row.id)))

    def send(self, name: str, **context: Any) -> None:
        """As Flask-Security does it."""
        user = self.app.extensions["security"].datastore.user_model(
            email="sam@people.example", username="sam"
        )
        (mail,) = (one for one in SECURITY_MAILS if one.type_.name == f"security_{name}")
        subject = self.app.config[f"SECURITY_{mail.subject[0]}"]
        template = self.app.config.get(f"SECURITY_{mail.template}", name)
        with self.app.test_request_context():
            flask_security.utils.send_mail(subject, user.email, template, user=user, **context)


NewClub = Callable[..., Club]


@pytest.fixture
def new_club(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NewClub]:
    """Makes one, inside its app context."""
    contexts = []
    with ScriptedServer() as server:
        for name, value in SETTINGS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SMTP_HOST", server.host)
        monkeypatch.setenv("SMTP_PORT", str(server.port))

        def make(**config: Any) -> Club:
            made = create_app(
                SQLALCHEMY_DATABASE_URI=sqlite_url(tmp_path),
                SMTP_ADMIN_REDIS_URL=redis.url,
                SMTP_ADMIN_APP_NAME="The Club",
                SMTP_ADMIN_ALLOWED_NETWORKS=["127.0.0.0/8"],
                SMTP_ADMIN_ALLOWED_PORTS=[server.port],
                **config,
            )
            context = made[0].app_context()
            context.push()
            contexts.append((context, made[1]))
            migrate(made[1].engine)
            made[1].create_all()
            return Club(*made, server)

        yield make
        for context, db in contexts:
            db.session.remove()
            db.engine.dispose()
            context.pop()


@pytest.fixture
def templates_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    (folder / "security" / "email").mkdir(parents=True)
    return folder


def link_of(mail: EmailMessage) -> str:
    """The link in the text, which the HTML has too."""
    bodies = [mail.get_body((kind,)) for kind in ("plain", "html")]
    text, html = (body.get_content().replace("\r\n", "\n") for body in bodies if body)
    (link,) = re.findall(r"^(http\S+)$", text, re.MULTILINE)
    assert f'href="{link}"' in html
    return str(link)


# Flask-Security 5.7 warns of a function that it calls itself.
@pytest.mark.filterwarnings("ignore:'get_token_status':DeprecationWarning")
@pytest.mark.parametrize("plugin_first", [False, True])
def test_register_confirm_and_reset(new_club: NewClub, plugin_first: bool) -> None:
    """As a person does it, over HTTP, with what arrived at the mail server."""
    club = new_club(MEMBERS_PLUGIN_FIRST=plugin_first)
    server = make_server("127.0.0.1", 0, club.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        visitor = Visitor(f"http://127.0.0.1:{server.server_port}")
        person = {"email": "sam@people.example", "password": PASSWORD,
                  "password_confirm": PASSWORD}  # fmt: skip
        assert visitor.submit(visitor.get("/register"), person).status == 200
        (welcome,) = club.arrived()
        assert welcome["Subject"] == "Welcome to The Club"
        assert (welcome["From"].addresses[0].addr_spec, str(welcome["To"])) == (
            "members@club.example", "sam@people.example",
        )  # fmt: skip
        # Whoever registers again is told by mail, and nobody else sees it.
        assert visitor.submit(visitor.get("/register"), person).status == 200
        (again,) = club.arrived()
        assert again["Subject"] == "You already have an account at The Club"
        assert visitor.get(link_of(welcome)).status == 200

        visitor = Visitor(visitor.site)
        visitor.submit(visitor.get("/reset"), {"email": "sam@people.example"})
        (reset,) = club.arrived()
        assert reset["Subject"] == "Set a new password for The Club"
        new = PASSWORD.upper()
        form = {"password": new, "password_confirm": new}
        assert visitor.submit(visitor.get(link_of(reset)), form).status == 200
        (notice,) = club.arrived()
        assert notice["Subject"] == "Your password for The Club has been reset"

        people = club.app.extensions["security"].datastore
        sam = people.find_user(email="sam@people.example")
        people.add_role_to_user(sam, people.find_or_create_role("acme"))
        people.commit()
        visitor = Visitor(visitor.site)
        signed_in = visitor.submit(
            visitor.get("/login"), {"email": "sam@people.example", "password": new}
        )
        assert "/login" not in signed_in.url
        # LoginHost knows who it is, and what Sam may see.
        assert visitor.get("/smtp-admin/partners/acme").status == 200
        assert visitor.get("/smtp-admin/system").status == 403
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    kept = {row.type_name: row for row in club.queued()}
    sensitive = {name for name, row in kept.items() if row.sensitive}
    assert sensitive == {"security_welcome", "security_welcome_existing",
                         "security_reset_instructions"}  # fmt: skip
    assert all(not kept[name].content for name in sensitive)  # it was sent
    assert {row.state for row in club.db.session.scalars(select(Delivery))} == {"sent"}


def test_each_mail_of_flask_security_has_a_type() -> None:
    """A newer one with further mails would be noticed here."""
    folder = Path(flask_security.__file__).parent / "templates" / "security" / "email"
    ours = {one.type_.name.removeprefix("security_"): one for one in SECURITY_MAILS}
    assert ours.keys() == {one.stem for one in folder.iterdir()}
    configured = {one: name for name, one in _default_config.items()
                  if type(one) is str and one.startswith("security/email/")}  # fmt: skip
    if NAMED_BY_SETTINGS:
        assert configured == {f"security/email/{name}": one.template for name, one in ours.items()}
    for one in SECURITY_MAILS:
        key, subject = one.subject
        assert _default_config[key] == subject


def test_each_says_its_values(new_club: NewClub) -> None:
    new_club()
    for one in SECURITY_MAILS:
        languages = list(templates.languages(one.type_))
        assert languages == ["en", "de", "es", "fr", "pt", "pl"]
        for language in languages:
            check_templates(one.type_, Voice(language=language))


def check_templates(type_: EmailType, voice: Voice) -> None:
    rendered = templates.render(type_, type_.sample, voice)
    said = type_.sample.keys() - {"subject", "extra", "app_name"}
    for name in said:
        for part in (rendered.text, rendered.html):
            assert str(type_.sample[name]) in part, (type_.name, name)
    assert "Example" in rendered.subject
    assert "style=" in rendered.html
    empty = templates.render(type_, {**type_.sample, **type_.defaults}, voice)
    assert "{{" not in empty.text
    own = templates.render(type_, {**type_.sample, "subject": "The app's own"}, voice)
    assert own.subject == "The app's own"


def test_what_holds_a_link_or_code_is_erased_and_hurries() -> None:
    for one in SECURITY_MAILS:
        type_ = one.type_
        secret = {name for name in type_.variables if name.endswith("link") or name == "code"}
        secret -= {"recovery_link"}  # a page that anyone may open
        assert type_.sensitive == bool(secret), type_.name
        assert type_.priority == "urgent" or not secret, type_.name
    assert OTHER.sensitive


class OfAcme(MailUtil):
    """All of Acme's."""

    def partner_id(self, template: str, context: dict[str, Any]) -> str:
        return "acme"


def test_what_a_partner_wrote_comes_first(new_club: NewClub, templates_folder: Path) -> None:
    """Before the app's own file, in the reader's language, and for that partner alone."""
    (templates_folder / "security" / "email" / "reset_notice.txt").write_text("The app's text")
    club = new_club(templates=str(templates_folder))
    read_in = ["de"]
    Babel(club.app, locale_selector=lambda: read_in[-1])
    name = "security_reset_notice"
    for wanted in ("en", "de"):
        texts = Texts(f"Acme, {wanted}", "{{ email }}", "<p>{{ brand.name }}</p>")
        write(club.db.session(), ("acme", name, wanted), texts, expected_revision=0,
              actor=Actor(id="1", email="a@b.example"))  # fmt: skip
    club.db.session.commit()
    club.send("reset_notice")  # the system's mail
    security = club.app.extensions["security"]
    security._mail_util = OfAcme(club.app)
    for language in ("de", "en", "fr"):
        read_in.append(language)
        refresh()
        club.send("reset_notice")
    theirs, *acme, french = club.queued()
    assert [row.subject for row in acme] == ["Acme, de", "Acme, en"]
    assert all(b"sam@people.example" in row.content for row in acme)
    assert all(b"Acme</p>" in row.content for row in acme)
    assert b"The app's text" in theirs.content
    assert b"The app's text" in french.content


def test_the_apps_own_files_are_honoured(new_club: NewClub, templates_folder: Path) -> None:
    """Flask-Security's template, in the app's folder; and ours goes before it."""
    (templates_folder / "security/email/reset_instructions.txt").write_text("Own: {{ reset_link }}")
    club = new_club(templates=str(templates_folder))
    club.send("reset_instructions", reset_link="https://club.example/r/1", within="1 day")
    club.send("reset_notice")
    (own, ours) = club.arrived()
    body = own.get_body(("plain",))
    assert body
    assert body.get_content().strip() == "Own: https://club.example/r/1"
    assert own["Subject"] == "Password reset instructions"
    assert ours["Subject"] == "Your password for The Club has been reset"
    folder = templates_folder / "smtp_admin/email/security_reset_instructions"
    folder.mkdir(parents=True)
    (folder / "text.liquid").write_text("Liquid: {{ reset_link }}")
    club.send("reset_instructions", reset_link="https://club.example/r/1", within="1 day")
    assert b"Liquid: https://club.example/r/1" in club.queued()[-1].content


def test_other_settings_of_flask_security_count(new_club: NewClub, templates_folder: Path) -> None:
    folder = templates_folder if NAMED_BY_SETTINGS else templates_folder / "security/email"
    (folder / "goodbye.txt").write_text("Bye {{ user.email }}")
    (folder / "hello.txt").write_text("Hi")
    club = new_club(
        templates=str(templates_folder),
        SECURITY_EMAIL_SUBJECT_CONFIRM="Is it you?",
        SECURITY_EMAIL_HTML=False,
        SECURITY_EMAIL_TEMPLATE_PASSWORD_CHANGE_NOTICE="hello",
        SECURITY_EMAIL_SENDER=("The Club", "members@club.example"),
    )
    club.send("confirmation_instructions", confirmation_link="https://club.example/c", within="1 d")
    with club.app.test_request_context():
        for template in ("hello", "goodbye"):
            user = club.app.extensions["security"].datastore.user_model(email="s@people.example")
            flask_security.utils.send_mail("News", "s@people.example", template, user=user)
    (confirm, hello, goodbye) = club.queued()
    assert confirm.subject == "Is it you?"
    assert b"text/html" not in confirm.content
    if NAMED_BY_SETTINGS:
        assert (hello.type_name, hello.sensitive) == ("security_change_notice", False)
    assert (goodbye.type_name, goodbye.sensitive) == ("security_other", True)
    with club.app.test_request_context():
        assert ("security_other", "Another mail of Flask-Security") in types()
        (row,) = [
            one
            for one in explain(gather(club.db.session(), SYSTEM, "security_other"))
            if one.name == "template"
        ]
    assert row.detail == "the message brings its own text"


def test_a_broken_template_stops_no_mail(new_club: NewClub, templates_folder: Path) -> None:
    folder = templates_folder / "smtp_admin/email/security_us_instructions"
    folder.mkdir(parents=True)
    (folder / "text.liquid").write_text("{% if %}")
    club = new_club(templates=str(templates_folder))
    code = dict.fromkeys(("token", "login_token"), "424242")
    club.send("us_instructions", username="sam", within="2 minutes", **code)
    (mail,) = club.arrived()
    body = mail.get_body(("plain",))
    assert body
    assert "using the following code: 424242" in body.get_content()


@pytest.mark.parametrize(("language", "subject", "words"), [
    ("fr", "Nouveau mot de passe pour The Club", "Le lien reste valable 5 jours."),
    ("pt_BR", "Nova senha para The Club", "O link funciona durante 5 dias."),
    ("pl", "Nowe hasło do The Club", "Ważność linku: 5 dni."),
    ("en_GB", "Set a new password for The Club", "The link works for 5 days."),
    ("it_IT", "Istruzioni per", "password"),
])  # fmt: skip
def test_it_is_in_the_readers_language_or_flask_securitys_words(
    new_club: NewClub, language: str, subject: str, words: str
) -> None:
    club = new_club()
    Babel(club.app, locale_selector=lambda: language)
    club.send("reset_instructions", reset_link="https://club.example/r", within="5 days")
    (mail,) = club.arrived()
    assert mail["Subject"].startswith(subject)
    body = mail.get_body(("plain",))
    assert body
    assert words in body.get_content().replace("\N{NO-BREAK SPACE}", " ")


def test_the_app_may_know_the_language_of_its_users(
    new_club: NewClub, templates_folder: Path
) -> None:
    class Theirs(MailUtil):
        def language(self, template: str, context: dict[str, Any]) -> str:
            assert (template[-6:], context["user"].email) == ("notice", "sam@people.example")
            return "de-AT"

    club = new_club(SECURITY_MAIL_UTIL_CLS=Theirs, templates=str(templates_folder))
    club.send("reset_notice")
    assert club.queued()[-1].subject == "Ihr Passwort für The Club wurde zurückgesetzt"
    # Whatever the language: the app's own Liquid file says it.
    folder = templates_folder / "smtp_admin/email/security_change_notice"
    folder.mkdir(parents=True)
    (folder / "text.liquid").write_text("Liquid")
    club.send("change_notice")
    assert b"Liquid" in club.queued()[-1].content


def test_in_tests_it_is_recorded_like_flask_mails(new_club: NewClub) -> None:
    club = new_club(TESTING=True)
    with club.plugin.mail.record_messages() as outbox:
        club.send("two_factor_instructions", token="424242", username="sam", within="5 minutes")
    assert club.queued() == []
    (message,) = outbox
    assert isinstance(message, flask_mail.Message)
    assert message.recipients == ["sam@people.example"]
    assert "424242" in str(message.body)


def test_whose_mail_it_is_may_be_said(new_club: NewClub) -> None:
    class ByPartner(MailUtil):
        def partner_id(self, template: str, context: dict[str, Any]) -> str:
            assert context["user"].email
            return "acme"

    club = new_club(SECURITY_MAIL_UTIL_CLS=ByPartner)
    club.send("reset_notice")
    assert [row.partner_id for row in club.queued()] == ["acme"]


def test_the_setting_may_be_text_or_the_argument(new_club: NewClub) -> None:
    club = new_club()  # text
    assert type(club.app.extensions["security"].mail_util) is MailUtil
    app = Flask(__name__)
    app.config.update(SECRET_KEY="x", SECURITY_PASSWORD_SALT="x")
    security = flask_security.Security(
        app, club.app.extensions["security"].datastore, mail_util_cls=MailUtil
    )
    assert type(security.mail_util) is MailUtil


def test_limits_may_name_its_mails_whichever_comes_first(new_club: NewClub) -> None:
    limits = {"security_two_factor_instructions": "3 per hour"}
    new_club(SMTP_ADMIN_RECIPIENT_LIMITS=limits, MEMBERS_PLUGIN_FIRST=True)
    with pytest.raises(ConfigError, match="no such class"):
        new_club(SECURITY_MAIL_UTIL_CLS="smtp_admin.flask_security.Nonsense")
    with pytest.raises(ConfigError, match="security_nonsense"):
        new_club(SMTP_ADMIN_RECIPIENT_LIMITS={"security_nonsense": "3 per hour"})
