"""What the pages of reminders show, and to whom."""

import re
from datetime import timedelta

import pytest
from flask import render_template_string
from werkzeug.test import TestResponse

from smtp_admin.renewals import scheduler, service
from smtp_admin.renewals.calendar import look_ahead
from smtp_admin.renewals.values import RenewalValues
from tests.app import ACME_ADMIN, ADMIN, CUSTOMER, GLOBEX_ADMIN, HostApp
from tests.delivery.workbench import Workbench
from tests.renewals.office import DAY, Office
from tests.servers.scripted import ScriptedServer

HTML = {"Accept": "text/html"}
BASE = "/smtp-admin/renewals"
ACME = f"{BASE}/partners/acme"


@pytest.fixture
def office(host_with_bench: tuple[HostApp, Workbench], server: ScriptedServer) -> Office:
    """Acme with reminders on."""
    return Office(*host_with_bench, server)


def page(office: Office, path: str, status: int = 200) -> str:
    answer = office.host.client.get(path, headers=HTML)
    assert answer.status_code == status
    return answer.text


def test_the_overview_lists_what_one_may_see(office: Office) -> None:
    assert all(name in page(office, f"{BASE}/") for name in ("System", "Acme GmbH", "Globex"))
    office.host.actor = ACME_ADMIN
    mine = page(office, f"{BASE}/")
    assert "Acme GmbH" in mine
    assert "Globex" not in mine
    assert "System" not in mine


def test_the_calendar_says_when_and_why_not(office: Office) -> None:
    office.have(3, customer_id="soon", customer_name="Sue Soon")
    office.have(20, customer_id="later", customer_name="Lars Later")
    office.have(3, customer_id="mute", customer_name="Moe Mute", customer_email="nobody")
    office.host.actor = ACME_ADMIN
    text = page(office, f"{ACME}/calendar")
    for words in ("Sue Soon", "Due now", "Lars Later", "Nothing expires within the days",
                  "Moe Mute", "There is no valid mail address", "<svg",
                  "to 2 of 3 customers"):  # fmt: skip
        assert words in text
    found = look_ahead(office.host.db.engine, "acme", RenewalValues(enabled=True))
    # Twice within three days, and then from a week before, every other day, until it expires.
    assert (found.customers, found.notices) == (3, 2 + 4)
    assert list(found.skipped.values()) == [1]
    assert len(found.days) == 30
    assert [entry.customer.id for entry in found.entries] == ["soon", "later", "mute"]


def test_the_calendar_can_be_searched(office: Office) -> None:
    office.have(3, customer_id="c-1", customer_name="Sue Söder", customer_email="sue@a.example")
    office.have(20, customer_id="c-2", customer_name="Lars Later", customer_email="lars@b.example")
    for search, found in (("SÖDER", ["Sue"]), ("b.example", ["Lars"]), ("c-", ["Sue", "Lars"]),
                          (" lars ", ["Lars"]), ("<nobody>", [])):  # fmt: skip
        answer = office.host.client.get(f"{ACME}/calendar", query_string={"q": search})
        assert [one for one in ("Sue", "Lars") if f">{one} " in answer.text] == found, search
        assert ("No customer matches." in answer.text) == (not found)
        assert "<nobody>" not in answer.text
        assert "to 2 of 2 customers" in answer.text  # the bars are of all


def test_the_calendar_is_a_part_of_renewals(office: Office) -> None:
    for path, mine in ((ACME, "Settings and runs"), (f"{ACME}/calendar", "Calendar")):
        text = page(office, path)
        assert re.findall(r'aria-current="page">([^<]+)</a>', text)[-2:] == ["Renewals", mine]
    days = look_ahead(office.host.db.engine, "acme", RenewalValues(enabled=True)).days
    office.have(3)
    text = page(office, f"{ACME}/calendar")
    for day in [*days][::5]:
        assert f"<span>{day:%-d %b}</span>" in text


def test_what_the_calendar_says_is_what_happens(office: Office) -> None:
    office.have(3.5, 9.3, customer_id="a")
    office.have(12.1, customer_id="b")
    found = look_ahead(office.host.db.engine, "acme", RenewalValues(enabled=True))
    promised = {entry.customer.id: len(entry.moments) for entry in found.entries}
    for _ in range(30 * 4):
        office.run()
        office.send()
        office.later += DAY / 4
    happened = dict.fromkeys(promised, 0)
    for notice in office.notices():
        happened[notice.customer_id] += 1
    assert happened == promised


