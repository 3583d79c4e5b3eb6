"""The mail: in the customer's language and zone, with a link that ends reminders by one click."""

from datetime import UTC, date, datetime
from decimal import Decimal
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from babel.dates import format_date
from babel.numbers import format_decimal
from flask_wtf.csrf import CSRFProtect
from jinja2 import ChoiceLoader, FileSystemLoader

from smtp_admin import Partner
from smtp_admin.mail import mime
from smtp_admin.mail.compose import render_for
from smtp_admin.mail.wording import wording
from smtp_admin.renewals.notices import compose, voice_for
from smtp_admin.renewals.values import RenewalValues
from smtp_admin.senders.resolve import load_sender
from tests.app import HostApp
from tests.delivery.workbench import Workbench, deliveries, queue
from tests.renewals.office import HOUR, Office
from tests.renewals.things import a_customer, a_service
from tests.servers.scripted import ScriptedServer

HTML = {"Accept": "text/html"}
SUBJECTS = {
    "en": "{} expires on {}",
    "de": "{} läuft am {} ab",
    "es": "{} caduca el {}",
    "fr": "{} expire le {}",
    "pt": "{} expira em {}",
    "pl": "{} wygasa {}",
}
LATE = datetime(2026, 3, 4, 23, 30, tzinfo=UTC)


def parts(mail: EmailMessage) -> tuple[str, str]:
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    return tuple(one.get_content().replace("\r\n", "\n") for one in (text, html))


def written(host: HostApp, *services: Any, **values: Any) -> EmailMessage:
    session = host.db.session()
    voice = voice_for(session, services[0].partner_id)
    message = compose(a_customer(*services), services, RenewalValues(**values), "T" * 32, voice)
    content = render_for(load_sender(session, "acme"), message).content
    return message_from_bytes(content, policy=default)


@pytest.mark.parametrize(
    ("language", "zone", "locale", "day"),
    [
        ("", "", "en", 4),
        ("de", "Europe/Berlin", "de", 5),
        ("pt-BR", "America/Sao_Paulo", "pt_BR", 4),
        ("fr_CH", "Europe/Zurich", "fr_CH", 5),
        ("es-MX", "America/Mexico_City", "es_MX", 4),
        ("pl", "Europe/Warsaw", "pl", 5),
        ("ja", "Asia/Tokyo", "en", 5),  # there are no sentences in it, so no dates either
        ("de-XX-unknown", "Mars/Olympus", "de", 4),
        ("tlh", "UTC", "en", 4),
    ],
)
def test_dates_and_amounts_are_the_customers(
    host: HostApp, language: str, zone: str, locale: str, day: int
) -> None:
    """Written as Babel writes them: each of its releases knows the languages a little better."""
    service = a_service(
        language=language, time_zone=zone, expires_at=LATE, price="1234.5", balance=None
    )
    mail = written(host, service)
    day_there = format_date(date(2026, 3, day), "long", locale=locale)
    price = format_decimal(Decimal("1234.50"), "#,##0.00", locale=locale)
    assert mail["Subject"] == SUBJECTS[locale[:2]].format("Hosting s1", day_there)
    for body in parts(mail):
        assert day_there in body
        assert f"{price} EUR" in unescape(body)
        assert wording("renewal")[locale[:2]]["balance_before"] not in body
    assert f'<html lang="{locale[:2]}"' in parts(mail)[1]


@pytest.mark.parametrize("language", SUBJECTS)
def test_a_mail_is_in_one_language(host: HostApp, language: str) -> None:
    """No sentence of another language in any case that the templates know."""
    theirs = wording("renewal")
    foreign = {
        one.strip()
        for name, words in theirs.items()
        for one in words.values()
        if name != language and len(one) > 6 and one not in theirs[language].values()
    }
    foreign -= {one for one in foreign if any(one in mine for mine in theirs[language].values())}
    several = [a_service(language=language, service_id=f"s{number}") for number in range(70)]
    for services in ([several[0]], several):
        mail = written(host, *services)
        for said in (mail["Subject"], *map(unescape, parts(mail))):
            assert not [one for one in foreign if one in said]
        assert theirs[language]["top_up"] in parts(mail)[0]
    nobody = a_service(language=language, customer_name="")
    assert parts(written(host, nobody))[0].startswith(theirs[language]["hello"] + "\n")


def test_an_apps_own_text_may_be_in_any_language(host: HostApp, tmp_path: Path) -> None:
    folder = tmp_path / "smtp_admin" / "email" / "renewal"
    folder.mkdir(parents=True)
    ours = host.app.jinja_env.loader
    assert ours is not None

    def restart() -> None:
        host.app.jinja_env.loader = ChoiceLoader([FileSystemLoader(tmp_path), ours])

    restart()
    (folder / "html.liquid").write_text("<p>{{ services[0].expires_on }} {{ words.how }}</p>")
    service = a_service(language="ja", expires_at=LATE)
    assert "March 4, 2026 To renew" in parts(written(host, service))[1]
    (folder / "text.liquid").write_text("{{ services[0].expires_on }} {{ language }}")
    restart()
    day = format_date(date(2026, 3, 4), "long", locale="ja")
    assert parts(written(host, service))[0].strip() == f"{day} ja"


