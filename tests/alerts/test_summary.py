"""The weekly summary: what it says, who gets it, and that nobody gets two."""

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.clock import now, shifted
from smtp_admin.delivery.models import Counter, Delivery, Message
from smtp_admin.monitor import summary
from smtp_admin.monitor.summary import send_summaries, week_before
from tests.alerts.watching import break_sender, look, own_engine
from tests.app import HostApp
from tests.delivery.workbench import deliveries, queue
from tests.patience import SECONDS
from tests.sender_state.scenes import start_again
from tests.servers.scripted import ScriptedServer

#: A Monday morning.
MONDAY = datetime(2027, 1, 18, 7, 0, 1, tzinfo=UTC)


def until(moment: datetime) -> timedelta:
    return moment - now()


def send(host: HostApp, moment: datetime = MONDAY, *, anew: bool = True) -> int:
    host.db.session.rollback()
    if anew:  # another process has seen nothing yet
        summary._SEEN.forget(host.installation)
    with shifted(until(moment)), own_engine(host) as engine:
        return send_summaries(engine)


def counted(host: HostApp, partner_id: str, at: datetime, **numbers: int) -> None:
    host.db.session.add(Counter(sender_id=1, partner_id=partner_id, span=1, minute=at, **numbers))
    host.db.session.commit()


def wanting(
    host: HostApp, monkeypatch: pytest.MonkeyPatch, *people: tuple[str, Iterable[str] | None]
) -> None:
    monkeypatch.setattr(type(host.host), "summary_recipients", lambda _: people)


@pytest.mark.parametrize(
    ("moment", "week"),
    [
        (datetime(2027, 1, 18, 6, 59, 59, tzinfo=UTC), None),
        (datetime(2027, 1, 18, 7, 0, tzinfo=UTC), datetime(2027, 1, 11, tzinfo=UTC)),
        (datetime(2027, 1, 19, 2, 59, tzinfo=UTC), datetime(2027, 1, 11, tzinfo=UTC)),
        (datetime(2027, 1, 19, 3, 0, tzinfo=UTC), None),
        (datetime(2027, 1, 24, 12, 0, tzinfo=UTC), None),
        (datetime(2027, 1, 4, 8, 0, tzinfo=UTC), datetime(2026, 12, 28, tzinfo=UTC)),
    ],
)
def test_when(moment: datetime, week: datetime | None) -> None:
    assert week_before(moment) == week


def test_what_it_says(host: HostApp, server: ScriptedServer) -> None:
    start_again(host, summary_emails=("ada@platform.example",),
                public_url="https://panel.example.com")  # fmt: skip
    host.save_sender("", port=server.port)
    host.save_sender("globex")
    break_sender(host, "globex", words="<b>no</b>")
    look(host)
    counted(host, "acme", MONDAY - timedelta(days=2), sent=1200, failed=4, dead=1,
            bounced=2, complained=1)  # fmt: skip
    counted(host, "acme", MONDAY - timedelta(days=6), sent=4)
    counted(host, "", MONDAY - timedelta(days=7), sent=3)
    counted(host, "acme", MONDAY - timedelta(days=9), sent=70_000)
    counted(host, "acme", MONDAY - timedelta(hours=2), sent=80_000)
    assert send(host) == 1
    with shifted(until(MONDAY + timedelta(minutes=1))):  # it was queued a moment after
        host.work()
    (mail,) = server.messages
    assert mail.recipients == ["ada@platform.example"]
    whole = BytesParser(EmailMessage, policy=default).parsebytes(mail.data)
    assert whole["Subject"] == "Northwind: Mail from 11 Jan 2027 to 17 Jan 2027"
    text, html = (part.get_content().replace("\r", "") for part in whole.iter_parts())
    rest = "Failed sends: 4 · Dead letters: 1 · Bounced: 2 · Marked as spam: 1 · Waiting now: 0"
    assert f"Total\nSent: 1,207 · {rest}" in text
    assert f"Acme GmbH\nSent: 1,204 · {rest}" in text
    assert "The system\nSent: 3" in text
    assert "- Sender problem: partner Globex. Stopped until the login is corrected." in text
    assert "&lt;b&gt;no&lt;/b&gt;" in html
    assert "https://panel.example.com/smtp-admin/" in text


def test_each_sees_their_own(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    wanting(host, monkeypatch, ("mia@acme.example", ["acme"]), ("bo@both.example", ["acme"]),
            ("bo@both.example", ["globex"]), ("ada@platform.example", None),
            ("nobody@acme.example", []), ("no address", None))  # fmt: skip
    host.save_sender("")
    for partner_id in ("acme", "globex"):
        counted(host, partner_id, MONDAY - timedelta(days=1, hours=9), sent=1)
        host.save_sender(partner_id)
        break_sender(host, partner_id)
    look(host)
    queue(host, partner_id="globex")
    assert send(host) == 3
    texts = {
        recipient: content.decode()
        for content, recipient in host.db.session.execute(
            select(Message.content, Delivery.recipient)
            .join(Delivery, Delivery.message_pk == Message.id)
            .where(Message.type_name == "weekly_summary")
        )
    }
    assert "Acme GmbH" in texts["mia@acme.example"]
    for foreign in ("Globex", "globex", "The system"):
        assert foreign not in texts["mia@acme.example"]
    for one in ("bo@both.example", "ada@platform.example"):
        assert "Acme GmbH" in texts[one]
        assert "Globex" in texts[one]


def test_once_a_week(each: HostApp) -> None:
    start_again(each, summary_emails=("ada@platform.example",))
    each.save_sender("")
    assert send(each) == 1
    assert send(each, MONDAY + timedelta(minutes=1), anew=False) == 0
    for later in (timedelta(minutes=2), timedelta(hours=19)):
        send(each, MONDAY + later)
    assert len(deliveries(each)) == 1
    send(each, MONDAY + timedelta(days=7))
    assert len(deliveries(each)) == 2


def test_several_workers_at_once(opened: Callable[..., HostApp], database: str) -> None:
    host = opened(uri=database)
    start_again(host, summary_emails=("ada@platform.example", "bo@platform.example"))
    host.save_sender("")
    host.db.session.rollback()
    together = threading.Barrier(3)
    failures: list[BaseException] = []

    def one() -> None:
        try:
            with host.app.app_context(), own_engine(host) as engine:
                together.wait(SECONDS)
                send_summaries(engine)
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(3)]
    with shifted(until(MONDAY)):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures
    assert sorted(one.recipient for one in deliveries(host)) == [
        "ada@platform.example", "bo@platform.example",
    ]  # fmt: skip


def test_switched_off_or_wanted_by_nobody(host: HostApp) -> None:
    host.save_sender("")
    assert send(host) == 0
    start_again(host, summary_emails=("ada@platform.example",), weekly_summary=False)
    assert send(host) == 0
    assert not deliveries(host)


def test_a_hosts_own_mistake_holds_up_nobody_else(
    host: HostApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> Any:
        raise RuntimeError("our own")

    monkeypatch.setattr(type(host.host), "summary_recipients", fail)
    start_again(host, summary_emails=("ada@platform.example",))
    host.save_sender("")
    assert send(host) == 1
    assert "summary_recipients() of the app's own Host raised" in caplog.text


def test_what_was_not_queued_is_tried_again(
    host: HostApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start_again(host, summary_emails=("ada@platform.example",), queue_limit=1)
    host.save_sender("")
    queue(host, partner_id="")
    assert send(host) == 0
    assert "a weekly summary was not queued" in caplog.text
    start_again(host, queue_limit=100)
    assert send(host, MONDAY + timedelta(minutes=1), anew=False) == 1
