"""From what somebody sees to what it may be: the page of symptoms, with one sender's evidence."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from smtp_admin.clock import shifted
from smtp_admin.diagnosis.table import causes
from smtp_admin.dns import NAMES
from smtp_admin.monitor.symptoms import Shown, troubleshoot
from smtp_admin.senders import pauses
from smtp_admin.senders.resolve import load_sender
from smtp_admin.smtp.nameserver import NameService
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.delivery.workbench import queue as queue_mail
from tests.servers.dns import DNSServer
from tests.servers.scripted import Close, Reply, ScriptedServer

HTML = {"Accept": "text/html"}
ACME = "/smtp-admin/partners/acme"
PAGE = f"{ACME}/symptoms"
KEYS = ["lost", "spam", "delayed", "relay", "intermittent", "rate", "refused"]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def dns() -> Iterator[DNSServer]:
    with DNSServer({("acme.example", "MX"): ["10 mail.acme.example."]}) as running:
        yield running


@pytest.fixture
def site(new_app: Callable[..., HostApp], dns: DNSServer) -> Iterator[HostApp]:
    made = new_app(RETRY_ATTEMPTS=0, TEST_MAIL_LIMIT="100 per 1 hour")
    made.actor = ADMIN
    NAMES.put(made.installation, NameService((dns.address,)))
    with made.app.app_context():
        yield made


def queue(site: HostApp) -> None:
    answer = site.client.post(f"{ACME}/test-email", json={"to": "you@else.example"})
    assert answer.status_code == 202


def sent(site: HostApp, server: ScriptedServer, stage: Any, reply: str) -> None:
    """One mail goes out, and the server answers so."""
    server.behave(stage, Reply(reply))
    queue(site)
    site.work()
    server.behave(stage, None)


def found(site: HostApp, partner_id: str = "acme", key: str = "") -> dict[str, Shown]:
    site.db.session.rollback()
    session = site.db.session()
    shown = troubleshoot(session, load_sender(session, partner_id, key)).symptoms
    return {one.symptom.key: one for one in shown}


def likely(one: Shown) -> list[str]:
    return [each.cause.key for each in one.likely]


def others(one: Shown) -> list[str]:
    return [each.key for each in one.others]


def look(site: HostApp, path: str = PAGE) -> str:
    answer = site.client.get(path, headers=HTML)
    assert answer.status_code == 200
    return answer.text


def section(page: str, key: str) -> str:
    """The part of the page about one symptom, in one line without markup."""
    part = page.partition(f'id="{key}">')[2].partition("</section>")[0]
    words = " ".join(re.sub(r"<[^>]*>", " ", part).split())
    return words.replace(" ,", ",").replace(" .", ".")


def test_every_symptom_is_there_with_all_its_causes(site: HostApp) -> None:
    site.save_sender(port=587, security="tls", host="mail.acme.example")
    shown = found(site)
    assert [*shown] == KEYS == [one.key for one in causes().symptoms]
    for one in shown.values():
        assert not one.likely
        assert others(one)
        assert not one.failed
    page = look(site)
    for key in KEYS:
        assert "None of this kind." in section(page, key)
        assert "Possible causes (" in section(page, key)
    assert "Signs found" not in page


def test_what_was_refused_stands_beside_its_symptom_and_its_cause_first(
    site: HostApp, server: ScriptedServer
) -> None:
    site.save_sender(port=server.port)
    for _ in range(2):
        sent(site, server, "rcpt", "550 5.1.1 <you@else.example>: no such user")
    shown = found(site)
    (failed,) = shown["refused"].failed
    assert (failed.refusal.code, failed.refusal.count) == ("recipient_refused", 2)
    assert likely(shown["refused"])[0] == "recipient_unknown"
    assert "recipient_unknown" not in others(shown["refused"])
    assert not shown["rate"].failed
    assert not shown["spam"].likely
    text = section(look(site), "refused")
    assert "recipient_refused 2 ×, last just now. The server refused the recipient." in text
    assert "550 5.1.1 &lt;you@else.example&gt;: no such user" in text
    assert "Most likely There is no such mailbox." in text
    assert "Seen 2 times in the last 24 hours." in text


def test_words_that_nobody_knows_can_be_copied(site: HostApp, server: ScriptedServer) -> None:
    site.save_sender(port=server.port)
    sent(site, server, "dot", "554 Zorp says no")
    page = look(site)
    assert "Not recognised: 554 Zorp says no" in section(page, "refused")
    assert "The server said: 554 Zorp says no" in page
    ids = re.findall(r'id="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_a_rate_shows_as_a_rate_and_as_a_delay(site: HostApp, server: ScriptedServer) -> None:
    site.save_sender(port=server.port, max_per_hour=1)
    queue(site)
    site.work()
    queue(site)
    shown = found(site)
    assert likely(shown["delayed"]) == ["behind_others"]
    text = section(look(site), "delayed")
    assert "Queue 1 waiting, the oldest queued just now." in text
    assert "Last hour 1 of 1, used up" in text
    assert "Last 24 hours 1, no limit set" in text
    site.save_sender(port=server.port)
    sent(site, server, "mail", "450 4.7.1 Error: too much mail from 198.51.100.7")
    shown = found(site)
    assert likely(shown["rate"])[0] == "provider_limit"
    assert likely(shown["delayed"]) == ["provider_limit"]
    text = section(look(site), "delayed")
    assert "Sender Paused until " in text
    assert "The sender paused because of this." in text


def test_a_pause_for_a_refused_login_is_no_sign_of_a_rate(
    site: HostApp, server: ScriptedServer
) -> None:
    site.save_sender(port=server.port)
    sent(site, server, "mail", "530 5.7.0 Authentication required")
    shown = found(site)
    assert likely(shown["rate"]) == []
    [cause] = likely(shown["refused"])
    assert likely(shown["lost"]) == likely(shown["delayed"]) == [cause]


def test_greylisting_is_a_delay_and_no_failure_now_and_then(
    site: HostApp, server: ScriptedServer
) -> None:
    site.save_sender(port=server.port)
    sent(site, server, "rcpt", "450 4.7.1 Recipient address rejected: Greylisted")
    shown = found(site)
    assert likely(shown["delayed"]) == ["greylisted"]
    assert likely(shown["intermittent"]) == []


def test_mail_that_waits_while_none_goes_out(site: HostApp, server: ScriptedServer) -> None:
    site.save_sender(port=server.port)
    queue(site)
    assert likely(found(site)["delayed"]) == []
    with shifted(timedelta(minutes=40)):
        for key in ("delayed", "lost"):
            assert likely(found(site)[key]) == ["no_worker"], key
        assert "the oldest queued 40 minutes ago" in section(look(site), "delayed")
        site.actor = ADMIN
        session = site.db.session()
        pauses.pause(session, load_sender(session, "acme"), ADMIN)
        session.commit()
        assert likely(found(site)["delayed"]) == ["behind_others"]
        assert "Ada paused it." in section(look(site), "delayed")


def test_an_unknown_outcome(site: HostApp, server: ScriptedServer) -> None:
    site.save_sender(port=server.port)
    server.behave("dot", Close())
    queue(site)
    site.work()
    assert "reply_lost" in likely(found(site)["lost"])
    assert "1 with an unknown outcome" in section(look(site), "lost")


def test_only_what_can_be_with_these_settings(site: HostApp) -> None:
    site.save_sender(host="smtp.gmail.com", port=587, security="tls")
    gmail = others(found(site)["rate"])
    assert "gmail_daily_quota" in gmail
    assert not [key for key in gmail if key.startswith(("ms_", "sendgrid_", "cpanel_"))]
    text = section(look(site), "rate")
    assert "allows" in text
    assert "a day" in text
    # A panel on one's own server has no host by which it is known.
    site.save_sender(host="mail.acme.example", port=587, security="tls")
    own = others(found(site)["rate"])
    assert "cpanel_hourly" in own
    assert "gmail_daily_quota" not in own
    site.save_sender(driver="sendmail")
    keys = {key for one in found(site).values() for key in others(one)}
    assert not {"name_service_away", "wrong_password", "incoming_server"} & keys
    assert "in_spam_folder" in keys
    site.save_sender(host="acme-com.mail.protection.outlook.com", port=25)
    assert "incoming_server" in others(found(site)["relay"])
    assert "smtp.office365.com" in section(look(site), "relay")


def test_dns_is_shown_as_it_was_lately_and_never_asked(site: HostApp, dns: DNSServer) -> None:
    site.save_sender(port=587, security="tls", host="smtp.gmail.com")
    assert "Not checked recently. Check now" in section(look(site), "spam")
    assert likely(found(site)["spam"]) == []
    assert dns.queries == []
    site.client.post(f"{ACME}/deliverability", headers={"Accept": "text/html"})
    asked = len(dns.queries)
    assert asked
    with shifted(timedelta(minutes=50)):
        text = section(look(site), "spam")
    assert "SPF missing" in text
    assert "Checked 50 minutes ago." in text
    assert {"sender_unauthenticated", "in_spam_folder", "spf_refused"} == {
        *likely(found(site)["spam"])
    }
    assert len(dns.queries) == asked


def test_of_the_systems_sender_only_ones_own(site: HostApp, server: ScriptedServer) -> None:
    site.save_sender("", port=server.port, host="127.0.0.1", username="")
    server.behave("rcpt", Reply("550 5.1.1 <you@else.example>: no such user"))
    queue_mail(site, partner_id="globex")
    site.work()
    assert likely(found(site, "globex")["refused"]) == ["recipient_unknown"]
    assert likely(found(site, "acme")["refused"]) == []
    assert likely(found(site, "")["refused"]) == ["recipient_unknown"]
    site.actor = ACME_ADMIN
    page = look(site)
    assert "The system's sender sends this mail" in page
    assert "127.0.0.1" not in page


def test_a_sender_that_has_nothing_yet(site: HostApp) -> None:
    page = look(site)
    assert "None of this kind." in page
    assert "Not set up." in section(page, "delayed")
    assert likely(found(site)["lost"]) == []
    queue_mail(site)
    assert likely(found(site)["lost"]) == likely(found(site)["delayed"]) == ["no_sender"]


@pytest.mark.usefixtures("nothing_by_the_clock")
def test_the_number_of_queries_is_always_the_same(site: HostApp, server: ScriptedServer) -> None:
    def queries() -> int:
        site.db.session.rollback()
        counted: list[str] = []

        def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            counted.append(statement)

        event.listen(site.db.engine, "before_cursor_execute", note)
        try:
            look(site)
        finally:
            event.remove(site.db.engine, "before_cursor_execute", note)
        return len(counted)

    site.save_sender(port=server.port)
    queue(site)
    site.work()
    before = queries()
    for words in (
        "550 5.1.1 no such user",
        "550 5.1.2 no such domain",
        "450 4.2.0 greylisted",
        "554 Zorp",
    ):
        for _ in range(3):
            sent(site, server, "rcpt", words)
    assert len(found(site)["refused"].failed) >= 2
    assert queries() == before
    assert before < 30


def test_as_json(site: HostApp, server: ScriptedServer) -> None:
    site.save_sender(port=server.port, max_per_day=5)
    sent(site, server, "rcpt", "550 5.1.1 no such user")
    body = site.client.get(PAGE).get_json()
    assert {*body} == {"ok", "partner_id", "sender", "evidence", "symptoms"}
    assert body["evidence"]["queue"]["dead"] == 1
    assert body["evidence"]["limits"]["max_per_day"] == 5
    assert body["evidence"]["dns"] is None
    refused = body["symptoms"][-1]
    assert refused["key"] == "refused"
    (failure,) = refused["failures"]
    assert failure | {"last_at": ""} == {
        "code": "recipient_refused",
        "cause": "recipient_unknown",
        "count": 1,
        "last_at": "",
        "message": "The server refused the recipient.",
        "reply": "550 5.1.1 no such user",
        "recognised": True,
    }
    assert {*refused["likely"][0]} == {"key", "cause", "do", "because"}


def test_what_a_server_says_is_text(site: HostApp, server: ScriptedServer) -> None:
    site.save_sender(port=server.port)
    sent(site, server, "rcpt", "554 <script>alert(1)</script>")
    assert "<script>alert" not in look(site)


def test_it_is_linked_from_the_tab_and_from_what_failed(
    site: HostApp, server: ScriptedServer
) -> None:
    site.save_sender(port=server.port)
    link = f'<a href="{PAGE}">Troubleshooting for this sender</a>'
    tab = look(site, ACME)
    assert f'<a href="{PAGE}" >Troubleshooting</a>' in tab
    assert link not in tab
    sent(site, server, "mail", "550 5.7.60 Client does not have permissions to send as this sender")
    assert link in look(site, ACME)
    assert f'<a href="{PAGE}">Troubleshooting</a>' in look(site, "/smtp-admin/")
    mail = site.client.post(f"{ACME}/test-email", json={"to": "you@else.example"}).get_json()["id"]
    assert f'<a href="{PAGE}" aria-current="page">Troubleshooting</a>' in look(site)
    assert link in look(site, f"{ACME}?mail={mail}")


def test_without_a_partners_name_it_says_whose_mail_one_may_look_at(site: HostApp) -> None:
    page = look(site, "/smtp-admin/symptoms")
    for one in causes().symptoms:
        assert one.title in page
    for path in ("system", "partners/acme", "partners/globex"):
        assert f'href="/smtp-admin/{path}/symptoms"' in page
    site.actor = ACME_ADMIN
    page = look(site, "/smtp-admin/symptoms")
    assert f'href="{PAGE}"' in page
    assert "globex" not in page
    assert "system" not in page
    body = site.client.get("/smtp-admin/symptoms").get_json()
    assert body["senders"] == [{"name": "Acme GmbH", "url": PAGE}]
    assert [one["key"] for one in body["symptoms"]] == KEYS


@pytest.mark.parametrize("path", ["/smtp-admin/", ACME])
def test_the_general_page_is_found(site: HostApp, path: str) -> None:
    site.save_sender()
    assert re.search(r'href="[^"]*/symptoms"', look(site, path))
