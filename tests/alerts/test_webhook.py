"""The webhook: what is sent, how it is signed, where it may go, and whom it waits for."""

import base64
import hmac
import json
import socket
import threading
import time
from contextlib import suppress
from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from smtp_admin import Host, SMTPAdmin
from smtp_admin.config import read_config
from smtp_admin.config_alerts import webhook_key
from smtp_admin.errors import ConfigError
from smtp_admin.http.caller import MOST_BYTES, Caller, CallFailed
from smtp_admin.monitor.alerts.kinds import KINDS, OF_STATE
from smtp_admin.monitor.alerts.webhook import DEFAULT_BODY, check_body, sign
from smtp_admin.monitor.alerts.wording import values_of
from smtp_admin.smtp.dialling import DiallingPolicy
from tests.alerts.receiver import Receiver
from tests.alerts.watching import SECRET, a_worker, alerts, break_sender, look, notices, tell
from tests.app import HostApp
from tests.sender_state.scenes import start_again
from tests.servers.certificates import CertificateFactory
from tests.test_docs import blocks, coded, rows, section

LOOPBACK = (ip_network("127.0.0.0/8"),)
HOSTILE = 'He said "no"; it\'s {{ x }} \\ </script>\r\n\t\u2028 ü@everyone'


def caller(**keywords: Any) -> Caller:
    return Caller(DiallingPolicy(frozenset(), LOOPBACK), **keywords)


def told(host: HostApp) -> None:
    with a_worker(host.app):
        tell(host)


def ill(host: HostApp, **config: Any) -> None:
    start_again(host, **config)
    host.save_sender("acme")
    break_sender(host, words=HOSTILE)
    look(host)


@pytest.mark.parametrize(
    ("secret", "message_id", "timestamp", "body", "expected"),
    [
        # The examples of the specification and of the reference implementation.
        ("plJ3nmyCDGBKInavdOK15jsl", "msg_loFOjxBNrRLzqYUf", "1731705121",
         b'{"event_type":"ping","data":{"success":true}}',
         "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
         b'{"test": 2432232314}', "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ],
)  # fmt: skip
def test_published_signatures(
    secret: str, message_id: str, timestamp: str, body: bytes, expected: str
) -> None:
    assert sign(base64.b64decode(secret), message_id, timestamp, body) == expected


def test_what_is_sent(host: HostApp, receiver: Receiver) -> None:
    ill(host, alert_webhook=receiver.url + "hook?x=1", alert_webhook_secret=SECRET,
        public_url="https://panel.example.com")  # fmt: skip
    told(host)
    (call,) = receiver.told
    assert call.path == "/hook?x=1"
    assert call.headers["Content-Type"] == "application/json"
    (alert,) = alerts(host)
    told_id, at = call.headers["webhook-id"], call.headers["webhook-timestamp"]
    assert told_id == f"msg_{alert.public_id}_opened"
    assert abs(int(at) - time.time()) < 60
    key = webhook_key(SECRET)
    digest = hmac.digest(key, f"{told_id}.{at}.".encode() + call.body, "sha256")
    assert call.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    body = json.loads(call.body)
    assert body["type"] == "alert.opened"
    assert body["data"]["kind"] == "sender_stopped"
    assert body["data"]["url"] == "https://panel.example.com/smtp-admin/alerts"
    # What a server said comes through whole, and breaks nothing.
    assert "it's {{ x }} \\ </script>" in body["data"]["detail"]
    assert [one.outcome for one in notices(host, "webhook")] == ["delivered"]


def test_without_a_secret_nothing_is_signed(host: HostApp, receiver: Receiver) -> None:
    ill(host, alert_webhook=receiver.url)
    told(host)
    assert "webhook-signature" not in receiver.told[0].headers


def test_the_shipped_body_is_json_whatever_it_says() -> None:
    check_body(read_config({"SMTP_ADMIN_ALERT_WEBHOOK_BODY": DEFAULT_BODY}, app_name="x"))


@pytest.mark.parametrize(
    "body",
    [
        '{"text": "{{ text }}"}',
        '{"text": "{{ text | json }}"}',
        '{"text": {{ text }}}',
        "{{ text | json }}",
        "[]",
        '{"text": {{ nothing | json }}}',
        '{"text": {{ text | json }',
        '{"text": {% if %}',
        '{% if event == "opened" %}{}{% endif %}',
        "{{ text | jsn }}",
    ],
)
def test_a_body_that_could_break_stops_the_app(body: str) -> None:
    app = Flask("tests.app")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY="x",
                      SMTP_ADMIN_ALERT_WEBHOOK_BODY=body)  # fmt: skip
    db = SQLAlchemy()
    db.init_app(app)
    with pytest.raises(ConfigError, match="SMTP_ADMIN_ALERT_WEBHOOK_BODY"):
        SMTPAdmin(host=Host()).init_app(app, db)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://[::ffff:127.0.0.1]:{port}/",
     "http://169.254.169.254/latest/meta-data", "http://2130706433:{port}/",
     "http://0x7f.1:{port}/"],
)  # fmt: skip
def test_a_forbidden_address_is_not_dialled(receiver: Receiver, url: str) -> None:
    port = receiver.url.rsplit(":", 1)[1].strip("/")
    guarded = Caller(DiallingPolicy(frozenset()))
    with pytest.raises(CallFailed, match=r"does not connect to|cannot be used"):
        guarded.post(url.format(port=port), b"{}", {})
    assert receiver.told == []


