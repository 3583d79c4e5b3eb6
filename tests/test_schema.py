"""Our tables: made, compared, taken away and made again, beside a host's own migrations."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import produce_migrations
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    Column,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
    update,
)

from smtp_admin import Host, SMTPAdmin, resources, schema
from smtp_admin.audit.models import Audit
from smtp_admin.database import VERSION_TABLE, Base
from smtp_admin.delivery.models import Act, Delivery, Hop, Message
from smtp_admin.errors import SetupError
from smtp_admin.events.models import MailEvent
from smtp_admin.senders.models import Sender
from smtp_admin.suppression.models import Suppression
from tests.app import HostApp
from tests.delivery.workbench import deliveries, queue
from tests.servers.databases import MariaDB, PostgreSQL, sqlite_url
from tests.servers.scripted import ScriptedServer

KINDS = ("sqlite", "postgresql", "mariadb")


@pytest.fixture(scope="module", params=KINDS)
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], str]:
    """Makes empty databases of one kind."""
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp(request.param)
        return lambda: sqlite_url(folder)
    server: PostgreSQL | MariaDB = request.getfixturevalue(request.param)
    return server.create_database


@pytest.fixture
def engine(new_database: Callable[[], str]) -> Iterator[Engine]:
    """On an empty database of each kind."""
    made = create_engine(new_database())
    yield made
    made.dispose()


def ours(engine: Engine) -> set[str]:
    return {name for name in inspect(engine).get_table_names() if name.startswith("smtp_admin_")}


def test_upgrade_makes_what_the_models_say(engine: Engine) -> None:
    schema.upgrade(engine)
    assert schema.differences(engine) == []
    assert ours(engine) == {*Base.metadata.tables, VERSION_TABLE}
    assert schema.current(engine) == schema.head()
    schema.upgrade(engine)
    assert schema.differences(engine) == []


def test_a_difference_would_be_seen(engine: Engine) -> None:
    schema.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE smtp_admin_audit ADD COLUMN extra INTEGER"))
    assert len(schema.differences(engine)) == 1


def test_the_systems_sender_is_there_from_the_start(engine: Engine) -> None:
    schema.upgrade(engine)
    with engine.begin() as connection:
        rows = connection.execute(select(Sender.id, Sender.partner_id)).all()
        assert [tuple(row) for row in rows] == [(1, "")]
        for partner_id in ("acme", "ACME"):
            values = {"partner_id": partner_id, "current_revision": 0}
            connection.execute(Sender.__table__.insert().values(values))  # type: ignore[attr-defined]  # a Table
        assert len(connection.execute(select(Sender.id)).all()) == 3


def test_down_to_nothing_and_up_again(engine: Engine) -> None:
    host = MetaData()
    Table("orders", host, Column("id", Integer, primary_key=True))
    host.create_all(engine)
    for _ in range(2):
        schema.upgrade(engine)
        schema.downgrade(engine, "base")
        assert ours(engine) <= {VERSION_TABLE}
        assert schema.current(engine) is None
        assert inspect(engine).has_table("orders")
    schema.upgrade(engine)
    assert schema.differences(engine) == []


def test_two_at_once(engine: Engine) -> None:
    """Whoever comes second waits, and finds it done."""
    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(schema.upgrade, engine) for _ in range(3)]
        assert [one.result(60) for one in done] == [None] * 3
    assert schema.current(engine) == schema.head()
    assert schema.differences(engine) == []


@pytest.mark.parametrize("hooked", [False, True])
def test_on_sqlite_a_killed_upgrade_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hooked: bool
) -> None:
    """Whether or not the host makes the driver begin transactions itself."""
    engine = create_engine(sqlite_url(tmp_path))
    if hooked:
        event.listen(engine, "connect", lambda driver, _: setattr(driver, "isolation_level", None))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    schema.upgrade(engine, "0004_renewals")
    with engine.connect() as connection:
        before = connection.execute(text("SELECT * FROM sqlite_master ORDER BY 1, 2")).all()

    def die(*_arguments: object, **_keywords: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Operations, "drop_index", die)
    with pytest.raises(KeyboardInterrupt):
        schema.upgrade(engine)
    monkeypatch.undo()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM sqlite_master ORDER BY 1, 2")).all() == before
        assert connection.scalar(text("PRAGMA busy_timeout")) == 5000
    schema.upgrade(engine)
    assert schema.differences(engine) == []
    engine.dispose()


@pytest.mark.parametrize("broken_off", ["create_index", "add_column", "drop_column", "drop_table"])
def test_a_killed_step_goes_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, broken_off: str
) -> None:
    """On MariaDB each change of a table stays, and the rows that it is about come over once."""
    down = broken_off.startswith("drop")
    below = "0031_provider_removals"
    schema.upgrade(engine, below)
    _one_mail(engine)
    act = {"delivery_id": 1, "at": datetime(2026, 1, 31, 12, tzinfo=UTC), "kind": "retry"}
    with engine.begin() as connection:
        sides = {"from_sender_id": 2, "to_sender_id": 2, "reason": ""}
        connection.execute(insert(Hop).values(**act, **sides))
    if down:
        schema.upgrade(engine)
    works, go = getattr(Operations, broken_off), schema.downgrade if down else schema.upgrade

    def die(*about: Any, **named: Any) -> None:
        works(*about, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(Operations, broken_off, die)
    with pytest.raises(KeyboardInterrupt):
        go(engine, below if down else "head")
    monkeypatch.undo()
    if down:
        schema.downgrade(engine, below)
        with engine.connect() as connection:
            assert list(connection.scalars(select(Hop.kind))) == ["retry"]
    schema.upgrade(engine)
    assert schema.differences(engine) == []
    with engine.connect() as connection:
        assert list(connection.scalars(select(Act.kind))) == ["retry"]
        assert list(connection.scalars(select(Hop.kind))) == []


def test_every_step_can_be_taken_back(engine: Engine) -> None:
    """And each taken again."""
    schema.upgrade(engine)
    steps = schema.revisions()
    for lower in (*reversed(steps[:-1]), None):
        schema.downgrade(engine, lower or "base")
        assert schema.current(engine) == lower
    for upper in steps:
        schema.upgrade(engine, upper)
        assert schema.current(engine) == upper
    assert schema.differences(engine) == []


def test_a_webhook_that_was_there_has_read_everything(engine: Engine) -> None:
    """Until now nobody counted what could not be read; what else the row says stays, both ways."""
    schema.upgrade(engine, "0027_provider_lists")
    before = "source, key_hash, bad, last_bad_code"
    key = engine.dialect.identifier_preparer.quote_identifier("key")
    with engine.begin() as connection:
        connection.execute(
            text(
                f"INSERT INTO smtp_admin_webhook (sender_id, source, key_hash, {key}, secret,"
                " former_secret, topic, created_at, created_by, bad, last_bad_code) VALUES (1,"
                " 'generic', 'h', 'k', '', '', '', '2026-01-31 12:00:00', '', 7, 'stale')"
            )
        )
    schema.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE smtp_admin_webhook SET unreadable = unreadable + 1"))
        found = connection.execute(
            text(f"SELECT {before}, unreadable, last_unreadable_at, last_unreadable_why FROM"
                 " smtp_admin_webhook")
        ).one()  # fmt: skip
    assert tuple(found) == ("generic", "h", 7, "stale", 1, None, "")
    schema.downgrade(engine, "0027_provider_lists")
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT {before} FROM smtp_admin_webhook")).one()
    assert tuple(found) == ("generic", "h", 7, "stale")


def test_when_an_event_was_applied_keeps_its_time(engine: Engine) -> None:
    """Both ways; of one that waits the time says when it is tried, and nothing else."""
    schema.upgrade(engine, "0028_unreadable")
    with engine.begin() as connection:
        for number, state in enumerate(("applied", "waiting", "unknown"), 1):
            connection.execute(
                text(
                    "INSERT INTO smtp_admin_event (id, origin, identity, partner_id, sender_id,"
                    " kind, bounce, recipient, message_id, provider_id, code, words, received_at,"
                    f" state, tries, next_try_at) VALUES ({number}, 'bounces', '{number}', '', 1,"
                    " 'bounced', 'hard', '', '', '', '', '', '2026-01-30 12:00:00',"
                    f" '{state}', 0, '2026-01-31 12:00:00')"
                )
            )
    schema.upgrade(engine)
    wanted = datetime(2026, 1, 31, 12, tzinfo=UTC)
    told = select(MailEvent.applied_at).order_by(MailEvent.id)
    with engine.begin() as connection:
        assert list(connection.scalars(told)) == [wanted, None, None]
        connection.execute(update(MailEvent).values(next_try_at=wanted - timedelta(hours=1)))
    schema.downgrade(engine, "0028_unreadable")
    with engine.connect() as connection:
        tried = connection.scalars(select(MailEvent.next_try_at).order_by(MailEvent.id))
        assert list(tried) == [wanted, *[wanted - timedelta(hours=1)] * 2]


def test_of_several_reasons_the_strongest_goes_back(engine: Engine) -> None:
    """The tables of before have room for one; what an admin or a server did must hold."""
    schema.upgrade(engine)
    with engine.begin() as connection:
        for number, (address, reason) in enumerate(
            (("mia", "unsubscribe"), ("mia", "manual"), ("tom", "manual"), ("tom", "bounce"),
             ("zoe", "unsubscribe")), 1,
        ):  # fmt: skip
            row = {"partner_id": "acme", "address_hash": address, "address": address,
                   "category": "all", "reason": reason}  # fmt: skip
            connection.execute(Suppression.__table__.insert().values(id=number, **row))  # type: ignore[attr-defined]  # a Table
    schema.downgrade(engine, "0029_applied_at")
    kept = select(Suppression.address, Suppression.reason).order_by(Suppression.id)
    wanted = [("mia", "manual"), ("tom", "bounce"), ("zoe", "unsubscribe")]
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(kept)] == wanted
    schema.upgrade(engine)
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(kept)] == wanted


def test_what_people_did_gets_a_table_of_its_own(engine: Engine) -> None:
    """With who it was, where that is certain; what went from sender to sender stays where it is."""
    schema.upgrade(engine, "0031_provider_removals")
    at = [datetime(2026, 1, 31, 12, minute, 0, 250_000, tzinfo=UTC) for minute in range(4)]
    later = timedelta(microseconds=1)
    hops = (
        (1, 2, "fallback", at[0]), (2, 2, "retry", at[0]), (2, 2, "cancel", at[1]),
        (2, 2, "undo", at[2]), (2, 2, "corrected", at[3]),
    )  # fmt: skip
    audits = (
        ("mail.retried", "mia", at[0], "acme"), ("mail.retried", "tom", at[0] + later, "acme"),
        ("mail.cancelled", "mia", at[1] + later, "acme"),
        ("mail.cancelled", "tom", at[1] + later * 2, "acme"),
        ("mail.undone", "mia", at[2], "globex"), ("mail.corrected", "tom", at[3] + later, "acme"),
    )  # fmt: skip
    _one_mail(engine)
    with engine.begin() as connection:
        for before, after, kind, moment in hops:
            sides = {"from_sender_id": before, "to_sender_id": after, "reason": ""}
            connection.execute(insert(Hop).values(delivery_id=1, at=moment, kind=kind, **sides))
        for action, who, moment, partner_id in audits:
            actor = {"actor_id": f"{who}-id", "actor_email": who, "partner_id": partner_id}
            connection.execute(insert(Audit).values(at=moment, action=action, detail="", **actor))
    schema.upgrade(engine)
    acts = select(Act.delivery_id, Act.kind, Act.at, Act.actor_id, Act.actor_name).order_by(Act.id)
    moved = select(Hop.kind, Hop.from_sender_id, Hop.to_sender_id).order_by(Hop.id)
    wanted = [
        (1, "retry", at[0], "mia-id", "mia"),  # of that very moment
        (1, "cancel", at[1], "", ""),  # two may have done it
        (1, "undo", at[2], "", ""),  # nobody did, for this partner
        (1, "corrected", at[3], "tom-id", "tom"),  # it is written down a little later
    ]
    with engine.begin() as connection:
        assert [tuple(row) for row in connection.execute(acts)] == wanted
        assert [tuple(row) for row in connection.execute(moved)] == [("fallback", 1, 2)]
        batch = {"delivery_id": 1, "at": at[3], "kind": "batch_cancel"}
        connection.execute(insert(Act).values(**batch, actor_id="", actor_name=""))
    schema.downgrade(engine, "0031_provider_removals")
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(moved)] == [
            ("fallback", 1, 2), *((one[1], 2, 2) for one in wanted),
        ]  # fmt: skip
    schema.upgrade(engine)
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(acts)] == wanted
    schema.downgrade(engine, "0005_senders")  # which has no place for any of it


def test_who_did_it_is_looked_up_once_for_each_moment(tmp_path: Path) -> None:
    """Also where mail of several partners stands by turns: others wait for the upgrade to end."""
    engine = create_engine(sqlite_url(tmp_path))
    schema.upgrade(engine, "0031_provider_removals")
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    _one_mail(engine)
    with engine.begin() as connection:
        for number, partner_id in enumerate(("globex", "initech"), 2):
            row = {"message_pk": 1, "sender_id": 2, "recipient": "tom@example.org"}
            values = {"id": number, "partner_id": partner_id, **row}
            connection.execute(insert(Delivery).values(values))
        acts = [
            {"delivery_id": number % 3 + 1, "at": moment, "kind": "cancel", "reason": "",
             "from_sender_id": 2, "to_sender_id": 2} for number in range(60)
        ]  # fmt: skip
        connection.execute(insert(Hop), acts)
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *about: asked.append(about[2]))
    schema.upgrade(engine)
    assert sum("FROM smtp_admin_audit" in one for one in asked) == 3
    engine.dispose()


def _one_mail(engine: Engine) -> None:
    """Of acme's, by its sender 2, as any of our tables since batches came holds it."""
    mail = {"id": 1, "public_id": "a" * 32, "partner_id": "acme", "type_name": "", "subject": "",
            "content": b"", "size": 0, "message_id": "<a@b.example>"}  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(Sender).values(id=2, partner_id="acme", current_revision=0))
        connection.execute(insert(Message).values(mail))
        delivery = {"id": 1, "message_pk": 1, "sender_id": 2, "partner_id": "acme"}
        connection.execute(insert(Delivery).values(**delivery, recipient="mia@example.org"))