def test_a_partners_mail_is_signed_by_the_partner(host: HostApp) -> None:
    for body in parts(written(host, a_service())):
        assert "Acme GmbH" in body
        assert host.installation.config.app_name not in body
    for body in parts(written(host, a_service(partner_id=""))):
        assert host.installation.config.app_name in body


def test_a_partners_name_is_asked_for_once_in_a_run(
    opened: Any, bench_of: Any, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host: HostApp = opened()
    office = Office(host, bench_of(host), server)
    for number in range(20):
        office.have(3, customer_id=f"c{number}")
    asked: list[str] = []

    def partner(partner_id: str) -> Partner:
        asked.append(partner_id)
        return Partner(partner_id, "Acme\nHosting")

    monkeypatch.setattr(host.host, "partner", partner)
    assert office.run().due == 20
    assert len(asked) < 5  # the sender's own checks ask too
    office.send()
    assert "\nAcme Hosting\n" in parts(office.mails[0])[0]


def test_without_its_name_no_mail_of_a_partner_goes_out(
    opened: Any, bench_of: Any, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host: HostApp = opened()
    office = Office(host, bench_of(host), server)
    office.have(3)

    def partner(partner_id: str) -> Partner:
        raise RuntimeError("secret words")

    monkeypatch.setattr(host.host, "partner", partner)
    report = office.run()
    assert (report.due, report.failed) == (0, 1)
    assert report.ended.startswith("The app's partner() failed with RuntimeError.")
    assert not office.notices()


def test_amounts_have_the_digits_of_their_currency(host: HostApp) -> None:
    mail = written(host, a_service(price="2400", currency="JPY", balance="0"))
    price = format_decimal(2400, "#,##0", locale="en")
    assert f"renewal {price} JPY" in parts(mail)[0]
    assert "Your balance: 0 JPY" in parts(mail)[0]


def test_what_is_not_known_is_left_out(host: HostApp) -> None:
    mail = written(host, a_service(price=None, payment_url="", customer_name="", currency=""))
    text, html = parts(mail)
    assert "Hello,\n" in text
    assert "renewal" not in text.partition("To renew")[0]
    assert "<a " not in html.partition("No more")[0]


def test_very_many_services_are_counted(host: HostApp) -> None:
    services = [a_service(service_id=f"s{number}") for number in range(70)]
    mail = written(host, *services)
    assert mail["Subject"] == "70 of your services expire soon"
    assert "and 20 more." in parts(mail)[0]


def test_names_cannot_become_markup(host: HostApp) -> None:
    mail = written(host, a_service(service_name="<script>x</script> {{ name }}"))
    assert "<script>" not in parts(mail)[1]
    assert "{{ name }}" in parts(mail)[0]


def test_one_click_headers_are_on_one_line(new_app: Any) -> None:
    host = new_app(PUBLIC_URL="https://a-rather-long-name.customers.panel.example.com/hosting/")
    with host.app.app_context():
        message = compose(a_customer(), a_customer().services, RenewalValues(), "T" * 32)
        raw = mime.build(message, message_id="<a@b.example>", limit=10**6)
    link = "https://a-rather-long-name.customers.panel.example.com/hosting/unsubscribe/" + "T" * 32
    assert f"\r\nList-Unsubscribe: <{link}>\r\n".encode() in raw
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    for body in parts(message_from_bytes(raw, policy=default)):
        assert link in body


def test_without_a_public_address_there_is_no_link(host: HostApp) -> None:
    for headers in ({}, {"Host": "evil.example"}):
        with host.app.test_request_context(headers=headers):
            mail = written(host, a_service())
        assert mail["List-Unsubscribe"] is None
        assert "No more" not in parts(mail)[0]


def test_the_hosts_configured_name_will_do(new_app: Any) -> None:
    host = new_app()
    host.app.config.update(SERVER_NAME="panel.example.com", PREFERRED_URL_SCHEME="https")
    host.app.config["APPLICATION_ROOT"] = "/hosting"
    for headers in ({}, {"Host": "evil.example"}):
        with host.app.test_request_context("http://evil.example/", headers=headers):
            link = written(host, a_service())["List-Unsubscribe"]
        assert link == f"<https://panel.example.com/hosting/unsubscribe/{'T' * 32}>"


def test_one_click_needs_https(new_app: Any) -> None:
    """RFC 8058, section 3.1."""
    for scheme, offered in (("http", False), ("https", True)):
        host = new_app(PUBLIC_URL=f"{scheme}://panel.example.com")
        with host.app.app_context():
            mail = written(host, a_service())
        assert mail["List-Unsubscribe"].startswith(f"<{scheme}://panel.example.com/unsubscribe/")
        assert (mail["List-Unsubscribe-Post"] is not None) is offered


# --- The link -----------------------------------------------------------------------------------


@pytest.fixture
def office(opened: Any, bench_of: Any, server: ScriptedServer) -> Office:
    """A customer with one reminder, in an app that knows its address."""
    host: HostApp = opened(PUBLIC_URL="http://localhost")
    bench: Workbench = bench_of(host)
    made = Office(host, bench, server)
    made.have(6)
    made.run()
    made.send()
    host.actor = None
    host.app.config["WTF_CSRF_ENABLED"] = True
    return made


def link_of(office: Office) -> str:
    return str(office.mails[0]["List-Unsubscribe"]).strip("<>").removeprefix("http://localhost")


def test_looking_changes_nothing(office: Office) -> None:
    link = link_of(office)
    for _ in range(2):
        page = office.host.client.get(link, headers=HTML)
        assert page.status_code == 200
        assert "No more reminders" in page.text
        assert "Acme GmbH" in page.text
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert "c1" not in page.text
    office.host.client.head(link)
    assert office.customer().unsubscribed_at is None


def test_one_click_without_cookies_ends_reminders_and_nothing_else(office: Office) -> None:
    done = office.host.client.post(link_of(office), data={"List-Unsubscribe": "One-Click"})
    assert done.status_code == 200
    since = office.customer().unsubscribed_at
    assert since is not None
    office.host.client.post(link_of(office), data={"List-Unsubscribe": "One-Click"})
    assert office.customer().unsubscribed_at == since
    office.later = 50 * HOUR
    assert office.run().skipped == {"unsubscribed": 1}
    queue(office.host, "c1@customer.example")  # an invoice, say
    office.send()
    assert deliveries(office.host)[-1].state == "sent"


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_one_click_in_either_form(office: Office, content_type: str) -> None:
    """RFC 8058, section 3.2: senders of the click may choose."""
    answer = office.host.client.post(
        link_of(office), data={"List-Unsubscribe": "One-Click"}, content_type=content_type
    )
    assert answer.status_code == 200
    assert office.customer().unsubscribed_at is not None


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"data": {}},
        {"data": {"List-Unsubscribe": "one-click"}},
        {"data": {"List-Unsubscribe": ""}},
        {"data": {"reminders": "maybe"}},
        {"data": {"unsubscribe": "1"}},
        {"query_string": {"List-Unsubscribe": "One-Click", "reminders": "off"}},
        {"json": {"List-Unsubscribe": "One-Click"}},
        {"data": b"List-Unsubscribe=One-Click", "content_type": "text/plain"},
        {"headers": {"List-Unsubscribe": "One-Click"}},
    ],
    ids=str,
)
def test_any_other_post_changes_nothing(office: Office, sent: dict[str, Any]) -> None:
    link = link_of(office)
    answer = office.host.client.post(link, **sent)
    assert answer.status_code == 400
    assert "No more reminders" in answer.text  # the button is there for a person who came so
    assert office.customer().unsubscribed_at is None
    office.host.client.post(link, data={"reminders": "off"})
    since = office.customer().unsubscribed_at
    assert since is not None
    office.host.client.post(link, **sent)
    assert office.customer().unsubscribed_at == since


