"""The address of a webhook: who may post, what is kept, and what is answered."""

import json
from contextlib import ExitStack
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from flask_wtf import CSRFProtect
from sqlalchemy import select, update
from werkzeug.test import create_environ, run_wsgi_app

from smtp_admin.clock import shifted
from smtp_admin.events import webhooks
from smtp_admin.events.models import Webhook, WebhookNonce
from smtp_admin.events.pruning import prune_events
from smtp_admin.events.sources import SOURCES
from smtp_admin.senders.resolve import load_sender
from tests.app import ADMIN
from tests.delivery.conftest import NewHost
from tests.events.conftest import Hook
from tests.events.hooking import (
    MAILGUN_KEY,
    STANDARD_SECRET,
    TOPIC,
    Hooked,
    generic,
    mailgun,
    mailgun_of,
    standard_headers,
)

SECRETS = {"mailgun": MAILGUN_KEY, "resend": STANDARD_SECRET, "generic": STANDARD_SECRET}
UNSIGNED = {"postmark", "sparkpost", "brevo", "mailjet"}


def error_of(answer: Any) -> str:
    assert answer.json
    return str(answer.json["error"]["code"])


def test_an_address_that_nobody_has(hooked: Hooked) -> None:
    path = hooked.turn_on("postmark")
    key = path.rpartition("/")[2]
    answers = {
        hooked.post(one, {}).get_data()
        for one in (
            "/hooks/email/postmark/" + "a" * 32,
            f"/hooks/email/postmark/{key[:-1]}",
            f"/hooks/email/postmark/{key}x",
            f"/hooks/email/postmark/{key.swapcase()}",
            f"/hooks/email/brevo/{key}",  # right, but of another provider
            f"/hooks/email/unknown/{key}",
            "/hooks/email/postmark/%00",
            "/hooks/email/postmark/" + "a" * 5000,
            "/hooks/email/postmark/ü",
        )
    }
    assert len(answers) == 1  # nobody learns which part was wrong
    assert hooked.post(path, {}).status_code == 200
    assert hooked.webhook().bad == 0
    for method in ("get", "put", "delete"):
        assert getattr(hooked.client, method)(path).status_code == 405


@pytest.mark.parametrize("said", ["²", "².", "².x", "1" * 13 + ".x", "-1.x", ".x", "1 .x"])
def test_what_is_no_sample_of_ours(hooked: Hooked, said: str) -> None:
    """Not every digit is a number."""
    path = hooked.turn_on("generic", secret=STANDARD_SECRET)
    answer = hooked.post(path, {}, {"X-SMTP-Admin-Sample": said})
    assert (answer.status_code, error_of(answer)) == (403, "forbidden")


def test_nothing_is_believed_without_a_signature(hooked: Hooked) -> None:
    session = hooked.host.db.session()
    for source in SOURCES:
        topic = TOPIC if source == "ses" else ""
        path = hooked.turn_on(source, secret=SECRETS.get(source, ""), topic=topic)
        body = [{"event": "delivered"}] if source in {"sendgrid", "sparkpost"} else {"x": 1}
        status = hooked.post(path, body).status_code
        assert status == (200 if source in UNSIGNED else 400 if source == "ses" else 403)
        assert hooked.webhook().bad == (status == 403), source
        sender = load_sender(session, "acme")
        webhooks.turn_off(session, sender, hooked.webhook(), ADMIN)
        session.commit()
    assert hooked.events() == []


def test_the_secret_of_another_webhook(hooked: Hooked) -> None:
    other = "whsec_" + "QUJD" * 8
    mine = hooked.turn_on("generic", secret=STANDARD_SECRET)
    theirs = hooked.turn_on("generic", "globex", secret=other)
    body = json.dumps(generic("delivered")).encode()
    assert hooked.post(mine, body, standard_headers(body, secret=other)).status_code == 403
    assert hooked.post(theirs, body, standard_headers(body)).status_code == 403
    assert hooked.post(mine, body, standard_headers(body)).status_code == 200
    assert (hooked.webhook().bad, hooked.webhook().last_bad_code) == (1, "signature")
    assert hooked.webhook("globex").bad == 1


def test_without_a_saved_secret(hooked: Hooked) -> None:
    path = hooked.turn_on("mailgun")
    for key in ("", "x", MAILGUN_KEY):
        assert hooked.post(path, mailgun({"event": "delivered"}, key=key)).status_code == 403
    assert hooked.webhook().last_bad_code == "no_secret"


