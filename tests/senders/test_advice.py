"""Every warning comes when it should, beside the right field, and not otherwise."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.providers.catalogue import providers
from smtp_admin.senders.advice import PASSWORD_AGE, Advice, advice, codes
from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.values import SenderValues

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = datetime(2027, 2, 1, tzinfo=UTC)
PAGE = Path(__file__).resolve().parent.parent.parent / "docs/providers.md"


def values(**changes: Any) -> SenderValues:
    """Settings that nobody would say anything about, but for *changes*."""
    good: dict[str, Any] = {
        "host": "mail.acme.example",
        "port": 587,
        "security": "tls",
        "username": "noreply@acme.example",
        "from_email": "noreply@acme.example",
        "from_name": "Acme Support",
    }
    return SenderValues(**(good | changes))


def given_for(**changes: Any) -> list[Advice]:
    """The advice for these settings; ``site_domain`` and the like go to the function itself."""
    names = ("site_domain", "password_set_at", "now", "password")
    more = {name: changes.pop(name) for name in names if name in changes}
    return advice(values(**changes), **({"now": NOW} | more))


def at(provider: str, **changes: Any) -> dict[str, Any]:
    """Settings at a provider that nobody would say anything about, but for *changes*."""
    login = "sam@acme.example"
    known = {
        "gmail": {"host": "smtp.gmail.com", "username": login, "from_email": login},
        "microsoft365": {"host": "smtp.office365.com", "username": login, "from_email": login},
        "yahoo": {"host": "smtp.mail.yahoo.com", "username": login, "from_email": login},
        "sendgrid": {"host": "smtp.sendgrid.net", "username": "apikey"},
        "mailgun": {"host": "smtp.eu.mailgun.org"},
        "ses": {"host": "email-smtp.eu-west-1.amazonaws.com", "username": "AKIAIOSFODNN7EXAMPLE"},
        "postmark": {"host": "smtp.postmarkapp.com", "username": "PM-T-outbound-x"},
        "sparkpost": {"host": "smtp.sparkpostmail.com", "username": "SMTP_Injection"},
        "mailtrap": {"host": "sandbox.smtp.mailtrap.io", "username": "0123456789abcd"},
    }
    return known[provider] | changes


BY_APP = {"sign_in": "microsoft_app", "oauth_client_id": "4711"}
TOKEN = "8f1c2a9e-0b4d-4c7e-9a51-3d2e6f708192"

#: Code → the field that it stands beside, settings that get it, and such that do not.
CASES: dict[str, tuple[str, list[dict[str, Any]], list[dict[str, Any]]]] = {
    "port_25": ("port", [{"port": 25}, at("sendgrid", port=25)], [{}, {"port": 2525}]),
    "no_encryption": (
        "security",
        [{"security": "none"}, {"security": "none", "username": ""}],
        [{}, {"security": "ssl", "port": 465}],
    ),
    "certificate_not_checked": (
        "verify_tls",
        [{"verify_tls": False}],
        [{}, {"verify_tls": False, "security": "none"}],  # there is no certificate then
    ),
    "port_wants_ssl": (
        "security",
        [{"port": 465}, {"port": 465, "security": "none"}, {"port": 2465},
         at("gmail", port=465), at("ses", port=2465, security="tls")],
        [{"port": 465, "security": "ssl"}, {}, {"port": 4465}, at("mailtrap", port=465),
         at("postmark", port=465)],
    ),
    "port_wants_starttls": (
        "security",
        [{"security": "ssl"}, {"port": 25, "security": "ssl"}, {"port": 2525, "security": "ssl"},
         at("gmail", security="ssl"), at("mailtrap", port=465, security="ssl")],
        [{}, {"port": 465, "security": "ssl"}, {"port": 10465, "security": "ssl"},
         {"security": "none"}],
    ),
    "port_not_of_provider": (
        "port",
        [at("postmark", port=465, security="ssl"), at("postmark", port=465),
         at("gmail", port=2525), at("gmail", port=26, security="none")],
        [at("postmark"), at("gmail", port=465, security="ssl"), {"port": 26}],
    ),
    "ip_address_as_host": (
        "host",
        [{"host": "192.0.2.1"}, {"host": "2001:db8::1"}, {"host": "127.0.0.1"}],
        [{}, {"host": "localhost"}, {"host": "mail1.acme.example"}],
    ),
    "host_nearly_known": (
        "host",
        [{"host": "smtp.gmial.com"}, {"host": "smpt.office365.com"}, {"host": "smtp.mailgun.com"},
         {"host": "smtp.gmail.co"}],
        # Others that are near, and right: a free mail service, a region, one's own.
        [{}, at("gmail"), {"host": "smtp.mail.com"}, {"host": "smtp.gmail.com.acme.example"},
         {"host": "email-smtp.eu-west-9.amazonaws.com"}, {"host": "mail.gmx.com"}],
    ),
    "incoming_server": (
        "host",
        [{"host": "acme-example.mail.protection.outlook.com"}, {"host": "aspmx.l.google.com"},
         {"host": "mxa.mailgun.org"}],
        [{}, at("gmail"), {"host": "mx.acme.example"}],
    ),
    "too_many_connections": (
        "max_connections",
        [at("microsoft365", max_connections=4)],
        [at("microsoft365", max_connections=3), {"max_connections": 20}, at("gmail")],
    ),
    "free_mail_sender": (
        "from_email",
        [{"from_email": "acme@gmail.com"}, {"from_email": "acme@web.de"},
         {"from_email": "acme@hotmail.fr"},
         at("gmail", username="acme@gmail.com", from_email="acme@gmail.com")],
        [{}, {"from_email": "acme@gmail.com.example"}, {"from_email": ""},
         {"from_email": "acme@mail.acme.onmicrosoft.com"}],
    ),
    "from_domain_differs": (
        "from_email",
        [{"site_domain": "shop.example"}, {"site_domain": "acme.example.com"},
         {"site_domain": "other.co.uk", "from_email": "a@acme.co.uk"}],
        [{}, {"site_domain": "acme.example"}, {"site_domain": "www.acme.example"},
         {"site_domain": "Acme.Example."}, {"site_domain": "acme.example",
          "from_email": "a@mail.acme.example"}, {"site_domain": "shop.acme.co.uk",
          "from_email": "a@mg.acme.co.uk"}, {"site_domain": "localhost"},
         {"site_domain": "127.0.0.1"}, {"site_domain": "https://x/"},
         {"site_domain": "müller.example", "from_email": "a@xn--mller-kva.example"},
         {"site_domain": "shop.example", "from_email": ""},
         {"site_domain": "shop.example", "from_email": "acme@gmail.com"}],  # which is said instead
    ),
    "name_in_capitals": (
        "from_name",
        [{"from_name": "URGENT NOTIFICATION"}, {"from_name": "ACME LIMITED!"},
         {"from_name": "ÜBERWEISUNG"}],
        [{}, {"from_name": ""}, {"from_name": "IBM"}, {"from_name": "UNICEF"},
         {"from_name": "ACME UK LTD"}, {"from_name": "ACME Support"},
         {"from_name": "株式会社山田商店本店"}, {"from_name": "12345678"}],
    ),
    "generic_name": (
        "from_name",
        [{"from_name": "noreply"}, {"from_name": "No-Reply"}, {"from_name": "do not reply"},
         {"from_name": "ADMIN"}, {"from_name": "Test 123"}, {"from_name": "Your Name"}],
        [{}, {"from_name": ""}, {"from_name": "Acme Test Lab"}, {"from_name": "Adminton"}],
    ),
    "misleading_name": (
        "from_name",
        [{"from_name": "boss@other.example"}, {"from_name": "Acme (sam@gmail.com)"},
         {"from_name": "bank.com Support"}, {"from_name": "PayPal Service"},
         {"from_name": "Your Friend"}, {"from_name": "Re: your order"},
         {"from_name": "Acme\u202elagrev"}, {"from_name": "Ac\u200bme"},
         {"from_name": "Google", "from_email": "acme@gmail.com"}],
        [{}, {"from_name": ""}, {"from_name": "noreply@acme.example"},
         {"from_name": "Acme.com Support", "from_email": "a@mail.acme.com"},
         {"from_name": "Acme.com Support", "site_domain": "www.acme.com"},
         {"from_name": "PayPal Service", "from_email": "service@paypal.com"},
         {"from_name": "PayPal Service", "site_domain": "paypal.example",
          "from_email": "a@mail.example"},
         {"from_name": "Metapaypalish"}, {"from_name": "Reed & Sons"},
         {"from_name": "نام\u200cها"}],
    ),
    "old_password": (
        "password",
        [{"password_set_at": NOW - PASSWORD_AGE - timedelta(seconds=1)},
         {"password_set_at": NOW - timedelta(days=400)}],
        [{}, {"password_set_at": NOW - PASSWORD_AGE}, {"password_set_at": NOW},
         {"password_set_at": NOW + timedelta(days=1)},
         {"password_set_at": NOW - timedelta(days=400), "password": "a new one"}],
    ),
    "client_secret_day": (
        "oauth_secret_until", [at("microsoft365", **BY_APP)],
        [at("microsoft365", **BY_APP, oauth_secret_until="2027-11-30"),
         at("microsoft365", **BY_APP, oauth_certificate="a certificate"), at("microsoft365"),
         at("microsoft365", sign_in="microsoft_app")],
    ),
    "login_not_an_address": (
        "username", [at("gmail", username="sam"), at("yahoo", username="sam")],
        [at("gmail"), {"username": "sam"}, at("gmail", username="")],
    ),
    "from_not_login": (
        "from_email",
        [at(one, from_email="billing@acme.example") for one in ("gmail", "microsoft365", "yahoo")],
        [at("gmail"), {"username": "other@acme.example"}, at("sendgrid")],
    ),
    "outlook_personal": (
        "username", [at("microsoft365", username="sam@outlook.com")], [at("microsoft365")],
    ),
    "yahoo_app_password": (
        "password", [at("yahoo", password="hunter2")],
        [at("yahoo"), at("yahoo", password="abcd efgh ijkl mnop"), at("gmail", password="hunter2")],
    ),
    "sendgrid_key_cut": (
        "password", [at("sendgrid", password="SG.abc")],
        [at("sendgrid"), at("sendgrid", password="hunter2"), {"password": "SG.abc"}],
    ),
    "mailgun_api_key": (
        "password", [at("mailgun", password="key-" + "0" * 32)], [at("mailgun", password="key")],
    ),
    "ses_password_length": (
        "password", [at("ses", password="x" * 43)],
        [at("ses", password="x" * 44), at("ses", password="x" * 40), at("ses")],
    ),
    "postmark_secret_key": (
        "password", [at("postmark", password=TOKEN)], [at("postmark", password="veMVOaC_djTx")],
    ),
    "sparkpost_key": (
        "password", [at("sparkpost", password="hunter2")], [at("sparkpost", password="0af9" * 10)],
    ),
    "mailtrap_login": ("username", [at("mailtrap", username="api")], [at("mailtrap")]),
    "microsoft365_passwords_end": (
        "password", [at("microsoft365")], [at("microsoft365", now=LATER), at("gmail"), {}],
    ),
    "microsoft365_passwords_off": (
        "password", [at("microsoft365", now=LATER)], [at("microsoft365"), at("gmail", now=LATER)],
    ),
    "mailtrap_development": (
        "host", [at("mailtrap")], [{"host": "live.smtp.mailtrap.io"}, {}],
    ),
}  # fmt: skip


def test_every_code_is_tried() -> None:
    assert sorted(CASES) == sorted(codes())
    assert len(set(codes())) == len(codes())


@pytest.mark.parametrize("code", CASES)
def test_code(code: str) -> None:
    field, wanted, unwanted = CASES[code]
    assert field in {one.name for one in fields_of("smtp")}
    for settings in wanted:
        found = [it for it in given_for(**settings) if it.code == code]
        assert [it.field for it in found] == [field], settings
    for settings in unwanted:
        assert code not in [it.code for it in given_for(**settings)], settings


def test_good_settings_get_no_advice() -> None:
    assert given_for() == []
    assert given_for(site_domain="www.acme.example", password_set_at=NOW, reply_to="x@gmx.de") == []


@pytest.mark.parametrize(
    "name", ["gmail", "sendgrid", "mailgun", "ses", "postmark", "sparkpost", "yahoo"]
)
def test_good_settings_at_a_provider_get_no_advice(name: str) -> None:
    (one,) = [it for it in providers() if it.key == name]
    for offered in one.ports:
        found = given_for(**at(name, port=offered.port, security=offered.security))
        assert [it.code for it in found] == (["port_25"] if offered.port == 25 else [])


def test_a_form_that_is_still_empty_gets_no_advice() -> None:
    empty = SenderValues(host="", port=587, security="tls", username="", from_email="")
    assert advice(empty, now=NOW, site_domain="acme.example") == []


def test_a_code_comes_once() -> None:
    worst = given_for(
        host="192.0.2.1", port=25, security="none", verify_tls=False, max_connections=20,
        from_email="a@gmail.com", from_name="NOREPLY: your@friend.example",
        site_domain="shop.example", password_set_at=NOW - timedelta(days=100),
    )  # fmt: skip
    codes = [it.code for it in worst]
    assert len(set(codes)) == len(codes)
    assert codes == [
        "ip_address_as_host", "port_25", "no_encryption", "free_mail_sender", "misleading_name",
        "old_password",
    ]  # fmt: skip


def test_every_message_is_a_sentence_without_the_password() -> None:
    for _, wanted, _ in CASES.values():
        for settings in wanted:
            for it in given_for(**settings):
                assert re.fullmatch(r"(?:[A-Z“]|cPanel)[^\n]*\.", it.message), it.message
                assert len(settings.get("password", "")) < 7 or (
                    settings["password"] not in it.message
                )


def test_a_free_address_elsewhere_is_worse_than_at_home() -> None:
    (home,) = given_for(**at("gmail", username="a@gmail.com", from_email="a@gmail.com"))
    (elsewhere,) = given_for(from_email="a@gmail.com")
    assert home.code == elsewhere.code == "free_mail_sender"
    assert home.message != elsewhere.message
    assert "Only the servers of gmail.com" in elsewhere.message


def test_the_password_is_only_mentioned_where_there_is_one() -> None:
    (with_login,) = given_for(security="none")
    (without,) = given_for(security="none", username="")
    assert "password" in with_login.message
    assert "password" not in without.message


def test_the_offered_ports_are_named() -> None:
    (found,) = given_for(**at("postmark", port=465, security="ssl"))
    assert "587 with STARTTLS, 2525 with STARTTLS, 25 with STARTTLS" in found.message


@given(st.text(max_size=64), st.text(max_size=80), st.text(max_size=80))
def test_no_text_breaks_it(name: str, site: str, password: str) -> None:
    for one in providers():
        host = one.host_for(domain="acme.example")
        found = given_for(host=host, from_name=name, site_domain=site, password=password)
        assert {it.code for it in found} <= set(codes())


def test_the_page_lists_every_code() -> None:
    text = PAGE.read_text("utf-8").partition("## Advice")[2]
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == [*codes()]
