"""A host with several databases: ours is the default one, and its models may live in another.

Nothing of ours goes into the others, and one session may touch all of them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from redis import Redis
from sqlalchemy import Engine, create_engine, inspect

from smtp_admin import Host, Message, SMTPAdmin
from smtp_admin.delivery.doorbell import queue_name
from smtp_admin.errors import SetupError
from tests.app import HostApp, TestHost, migrate
from tests.delivery.workbench import deliveries
from tests.servers.databases import MariaDB, PostgreSQL, sqlite_url
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer

MakeShop = Callable[..., "Shop"]


class Shop(NamedTuple):
    """A host whose orders lie in another database than its mail.

    Attributes:
        order: its model, in the bind ``shop``.
        bells: how many are waiting.
    """

    host: HostApp
    order: Any
    bells: Callable[[], int]

    def take_order(self, name: str) -> None:
        """What a request does, all but the commit."""
        session = self.host.db.session
        session.add(self.order(name=name))
        mail = Message("Your order", [f"{name}@example.org"], "Thank you.")
        self.host.plugin.send_message(mail, partner_id="acme")

    def orders(self) -> list[str]:
        """Whose there are."""
        session = self.host.db.session
        session.rollback()
        return sorted(session.scalars(self.host.db.select(self.order.name)))


@pytest.fixture
def new_shop(redis: RedisServer) -> Iterator[MakeShop]:
    """Makes one on two databases, and closes it at the end."""
    contexts: list[Any] = []

    def make(uri: str, other: str) -> Shop:
        app = Flask("tests.shop")
        app.config.update(
            SECRET_KEY="a test's secret",
            SQLALCHEMY_DATABASE_URI=uri,
            SQLALCHEMY_BINDS={"shop": other},
            SMTP_ADMIN_APP_NAME="Northwind",
            SMTP_ADMIN_REDIS_URL=redis.url,
            SMTP_ADMIN_ALLOWED_NETWORKS=["127.0.0.0/8"],
            SMTP_ADMIN_ALLOWED_PORTS=range(1, 65536),
        )
        db = SQLAlchemy()
        name = db.Column(db.String(50), primary_key=True)
        order = type("Order", (db.Model,), {"__bind_key__": "shop", "name": name})
        db.init_app(app)
        theirs = TestHost()
        plugin = SMTPAdmin(host=theirs)
        plugin.init_app(app, db)
        context = app.app_context()
        context.push()
        contexts.append((context, db))
        made = app.test_cli_runner().invoke(args=["smtp-admin", "db", "upgrade"])
        assert made.exit_code == 0, made.output
        db.create_all()
        client = Redis.from_url(redis.url)
        queue = f"rq:queue:{queue_name(db.engine)}"

        def bells() -> int:
            return int(client.llen(queue))

        return Shop(HostApp(app, db, plugin, theirs, ""), order, bells)

    yield make
    for context, db in reversed(contexts):
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
        context.pop()


@pytest.fixture(params=["sqlite, sqlite", "postgresql, sqlite", "sqlite, mariadb"])
def addresses(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Two empty databases, of several kinds: for us, and the other one."""

    def address(kind: str) -> str:
        if kind == "sqlite":
            return sqlite_url(tmp_path)
        server: PostgreSQL | MariaDB = request.getfixturevalue(kind)
        return server.create_database()

    ours, other = map(address, request.param.split(", "))
    return ours, other


@pytest.fixture
def shop(addresses: tuple[str, str], new_shop: MakeShop) -> Shop:
    """On both, whose tables of ours are copied."""
    engine = create_engine(addresses[0])
    migrate(engine)
    engine.dispose()
    return new_shop(*addresses)


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_our_tables_are_in_the_default_database_alone(
    addresses: tuple[str, str], new_shop: MakeShop
) -> None:
    shop = new_shop(*addresses)
    engines = shop.host.db.engines
    assert tables(engines["shop"]) == {"order"}
    ours = tables(engines[None])
    assert all(name.startswith("smtp_admin_") for name in ours)
    assert len(ours) > 10
    checked = shop.host.app.test_cli_runner().invoke(args=["smtp-admin", "db", "check"])
    assert checked.exit_code == 0, checked.output
    shop.host.db.drop_all()
    assert tables(engines[None]) == ours, "what is the host's alone is dropped"


def test_a_session_that_touches_both_commits_both_and_rings_once(
    shop: Shop, redis: RedisServer
) -> None:
    with ScriptedServer() as server:
        shop.host.save_sender(port=server.port)
        redis.flush()
        shop.take_order("sam")
        assert shop.bells() == 0
        shop.host.db.session.commit()
        assert shop.bells() == 1, "once, after the commit"
        assert shop.orders() == ["sam"]
        shop.host.work()
        assert [one.state for one in deliveries(shop.host)] == ["sent"]
        assert len(server.messages) == 1


def test_a_rollback_takes_back_both(shop: Shop) -> None:
    shop.host.save_sender()
    shop.take_order("sam")
    shop.host.db.session.flush()
    shop.host.db.session.rollback()
    assert shop.orders() == []
    assert deliveries(shop.host) == []


def test_a_savepoint_that_is_taken_back_takes_back_both(shop: Shop) -> None:
    shop.host.save_sender()
    shop.take_order("kim")
    nested = shop.host.db.session.begin_nested()
    shop.take_order("sam")
    nested.rollback()
    shop.host.db.session.commit()
    assert shop.orders() == ["kim"]
    assert [one.recipient for one in deliveries(shop.host)] == ["kim@example.org"]


def test_the_mailer_waits_for_no_lock_of_the_other_database(shop: Shop) -> None:
    shop.host.save_sender()
    shop.host.db.session.add(shop.order(name="sam"))
    shop.host.db.session.flush()
    shop.host.plugin.mail.send(Message("Your order", ["sam@example.org"], "Thank you."))
    shop.host.db.session.rollback()
    assert len(deliveries(shop.host)) == 1
    assert shop.orders() == []


def test_without_a_default_database_a_sentence_says_so(tmp_path: Path) -> None:
    app = Flask("tests.shop")
    app.config.update(SECRET_KEY="x", SQLALCHEMY_BINDS={"shop": sqlite_url(tmp_path)})
    db = SQLAlchemy(app)
    plugin = SMTPAdmin(host=Host())
    plugin.init_app(app, db)
    done = app.test_cli_runner().invoke(args=["smtp-admin", "db", "upgrade"])
    assert done.exit_code == 1
    assert "SQLALCHEMY_DATABASE_URI" in done.output
    with app.app_context(), pytest.raises(SetupError, match="no default database"):
        plugin.send_message(Message("Hello", ["sam@example.org"], "Good morning."))
