"""Who steps in for a sender that cannot send, in which order, and what the mail looks like then."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from smtp_admin.clock import now
from smtp_admin.database import SYSTEM
from smtp_admin.delivery import actions
from smtp_admin.delivery.maintenance import fallback
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.mail.testmail import queue_test_mail
from smtp_admin.senders.models import Sender
from smtp_admin.senders.pauses import pause as pause_by_hand
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.routing import save_routes
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import (
    deliveries,
    hops,
    letter,
    queue,
    row_of,
    rows_of,
    sender_row,
    step_in,
)

HEADERS = (("X-Stream", "outbound"), ("X-Tenant", "acme"))


def pause(host: HostApp, partner_id: str = "acme", key: str = "", code: str = "timeout") -> None:
    session = host.db.session()
    which = (Sender.partner_id == partner_id, Sender.key == key)
    paused = {"paused_until": now() + timedelta(minutes=15), "pause_code": code}
    reason = {"pause_reason": f"{key or 'default'} is away."}
    session.execute(update(Sender).where(*which).values(**paused, **reason))
    session.commit()


def resume(host: HostApp, partner_id: str = "acme", key: str = "") -> None:
    session = host.db.session()
    which = (Sender.partner_id == partner_id, Sender.key == key)
    session.execute(update(Sender).where(*which).values(paused_until=None))
    session.commit()


def several(host: HostApp, **default: Any) -> None:
    """The system's sender, and three of acme's: default, second, third."""
    host.save_sender("", from_email="mail@platform.example")
    for key in ("second", "third"):
        host.save_sender("acme", key=key, from_email=f"{key}@acme.example")
    host.save_sender("acme", **default)


def at(host: HostApp) -> list[tuple[str, str]]:
    """With whom each delivery is: partner and key."""
    session = host.db.session()
    session.rollback()
    rows = (session.get_one(Sender, one.sender_id) for one in deliveries(host))
    return [(row.partner_id, row.key) for row in rows]


def test_the_first_of_the_list_that_can_send_steps_in(each: HostApp) -> None:
    several(each, fallbacks=("second", "third", "system"))
    public_id = queue(each)
    pause(each)
    pause(each, key="second")
    assert step_in(each) == 1
    assert at(each) == [("acme", "third")]
    (hop,) = hops(each)
    assert (hop.from_sender_id, hop.to_sender_id) == (
        sender_row(each).id,
        sender_row(each, "acme", "third").id,
    )
    assert (hop.kind, hop.reason) == ("fallback", "default is away.")
    row = row_of(each, public_id)
    assert row.from_email == "third@acme.example"
    assert step_in(each) == 0


def test_a_test_mail_never_goes_by_another_sender(each: HostApp) -> None:
    """It would hide that this sender does not work."""
    several(each, fallbacks=("second", "system"))
    session = each.db.session()
    queue_test_mail(session, "acme", "sam@customer.example", ADMIN)
    session.commit()
    pause(each)
    assert step_in(each) == 0
    assert at(each) == [("acme", "")]


def test_the_list_of_the_first_sender_counts_all_the_way(each: HostApp) -> None:
    """And each sender has a mail once, also when it is well again."""
    several(each, fallbacks=("second", "third", "system"))
    each.save_sender("acme", key="second", fallbacks=("default",), from_email="2@acme.example")
    public_id = queue(each)
    message_id = row_of(each, public_id).message_id
    for key in ("", "second", "third"):
        pause(each, key=key)
        assert step_in(each) == 1
    assert at(each) == [("", "")]
    row = row_of(each, public_id)
    assert (row.from_email, row.message_id) == ("mail@platform.example", message_id)
    resume(each)
    pause(each, SYSTEM)
    assert step_in(each) == 0, "everybody has had it"
    assert [hop.reason for hop in hops(each)] == [
        "default is away.",
        "second is away.",
        "third is away.",
    ]
    ((listed, *_),) = actions.show_mail(each.db.session(), public_id)
    assert [(one.from_sender, one.to_sender) for one in listed.hops] == [
        ("the default sender", "the sender second"),
        ("the sender second", "the sender third"),
        ("the sender third", "the system's sender"),
    ]
    assert str(listed.hops[0]) == (
        "by the sender second instead of the default sender, because: default is away."
    )
    (same,) = actions.list_mail(each.db.session())
    assert same == listed


def test_a_sender_at_its_limit_keeps_its_mail(host: HostApp) -> None:
    several(host, fallbacks=("second",))
    queue(host)
    pause(host, code="rate_limited")
    assert step_in(host) == 0


def test_a_pause_of_a_persons_own_is_one(host: HostApp) -> None:
    several(host, fallbacks=("second",))
    queue(host)
    session = host.db.session()
    pause_by_hand(session, load_sender(session, "acme"), ADMIN)
    session.commit()
    assert step_in(host) == 1


def test_nobody_of_the_list_can_send(host: HostApp) -> None:
    several(host, fallbacks=("second", "system"))
    queue(host)
    for key in ("", "second"):
        pause(host, key=key)
    pause(host, SYSTEM)
    assert step_in(host) == 0
    resume(host, SYSTEM)
    assert step_in(host) == 1
    assert at(host) == [("", "")]


def test_mail_that_nobody_can_take_hides_none_behind_it(
    host: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some has been everywhere already and stays first in line."""
    monkeypatch.setattr(fallback, "_AT_ONCE", 2)
    several(host, fallbacks=("second",))
    for _ in range(5):
        queue(host)
    pause(host)
    assert [step_in(host) for _ in range(3)] == [2, 2, 1]
    host.save_sender("acme", key="second", fallbacks=("third",), from_email="2@acme.example")
    queue(host, sender="second")
    pause(host, key="second")
    assert step_in(host) == 1
    assert at(host) == [("acme", "second")] * 5 + [("acme", "third")]


