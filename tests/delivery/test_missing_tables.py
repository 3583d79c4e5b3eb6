"""Sending before the tables are there, or with older ones: the error names the command."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from smtp_admin import Message, SetupError, schema
from tests.app import HostApp

MAIL = Message(subject="Hello", recipients=["sam@else.example"], body="Hello")
RESET = {"name": "Sam", "reset_url": "https://shop.example/r", "expires_minutes": 60}
COMMAND = "flask smtp-admin db upgrade"

CALLS: dict[str, Callable[[HostApp], Any]] = {
    "send": lambda host: host.plugin.send("password_reset", to="sam@else.example", context=RESET),
    "send_message": lambda host: host.plugin.send_message(MAIL),
    "mail.send": lambda host: host.plugin.mail.send(MAIL),
    "mail.send_message": lambda host: host.plugin.mail.send_message(
        "Hello", ["sam@example.com"], "Good morning.", sender="me@example.com"
    ),
    "retry": lambda host: host.plugin.retry("0" * 32),
    "cancel": lambda host: host.plugin.cancel("0" * 32),
}


def test_the_error_of_each_call_names_the_command(each: HostApp) -> None:
    schema.downgrade(each.db.engine, "base")
    for name, call in CALLS.items():
        with pytest.raises(SetupError, match="no tables of smtp_admin yet") as caught:
            call(each)
        assert COMMAND in str(caught.value), name
        each.db.session.rollback()


def test_tables_of_an_older_version_are_named(each: HostApp) -> None:
    with each.db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE smtp_admin_message RENAME COLUMN subject TO title"))
        connection.execute(text("UPDATE smtp_admin_alembic_version SET version_num = '0003_x'"))
    with pytest.raises(SetupError, match="0003_x"):
        each.plugin.send_message(MAIL)


def test_an_error_about_other_tables_stays_what_it_is(
    each: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def partner(_partner_id: str) -> None:
        each.db.session.execute(text("SELECT 1 FROM shop_companies"))

    monkeypatch.setattr(each.host, "partner", partner)
    with pytest.raises(Exception, match="shop_companies") as caught:
        each.plugin.send_message(MAIL, partner_id="nobody")
    assert not isinstance(caught.value, SetupError)


def test_while_all_is_well_the_version_is_not_asked_for(each: HostApp) -> None:
    asked: list[str] = []
    event.listen(each.db.engine, "before_cursor_execute",
                 lambda *words: asked.append(words[2]))  # fmt: skip
    each.plugin.send_message(MAIL)
    each.db.session.commit()
    assert asked
    assert not [one for one in asked if "alembic" in one]