def test_the_calendar_of_reminders_that_are_off_says_so(office: Office) -> None:
    office.have(3)
    office.set(enabled=False)
    text = page(office, f"{ACME}/calendar")
    assert "Reminders are off" in text
    assert "to 1 of 1 customer" in text


def test_the_calendar_of_nothing_says_what_to_do(office: Office) -> None:
    assert "Host.expiring_services()" in page(office, f"{ACME}/calendar")


def test_a_host_that_fails_is_named(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(until: object, partner_id: str) -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr(office.host.host, "expiring_services", failing)
    text = page(office, f"{ACME}/calendar")
    assert "expiring_services() failed with RuntimeError" in text
    assert "secret words" not in text


def test_a_preview_shows_the_mail_of_one_customer(office: Office) -> None:
    office.have(3, customer_id="c 1/2", service_name="<b>Web</b>", customer_email="c1@x.example")
    url = f"{ACME}/preview?customer=c%201/2"
    text = page(office, url)
    assert "&lt;b&gt;Web&lt;/b&gt; expires on" in text
    assert "A notice is due" in text
    mail = office.host.client.get(f"{ACME}/preview/mail?customer=c%201/2")
    assert "sandbox" in mail.headers["Content-Security-Policy"]
    # It stands in our own page as it will look, and in nobody else's.
    assert "frame-ancestors 'self'" in mail.headers["Content-Security-Policy"]
    assert re.search(r'<iframe[^>]*src="[^"]*/preview/mail\?customer=c(%20|\+)1/2"', text)
    assert "<b>Web</b>" not in mail.text
    office.host.actor = GLOBEX_ADMIN
    page(office, url, 404)
    page(office, f"{BASE}/partners/globex/preview?customer=c%201/2", 404)


def test_the_link_of_a_preview_says_that_it_is_one(office: Office) -> None:
    office.have(3)
    office.host.app.config["SERVER_NAME"] = "localhost"
    mail = office.host.client.get(f"{ACME}/preview/mail?customer=c1").text
    found = re.search(r'href="[^"]*(/unsubscribe/[^"?]*)', mail)
    assert found
    client = office.host.client
    for answer in (client.get(found[1]), client.post(found[1], data={"reminders": "off"})):
        assert answer.status_code == 200
        assert "This link comes from the preview of a reminder" in answer.text
        assert "<form" not in answer.text
    assert client.get("/unsubscribe/preview2").status_code == 404


@pytest.mark.parametrize("enabled", [True, False])
def test_a_preview_shows_the_mail_that_will_be_sent(office: Office, *, enabled: bool) -> None:
    """Not all services, of which most expire much later; and the same before they are on."""
    office.have(3, service_name="Web")
    office.have(200, service_name="Mailboxes")
    office.set(enabled=enabled)
    text = page(office, f"{ACME}/preview?customer=c1")
    assert "Web expires on" in text
    assert "Mailboxes" not in text
    assert "none in the next 30 days" not in text
    assert ("Reminders are off" in text) == (not enabled)
    assert "A notice is due" in text


def test_a_preview_of_somebody_whose_notice_comes_later_names_what_expires_first(
    office: Office,
) -> None:
    office.have(60, service_name="Web")
    office.have(200, service_name="Mailboxes")
    text = page(office, f"{ACME}/preview?customer=c1")
    assert "Web expires on" in text
    assert "none in the next 30 days" in text


def test_a_preview_of_nobody_is_not_found(office: Office) -> None:
    page(office, f"{ACME}/preview?customer=nobody", 404)
    assert "Look at one customer" in page(office, f"{ACME}/preview")
    assert office.host.client.get(f"{ACME}/preview/mail").status_code == 404


def test_a_preview_of_something_that_expired(office: Office) -> None:
    office.have(-1)
    assert "There is no mail" in page(office, f"{ACME}/preview?customer=c1")
    assert office.host.client.get(f"{ACME}/preview/mail?customer=c1").status_code == 404


def test_reports_are_shown(office: Office) -> None:
    office.have(3)
    office.have(3, customer_id="mute", customer_email="nobody")
    office.host.host.services.append(None)
    office.run()
    text = page(office, ACME)
    for words in ("1 notice of 2 customers", "1 broken record", "There is no valid mail address",
                  "NoneType", 'preview?customer=mute"'):  # fmt: skip
        assert words in text


def test_a_run_under_way_is_told_from_one_that_ended(office: Office) -> None:
    scheduler._begin(office.bench.engine, "acme")
    assert "running, or interrupted" in page(office, ACME)


def test_a_page_says_that_the_public_address_is_missing(office: Office) -> None:
    # A request knows the name that it was asked by; a worker does not.
    assert "SMTP_ADMIN_PUBLIC_URL" in page(office, ACME)


def test_a_host_embeds_the_button(office: Office) -> None:
    template = """
    {% from "smtp_admin/renewals/macros.html" import remind_me %}<main>{{ remind_me() }}</main>
    """
    office.host.app.add_url_rule("/mine", "mine", lambda: render_template_string(template))
    office.have(3)
    for actor, there in ((CUSTOMER, True), (ADMIN, False), (None, False)):
        office.host.actor = actor
        assert ("Send me a reminder now" in page(office, "/mine")) == there
    office.host.actor = CUSTOMER
    office.host.client.post(f"{BASE}/remind-me")
    later = page(office, "/mine")
    assert "data-smtp-admin-seconds" in later
    assert "disabled" in later
    office.later = timedelta(days=2)
    office.set(enabled=False)
    assert "reminder" not in page(office, "/mine")


# --- Switching on, and running now ---------------------------------------------------------------

OWN = {"own": "y", "enabled": "y", "window_days": "7", "steps": "", "min_hours": "48",
       "on_demand_min_hours": "24", "quiet_from": "", "quiet_to": "",
       "time_zone": "UTC"}  # fmt: skip


def is_on(office: Office, partner_id: str = "acme") -> bool:
    office.host.db.session.rollback()
    return service.load(office.host.db.session(), partner_id).values.enabled


def post(office: Office, path: str, **values: str) -> TestResponse:
    """The form as the page has it, with *values* in it."""
    partner_id = "" if path.endswith("system") else path.rpartition("/")[2]
    seen = service.load(office.host.db.session(), partner_id).revision
    return office.host.client.post(path, data={**values, "revision": str(seen)}, headers=HTML)


def told(answer: TestResponse) -> str:
    found = re.search(r'name="confirmed"[^>]*value="(\w+)"', answer.text)
    assert found
    return found[1]


def test_switching_on_says_first_whom_it_mails_today(office: Office) -> None:
    office.set(enabled=False)
    office.have(3, customer_id="soon", customer_name="Sue <Soon>")
    office.have(20, customer_id="later", customer_name="Lars Later")
    office.have(3, customer_id="mute", customer_name="Moe Mute", customer_email="nobody")
    asked = post(office, ACME, **OWN)
    assert asked.status_code == 200
    for words in ("Nothing is saved yet.", "1 customer gets a mail today", "Sue &lt;Soon&gt;.",
                  "Switch on", "Not now"):  # fmt: skip
        assert words in asked.text
    assert "Lars Later" not in asked.text
    assert "Moe Mute" not in asked.text
    assert not is_on(office)
    # What was told is about these settings: other ones are told about anew.
    wider = post(office, ACME, **OWN | {"window_days": "30", "confirmed": told(asked)})
    assert "2 customers get a mail today" in wider.text
    assert not is_on(office)
    assert post(office, ACME, **OWN, confirmed=told(asked)).status_code == 303
    assert is_on(office)
    # They are on: nothing has to be told any more.
    assert post(office, ACME, **OWN | {"window_days": "30"}).status_code == 303


def test_switching_on_with_nobody_to_mail_just_saves(office: Office) -> None:
    office.set(enabled=False)
    office.have(20)
    assert post(office, ACME, **OWN).status_code == 303
    assert is_on(office)


def test_the_system_says_it_for_partners_without_their_own(office: Office) -> None:
    office.set(enabled=False)
    office.have(3, customer_id="own", customer_name="Of Acme")
    office.have(3, customer_id="globe", customer_name="Of Globex", partner_id="globex")
    office.have(3, customer_id="house", customer_name="Of Ourselves", partner_id="")
    asked = post(office, f"{BASE}/system", **OWN)
    assert "2 customers get a mail today" in asked.text
    assert "Of Ourselves, Of Globex." in asked.text
    assert "Of Acme" not in asked.text
    assert not is_on(office, "globex")
    # Acme's admin goes over to the system's settings, which are on by then.
    assert post(office, f"{BASE}/system", **OWN, confirmed=told(asked)).status_code == 303
    over = post(office, ACME)
    assert "Of Acme." in over.text
    assert post(office, ACME, confirmed=told(over)).status_code == 303
    assert is_on(office)


def test_a_host_that_fails_is_named_before_switching_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(until: object, partner_id: str) -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr(office.host.host, "expiring_services", failing)
    office.set(enabled=False)
    asked = post(office, ACME, **OWN)
    assert "The number of customers who" in asked.text
    assert "expiring_services() failed with RuntimeError" in asked.text
    assert not is_on(office)


def test_very_many_names_are_counted(office: Office) -> None:
    office.set(enabled=False)
    for number in range(25):
        office.have(3, customer_id=f"c{number:02}", customer_name=f"Name {number:02}")
    text = post(office, ACME, **OWN).text
    assert "25 customers get a mail today" in text
    assert "Name 19 and 5 more." in text


def test_inherited_fields_are_disabled_and_show_what_applies(office: Office) -> None:
    office.set("", enabled=True, min_hours=60, time_zone="Asia/Tokyo")
    office.set(own=False, enabled=False, min_hours=36)
    text = page(office, ACME)
    assert re.search(r"<fieldset[^>]* disabled>", text)
    assert 'value="60"' in text
    assert 'value="36"' not in text
    # Without a script only the box comes back: what applied becomes the partner's own.
    assert post(office, ACME, own="y").status_code == 303
    applied = service.load(office.host.db.session(), "acme")
    assert (applied.own, applied.values.min_hours, applied.values.enabled) == (True, 60, True)
    assert not re.search(r"<fieldset[^>]* disabled>", page(office, ACME))
    assert not re.search(r"<fieldset[^>]* disabled>", page(office, f"{BASE}/system"))


def test_run_now(office: Office) -> None:
    office.have(3)
    assert "Run now" in page(office, ACME)
    done = office.host.client.post(f"{ACME}/run", headers=HTML, follow_redirects=True)
    assert "1 notice was queued." in done.text
    assert "1 notice of 1 customer" in done.text
    again = office.host.client.post(f"{ACME}/run", headers=HTML, follow_redirects=True)
    assert "0 notices were queued." in again.text
    office.send()
    assert len(office.mails) == 1


def test_run_now_is_for_reminders_that_are_on(office: Office) -> None:
    office.set(enabled=False)
    assert "Run now" not in page(office, ACME)
    answer = office.host.client.post(f"{ACME}/run", headers=HTML)
    assert answer.status_code == 409
    assert "Reminders are off" in answer.text
    assert office.runs() == []


def test_a_customer_reads_their_own_language(office: Office) -> None:
    """The page, and what its link and that of the mail lead to, as their services say it."""
    office.have(3, language="pl-PL")
    office.host.actor = CUSTOMER
    client = office.host.client
    page = client.get(f"{BASE}/remind-me", headers=HTML).text
    assert 'class="smtp-admin" lang="pl"' in page
    assert "Wyślij mi przypomnienie teraz" in page
    client.post(f"{BASE}/remind-me", headers=HTML)
    page = client.get(f"{BASE}/remind-me", headers=HTML).text
    assert "Przypomnienie jest właśnie wysyłane. O następne można poprosić za" in page
    ends = re.search(r'href="(/unsubscribe/[^"]+lang=pl-PL)"', page)
    assert ends
    assert "Nie chcę więcej przypomnień" in client.get(ends[1]).text


def test_the_calendar_knows_at_once_what_was_accepted(office: Office) -> None:
    """Not only when a scheduler has noted it, a minute later."""
    office.have(3)
    office.run()
    office.host.actor = ACME_ADMIN
    path = f"{BASE}/partners/acme/calendar"
    waits = "The last notice is still on its way."
    assert waits in office.host.client.get(path, headers=HTML).text
    office.bench.tick()
    assert waits not in office.host.client.get(path, headers=HTML).text
    preview = office.host.client.get(f"{BASE}/partners/acme/preview?customer=c1", headers=HTML)
    assert waits not in preview.text