def test_the_systems_sender_is_the_one_that_its_routes_name(host: HostApp) -> None:
    several(host, fallbacks=("system",))
    host.save_sender("", key="bulk", from_email="bulk@platform.example")
    session = host.db.session()
    save_routes(session, SYSTEM, {("type", "message"): "bulk"}, ADMIN)
    session.commit()
    queue(host)
    context = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}
    host.plugin.send("password_reset", to="a@example.org", partner_id="acme", context=context)
    host.db.session.commit()
    pause(host)
    assert step_in(host) == 2
    assert at(host) == [("", "bulk"), ("", "")]


def test_others_of_the_systems_senders_step_in_for_one_of_them(host: HostApp) -> None:
    host.save_sender("", key="spare", from_email="spare@platform.example")
    host.save_sender("", fallbacks=("spare",))
    queue(host, partner_id="globex")
    pause(host, SYSTEM)
    assert step_in(host) == 1
    assert at(host) == [("", "spare")]


def test_everything_of_the_sender_is_exchanged_and_nothing_of_the_mail(each: HostApp) -> None:
    several(
        each,
        fallbacks=("second",),
        headers=HEADERS,
        reply_to="help@acme.example",
        envelope_from="bounce@acme.example",
    )
    each.save_sender(
        "acme",
        key="second",
        from_email="second@acme.example",
        from_name="Second",
        headers=(("X-Pool", "two"),),
        envelope_from="bounce2@acme.example",
    )
    message = letter("a@example.org", extra_headers={"X-Campaign": "spring"})
    public_id = each.plugin.send_message(message, partner_id="acme")
    each.db.session.commit()
    before = row_of(each, public_id)
    first, head = before.content, before.sender_head or 0
    assert before.envelope_from == "bounce@acme.example"
    pause(each)
    assert step_in(each) == 1
    after = row_of(each, public_id)
    assert after.envelope_from == "bounce2@acme.example"
    assert after.size == len(after.content)
    assert after.content == (
        b"From: Second <second@acme.example>\r\nReply-To: help@acme.example\r\nX-Pool: two\r\n"
        + first[head:]
    )
    assert b"X-Campaign: spring" in after.content
    assert b"X-Tenant" not in after.content


@pytest.mark.parametrize(
    ("own", "of_first", "of_second", "expected"),
    [
        ("me@acme.example", "help@acme.example", "two@acme.example", "me@acme.example"),
        (None, "help@acme.example", "two@acme.example", "two@acme.example"),
        (None, "help@acme.example", "", "help@acme.example"),
        (None, "", "", "noreply@acme.example"),
    ],
)
def test_where_answers_go(
    host: HostApp, own: str | None, of_first: str, of_second: str, expected: str
) -> None:
    several(host, fallbacks=("second",), reply_to=of_first)
    host.save_sender("acme", key="second", from_email="2@acme.example", reply_to=of_second)
    public_id = host.plugin.send_message(letter(reply_to=own), partner_id="acme")
    host.db.session.commit()
    pause(host)
    assert step_in(host) == 1
    content = row_of(host, public_id).content
    assert content.count(b"Reply-To:") == 1
    assert f"Reply-To: {expected}\r\n".encode() in content


def test_mail_of_before_the_length_of_the_senders_headers_was_kept(host: HostApp) -> None:
    several(host, fallbacks=("second",), reply_to="help@acme.example")
    public_id = queue(host)
    session = host.db.session()
    session.execute(update(Message).values(sender_head=None))
    session.commit()
    pause(host)
    assert step_in(host) == 1
    content = row_of(host, public_id).content
    assert content.startswith(b"From: Acme GmbH <second@acme.example>\r\nReply-To: help@acme")
    assert (content.count(b"From:"), content.count(b"Reply-To:")) == (1, 1)


def test_copies_for_some_of_the_recipients_have_the_id_that_callers_know(each: HostApp) -> None:
    several(each, fallbacks=("second",))
    public_id = queue(each, "a@example.org", "b@example.org")
    session = each.db.session()
    maybe = update(Delivery).where(Delivery.recipient == "b@example.org")
    session.execute(maybe.values(uncertains=1))
    session.commit()
    pause(each)
    assert step_in(each) == 1
    first, copy = rows_of(each, public_id)
    assert (copy.copy_of, copy.idempotency_key) == (first.id, None)
    assert {one.message_pk for one in deliveries(each)} == {first.id, copy.id}
    shown = actions.show_mail(each.db.session(), public_id)
    assert [(one.public_id, one.recipient, len(one.hops)) for one, *_ in shown] == [
        (public_id, "a@example.org", 1),
        (public_id, "b@example.org", 0),
    ]


def test_mail_without_a_from_address_goes_as_well(host: HostApp) -> None:
    """It was handed to a sender that paused before it could send it."""
    public_id = queue(host)
    several(host, fallbacks=("second",))
    assert at(host) == [("acme", "")]
    before = row_of(host, public_id).content
    pause(host)
    assert step_in(host) == 1
    row = row_of(host, public_id)
    assert row.from_email == "second@acme.example"
    # The Message-ID gets the domain that it lacked; nobody has seen it before.
    assert row.content.endswith(before.replace(b"@localhost.invalid>", b"@acme.example>"))
