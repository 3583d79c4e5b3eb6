"""The examples of how to put it into an app run as they stand."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin, login_user
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from smtp_admin import Actor, SMTPAdmin
from smtp_admin.mail.security_types import SECURITY_MAILS
from tests.app import migrate
from tests.mail.reading import queued
from tests.servers.databases import sqlite_url
from tests.servers.redis_server import RedisServer
from tests.test_docs import blocks, coded, rows, section

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run() -> Run:
    """Runs the example of a page that has some words in it, and returns what it leaves behind."""

    def example(page: str, words: str, **given: Any) -> dict[str, Any]:
        (source,) = (one for name, one in blocks("python") if name == page and words in one)
        names: dict[str, Any] = {"__name__": "example", **given}
        exec(compile(source, page, "exec"), names)  # noqa: S102 - it is our own
        return names

    return example


@pytest.fixture
def config(tmp_path: Path, redis: RedisServer) -> dict[str, Any]:
    """What every app needs."""
    return {
        "SECRET_KEY": "a test's",
        "SQLALCHEMY_DATABASE_URI": sqlite_url(tmp_path),
        "SMTP_ADMIN_REDIS_URL": redis.url,
        "WTF_CSRF_ENABLED": False,
    }


@pytest.fixture
def opened() -> Iterator[Callable[[Flask], None]]:
    """Stay in an app's context, its tables made, until the test is over."""
    contexts = []

    def enter(app: Flask) -> None:
        contexts.append((app, app.app_context()))
        contexts[-1][1].push()
        migrate(app.extensions["smtp_admin"].db.engine)

    yield enter
    for app, context in contexts:
        app.extensions["smtp_admin"].db.session().rollback()
        app.extensions["smtp_admin"].db.engine.dispose()
        context.pop()


def test_in_place_of_flask_mail(
    run: Run, config: dict[str, Any], opened: Callable[[Flask], None]
) -> None:
    example = run("docs/flask-mail.md", "def newsletter")
    app = example["create_app"](config)
    opened(app)
    example["welcome"]("kim@customer.example")
    example["newsletter"](["a@customer.example", "b@customer.example"])
    assert [row.subject for row in queued()] == ["Welcome", "News", "News"]
    quiet = example["create_app"](config | {"TESTING": True})
    test = run("docs/flask-mail.md", "def test_welcome")["test_welcome"]
    test(quiet, example["mail"], example["welcome"])
    assert len(queued()) == 3


def test_a_whole_app_with_flask_security(
    run: Run, config: dict[str, Any], opened: Callable[[Flask], None]
) -> None:
    example = run("docs/flask-security.md", "def create_app")
    app = example["create_app"](config | {
        "SECURITY_PASSWORD_SALT": "salt", "SECURITY_PASSWORD_HASH": "pbkdf2_sha512",
        "SECURITY_RECOVERABLE": True,
        "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
    })  # fmt: skip
    opened(app)
    example["db"].create_all()
    people = app.extensions["security"].datastore
    people.create_user(
        email="boss@club.example", password="x", roles=[people.find_or_create_role("admin")]
    )
    example["db"].session.add(example["Company"](name="Acme"))
    people.commit()
    client = app.test_client()
    client.post("/reset", data={"email": "boss@club.example"})
    assert [row.type_name for row in queued()] == ["security_reset_instructions"]
    signed_out = client.get("/smtp-admin/partners", headers={"Accept": "text/html"})
    assert signed_out.headers["Location"].startswith("/login?next=")
    with app.test_request_context():
        login_user(people.find_user(email="boss@club.example"))
        host = app.extensions["smtp_admin"].host
        assert host.current_actor() == Actor(id="1", email="boss@club.example", is_admin=True)
        assert [(one.id, one.name) for one in host.partners()] == [("1", "Acme")]


