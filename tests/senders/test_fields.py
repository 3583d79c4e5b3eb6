"""What each field takes, what it refuses, and that a refusal changes nothing."""

import os
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.resolve import load_sender
from tests.app import ADMIN, HostApp
from tests.test_access import dump

PAGE = "/smtp-admin/partners/acme"

GOOD: dict[str, list[tuple[str, Any]]] = {
    "host": [
        ("mail.example", "mail.example"), (" Mail.Example. ", "mail.example"), ("a", "a"),
        ("192.0.2.1", "192.0.2.1"), ("[2001:db8::1]", "2001:db8::1"), ("::1", "::1"),
        ("müller.example", "xn--mller-kva.example"), ("MÜLLER.example", "xn--mller-kva.example"),
        ("mail_1.example", "mail_1.example"), ("xn--mller-kva.example", "xn--mller-kva.example"),
        ("a" * 63 + ".example", "a" * 63 + ".example"), ("1.mail.example", "1.mail.example"),
    ],
    "port": [("25", 25), (" 587 ", 587), ("65535", 65535), ("00025", 25), ("1", 1)],
    "username": [("", ""), (" me@acme.example ", "me@acme.example"), ("名前", "名前"),
                 ("x" * 320, "x" * 320), ("a b", "a b"), ("a:b\\c", "a:b\\c")],
    "password": [("", ""), (" x ", " x "), ("\t", "\t"), ("é密\U0001f600", "é密\U0001f600"),
                 ("x" * 1000, "x" * 1000), ("%s{{ 7*7 }}", "%s{{ 7*7 }}"), ("****", "****")],
    "from_email": [("a@acme.example", "a@acme.example"), (" a@ACME.example ", "a@acme.example"),
                   ("A.b+c@acme.example", "A.b+c@acme.example"),
                   ("a@例子.example", "a@xn--fsqu00a.example"),
                   ("x" * 64 + "@acme.example", "x" * 64 + "@acme.example")],
    "from_name": [("", ""), ("  Acme  ", "Acme"), ("Acme, Inc.", "Acme, Inc."),
                  ('x <evil@y> "z" \\', 'x <evil@y> "z" \\'),
                  ("\U0001f600" * 64, "\U0001f600" * 64),
                  ("{{ 7*7 }}", "{{ 7*7 }}")],
    "reply_to": [("", ""), ("  ", ""), ("b@acme.example", "b@acme.example")],
    "max_per_hour": [("", None), (" ", None), ("1", 1), ("10000000", 10_000_000)],
    "max_per_day": [("", None), ("1", 1), ("10000000", 10_000_000)],
    "max_connections": [("", 2), ("1", 1), ("20", 20)],
    "security": [("", "tls"), ("TLS", "tls"), ("starttls", "tls"), ("ssl ", "ssl"),
                 ("None", "none"), ("tls\n", "tls")],
    "verify_tls": [("true", True), ("Yes", True), (" 1 ", True), ("on", True), ("false", False),
                   ("no", False), ("0", False), ("OFF", False), ("", False)],
    "envelope_from": [("", ""), ("b@acme.example", "b@acme.example")],
    "bounce_address": [("", ""), (" b-1.c@ACME.example ", "b-1.c@acme.example")],
    "archive_to": [("", ""), (" b@ACME.example ", "b@acme.example")],
    "ehlo_name": [("", ""), (" app.acme.example ", "app.acme.example")],
    "headers": [("", ()), ("\r\n \n", ()), ("X-A: 1\r\n\nX-B:2 ", (("X-A", "1"), ("X-B", "2"))),
                ("X-A: b: c", (("X-A", "b: c"),)), ("X-A: " + "x" * 900, (("X-A", "x" * 900),))],
    "fallbacks": [("", ()), (" , ", ()), ("system", ("system",)), ("SYSTEM, system", ("system",))],
}  # fmt: skip

CONTROLS = ["a\rb", "a\nb", "a\r\nBcc: x@y.example", "a\0b", "a\x1bb", "a\x7fb"]
ADDRESSES = [
    "a", "@", "a@", "@b.example", "a@b@c.example", "a@localhost", "a@[127.0.0.1]", "a@127.0.0.1",
    '"a b"@acme.example', "a b@acme.example", "<a@acme.example>", "A <a@acme.example>",
    "a@acme.example,b@acme.example", "a@acme.example>", "<>", "postmaster", "用户@acme.example",
    "x" * 65 + "@acme.example", "a@" + "x" * 64 + ".example", "a@" + "x." * 130 + "example",
    "-oQ/tmp@acme.example", "g:a@acme.example;", "a@acme..example", ".a@acme.example",
    "a.@acme.example", "a..b@acme.example", "a@-acme.example", "a@acme.example\u2028",
    "a\N{RIGHT-TO-LEFT OVERRIDE}@acme.example", "a@acme.example\r\nRCPT TO:<x@y.example>",
    "a@acme.example\0", "a@ acme.example", "a@acme.example SIZE=1", "a(c)@acme.example",
]  # fmt: skip
LIMITS = ["0", "-1", "1.5", "1e3", "٣", "+1", "1_0", "x", "99999999999", "10000001", "1\n2", "0x1"]

