"""Notices of a recipient become one mail: what it says, when it goes, and that none is lost."""

import threading
from datetime import timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from sqlalchemy import select, update

from smtp_admin import Conflict, MessageError
from smtp_admin.clock import now, shifted
from smtp_admin.delivery.digest_items import Item, find_item
from smtp_admin.delivery.digest_models import DigestItem
from smtp_admin.delivery.maintenance.prune import prune
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.mail.digests import send_digests
from smtp_admin.mail.types import TYPES
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import delete_sender
from smtp_admin.suppression.reasons import REASONS
from tests.alerts.watching import own_engine
from tests.app import ADMIN, HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import deliveries
from tests.endurance.mortal import Fate, Mortal
from tests.mail.conftest import own_type
from tests.patience import SECONDS
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import PROMPTLY, Site, Worker

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def keep(
    host: HostApp,
    product: str = "Northwind Pro",
    *,
    to: str | list[str] = "sam@customer.example",
    digest: Any = "hour",
    type_name: str = "licence_expiring",
    commit: bool = True,
    **how: Any,
) -> str:
    context = {
        "name": "Sam",
        "product": product,
        "expires_on": "31 January 2027",
        "renew_url": f"https://shop.example/renew?what={product.replace(' ', '-')}",
    }
    how = {"partner_id": "acme", "context": context} | how
    public_id = host.plugin.send(type_name, to=to, digest=digest, **how)
    if commit:
        host.db.session.commit()
    return public_id


def send(host: HostApp, later: timedelta = HOUR) -> int:
    host.db.session.rollback()
    with shifted(later + timedelta(seconds=1)), own_engine(host) as engine:
        return send_digests(engine)


def item(host: HostApp, public_id: str) -> Item:
    host.db.session.rollback()
    found = find_item(host.db.session(), public_id)
    assert found is not None
    return found


def text_of(content: bytes) -> tuple[str, str]:
    mail = BytesParser(EmailMessage, policy=default).parsebytes(content)
    part = mail.get_body(("plain",))
    assert part is not None
    return str(mail["Subject"]), str(part.get_content()).replace("\r\n", "\n")


def queued(host: HostApp) -> list[tuple[str, str, str]]:
    """Recipient, subject and text of every mail."""
    host.db.session.rollback()
    rows = host.db.session.execute(
        select(Delivery.recipient, Message.content)
        .join(Message, Message.id == Delivery.message_pk)
        .order_by(Delivery.id)
    )
    return [(recipient, *text_of(content)) for recipient, content in rows]


def test_the_first_notice_starts_the_clock(each: HostApp, server: ScriptedServer) -> None:
    each.save_sender(port=server.port)
    with shifted(-timedelta(minutes=50)):
        first = keep(each, "Pro")
    daily = keep(each, "Basic", to="Sam C. <SAM@Customer.example>", digest="day")
    other = keep(each, "Plus", to="kim@customer.example", language="de")
    assert item(each, daily).goes_at == item(each, first).goes_at
    assert send(each, timedelta(minutes=9)) == 0
    with shifted(timedelta(minutes=11)):
        each.work()
    (mail,) = server.messages
    assert mail.recipients == ["SAM@customer.example"]
    subject, text = text_of(mail.data)
    assert subject == "2 notices from Northwind"
    assert text.startswith("Hello Sam,\n")
    assert text.count("Hello") == 1
    for name in ("Pro", "Basic"):
        told = (
            f"- Your licence for {name} expires on 31 January 2027\n"
            f"  Renew it before, and nothing changes for you.\n"
            f"  https://shop.example/renew?what={name}\n"
        )
        assert told in text
    (sent,) = deliveries(each)
    for one in (first, daily):
        found = item(each, one)
        assert (found.state, found.goes_at) == ("sent", None)
        assert found.message_id == each.db.session.scalar(
            select(Message.public_id).where(Message.id == sent.message_pk)
        )
    assert item(each, other).state == "waiting"
    # What comes later starts a clock of its own.
    keep(each, "Late")
    assert send(each, timedelta(minutes=59)) == 0
    assert send(each) == 2
    assert send(each, 2 * DAY) == 0
    kim, late = queued(each)[1:]
    assert kim[0] == "kim@customer.example"
    assert kim[1] == "Ihre Lizenz für Plus läuft am 31 January 2027 ab"
    assert kim[2].count("Guten Tag") == 1
    assert late[1] == "Your licence for Late expires on 31 January 2027"


