"""What a person does with mail, the fallback sender, and counters that fold."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from smtp_admin import signals
from smtp_admin.clock import now, shifted
from smtp_admin.database import host_engine
from smtp_admin.delivery import actions
from smtp_admin.delivery.maintenance.rollup import roll_up
from smtp_admin.delivery.models import Counter, Delivery
from smtp_admin.delivery.queries import summary
from smtp_admin.errors import Conflict, NotFound
from smtp_admin.monitor.overview import status_json
from smtp_admin.senders.models import Sender
from tests.app import HostApp
from tests.delivery.workbench import deliveries, queue, row_of, sender_row, step_in
from tests.servers.scripted import Reply, ScriptedServer


def test_a_queued_mail_is_cancelled_once(host: HostApp) -> None:
    host.save_sender()
    public_id = queue(host)
    assert host.plugin.cancel(public_id) == 1
    host.db.session.commit()
    assert [one.state for one in deliveries(host)] == ["cancelled"]
    with pytest.raises(Conflict):
        host.plugin.cancel(public_id)
    with pytest.raises(NotFound):
        host.plugin.cancel("no such mail")


def test_a_cancelled_secret_is_forgotten(host: HostApp) -> None:
    host.save_sender()
    reset = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 5}
    public_id = host.plugin.send(
        "password_reset", to="a@example.org", partner_id="acme", context=reset
    )
    host.db.session.commit()
    host.plugin.cancel(public_id)
    host.db.session.commit()
    assert row_of(host, public_id).content == b""


def test_a_dead_letter_goes_out_again_with_the_same_bytes(host: HostApp) -> None:
    with ScriptedServer(behaviours={"rcpt": [Reply("550 5.7.1 no"), None]}) as server:
        host.save_sender(port=server.port)
        public_id = queue(host)
        content = row_of(host, public_id).content
        host.work()
        assert [one.state for one in deliveries(host)] == ["dead"]
        (listed,) = actions.list_mail(host.db.session(), state="dead")
        assert (listed.public_id, listed.last_reply) == (public_id, "550 5.7.1 no")
        assert host.plugin.retry(public_id) == 1
        host.db.session.commit()
        host.work()
        assert [one.state for one in deliveries(host)] == ["sent"]
        assert server.messages[0].data == content
        ((_, attempts, _),) = actions.show_mail(host.db.session(), public_id)
        assert [one.verdict for one in attempts] == ["permanent"]
    with pytest.raises(Conflict):
        host.plugin.retry(public_id)


def test_no_retry_lives_longer_than_mail_of_its_priority(host: HostApp) -> None:
    """It was written days ago; counted from then, each retry would live longer than the last."""
    host.save_sender(port=1)
    public_id = queue(host)
    session = host.db.session()
    long_ago = now() - timedelta(days=20)
    session.execute(
        update(Delivery).values(
            state="dead",
            created_at=long_ago,
            expires_at=now() - timedelta(days=1),
            finished_at=now(),
        )
    )
    session.commit()
    host.plugin.retry(public_id)
    session.commit()
    (one,) = deliveries(host)
    assert one.expires_at is not None
    assert timedelta(hours=71) < one.expires_at - now() <= timedelta(hours=72)


def pause(host: HostApp, partner_id: str = "acme") -> None:
    """As after a refused login."""
    session = host.db.session()
    session.execute(
        update(Sender)
        .where(Sender.partner_id == partner_id)
        .values(
            paused_until=now() + timedelta(days=1),
            pause_code="auth_failed",
            pause_reason="The server refused the user name or password.",
        )
    )
    session.commit()


def test_the_systems_sender_steps_in_where_it_may(host: HostApp) -> None:
    with ScriptedServer() as server:
        host.save_sender("", port=server.port, from_email="mail@platform.example")
        host.save_sender(
            "acme", port=server.port, fallbacks=("system",), reply_to="help@acme.example"
        )
        host.save_sender("globex", port=server.port)
        stepped_in = queue(host, "a@example.org")
        queue(host, "b@example.org", partner_id="globex")
        pause(host, "acme")
        pause(host, "globex")
        assert step_in(host) == 1
        host.work()
        assert [one.recipients for one in server.messages] == [["a@example.org"]]
        (sent,) = server.messages
        assert sent.mail_from == "mail@platform.example"
        assert b"From: Northwind <mail@platform.example>\r\n" in sent.data
        assert b"Reply-To: help@acme.example\r\n" in sent.data
        assert b"acme.example>\r\nFrom" not in sent.data
        mine, other = deliveries(host)
        assert (mine.state, other.state) == ("sent", "queued")
        ((listed, *_),) = actions.show_mail(host.db.session(), stepped_in)
        (hop,) = listed.hops
        assert (hop.kind, hop.from_sender, hop.to_sender) == (
            "fallback",
            "the default sender",
            "the system's sender",
        )
        assert hop.reason == "The server refused the user name or password."


def test_nobody_steps_in_for_a_mail_that_may_have_arrived(host: HostApp) -> None:
    host.save_sender("", from_email="mail@platform.example")
    host.save_sender("acme", fallbacks=("system",))
    queue(host)
    session = host.db.session()
    session.execute(update(Delivery).values(uncertains=1))
    session.commit()
    pause(host)
    assert step_in(host) == 0


def test_recipients_who_have_it_keep_their_bytes(host: HostApp) -> None:
    """The others get bytes of their own, under the id that the caller knows."""
    with ScriptedServer(behaviours={"rcpt": [None, *[Reply("421 4.3.2 bye")] * 2, None]}) as server:
        host.save_sender("", port=server.port, from_email="mail@platform.example")
        host.save_sender("acme", port=server.port, fallbacks=("system",))
        public_id = queue(host, "a@example.org", "b@example.org")
        first = row_of(host, public_id).content
        host.work()
        assert sorted(one.state for one in deliveries(host)) == ["queued", "sent"]
        assert step_in(host) == 1
        host.work()
        assert [one.state for one in deliveries(host)] == ["sent", "sent"]
        assert row_of(host, public_id).content == first
        assert [one.mail_from for one in server.messages] == [
            "noreply@acme.example",
            "mail@platform.example",
        ]
        assert len(actions.show_mail(host.db.session(), public_id)) == 2


def test_old_counters_fold_and_the_totals_stay(host: HostApp) -> None:
    with ScriptedServer() as server:
        host.save_sender(port=server.port)
        queue(host, *(f"r{number}@example.org" for number in range(5)))
        host.work()
    session = host.db.session()
    before = status_json(session, "acme")["sent"]
    rows = session.scalar(select(func.count()).select_from(Counter))
    assert (before, rows) == (5, 1)
    config, engine = host.installation.config, host_engine()
    with shifted(timedelta(hours=2)):
        assert roll_up(engine, config) == 0, "minutes are kept for three hours"
    with shifted(timedelta(hours=5)):
        assert roll_up(engine, config) == 1
        session.rollback()
        assert session.scalars(select(Counter.span)).all() == [60]
        assert status_json(session, "acme")["sent_24h"] == 5
    with shifted(timedelta(days=config.keep_days + 3)):
        assert roll_up(engine, config) == 1
    session.rollback()
    assert session.scalars(select(Counter.span)).all() == [1440]
    assert status_json(session, "acme")["sent"] == 5


def test_the_numbers_of_one_of_several_senders(host: HostApp) -> None:
    with ScriptedServer() as server:
        host.save_sender(port=server.port)
        host.save_sender(port=server.port, key="news", from_email="news@acme.example")
        queue(host, "a@example.org", "b@example.org")
        queue(host, "c@example.org", sender="news")
        host.work()
    pause(host)
    queue(host, "d@example.org")
    session = host.db.session()
    default, news = sender_row(host).id, sender_row(host, "acme", "news").id
    both = summary(session, "acme")
    assert (both.sent, both.sent_24h, both.pending) == (3, 3, 1)
    for sender_id, sent, pending in ((default, 2, 1), (news, 1, 0)):
        found = summary(session, "acme", sender_id, of_sender=True)
        assert (found.sent, found.sent_24h, found.sent_this_hour) == (sent, sent, sent)
        assert found.pending == pending
        assert (found.oldest_pending_seconds is None) == (pending == 0)
        of_all = summary(session, None, sender_id, of_sender=True)
        assert (of_all.sent, of_all.pending) == (sent, pending)
    # As before: the partner's numbers, with the use of the limit of one of its senders.
    assert summary(session, "acme", news).sent == 3
    assert summary(session, "acme", news).sent_this_hour == 1


def test_the_host_hears_the_id_that_it_knows(host: HostApp) -> None:
    """Also of what another sender took over."""
    heard: list[dict[str, object]] = []

    def hear(_app: object, **about: object) -> None:
        heard.append(about)

    with ScriptedServer(behaviours={"rcpt": [None, Reply("421 4.3.2 bye")]}) as server:
        host.save_sender("", port=server.port)
        host.save_sender("acme", port=server.port, fallbacks=("system",))
        public_id = queue(host, "a@example.org", "b@example.org")
        with signals.delivery_sent.connected_to(hear):
            host.work(1)
            server.behave("rcpt", None)
            assert step_in(host) == 1
            host.work(1)
    assert [len(one) for one in heard] == [3, 3]
    assert {one["public_id"] for one in heard} == {public_id}
    assert sorted(str(one["recipient"]) for one in heard) == ["a@example.org", "b@example.org"]
