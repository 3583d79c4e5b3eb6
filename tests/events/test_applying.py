"""What becomes of mail by what is told of it, whatever comes first, twice, or from whom."""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select, update

from smtp_admin import signals
from smtp_admin.clock import now, shifted
from smtp_admin.database import database_now, host_engine, transaction
from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.maintenance.settle_unknown import settle_unknown
from smtp_admin.delivery.models import Counter, Delivery, Message
from smtp_admin.delivery.states import STATES, State, may
from smtp_admin.events import applying
from smtp_admin.events.applied import Applied
from smtp_admin.events.applying import apply_waiting
from smtp_admin.events.event import Event, Kind
from smtp_admin.events.models import MailEvent
from smtp_admin.events.queries import turned
from smtp_admin.events.storing import Origin, keep
from smtp_admin.senders.resolve import load_sender
from tests.delivery.conftest import NewHost, shared_database
from tests.events.conftest import Hook
from tests.events.hooking import Hooked
from tests.patience import SECONDS
from tests.test_beginning_again import until_it_waits

__all__ = ["shared_database"]

#: What may happen to a mail, our own commit of its result included.
HAPPENS = ("our commit", "deferred", "delivered", "bounced", "complained", "opened")


def tell(site: Hooked, *events: Event, partner_id: str = "acme", name: str = "sender 1") -> None:
    """Keep events as if they had come by a webhook of this owner."""
    session = site.host.db.session()
    sender = load_sender(session, partner_id)
    keep(session, Origin(name, partner_id, sender.sender_id), events)
    session.commit()


def event(kind: Kind, mail: Delivery | None = None, **more: Any) -> Event:
    """An event with an id of its own."""
    fields: dict[str, Any] = {"identity": uuid4().hex}
    if mail is not None:
        fields |= {"recipient": mail.recipient, "provider_id": mail.provider_message_id}
    return Event(kind, **(fields | more))


def test_every_order_ends_alike(each: Hooked) -> None:
    """All 720 orders, every event told twice, applied by two workers at once."""
    orders = list(itertools.permutations(HAPPENS))
    each.host.save_sender("acme")
    ids = _prepare(each, len(orders))
    for turn in range(len(HAPPENS)):
        told: list[Event] = []
        committed: list[int] = []
        for number, order in enumerate(orders):
            what = order[turn]
            if what == "our commit":
                committed.append(ids[number])
                continue
            told += [
                Event(what, f"{number} {what} {copy}", "to@example.org",  # type: ignore[arg-type]
                      provider_id=f"p{number}")
                for copy in range(2)
            ]  # fmt: skip
        tell(each, *told)
        with transaction(each.engine) as session:
            session.execute(
                update(Delivery)
                .where(Delivery.id.in_(committed), Delivery.state == "sending")
                .values(state="sent", finished_at=now(), lease=None)
            )
        _two_workers(each)
    # What waited for our commit is looked at once more.
    for later in range(0, 40, 3):
        with shifted(timedelta(seconds=later)):
            _two_workers(each)
    with transaction(each.engine) as session:
        states = session.execute(select(Delivery.state, func.count()).group_by(Delivery.state))
        assert [(row[0], row[1]) for row in states] == [("complained", len(orders))]
        waiting = session.scalar(select(func.count()).where(MailEvent.state != "applied"))
        assert waiting == 0
        counted = session.execute(select(func.sum(Counter.bounced), func.sum(Counter.complained)))
        bounced, complained = counted.one()
    # Each is counted once as what it came to; as bounced too where that was told before.
    assert complained == len(orders)
    assert 0 < bounced < len(orders)
    numbers = each.host.client.get("/api/email/status?partner_id=acme").json
    assert numbers
    assert (numbers["bounced_24h"], numbers["complained_24h"]) == (bounced, complained)
    # And the log has these, by their events.
    with transaction(each.engine) as session:
        for kind, number in (("bounced", bounced), ("complained", complained)):
            since = now() - timedelta(hours=1)
            listed = select(func.count()).where(turned(kind, since))  # type: ignore[arg-type]
            assert session.scalar(listed) == number, kind


