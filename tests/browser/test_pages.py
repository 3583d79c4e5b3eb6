"""Every page and state, on a phone and a desktop, in light and dark: readable, quiet, in bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from flask_babel import Babel
from sqlalchemy import delete

import hosting
from smtp_admin.clock import now
from smtp_admin.embedded.mailbox import store_mail
from smtp_admin.monitor.alerts.models import Alert
from smtp_admin.senders import pauses
from smtp_admin.senders.resolve import load_sender
from tests.sender_state.scenes import a_worker
from tests.servers.scripted import Reply

from .inspection import ALL_LOOKS, TWO_LOOKS, Listener, Look, inspect
from .site import OLGA, Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ACME = "/smtp-admin/partners/acme"
SAVE = "button >> text=/^Save$/"
TEST = "text=Test connection"
SEND = "text=Send test mail"
LONG = "averyveryverylongname" * 3
MAIL = f"""\
From: Northwind <noreply@northwind.example>
To: mia@acme.example
Subject: A mail with a long subject, {LONG}
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<!doctype html><html lang="en"><head><title>Mail</title><style>p {{ color: #222 }}</style></head>
<body><h1>Hello</h1><p style="margin: 0">A mail with its own styles, {LONG}.</p></body></html>
"""

State = Callable[["Page", Site], None]
STATES: dict[str, tuple[str, State, tuple[Look, ...]]] = {}


def state(who: str = "admin", looks: tuple[Look, ...] = ALL_LOOKS) -> Callable[[State], State]:
    """List a function that brings a page into a state, for the one who sees it."""

    def add(function: State) -> State:
        STATES[function.__name__] = (who, function, looks)
        return function

    return add


def at(page: Page, site: Site, path: str, status: int = 200) -> None:
    answer = page.goto(site.url + path)
    assert answer is not None
    assert answer.status == status


def filled(page: Page, site: Site) -> None:
    site.save("acme")
    at(page, site, ACME)


@state("nobody")
def sign_in_page(page: Page, site: Site) -> None:
    at(page, site, "/sign-in")


@state("nobody", looks=TWO_LOOKS)
def sign_in_refused(page: Page, site: Site) -> None:
    at(page, site, "/sign-in")
    page.fill("#email", "mia@acme.example")
    page.fill("#password", "wrong")
    page.press("#password", "Enter")
    page.wait_for_selector("text=is wrong")


@state("nobody", looks=TWO_LOOKS)
def forgot_password(page: Page, site: Site) -> None:
    at(page, site, "/forgot-password")


@state("nobody", looks=TWO_LOOKS)
def reset_password(page: Page, site: Site) -> None:
    at(page, site, f"/reset-password/{site.reset_token()}")


@state()
def dashboard(page: Page, site: Site) -> None:
    at(page, site, "/")


@state("partner", looks=TWO_LOOKS)
def dashboard_of_partner(page: Page, site: Site) -> None:
    at(page, site, "/")


@state()
def overview(page: Page, site: Site) -> None:
    """One sender works beside another of the same partner, one is paused, others are not set up."""
    site.save("acme")
    site.save("acme", key="news", label="Newsletters")
    site.send("acme", 3)
    site.work()
    site.smtp.behave("auth", Reply("535 5.7.8 Who are you?"))
    site.save("initech")
    site.send("initech", 2)
    site.work()
    at(page, site, "/smtp-admin/")
    assert page.locator("tbody tr").count() == 7
    size = page.viewport_size
    page.set_viewport_size({"width": 1024, "height": 800})
    spare = "one => one.clientWidth - one.scrollWidth"
    assert page.eval_on_selector(".smtp-admin-scroll", spare) >= 0, "a column is cut off"
    if size is not None:
        page.set_viewport_size(size)
    site.delete("acme", "news")


@state(looks=TWO_LOOKS)
def overview_found_nothing(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/?q=nobody&sort=-dead")
    page.wait_for_selector("text=No sender matches")


@state("partner", looks=TWO_LOOKS)
def overview_of_partner(page: Page, site: Site) -> None:
    site.save("acme", max_per_hour=1)
    site.send("acme", 3)
    site.work()
    site.send("acme", 2)
    at(page, site, "/smtp-admin/?sort=queued")


@state()
def partners(page: Page, site: Site) -> None:
    site.save("acme", from_email=f"{LONG[:60]}@acme.example")
    at(page, site, "/smtp-admin/partners")


@state()
def system(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/system")


@state()
def tab_empty(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/partners/globex")
    page.wait_for_selector("text=No mail is sent from here yet")


@state("partner")
def tab_filled(page: Page, site: Site) -> None:
    filled(page, site)
    for summary in page.locator("summary").all():  # with everything that can be opened
        summary.click()


@state(looks=TWO_LOOKS)
def tab_paused(page: Page, site: Site) -> None:
    site.smtp.behave("auth", Reply("535 5.7.8 Who are you?"))
    site.save("initech")
    site.send("initech")
    site.work()
    at(page, site, "/smtp-admin/partners/initech")
    page.click("#status summary")


def in_state(page: Page, site: Site, words: str) -> None:
    """The tab with a sender in this state, while a worker is there."""
    with a_worker(site.app):
        at(page, site, ACME)
    page.wait_for_selector(f"#status >> text={words}")


@state(looks=TWO_LOOKS)
def tab_failing(page: Page, site: Site) -> None:
    site.save("acme")
    site.work()  # what others left
    site.save("acme")
    site.smtp.behave("rcpt", Reply(f"554 5.6.0 not this text {LONG}"))
    site.send("acme", 2)
    site.work()
    in_state(page, site, "Failing: the last 2 were refused")


@state(looks=TWO_LOOKS)
def tab_at_its_limit(page: Page, site: Site) -> None:
    site.save("acme")
    site.send("acme", 2)
    site.work()
    site.save("acme", max_per_hour=1)
    in_state(page, site, "Limit reached")


@state(looks=TWO_LOOKS)
def tab_paused_for_its_rate(page: Page, site: Site) -> None:
    site.save("acme")
    site.work()  # what others left
    site.save("acme")
    site.smtp.behave("mail", Reply("450 4.7.0 rate limit exceeded"))
    site.send("acme")
    site.work()
    in_state(page, site, ", rate limit")
    # The viewer's clock, as in every list; what UTC is, the title says.
    until = page.locator("#status time[data-smtp-admin-time]").first
    assert (until.get_attribute("title") or "").endswith(" UTC")
    assert "UTC" not in page.locator("#status .smtp-admin-state").inner_text()


@state(looks=TWO_LOOKS)
def tab_delivering(page: Page, site: Site) -> None:
    site.save("acme")
    site.send("acme", 3)
    site.work()
    in_state(page, site, "Delivering")


@state(looks=TWO_LOOKS)
def tab_without_a_worker(page: Page, site: Site) -> None:
    site.save("acme")
    site.send("acme", 12)
    at(page, site, ACME)
    page.wait_for_selector("text=Waiting for a worker")
    site.work()


@state(looks=TWO_LOOKS)
def tab_paused_by_hand(page: Page, site: Site) -> None:
    filled(page, site)
    page.click("#pause-form button")
    page.wait_for_selector("#status >> text=Paused by hand")
    with site.app.app_context():  # for those who look at this sender next
        session = hosting.db.session()
        pauses.resume(session, load_sender(session, "acme"), OLGA)
        session.commit()


@state(looks=TWO_LOOKS)
def tab_insecure(page: Page, site: Site) -> None:
    site.save("acme", verify_tls=False)
    at(page, site, ACME)
    page.wait_for_selector("text=Insecure:")


@state()
def connection_works(page: Page, site: Site) -> None:
    filled(page, site)
    page.click(TEST)
    page.wait_for_selector("text=It works.")


@state()
def connection_refused(page: Page, site: Site) -> None:
    filled(page, site)
    site.smtp.behave("auth", Reply(f"535-5.7.8 No.\r\n535 5.7.8 {LONG}"))
    page.click(TEST)
    page.wait_for_selector("text=What to do:")


@state(looks=TWO_LOOKS)
def connection_without_host(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/partners/globex")
    page.click(TEST)
    page.wait_for_selector("text=No connection was made.")


@state()
def field_errors(page: Page, site: Site) -> None:
    filled(page, site)
    page.click("#more > summary")
    for field, text in (
        ("host", "http://mail"),
        ("port", "many"),
        ("from_email", "nobody"),
        ("from_name", LONG + LONG),
        ("reply_to", "also nobody"),
        ("max_per_hour", "-1"),
    ):
        page.fill(f"#{field}", text)
    page.click(SAVE)
    page.wait_for_selector("[aria-invalid=true]")
    assert page.locator("[aria-invalid=true]").count() == 6
    assert page.locator(".smtp-admin-complaint").count() >= 6


@state()
def conflict(page: Page, site: Site) -> None:
    filled(page, site)
    site.save("acme", from_name="Meanwhile")
    page.fill("#from_name", "Mine")
    page.click(SAVE)
    page.wait_for_selector("text=Olga Other saved these settings while you were editing them")
    assert page.input_value("#from_name") == "Mine"


@state(looks=TWO_LOOKS)
def saved(page: Page, site: Site) -> None:
    filled(page, site)
    page.fill("#from_name", "Saved just now")
    page.click(SAVE)
    page.wait_for_selector("text=Saved as revision")


@state(looks=TWO_LOOKS)
def saved_already(page: Page, site: Site) -> None:
    filled(page, site)
    page.click(SAVE)
    page.wait_for_selector("text=Nothing changed, so there is no new revision.")


@state()
def mail_queued(page: Page, site: Site) -> None:
    filled(page, site)
    page.click(SEND)
    page.wait_for_selector("#test-mail >> text=Waiting for a worker.")


@state()
def mail_accepted(page: Page, site: Site) -> None:
    filled(page, site)
    page.click(SEND)
    page.wait_for_selector("#test-mail >> text=Waiting for a worker.")
    site.work()
    page.wait_for_selector("text=The server took the mail to admin@northwind.example.")


@state()
def mail_failed(page: Page, site: Site) -> None:
    filled(page, site)
    site.smtp.behave("rcpt", Reply(f"554 5.6.0 Not this text: {LONG}"))
    page.click(SEND)
    page.wait_for_selector("#test-mail >> text=Waiting for a worker.")
    site.work()
    page.wait_for_selector("text=Not delivered.")
    page.wait_for_selector("#test-mail >> text=Most likely:")


@state()
def preset(page: Page, site: Site) -> None:
    """The provider with the most to say, chosen from the list and not saved."""
    at(page, site, ACME)
    page.select_option("#preset", "microsoft365")
    page.wait_for_selector("#preset-steps")
    assert page.input_value("#host") == "smtp.office365.com"


@state(looks=TWO_LOOKS)
def limit_taken(page: Page, site: Site) -> None:
    """Into its fields at once, without losing what was typed."""
    site.save("acme", host="smtp.office365.com", port=587)
    at(page, site, ACME)
    page.fill("#from_name", "Typed")
    page.click("#more > summary")
    page.click("button >> text=Use it")
    assert page.input_value("#max_per_hour") == "1800"
    assert page.input_value("#max_connections") == "3"
    assert page.input_value("#from_name") == "Typed"
    assert page.evaluate("document.activeElement.id") == "max_connections"


@state()
def found(page: Page, site: Site) -> None:
    """Settings from an address alone."""
    at(page, site, "/smtp-admin/partners/globex")
    page.fill("#address", "robot@acme.example")
    page.click('button:has-text("Find settings")')
    page.wait_for_selector("#find [role=status]")
    page.click("text=What was checked")
    assert page.input_value("#host") == "localhost"
    assert page.input_value("#username") == "robot@acme.example"


@state(looks=TWO_LOOKS)
def found_nothing(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/partners/globex")
    page.fill("#address", f"robot@{LONG[:60]}.example")
    page.press("#address", "Enter")
    page.wait_for_selector("#find >> text=No suitable mail server was found")


@state(looks=TWO_LOOKS)
def found_no_address(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/partners/globex")
    page.fill("#address", "robot")
    page.press("#address", "Enter")
    page.wait_for_selector("#address-error")


@state("partner")
def deliverability(page: Page, site: Site) -> None:
    site.save("acme", host="smtp.gmail.com", port=587, from_email=f"{LONG[:60]}@acme.example")
    at(page, site, f"{ACME}/deliverability")
    page.click("text=Check now")
    page.wait_for_selector("text=Records to publish")
    for summary in page.locator("summary").all():
        summary.click()
    page.wait_for_selector("text=include:_spf.google.com")


@state(looks=TWO_LOOKS)
def deliverability_not_checked(page: Page, site: Site) -> None:
    site.save("acme", from_email=f"never.asked@{LONG[:50]}.example")
    at(page, site, f"{ACME}/deliverability")
    page.wait_for_selector("text=Check now")


@state(looks=TWO_LOOKS)
def deliverability_checked_again(page: Page, site: Site) -> None:
    site.save("acme")
    at(page, site, f"{ACME}/deliverability")
    page.click("#check-form button")
    page.wait_for_url(f"{site.url}{ACME}/deliverability#dns")
    page.click("text=Check again")
    page.wait_for_url(f"{site.url}{ACME}/deliverability#dns")
    page.wait_for_selector("text=just now")


@state(looks=TWO_LOOKS)
def deliverability_of_nothing(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/partners/globex/deliverability")
    page.wait_for_selector("text=Nothing to check yet")


@state()
def symptoms(page: Page, site: Site) -> None:
    """With a pause, refusals that are known and one that is not, and what DNS lacks."""
    initech = "/smtp-admin/partners/initech"  # what waits there is in nobody's way
    site.save("initech")
    at(page, site, f"{initech}/deliverability")
    page.click("#check-form button")
    page.wait_for_selector("text=Records to publish")
    for stage, words in (
        ("rcpt", f"550 5.1.1 <{LONG[:60]}@customer.example>: no such user"),
        ("dot", f"554 Zorp says no, {LONG}"),
        ("mail", "450 4.7.1 Error: too much mail from 198.51.100.7"),
    ):
        site.smtp.behave(stage, Reply(words))  # type: ignore[arg-type]  # each is a stage
        site.send("initech", 2, to=stage)  # who is refused for good may get no more mail
        site.work()
        site.smtp.behave(stage, None)  # type: ignore[arg-type]
    at(page, site, f"{initech}/symptoms")
    page.wait_for_selector("#refused >> text=Not recognised:")
    for summary in page.locator("summary").all():
        summary.click()


@state(looks=TWO_LOOKS)
def symptoms_of_nothing(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/partners/globex/symptoms")
    page.wait_for_selector("text=What do you see?")


@state(looks=TWO_LOOKS)
def symptoms_of_all(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/symptoms")
    page.wait_for_selector("text=Whose mail has the problem?")


@state(looks=TWO_LOOKS)
def mail_not_saved_refused(page: Page, site: Site) -> None:
    """Tried at once, refused, and why."""
    filled(page, site)
    site.smtp.behave("mail", Reply("553 5.7.1 Sender address rejected: not owned by user acme"))
    page.fill("#from_name", "Not saved")
    page.click(SEND)
    page.wait_for_selector("#test-mail >> text=Most likely:")


@state(looks=TWO_LOOKS)
def mail_not_saved(page: Page, site: Site) -> None:
    """With settings that are only on the screen it goes out at once."""
    filled(page, site)
    page.fill("#from_name", "Not saved")
    page.click(SEND)
    page.wait_for_selector("text=These settings are not saved yet")


@state(looks=TWO_LOOKS)
def mail_to_nobody(page: Page, site: Site) -> None:
    filled(page, site)
    page.fill("#to", "nobody")
    page.click(SEND)
    page.wait_for_selector("#test-mail .smtp-admin-note--bad")


@state("partner")
def error_403(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/partners", 403)


@state("partner")
def error_404(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/partners/globex", 404)


@state(looks=TWO_LOOKS)
def error_404_of_host(page: Page, site: Site) -> None:
    at(page, site, "/nothing", 404)


@state()
def inbox(page: Page, site: Site) -> None:
    store(site)
    at(page, site, "/inbox")


@state(looks=TWO_LOOKS)
def inbox_mail(page: Page, site: Site) -> None:
    at(page, site, f"/inbox/{store(site)}")
    page.click("summary")


def store(site: Site) -> str:
    folder = site.instance / "inbox"
    kept = store_mail(
        folder, MAIL.encode(), envelope_from="a@b.example", envelope_to=["c@d.example"]
    )
    return kept.id


def troubled(site: Site, *, ended: bool = False) -> None:
    """Alerts of several owners; the newest with long words from a server."""
    with site.app.app_context():
        session = hosting.db.session()
        session.execute(delete(Alert))
        for number, (partner_id, severity) in enumerate(
            (("", "warning"), ("acme", "critical"), ("globex", "warning"), ("acme", "warning"))
        ):
            over = ended and number > 1
            session.add(
                Alert(
                    public_id=f"{number:032}",
                    kind="sender_stopped" if number % 2 else "dead_letters",
                    partner_id=partner_id,
                    incident=f"{number}",
                    open_key=None if over else f"{number}",
                    severity=severity,
                    whose=f"partner {partner_id}" if partner_id else "the system",
                    headline=f"Stopped since {number + 1} o'clock until the login is corrected",
                    detail=f"The server refused it. (535 5.7.8 {LONG}@{LONG}.example)",
                    opened_at=now() - timedelta(hours=number + 1),
                    ended_at=now() if over else None,
                    acknowledged_at=now() if number == 3 else None,
                    acknowledged_by="mia@acme.example" if number == 3 else "",
                )
            )
        session.commit()


@state()
def alerts(page: Page, site: Site) -> None:
    troubled(site)
    at(page, site, "/smtp-admin/alerts")


@state("partner", looks=TWO_LOOKS)
def alerts_of_a_partner(page: Page, site: Site) -> None:
    troubled(site)
    at(page, site, "/smtp-admin/alerts")
    page.click("text=Mute for 1 day")
    page.wait_for_selector("text=Muted for 1 day.")


@state(looks=TWO_LOOKS)
def alerts_that_ended(page: Page, site: Site) -> None:
    troubled(site, ended=True)
    at(page, site, "/smtp-admin/alerts")


@state(looks=TWO_LOOKS)
def alerts_in_the_banner(page: Page, site: Site) -> None:
    troubled(site)
    site.save("acme")
    at(page, site, ACME)
    page.wait_for_selector("#alerts >> text=All alerts")


@pytest.fixture(autouse=True)
def calm(site: Site) -> Iterator[None]:
    """No page has the alerts of another's."""
    yield
    with site.app.app_context():
        hosting.db.session.execute(delete(Alert))
        hosting.db.session.commit()


@pytest.mark.parametrize(("name", "who"), [(name, who) for name, (who, *_) in STATES.items()])
def test_page(page: Page, site: Site, name: str, who: str) -> None:
    _, bring_about, looks = STATES[name]
    bring_about(page, site)
    assert inspect(page, name, looks) == []


def test_the_list_of_partners_is_seen_whole_on_a_phone(page: Page, site: Site) -> None:
    """Columns beyond the edge would be found by nobody."""
    site.save("acme", from_email=f"{LONG[:60]}@acme.example")
    page.set_viewport_size({"width": 390, "height": 844})
    at(page, site, "/smtp-admin/partners")
    hidden = page.locator(".smtp-admin-scroll").evaluate("one => one.scrollWidth - one.clientWidth")
    assert hidden == 0
    row = page.get_by_role("row", name="Acme GmbH")
    assert row.get_by_role("cell").count() == 8


def test_button_beside_a_field_is_level_with_it(page: Page, site: Site) -> None:
    at(page, site, "/smtp-admin/partners/globex")
    field = page.locator("#address").bounding_box()
    button = page.locator('button:has-text("Find settings")').bounding_box()
    assert field is not None
    assert button is not None
    assert abs(field["y"] - button["y"]) < 1


def test_inspection_notices_what_is_wrong(page: Page, site: Site) -> None:
    """Each of the checks above can fail."""
    at(page, site, ACME)
    other = page.context.new_page()
    listener = Listener(other, site.url)
    other.goto(site.url + ACME)
    other.evaluate("""() => {
      document.querySelector("label[for=host]").remove();
      document.querySelector("h1").style.width = "500px";
      document.querySelector("h2").setAttribute("style", "color: #ccc");
      const image = document.createElement("img");
      image.src = "/static/missing.png";
      document.body.append(image);
      fetch("http://127.0.0.2:9/").catch(() => {});
    }""")
    found = "\n".join(inspect(other, "wrong", TWO_LOOKS))
    assert "label" in found
    assert "phone: the page scrolls sideways" in found
    heard = "\n".join(listener.complaints)
    assert "policy violation: style-src" in heard
    assert "policy violation: connect-src" in heard
    assert "404" in heard


#: Whether something of an element is seen, and nothing stands before that.
_IS_IN_FRONT = """one => {
  const box = one.getBoundingClientRect();
  const seen = (x) => document.elementFromPoint(x, box.y + box.height / 2) === one;
  return [box.left + 4, (box.left + box.right) / 2, box.right - 4].some(seen);
}"""
#: The lists in whose boxes the longest choice has no room.
CUT_OFF = """some => some.filter((one) => {
  const whole = one.cloneNode(true);
  Object.assign(whole.style, { position: "absolute", width: "max-content" });
  one.parentNode.append(whole);
  const cut = one.offsetWidth && whole.offsetWidth > one.offsetWidth + 1;
  whole.remove();
  return cut;
}).map((one) => one.id)"""


@pytest.mark.parametrize("scripts", [False], ids=["no-scripts"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_the_bars_of_pages_are_one_line(
    page: Page, site: Site, language: str, scripts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that a platform's admin has; what is folded opens without scripts."""
    del scripts
    if language == "de":
        monkeypatch.setitem(site.app.extensions, "babel", None)  # taken out again afterwards
        Babel(site.app, configure_jinja=False, locale_selector=lambda: language)
    site.save("acme")
    for width in (1280, 1024, 390):
        page.set_viewport_size({"width": width, "height": 800})
        for path in (
            "/",
            "/tokens",
            "/partners/acme",
            "/partners/acme/webhook",
            "/partners/acme/bounces",
        ):
            at(page, site, f"/smtp-admin{path}")
            bar = page.locator(".smtp-admin-tabs")
            tops = bar.locator("> div > a, > details > summary").evaluate_all(
                "some => some.map(one => Math.round(one.getBoundingClientRect().top))"
            )
            assert len(tops) > 5
            assert len(set(tops)) == 1, (width, path, tops)
            assert bar.locator("[aria-current=page]").count() == 1
            if width == 1280:
                assert page.locator("select").evaluate_all(CUT_OFF) == [], path
    # On a phone the row scrolls: the present page is in view, and so is what has the focus.
    at(page, site, "/smtp-admin/partners/acme/suppressions")
    row = page.locator(".smtp-admin-tabs-row")
    for one in (row.locator("[aria-current]"), *row.locator("a").all()):
        one.focus()
        assert one.evaluate(_IS_IN_FRONT), one.inner_text()
    at(page, site, "/smtp-admin/")
    last = page.locator(".smtp-admin-more a").last
    assert not last.is_visible()
    page.click(".smtp-admin-more summary")
    last.click()
    page.wait_for_url("**/smtp-admin/audit")