@pytest.mark.long
def test_from_wherever_one_goes_back_to_all_comes_again(engine: Engine) -> None:
    schema.upgrade(engine)
    for lower in (*reversed(schema.revisions()[:-1]), "base"):
        schema.downgrade(engine, lower)
        reached = schema.current(engine)
        schema.upgrade(engine)
        assert schema.differences(engine) == []
        schema.downgrade(engine, reached or "base")
        assert schema.current(engine) == reached


def test_files_are_named_and_ordered_as_alembic_takes_them() -> None:
    """At a start the names of the files are believed; Alembic reads what is in them."""
    config = Config()
    config.set_main_option("script_location", str(resources.folder("migrations")))
    config.set_main_option("path_separator", "os")
    steps = list(ScriptDirectory.from_config(config).walk_revisions())
    assert schema.revisions() == tuple(one.revision for one in reversed(steps))


def test_a_check_names_the_command(engine: Engine) -> None:
    with pytest.raises(SetupError, match="has no tables of smtp_admin yet") as none:
        schema.check(engine)
    assert none.value.hint == "Run `flask smtp-admin db upgrade`."
    assert not schema.is_current(engine)
    schema.upgrade(engine)
    schema.check(engine)
    assert schema.is_current(engine)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0000_old'"))
    with pytest.raises(
        SetupError, match="are at 0000_old, which this version of smtp_admin does not know"
    ):
        schema.check(engine)
    assert not schema.is_current(engine)


