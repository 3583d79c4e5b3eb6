"""The pages of several senders: adding, choosing sending methods, routes, pauses, deletion."""

import html
import re
from dataclasses import replace
from typing import Any

import pytest

from smtp_admin.pages.sender_list import suggested_key
from smtp_admin.senders.resolve import load_sender
from smtp_admin.transports import registry
from smtp_admin.transports.memory import DRIVER as MEMORY
from tests.app import ACME_ADMIN, ADMIN, CUSTOMER, GLOBEX_ADMIN, HostApp
from tests.test_pages import HTML, PASSWORD, PREFIX, form, get, names, post, site

__all__ = ["names", "site"]

ACME = "/partners/acme"
NEWS = f"{ACME}/senders/news"


@pytest.fixture
def two(site: HostApp) -> HostApp:
    """Acme with a default sender and another."""
    with site.app.app_context():
        site.save_sender("acme")
        site.save_sender("acme", key="news")
    return site


def saved(site: HostApp, key: str = "", partner_id: str = "acme") -> Any:
    with site.app.app_context():
        return load_sender(site.db.session(), partner_id, key)


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("Newsletters", "newsletters"),
        ("  Rechnungen für Köln! ", "rechnungen-fur-koln"),
        ("x" * 60, "x" * 40),
        ("ニュース", ""),
    ],
)
def test_a_key_is_made_from_a_name(label: str, key: str) -> None:
    assert suggested_key(label) == key


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"label": "", "key": ""}, "label"),
        ({"label": "ニュース"}, "key"),
        ({"label": "A", "key": "Not a key"}, "key"),
        ({"label": "A", "key": "system"}, "key"),
        ({"label": "x" * 81}, "label"),
        ({"label": "News"}, "label"),
        ({"label": "Other", "key": "news"}, "key"),
    ],
)
def test_names_that_cannot_be_used(two: HostApp, given: dict[str, str], field: str) -> None:
    answer = post(two, f"{ACME}/senders", given)
    assert answer.status_code == 400
    assert f'id="{field}-error"' in answer.text
    answer = two.client.post(f"{PREFIX}{ACME}/senders", json=given)
    assert answer.get_json()["error"]["fields"].keys() == {field}


def test_a_sender_is_added_by_its_tab_alone(site: HostApp) -> None:
    """Nothing is there before it is saved; then it has a name, and stands beside the other."""
    answer = post(site, f"{ACME}/senders", {"label": "My news"})
    address = answer.headers["Location"].removeprefix(PREFIX)
    assert address == f"{ACME}/senders/my-news?new=1&label=My+news"
    page = get(site, address)
    assert page.status_code == 200
    assert 'value="My news"' in page.text
    for path in re.findall(r'action="([^"#]+my-news[^"#]*)', page.text):
        assert "new=1" in path
    assert saved(site, "my-news").revision == 0
    answer = post(site, f"{ACME}/senders/my-news?new=1", form(label="My news"))
    assert answer.headers["Location"] == f"{PREFIX}{ACME}/senders/my-news"
    assert saved(site, "my-news").label == "My news"
    text = get(site, f"{ACME}/senders/my-news").text
    assert "Acme GmbH · My news" in text
    assert re.search(r'aria-current="true">\s*<span[^>]*></span>My news', text)


@pytest.mark.parametrize("page", ["senders", "routes"])
def test_pages_around_a_sender_stand_below_its_settings(two: HostApp, page: str) -> None:
    """They have no entry of their own: without this no page of the bar would be the present one."""
    bar = get(two, f"{ACME}/{page}").text.partition('class="smtp-admin-tabs-row"')[2]
    current = re.findall(r'aria-current="(\w+)">([^<]+)', bar.partition("</div>")[0])
    assert current == [("true", "SMTP")]


@pytest.mark.parametrize(
    ("page", "own", "others"),
    [
        (ACME, "the partner's name", "application"),
        ("/system", "the application's name", "partner's"),
    ],
)
def test_a_hint_speaks_of_its_own_owner(site: HostApp, page: str, own: str, others: str) -> None:
    text = html.unescape(get(site, page).text)
    hint = text.partition('id="from_name-hint">')[2].partition("</p>")[0]
    assert own in hint
    assert others not in hint


