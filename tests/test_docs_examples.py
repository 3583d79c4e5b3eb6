"""The examples in the documentation run, and answer as the page says."""

import ast
import importlib
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from smtp_admin import Message, schema
from smtp_admin.clock import shifted
from smtp_admin.delivery.models import Delivery
from smtp_admin.monitor.check_links import links
from smtp_admin.monitor.check_sandbox import sandbox
from smtp_admin.senders.resolve import load_sender
from tests.app import HostApp
from tests.servers.certificates import CertificateFactory
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import Reply, ScriptedServer
from tests.test_docs import blocks, coded, rows, section


@pytest.mark.parametrize(("page", "content"), [*blocks("python")])
def test_python_examples_can_be_read_and_imported(page: str, content: str) -> None:
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("shop"):
            module = importlib.import_module(node.module)
            for one in node.names:
                name = f"{node.module}.{one.name}"
                assert hasattr(module, one.name) or find_spec(name), f"{page}: {name}"


@pytest.mark.parametrize(("page", "content"), [*blocks("json")])
def test_json_examples_are_json(page: str, content: str) -> None:
    assert json.loads(content), page


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis: RedisServer) -> dict[str, Any]:
    """What the README's code leaves behind, run beside a stub of the app that it mounts into."""

    class Base(DeclarativeBase):
        pass

    database = SQLAlchemy(model_class=Base)

    class Company(Base):
        __tablename__ = "company"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(20))

    user = SimpleNamespace(
        is_authenticated=True, id=7, email="sam@example.com", name="Sam", is_staff=False,
        companies=[SimpleNamespace(id=1)],
    )  # fmt: skip
    modules: dict[str, dict[str, Any]] = {"shop": {}, "shop.auth": {"current_user": user},
               "shop.models": {"Company": Company, "db": database}}  # fmt: skip
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    for name, value in {
        "SECRET_KEY": "a test's",
        "SMTP_ADMIN_REDIS_URL": redis.url,
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'shop.db'}",
    }.items():
        monkeypatch.setenv(f"FLASK_{name}", value)
    mounting, sending = (text for page, text in blocks("python") if page == "README.md")
    left: dict[str, Any] = {"sending": sending, "Company": Company}
    exec(compile(mounting, "README.md", "exec"), left)  # noqa: S102 - it is our own
    return left


def test_the_readme_mounts_and_sends(shop: dict[str, Any]) -> None:
    app: Flask = shop["create_app"]()
    database = shop["db"]
    with app.app_context():
        database.create_all()
        database.session.add_all([shop["Company"](name=one) for one in ("acme", "globex")])
        database.session.commit()
        schema.upgrade(database.engine)
    client = app.test_client()
    overview = client.get("/smtp-admin/").get_data(as_text=True)
    assert "acme" in overview
    assert "globex" not in overview
    with app.app_context():
        shop["company"] = database.session.get(shop["Company"], 1)
        exec(compile(shop["sending"], "README.md", "exec"), shop)  # noqa: S102 - it is our own
        assert database.session.scalars(select(Delivery.recipient)).all() == ["sam@example.com"]