def test_a_database_that_is_away_is_not_current() -> None:
    away = create_engine("sqlite:////nowhere/at/all.db")
    assert not schema.is_current(away)
    away.dispose()


def test_times_and_texts_are_kept_exactly(engine: Engine) -> None:
    """Microseconds, and letters beyond three bytes."""
    schema.upgrade(engine)
    columns = {column["name"]: column for column in inspect(engine).get_columns("smtp_admin_audit")}
    assert set(columns) == {column.name for column in Base.metadata.tables["smtp_admin_audit"].c}
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO smtp_admin_audit (at, actor_id, actor_email, partner_id, action,"
                " detail) VALUES ('2026-01-31 12:00:00.123456', '', '', 'Zoë🐘', '', '')"
            )
        )
        at, partner_id = connection.execute(
            text("SELECT at, partner_id FROM smtp_admin_audit")
        ).one()
    assert str(at).startswith("2026-01-31 12:00:00.123456")
    assert partner_id == "Zoë🐘"


def test_sqlite_gets_a_write_ahead_log(tmp_path: Path) -> None:
    engine = create_engine(sqlite_url(tmp_path))
    schema.upgrade(engine)
    engine.dispose()
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    engine.dispose()


def host_metadata() -> MetaData:
    """What a host has; its own names stay clear of ours."""
    metadata = MetaData()
    orders = Table(
        "orders", metadata, Column("id", Integer, primary_key=True), Column("note", String(50))
    )
    Index("ix_orders_note", orders.c.note)
    return metadata