def test_a_test_of_nothing_says_once_what_is_missing(site: HostApp) -> None:
    """What the message says already is not said again below it; at the field it stands too."""
    answer = post(site, f"{ACME}/test-connection", form(host=""))
    assert answer.status_code == 400
    card = answer.text.partition('id="connection-test"')[2].partition("</section>")[0]
    assert card.count("Enter the host name of the mail server") == 1
    assert "No connection was made." in card
    assert "Enter the host name of the mail server." in answer.text.replace(card, "")


def test_mistakes_while_adding_lose_nothing(site: HostApp) -> None:
    answer = post(site, f"{NEWS}?new=1", form(label="News") | {"port": "x"})
    assert answer.status_code == 400
    assert 'value="News"' in answer.text
    answer = post(site, f"{NEWS}?new=1", form(label="x" * 81))
    assert 'id="label-error"' in answer.text
    assert saved(site, "news").revision == 0


def test_each_sender_has_its_own_pages(two: HostApp) -> None:
    with two.app.app_context():
        two.save_sender("acme", key="news", from_name="Only the news", port=2525)
    for path, words in (("", "Only the news"), ("/history", "2525"), ("/explain", "Sender")):
        assert words in get(two, NEWS + path).text
    assert "Only the news" not in get(two, ACME).text
    listed = two.client.get(f"{PREFIX}{ACME}/senders", headers={"Accept": "application/json"})
    assert [one["key"] for one in listed.get_json()["senders"]] == ["", "news"]


def test_one_sender_sees_one_sender(site: HostApp) -> None:
    with site.app.app_context():
        site.save_sender("acme")
    page = get(site, ACME).text
    assert "smtp-admin-senders" not in page
    assert "Add a sender" in page
    assert 'name="label"' not in page


def test_ways_of_sending(site: HostApp) -> None:
    with site.app.app_context():
        site.save_sender("acme", from_name="Kept", password=PASSWORD, username="login")
    page = get(site, ACME).text
    assert "Passes mail to the mail server of this machine" in page
    other = get(site, f"{ACME}?driver=sendmail").text
    assert 'name="host"' not in other
    assert 'value="Kept"' in other
    assert re.search(r'id="driver"[^>]*value="sendmail"', other)
    assert 'name="host"' in get(site, f"{ACME}?driver=nothing").text
    answer = post(
        site, ACME, {"driver": "sendmail", "from_email": "a@acme.example", "revision": "1"}
    )
    assert answer.status_code == 303
    assert saved(site).values.driver == "sendmail"
    # Back again, the password has to be entered: it was stored for that server alone.
    back = get(site, f"{ACME}?driver=smtp").text
    assert "saved today" not in back


@pytest.mark.parametrize("driver", ["sendmail", "memory"])
def test_partners_do_not_choose_what_borrows_rights(site: HostApp, driver: str) -> None:
    site.actor = ACME_ADMIN
    page = get(site, f"{ACME}?driver={driver}").text
    assert "Sending method" not in page
    assert 'name="host"' in page
    answer = post(site, ACME, {"driver": driver, "from_email": "a@acme.example", "revision": "0"})
    assert answer.status_code == 400
    assert saved(site).revision == 0


def test_the_sending_method_stays_chosen_after_a_mistake(site: HostApp) -> None:
    for path in (ACME, f"{ACME}/test-connection"):
        answer = post(site, path, {"driver": "ses", "revision": "0"})
        assert answer.status_code == 400
        assert re.search(r'<option value="ses" selected>', answer.text)


def test_a_test_names_the_fields_as_the_page_does(site: HostApp) -> None:
    answer = post(site, f"{ACME}/test-connection", {"driver": "ses", "revision": "0"})
    assert "Please fix Region and Access key id." in answer.text


def test_a_driver_that_there_is_not(site: HostApp) -> None:
    answer = post(site, ACME, form(driver="pigeon"))
    assert answer.status_code == 400
    assert "no driver &#39;pigeon&#39;" in answer.text


def test_what_others_chose_is_read_only(site: HostApp) -> None:
    with site.app.app_context():
        site.save_sender("acme", port=2525)
        site.save_sender("acme", driver="sendmail")
    site.actor = ACME_ADMIN
    page = get(site, ACME).text
    assert "Only the platform's administrators may change this sender" in page
    assert 'name="from_email"' not in page
    for path, data in (
        ("", form(revision=2)),
        ("/rollback", {"number": "1", "revision": "2"}),
        ("/delete", {}),
    ):
        assert post(site, ACME + path, data).status_code == 403, path
    assert saved(site).revision == 2
    assert not saved(site).deleted
    assert post(site, f"{ACME}/pause", {}).status_code == 303


