"""What may not be tested at all: it is named, field by field, and nothing is dialled."""

import gzip
import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smtp_admin.senders.fields import fields_of
from tests.app import ADMIN, HostApp
from tests.connection.answers import PASSWORD, USERNAME, Answer, assert_no_secret, check_envelope
from tests.connection.conftest import ADDRESS, Ask
from tests.examples import examples
from tests.servers.scripted import ScriptedServer

ACCOUNT = (USERNAME, PASSWORD)


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    """The server that none of these requests may reach."""
    with ScriptedServer(auth=ACCOUNT) as running:
        yield running


@pytest.fixture
def refuse(ask: Ask, server: ScriptedServer) -> Ask:
    """Like ``ask(server, …)``, and nothing was dialled."""

    def post(**fields: Any) -> Answer:
        before = server.connections
        answer = ask(server, **fields)
        assert server.connections == before, answer.text
        assert answer.seconds < 2
        return answer

    return post


BAD_HOSTS = {
    "control characters": "smtp\0.example.com",
    "line end inside": "smtp.example.com\r\nX: 1",
    "tab inside": "smtp\texample.com",
    "space inside": "smtp example.com",
    "254 letters": ".".join(["a" * 60] * 4) + ".example.com",
    "label of 64": "a" * 64 + ".example.com",
    "empty label": "ex..ample.com",
    "begins with a dot": ".example.com",
    "begins with a hyphen": "-a.example.com",
    "short address": "127.1",
    "hexadecimal": "0x7f.1",
    "one hexadecimal": "0x7f000001",
    "octal": "0177.0.0.1",
    "one number": "2130706433",
    "one number, not as text": 2130706433,
    "circled digits": "①②⑦.⓪.⓪.①",
    "full-width digits": "１２７．０．０．１",
    "ideographic dots": "127。0。0。1",
    "address and dot": "127.0.0.1.",
    "zone": "fe80::1%eth0",
    "bracketed zone": "[fe80::1%25eth0]",
    "address of a person": "a@b.example",
    "web address": "http://example.com",
    "with port": "smtp.example.com:25",
    "address with port": "127.0.0.1:25",
    "path": "example.com/x",
    "backslash": "example.com\\x",
    "mixed direction": "\u202eexample.com",
    "invisible letter": "exam\u200bple\u2060.com\u202c",
    "lone surrogate": "exam\ud800ple.com",
    "template": "{{7*7}}.example",
    "quoted": '"example.com"',
    "200 kB": "a." * 100_000 + "com",
    "200 kB, not ASCII": "ä." * 30_000 + "com",
    "list": ["example.com"],
    "object": {"a": 1},
    "true": True,
    "float": 1.5,
}


@pytest.mark.parametrize("host", BAD_HOSTS.values(), ids=BAD_HOSTS.keys())
def test_host(refuse: Ask, host: Any) -> None:
    error = check_envelope(refuse(host=host), "invalid_input", "validate")
    assert list(error["fields"]) == ["host"]


@pytest.mark.parametrize("host", ["", " ", "\t\r\n", "\u00a0", None], ids=repr)
def test_no_host(refuse: Ask, host: str | None) -> None:
    error = check_envelope(refuse(host=host), "missing_host", "validate")
    assert list(error["fields"]) == ["host"]


BAD_PORTS = [0, -1, 65536, 70000, 10**20, "1e3", "٣٤", "1_0", "+25", "25\n", "\t25", "0x19", "25.0",
             "²⁵", "-25", "9" * 5000, True, [25], {"port": 25}, 25.0, "smtp"]  # fmt: skip


@pytest.mark.parametrize("port", BAD_PORTS, ids=lambda port: repr(port)[:20])
def test_port(refuse: Ask, port: Any) -> None:
    error = check_envelope(refuse(port=port), "invalid_input", "validate")
    assert list(error["fields"]) == ["port"]


@pytest.mark.parametrize("security", ["none", "NONE", " none ", "none\n", "None"])
def test_words_are_taken_as_everywhere(ask: Ask, server: ScriptedServer, security: str) -> None:
    answer = ask(server, security=security)
    assert answer.status == 200
    assert answer.body["connection"]["security"] == "none"


@pytest.mark.parametrize("word", ["StartTLS", "TLS", "tls\n", "", None])
def test_nothing_weakens_encryption(ask: Ask, server: ScriptedServer, word: str | None) -> None:
    """This server has none, so that whatever means STARTTLS must fail."""
    answer = ask(server, security=word, host="127.0.0.1")
    assert answer.body["connection"]["security"] == "tls"
    check_envelope(answer, "tls_not_offered", "starttls")


@pytest.mark.parametrize("port", ["", " ", None])
def test_port_missing_means_25(ask: Ask, port: str | None) -> None:
    """The test's own default (the protocol's port), whatever the page proposes."""
    answer = ask(25, port=port, host="127.0.0.2")
    assert answer.body["connection"]["port"] == 25