def _prepare(site: Hooked, count: int) -> list[int]:
    """So many mails that a worker is sending."""
    sender_id = load_sender(site.host.db.session(), "acme").sender_id
    site.host.db.session.rollback()
    with transaction(site.engine) as session:
        message = Message(
            public_id=uuid4().hex, partner_id="acme", type_name="ready", subject="x", content=b"x",
            size=1, message_id="<x@acme.example>", from_email="a@acme.example",
        )  # fmt: skip
        session.add(message)
        session.flush()
        session.execute(
            insert(Delivery),
            [
                {"message_pk": message.id, "sender_id": sender_id, "partner_id": "acme",
                 "recipient": "to@example.org", "domain": "example.org", "mailbox": "to",
                 "state": "sending", "lease": "ours", "provider_message_id": f"p{number}"}
                for number in range(count)
            ],
        )  # fmt: skip
        return list(session.scalars(select(Delivery.id).order_by(Delivery.id)))


def _two_workers(site: Hooked) -> None:
    failed: list[Exception] = []

    def work() -> None:
        try:
            with site.host.app.app_context():
                apply_waiting(site.engine)
        except Exception as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    threads = [Thread(target=work) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failed


def test_who_waited_for_a_mail_is_later(opened: NewHost, hook: Hook, shared_database: str) -> None:
    """What came first is told by the times of events, and counted by who had the mail first."""
    site = hook(opened(uri=shared_database))
    site.host.save_sender("acme")
    (mail,) = site.sent(provider_id="p1")
    tell(site, event("bounced", mail))
    with ThreadPoolExecutor(1) as threads:
        with transaction(site.engine) as session:
            session.execute(select(Delivery.id).where(Delivery.id == mail.id).with_for_update())
            applying = threads.submit(_two_workers, site)
            until_it_waits(site.host.db.engine)
            then = database_now(session)
        applying.result(SECONDS)
    (applied,) = site.events()
    assert applied.applied_at is not None
    assert applied.applied_at >= then


LADDER: tuple[State, ...] = ("sent", "delivered", "bounced", "complained")


def test_from_every_state(hooked: Hooked) -> None:
    """Only up the ladder; what was cancelled or never sent stays so."""
    hooked.host.save_sender("acme")
    expected: dict[int, tuple[str, str, str]] = {}
    kinds: tuple[Kind, ...] = (
        "delivered", "deferred", "bounced", "complained", "opened", "unsubscribed",
    )  # fmt: skip
    for before, kind in itertools.product(STATES, kinds):
        (mail,) = hooked.sent(state=before, provider_id=uuid4().hex)
        tell(hooked, event(kind, mail))
        after = kind if kind in LADDER and may(before, kind) else before
        expected[mail.id] = (before, kind, after)
    hooked.apply()
    for delivery_id, (was, told, wanted) in expected.items():
        assert hooked.row(delivery_id).state == wanted, (was, told)
    assert all(may(lower, higher) for lower, higher in itertools.combinations(LADDER, 2))
    assert not any(may(higher, lower) for lower, higher in itertools.combinations(LADDER, 2))


def test_nobody_touches_another_partners_mail(each: Hooked) -> None:
    for partner_id in ("acme", "globex", ""):
        each.host.save_sender(partner_id)
    (mine,) = each.sent("you@example.org", partner_id="globex", provider_id="guessed")
    (through_system,) = each.sent(
        "you@example.org", partner_id="globex", provider_id="system-id", sender_of=""
    )
    for mail in (mine, through_system):
        tell(
            each,
            event("complained", mail),
            event("bounced", message_id=each.message_id(mail), recipient="you@example.org"),
            event("bounced", message_id=each.message_id(mail)),
            partner_id="acme",
        )
    each.apply()
    assert each.state(mine) == each.state(through_system) == "sent"
    assert {one.delivery_id for one in each.events()} == {None}
    # Its own provider, and that of the system, are believed about what they sent.
    tell(each, event("delivered", through_system), partner_id="globex", name="sender 2")
    each.apply()
    assert each.state(through_system) == "sent"
    tell(each, event("delivered", through_system), event("delivered", mine), partner_id="",
         name="sender 3")  # fmt: skip
    each.apply()
    assert each.state(through_system) == "delivered"
    assert each.state(mine) == "sent"
    tell(each, event("delivered", mine), partner_id="globex", name="sender 4")
    each.apply()
    assert each.state(mine) == "delivered"


def test_by_message_id_and_recipient(each: Hooked) -> None:
    each.host.save_sender("acme")
    first, second = each.sent("One@Example.org", "two@example.org")
    own = each.message_id(first)
    tell(each, event("bounced", recipient="one@EXAMPLE.ORG", message_id=own, bounce="hard",
                     code="5.1.1", words="550 5.1.1 no such user"))  # fmt: skip
    each.apply()
    row = each.row(first.id)
    assert (row.state, row.last_code, row.last_cause) == ("bounced", "bounced", "recipient_unknown")
    assert row.last_reply == "550 5.1.1 no such user"
    assert each.state(second) == "sent"
    # It names no recipient, and there are two; or somebody who is none of them.
    tell(each, event("complained", message_id=own),
         event("complained", message_id=own, recipient="three@example.org"),
         event("complained", message_id=own.upper(), recipient="two@example.org"))  # fmt: skip
    each.apply()
    assert each.state(second) == "sent"
    (alone,) = each.sent("alone@example.org")
    tell(each, event("delivered", message_id=each.message_id(alone)))
    each.apply()
    assert each.state(alone) == "delivered"


def test_an_event_before_our_own_commit(each: Hooked) -> None:
    """The provider may be faster than the worker that sent it."""
    each.host.save_sender("acme")
    (mail,) = each.sent(state="sending")
    own = each.message_id(mail)
    tell(each, event("delivered", message_id=own, recipient=mail.recipient))
    assert each.apply() == 1
    assert each.state(mail) == "sending"
    assert each.apply() == 0  # not again at once
    (told,) = each.events()
    again_at, applied_at = told.next_try_at, told.applied_at
    assert again_at > told.received_at
    assert applied_at is None
    with transaction(each.engine) as session:
        session.execute(update(Delivery).values(state="sent", finished_at=now()))
    with shifted(timedelta(seconds=3)):
        assert each.apply() == 1
    assert each.state(mail) == "delivered"
    # Each of its times goes on meaning one thing.
    (told,) = each.events()
    assert told.next_try_at == again_at
    assert told.applied_at is not None
    assert told.applied_at > again_at
    # And one whose mail is not even known yet: the transaction that queues it is still open.
    tell(each, event("delivered", provider_id="later"))
    each.apply()
    (late,) = each.sent(provider_id="later")
    with shifted(timedelta(seconds=3)):
        each.apply()
    assert each.state(late) == "delivered"


def test_unknown_outcomes_are_settled(each: Hooked) -> None:
    each.host.save_sender("acme")
    cases: list[tuple[State, Kind, State]] = [
        ("uncertain", "delivered", "delivered"), ("uncertain", "bounced", "bounced"),
        ("dead", "delivered", "delivered"),
    ]  # fmt: skip
    for before, kind, after in cases:
        (mail,) = each.sent(state=before)
        session = each.host.db.session()
        session.execute(
            update(Delivery).where(Delivery.id == mail.id).values(last_code="connection_lost")
        )
        session.execute(update(Message).where(Message.id == mail.message_pk).values(sensitive=True))
        session.commit()
        tell(each, event(kind, message_id=each.message_id(mail)))
        each.apply()
        row = each.row(mail.id)
        assert row.state == after
        assert row.last_code == ("" if after == "delivered" else after)
        # Nobody needs its text any more.
        content = each.host.db.session().scalar(
            select(Message.content).where(Message.id == mail.message_pk)
        )
        assert content == b""


def test_what_may_yet_be_told_waits_longer(each: Hooked) -> None:
    """A minute where nothing will be told, a quarter of an hour where a webhook works."""
    path = each.turn_on("postmark")
    (mail,) = each.sent(state="uncertain")
    session = each.host.db.session()
    session.execute(update(Delivery).values(next_attempt_at=now() + timedelta(seconds=60)))
    session.commit()

    def settled_after(seconds: float) -> str:
        each.host.db.session.rollback()
        with shifted(timedelta(seconds=seconds)):
            settle_unknown(each.host.app, host_engine())
        return each.state(mail)

    each.post(path, {"RecordType": "Delivery", "MessageID": "1", "Recipient": "a@example.org"})
    assert settled_after(62) == "uncertain"
    assert settled_after(14 * 60 + 50) == "uncertain"
    assert settled_after(15 * 60 + 10) == "queued"
    session.execute(update(Delivery).values(state="uncertain"))
    session.commit()
    # A webhook that has told nothing for a week is no hope.
    session.execute(update(webhook_table()).values(last_event_at=now() - timedelta(days=8)))
    session.commit()
    assert settled_after(62) == "queued"


def webhook_table() -> Any:
    from smtp_admin.events.models import Webhook

    return Webhook.__table__


def test_who_listens_hears_each_event_once(each: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Applied] = []
    monkeypatch.setattr(applying, "LISTENERS", [lambda _session, some: heard.extend(some)])
    each.host.save_sender("acme")
    (mail,) = each.sent("you@example.org", provider_id="p")
    one = event("bounced", mail, bounce="hard", code="5.1.1")
    tell(each, one, event("opened", mail), event("bounced", mail), event("bounced", None))
    tell(each, one)
    for _ in range(3):
        _two_workers(each)
    assert sorted((one.event.kind, one.moved or "") for one in heard) == [
        ("bounced", ""), ("bounced", "bounced"), ("opened", ""),
    ]  # fmt: skip
    assert {(one.delivery_id, one.partner_id, one.recipient) for one in heard} == {
        (mail.id, "acme", "you@example.org")
    }


def test_a_listener_that_fails_leaves_nothing_half_done(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_session: Any, _applied: Sequence[Applied]) -> None:
        raise RuntimeError("not today")

    hooked.host.save_sender("acme")
    (mail,) = hooked.sent(provider_id="p")
    tell(hooked, event("bounced", mail))
    monkeypatch.setattr(applying, "LISTENERS", [fail])
    with pytest.raises(RuntimeError):
        hooked.apply()
    assert hooked.state(mail) == "sent"
    monkeypatch.setattr(applying, "LISTENERS", [])
    hooked.apply()
    assert hooked.state(mail) == "bounced"


def test_the_host_is_told(hooked: Hooked) -> None:
    hooked.host.save_sender("acme")
    (mail,) = hooked.sent("you@example.org", provider_id="p")
    heard: list[dict[str, Any]] = []

    def hear(_app: Any, **about: Any) -> None:
        heard.append(about)

    with signals.mail_event.connected_to(hear, hooked.host.app):
        tell(hooked, event("bounced", mail, bounce="soft"))
        hooked.apply()
    (about,) = heard
    assert about["recipient"] == "you@example.org"
    assert (about["kind"], about["bounce"], about["partner_id"]) == ("bounced", "soft", "acme")


def test_a_batch_is_counted_again(hooked: Hooked) -> None:
    hooked.host.save_sender("acme")
    (mail,) = hooked.sent(provider_id="p")
    session = hooked.host.db.session()
    batch = Batch(public_id=uuid4().hex, partner_id="acme", type_name="x", label="", settled=True)
    session.add(batch)
    session.flush()
    session.execute(update(Delivery).where(Delivery.id == mail.id).values(batch_id=batch.id))
    session.commit()
    tell(hooked, event("bounced", mail))
    hooked.apply()
    session.rollback()
    session.refresh(batch)
    assert batch.settled is False


def test_a_large_batch(each: Hooked) -> None:
    """More events than are applied at once, in one request."""
    each.turn_on("sparkpost")
    ids = _prepare(each, 1200)
    with transaction(each.engine) as session:
        session.execute(update(Delivery).values(state="sent", finished_at=now()))
    tell(each, *(Event("delivered", f"{n}", provider_id=f"p{n}") for n in range(len(ids))))
    assert each.apply() == 1200
    with transaction(each.engine) as session:
        delivered = select(func.count()).where(Delivery.state == "delivered")
        assert session.scalar(delivered) == 1200


def test_by_the_real_route_to_the_end(hooked: Hooked) -> None:
    path = hooked.turn_on("sparkpost")
    (mail,) = hooked.sent("you@example.org")
    told = {
        "type": "bounce", "bounce_class": "10", "event_id": "1", "rcpt_to": "you@example.org",
        "raw_reason": "550 5.1.1 no such user",
        "rcpt_meta": {"smtp_admin_id": hooked.message_id(mail)},
    }  # fmt: skip
    assert hooked.post(path, [{"msys": {"message_event": told}}]).status_code == 200
    hooked.apply()
    page = hooked.client.get(
        f"/smtp-admin/mail/{_public_id(hooked, mail)}", headers={"Accept": "text/html"}
    ).text
    assert "Bounced: the address takes no mail" in page
    assert "550 5.1.1 no such user" in page
    for state, found in (("failed", True), ("bounced", True), ("complained", False)):
        log = f"/smtp-admin/partners/acme/mail?state={state}"
        text = hooked.client.get(log, headers={"Accept": "text/html"}).text
        assert ("you@example.org" in text) is found
        assert text.count('aria-current="true">Bounced') == (state == "bounced")


def _public_id(site: Hooked, mail: Delivery) -> str:
    session = site.host.db.session()
    found = session.scalar(select(Message.public_id).where(Message.id == mail.message_pk))
    assert found
    return found