def test_whose_mail_of_flask_security_it_is(run: Run) -> None:
    mail = run("docs/flask-security.md", "class PartnerMail")["PartnerMail"](Flask("x"))
    user = SimpleNamespace(company_id=7)
    assert mail.partner_id("security/email/welcome", {"user": user}) == "7"
    assert mail.partner_id("security/email/welcome_existing_username", {}) == ""


def test_in_which_language_mail_of_flask_security_is(run: Run) -> None:
    app = Flask("x")
    mail = run("docs/flask-security.md", "class InTheirLanguage")["InTheirLanguage"](app)
    with app.app_context():
        for language in ("pt-BR", ""):
            user = SimpleNamespace(language=language)
            assert mail.language("security/email/welcome", {"user": user}) == (language or "en")
        assert mail.language("security/email/us_instructions", {}) == "en"


def test_types_of_flask_security_are_complete() -> None:
    documented = {
        coded(row[0])[0]: (row[2], coded(row[3]))
        for row in rows(section("docs/flask-security.md", "The mails"))
    }
    assert documented == {
        one.type_.name: (
            one.type_.priority + (", sensitive" if one.type_.sensitive else ""),
            list(one.type_.variables),
        )
        for one in SECURITY_MAILS
    }


def test_a_ready_host_with_flask_login(
    run: Run, config: dict[str, Any], opened: Callable[[Flask], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    class Base(DeclarativeBase):
        pass

    db = SQLAlchemy(model_class=Base)

    class Company(Base):
        __tablename__ = "company"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(20))

    class Person(UserMixin):  # type: ignore[misc]
        id, email, name, is_staff = 5, "mia@acme.example", "Mia", False
        companies = (SimpleNamespace(id=1),)

    models = ModuleType("shop.models")
    vars(models).update(Company=Company, db=db)
    monkeypatch.setitem(sys.modules, "shop", ModuleType("shop"))
    monkeypatch.setitem(sys.modules, "shop.models", models)
    plugin: SMTPAdmin = run("docs/mounting.md", "LoginHost(")["smtp_admin"]
    app = Flask("shop")
    app.config.update(config)
    db.init_app(app)
    LoginManager(app).user_loader(lambda _id: Person())
    app.add_url_rule("/sign-in", "auth.sign_in", lambda: "")
    app.add_url_rule("/me", "me", lambda: str(login_user(Person())))
    plugin.init_app(app, db)
    opened(app)
    db.create_all()
    db.session.add_all([Company(name="acme"), Company(name="globex")])
    db.session.commit()
    client = app.test_client()
    signed_out = client.get("/smtp-admin/", headers={"Accept": "text/html"})
    assert signed_out.headers["Location"] == "/sign-in?next=/smtp-admin/"
    client.get("/me")
    assert client.get("/smtp-admin/partners/1").status_code == 200
    assert client.get("/smtp-admin/partners/2").status_code == 404
    assert client.get("/smtp-admin/system").status_code == 403


def test_a_host_that_is_async(
    run: Run, config: dict[str, Any], opened: Callable[[Flask], None]
) -> None:
    class People:
        async def signed_in(self) -> Any:
            await asyncio.sleep(0)
            return SimpleNamespace(id="1", email="boss@shop.example", is_staff=True)

        async def companies(self) -> AsyncIterator[Any]:
            yield SimpleNamespace(id="acme", name="Acme")

    host = run("docs/mounting.md", "class AsyncHost", people=People())["AsyncHost"]()
    app = Flask("shop")
    app.config.update(config)
    SMTPAdmin(host=host).init_app(app, SQLAlchemy(app))
    opened(app)
    assert "Acme" in app.test_client().get("/smtp-admin/partners").text


def test_flask_sqlalchemy_lite(
    run: Run, config: dict[str, Any], opened: Callable[[Flask], None]
) -> None:
    app = run("docs/mounting.md", "flask_sqlalchemy_lite")["create_app"](
        config | {"SQLALCHEMY_ENGINES": {"default": config["SQLALCHEMY_DATABASE_URI"]}}
    )
    opened(app)
    assert app.test_client().get("/smtp-admin/").status_code == 401