def test_it_can_be_taken_back(office: Office) -> None:
    link = link_of(office)
    office.host.client.post(link, data={"reminders": "off"})
    page = office.host.client.post(link, data={"reminders": "on"})
    assert "You get reminders of Acme GmbH again." in page.text
    assert office.customer().unsubscribed_at is None
    office.later = 50 * HOUR
    assert office.run().due == 1


@pytest.mark.parametrize("token", ["x", "T" * 32, "%00", "a" * 500])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_links_are_not_known(office: Office, token: str, method: str) -> None:
    answer = office.host.client.open(f"/unsubscribe/{token}", method=method, headers=HTML)
    assert answer.status_code == 404


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_hosts_own_check_does_not_stand_in_the_way(
    monkeypatch: pytest.MonkeyPatch, opened: Any, bench_of: Any, server: ScriptedServer, when: str
) -> None:
    from smtp_admin import extension

    if when == "before":
        plain = extension.SMTPAdmin.init_app

        def init_app(self: Any, app: Any, db: Any) -> None:
            CSRFProtect(app)
            plain(self, app, db)

        monkeypatch.setattr(extension.SMTPAdmin, "init_app", init_app)
    host: HostApp = opened(PUBLIC_URL="http://localhost")
    if when == "after":
        CSRFProtect(host.app)
    office = Office(host, bench_of(host), server)
    office.have(6)
    office.run()
    office.send()
    host.app.config["WTF_CSRF_ENABLED"] = True
    one_click = {"List-Unsubscribe": "One-Click"}
    assert host.client.post(link_of(office), data=one_click).status_code == 200
    assert office.customer().unsubscribed_at is not None
    assert host.client.post("/smtp-admin/renewals/system").status_code == 400