BAD: dict[str, list[str]] = {
    "host": [
        "", " ", "a" * 254, "a" * 64 + ".example", "ex..ample", ".a", "..", "-a", "a-.example",
        "a\0b", "a\r\nb", "a\tb", "a b", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "1.2.3",
        "0x7f000001", "127.0.0.0x1", "256.1.1.1", "fe80::1%eth0", "[::1", "::1]", "[mail.example]",
        "a@b", "http://x", "smtp://mail.example", "mail.example/", "mail.example:25",
        "192.0.2.1:25", "[::1]:25", "mail.example?x", "mail.example#x", "a\\b", "a%b", "*.example",
        "a,b", "a;b", "a\N{RIGHT-TO-LEFT OVERRIDE}b", "\u2028", "$(id)", "{{7*7}}", "xn--\xfc",
    ],
    "port": ["", " ", "0", "-1", "65536", "1e3", "٣٤", "1_0", "+25", "25\n", "\t25", "1" + "0" * 20,
             "null", "true", "[25]", "25.0", "0x19", "smtp"],
    "username": ["x" * 321, *CONTROLS],
    "password": ["*****", "x" * 1001, "a\0b", "a\rb", "a\nb"],
    "from_email": ["", " ", *ADDRESSES],
    "from_name": ["x" * 65, *CONTROLS, "a\x0bb", "a\x0cb", "a\x85b", "a\u2028b", "a\u2029b",
                  "=?utf-8?q?a=0AX:1?=", "=?utf-8?b?YQ==?="],
    "reply_to": ADDRESSES,
    "max_per_hour": LIMITS,
    "max_per_day": LIMITS,
    "max_connections": ["0", "-1", "21", "1.5", "x", "٣", "100"],
    "security": ["start tls", "TLSv1.2", "ｔｌｓ", "t\u200bls", "1", "true"],
    "verify_tls": ["maybe", "2", "ｔｒｕｅ", "true\0", "-"],
    "envelope_from": ["<>", *ADDRESSES],
    "bounce_address": ["b+1@acme.example", "x" * 35 + "@acme.example", *ADDRESSES],
    "archive_to": ["b@acme.example, c@acme.example", *ADDRESSES],
    "ehlo_name": ["two words", "-a", "a.", "ümlaut.example", "a_b", "x" * 254, *CONTROLS],
    "headers": [
        "X-A", ": 1", "X-A:", "X A: 1", "X-A: 1\nx-a: 2", "X-A: é", "X-A: " + "x" * 901,
        "Bcc: evil@x.example", "To: evil@x.example", "From: evil@x.example", "SUBJECT: x",
        "Content-Type: text/html", "Message-ID: <x@y>", "Date: now", "X-A: a\0b", "X-A\0: b",
        "X-A: =?utf-8?q?x?=", "X-Á: 1", "Received: x", "DKIM-Signature: x",
        "X-Smtp-Admin-Intended-To: x@y.example",
        "\n".join(f"X-{number}: 1" for number in range(21)),
    ],
    "fallbacks": ["a b!", "../x", "x" * 41, "system, default", "a,b,c,d,e,f", "ü", "default",
                  "nobody"],
    "ca_certificate": ["x", "-----BEGIN CERTIFICATE-----", "x" * 65_537, "é"],
    "client_certificate": ["x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"],
    "client_key": ["x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"],
}  # fmt: skip

KINDS = {one.name: one.kind for one in fields_of("smtp")}
READERS: dict[str, Callable[[str], Any]] = {
    one.name: one.clean for one in fields_of("smtp") if one.name in GOOD
}
TEXTS: dict[str, Callable[[Any], str]] = {
    one.name: one.text for one in fields_of("smtp") if one.name in GOOD
}
LONG = bool(os.environ.get("SMTP_ADMIN_TEST_LONG"))
#: Whether there are such senders is looked up where they are saved.
UNKNOWN = {("fallbacks", "default"), ("fallbacks", "nobody")}
#: What no test may leave out is the form's to refuse: a cleaner makes an empty text of it.
REQUIRED = {one.name for one in fields_of("smtp") if one.required}


