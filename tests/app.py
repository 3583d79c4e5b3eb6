"""A small host app for tests: three partners, and whoever the test says is signed in."""

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from types import CodeType
from typing import Any

from flask import Flask
from flask.sansio.blueprints import Blueprint
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    MetaData,
    Table,
    create_engine,
    inspect,
    select,
    text,
)
from werkzeug.routing import Map, Rule, RuleFactory

from smtp_admin import Actor, ExpiringService, Host, Partner, SMTPAdmin, schema
from smtp_admin.delivery.doorbell import DOORBELL
from smtp_admin.delivery.shared_redis import REDIS
from smtp_admin.encryption import generate_key
from smtp_admin.installation import Installation
from smtp_admin.protection import OURS
from smtp_admin.senders.known import KNOWN
from smtp_admin.senders.queries import LISTED
from smtp_admin.senders.resolve import OVERRIDES, ResolvedSender, load_sender
from smtp_admin.senders.revisions import save_settings
from smtp_admin.senders.values import SenderValues
from smtp_admin.worker.process import WorkerProcess
from tests.patience import SECONDS

ADMIN = Actor(id="1", email="admin@platform.example", name="Ada", is_admin=True)
ACME_ADMIN = Actor(id="2", email="mia@acme.example", name="Mia", partner_ids=frozenset({"acme"}))
GLOBEX_ADMIN = Actor(id="3", email="tom@globex.example", name="Tom",
                     partner_ids=frozenset({"globex"}))  # fmt: skip
CUSTOMER = Actor(id="4", email="carl@customer.example", name="Carl", customer_id="c1")

PARTNERS = (
    Partner("acme", "Acme GmbH", "acme.example"),
    Partner("globex", "Globex", "globex.example"),
    Partner("initech", "Initech", "initech.example"),
)


class TestHost(Host):
    """Signed in is whoever the test says."""

    __test__ = False

    def __init__(self) -> None:
        self.actor: Actor | None = None
        #: What expires, ordered by customer.
        self.services: list[Any] = []

    def expiring_services(self, until: datetime, partner_id: str) -> Iterable[ExpiringService]:
        return (
            one
            for one in self.services
            if getattr(one, "partner_id", partner_id) == partner_id
            and getattr(one, "expires_at", until) <= until
        )

    def customer_services(self, customer_id: str) -> Iterable[ExpiringService]:
        return [one for one in self.services if one.customer_id == customer_id]

    def current_actor(self) -> Actor | None:
        return self.actor

    def partners(self) -> Iterable[Partner]:
        return PARTNERS


#: What follows from how an app was started.
_OF_START = (OVERRIDES, REDIS, DOORBELL, KNOWN, LISTED)


def started_with(here: Installation, **changes: Any) -> Installation:
    """*here* as if the app had been started with other things; what follows from them is anew."""
    kept = {name: one for name, one in here.kept.items() if name not in _OF_START}
    return replace(here, kept=kept, **changes)


@dataclass
class HostApp:
    """The app, its database object, the plugin, and shortcuts for tests."""

    app: Flask
    db: SQLAlchemy
    plugin: SMTPAdmin
    host: TestHost
    secret_key: str = field(repr=False)

    @property
    def actor(self) -> Actor | None:
        """Who is signed in."""
        return self.host.actor

    @actor.setter
    def actor(self, actor: Actor | None) -> None:
        self.host.actor = actor

    @property
    def client(self) -> FlaskClient:
        """A new client."""
        return self.app.test_client()

    @property
    def installation(self) -> Installation:
        """What the plugin keeps for this app."""
        found: Installation = self.app.extensions["smtp_admin"]
        return found

    def save_sender(
        self,
        partner_id: str = "acme",
        *,
        key: str = "",
        password: str = "",
        secrets: dict[str, str] | None = None,
        **values: Any,
    ) -> ResolvedSender:
        """Save settings for a partner as the next revision, and commit; needs an app context."""
        defaults: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": 25,
            "security": "none",
            "username": "",
            "from_email": f"noreply@{partner_id or 'platform'}.example",
        }
        session = self.db.session()
        seen = load_sender(session, partner_id, key).revision
        saved = save_settings(
            session,
            partner_id,
            SenderValues(**(defaults | values)),
            secrets={"password": password, **(secrets or {})},
            expected_revision=seen,
            actor=ADMIN,
            key=key,
        )
        session.commit()
        return saved

    def work(self, concurrency: int = 2) -> None:
        """Send everything that is due, as ``worker --burst`` does; needs an app context."""
        WorkerProcess(self.app, concurrency).run_burst()
        self.db.session.expire_all()