def test_many_notices_are_counted(host: HostApp) -> None:
    host.save_sender()
    for number in range(61):
        keep(host, f"No. {number}!", commit=False)
    host.db.session.commit()
    assert send(host) == 1
    ((_, subject, text),) = queued(host)
    assert subject == "61 notices from Northwind"
    assert "No. 49!" in text
    assert "No. 50!" not in text
    assert "And 11 more." in text
    assert set(host.db.session.scalars(select(DigestItem.state))) == {"sent"}


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"type_name": "welcome"}, "welcome is no notice"),
        ({"type_name": "notification_digest"}, "is no notice"),
        ({"type_name": "private"}, "private is sensitive"),
        ({"digest": "week"}, 'an "hour" or for a "day"'),
        ({"to": ["a@b.example", "c@b.example"]}, "one recipient"),
        ({"to": "nobody"}, "not a valid mail address"),
        ({"send_at": now()}, "leave out send_at"),
        ({"reply_to": "a@b.example"}, "leave out send_at, expires_at and reply_to"),
        ({"context": {"product": "Pro"}}, "needs these values too: expires_on, renew_url"),
        ({"sender": "none"}, "none"),
        ({"partner_id": "nobody"}, "no partner"),
    ],
)
def test_what_no_digest_can_tell(host: HostApp, how: dict[str, Any], why: str) -> None:
    TYPES.of(host.installation).add(own_type("private", notice=True, sensitive=True))
    host.save_sender("")
    with pytest.raises(MessageError, match=why):
        keep(host, **how)
    assert not host.db.session.scalars(select(DigestItem.id)).all()


def test_it_is_the_callers_transaction(each: HostApp) -> None:
    each.save_sender()
    keep(each, commit=False)
    each.db.session.rollback()
    first = keep(each, idempotency_key="one")
    assert keep(each, "Another", idempotency_key="one") == first
    assert keep(each, partner_id="globex", idempotency_key="one") != first
    gone = keep(each, "Cancelled")
    assert each.plugin.cancel(gone) == 1
    each.db.session.commit()
    with pytest.raises(Conflict, match="does not wait"):
        each.plugin.cancel(gone)
    assert send(each) == 2
    with pytest.raises(Conflict, match="does not wait"):
        each.plugin.cancel(first)
    assert item(each, gone).state == "cancelled"
    assert [one[1] for one in queued(each)] == 2 * [
        "Your licence for Northwind Pro expires on 31 January 2027"
    ]
    # What waits stays for however long, and what is over does not.
    waits = keep(each)
    with shifted(timedelta(days=31)), own_engine(each) as engine:
        prune(engine, each.installation.config)
    each.db.session.rollback()
    assert each.db.session.scalars(select(DigestItem.public_id)).all() == [waits]


def test_one_key_in_two_transactions(opened: NewHost, shared_database: str) -> None:
    host = opened(uri=shared_database)
    host.save_sender()
    host.db.session.scalars(select(DigestItem.id)).all()  # a snapshot of before
    first = keep(host, idempotency_key="one", commit=False)
    found: list[str] = []
    began = threading.Event()

    def again() -> None:
        with host.app.app_context():
            host.db.session.scalars(select(DigestItem.id)).all()
            began.set()
            found.append(keep(host, idempotency_key="one"))

    thread = threading.Thread(target=again)
    thread.start()
    assert began.wait(SECONDS)
    thread.join(0.3)
    assert thread.is_alive()
    host.db.session.commit()
    thread.join(SECONDS)
    assert found == [first]
    assert host.db.session.scalars(select(DigestItem.public_id)).all() == [first]


def test_several_workers_at_once(opened: NewHost, database: str) -> None:
    host = opened(uri=database)
    host.save_sender()
    people = [f"p{number}@customer.example" for number in range(8)]
    for number in range(3):
        for address in people:
            keep(host, f"No. {number}!", to=address, commit=False)
    host.db.session.commit()
    together = threading.Barrier(3)
    counts: list[int] = []

    def one() -> None:
        with host.app.app_context(), own_engine(host) as engine:
            together.wait(SECONDS)
            counts.append(send_digests(engine))

    threads = [threading.Thread(target=one) for _ in range(3)]
    with shifted(HOUR + timedelta(seconds=1)):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        counts.append(send(host, timedelta()))  # whoever met a lock left it to the next round
    assert sum(counts) == len(people)
    mails = queued(host)
    assert sorted(one[0] for one in mails) == people
    for _, subject, text in mails:
        assert subject == "3 notices from Northwind"
        assert [text.count(f"- Your licence for No. {number}!") for number in range(3)] == [1, 1, 1]