BAD_FIELDS: list[tuple[str, Any]] = [
    ("username", "a\r\nb"),
    ("username", "a\0b"),
    ("username", "\x1b[31m"),
    ("username", "x" * 321),
    ("username", "lone \ud800 surrogate"),
    ("username", ["a"]),
    ("username", {}),
    ("username", True),
    ("username", 1.5),
    ("password", "*****"),
    ("password", "a\r\nb"),
    ("password", "a\0b"),
    ("password", "x" * 4096),
    ("password", "lone \ud800 surrogate"),
    ("password", ["a"]),
    ("password", {}),
    ("password", False),
    ("password", 1.5),
    ("security", "start tls"),
    ("security", "TLSv1.2"),
    ("security", "t\u200bls"),
    ("security", "ｔｌｓ"),
    ("security", 1),
    ("security", True),
    ("security", ["tls"]),
    ("driver", "nobody"),
    ("driver", "../../etc"),
    ("driver", "smtp\0"),
    ("driver", True),
    ("driver", {"smtp": "smtp"}),
    ("driver", ["smtp"]),
    ("verify_tls", "maybe"),
    ("verify_tls", 1),
    ("verify_tls", 0),
    ("verify_tls", []),
    ("verify_tls", {"a": 1}),
    ("verify_tls", "ｔｒｕｅ"),
    ("from_email", "no address"),
    ("from_email", "<>"),
    ("from_email", "postmaster"),
    ("from_email", "@example.com"),
    ("from_email", "a@"),
    ("from_email", "a@b@c.example"),
    ("from_email", '"a b"@x.example'),
    ("from_email", "a@[127.0.0.1]"),
    ("from_email", "a@127.0.0.1"),
    ("from_email", "a@localhost"),
    ("from_email", "a b@x.example"),
    ("from_email", "a@x.example SIZE=1"),
    ("from_email", "a@x.example\r\nRCPT TO:<e@x.example>"),
    ("from_email", "a@x.example\r"),
    ("from_email", "alice@x.example)bob@x.example"),
    ("from_email", "a@x.example, evil@x.example"),
    ("from_email", "a@b.example>,<e@x.example"),
    ("from_email", "Acme <a@x.example>"),
    ("from_email", "x" * 65 + "@x.example"),
    ("from_email", "a@" + ".".join(["x" * 60] * 4) + ".example.com"),
    ("from_email", "-oQ/tmp@x.example"),
    ("from_email", "group: a@x.example;"),
    ("from_email", "用户@x.example"),
    ("from_email", "a\0@x.example"),
    ("from_email", "a\u2028@x.example"),
    ("from_email", "lone\ud800@x.example"),
    ("from_email", "a@lone\ud800.example"),
    ("from_email", "a@" + "ä." * 30_000 + "example"),
    ("from_email", 12),
    ("from_email", ["a@x.example"]),
    ("headers", 1),
    ("headers", True),
    ("headers", [1]),
    ("headers", ["X-A: 1\r\nX-B: 2"]),
    ("headers", {"X-A": "1\nBcc: evil@x.example"}),
    ("headers", {"X-A": 1}),
    ("headers", {"Bcc": "evil@x.example"}),
    ("headers", "From: evil@x.example"),
    ("headers", ["X-A"]),
    ("ca_certificate", "no certificate"),
    ("ca_certificate", 5),
    ("client_certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
    ("client_key", "no key"),
    ("client_key", ["-----BEGIN PRIVATE KEY-----"]),
    ("ehlo_name", "two words"),
    ("ehlo_name", "a\r\nMAIL FROM:<e@x.example>"),
    ("envelope_from", "<>"),
    ("envelope_from", "a@x.example> SIZE=1"),
    ("archive_to", "no address"),
    ("bounce_address", "b+c@acme.example"),
    ("fallbacks", {"a": "b"}),
    ("fallbacks", ["system", "default"]),
    ("fallbacks", "../x"),
    ("fallbacks", 1),
    ("max_connections", 21),
    ("max_per_hour", -1),
    ("max_per_day", "٣"),
]


@pytest.mark.parametrize(("name", "value"), BAD_FIELDS, ids=lambda part: ascii(part)[:30])
def test_field(refuse: Ask, name: str, value: Any) -> None:
    error = check_envelope(refuse(**{name: value}), "invalid_input", "validate")
    assert list(error["fields"]) == [name]
    assert_no_secret(json.dumps(error))


def test_all_problems_at_once(refuse: Ask) -> None:
    answer = refuse(host="a b", port=0, security="x", from_email="x", verify_tls="x")
    error = check_envelope(answer, "invalid_input", "validate")
    assert set(error["fields"]) == {"host", "port", "security", "from_email", "verify_tls"}


@pytest.mark.parametrize("name", ["username", "password"])
@pytest.mark.parametrize("number", [12345, 12345678901234567890, -(10**12)])
def test_number_where_text_is_due(ask: Ask, server: ScriptedServer, name: str, number: int) -> None:
    """It is either refused or used digit by digit: never is something else logged in with."""
    before = len(server.sessions)
    answer = ask(server, **{name: number})
    if answer.status == 400 and answer.body["error"]["code"] == "invalid_input":
        assert list(answer.body["error"]["fields"]) == [name]
        assert len(server.sessions) == before
    else:
        [(_, *login)] = server.sessions[-1].auth_attempts
        assert login == [
            str(number) if name == "username" else USERNAME,
            str(number) if name == "password" else PASSWORD,
        ]


def test_unknown_fields_are_ignored(ask: Ask, server: ScriptedServer) -> None:
    """Also those that look as if they could choose another partner, or switch checks off."""
    extra = {"partner_id": "globex", "revision": "7", "__class__": "x", "networks": ["0.0.0.0/0"]}
    assert ask(server, **extra).status == 200


BODIES: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "number": b"42",
    "text": b'"host"',
    "true": b"true",
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "broken": b'{"host": ',
    "trailing comma": b'{"host": "x",}',
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "long number": b'{"host": "127.0.0.1", "port": ' + b"9" * 5000 + b"}",
    "invalid UTF-8": b'{"host": "\xff\xfe"}',
    "gzip": gzip.compress(b'{"host": "127.0.0.1"}'),
    "form": b"host=127.0.0.1&port=25",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_json_that_is_no_object(tested_host: HostApp, body: bytes) -> None:
    began = time.monotonic()
    response = tested_host.client.post(ADDRESS, data=body, content_type="application/json")
    assert time.monotonic() - began < 20
    assert response.status_code == 400, response.text
    error = response.get_json()["error"]
    assert error["code"] == "invalid_input"
    assert error["message"]
    assert set(response.get_json()) >= {"ok", "error", "connection", "steps"}


@pytest.mark.parametrize("name", ["host", "port", "username", "from_email", "verify_tls"])
@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"1e400"])
def test_not_a_number(tested_host: HostApp, name: str, value: bytes) -> None:
    body = b'{"host": "127.0.0.1", "%s": %s}' % (name.encode(), value)
    response = tested_host.client.post(ADDRESS, data=body, content_type="application/json")
    assert response.status_code == 400
    assert list(response.get_json()["error"]["fields"]) == [name]


