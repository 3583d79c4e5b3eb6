"""How much went out with which settings, as far as the counters can tell."""

from datetime import UTC, datetime, timedelta

from smtp_admin.delivery.models import Counter
from smtp_admin.delivery.sent_between import SentBetween, sent_between
from tests.app import HostApp

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def test_counters_between_saves(host: HostApp) -> None:
    with host.app.app_context():
        session = host.db.session()
        sender = host.save_sender()
        for span, minutes, sent in (
            (1, -5, 3),
            (1, 1, 10),
            (1, 61, 20),
            (60, 120, 40),
            (1, 300, 80),
        ):
            session.add(
                Counter(
                    sender_id=sender.sender_id, partner_id="acme", span=span,
                    minute=START + timedelta(minutes=minutes), sent=sent,
                )
            )  # fmt: skip
        session.flush()
        times = [START + timedelta(minutes=at) for at in (0, 60, 150, 240)]
        assert sent_between(session, sender.sender_id, times) == (
            SentBetween(10),
            SentBetween(60, exact=False),  # an hour's counter reaches into the next
            SentBetween(0, exact=False),
            SentBetween(80),
        )
        assert sent_between(session, sender.sender_id + 1, times) == (SentBetween(),) * 4
        assert sent_between(session, sender.sender_id, []) == ()