def proposals(engine: Engine, metadata: MetaData, *, guarded: bool) -> list[object]:
    """What the host's ``flask db migrate`` would write down."""
    options = {"target_metadata": metadata, "compare_type": True}
    if guarded:
        options["include_object"] = schema.include_object
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        script = produce_migrations(context, metadata)
    return list(script.upgrade_ops.as_diffs()) if script.upgrade_ops else []


def test_a_hosts_autogenerate_leaves_our_tables_alone(engine: Engine) -> None:
    metadata = host_metadata()
    metadata.create_all(engine)
    schema.upgrade(engine)
    assert proposals(engine, metadata, guarded=True) == []
    dropped = [diff for diff in proposals(engine, metadata, guarded=False) if diff]
    assert len(dropped) >= len(ours(engine)), "which is why the guard is there"


def test_the_guard_still_sees_the_hosts_own_changes(engine: Engine) -> None:
    host_metadata().create_all(engine)
    schema.upgrade(engine)
    changed = host_metadata()
    Table("invoices", changed, Column("id", Integer, primary_key=True))
    found = proposals(engine, changed, guarded=True)
    assert [diff[0] for diff in found if isinstance(diff, tuple)] == ["add_table"]


def test_the_hosts_own_versions_are_not_touched(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('hosts_own')"))
    schema.upgrade(engine)
    schema.downgrade(engine, "base")
    schema.upgrade(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "hosts_own"


def test_two_apps_in_one_process(new_app: Callable[..., HostApp]) -> None:
    """Each with its own database, keys and senders."""
    first, second = new_app(APP_NAME="First"), new_app(APP_NAME="Second")
    with ScriptedServer() as server:
        for host, name in ((first, "first"), (second, "second")):
            with host.app.app_context():
                host.save_sender("", port=server.port, from_email=f"{name}@acme.example")
        for host, name in ((second, "second"), (first, "first")):
            with host.app.app_context():
                queue(host, f"{name}@example.org", partner_id="")
        with first.app.app_context():
            first.work()
            assert [one.state for one in deliveries(first)] == ["sent"]
        with second.app.app_context():
            assert [one.state for one in deliveries(second)] == ["queued"]
            second.work()
        sent = {message.recipients[0]: message for message in server.messages}
        assert set(sent) == {"first@example.org", "second@example.org"}
        for name in ("first", "second"):
            message = sent[f"{name}@example.org"]
            assert message.mail_from == f"{name}@acme.example"
            assert f"From: {name.title()} <".encode() in message.data
    for host in (first, second):
        with host.app.app_context():
            host.db.session.remove()
            host.db.engine.dispose()


def test_mounting_never_touches_the_database() -> None:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:////nowhere/at/all.db"
    SMTPAdmin(host=Host()).init_app(app, SQLAlchemy(app))