KINDS = pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded"], ids=["json", "form"]
)


@KINDS
def test_ten_megabytes(tested_host: HostApp, kind: str) -> None:
    body = b'{"host": "' + b"x" * 10_000_000 + b'"}'
    response = tested_host.client.post(ADDRESS, data=body, content_type=kind)
    assert response.status_code == 413, response.text
    error = response.get_json()["error"]
    assert error["code"] == "too_large"
    assert set(response.get_json()) >= {"ok", "error", "connection", "steps"}


@KINDS
def test_ten_megabytes_of_unknown_length(tested_host: HostApp, kind: str) -> None:
    """A body that does not say how long it is is read to the limit and no further."""
    body = io.BytesIO(b'{"host": "' + b"x" * 10_000_000 + b'"}')
    response = tested_host.client.post(
        ADDRESS,
        input_stream=body,
        content_type=kind,
        environ_overrides={"wsgi.input_terminated": True},
        headers={"Transfer-Encoding": "chunked"},
    )
    assert response.status_code in {400, 413}
    assert response.get_json()["ok"] is False
    assert body.tell() < 1_000_000


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "application/xml", ""])
def test_other_content(tested_host: HostApp, kind: str) -> None:
    response = tested_host.client.post(ADDRESS, data=b'{"host": "127.0.0.1"}', content_type=kind)
    assert response.status_code == 400
    assert response.get_json()["error"]["code"] == "missing_host"


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=5), SCALARS)
FIELDS = [one.name for one in fields_of("smtp")]


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
@settings(
    max_examples=examples(150),
    deadline=2000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_never_an_error_of_ours(tested_host: HostApp, fields: dict[str, Any]) -> None:
    """The policy's own ports keep it from dialling anything that it should happen to find."""
    response = tested_host.client.post(ADDRESS, json={**fields, "port": 0})
    assert response.status_code == 400
    assert response.get_json()["error"]["code"] in {"invalid_input", "missing_host"}


@pytest.mark.parametrize("as_json", [True, False])
def test_a_wrong_variable_of_the_environment_stops_the_test(
    new_app: Callable[..., HostApp],
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    as_json: bool,
) -> None:
    """What would be tested is not what would be sent with, because nothing would be."""
    monkeypatch.setenv("SMTP_SECURITY", "both")
    made = new_app()
    made.actor = ADMIN
    given = {"host": "127.0.0.1", "port": server.port, "security": "none"}
    address = "/smtp-admin/system/test-connection"
    before = server.connections
    if as_json:
        answer = made.client.post(address, json=given)
        assert answer.get_json()["error"]["code"] == "invalid_input"
    else:
        answer = made.client.post(address, data=given, headers={"Accept": "text/html"})
    assert answer.status_code == 400
    assert "SMTP_SECURITY" in answer.text
    assert server.connections == before
    # It is the system's sender alone that the environment speaks of.
    answer = made.client.post("/smtp-admin/partners/acme/test-connection", json=given)
    assert answer.get_json()["ok"] is True
