"""Mail about alerts and the weekly summary, in the language of each admin, over SMTP."""

from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default

import pytest
from flask_babel import Babel

from smtp_admin.clock import shifted
from tests.alerts.test_announcing import ill, told
from tests.alerts.test_summary import MONDAY, counted, send, until
from tests.alerts.watching import alerts, look, mend_sender
from tests.app import HostApp
from tests.servers.scripted import ScriptedServer
from tests.translation.conftest import written

__all__ = ["written"]
Languages = Callable[[dict[str, object]], None]


@pytest.fixture
def languages(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> Languages:
    """What the host says of each address."""

    def say(known: dict[str, object]) -> None:
        monkeypatch.setattr(type(host.host), "admin_language", lambda _, one: known.get(one))

    return say


def received(server: ScriptedServer) -> dict[str, tuple[str, str, str]]:
    """Recipient → subject, text and HTML of the last mail to it."""
    found = {}
    for mail in server.messages:
        whole = BytesParser(EmailMessage, policy=default).parsebytes(mail.data)
        text, html = (part.get_content().replace("\r", "") for part in whole.iter_parts())
        found[mail.recipients[0]] = (str(whole["Subject"]), text, html)
    return found


def test_each_admin_reads_alerts_in_their_language(
    host: HostApp, server: ScriptedServer, languages: Languages
) -> None:
    languages({"ada@platform.example": "en", "bo@platform.example": "de_AT",
               "cy@platform.example": "fr", "di@platform.example": None})  # fmt: skip
    people = [f"{name}@platform.example" for name in ("ada", "bo", "cy", "di")]
    ill(host, port=server.port, alert_emails=people, public_url="https://panel.example.com")
    Babel(host.app, default_locale="de")
    told(host)
    host.work()
    mails = received(server)
    english, austrian, french, german = (mails[one] for one in people)
    assert english[0] == french[0] == "Northwind: Sender problem, partner Acme GmbH"
    assert "This needs your attention:" in english[1]
    assert german[0] == austrian[0] == "Northwind: Problem mit Absender, Partner Acme GmbH"
    (alert,) = alerts(host)
    assert alert.opened_at is not None
    for part in german[1:]:
        assert "Gestoppt, bis die Anmeldung berichtigt ist." in part
        assert "Der Server hat Benutzername oder Passwort abgewiesen." in part
        assert f"Seit: {alert.opened_at.day}. " in part
        assert f"{alert.opened_at:%Y um %H:%M} UTC" in part
        assert "Alle Meldungen" in part
        for word in ("Since", "The server", "Stopped", "attention", "Critical"):
            assert word not in part
    assert "(Kritisch)" in german[1]
    assert "sender_stopped, critical, opened" in german[1]
    assert '<html lang="de"' in german[2]
    assert '<html lang="en"' in french[2]

    page = host.client.get("/smtp-admin/alerts", headers={"Accept": "text/html"}).text
    assert "Per Mail: eingereiht für 4 von 4 Adressen." in page
    assert "Der Anwendung als Signal gemeldet." in page
    assert "Der Server hat Benutzername oder Passwort abgewiesen." in page

    mend_sender(host)
    look(host)
    look(host, timedelta(minutes=6))
    told(host, timedelta(minutes=6))
    with shifted(timedelta(minutes=7)):
        host.work()
    subject, text, _ = received(server)["di@platform.example"]
    assert subject.startswith("Northwind: Meldung beendet: Problem")
    assert "Diese Meldung ist beendet:" in text
    assert "Bis: " in text


def test_the_summary_in_german(host: HostApp, server: ScriptedServer, languages: Languages) -> None:
    languages({"ada@platform.example": "de"})
    ill(host, port=server.port, summary_emails=("ada@platform.example", "bo@platform.example"))
    counted(host, "acme", MONDAY - timedelta(days=2), sent=12_004, failed=4)
    counted(host, "", MONDAY - timedelta(days=2), sent=3)
    assert send(host) == 2
    with shifted(until(MONDAY + timedelta(minutes=1))):
        host.work()
    mails = received(server)
    subject, text, html = mails["ada@platform.example"]
    assert subject == "Northwind: Mails vom 11. Jan. 2027 bis 17. Jan. 2027"
    assert "Acme GmbH\nGesendet: 12.004 · Fehlversuche: 4" in text
    assert "Das System\nGesendet: 3" in text
    attention = (
        "Problem mit Absender: Partner Acme GmbH. Gestoppt, bis die Anmeldung berichtigt ist. "
        "Der Server hat Benutzername oder Passwort abgewiesen."
    )
    for part in (text, html):
        assert attention in part
        for word in ("Sent", "Waiting", "attention", "system", "Jan 2027"):
            assert word not in part
    assert "Acme GmbH\nSent: 12,004" in mails["bo@platform.example"][1]


def test_one_text_that_is_missing_is_english(
    host: HostApp,
    server: ScriptedServer,
    languages: Languages,
    written: Callable[[str], None],
) -> None:
    written('msgid "Since"\nmsgstr "Seit"\n')
    languages({"ops@platform.example": "de"})
    ill(host, port=server.port, alert_emails=("ops@platform.example",))
    told(host)
    host.work()
    _, text, _ = received(server)["ops@platform.example"]
    assert "Seit: " in text
    assert "This needs your attention:" in text


@pytest.mark.parametrize("said", [7, RuntimeError("our own"), "klingon", "x" * 50, ""])
def test_an_odd_language_holds_up_no_mail(
    host: HostApp,
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    said: object,
) -> None:
    def say(_: object, one: str) -> object:
        if isinstance(said, Exception):
            raise said
        return said

    monkeypatch.setattr(type(host.host), "admin_language", say)
    ill(host, port=server.port, alert_emails=("ops@platform.example",))
    told(host)
    host.work()
    assert "Sender problem" in received(server)["ops@platform.example"][0]
    raised = "admin_language() of the app's own Host raised" in caplog.text
    assert raised == (not isinstance(said, str))