class CompiledTemplates(BytecodeCache):
    """What one app of this process has compiled, the next one need not compile."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self.kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        assert bucket.code is not None
        self.kept[bucket.key, bucket.checksum] = bucket.code


_COMPILED = CompiledTemplates()

#: What a rule says, or which rules they all are; and what a map of rules does.
_Said = tuple[Any, ...]
_MAPS: dict[tuple[Any, ...], Map] = {}
_MAPPING = Lock()


def _said(rule: Rule) -> _Said:
    return (
        *(rule.rule, rule.endpoint, frozenset(rule.methods or ()), rule.subdomain, rule.host),
        *(rule.strict_slashes, rule.merge_slashes, rule.build_only, rule.alias, rule.websocket),
        *(rule.redirect_to, tuple(sorted((rule.defaults or {}).items()))),
        getattr(rule, "provide_automatic_options", None),
    )


@dataclass(frozen=True, eq=False)
class Registered:
    """What an app has from a blueprint of ours, and every other app as well."""

    rules: list[Rule]
    views: dict[str, Any]


_REGISTERED: dict[tuple[Blueprint, type[Flask]], Registered] = {}


class KnownMap(Map):
    """The rules of an app, bound when it is first asked for an address.

    Nearly all apps have the same, and then it is the map of the first of them that answers.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.added: list[Rule] = []
        #: The same, so that it can be compared.
        self.told: list[_Said | Registered] = []
        super().__init__(*args, **kwargs)

    def add(self, rulefactory: RuleFactory) -> None:
        rules = list(rulefactory.get_rules(self))
        self.added += rules
        self.told += map(_said, rules)
        self._remap = True

    def update(self) -> None:
        if not self._remap:
            return
        with _MAPPING:
            known = self._known()
            self._matcher, self._rules_by_endpoint = known._matcher, known._rules_by_endpoint
            self._remap = False

    def _known(self) -> Map:
        does = (self.host_matching, self.strict_slashes, self.merge_slashes,
                self.default_subdomain, *self.converters.items())  # fmt: skip
        key = (does, *self.told)
        if key not in _MAPS:
            known = Map(
                map(copy, self.added),  # which then are bound, once and for all
                default_subdomain=self.default_subdomain,
                strict_slashes=self.strict_slashes,
                merge_slashes=self.merge_slashes,
                converters=self.converters,
                host_matching=self.host_matching,
            )
            known.update()
            _MAPS[key] = known
        return _MAPS[key]