def test_large_and_odd_bodies(hooked: Hooked) -> None:
    path = hooked.turn_on("sendgrid")
    postmark = hooked.turn_on("postmark", "globex")
    too_much = b" " * (1024 * 1024 + 1)
    assert hooked.post(path, too_much).status_code == 413
    # Without a length, too.
    environ = create_environ(postmark, "http://localhost/", method="POST")
    environ.pop("CONTENT_LENGTH", None)
    environ |= {"wsgi.input": _Endless(), "wsgi.input_terminated": True}
    assert run_wsgi_app(hooked.host.app, environ)[1].startswith("413")
    for body in (b"", b"null", b"[" * 100_000, b"NaN", b"\xff\xfe{\x00}\x00", b"9" * 5000,
                 b"\x1f\x8b" + b"\x00" * 100):  # fmt: skip
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", "x"):
            answer = hooked.post(postmark, body, {"Content-Type": kind, "Content-Encoding": "gzip"})
            assert answer.status_code == 400, body[:10]
            assert error_of(answer) == "invalid_input"
    assert hooked.events() == []


class _Endless:
    """A body without an end."""

    def read(self, size: int = -1) -> bytes:
        return b" " * (size if size > 0 else 65536)


def test_the_same_event_is_kept_once(each: Hooked) -> None:
    path = each.turn_on("sparkpost")
    batch = [
        {"msys": {"message_event": {"type": "delivery", "event_id": str(number),
                                    "rcpt_to": f"{number}@example.org"}}}
        for number in range(450)
    ]  # fmt: skip
    for _ in range(3):
        answer = each.post(path, batch)
        assert (answer.status_code, answer.json) == (200, {"ok": True, "events": 450})
    assert len(each.events()) == 450
    # Not even after it was applied, nor the next day; after three days nobody repeats it.
    each.apply()
    assert each.post(path, batch[:1]).status_code == 200
    assert len(each.events()) == 450
    assert {one.state for one in each.events()} == {"waiting"}  # about no mail of ours, so far
    with shifted(timedelta(days=2)):
        for _ in range(10):
            each.apply()
        prune_events(each.engine, each.host.installation.config)
    assert len(each.events()) == 450


def test_an_event_is_forgotten_in_the_end(each: Hooked) -> None:
    path = each.turn_on("sparkpost")
    event = {"type": "delivery", "event_id": "1", "rcpt_to": "a@example.org"}
    each.post(path, [{"msys": {"message_event": event}}])
    for hours in range(0, 30, 3):
        with shifted(timedelta(hours=hours)):
            each.apply()
    assert [one.state for one in each.events()] == ["unknown"]
    with shifted(timedelta(days=4)):
        assert prune_events(each.engine, each.host.installation.config) == 1
    assert each.events() == []