def form(**changes: str) -> dict[str, str]:
    return {
        "driver": "smtp",
        "host": "mail.example",
        "port": "587",
        "security": "tls",
        "username": "login",
        "password": "word",
        "from_email": "noreply@acme.example",
        "verify_tls": "true",
        "revision": "0",
    } | changes


@pytest.fixture
def plain(new_app: Callable[..., HostApp]) -> HostApp:
    """A host app on SQLite: what a field takes does not depend on the database."""
    made = new_app()
    made.actor = ADMIN
    return made


@pytest.mark.parametrize("field", GOOD)
def test_good(field: str) -> None:
    for text, expected in GOOD[field]:
        assert READERS[field](text) == expected, text
        assert READERS[field](TEXTS[field](expected)) == expected, "what is shown means the same"


@pytest.mark.parametrize("field", READERS)
def test_bad(field: str) -> None:
    for text in BAD[field]:
        if (not text.strip() and field in REQUIRED) or (field, text) in UNKNOWN:
            continue
        with pytest.raises(ValueError, match=r"[A-Z“][^\n\r\0]+"):
            READERS[field](text)


@pytest.mark.parametrize("field", BAD)
def test_bad_in_the_form(plain: HostApp, field: str) -> None:
    """A sentence beside the field, what was typed still there, and nothing saved."""
    before = dump(plain)
    client = plain.client
    # The cleaner refuses each; how the page says so is the same for all.
    for text in BAD[field] if LONG else BAD[field][:4]:
        answer = client.post(PAGE, data=form(**{field: text}))
        assert answer.status_code == 400, text
        assert re.search(rf'id="{field}-(error|hint)"', answer.text)
        assert "smtp-admin-complaint" in answer.text, text
        if text.isalnum() and text.isascii() and KINDS[field] in {"text", "email", "number"}:
            assert f'value="{text}"' in answer.text
    assert dump(plain) == before


@pytest.mark.parametrize("field", GOOD)
def test_good_in_the_form(plain: HostApp, field: str) -> None:
    client = plain.client
    for text, _ in GOOD[field]:
        more = {"password": ""} if field == "username" and not text else {}
        with plain.app.app_context():
            number = load_sender(plain.db.session(), "acme").revision
        answer = client.post(PAGE, data=form(**{field: text}, revision=str(number), **more))
        if field == "password" and not text:
            assert answer.status_code == 400  # there is a login, and nothing stored yet
            client.post(PAGE, data=form(revision=str(number)))
            continue
        assert answer.status_code == 303, (text, answer.text)


@given(st.text())
def test_no_text_breaks_a_field(text: str) -> None:
    """A value, or a sentence; and what comes out goes in again unchanged."""
    for read in READERS.values():
        value: Any = None
        try:
            value = read(text)
        except ValueError as error:
            kind = type(error)
            assert kind is ValueError, text
        if isinstance(value, str):
            assert read(value) == value
            value.encode("utf-8")


@pytest.mark.parametrize("field", READERS)
def test_lone_surrogate(field: str) -> None:
    """JSON can carry half a letter, which no database and no mail server takes."""
    with pytest.raises(ValueError, match=r"[A-Z“]") as caught:
        READERS[field]("\ud800")
    assert type(caught.value) is ValueError


def test_lone_surrogate_in_a_test(plain: HostApp) -> None:
    given: dict[str, Any] = {"host": "127.0.0.1", "port": 1, "security": "none", "username": "u",
                             "password": "p"}  # fmt: skip
    for field in (*given, "driver", "from_email", "verify_tls"):
        answer = plain.client.post(f"{PAGE}/test-connection", json=given | {field: "\ud800"})
        assert answer.status_code == 400
        assert answer.json
        assert answer.json["error"]["code"] == "invalid_input", field
        assert field in answer.json["error"]["fields"]


def test_all_complaints_at_once(plain: HostApp) -> None:
    answer = plain.client.post(PAGE, data={"revision": "0", "port": "x", "max_per_hour": "-"})
    assert answer.status_code == 400
    for field in ("host", "port", "from_email", "max_per_hour"):
        assert f'id="{field}-error"' in answer.text
    assert '<details id="more" open' in answer.text, "a complaint must not stay folded away"


def test_international_host_is_shown_as_people_write_it(plain: HostApp) -> None:
    plain.client.post(PAGE, data=form(host="müller.example"))
    page = plain.client.get(PAGE).text
    assert 'value="müller.example"' in page
    answer = plain.client.post(PAGE, data=form(host="müller.example", password="", revision="1"))
    assert answer.status_code == 303  # the same destination: no password asked


def test_unticked_box_is_no(plain: HostApp) -> None:
    data = form()
    del data["verify_tls"]
    plain.client.post(PAGE, data=data)
    page = plain.client.get(PAGE).text
    assert "Insecure" in page