class KnownRules(Flask):
    """An app that has the rules which an app before it made and compiled.

    To make them anew took most of what making an app takes.
    """

    url_map: KnownMap
    url_map_class = KnownMap

    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Register it; one of ours that an app has already brings rules and views, all the same."""
        key = blueprint, type(self)
        if options or blueprint.name not in OURS:
            super().register_blueprint(blueprint, **options)
        elif key not in _REGISTERED:
            rules, told = len(self.url_map.added), len(self.url_map.told)
            views = set(self.view_functions)
            super().register_blueprint(blueprint)
            _REGISTERED[key] = Registered(
                self.url_map.added[rules:],
                {name: one for name, one in self.view_functions.items() if name not in views},
            )
            self.url_map.told[told:] = [_REGISTERED[key]]
        else:
            self.blueprints[blueprint.name] = blueprint
            blueprint._merge_blueprint_funcs(self, blueprint.name)
            self.url_map.added += _REGISTERED[key].rules
            self.url_map.told.append(_REGISTERED[key])
            self.url_map._remap = True
            self.view_functions.update(_REGISTERED[key].views)


def make_app(uri: str, config: Mapping[str, Any]) -> HostApp:
    """A host app on the database *uri*, migrated. Loopback and every port may be dialled."""
    key = generate_key()
    app = KnownRules("tests.app")
    app.config.update(
        SECRET_KEY="a test's secret",
        SQLALCHEMY_DATABASE_URI=uri,
        WTF_CSRF_ENABLED=False,
        TESTING=True,
        MAIL_SUPPRESS_SEND=False,  # tests look at what is queued
        SMTP_ADMIN_APP_NAME="Northwind",
        SMTP_ADMIN_SECRET_KEYS=[key],
        SMTP_ADMIN_ALLOWED_NETWORKS=["127.0.0.0/8", "::1/128"],
        SMTP_ADMIN_ALLOWED_PORTS=range(1, 65536),
        # Many tests share an app and save through it.
        SMTP_ADMIN_CHANGE_LIMIT="10000 per minute",
        SMTP_ADMIN_PARTNER_TEST_LIMIT="10000 per minute",
        SMTP_ADMIN_RETRY_DELAY=30,
        SMTP_ADMIN_RETRY_FACTOR=1,
    )
    if uri.startswith("sqlite"):
        # By itself Python's driver waits for the lock of those who write for five seconds.
        app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"connect_args": {"timeout": SECONDS}}
    app.config.update({f"SMTP_ADMIN_{name}": value for name, value in config.items()})
    app.jinja_options = {"bytecode_cache": _COMPILED}
    db = SQLAlchemy()
    db.init_app(app)
    host = TestHost()
    plugin = SMTPAdmin(host=host)
    plugin.init_app(app, db)
    with app.app_context():
        migrate(db.engine)
    return HostApp(app, db, plugin, host, key)


def migrate(engine: Engine) -> None:
    """Run the migrations; a database that is empty or missing is a copy of what went through."""
    file = engine.url.database
    if engine.dialect.name == "sqlite" and file and not Path(file).exists():
        Path(file).write_bytes(_migrated_file())
    elif engine.dialect.name == "postgresql" and _copy_database(engine):
        return
    elif engine.dialect.name == "mysql" and not inspect(engine).get_table_names():
        _copy_tables(engine)
    elif not schema.is_current(engine):  # else each migration would be loaded to find that out
        schema.upgrade(engine)


#: The database that the others are copies of.
_MIGRATED = "migrated"


def _copy_database(engine: Engine) -> bool:
    """PostgreSQL copies files, in a fraction of the time that our migrations take.

    Returns:
        Whether it did; not where there is something already.
    """
    name = engine.url.database
    server = create_engine(engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        version = server.dialect.server_version_info or (0,)
        how = "STRATEGY file_copy" if version >= (15,) else ""
        names = set(connection.scalars(text("SELECT datname FROM pg_database")))
        filled = name in names and bool(inspect(engine).get_table_names())
        if not filled:
            engine.dispose()
            connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
            if _MIGRATED not in names:
                _make_migrated(connection, engine.url.set(database=_MIGRATED), how)
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {_MIGRATED} {how}"))
    server.dispose()
    return not filled


def _make_migrated(connection: Connection, url: URL, how: str) -> None:
    connection.execute(text(f"CREATE DATABASE {_MIGRATED} TEMPLATE template0 {how}"))
    engine = create_engine(url)
    schema.upgrade(engine)
    engine.dispose()


#: What makes our tables on MariaDB, with their first rows; there each migration takes its time.
_COPIED: list[str] = []


def _copy_tables(engine: Engine) -> None:
    if not _COPIED:
        schema.upgrade(engine)
        _COPIED.extend(_statements(engine))
        return
    with engine.begin() as connection:
        for statement in ("SET foreign_key_checks=0", *_COPIED, "SET foreign_key_checks=1"):
            connection.exec_driver_sql(statement)


def _statements(engine: Engine) -> Iterator[str]:
    with engine.connect() as connection:
        for name in inspect(connection).get_table_names():
            yield connection.exec_driver_sql(f"SHOW CREATE TABLE {name}").all()[0][1]
            table = Table(name, MetaData(), autoload_with=connection)
            for row in connection.execute(select(table)):
                filled = table.insert().values(row._asdict())
                yield str(filled.compile(engine, compile_kwargs={"literal_binds": True}))


@cache
def _migrated_file() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "migrated.db"
        engine = create_engine(f"sqlite:///{file}")
        schema.upgrade(engine)
        engine.dispose()
        return file.read_bytes()
