"""Telling of alerts: by signal, mail and webhook, each once, also when a worker dies."""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest

from smtp_admin import Actor, Host, signals
from smtp_admin.delivery.models import Delivery
from smtp_admin.monitor.alerts import announce as announcing
from smtp_admin.monitor.alerts import service
from smtp_admin.monitor.alerts.kinds import ENDS_AFTER
from smtp_admin.senders.resolve import load_sender
from tests.alerts.receiver import Receiver
from tests.alerts.watching import (
    MINUTE,
    SECRET,
    a_worker,
    alerts,
    break_sender,
    look,
    mend_sender,
    notices,
    tell,
)
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.delivery.workbench import deliveries
from tests.sender_state.scenes import start_again
from tests.servers.scripted import ScriptedServer


class Died(BaseException):
    """What kill -9 is to the code that runs."""


def heard(host: HostApp) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for name in ("alert_opened", "alert_ended"):

        def hear(_app: object, name: str = name, **about: Any) -> None:
            found.append((name, about))

        getattr(signals, name).connect(hear, sender=host.app, weak=False)
    return found


def ill(host: HostApp, *, port: int = 2525, **config: Any) -> None:
    """Acme's sender is stopped, the system's works."""
    start_again(host, **config)
    host.save_sender("", port=port)
    host.save_sender("acme")
    break_sender(host)
    look(host)


def told(host: HostApp, later: timedelta = timedelta(), **more: Any) -> int:
    with a_worker(host.app):
        return tell(host, later, **more)


def recipients(host: HostApp) -> list[str]:
    return [one.recipient for one in deliveries(host)]


def test_each_is_told_once(each: HostApp, server: ScriptedServer) -> None:
    seen = heard(each)
    ill(each, port=server.port, alert_emails=("ops@platform.example", "ada@platform.example"))
    assert told(each) == 2
    assert told(each) == 0
    (alert,) = alerts(each)
    assert [(name, about["alert_id"]) for name, about in seen] == [
        ("alert_opened", alert.public_id)
    ]
    assert seen[0][1] == {
        "alert_id": alert.public_id, "kind": "sender_stopped", "severity": "critical",
        "partner_id": "acme", "sender_id": alert.sender_id, "headline": alert.headline,
        "detail": alert.detail,
    }  # fmt: skip
    assert recipients(each) == ["ops@platform.example", "ada@platform.example"]
    each.work()
    mend_sender(each)
    look(each)
    look(each, ENDS_AFTER)
    assert told(each, ENDS_AFTER) == 2
    assert [name for name, _ in seen] == ["alert_opened", "alert_ended"]
    assert len(deliveries(each)) == 4


def test_the_mail_says_what_is_wrong(host: HostApp, server: ScriptedServer) -> None:
    start_again(host, alert_emails=("ops@platform.example",),
                public_url="https://panel.example.com")  # fmt: skip
    host.save_sender("", port=server.port)
    host.save_sender("acme")
    break_sender(host, words="<script>alert(1)</script> & more")
    look(host)
    told(host)
    host.work()
    (mail,) = server.messages
    assert mail.recipients == ["ops@platform.example"]
    whole = BytesParser(EmailMessage, policy=default).parsebytes(mail.data)
    assert whole["Subject"] == "Northwind: Sender problem, partner Acme GmbH"
    text, html = (part.get_content() for part in whole.iter_parts())
    for part in (text, html):
        assert "https://panel.example.com/smtp-admin/alerts" in part
        assert "535 5.7.8" in part
    assert "<script>alert(1)</script> & more" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in html
    assert "<script>" not in html


class TellingHost(Host):
    """Names the admins of a partner."""

    def __init__(self, addresses: Iterable[str] | Exception) -> None:
        self.addresses = addresses

    def alert_recipients(self, partner_id: str) -> Iterable[str]:
        if isinstance(self.addresses, Exception):
            raise self.addresses
        return self.addresses if partner_id == "acme" else ()


