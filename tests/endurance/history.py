"""What the database itself remembers of every change, written by triggers.

A worker that did a thing twice and left the right result would pass every look at the result.
"""

from collections import Counter as Tally

from sqlalchemy import Engine, text

from smtp_admin.delivery.states import STATES, may

__all__ = ["broken_rules", "changes", "remember"]

_TABLE = """
CREATE TABLE endurance_history (
    number {key}, thing VARCHAR(10), row_id INTEGER,
    state_before VARCHAR(12), state_after VARCHAR(12),
    lease_before VARCHAR(32), lease_after VARCHAR(32))
"""
_NOTE = """
INSERT INTO endurance_history (thing, row_id, state_before, state_after, lease_before, lease_after)
VALUES ({values});
"""
_DELIVERY = "'delivery', NEW.id, OLD.state, NEW.state, OLD.lease, NEW.lease"
_LANE = "'lane', NEW.id, '', '', OLD.lease, NEW.lease"
_WATCHED = {
    "delivery": (_DELIVERY, "OLD.state <> NEW.state OR {other}"),
    "lane": (_LANE, "{other}"),
}
#: For each kind of database: its key that counts up, and how it says that a lease is another.
_WORDS = {
    "postgresql": ("BIGSERIAL PRIMARY KEY", "OLD.lease IS DISTINCT FROM NEW.lease"),
    "mysql": ("BIGINT AUTO_INCREMENT PRIMARY KEY", "NOT (OLD.lease <=> NEW.lease)"),
    "sqlite": ("INTEGER PRIMARY KEY", "OLD.lease IS NOT NEW.lease"),
}


def remember(engine: Engine) -> None:
    """Begin to write down every change of a delivery's state and of a lease."""
    kind = engine.dialect.name
    key, other = _WORDS[kind]
    with engine.begin() as connection:
        connection.execute(text(_TABLE.format(key=key)))
        for name, (values, condition) in _WATCHED.items():
            note, changed = _NOTE.format(values=values), condition.format(other=other)
            when = f" WHEN ({changed})"
            if kind == "postgresql":
                connection.exec_driver_sql(
                    f"CREATE FUNCTION endurance_{name}() RETURNS trigger LANGUAGE plpgsql AS"
                    f" $$ BEGIN {note} RETURN NULL; END $$"
                )
                action = f"EXECUTE FUNCTION endurance_{name}()"
            elif kind == "mysql":
                when, action = "", f"BEGIN IF {changed} THEN {note} END IF; END"
            else:
                action = f"BEGIN {note} END"
            connection.exec_driver_sql(
                f"CREATE TRIGGER endurance_{name} AFTER UPDATE ON smtp_admin_{name}"
                f" FOR EACH ROW{when} {action}"
            )


def changes(engine: Engine) -> int:
    """How many changes there were so far."""
    with engine.begin() as connection:
        return int(connection.execute(text("SELECT count(*) FROM endurance_history")).scalar_one())


def broken_rules(engine: Engine) -> list[str]:
    """Every change that no worker may ever make; in words, for the message of a failed test."""
    with engine.begin() as connection:
        rows = connection.execute(
            text(
                "SELECT thing, row_id, state_before, state_after, lease_before, lease_after"
                " FROM endurance_history ORDER BY number"
            )
        ).all()
    broken = []
    sent: Tally[int] = Tally()
    names = {str(state): state for state in STATES}
    for thing, row_id, before, after, lease_before, lease_after in rows:
        what = f"{thing} {row_id}: {before} → {after}, lease {lease_before} → {lease_after}"
        if lease_before and lease_after and lease_before != lease_after:
            broken.append(f"{what}: taken from a holder that nobody had looked after")
        if thing != "delivery":
            continue
        if before != after and not may(names[before], names[after]):
            broken.append(f"{what}: no such way from state to state")
        if (after == "sending") != bool(lease_after):
            broken.append(f"{what}: held without being sent, or sent without being held")
        sent[row_id] += before != after == "sent"
    broken += [
        f"delivery {row_id}: sent {count} times" for row_id, count in sent.items() if count > 1
    ]
    return broken
