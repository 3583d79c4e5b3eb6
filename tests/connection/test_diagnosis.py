"""What each failure comes from: real replies, every code, every row, and the true cause first."""

import re
import ssl
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.diagnosis.causes import Row
from smtp_admin.diagnosis.diagnose import (
    ALL_CODES,
    TABLE,
    code_of_delivery,
    diagnose,
    provider_of,
)
from smtp_admin.diagnosis.provider_replies import PROVIDER_REPLIES
from smtp_admin.diagnosis.refusals import REFUSALS
from smtp_admin.diagnosis.server_replies import SERVER_REPLIES
from smtp_admin.diagnosis.situations import SITUATIONS
from smtp_admin.smtp import explain
from smtp_admin.transports.sendmail import exit_codes
from smtp_admin.transports.smtp.probe import STEPS
from tests.connection.recorded import Recorded, read_replies
from tests.connection.troubleshooting_page import FILE, page
from tests.servers.certificates import Fault

RECORDED = read_replies()
FROM = "news@acme.example"
PACKAGE = Path(__file__).resolve().parents[2] / "smtp_admin"


def keys(code: str, **known: Any) -> list[str]:
    return [cause.key for cause in diagnose(code, **known).causes]


# --- What servers say ----------------------------------------------------------------------------


@pytest.mark.parametrize("one", RECORDED, ids=lambda one: f"{one.key}-{one.reply.code}")
def test_recorded_reply(one: Recorded) -> None:
    """The same from the test's reply, from a stored mail and from the reason of a pause."""
    assert keys(one.code, reply=one.reply, **one.known)[0] == one.key
    stored = str(one.reply)[:300]
    assert keys(one.code, reply_text=stored, **one.known)[0] == one.key
    paused = f"The server refused something. ({one.reply})"[:500]
    assert keys(one.code, reply_text=paused, **one.known)[0] == one.key


@pytest.mark.parametrize("row", [*PROVIDER_REPLIES, *SERVER_REPLIES], ids=lambda row: row.key)
def test_every_reply_of_the_table_was_recorded(row: Row) -> None:
    assert row.key in {one.key for one in RECORDED}


def test_same_number_of_two_providers() -> None:
    """Microsoft's 5.7.30 is about the login, Google's about DKIM: the words tell them apart."""
    retired = "550 5.7.30 Basic authentication is not supported for Client Submission."
    unsigned = "550 5.7.30 This mail has been blocked because DKIM does not pass."
    assert keys("auth_failed", reply_text=retired) == ["ms_basic_retired"]
    assert keys("message_refused", reply_text=unsigned) == ["sender_unauthenticated"]


def test_text_without_a_reply_says_nothing() -> None:
    assert keys("timeout", reply_text="The server stopped answering.") == keys("timeout")
    assert keys("rate_limited", reply_text="(too often)") == ["tested_too_often"]


# --- Codes and rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ALL_CODES)
def test_every_code_alone_has_a_cause(code: str) -> None:
    assert keys(code)[0] != "unknown"
    assert keys(code, step="quit", reply_text="599 what", host="mail.example.com", port=4711,
                security="tls", username="a@b", message="It failed.")[0] != "unknown"  # fmt: skip


def test_every_code_of_the_product_is_known() -> None:
    """Whatever is written into ``last_code`` and ``pause_code``."""
    written: set[str] = set()
    for folder in ("smtp", "transports", "delivery"):
        for file in (PACKAGE / folder).rglob("*.py"):
            written |= set(re.findall(r'\bcode="([a-z_]+)"', file.read_text("utf-8")))
            written |= set(re.findall(r'\blast_code="([a-z_]+)"', file.read_text("utf-8")))
    assert {"recipient_refused", "too_large", "worker_lost", "expired", "cancelled"} <= written
    assert written <= set(ALL_CODES)


@pytest.mark.parametrize("code", ["", "nonsense", "internal"])
def test_unknown_code(code: str) -> None:
    """It says so, unless the server's words say more."""
    assert keys(code) == ["unknown"]
    assert diagnose(code).hint
    assert keys(code, reply_text="552 5.2.2 mailbox full") == ["mailbox_full"]


def our_words() -> Iterator[str]:
    """What our own failures say of certificates and encryption."""
    for fault in Fault:
        error = ssl.SSLCertVerificationError()
        error.verify_code, error.verify_message = fault, "what OpenSSL says of it"
        yield explain.of_certificate(error, "mail.example.com").message
    for name in ("WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "DH_KEY_TOO_SMALL",
                 "TLSV1_ALERT_PROTOCOL_VERSION", "SSLV3_ALERT_HANDSHAKE_FAILURE",
                 "TLSV13_ALERT_CERTIFICATE_REQUIRED"):  # fmt: skip
        broken = ssl.SSLError()
        broken.reason = name
        failure = explain.of_handshake(broken)
        yield f"{failure.message} {failure.hint}"
    for name in ("KEY_VALUES_MISMATCH", "NO_START_LINE"):
        unusable = ssl.SSLError()
        unusable.reason = name
        yield explain.of_client_certificate(unusable).message
    yield explain.of_own_authority().message
    yield explain.of_authorities().message
    # As in smtp/client.py; real ones are in test_true_causes.py.
    yield "The server only offers logins that we do not have: XOAUTH2."
    yield "The name mail.example.com could not be looked up just now."
    yield "Something was slipped into the connection before the encryption began."
    yield from (row.sentence for row in exit_codes.TABLE)