def test_what_others_chose_and_deleted_is_begun_anew(site: HostApp) -> None:
    with site.app.app_context():
        site.save_sender("acme", driver="sendmail")
    assert post(site, f"{ACME}/delete", {}).status_code == 303
    site.actor = ACME_ADMIN
    assert 'name="host"' in get(site, ACME).text
    assert post(site, ACME, form(revision=1)).status_code == 303
    assert saved(site).values.driver == "smtp"


def test_a_driver_that_is_gone(site: HostApp) -> None:
    """Its sender sends nothing, and the page says why and offers the others."""
    registry.register(replace(MEMORY, name="pigeon", label="Pigeon", keeps_mail=False))
    try:
        with site.app.app_context():
            site.save_sender("acme", driver="pigeon")
    finally:
        registry.forget("pigeon")
    page = get(site, ACME).text
    assert "The saved sending method is no longer available" in page
    assert "pigeon" in page
    assert 'id="driver-choice"' in page
    assert get(site, f"{ACME}/history").status_code == 200
    assert post(site, ACME, form(revision=1)).status_code == 303
    assert "no longer available" not in get(site, ACME).text


KEPT = ("/", "/partners", "/system", ACME, f"{ACME}/routes", "/renewals/", "/partners/nobody")


def test_kept_mail_is_told_on_every_page(site: HostApp) -> None:
    for path in KEPT:
        assert "is kept, not sent" not in get(site, path).text
    with site.app.app_context():
        site.save_sender("acme", driver="memory")
    for path in KEPT:
        page = " ".join(get(site, path).text.split())
        assert re.search(r"Mail of <a [^>]*>Acme GmbH</a> is kept, not sent", page), path
    site.actor = GLOBEX_ADMIN  # nobody sees anything of another's
    assert "is kept" not in get(site, "/").text
    site.actor = CUSTOMER
    assert "is kept" not in get(site, "/partners/acme").text
    site.actor = None
    assert "is kept" not in get(site, "/").text


def test_kept_mail_of_the_system_concerns_who_has_no_sender(site: HostApp) -> None:
    with site.app.app_context():
        site.save_sender("", driver="memory")
        site.save_sender("acme")
    site.actor = GLOBEX_ADMIN
    page = " ".join(get(site, "/").text.split())
    assert "Mail of the system is kept, not sent" in page
    site.actor = ACME_ADMIN
    assert "is kept" not in get(site, "/").text


def test_who_steps_in(two: HostApp) -> None:
    page = get(two, NEWS).text
    assert page.count('name="fallbacks"') == 2
    data = form(revision=1, fallbacks=["default", "system"], label="News")
    assert post(two, NEWS, data).status_code == 303
    assert saved(two, "news").values.fallbacks == ("default", "system")
    data = form(revision=2, fallbacks=["system", "default"], label="News")
    answer = post(two, NEWS, data)
    assert answer.status_code == 400
    assert re.search(r'id="fallbacks-error">[^<]*must be last', answer.text)
    assert re.search(r'id="fallbacks"[^>]*>\s*(<option[^>]*>[^<]*</option>\s*)*', answer.text)
    assert re.search(r'value="system" selected', answer.text)


def test_routes(two: HostApp) -> None:
    page = get(two, f"{ACME}/routes").text
    assert "By the default sender" in page
    data = {"type-renewal": "news", "priority-bulk": "default", "type-password_reset": ""}
    assert post(two, f"{ACME}/routes", data).status_code == 303
    found = two.client.get(f"{PREFIX}{ACME}/routes", headers={"Accept": "application/json"})
    assert found.get_json()["routes"] == {
        "type": {"renewal": "news"},
        "priority": {"bulk": "default"},
    }
    page = get(two, f"{ACME}/routes").text
    assert re.search(r'id="type-renewal".*?value="news" selected', page, re.DOTALL)
    answer = post(two, f"{ACME}/routes", {"type-renewal": "nobody"})
    assert answer.status_code == 400
    assert 'id="type-renewal-error"' in answer.text
    assert post(two, f"{ACME}/routes", {"type-pigeon": "news"}).status_code == 400
    answer = two.client.post(f"{PREFIX}{ACME}/routes", json={"type": {"renewal": ""}})
    assert answer.get_json()["routes"] == {"type": {}, "priority": {}}
    answer = two.client.post(f"{PREFIX}{ACME}/routes", json={"type": ["renewal"]})
    assert answer.status_code == 400