def test_many_post_the_same_at_once(each: Hooked) -> None:
    path = each.turn_on("mailgun", secret=MAILGUN_KEY)
    document = mailgun(mailgun_of("delivered", "a@b", "you@example.org"))
    body = json.dumps(document).encode()
    statuses: list[int] = []
    barrier = Barrier(4)

    def post() -> None:
        client = each.host.app.test_client()
        barrier.wait()
        answer = client.post(path, data=body, headers={"Content-Type": "application/json"})
        statuses.append(answer.status_code)

    threads = [Thread(target=post) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    # A provider sends again what was not answered.
    assert 200 in statuses
    assert set(statuses) <= {200, 503}
    assert len(each.events()) == 1
    assert each.webhook().bad == 0


def test_mailguns_signature_for_another_body(each: Hooked) -> None:
    """It covers a time and a token only: who saw one request could sign any other with it."""
    path = each.turn_on("mailgun", secret=MAILGUN_KEY)
    (mail,) = each.sent("you@example.org", provider_id="one@mg")
    seen = mailgun(mailgun_of("delivered", "one@mg", "you@example.org"))
    assert each.post(path, seen).status_code == 200
    # The same again is what Mailgun does when our answer was lost.
    assert each.post(path, seen).status_code == 200
    forged = {**seen, "event-data": {**seen["event-data"], "event": "complained", "id": "x"}}
    assert each.post(path, forged).status_code == 403
    assert (each.webhook().bad, each.webhook().last_bad_code) == (1, "replayed")
    each.apply()
    assert each.state(mail) == "delivered"
    with shifted(timedelta(seconds=301)):
        assert each.post(path, seen).status_code == 403
    assert each.webhook().last_bad_code == "stale"
    with shifted(timedelta(days=4)):
        prune_events(each.engine, each.host.installation.config)
    session = each.host.db.session()
    session.rollback()
    assert session.scalars(select(WebhookNonce)).all() == []


def test_a_new_address_and_a_new_secret(hooked: Hooked) -> None:
    path = hooked.turn_on("generic", secret=STANDARD_SECRET)
    session = hooked.host.db.session()
    sender = load_sender(session, "acme")
    row = webhooks.webhook_of(session, sender.sender_id)
    assert row is not None
    webhooks.rotate(session, sender, row, ADMIN)
    made = webhooks.make_secret(session, sender, row, ADMIN)
    session.commit()
    fresh = f"/hooks/email/generic/{webhooks.key_of(row, sender)}"
    assert fresh != path
    assert made.startswith("whsec_")

    def post(where: str, secret: str) -> int:
        body = json.dumps(generic("delivered")).encode()
        return hooked.post(where, body, standard_headers(body, secret=secret)).status_code

    for where in (path, fresh):
        for secret in (STANDARD_SECRET, made):
            assert post(where, secret) == 200
    with shifted(timedelta(hours=25)):
        assert post(path, made) == 404
        assert post(fresh, STANDARD_SECRET) == 403
        assert post(fresh, made) == 200


def test_turned_off_it_leads_nowhere(hooked: Hooked) -> None:
    path = hooked.turn_on("postmark")
    session = hooked.host.db.session()
    sender = load_sender(session, "acme")
    row = webhooks.webhook_of(session, sender.sender_id)
    assert row is not None
    webhooks.turn_off(session, sender, row, ADMIN)
    session.commit()
    assert hooked.post(path, {}).status_code == 404


def test_beside_a_hosts_own_checks(hooked: Hooked) -> None:
    """No session, no token of a form; a host's check of tokens leaves it alone."""
    CSRFProtect(hooked.host.app)
    hooked.host.app.config["WTF_CSRF_ENABLED"] = True
    hooked.host.actor = None
    path = hooked.turn_on("postmark")
    assert hooked.post(path, {"RecordType": "Open"}).status_code == 200


def test_while_every_connection_is_in_use(
    hooked: Hooked, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst on a slow database: providers send it again, and the log has one line."""
    path = hooked.turn_on("postmark")
    engine: Any = hooked.host.db.engine
    monkeypatch.setattr(engine.pool, "_timeout", 0.1)
    hooked.host.db.session.remove()
    with ExitStack() as stack:
        for _ in range(engine.pool.size() + engine.pool._max_overflow):
            stack.enter_context(engine.connect())
        answer = hooked.post(path, {"RecordType": "Open", "MessageID": "1"})
    assert (answer.status_code, error_of(answer)) == (503, "unavailable")
    assert [one.getMessage() for one in caplog.records] == ["the database failed: TimeoutError"]
    assert hooked.post(path, {"RecordType": "Open", "MessageID": "1"}).status_code == 200


def test_a_copy_of_the_database_takes_nothing(opened: NewHost, hook: Hook) -> None:
    """Where mail is not sent from, events are not kept, and nothing is fetched."""
    from smtp_admin.sandbox import site as sandbox_site
    from smtp_admin.sandbox.models import Site

    hooked = hook(opened(PUBLIC_URL="https://copy.example"))
    path = hooked.turn_on("postmark")
    session = hooked.host.db.session()
    session.add(Site(address="https://original.example"))
    session.commit()
    sandbox_site.forget()
    answer = hooked.post(path, {"RecordType": "Open", "MessageID": "1"})
    assert answer.status_code == 503
    assert hooked.events() == []


def test_nothing_secret_is_said(hooked: Hooked, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the log, nor in an answer, whatever is wrong."""
    caplog.set_level("DEBUG")
    path = hooked.turn_on("mailgun", secret=MAILGUN_KEY)
    key = path.rpartition("/")[2]
    bodies: list[Any] = [
        b"", b"{", {"signature": {}}, mailgun({}, key="wrong" * 8), mailgun({}),
        mailgun(mailgun_of("delivered", "a@b", "you@example.org")),
    ]  # fmt: skip
    for body in bodies:
        answer = hooked.post(path, body)
        assert MAILGUN_KEY not in answer.text
        assert key not in answer.text
    hooked.apply()
    assert "was refused: signature" in caplog.text
    assert MAILGUN_KEY not in caplog.text
    assert key not in caplog.text


def test_nothing_secret_is_plain_in_the_database(hooked: Hooked) -> None:
    path = hooked.turn_on("generic", secret=STANDARD_SECRET)
    key = path.rpartition("/")[2]
    session = hooked.host.db.session()
    row = session.execute(select(Webhook.__table__)).one()
    assert not any(key in str(value) or STANDARD_SECRET in str(value) for value in row)


def test_a_secret_of_another_sender_does_not_open(hooked: Hooked) -> None:
    """A row that was copied, or whose provider was changed, is worth nothing."""
    hooked.turn_on("generic", secret=STANDARD_SECRET)
    path = hooked.turn_on("generic", "globex", secret="whsec_" + "QUJD" * 8)
    session = hooked.host.db.session()
    mine, theirs = hooked.webhook().secret, hooked.webhook("globex").id
    session.execute(update(Webhook).where(Webhook.id == theirs).values(secret=mine))
    session.commit()
    body = json.dumps(generic("delivered")).encode()
    answer = hooked.post(path, body, standard_headers(body))
    assert answer.status_code == 503  # nothing can be checked; it is sent again
    assert hooked.events() == []