HOSTS = {
    "": "mail.example.com", "gmail": "smtp.gmail.com", "microsoft365": "smtp.office365.com",
    "yahoo": "smtp.mail.yahoo.com", "sendgrid": "smtp.sendgrid.net", "zoho": "smtp.zoho.eu",
    "ses": "email-smtp.eu-west-1.amazonaws.com", "postmark": "smtp.postmarkapp.com",
    "mailgun": "smtp.eu.mailgun.org", "sparkpost": "smtp.sparkpostmail.com",
    "mailtrap": "sandbox.smtp.mailtrap.io", "gmx": "mail.gmx.net", "icloud": "smtp.mail.me.com",
    "fastmail": "smtp.fastmail.com",
}  # fmt: skip
ANY_HOST = (*HOSTS.values(), "imap.example.com", "mail", "198.51.100.7", "2001:db8::7")


def words(text: str, otherwise: str) -> list[str]:
    return [one for one in text.split() if one != "-"] or [otherwise]


@pytest.mark.parametrize("row", [*SITUATIONS, *REFUSALS], ids=lambda row: row.key)
def test_every_other_row_can_be_reached(row: Row) -> None:
    """With something that can really happen: none is hidden by those before it."""
    hosts = [HOSTS[one] for one in words(row.providers, "")] if row.providers else ANY_HOST
    users = ("", "sam", "sam@acme.example", "apikey")
    found = [
        row.key in keys(code, step=step or None, host=host, port=int(port) if port else None,
                        security=security or None, username=user, message=message, reply_text=said)
        for code, step, host, port, security, user, message, said in product(
            row.codes.split(), words(row.steps, ""), hosts, words(row.ports, ""),
            words(row.security, ""), users, ["", *our_words()] if row.message else [""],
            ["", "499 what"],
        )
    ]  # fmt: skip
    assert any(found)


def test_rows_are_well_formed() -> None:
    names = [row.key for row in TABLE]
    assert len(names) == len(set(names))
    for row in TABLE:
        assert row.codes or row.says, f"{row.key} would fit everything"
        assert set(row.codes.split()) <= set(ALL_CODES), row.key
        assert set(row.steps.split()) <= {*STEPS, "-"}, row.key
        assert set(row.providers.split()) <= {*HOSTS, "-"} - {""}, row.key
        assert set(row.security.split()) <= {"ssl", "tls", "none"}, row.key
        for text in (row.what, row.do):
            # The login may be a token, so no text may show it.
            assert set(re.findall(r"\{(\w+)\}", text)) <= {"sender", "domain", "port", "host"}
            assert text[0].isupper(), text
            assert text.endswith("."), text
            assert len(re.findall(r"\.(?= [A-Z“]|$)", text)) <= 3, text
            assert len(text) <= 260, text


@given(
    st.sampled_from([*ALL_CODES, "else"]), st.sampled_from([None, *STEPS]), st.text(max_size=40),
    st.sampled_from(ANY_HOST), st.sampled_from([None, 25, 465, 587, 993]),
    st.sampled_from([None, "ssl", "tls", "none"]), st.integers(200, 599),
)  # fmt: skip
def test_anything_has_a_few_causes(
    code: str, step: str | None, said: str, host: str, port: int | None, security: str | None,
    number: int,
) -> None:  # fmt: skip
    known: dict[str, Any] = {
        "step": step, "reply_text": f"{number} {said}", "host": host, "port": port,
        "security": security, "username": "token-canary-7731", "from_email": "{x}@acme.example",
    }  # fmt: skip
    found = diagnose(code, **known)
    assert found == diagnose(code, **known)
    assert 1 <= len(found.causes) <= 4
    assert len({cause.key for cause in found.causes}) == len(found.causes)
    assert found.hint.startswith(found.causes[0].what)
    assert "canary" not in repr(found)