def test_a_worker_dies_between_and_another_sends(
    tmp_path: Path, redis: RedisServer, server: ScriptedServer, database: str
) -> None:
    site = Site(tmp_path / "site", redis.url, uri=database)
    with site.opened() as host:
        host.save_sender("", port=server.port)
        for name in ("Pro", "Basic"):
            keep(host, name, partner_id="")
        host.db.session.execute(update(DigestItem).values(due_at=now() - HOUR))
        host.db.session.commit()
        # Everything is written, and nothing committed.
        fate = Fate("smtp_admin.mail.digests:_queue", "after")
        with Mortal(site.folder, "--burst", fate=fate) as mortal:
            assert mortal.wait() == -SIGKILL, mortal.output
        assert not queued(host)
        assert set(host.db.session.scalars(select(DigestItem.state))) == {"waiting"}
        host.db.session.rollback()
        with Worker(site.folder) as worker:
            worker.ready()
            (mail,) = server.wait_for_messages(1)
            assert worker.stop() < PROMPTLY
        assert text_of(mail.data)[0] == "2 notices from Northwind"
        assert len(queued(host)) == 1
        assert set(host.db.session.scalars(select(DigestItem.state))) == {"sent"}


def test_what_cannot_be_queued_is_tried_again_and_holds_nobody_up(
    host: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.save_sender("")
    stuck = keep(host, partner_id="globex")
    keep(host, partner_id="initech")
    partner = type(host.host).partner

    def lost(self: Any, partner_id: str) -> Any:
        if partner_id == "initech":
            raise RuntimeError("the host's own database is away")
        return None if partner_id == "globex" else partner(self, partner_id)

    with monkeypatch.context() as patched:
        patched.setattr(type(host.host), "partner", lost)
        keep(host, partner_id="acme")
        assert send(host) == 1
        found = item(host, stuck)
        assert found.state == "waiting"
        assert found.error.startswith("There is no partner 'globex'")
        assert found.goes_at is not None
        assert found.goes_at > now() + HOUR
        assert send(host, HOUR) == 0
        assert send(host, timedelta(days=5)) == 0
    assert item(host, stuck).state == "expired"
    assert "initech" not in {one.partner_id for one in deliveries(host)}
    assert send(host, timedelta(days=6)) == 0


def test_a_deleted_sender_and_a_limit(opened: NewHost) -> None:
    host = opened(RECIPIENT_LIMITS={"notification_digest": "1 per day"})
    host.save_sender()
    host.save_sender(key="notices", from_email="notices@acme.example")
    by_key = keep(host, sender="notices")
    usual = keep(host)
    session = host.db.session()
    delete_sender(session, load_sender(session, "acme", "notices"), ADMIN)
    session.commit()
    assert send(host) == 2
    states = {
        row.public_id: row.state
        for row in session.execute(
            select(Message.public_id, Delivery.state).join(
                Delivery, Delivery.message_pk == Message.id
            )
        )
    }
    found = [states[str(item(host, one).message_id)] for one in (by_key, usual)]
    assert sorted(found) == ["queued", "suppressed"]


def test_a_digest_tells_nothing_that_was_unsubscribed_from(each: HostApp) -> None:
    """Also where that came after the notice; what is left is told, and nothing where none is."""
    each.save_sender()
    unwanted = keep(each, "Pro")
    news = {"title": "Our new pages", "intro": "They are here.", "sections": []}
    wanted = keep(each, type_name="newsletter", context=news)
    alone = keep(each, "Pro", to="kim@customer.example")
    for address in ("SAM@customer.example", "kim@customer.example"):
        each.plugin.suppress(address, partner_id="acme", category="licence_expiring")
    each.db.session.commit()
    assert send(each) == 1
    assert [item(each, one).state for one in (unwanted, wanted, alone)] == [
        "cancelled", "sent", "cancelled",
    ]  # fmt: skip
    assert item(each, unwanted).error == REASONS["manual"].sentence
    ((recipient, _, text),) = queued(each)
    assert recipient == "sam@customer.example"
    assert "licence" not in text