def test_a_forbidden_address_is_said(host: HostApp, receiver: Receiver) -> None:
    ill(host, alert_webhook=receiver.url, allowed_networks=())
    told(host)
    (notice,) = notices(host, "webhook")
    assert "SMTP_ADMIN_ALLOWED_NETWORKS" in notice.outcome
    assert receiver.told == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    receiver.status = status
    assert caller().post(receiver.url, b"{}", {}).status == status
    assert [one.path for one in receiver.told] == ["/"]


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000,
     b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"],
)  # fmt: skip
def test_an_answer_that_is_none(receiver: Receiver, answer: bytes) -> None:
    receiver.answer = answer
    with pytest.raises(CallFailed, match="broke off"):
        caller().post(receiver.url, b"{}", {})


def test_an_endless_answer_is_not_read_to_its_end(receiver: Receiver) -> None:
    receiver.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 100_000
    answer = caller().post(receiver.url, b"{}", {})
    assert (answer.status, len(answer.body), answer.cut) == (200, MOST_BYTES, True)


def test_only_these_ports_where_they_are_given(receiver: Receiver) -> None:
    with pytest.raises(CallFailed, match="not allowed"):
        caller(ports=frozenset({443})).post(receiver.url, b"{}", {})
    assert receiver.told == []


@pytest.mark.parametrize("drips", [b"", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_server_that_never_ends(drips: bytes) -> None:
    """It says nothing at all, or a byte at a time, each of them early enough."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with listening.accept()[0] as connection, suppress(OSError):
                connection.recv(10_000)
                connection.sendall(drips)
                for _ in range(600):
                    time.sleep(0.05)
                    connection.sendall(b"x" if drips else b"")
                    connection.settimeout(0.01)
                    with suppress(TimeoutError):
                        if not connection.recv(100):
                            return

        thread = threading.Thread(target=answer)
        thread.start()
        began = time.monotonic()
        with pytest.raises(CallFailed, match="in time"):
            caller(seconds=0.3).post(f"http://127.0.0.1:{listening.getsockname()[1]}/", b"{}", {})
        assert time.monotonic() - began < 15
        thread.join()


def test_over_tls(certificates: CertificateFactory) -> None:
    context = certificates.server_context(certificates.valid())
    with Receiver(context) as server:
        assert caller(ca_file=certificates.ca_file).post(server.url, b"{}", {}).status == 204
        with pytest.raises(CallFailed, match="certificate cannot be trusted"):
            caller().post(server.url, b"{}", {})
        assert len(server.told) == 1


def test_nothing_listens(closed_port: int) -> None:
    with pytest.raises(CallFailed, match="nothing listens there"):
        caller().post(f"http://127.0.0.1:{closed_port}/", b"{}", {})


# --- Documentation -------------------------------------------------------------------------------

EXAMPLES = [text for page, text in blocks("liquid") if page == "docs/alerts.md"]


def test_there_is_an_example_for_each_service() -> None:
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_work(host: HostApp, receiver: Receiver, example: str) -> None:
    check_body(read_config({"SMTP_ADMIN_ALERT_WEBHOOK_BODY": example}, app_name="x"))
    ill(host, alert_webhook=receiver.url, alert_webhook_body=example)
    told(host)
    body = json.loads(receiver.told[0].body)
    assert "Sender problem, partner Acme GmbH" in json.dumps(body)


def test_every_value_is_named_in_the_documentation(host: HostApp) -> None:
    ill(host)
    (alert,) = alerts(host)
    named = set(coded(section("docs/alerts.md", "The webhook").partition("**Slack**")[0]))
    assert values_of(alert, "opened").keys() | {"timestamp"} <= named


def test_kinds_are_complete() -> None:
    """The table names each kind, and the states that it comes from."""
    table = rows(section("docs/alerts.md", "Alerts"))
    named: dict[str, tuple[str, set[str]]] = {}
    for kind, label, when, _ in table:
        if kind:
            name = coded(kind)[0]
            named[name] = (label, set())
        named[name][1].update(set(coded(when)) & set(OF_STATE))
    states = {
        one.name: {state for state, row in OF_STATE.items() if row and row[0] == one.name}
        for one in KINDS
    }
    assert named == {one.name: (one.label, states[one.name]) for one in KINDS}
