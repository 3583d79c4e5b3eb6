"""Queuing by the API: what is queued, once for each key, and what is answered when it cannot be."""

import threading
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from sqlalchemy import func, select, update

from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.digest_models import DigestItem
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.suppressions import suppress
from smtp_admin.mail.branding import Brand, save
from smtp_admin.mail.saved_templates import write
from smtp_admin.mail.wording import Texts
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import deliveries
from tests.mail.newsletter import add_newsletter
from tests.mail.test_digests import send as send_digests_now
from tests.servers.scripted import Reply, ScriptedServer

from .conftest import API, OF_TYPE, READY, Program, a_token

KEY = {"idempotency_key": "invoice-4711"}


def count(host: HostApp, what: Any = Message) -> int:
    host.db.session.rollback()
    return host.db.session.scalar(select(func.count()).select_from(what)) or 0


def test_a_ready_mail_and_one_of_a_type(site: HostApp, program: Callable[..., Program]) -> None:
    ask = program("acme", ["send", "read"])
    with ScriptedServer() as server:
        site.save_sender(port=server.port)
        asked_for: list[bytes] = []
        for body in (READY | {"html": "<p>Hello.</p>"}, OF_TYPE):
            answer = ask("POST", "/queue", json=body)
            assert answer.status_code == 202
            assert answer.json
            assert answer.json.keys() == {"ok", "id", "status"}
            site.work()
            seen = ask("GET", f"/messages/{answer.json['id']}").get_json()
            assert seen["states"] == {"sent": 1}
            asked_for.append(seen["message_id"].encode())
        ready, typed = server.wait_for_messages(2)
    assert [asked_for[n] in one.data for n, one in enumerate((ready, typed))] == [True, True]
    assert b"<p>Hello.</p>" in ready.data
    assert b"From: Acme GmbH <noreply@acme.example>" in ready.data
    assert b"your code is 7" in typed.data


def test_a_type_speaks_as_its_partner(site: HostApp, program: Callable[..., Program]) -> None:
    """What a partner wrote, and in which language, holds for programs as for the host."""
    session = site.db.session()
    own = Texts("Hallo {{ name }} ({{ brand.footer }})", "Guten Tag.", "")
    write(session, ("acme", "welcome", "de"), own, expected_revision=0, actor=ADMIN)
    save(session, "acme", Brand(footer="Acme, Berlin"), ADMIN)
    session.commit()
    asked = {"to": "mia@example.com", "type": "welcome", "context": {"name": "Mia"}}
    ask = program("")
    for partner_id, language in (("acme", "de-AT"), ("acme", None), ("globex", "de")):
        body = asked | {"language": language, "partner_id": partner_id}
        assert ask("POST", "/queue", json=body).status_code == 202
    subjects = session.scalars(select(Message.subject).order_by(Message.id)).all()
    assert subjects == [
        "Hallo Mia (Acme, Berlin)", "Welcome to Northwind", "Willkommen bei Northwind",
    ]  # fmt: skip
    refused = ask("POST", "/queue", json=READY | {"language": "de"})
    assert refused.get_json()["error"]["fields"].keys() == {"language"}