# --- What is known sharpens it -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "known", "first"),
    [
        ("timeout", {"step": "connect", "port": 25}, "port_25_blocked"),
        ("timeout", {"port": 25}, "port_25_blocked"),
        ("timeout", {"step": "connect", "port": 587}, "firewall"),
        ("timeout", {"step": "connect", "port": 587, "host": HOSTS["sendgrid"]},
         "port_2525_instead"),
        ("timeout", {"step": "connect", "port": 465, "host": HOSTS["ses"]}, "port_2587_instead"),
        ("timeout", {"step": "greeting", "port": 465, "security": "tls"}, "ssl_expected"),
        ("timeout", {"step": "greeting", "port": 587, "security": "tls"}, "slow_greeting"),
        ("timeout", {"step": "connect", "port": 465, "security": "tls"}, "firewall"),
        ("timeout", {"step": "tls", "port": 587, "security": "ssl"}, "starttls_expected"),
        ("tls_failed", {"step": "tls", "port": 587, "security": "ssl"}, "starttls_expected"),
        ("timeout", {"step": "connect", "port": 993}, "reading_port"),
        ("connection_refused", {"host": "imap.gmail.com", "port": 587}, "reading_host"),
        ("dns_failed", {"host": "mailserver"}, "short_host"),
        ("dns_failed", {"host": "email-smtp.eu-east-9.amazonaws.com"}, "ses_region"),
        ("dns_failed", {"message": "The name x.example could not be looked up just now."},
         "name_service_away"),
        ("tls_not_offered", {"port": 25}, "port_25_plain"),
        ("certificate_error", {"host": "198.51.100.7", "message": "for another name than it."},
         "certificate_address"),
        ("auth_failed", {"username": ""}, "login_not_entered"),
        ("auth_failed", {"host": HOSTS["gmail"], "username": "sam@gmail.com"}, "gmail_login"),
        ("auth_failed", {"host": HOSTS["icloud"], "username": "sam@me.com"}, "app_password"),
        ("auth_failed", {"host": HOSTS["sendgrid"], "username": "sam"}, "sendgrid_username"),
        ("auth_failed", {"host": HOSTS["sendgrid"], "username": "apikey"}, "sendgrid_key"),
        ("auth_not_offered", {"security": "none"}, "encrypt_for_login"),
        ("rate_limited", {}, "tested_too_often"),
        ("sent", {"host": "sandbox.smtp.mailtrap.io"}, "mailtrap_keeps"),
    ],
)  # fmt: skip
def test_sharpened(code: str, known: dict[str, Any], first: str) -> None:
    assert keys(code, **known)[0] == first


def test_words_show_the_settings() -> None:
    hint = diagnose("sender_refused", from_email=FROM).hint
    assert FROM in hint
    assert "the from address" in diagnose("sender_refused").hint
    assert "port 4711" in diagnose("connection_refused", port=4711).hint


@pytest.mark.parametrize("provider", HOSTS)
def test_provider_of_a_host(provider: str) -> None:
    assert provider_of(HOSTS[provider]) == provider
    assert provider_of(f"{HOSTS[provider]}.example.net") == ""
    assert provider_of(f"not{HOSTS['gmail'].removeprefix('smtp.')}") == ""


def test_provider_of_a_reply() -> None:
    said = "535 5.7.8 no https://support.google.com/mail/?p=BadCredentials a1 - gsmtp"
    assert provider_of("mail.acme.example", said) == "gmail"
    assert provider_of("smtp.sendgrid.net", said) == "sendgrid", "the host knows better"


@pytest.mark.parametrize(
    ("state", "code", "uncertains", "expected"),
    [
        ("dead", "recipient_refused", 0, "recipient_refused"),
        ("queued", "server_refused", 0, "server_refused"),
        ("queued", "", 0, "queued"),
        ("uncertain", "timeout", 1, "uncertain"),
        ("uncertain", "worker_lost", 1, "worker_lost"),
        ("dead", "connection_lost", 2, "uncertain"),
        ("dead", "message_refused", 1, "message_refused"),
        ("expired", "expired", 0, "expired"),
        ("cancelled", "cancelled", 0, "cancelled"),
        ("bounced", "", 0, "bounced"),
        ("sent", "", 0, "sent"),
        ("delivered", "", 0, "sent"),
    ],
)
def test_code_of_a_delivery(state: str, code: str, uncertains: int, expected: str) -> None:
    assert code_of_delivery(state, code, uncertains) == expected
    assert keys(expected)[0] != "unknown"


# --- The page ------------------------------------------------------------------------------------


def test_the_page_is_the_table() -> None:
    """``python -m tests.connection.troubleshooting_page`` writes it anew."""
    assert FILE.read_text("utf-8") == page()


@pytest.mark.parametrize("code", ALL_CODES)
def test_every_code_is_on_the_page(code: str) -> None:
    assert f"### `{code}`\n" in FILE.read_text("utf-8")


def test_every_row_is_on_the_page() -> None:
    text = FILE.read_text("utf-8")
    for row in TABLE:
        first_words = row.what.partition("{")[0]
        assert f"| {first_words}" in text, row.key
