"""Hand-overs of before become hops, and copies get the id that callers know; and all of it back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text

from smtp_admin import schema
from tests.servers.databases import MariaDB, PostgreSQL, sqlite_url
from tests.upgrades.loading import KINDS, Kind, load

_GONE = {"message_id", "fallback_of", "fallback_reason"}


@pytest.fixture(params=KINDS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The database that commit adae1df left behind, on each kind."""
    kind: Kind = request.param
    if kind == "sqlite":
        address = sqlite_url(tmp_path)
    else:
        server: PostgreSQL | MariaDB = request.getfixturevalue(kind)
        address = server.create_database()
    load(address, kind)
    engine = create_engine(address)
    yield engine
    engine.dispose()


def rows(engine: Engine, table: str) -> dict[int, dict[str, Any]]:
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM smtp_admin_{table}")).mappings()
        return {row["id"]: dict(row) for row in found}


def test_up_and_down(old: Engine) -> None:
    schema.upgrade(old, "0005_senders")
    mails, deliveries = rows(old, "message"), rows(old, "delivery")
    moved = {one["id"]: one for one in deliveries.values() if one["fallback_of"]}
    copies = {one["id"]: one["copy_of"] for one in mails.values() if one["copy_of"]}
    assert moved
    assert copies

    schema.upgrade(old)
    assert schema.differences(old) == []
    schema.downgrade(old, "0006_hops")
    hops = {one["delivery_id"]: one for one in rows(old, "hop").values()}
    assert {
        number: (one["from_sender_id"], one["to_sender_id"], one["reason"], one["kind"])
        for number, one in hops.items()
    } == {
        number: (one["fallback_of"], one["sender_id"], one["fallback_reason"], "fallback")
        for number, one in moved.items()
    }
    for number, one in rows(old, "delivery").items():
        before = deliveries[number]
        assert (one.pop("message_pk"), one.pop("archive")) == (before["message_id"], False)
        assert one == {name: value for name, value in before.items() if name not in _GONE}
    for number, one in rows(old, "message").items():
        first = copies.get(number, number)
        assert one.pop("public_id") == mails[first]["public_id"]
        assert (one.pop("envelope_from"), one.pop("sender_head")) == (None, None)
        assert one == {name: value for name, value in mails[number].items() if name != "public_id"}

    schema.downgrade(old, "0005_senders")
    assert rows(old, "delivery") == deliveries
    after = rows(old, "message")
    assert len({one["public_id"] for one in after.values()}) == len(mails), "each has its own"
    for number, one in after.items():
        if number in copies:
            one["public_id"] = mails[number]["public_id"]
    assert after == mails


def test_a_host_that_enforces_foreign_keys_on_sqlite(tmp_path: Path) -> None:
    """Tables are made anew there, and the old ones dropped while others refer to them."""
    engine = create_engine(sqlite_url(tmp_path))
    load(engine, "sqlite")
    engine.dispose()

    def enforce(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA foreign_keys=ON")

    event.listen(engine, "connect", enforce)
    deliveries = rows(engine, "delivery")
    schema.upgrade(engine)
    assert rows(engine, "delivery").keys() == deliveries.keys()
    schema.downgrade(engine, "0005_senders")
    assert rows(engine, "delivery") == deliveries
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1, "as the host wants it"
    engine.dispose()
