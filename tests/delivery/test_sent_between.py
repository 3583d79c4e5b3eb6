"""How much went out with which settings, as far as the counters and the mails can tell."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, update

from smtp_admin.delivery.models import Counter, Delivery
from smtp_admin.delivery.sent_between import SentBetween, sent_between
from tests.app import HostApp
from tests.delivery.workbench import deliveries, queue, sender_row

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
#: Saves, in minutes from the start.
TIMES = [START + timedelta(minutes=at) for at in (0, 60, 150, 240)]


def count(host: HostApp, *counters: tuple[int, float, int]) -> None:
    """Counters: for how many minutes, from which, and what was sent then."""
    sender = sender_row(host)
    for span, minutes, sent in counters:
        host.db.session.add(
            Counter(
                sender_id=sender.id, partner_id="acme", span=span,
                minute=START + timedelta(minutes=minutes), sent=sent,
            )
        )  # fmt: skip
    host.db.session.commit()


def test_counters_between_saves(host: HostApp) -> None:
    host.save_sender()
    count(host, (1, -5, 3), (1, 1, 10), (1, 61, 20), (60, 120, 40), (1, 300, 80))
    session, sender_id = host.db.session(), sender_row(host).id
    assert sent_between(session, sender_id, TIMES) == (
        SentBetween(10),
        SentBetween(40, exact=False),  # of an hour's counter half belongs to the next
        SentBetween(20, exact=False),
        SentBetween(80),
    )
    assert sent_between(session, sender_id + 1, TIMES) == (SentBetween(),) * 4
    assert sent_between(session, sender_id, []) == ()


def test_a_day_is_shared_out_by_time(host: HostApp) -> None:
    """And what is before the first of them is nobody's here."""
    host.save_sender()
    count(host, (24 * 60, -12 * 60, 1440))
    found = sent_between(host.db.session(), sender_row(host).id, TIMES)
    assert [one.sent for one in found] == [60, 90, 90, 12 * 60 - 240]
    assert not any(one.exact for one in found)


def test_a_clock_that_was_set_back_makes_no_number_negative(host: HostApp) -> None:
    host.save_sender()
    count(host, (60, 0, 60))
    times = [START + timedelta(minutes=at) for at in (0, 50, 10)]
    found = sent_between(host.db.session(), sender_row(host).id, times)
    assert [one.sent for one in found] == [50, 0, 10]


def test_mails_that_are_there_say_it_exactly(host: HostApp) -> None:
    """Four saves within one minute, and a mail in between that failed."""
    host.save_sender()
    session, sender_id = host.db.session(), sender_row(host).id
    seconds = {"a": (5, "sent"), "b": (25, "delivered"), "c": (25, "bounced"), "d": (50, "dead"),
               "e": (59, "sent")}  # fmt: skip
    for name, (second, state) in seconds.items():
        queue(host, f"{name}@example.org")
        session.execute(
            update(Delivery)
            .where(Delivery.id == deliveries(host)[-1].id)
            .values(state=state, finished_at=START + timedelta(seconds=second))
        )
        session.commit()
    count(host, (1, 0, 4))
    times = [START + timedelta(seconds=at) for at in (-70, 10, 20, 30)]
    exactly = tuple(map(SentBetween, (1, 0, 2, 1)))
    assert sent_between(session, sender_id, times) == exactly
    session.execute(delete(Delivery).where(Delivery.state == "bounced"))
    session.commit()
    about = sent_between(session, sender_id, times)
    assert sum(one.sent for one in about) == 4, "once some are gone, all are shared out by time"
    assert not any(one.exact for one in about)
