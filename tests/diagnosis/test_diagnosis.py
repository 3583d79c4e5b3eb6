"""What each failure comes from: real replies, every code, every row, and the true cause first."""

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.diagnosis.causes import ALL_CODES, Row
from smtp_admin.diagnosis.diagnose import Diagnosis, code_of_delivery, diagnose, facts_about
from smtp_admin.diagnosis.table import causes
from smtp_admin.providers.catalogue import (
    knowledge,
    provider_behind,
    provider_of_words,
    replies,
)
from smtp_admin.replies.meaning import STEPS, Context, Judgement, Login
from smtp_admin.senders.values import SenderValues
from smtp_admin.transports.smtp.probe import STEPS as TEST_STEPS
from tests.diagnosis.recorded import Recorded, read_replies

RECORDED = read_replies()
FROM = "news@acme.example"
ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "smtp_admin"


def find(code: str, *, step: str = "", said: str = "", cause: str = "",
         named: dict[str, str] | None = None, **settings: Any) -> Diagnosis:  # fmt: skip
    """The diagnosis of *code* with these settings; without any nobody knows them."""
    values = SenderValues(driver="smtp", **settings) if settings else None
    return diagnose(
        facts_about(code, cause=cause, step=step, said=said, values=values, named=named or {})
    )


def keys(code: str, **known: Any) -> list[str]:
    return [cause.key for cause in find(code, **known).causes]


# --- What servers say ----------------------------------------------------------------------------


def judgements(one: Recorded) -> list[Judgement]:
    """What the table of replies says of it at each step."""
    login: Login = "left_out" if one.known.get("username") == "" else "given"
    context = Context(host=one.known.get("host", ""), login=login)
    return [replies().judge(step, one.reply, context) for step in STEPS]


@pytest.mark.parametrize("one", RECORDED, ids=lambda one: f"{one.key}-{one.reply.code}")
def test_recorded_reply(one: Recorded) -> None:
    """The table of replies names the cause, and whoever shows it has it first."""
    known = {"username": "robot@example.com", **one.known}
    known.pop("step", None)
    first = {
        (judged.code, keys(judged.code, cause=judged.cause, said=str(one.reply), **known)[0])
        for judged in judgements(one)
    }
    assert (one.code, one.key) in first


def test_every_cause_that_a_reply_names_has_its_words() -> None:
    named = {row.cause for row in replies().rows if row.cause}
    assert named <= causes().by_key.keys()


def test_every_cause_has_a_way_to_it() -> None:
    """By a code, by a reply, or by a failure of our own that names it."""
    named = {row.cause for row in replies().rows}
    code = "".join(file.read_text("utf-8") for file in PACKAGE.rglob("*.py"))
    for row in causes().rows:
        assert (
            (row.codes and not row.told) or row.before or row.key in named or f'"{row.key}"' in code
        ), row.key


def test_same_number_of_two_providers() -> None:
    """Microsoft's 5.7.30 is about the login, Google's about DKIM: the words tell them apart."""
    for said, cause in (
        ("550 5.7.30 Basic authentication is not supported for Client Submission.",
         "ms_basic_retired"),
        ("550 5.7.30 This mail has been blocked because DKIM does not pass.",
         "sender_unauthenticated"),
    ):  # fmt: skip
        assert cause in {one.key for one in RECORDED if str(one.reply).startswith(said[:40])}


def test_words_that_no_row_knows_are_shown_as_they_came() -> None:
    found = find("message_refused", said="554 Zorp says no")
    assert found.unrecognised == "554 Zorp says no"
    assert found.causes[0].key == "message_disliked"
    assert find("message_refused", said="554 spam", cause="taken_for_spam").unrecognised == ""
    assert find("timeout").unrecognised == ""
    # What the protocol's own code says needs no words.
    assert find("auth_failed", said="535 5.7.8 nope", username="sam").unrecognised == ""


# --- Codes and rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ALL_CODES)
def test_every_code_alone_has_a_cause(code: str) -> None:
    assert keys(code)[0] != "unknown"
    assert keys(code, step="quit", said="599 what", host="mail.example.com", port=4711,
                security="tls", username="a@b")[0] != "unknown"  # fmt: skip


def test_every_code_of_the_product_is_known() -> None:
    """Whatever is written into ``last_code`` and ``pause_code``."""
    written: set[str] = set()
    for folder in ("smtp", "transports", "delivery"):
        for file in (PACKAGE / folder).rglob("*.py"):
            text = file.read_text("utf-8")
            for name in ("code=", "last_code=", "CANCELLED = "):
                written |= set(re.findall(rf'\b{name}"([a-z_]+)"', text))
    assert {"too_large", "worker_lost", "expired", "cancelled"} <= written
    assert written <= set(ALL_CODES)


@pytest.mark.parametrize("code", ["", "nonsense", "internal"])
def test_unknown_code(code: str) -> None:
    """It says so, unless the failure itself says more."""
    assert keys(code) == ["unknown"]
    assert find(code).hint
    assert keys(code, cause="mailbox_full") == ["mailbox_full"]
    assert keys(code, cause="never heard of") == ["unknown"]


def test_no_sentence_is_read_anywhere() -> None:
    """Not ours, not OpenSSL's: only the row's own patterns of host and login are matched."""
    room = "".join(file.read_text("utf-8") for file in (PACKAGE / "diagnosis").glob("*.py"))
    assert re.findall(r"\bre\.(?:search|match|fullmatch|findall)\b", room) == []
    assert ".partition(TECHNICAL" not in room
    assert "message" not in {name for row in causes().rows for name in row.needs}


