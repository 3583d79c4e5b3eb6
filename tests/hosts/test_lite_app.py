"""An app on Flask-SQLAlchemy-Lite serves pages, queues with its own data, and has workers."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy_lite import SQLAlchemy as Lite
from sqlalchemy import create_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from smtp_admin import ConfigError, Host, Message, SetupError, SMTPAdmin
from smtp_admin.encryption import generate_key
from tests.app import migrate
from tests.servers.databases import sqlite_url
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import Worker

SOURCE = Path(__file__).with_name("apps") / "lite.py"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    url: str = request.getfixturevalue(request.param).create_database()
    return url


@pytest.fixture
def shop(
    tmp_path: Path, redis: RedisServer, server: ScriptedServer, uri: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[Path, Any]]:  # fmt: skip
    """The app's folder, and the app in this process too."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "app.py").write_text(SOURCE.read_text("utf-8"), "utf-8")
    (folder / "lite.json").write_text(json.dumps({
        "SECRET_KEY": "a secret",
        "WTF_CSRF_ENABLED": False,
        "SQLALCHEMY_ENGINES": {"default": {"url": uri}},
        "SMTP_ADMIN_REDIS_URL": redis.url,
        "SMTP_ADMIN_SECRET_KEYS": [generate_key()],
        "SMTP_ADMIN_ALLOWED_NETWORKS": ["127.0.0.0/8"],
        "SMTP_ADMIN_ALLOWED_PORTS": [server.port],
    }))  # fmt: skip
    module = ModuleType("lite_shop")
    module.__file__ = str(folder / "app.py")
    monkeypatch.setitem(sys.modules, "lite_shop", module)
    exec(compile(SOURCE.read_text("utf-8"), module.__file__, "exec"), vars(module))  # noqa: S102
    with module.app.app_context():
        migrate(module.db.engine)
        module.Model.metadata.create_all(module.db.engine)
    yield folder, module
    with module.app.app_context():
        module.db.engine.dispose()


def test_pages_transactions_and_a_worker(shop: tuple[Path, Any], server: ScriptedServer) -> None:
    folder, module = shop
    client = module.app.test_client()
    entered = {"host": server.host, "port": str(server.port), "security": "none", "revision": "0",
               "from_email": "orders@acme.example"}  # fmt: skip
    saved = client.post("/smtp-admin/partners/acme", data=entered, follow_redirects=True)
    assert "Saved as revision 1" in saved.text
    tested = client.post("/smtp-admin/partners/acme/test-connection", json=entered)
    assert tested.get_json()["ok"], tested.get_json()
    assert client.post("/orders", data={"name": "kim"}).get_json() == {"orders": ["kim"]}
    cancelled = client.post("/orders", data={"name": "sam", "cancel": "1"})
    assert cancelled.get_json() == {"orders": ["kim"]}
    assert client.post("/newsletter").status_code == 200
    with Worker(folder, "--burst") as worker:
        assert worker.wait(60) == 0, worker.output
    arrived = [one.recipients for one in server.messages]
    assert arrived == [["kim@customer.example"]]  # the system has no sender for the newsletter
    for path in ("", "partners", "system", "mail", "partners/acme/mail", "alerts", "audit"):
        answer = client.get(f"/smtp-admin/{path}", follow_redirects=True)
        assert answer.status_code == 200, path
    log = client.get("/smtp-admin/mail").text
    assert "kim@customer.example" in log
    assert "reader@customer.example" in log
    assert "sam@customer.example" not in log
    assert "never@customer.example" not in log
    checked = module.app.test_cli_runner().invoke(args=["smtp-admin", "doctor", "--json"])
    found = {one["name"]: one["status"] for one in json.loads(checked.output)["checks"]}
    assert (found["database"], found["tables"], found["partners"]) == ("ok", "ok", "ok")


def lite(**engines: str) -> Callable[[Flask], Any]:
    """A Lite object with these engines."""

    def make(app: Flask) -> Any:
        app.config["SQLALCHEMY_ENGINES"] = engines
        return Lite(app, require_default_engine=False)

    return make


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda app: SQLAlchemy(app).session, r"scoped_session.*not db\.session"),
        (lambda _app: create_engine("sqlite://"), r"Engine\. Pass db itself"),
        (lambda _app: None, "NoneType"),
        (lambda _app: sessionmaker(), "sessionmaker"),
        (lambda _app: Lite(), r"Call db\.init_app\(app\) first"),
    ],
)  # fmt: skip
def test_what_is_no_database_object_is_refused_at_once(
    make: Callable[[Flask], Any], words: str
) -> None:
    app = Flask("tests.lite")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    given = make(app)
    with pytest.raises(ConfigError, match=words):
        SMTPAdmin(host=Host()).init_app(app, given)


def test_without_a_default_engine_a_sentence_says_so() -> None:
    app = Flask("tests.lite")
    db = lite(other="sqlite://")(app)
    plugin = SMTPAdmin(host=Host())
    plugin.init_app(app, db)
    with app.app_context(), pytest.raises(SetupError, match=r'SQLALCHEMY_ENGINES\["default"\]'):
        plugin.send_message(Message("Hello", ["sam@example.org"], "Good morning."))


def test_anything_with_a_registry_of_sessions_and_an_engine_will_do(
    tmp_path: Path, redis: RedisServer
) -> None:
    """An app with SQLAlchemy alone."""
    app = Flask("tests.bare")
    app.config["SMTP_ADMIN_REDIS_URL"] = redis.url
    engine = create_engine(sqlite_url(tmp_path))
    db = SimpleNamespace(engine=engine, session=scoped_session(sessionmaker(engine)))
    plugin = SMTPAdmin(host=Host())
    plugin.init_app(app, db)
    with app.app_context():
        migrate(engine)
        plugin.send_message(Message("Hello", ["sam@example.org"], "Good morning."))
        db.session.commit()
        status = app.test_cli_runner().invoke(args=["smtp-admin", "status", "--json"])
    assert json.loads(status.output)["pending"] == 1
    db.session.remove()
    engine.dispose()


def test_what_the_app_passes_to_its_driver_reaches_workers() -> None:
    app = Flask("tests.lite")
    app.config["SQLALCHEMY_ENGINES"] = {
        "default": {"url": "sqlite://", "connect_args": {"timeout": 7}}
    }
    plugin = SMTPAdmin(host=Host())
    plugin.init_app(app, Lite(app))
    assert app.extensions["smtp_admin"].db.connect_args["timeout"] == 7
