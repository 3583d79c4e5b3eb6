"""One path for all mail: what a type says holds wherever its mail comes from, and is asked once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from smtp_admin.clock import now
from smtp_admin.delivery.models import Message as Row
from smtp_admin.errors import MessageError
from smtp_admin.mail.types import TYPES, Registry
from smtp_admin.renewals import notices
from smtp_admin.renewals.values import RenewalValues
from smtp_admin.senders.routing import save_routes
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import letter
from tests.renewals.things import a_customer, a_service


@contextmanager
def statements(host: HostApp) -> Iterator[list[str]]:
    """What the host's engine is asked meanwhile."""
    asked: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(host.db.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(host.db.engine, "before_cursor_execute", note)


def from_addresses(host: HostApp) -> list[str | None]:
    session = host.db.session()
    return [row.from_email for row in session.query(Row).order_by(Row.id)]


def test_a_transaction_asks_for_the_sender_once(host: HostApp) -> None:
    host.save_sender()
    host.plugin.send_message(letter(), partner_id="acme")  # its revision is read once
    host.db.session.commit()
    for _ in range(2):  # and the next transaction asks anew
        with statements(host) as asked:
            for _ in range(5):
                host.plugin.send_message(letter(), partner_id="acme")
            host.db.session.commit()
        assert sum("smtp_admin_sender" in one for one in asked) == 1


def test_a_partner_of_the_systems_sender_is_looked_up_once(
    host: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.save_sender("")
    asked: list[str] = []
    partner = host.host.partner

    def note(partner_id: str) -> Any:
        asked.append(partner_id)
        return partner(partner_id)

    monkeypatch.setattr(host.host, "partner", note)
    for _ in range(3):
        host.plugin.send_message(letter(), partner_id="acme")
    assert asked == ["acme"]
    host.db.session.rollback()
    host.plugin.send_message(letter(), partner_id="acme")
    assert asked == ["acme", "acme"]


def test_settings_that_change_in_a_transaction_count_in_it(host: HostApp) -> None:
    host.save_sender(from_email="old@acme.example")
    host.plugin.send_message(letter(), partner_id="acme")
    host.save_sender(from_email="new@acme.example")  # commits, too
    host.plugin.send_message(letter(), partner_id="acme")
    host.db.session.commit()
    assert from_addresses(host) == ["old@acme.example", "new@acme.example"]


def test_routes_that_change_in_a_transaction_count_in_it(host: HostApp) -> None:
    host.save_sender()
    host.save_sender(key="news", from_email="news@acme.example")
    session = host.db.session()
    host.plugin.send_message(letter(), partner_id="acme")
    save_routes(session, "acme", {("type", "message"): "news"}, ADMIN)
    host.plugin.send_message(letter(), partner_id="acme")
    session.commit()
    assert from_addresses(host) == ["noreply@acme.example", "news@acme.example"]


def test_what_a_savepoint_saw_ends_with_it(host: HostApp) -> None:
    host.save_sender()
    host.save_sender(key="news", from_email="news@acme.example")
    session = host.db.session()
    with session.begin_nested() as savepoint:
        save_routes(session, "acme", {("type", "message"): "news"}, ADMIN)
        host.plugin.send_message(letter(), partner_id="acme")
        savepoint.rollback()
    host.plugin.send_message(letter(), partner_id="acme")
    session.commit()
    assert from_addresses(host) == ["noreply@acme.example"]


def test_another_transactions_settings_are_not_served(host: HostApp) -> None:
    """Saved by somebody else while this session is at rest."""
    host.save_sender(from_email="old@acme.example")
    host.plugin.send_message(letter(), partner_id="acme")
    session = host.db.session()
    session.commit()

    with host.app.app_context():
        host.save_sender(from_email="new@acme.example")
        host.db.session.remove()
    host.plugin.send_message(letter(), partner_id="acme")
    session.commit()
    assert from_addresses(host) == ["old@acme.example", "new@acme.example"]


def test_a_refusal_is_not_remembered(host: HostApp) -> None:
    with pytest.raises(MessageError):
        host.plugin.send_message(letter(), partner_id="nobody")
    with pytest.raises(MessageError):
        host.plugin.send_message(letter(), partner_id="nobody")


@pytest.fixture
def strict_type(host: HostApp) -> None:
    """Renewal mail with everything that a type may say."""
    here = host.installation
    types = Registry()
    for one in TYPES.of(here):
        if one.name == notices.TYPE:
            types.add(replace(one, sensitive=True, on_uncertain="hold", expires_hours=2))
        else:
            types.add(one)
    TYPES.put(here, types)


@pytest.mark.usefixtures("strict_type")
def test_a_notice_obeys_its_type(host: HostApp) -> None:
    sender = host.save_sender()
    customer = a_customer(a_service(now=now()))
    message = notices.compose(customer, customer.services, RenewalValues(), "T" * 32)
    mail = notices.outgoing(message, sender, "acme", customer.services, now(), on_demand=False)
    assert (mail.sensitive, mail.on_uncertain, mail.priority) == (True, "hold", 2)
    assert mail.expires_at is not None
    assert timedelta(hours=1, minutes=59) < mail.expires_at - now() <= timedelta(hours=2)


def test_a_notice_does_not_outlive_what_it_is_about(host: HostApp) -> None:
    sender = host.save_sender()
    customer = a_customer(a_service(now=now()))
    message = notices.compose(customer, customer.services, RenewalValues(), "T" * 32)
    mail = notices.outgoing(message, sender, "acme", customer.services, now(), on_demand=True)
    last = max(one.expires_at for one in customer.services)
    assert mail.expires_at == min(last, mail.expires_at or last)
    assert mail.priority == 1