HOSTS = {
    "": "mail.example.com", "gmail": "smtp.gmail.com", "microsoft365": "smtp.office365.com",
    "yahoo": "smtp.mail.yahoo.com", "sendgrid": "smtp.sendgrid.net", "zoho": "smtp.zoho.eu",
    "ses": "email-smtp.eu-west-1.amazonaws.com", "postmark": "smtp.postmarkapp.com",
    "mailgun": "smtp.eu.mailgun.org", "sparkpost": "smtp.sparkpostmail.com",
    "mailtrap": "sandbox.smtp.mailtrap.io", "gmx": "mail.gmx.net", "icloud": "smtp.mail.me.com",
    "fastmail": "smtp.fastmail.com",
}  # fmt: skip
ANY_HOST = (
    *HOSTS.values(), "imap.example.com", "imap.gmail.com", "mail", "198.51.100.7", "2001:db8::7",
    "smtp.gmial.com", "acme-example.mail.protection.outlook.com",
)  # fmt: skip
#: What the host does not tell.
NAMED = {
    "tried": "198.51.100.7: no answer", "variable": "SMTP_SECURE",
    "none_variable": "SMTP_SECURITY", "names": "mail.other.example, *.example.org",
    "revision": "3", "odd_letters": "yes", "login_offered": "yes",
}  # fmt: skip


def words(some: tuple[str, ...]) -> list[str]:
    return [one for one in some if one != "-"] or [""]


@pytest.mark.parametrize(
    "row", [row for row in causes().rows if row.codes], ids=lambda row: row.key
)
def test_every_row_with_codes_can_be_reached(row: Row) -> None:
    """With something that can really happen: none is hidden by those before it."""
    hosts = [HOSTS[one] for one in words(row.providers)] if row.providers else ANY_HOST
    hosts = (*hosts, "mail.example.com", "mail.example.net")
    users = ("", "sam", "sam@acme.example", "apikey")
    behind = row.before if row.told and row.before else (row.key,) if row.told else ("",)
    some = {name: text for name, text in NAMED.items() if name in row.needs}
    assert any(
        row.key
        in keys(code, cause="" if cause == "*" else cause, step=step, host=host,
                port=int(port) if port else 0, security=security or "tls", username=user,
                said=said, named=some)
        for code, cause, step, host, port, security, user, said in product(
            row.codes, behind, words(row.steps), hosts, words(row.ports), words(row.security),
            users, ["", "499 what"],
        )
    )  # fmt: skip


def test_rows_are_well_formed() -> None:
    known = {one.key for one in knowledge().known}
    for row in causes().rows:
        assert set(row.steps) <= {*TEST_STEPS, "-"}, row.key
        assert set(row.providers) <= {*known, "-"}, row.key
        assert set(row.before) <= {*causes().by_key, "*"}, row.key
        for text in (row.what, row.do):
            assert text[0].isupper() or text[0] == "{", text
            assert text.endswith("."), text
            assert len(re.findall(r"\.(?= [A-Z“]|$)", text)) <= 3, text
            assert len(text) <= 260, text


@given(
    st.sampled_from([*ALL_CODES, "else"]), st.sampled_from(["", *TEST_STEPS]),
    st.text(max_size=40), st.sampled_from(ANY_HOST), st.sampled_from([0, 25, 465, 587, 993]),
    st.sampled_from(["ssl", "tls", "none"]), st.integers(200, 599),
    st.sampled_from(["", "nobody", *causes().by_key]),
    st.dictionaries(st.sampled_from([*NAMED, "owner", "meant"]), st.text(max_size=20)),
)  # fmt: skip
def test_anything_has_a_few_causes(
    code: str, step: str, said: str, host: str, port: int, security: str, number: int,
    cause: str, named: dict[str, str],
) -> None:  # fmt: skip
    known: dict[str, Any] = {
        "step": step, "said": f"{number} {said}", "host": host, "port": port,
        "security": security, "username": "token-canary-7731", "from_email": "{x}@acme.example",
        "cause": cause, "named": named,
    }  # fmt: skip
    found = find(code, **known)
    assert found == find(code, **known)
    assert 1 <= len(found.causes) <= 4
    assert len({one.key for one in found.causes}) == len(found.causes)
    assert found.hint.startswith(found.causes[0].what)
    assert "canary" not in repr(found.causes)


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
        ("connection_refused", {"host": "imap.gmail.com", "port": 587}, "reading_host_known"),
        ("connection_refused", {"host": "imap.acme.example", "port": 587}, "reading_host"),
        ("dns_failed", {"host": "mailserver"}, "short_host"),
        ("dns_failed", {"host": "email-smtp.eu-east-9.amazonaws.com"}, "ses_region"),
        ("dns_failed", {"cause": "name_service_away"}, "name_service_away"),
        ("tls_not_offered", {"port": 25}, "port_25_plain"),
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
    hint = find("sender_refused", from_email=FROM).hint
    assert FROM in hint
    assert "the from address" in find("sender_refused").hint
    assert "port 4711" in find("connection_refused", port=4711).hint


def whose(host: str) -> str:
    found = provider_behind(host)
    return found.key if found else ""


@pytest.mark.parametrize("provider", HOSTS)
def test_provider_of_a_host(provider: str) -> None:
    assert whose(HOSTS[provider]) == provider
    assert whose(f"{HOSTS[provider]}.example.net") == ""
    assert whose(f"not{HOSTS['gmail'].removeprefix('smtp.')}") == ""


def test_provider_of_a_reply() -> None:
    said = "535 5.7.8 no https://support.google.com/mail/?p=BadCredentials a1 - gsmtp"
    found = provider_of_words(said)
    assert found is not None
    assert found.key == "gmail"
    assert facts_about("auth_failed", said=said).provider == "gmail"
    there = SenderValues(driver="smtp", host="smtp.sendgrid.net")
    assert facts_about("auth_failed", said=said, values=there).provider == "sendgrid"


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