def test_the_same_key_queues_once(site: HostApp, program: Callable[..., Program]) -> None:
    ask = program()
    first = ask("POST", "/queue", json=READY | KEY)
    assert first.status_code == 202
    others = [
        ask("POST", "/queue", json=READY | KEY),
        # Whatever the mail: the key decides.
        ask("POST", "/queue", json=OF_TYPE | KEY),
        ask("POST", "/queue", json=READY, headers={"Idempotency-Key": '"invoice-4711"'}),
        ask("POST", "/queue", json=READY, headers={"Idempotency-Key": "invoice-4711"}),
        ask("POST", "/queue", json=READY | KEY, headers={"Idempotency-Key": "other"}),
    ]
    assert [one.status_code for one in others] == [200] * 5
    assert first.json
    assert {one.get_json()["id"] for one in others} == {first.json["id"]}
    assert count(site) == 1
    ask("POST", f"/messages/{first.json['id']}/cancel")
    assert ask("POST", "/queue", json=READY | KEY).get_json()["status"] == "cancelled"
    # A key is its partner's own.
    theirs = program("globex")("POST", "/queue", json=READY | KEY)
    assert theirs.status_code == 202
    assert theirs.get_json()["id"] != first.json["id"]


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_the_same_key_at_the_same_time(
    request: pytest.FixtureRequest, new_app: Callable[..., HostApp], database: str
) -> None:
    uri = None
    if database != "sqlite":
        uri = request.getfixturevalue(database).create_database()
    made = new_app(uri=uri)
    add_newsletter(made)
    with made.app.app_context():
        made.save_sender()
        ask = Program(made, a_token(made))
        made.db.session.remove()
    ready, answers = threading.Barrier(6), []

    def queue() -> None:
        ready.wait()
        answers.append(ask("POST", "/queue", json=READY | KEY))

    threads = [threading.Thread(target=queue) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(one.status_code for one in answers) == [200] * 5 + [202]
    assert len({one.get_json()["id"] for one in answers}) == 1
    with made.app.app_context():
        assert count(made) == count(made, Delivery) == 1
        made.db.session.remove()


def test_whose_it_is(site: HostApp, program: Callable[..., Program]) -> None:
    platform, acme = program(""), program("acme")
    for ask, named, owner in (
        (acme, {}, "acme"),
        (acme, {"partner_id": "acme"}, "acme"),
        (platform, {}, ""),
        (platform, {"partner_id": ""}, ""),
        (platform, {"partner_id": "globex"}, "globex"),
    ):
        public_id = ask("POST", "/queue", json=READY | named).get_json()["id"]
        seen = platform("GET", f"/messages/{public_id}").get_json()
        assert seen["partner_id"] == owner
    for ask, named, status in (
        (acme, {"partner_id": "globex"}, 404),
        (acme, {"partner_id": "nobody"}, 404),
        (acme, {"partner_id": ""}, 403),
        (platform, {"partner_id": "nobody"}, 404),
    ):
        assert ask("POST", "/queue", json=READY | named).status_code == status
    assert count(site) == 5


def test_a_key_in_a_header_that_cannot_be_read(
    site: HostApp, program: Callable[..., Program]
) -> None:
    for text, body in product(
        ('"', "a b", "x" * 201, "ключ".encode().decode("latin-1")), ({}, KEY)
    ):
        answer = program(name=f"{text[:9].encode()!r} {body}")(
            "POST", "/queue", json=READY | body, headers={"Idempotency-Key": text}
        )
        assert answer.status_code == 400
        assert answer.get_json()["error"]["fields"].keys() == {"Idempotency-Key"}


def test_a_full_queue(new_app: Callable[..., HostApp]) -> None:
    made = new_app(QUEUE_LIMIT=2)
    with made.app.app_context():
        made.save_sender()
        ask = Program(made, a_token(made))
        for status in (202, 202, 429):
            answer = ask("POST", "/queue", json=READY)
            assert answer.status_code == status
    assert answer.get_json()["error"]["code"] == "queue_full"
    assert int(answer.headers["Retry-After"]) > 0


#: A body, and the fields that its refusal names.
REFUSED: list[tuple[Any, set[str]]] = [
    ({}, {"to"}),
    (READY | {"to": []}, {"to"}),
    (READY | {"to": "nobody"}, {"to"}),
    (READY | {"to": ["a@example.com", "no"]}, {"to"}),
    (READY | {"to": [f"a{n}@example.com" for n in range(10_000)]}, {"to"}),
    (READY | {"to": {"a": 1}}, {"to"}),
    (READY | {"to": [["a@example.com"]]}, {"to"}),
    (READY | {"to": "a@example.com\r\nBcc: b@example.com"}, {"to"}),
    (READY | {"subject": None}, {"subject"}),
    (READY | {"subject": ""}, {"subject"}),
    (READY | {"subject": "two\nlines"}, {"subject"}),
    (READY | {"subject": "=?utf-8?q?x?="}, {"subject"}),
    (READY | {"subject": 5}, {"subject"}),
    (READY | {"text": None}, {"text"}),
    (READY | {"text": ["a"]}, {"text"}),
    (READY | {"text": "a\0b"}, {"text"}),
    (READY | {"context": {"a": 1}}, {"context"}),
    (READY | {"reply_to": "nobody"}, {"reply_to"}),
    (READY | {"colour": "red", "to": 1}, {"colour", "to"}),
    (READY | {"partner_id": 7}, {"partner_id"}),
    (READY | {"partner_id": "a\0b"}, {"partner_id"}),
    (READY | {"partner_id": "x" * 101}, {"partner_id"}),
    (READY | {"sender": "none"}, {"sender"}),
    (READY | {"sender": "x" * 41}, {"sender"}),
    (READY | {"idempotency_key": ""}, {"idempotency_key"}),
    (READY | {"idempotency_key": "x" * 201}, {"idempotency_key"}),
    (READY | {"send_at": "tomorrow"}, {"send_at"}),
    (READY | {"send_at": "2026-12-01T09:00:00"}, {"send_at"}),
    (READY | {"send_at": "2026-13-41T09:00:00Z"}, {"send_at"}),
    (READY | {"send_at": 1_790_000_000}, {"send_at"}),
    (READY | {"send_at": "0001-01-01T00:00:00+23:59"}, {"send_at"}),
    (READY | {"send_at": "2027-01-02T00:00:00Z", "expires_at": "2027-01-01T00:00:00Z"},
     {"send_at", "expires_at"}),
    (OF_TYPE | {"type": "nothing"}, {"type"}),
    (OF_TYPE | {"type": "../etc"}, {"type"}),
    (OF_TYPE | {"type": "alert"}, {"type"}),
    (OF_TYPE | {"type": ["newsletter"]}, {"type"}),
    (OF_TYPE | {"subject": "Hello"}, {"subject"}),
    (OF_TYPE | {"context": None}, {"context"}),
    (OF_TYPE | {"context": {"name": "Mia"}}, {"context"}),
    (OF_TYPE | {"context": [1]}, {"context"}),
    (OF_TYPE | {"context": {"name": {"a": {"b": "x\0"}}, "code": 1}}, {"context"}),
    (OF_TYPE | {"context": {"na\0me": 1}}, {"context"}),
]  # fmt: skip


def test_what_is_refused_names_its_fields(site: HostApp, program: Callable[..., Program]) -> None:
    ask = program()
    for body, fields in REFUSED:
        answer = ask("POST", "/queue", json=body)
        assert answer.status_code == 400, (body, answer.text)
        error = answer.get_json()["error"]
        assert error["code"] == "invalid_input"
        assert set(error["fields"]) == fields, (body, error)
        assert all(words[0].endswith(".") for words in error["fields"].values()), error
        for name in fields:
            assert name in error["message"], "as it was sent"
    assert count(site) == 0


DEEP = 100_000
#: Bytes that are sent as JSON, the status and a word of what is said of them.
ODD: list[tuple[bytes, int, str]] = [
    (b"", 400, "not JSON"),
    (b"null", 400, "not an object"),
    (b"[]", 400, "not an object"),
    (b'"text"', 400, "not an object"),
    (b"{", 400, "not JSON"),
    (b'{"to": NaN}', 400, "fix “to”"),
    (b'{"context": {"a": Infinity}}', 400, "fix “context”"),
    (b'{"context": {"a": 1e999}}', 400, "fix “context”"),
    (b'{"context": {"a": ' + b"9" * 5000 + b"}}", 400, "fix “context”"),
    (b'{"subject": ' + b"9" * 200 + b"}", 400, "fix “subject”"),
    (b"\xff\xfe", 400, "not JSON"),
    (b'{"to": "\xed\xa0\x80"}', 400, "fix “to”"),
    (rb'{"to": "\ud800"}', 400, "fix “to”"),
    (rb'{"\ud800": 1}', 400, "fix"),
    (rb'{"context": {"a": ["\u0000"]}}', 400, "fix “context”"),
    (b"[" * DEEP + b"]" * DEEP, 400, "too deeply"),
    (b'{"context": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}", 400, "fix “context”"),
    (b'{"to": "' + b"a" * 3 * 1024 * 1024 + b'"}', 413, "too large"),
]


def test_odd_json_is_answered_with_a_sentence(
    site: HostApp, program: Callable[..., Program]
) -> None:
    ask = program()
    for path in ("/queue", "/batch", "/test-connection"):
        for data, status, words in ODD:
            answer = ask("POST", path, data=data, content_type="application/json")
            assert answer.status_code == status, (path, data[:40], answer.text)
            error = answer.get_json()["error"]
            assert words in error["message"] or path != "/queue", (data[:40], error)
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            answer = ask("POST", path, data=b"{}", content_type=kind)
            assert answer.status_code == 415
            assert "Content-Type: application/json" in answer.get_json()["error"]["hint"]
    assert count(site) == 0


def test_a_body_of_unknown_length(site: HostApp, program: Callable[..., Program]) -> None:
    """Chunks that together are too large: what says no length is counted while it is read."""
    from io import BytesIO

    answer = program()(
        "POST", "/queue", input_stream=BytesIO(b" " * 3 * 1024 * 1024),
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )  # fmt: skip
    assert answer.status_code == 413, answer.text
    assert answer.get_json()["error"]["code"] == "too_large"


def test_other_methods_and_addresses(site: HostApp, program: Callable[..., Program]) -> None:
    ask = program()
    for method, path, status in (
        ("DELETE", "/queue", 405), ("GET", "/queue", 405), ("PUT", "/messages/x", 405),
        ("GET", "/nothing", 404), ("POST", "/messages/x/explode", 404), ("GET", "/", 404),
    ):  # fmt: skip
        answer = ask(method, path)
        assert answer.status_code == status
        assert answer.get_json()["error"]["code"] in {"invalid_input", "not_found"}
        assert (status != 405) or "OPTIONS" in answer.headers["Allow"]
    # What is not the API's stays the app's own.
    assert site.client.get("/api/emails").mimetype == "text/html"


def test_what_became_of_it(site: HostApp, program: Callable[..., Program]) -> None:
    ask = program()
    with ScriptedServer(behaviours={"rcpt": Reply("550 5.1.1 no such user")}) as server:
        site.save_sender(port=server.port)
        public_id = ask("POST", "/queue", json=READY).get_json()["id"]
        site.work()
        (one,) = ask("GET", f"/messages/{public_id}").get_json()["deliveries"]
        assert (one["state"], one["recipient"]) == ("dead", "mia@example.com")
        assert one["reply"] == "550 5.1.1 no such user"
        assert [each["verdict"] for each in one["attempts"]] == ["permanent"]
        assert ask("POST", f"/messages/{public_id}/cancel").status_code == 409
        server.behave("rcpt", None)
        again = ask("POST", f"/messages/{public_id}/retry")
        assert again.get_json() == {"ok": True, "id": public_id, "count": 1, "kept_back": 0}
        site.work()
        assert len(server.wait_for_messages(1)) == 1
    assert ask("GET", f"/messages/{public_id}").get_json()["states"] == {"sent": 1}
    assert ask("POST", f"/messages/{public_id}/retry").status_code == 409


def test_sent_again_to_a_suppressed_address(site: HostApp, program: Callable[..., Program]) -> None:
    ask = program()
    site.save_sender()
    public_id = ask("POST", "/queue", json=READY).get_json()["id"]
    session = site.db.session()
    session.execute(update(Delivery).values(state="dead"))
    suppress(session, "acme", "mia@example.com", "bounce")
    session.commit()
    again = ask("POST", f"/messages/{public_id}/retry")
    assert again.get_json() == {"ok": True, "id": public_id, "count": 0, "kept_back": 1}
    assert ask("GET", f"/messages/{public_id}").get_json()["states"] == {"suppressed": 1}


def test_a_batch_is_filled_and_holds_each_once(
    site: HostApp, program: Callable[..., Program]
) -> None:
    ask = program()

    def body(first: int, last: int) -> dict[str, Any]:
        people = [
            {"address": f"p{n}@example.org", "context": {"name": f"P{n}", "code": n}}
            for n in range(first, last)
        ]
        return {"type": "newsletter", "recipients": people, "batch_key": "2026-12", "label": "Dec"}

    first = ask("POST", "/batch", json=body(0, 3))
    assert first.status_code == 202
    assert first.json
    assert (first.json["queued"], first.json["known"]) == (3, 0)
    second = ask("POST", "/batch", json=body(2, 5)).get_json()
    assert (second["id"], second["queued"], second["known"]) == (first.json["id"], 2, 1)
    assert ask("POST", "/batch", json=body(0, 5)).status_code == 200
    seen = ask("GET", f"/batch/{first.json['id']}").get_json()
    assert (seen["queued"], seen["total"], seen["states"]) == (5, 5, {"queued": 5})
    assert seen["created_by"].startswith("API token “acme")
    broken = body(5, 8)
    broken["recipients"][1]["context"] = {}
    answer = ask("POST", "/batch", json=broken)
    assert answer.status_code == 400
    assert "Recipient 2: " in answer.get_json()["error"]["fields"]["recipients"][0]
    assert len(deliveries(site)) == 5
    assert count(site, Batch) == 1


def test_a_batch_of_too_many(site: HostApp, program: Callable[..., Program]) -> None:
    ask = program()
    people = [f"p{n}@example.org" for n in range(1001)]
    answer = ask("POST", "/batch", json={"type": "newsletter", "recipients": people})
    assert answer.status_code == 400
    assert "same batch_key" in answer.get_json()["error"]["fields"]["recipients"][0]


def test_a_connection_as_it_is_saved_and_as_it_would_be(
    site: HostApp, program: Callable[..., Program]
) -> None:
    ask = program()
    with ScriptedServer(auth=("login", "right")) as server:
        mine: dict[str, Any] = {
            "host": "127.0.0.1", "port": server.port, "security": "none", "username": "login",
        }  # fmt: skip
        site.save_sender(password="right", **mine)
        assert ask("POST", "/test-connection", json={}).get_json()["ok"] is True
        given = mine | {"from_email": "noreply@acme.example"}
        assert ask("POST", "/test-connection", json=given).get_json()["ok"] is True
        wrong = ask("POST", "/test-connection", json=given | {"password": "wrong"})
        assert (wrong.status_code, wrong.get_json()["error"]["code"]) == (400, "auth_failed")
        # The stored password goes nowhere else.
        elsewhere = ask("POST", "/test-connection", json=given | {"host": "localhost"})
        assert elsewhere.get_json()["error"]["code"] == "password_required"
        assert ask("POST", "/test-connection", json={"sender": "none"}).status_code == 404
        assert ask("POST", "/test-connection", json={"colour": 1}).status_code == 400


def test_in_a_session_a_token_of_the_page_is_needed(
    site: HostApp, program: Callable[..., Program]
) -> None:
    site.app.config["WTF_CSRF_ENABLED"] = True
    from tests.app import ACME_ADMIN

    site.actor = ACME_ADMIN
    answer = site.client.post(f"{API}/queue", json=READY)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "csrf_failed")
    # With a token no session counts, and nothing has to be proved.
    assert program("globex")("POST", "/queue", json=READY).status_code == 202
    assert {one.partner_id for one in deliveries(site)} == {"globex"}


NOTICE = {
    "to": "Sam C. <sam@customer.example>",
    "type": "licence_expiring",
    "digest": "hour",
    "language": "de",
    "context": {
        "name": "Sam",
        "product": "Pro",
        "expires_on": "31. Januar",
        "renew_url": "https://shop.example/renew",
    },
}


def test_notices_become_a_digest(site: HostApp, program: Callable[..., Program]) -> None:
    ask, theirs = program("acme"), program("globex")
    first = ask("POST", "/queue", json=NOTICE | KEY)
    waiting = {"ok": True, "id": first.get_json()["id"], "status": "waiting"}
    assert (first.status_code, first.get_json()) == (202, waiting)
    again = ask("POST", "/queue", json=NOTICE, headers={"Idempotency-Key": "invoice-4711"})
    assert (again.status_code, again.get_json()) == (200, waiting)
    path = f"/messages/{waiting['id']}"
    found = ask("GET", path).get_json()
    assert (found["states"], found["deliveries"]) == ({"waiting": 1}, [])
    assert found["subject"] == "Ihre Lizenz für Pro läuft am 31. Januar ab"
    assert ask("POST", f"{path}/retry").status_code == 409
    for method, rest in product(("GET", "POST"), ("", "/cancel")):
        assert theirs(method, path + rest).status_code in {404, 405}

    taken_out = ask("POST", "/queue", json=NOTICE).get_json()["id"]
    cancelled = ask("POST", f"/messages/{taken_out}/cancel")
    assert cancelled.get_json() == {"ok": True, "id": taken_out, "count": 1}
    assert ask("POST", f"/messages/{taken_out}/cancel").status_code == 409
    assert ask("GET", f"/messages/{taken_out}").get_json()["states"] == {"cancelled": 1}
    assert count(site) == 0
    assert send_digests_now(site) == 1
    mail = ask("GET", path).get_json()
    assert mail["id"] != waiting["id"]
    assert (mail["type"], mail["states"]) == ("notification_digest", {"queued": 1})
    again = ask("POST", "/queue", json=NOTICE | KEY)
    assert (again.status_code, again.get_json()) == (200, waiting | {"status": "queued"})
    assert ask("POST", f"{path}/cancel").status_code == 409


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"digest": "week"}, "digest"),
        ({"digest": ["hour"]}, "digest"),
        ({"type": "welcome", "context": {}}, "digest"),
        ({"to": ["a@b.example", "c@b.example"]}, "digest"),
        ({"reply_to": "a@b.example"}, "digest"),
        ({"send_at": "2099-12-01T09:00:00Z"}, "digest"),
        ({"sender": "none"}, "sender"),
        ({"context": {}}, "context"),
        ({"type": None, "context": None, "language": None, "subject": "x", "text": "y"}, "digest"),
    ],
)
def test_what_the_api_keeps_for_no_digest(
    site: HostApp, program: Callable[..., Program], change: dict[str, Any], field: str
) -> None:
    answer = program()("POST", "/queue", json=NOTICE | change)
    assert answer.status_code == 400
    assert answer.get_json()["error"]["fields"].keys() == {field}
    assert count(site, DigestItem) == 0