def test_a_partners_own_admins(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    host.save_sender("", port=2525)
    host.save_sender("acme", key="news")
    break_sender(host, key="news")
    host.save_sender("globex")
    break_sender(host, "globex")
    asked = TellingHost(["mia@acme.example", "not an address", "mia@acme.example"])
    monkeypatch.setattr(type(host.host), "alert_recipients",
                        lambda _, one: asked.alert_recipients(one))  # fmt: skip
    look(host)
    told(host)
    assert recipients(host) == ["mia@acme.example"]
    outcomes = {one.alert_id: one.outcome for one in notices(host, "mail")}
    assert sorted(outcomes.values()) == ["no recipients configured", "queued for 1 of 1 address"]


def test_a_hosts_own_mistake_holds_up_nothing(
    host: HostApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = TellingHost(RuntimeError("our own"))
    monkeypatch.setattr(type(host.host), "alert_recipients",
                        lambda _, one: asked.alert_recipients(one))  # fmt: skip
    ill(host, alert_emails=("ops@platform.example",))
    told(host)
    assert recipients(host) == ["ops@platform.example"]
    assert "alert_recipients() of the app's own Host raised" in caplog.text


def carriers(host: HostApp) -> list[tuple[str, str]]:
    found = []
    for one in deliveries(host):
        for partner_id, key in (("", ""), ("", "spare"), ("acme", ""), ("acme", "spare")):
            if load_sender(host.db.session(), partner_id, key).sender_id == one.sender_id:
                found.append((partner_id, key))
    return found


def test_mail_never_goes_by_the_ill_sender(host: HostApp) -> None:
    """The system's own is ill: another of the system carries the mail, and no partner's."""
    start_again(host, alert_emails=("ops@platform.example",))
    host.save_sender("")
    host.save_sender("", key="spare")
    host.save_sender("acme")
    break_sender(host, "")
    look(host)
    told(host)
    assert carriers(host) == [("", "spare")]


def test_without_another_sender_it_is_said(host: HostApp, caplog: pytest.LogCaptureFixture) -> None:
    start_again(host, alert_emails=("ops@platform.example",))
    host.save_sender("")
    host.save_sender("acme")
    break_sender(host, "")
    look(host)
    told(host)
    assert deliveries(host) == []
    assert "no other sender works" in caplog.text
    page = host.client.get("/smtp-admin/alerts", headers={"Accept": "text/html"}).text
    assert "skipped for 1 address, because no other sender works" in page


def test_a_partners_other_sender_for_its_own_admins(
    host: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = TellingHost(["mia@acme.example"])
    monkeypatch.setattr(type(host.host), "alert_recipients",
                        lambda _, one: asked.alert_recipients(one))  # fmt: skip
    host.save_sender("acme")
    host.save_sender("acme", key="spare")
    break_sender(host)
    look(host)
    told(host)
    assert carriers(host) == [("acme", "spare")]


def test_muted_ones_are_not_told(host: HostApp) -> None:
    seen = heard(host)
    ill(host, alert_emails=("ops@platform.example",))
    (alert,) = alerts(host)
    service.mute(host.db.session(), alert, ADMIN, timedelta(hours=1))
    host.db.session.commit()
    assert told(host) == 2
    assert not seen
    assert not deliveries(host)
    assert {one.outcome for one in notices(host)} == {"muted", "muted for 1 address"}


@pytest.mark.parametrize(
    ("actor", "told_of", "outcomes"),
    [
        (
            ACME_ADMIN,
            {"ops@platform.example"},
            {"sent", "delivered", "queued for 1 of 1 address; muted for 1 address"},
        ),
        (
            ADMIN,
            {"mia@acme.example"},
            {"muted", "muted for 1 address; queued for 1 of 1 address"},
        ),
    ],
    ids=["by the partner", "by the platform"],
)
def test_a_mute_silences_one_side_alone(
    each: HostApp,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    actor: Actor,
    told_of: set[str],
    outcomes: set[str],
) -> None:
    seen = heard(each)
    asked = TellingHost(["mia@acme.example"])
    monkeypatch.setattr(type(each.host), "alert_recipients",
                        lambda _, one: asked.alert_recipients(one))  # fmt: skip
    ill(each, alert_emails=("ops@platform.example",), alert_webhook=receiver.url)
    (alert,) = alerts(each)
    service.mute(each.db.session(), alert, actor, timedelta(hours=1))
    each.db.session.commit()
    told(each)
    assert set(recipients(each)) == told_of
    assert {one.outcome for one in notices(each)} == outcomes
    assert len(seen) == len(receiver.told) == (actor is ACME_ADMIN)


@pytest.mark.parametrize("channel", ["signal", "mail", "webhook"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_worker_loses_none(
    each: HostApp, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, channel: str, when: str
) -> None:
    """Mail is sent once whatever happens; a signal or a call once more, if it was just done."""
    seen = heard(each)
    ill(each, alert_webhook=receiver.url, alert_emails=("ops@platform.example",))
    name = {"signal": "_signal", "mail": "_queue_mail", "webhook": "_call"}[channel]
    true = getattr(announcing, name)

    def dying(*arguments: Any) -> Any:
        if when == "after":
            if channel == "webhook":
                monkeypatch.setattr(announcing, "_note", die)
            true(*arguments)
        raise Died

    def die(*_: Any) -> None:
        raise Died

    monkeypatch.setattr(announcing, name, dying)
    with pytest.raises(Died):
        told(each)
    monkeypatch.undo()
    told(each)
    told(each, 3 * MINUTE)
    assert all(one.done_at is not None for one in notices(each))
    assert len(deliveries(each)) == 1
    again = 2 if when == "after" else 1
    assert len(seen) == (again if channel == "signal" else 1)
    assert len(receiver.told) == (again if channel == "webhook" else 1)
    assert len({one.headers["webhook-id"] for one in receiver.told}) == 1


def test_it_ended_is_said_after_it_opened(host: HostApp, receiver: Receiver) -> None:
    ill(host, alert_webhook=receiver.url)
    receiver.status = 500
    told(host)
    mend_sender(host)
    look(host)
    look(host, ENDS_AFTER)
    receiver.told.clear()
    receiver.status = 200
    told(host, ENDS_AFTER)
    (alert,) = alerts(host)
    assert [one.headers["webhook-id"] for one in receiver.told] == [
        f"msg_{alert.public_id}_opened", f"msg_{alert.public_id}_ended",
    ]  # fmt: skip


def test_a_failing_webhook_is_tried_again_and_logged_once(
    host: HostApp, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"{receiver.url}services/T0/a-very-secret-path?token=another-secret"
    ill(host, alert_webhook=url, alert_webhook_secret=SECRET)
    receiver.status = 503
    later = timedelta()
    for _ in range(12):
        told(host, later)
        later += timedelta(minutes=61)
    (notice,) = notices(host, "webhook")
    assert notice.attempts == 12
    assert notice.done_at is None
    assert notice.outcome == "tried 12 times: it answered with status 503"
    told(host, timedelta(hours=25))
    (notice,) = notices(host, "webhook")
    assert notice.outcome == "given up: it answered with status 503"
    said = [one.getMessage() for one in caplog.records if one.name.endswith("alerts.announce")]
    assert said == [
        "the webhook for alerts failed and is tried again: it answered with status 503",
        "the webhook for alerts failed for a day and is given up: it answered with status 503",
    ]
    for secret in ("a-very-secret-path", "another-secret", SECRET, SECRET[6:]):
        assert secret not in caplog.text
        assert all(secret not in one.outcome for one in notices(host))


def test_retries_come_ever_later(host: HostApp, receiver: Receiver) -> None:
    ill(host, alert_webhook=receiver.url)
    receiver.status = 500
    told(host)
    for later, count in ((29, 1), (31, 2), (80, 2), (95, 3)):
        told(host, timedelta(seconds=later))
        assert len(receiver.told) == count, later


def test_two_tell_at_once(
    opened: Callable[..., HostApp], shared_database: str, receiver: Receiver
) -> None:
    """While one waits for a slow webhook, the other does not call it too."""
    host = opened(uri=shared_database)
    ill(host, alert_webhook=receiver.url, alert_emails=("ops@platform.example",))

    def meanwhile() -> None:
        with host.app.app_context():
            told(host)

    receiver.before = meanwhile
    told(host)
    assert len(receiver.told) == 1
    assert len(deliveries(host)) == 1
    assert host.db.session.query(Delivery).count() == 1