def form_of(value: Any) -> Any:
    """The keys of *value* and the kinds of what they hold; lists as their first element."""
    if isinstance(value, dict):
        return {key: form_of(one) for key, one in value.items()}
    if isinstance(value, list):
        return [form_of(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_json_examples_have_the_fields_of_real_answers(
    host: HostApp, certificates: CertificateFactory
) -> None:
    url = "/smtp-admin/partners/acme/test-connection"
    asked, good, bad = (json.loads(text) for page, text in blocks("json") if "settings" in page)
    login = ("noreply@example.com", "right")
    with ScriptedServer(starttls=certificates.server_context(certificates.valid()), auth=login,
                        auth_methods=("PLAIN", "LOGIN")) as server:  # fmt: skip
        here = {"host": "localhost", "port": server.port, "password": "right", "verify_tls": False}
        accepted = host.client.post(url, json=asked | here).get_json()
        refused = host.client.post(url, json=asked | here | {"password": "wrong"}).get_json()
    for shown, answer in ((good, accepted), (bad, refused)):
        kinds = form_of(shown) | {"steps": None, "warnings": None}
        # The first steps have no reply; what a step has is compared by its keys alone.
        assert kinds == form_of(answer) | {"steps": None, "warnings": None}
        assert shown["steps"][0].keys() == answer["steps"][0].keys()
    assert refused["error"]["code"] == bad["error"]["code"]


def test_mail_examples_have_the_fields_of_real_answers(host: HostApp) -> None:
    queued, followed, status, error = (
        json.loads(text) for page, text in blocks("json") if "reference" in page
    )
    with ScriptedServer(behaviours={"rcpt": Reply("550 5.1.1 no such user")}) as server:
        host.save_sender(port=server.port, max_per_hour=80)
        url = "/smtp-admin/partners/acme/test-email"
        answer = host.client.post(url, json={"to": "me@example.com"}).get_json()
        host.work()
    assert form_of(answer) == form_of(queued)
    assert host.client.get(answer["follow"]).get_json() | {"id": ""} == followed | {"id": ""}
    numbers = host.client.get("/api/email/status?partner_id=acme").get_json()
    assert numbers.keys() == status.keys()
    missing = host.client.get("/api/email/status?partner_id=nobody").get_json()
    assert missing == error


def test_the_steps_of_mounting_leave_the_doctor_nothing_to_warn_of(
    new_app: Callable[..., HostApp],
) -> None:
    """Of links and of copies, which the configuration alone decides."""
    (shown,) = (text for page, text in blocks("python")
                if page == "docs/mounting.md" and "SMTP_ADMIN_APP_NAME" in text)  # fmt: skip
    (call,) = (one for one in ast.walk(ast.parse(shown)) if isinstance(one, ast.Call))
    given = {one.arg: ast.literal_eval(one.value) for one in call.keywords}
    assert "SMTP_ADMIN_PUBLIC_URL" in section("README.md", "Mount it")
    made = new_app(PUBLIC_URL=given["SMTP_ADMIN_PUBLIC_URL"])
    with made.app.app_context():
        made.app.test_cli_runner().invoke(args=["smtp-admin", "db", "upgrade"])
        found = [*links(), *sandbox()]
    assert {one.status for one in found} == {"ok"}, found


# --- Promises that have no other page ------------------------------------------------------------


def test_the_page_names_the_variable_that_would_hold_the_password(
    new_app: Callable[..., HostApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prefix stands before every name, the one of a variable that is not set included."""
    monkeypatch.setenv("SETGET_SMTP_HOST", "smtp.example.com")
    made = new_app(ENV_PREFIX="SETGET_")
    with made.app.app_context():
        locked = load_sender(made.db.session(), "").locked
    assert locked == {
        "driver": "SETGET_SMTP_HOST",
        "host": "SETGET_SMTP_HOST",
        "password": "SETGET_SMTP_PASSWORD",
        "oauth_secret": "SETGET_SMTP_OAUTH_CLIENT_SECRET",
        "oauth_key": "SETGET_SMTP_OAUTH_KEY",
    }


def test_a_mail_for_next_week_goes_out_next_week(host: HostApp) -> None:
    """`send_at` beyond the default expiry: the mail must not be too old before it is due."""
    with ScriptedServer() as server:
        host.save_sender(port=server.port)
        later = datetime.now(UTC) + timedelta(days=7)
        message = Message("Hello", ["sam@example.com"], "Hi")
        host.plugin.send_message(message, partner_id="acme", send_at=later)
        host.db.session.commit()
        with shifted(timedelta(days=7, minutes=1)):
            host.work()
    assert host.db.session.scalars(select(Delivery.state)).all() == ["sent"]


def test_a_refused_test_mail_answers_with_a_listed_code(host: HostApp) -> None:
    listed = {coded(row[0])[0] for row in rows(section("docs/reference.md", "Error codes"))}
    entered = {"revision": "0", "security": "none", "from_email": "noreply@acme.example"}
    with ScriptedServer(behaviours={"rcpt": Reply("550 5.1.1 no such user")}) as server:
        answer = host.client.post(
            "/smtp-admin/partners/acme/test-email",
            data=entered | {"host": "127.0.0.1", "port": str(server.port), "to": "x@example.com"},
            headers={"Accept": "application/json"},
        )
    assert answer.status_code == 400
    assert answer.get_json()["error"]["code"] in listed
    assert answer.get_json()["error"]["reply"]["code"] == 550
