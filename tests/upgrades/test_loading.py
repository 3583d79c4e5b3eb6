"""The database of commit adae1df can be loaded, and what is expected of it is really there.

Plain SQL only: the models have moved on, and an upgrade is tested elsewhere.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine, create_engine, inspect, text

from smtp_admin.clock import now
from tests.servers.databases import MariaDB, PostgreSQL, sqlite_url
from tests.upgrades.loading import KINDS, Kind, back_then, expected, load

#: What is expected, but no column of the table.
EXTRA = {
    "message": {"name"},
    "sender_revision": {"partner_id", "password", "sealed_with", "to_current"},
    "worker_test": {"password", "sealed_with"},
}
INSERTS = (
    (
        "sender",
        "partner_id, current_revision, pause_code, pause_reason, pauses, refusals",
        "'next', 0, '', '', 0, 0",
    ),
    (
        "audit",
        "at, actor_id, actor_email, partner_id, action, detail",
        "'2026-12-01 12:00:00', '1', 'a@b.example', '', 'looked', ''",
    ),
)
BOUND_TO = ("driver", "host", "port", "security", "verify_tls", "username")


@pytest.fixture(scope="module", params=KINDS)
def loaded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """The old database, on each kind; the tests leave its rows as they are."""
    kind: Kind = request.param
    if kind == "sqlite":
        address = sqlite_url(tmp_path_factory.mktemp("upgrades"))
    else:
        server: PostgreSQL | MariaDB = request.getfixturevalue(kind)
        address = server.create_database()
    load(address, kind)
    engine = create_engine(address)
    yield engine
    engine.dispose()


def rows(engine: Engine, table: str) -> list[dict[str, Any]]:
    """A whole table."""
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM smtp_admin_{table}")).mappings().all()
    return [dict(row) for row in found]


def plain(value: Any, wanted: Any) -> Any:
    """A value as drivers give it, as JSON says the same."""
    if isinstance(value, bytes):
        return {"length": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(wanted, bool):
        return bool(value)
    if isinstance(wanted, float):
        return pytest.approx(value, rel=1e-4)  # MariaDB's FLOAT has six digits
    if isinstance(value, str) and isinstance(wanted, str) and wanted.endswith("+00:00"):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        value = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        return value.isoformat(timespec="microseconds")
    return value


def tables() -> list[str]:
    """Every table of the time."""
    others = {"commit", "schema", "made_at", "keys", "history"}
    return [name for name in expected() if name not in others]


def test_these_tables_and_no_others(loaded: Engine) -> None:
    names = {f"smtp_admin_{name}" for name in (*tables(), "alembic_version")}
    assert set(inspect(loaded).get_table_names()) == names
    assert rows(loaded, "alembic_version") == [{"version_num": expected()["schema"]}]


@pytest.mark.parametrize("table", tables())
def test_every_row_is_there(loaded: Engine, table: str) -> None:
    wanted = expected()[table]
    assert wanted, "a table that nothing is in would prove nothing"
    keys = inspect(loaded).get_pk_constraint(f"smtp_admin_{table}")["constrained_columns"]
    found = {
        tuple(plain(row[key], wanted[0][key]) for key in keys): row for row in rows(loaded, table)
    }
    assert len(found) == len(wanted)
    for one in wanted:
        row = found[tuple(one[key] for key in keys)]
        assert row.keys() - one.keys() <= {"password_sealed"}
        assert one.keys() - row.keys() == EXTRA.get(table, set())
        for name in row.keys() & one.keys():
            assert one[name] == plain(row[name], one[name]), (one, name)


def opened(row: dict[str, Any], owner: str, key: str) -> str:
    """A password as it was sealed at the time: version, fingerprint of the key, nonce and text."""
    version, fingerprint, body = row["password_sealed"].split(".")
    secret = base64.urlsafe_b64decode(key)
    assert version == "v1"
    assert fingerprint == hashlib.sha256(b"smtp_admin key " + secret).hexdigest()[:8]
    destination = [row[name] for name in BOUND_TO]
    destination[4] = bool(destination[4])
    binding = json.dumps(["smtp_admin secret", "v1", owner, destination]).encode()
    raw = base64.urlsafe_b64decode(body)
    return AESGCM(secret).decrypt(raw[:12], raw[12:], binding).decode()


@pytest.mark.parametrize("table", ["sender_revision", "worker_test"])
def test_passwords_open_with_their_keys(loaded: Engine, table: str) -> None:
    sealed = {row["id"]: row for row in rows(loaded, table)}
    keys, used = expected()["keys"], set()
    for one in expected()[table]:
        if one["password"] is None:
            assert sealed[one["id"]]["password_sealed"] is None
            continue
        used.add(one["sealed_with"])
        found = opened(sealed[one["id"]], one["partner_id"], keys[one["sealed_with"]])
        assert found == one["password"]
    assert used == (set(keys) if table == "sender_revision" else {"newest"})


def test_ids_go_on_after_the_highest(loaded: Engine) -> None:
    highest = {
        name: max(one["id"] for one in expected()[name])
        for name in tables()
        if "id" in expected()[name][0]
    }
    with loaded.connect() as connection:
        for table, columns, values in INSERTS:
            connection.execute(
                text(f"INSERT INTO smtp_admin_{table} ({columns}) VALUES ({values})")
            )
            newest = connection.scalar(text(f"SELECT max(id) FROM smtp_admin_{table}"))
            assert newest == highest[table] + 1
        connection.rollback()
        if loaded.dialect.name == "postgresql":
            # The others look at the rows; here each table has a sequence.
            for table, id_ in highest.items():
                sequence = f"pg_get_serial_sequence('smtp_admin_{table}', 'id')"
                following = connection.scalar(text(f"SELECT nextval({sequence})"))
                assert following is not None
                assert following > id_


def test_what_is_expected_is_worth_it() -> None:
    """Each state that a later version must know what to do with."""
    told = expected()
    names = {one["id"]: one["name"] for one in told["message"]}
    states: dict[str, set[str]] = {}
    for one in told["delivery"]:
        states.setdefault(names[one["message_id"]], set()).add(one["state"])
    assert set().union(*states.values()) == {
        "queued", "sending", "uncertain", "dead", "sent", "cancelled", "expired"
    }  # fmt: skip
    assert states["three recipients"] == {"sent", "dead", "queued"}
    unstamped = {one["name"] for one in told["message"] if one["from_email"] is None}
    assert unstamped == {
        "without From, of the system",
        "without From, of a partner without a sender",
        "without From, adopted",
    }
    assert all(states[name] == {"queued"} for name in unstamped)
    assert {one["priority"] for one in told["delivery"]} == {0, 1, 2}
    assert {one["span"] for one in told["counter"]} == {1, 60, 1440}
    assert {one["restores"] for one in told["sender_revision"]} == {None, 1}
    assert any(one["copy_of"] for one in told["message"])
    assert {one["state"] for one in told["delivery"] if one["fallback_of"]} == {"queued", "sent"}
    assert {one["state"] for one in told["renewal_notice"]} == {
        "waiting", "accepted", "refused", "dropped"
    }  # fmt: skip


def test_the_clock_can_be_taken_back() -> None:
    made_at = datetime.fromisoformat(expected()["made_at"])
    with back_then(later=timedelta(minutes=5)):
        assert timedelta() <= now() - made_at - timedelta(minutes=5) < timedelta(minutes=1)