def test_routes_without_a_choice_say_what_to_do(site: HostApp) -> None:
    assert "This partner has no sender of its own" in get(site, f"{ACME}/routes").text
    assert "There is no sender yet." in get(site, "/system/routes").text
    with site.app.app_context():
        site.save_sender("acme")
    assert "Add another" in get(site, f"{ACME}/routes").text


def test_delete_says_what_happens(two: HostApp) -> None:
    with two.app.app_context():
        two.save_sender("acme", fallbacks=("news",))
        two.plugin.send("renewal", to="a@b.example", partner_id="acme", sender="news",
                        context=RENEWAL)  # fmt: skip
        two.db.session.commit()
    post(two, f"{ACME}/routes", {"type-renewal": "news"})
    page = " ".join(get(two, f"{NEWS}/delete").text.split())
    assert "1 mail waits" in page
    assert "These routes are removed: Renewal reminder." in page
    assert "It is no longer the fallback for Default." in page
    asked = two.client.get(f"{PREFIX}{NEWS}/delete", headers={"Accept": "application/json"})
    assert asked.get_json()["waiting"] == 1
    assert post(two, f"{NEWS}/delete", {}).status_code == 303
    assert saved(two, "news").deleted
    assert get(two, NEWS).status_code == 404


RENEWAL = {
    "name": "Sam",
    "services": [],
    "balance": "0",
    "currency": "EUR",
}


def test_the_systems_default_sender_stays(site: HostApp) -> None:
    with site.app.app_context():
        site.save_sender("")
    assert "This sender cannot be deleted" in get(site, "/system/delete").text
    assert "Delete…" not in get(site, "/system").text
    assert post(site, "/system/delete", {}).status_code == 409


def test_a_deleted_default_sender_comes_back(site: HostApp) -> None:
    with site.app.app_context():
        site.save_sender("acme")
    assert post(site, f"{ACME}/delete", {}).status_code == 303
    page = get(site, ACME).text
    assert "This sender was deleted." in page
    assert post(site, ACME, form(revision=1)).status_code == 303
    assert not saved(site).deleted


def test_pause_and_resume(site: HostApp) -> None:
    with site.app.app_context():
        site.save_sender("acme")
    answer = site.client.post(f"{PREFIX}{ACME}/pause", json={})
    assert answer.get_json() == {"ok": True, "paused": True}
    page = get(site, ACME).text
    assert "Ada paused it." in page
    assert "resumes automatically" not in page
    assert "Most likely" not in page + get(site, "/").text
    assert "Resume" in page
    assert post(site, f"{ACME}/resume", {}).status_code == 303
    assert site.client.post(f"{PREFIX}{ACME}/resume", json={}).status_code == 409
    assert site.client.post(f"{PREFIX}/partners/globex/pause", json={}).status_code == 409


def test_report_of_a_failed_test(site: HostApp, closed_port: int) -> None:
    answer = post(site, f"{ACME}/test-connection", form(closed_port))
    assert 'data-smtp-admin-copy="report"' in answer.text
    assert "connection_refused at connect" in answer.text
    assert PASSWORD not in answer.text


def test_locked_fields_of_the_environment(site: HostApp) -> None:
    site.installation.environment = {"SMTP_HOST": "mail.example.com", "SMTP_FROM": "a@b.example"}
    page = get(site, "/system").text
    for name in ("host", "from_email", "password"):
        assert re.search(rf'<input id="{name}"[^>]*disabled', page), name
    assert "Set by <code>SMTP_HOST</code>" in page
    assert 'id="driver-choice"' not in page
    assert site.client.get(f"{PREFIX}/system?driver=sendmail", headers=HTML).text.count("disabled")


def test_names_of_senders_are_text(two: HostApp) -> None:
    evil = "<b>News</b>"
    assert post(two, NEWS, form(revision=1, label=evil)).status_code == 303
    for path in (ACME, NEWS, f"{ACME}/senders", f"{ACME}/routes", f"{NEWS}/delete"):
        page = get(two, path).text
        assert evil not in page
        assert "&lt;b&gt;News&lt;/b&gt;" in page, path
    assert ADMIN.is_admin
