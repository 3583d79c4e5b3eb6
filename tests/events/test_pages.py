"""The page of a webhook: set up, try, change and end it, and what it says when nothing comes."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from threading import Thread
from typing import Any
from uuid import uuid4
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from flask import request
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from smtp_admin.clock import now, shifted
from smtp_admin.delivery.models import Counter
from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.events.examples import Example
from smtp_admin.events.keys import sealed_in_webhooks
from smtp_admin.events.models import Webhook
from smtp_admin.events.signatures import standard_signature
from smtp_admin.events.sources import SOURCES
from smtp_admin.senders.keys import KeyReport
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.sealed_texts import check_texts, rotate_texts
from tests.alerts.watching import alerts, look
from tests.app import ACME_ADMIN, HostApp, started_with
from tests.delivery.conftest import NewHost
from tests.events.conftest import Hook
from tests.events.hooking import MAILGUN_KEY, STANDARD_SECRET, TOPIC, Hooked, mailgun
from tests.events.test_vectors import SENDGRID_KEY

PAGE = "/smtp-admin/partners/acme/webhook"
HTML, JSON = {"Accept": "text/html"}, {"Accept": "application/json"}
SECRETS = {
    "sendgrid": SENDGRID_KEY, "mailgun": MAILGUN_KEY, "resend": STANDARD_SECRET,
}  # fmt: skip


def do(site: Hooked, what: str, headers: dict[str, str] = HTML, **more: str) -> TestResponse:
    return site.client.post(PAGE, data={"do": what, **more}, headers=headers)


def page(site: Hooked) -> str:
    return site.client.get(PAGE, headers=HTML).text


def address(site: Hooked) -> str:
    found = re.search(r'id="address"[^>]* value="([^"]+)"', page(site))
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("host", "driver", "expected"),
    [
        ("email-smtp.eu-central-1.amazonaws.com", "smtp", "ses"),
        ("smtp.sendgrid.net", "smtp", "sendgrid"),
        ("in-v3.mailjet.com", "smtp", "mailjet"),
        ("mail.acme.example", "smtp", ""),
    ],
)
def test_the_provider_of_the_sender_is_suggested(
    hooked: Hooked, host: str, driver: str, expected: str
) -> None:
    hooked.host.save_sender("acme", host=host, driver=driver, port=587, security="tls")
    chosen = re.findall(r'<option value="(\w+)" selected>', page(hooked))
    assert chosen == ([expected] if expected else [])


def test_from_nothing_to_a_sample_and_back(hooked: Hooked) -> None:
    hooked.host.save_sender("acme")
    for number, (source, one) in enumerate(SOURCES.items(), 1):
        answer = do(hooked, "on", source=source)
        assert answer.status_code == (200 if source == "generic" else 303)
        made = re.search(r'id="made-secret"[^>]* value="(whsec_[^"]+)"', answer.text)
        assert bool(made) is (source == "generic")
        if one.has_topic:
            assert do(hooked, "sample").status_code == 409
            assert do(hooked, "save", topic=f" {TOPIC} ").status_code == 303
        elif source in SECRETS:
            assert do(hooked, "sample").status_code == 409
            assert do(hooked, "save", secret=SECRETS[source]).status_code == 303
            assert SECRETS[source] not in page(hooked)
        tried = do(hooked, "sample")
        assert tried.status_code == 200
        assert "The sample arrived." in tried.text, source
        assert hooked.webhook().last_sample_at is not None
        assert hooked.webhook().last_event_at is None  # nothing happened
        assert hooked.webhook().bad == 0
        events = hooked.events()
        assert len(events) == number
        assert (events[-1].kind, events[-1].recipient) == ("sample", "sample@example.com")
        first = address(hooked)
        assert do(hooked, "rotate").status_code == 303
        assert address(hooked) != first
        assert do(hooked, "off").status_code == 303
        assert 'id="on-form"' in page(hooked)
    hooked.apply()
    assert {one.state for one in hooked.events()} == {"applied"}
    audit = hooked.client.get("/smtp-admin/partners/acme/audit", headers=HTML).text
    for words in ("Set up the webhook", "Sent a sample", "Changed the address", "Turned off the",
                  ": succeeded"):  # fmt: skip
        assert words in audit


def test_a_sample_over_the_network(opened: NewHost, hook: Hook) -> None:
    """To the public address of the app, through a real server; else inside, and it says why."""
    site = hook(opened(PUBLIC_URL="http://127.0.0.1:1"))
    site.host.save_sender("acme")
    do(site, "on", source="postmark")
    text = do(site, "sample").text
    assert "It stayed inside the app, because from this machine the public address" in text
    assert "nothing listens there" in text

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_args: Any) -> None:
            pass

    with make_server("127.0.0.1", 0, site.host.app, handler_class=Quiet) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        site.host.app.extensions["smtp_admin"] = started_with(
            site.host.installation,
            config=_at(site.host, f"http://127.0.0.1:{server.server_port}"),
        )
        assert "It took the way over the network" in do(site, "sample").text
        server.shutdown()
    assert len(site.events()) == 2


def _at(host: HostApp, url: str) -> Any:
    return replace(host.installation.config, public_url=url)


def test_a_sample_that_something_stops(hooked: Hooked) -> None:
    def sign_in_first() -> Any:
        return ("no", 401) if request.path.startswith("/hooks/") else None

    hooked.host.app.before_request(sign_in_first)
    hooked.host.save_sender("acme")
    do(hooked, "on", source="postmark")
    text = do(hooked, "sample").text
    assert "The sample was answered with status 401." in text
    assert "open without a sign-in" in text


def test_a_sample_cannot_be_forged(hooked: Hooked) -> None:
    """It would have no effect, but whoever knows an address of SendGrid's signs nothing by it."""
    path = hooked.turn_on("sendgrid", secret=SENDGRID_KEY)
    for header in ("", "1.2", f"{int(now().timestamp())}.{'0' * 64}", "ü.ü", f"{'9' * 30}.0"):
        answer = hooked.post(path, [{"event": "delivered"}], {"X-Smtp-Admin-Sample": header})
        assert answer.status_code == 403


BAD_FIELDS = (
    ("mailgun", "secret", "short", "not a signing key of Mailgun"),
    ("mailgun", "secret", "x" * 1999, "not a signing"),
    ("sendgrid", "secret", "MFkwAAAA", "not a verification key of SendGrid"),
    ("resend", "secret", "whsec_ü", "not a signing secret"),
    ("resend", "secret", "whsec_AAAA", "not a signing secret"),
    ("ses", "topic", "arn:aws:sns:eu-central-1:1:x", "Enter the ARN"),
    ("ses", "topic", f"{TOPIC}.fifo", "Enter the ARN"),
    ("ses", "topic", "arn:aws:s3:::bucket", "Enter the ARN"),
)


def test_what_cannot_be_saved(hooked: Hooked) -> None:
    hooked.host.save_sender("acme")
    for source, field, text, says in BAD_FIELDS:
        do(hooked, "on", source=source)
        answer = hooked.client.post(PAGE, data={"do": "save", field: text}, headers=HTML)
        assert answer.status_code == 400, text
        assert says in answer.text
        assert 'aria-invalid="true"' in answer.text
        assert text not in answer.text or field == "topic"
        assert do(hooked, "on", source=source).status_code == 409
        assert do(hooked, "else").status_code == 400
        do(hooked, "off")


def test_what_is_entered_first(hooked: Hooked) -> None:
    assert do(hooked, "on", source="ses").status_code == 409  # there are no settings yet
    hooked.host.save_sender("acme")
    assert do(hooked, "on").status_code == 400
    assert do(hooked, "save", secret="x").status_code == 404


def test_bad_signatures_are_shown(hooked: Hooked) -> None:
    path = hooked.turn_on("mailgun", secret=MAILGUN_KEY)
    for _ in range(3):
        hooked.post(path, mailgun({"event": "delivered"}, key="another-key-of-an-account"))
    text = page(hooked)
    assert "Copy the secret from the provider again" in text
    shown = hooked.client.get(PAGE, headers=JSON).json
    assert shown
    assert shown["webhook"]["bad_signatures"] == 3
    assert shown["webhook"]["last_bad"] == "signature"
    assert shown["webhook"]["last_event_at"] is None
    assert hooked.client.get(PAGE, headers=HTML).status_code == 200


def test_a_secret_that_is_made_here(hooked: Hooked) -> None:
    """Kept while nobody asks for another; what is refused or unreadable is told in its words."""
    hooked.host.save_sender("acme")
    made = re.search(r' value="(whsec_[^"]+)"', do(hooked, "on", source="generic").text)
    assert made
    path = "/hooks/" + address(hooked).partition("/hooks/")[2]

    def post(secret: str, body: bytes = b"") -> int:
        example = Example(uuid4().hex, now(), "you@example.org", secret, "")
        headers, usual = SOURCES["generic"].example(example)
        if body:
            name, at = headers["webhook-id"], headers["webhook-timestamp"]
            signed = standard_signature(secret, f"{name}.{at}.".encode() + body).decode()
            headers = {**headers, "webhook-signature": f"v1,{signed}"}
        return hooked.post(path, body or usual, headers).status_code

    assert do(hooked, "save").status_code == 400, "an empty field makes none"
    assert post(made[1]) == 200
    told = do(hooked, "secret")
    new = re.search(r' value="(whsec_[^"]+)"', told.text)
    assert new
    assert new[1] != made[1]
    assert [post(one) for one in (new[1], made[1])] == [200, 200], "the one before for a day"
    assert 'id="unreadable"' not in told.text
    assert post("whsec_" + "A" * 32) == 403
    text = page(hooked)
    assert "from the provider again" not in text
    assert "If that is lost, make a new one" in text
    assert [post(new[1], body) for body in (b'{"type": "eaten"}', b"{")] == [400, 400]
    assert hooked.post(path, b"{").status_code in {400, 403}, "unsigned, so it is not counted"
    shown = hooked.client.get(PAGE, headers=JSON).json
    assert shown
    assert shown["webhook"]["unreadable"] == 2
    assert re.search(r'id="unreadable".*?>2</span>.*?This is not JSON', page(hooked), re.DOTALL)
    do(hooked, "off")
    assert 'id="unreadable"' not in do(hooked, "on", source="generic").text
    do(hooked, "off")
    do(hooked, "on", source="postmark")
    assert do(hooked, "secret").status_code == 400


def test_another_webhook_begins_empty(hooked: Hooked) -> None:
    """What an earlier one told stays with the mail, and is not told once more by the next."""
    told = {"RecordType": "Bounce", "ID": 1, "Type": "HardBounce", "Email": "you@example.org"}
    hooked.host.save_sender("acme")
    for source, shown in (("postmark", True), ("brevo", False), ("postmark", False)):
        do(hooked, "on", source=source)
        if source == "postmark":
            path = "/hooks/" + address(hooked).partition("/hooks/")[2]
            assert hooked.post(path, told).status_code == 200
        assert ("you@example.org" in page(hooked)) is shown, source
        do(hooked, "off")
    assert len(hooked.events()) == 1


def test_the_partners_own_admin(hooked: Hooked) -> None:
    """May do all this for the partner's sender, and nothing for another's."""
    hooked.host.save_sender("acme")
    hooked.host.save_sender("globex")
    hooked.host.actor = ACME_ADMIN
    assert do(hooked, "on", source="postmark").status_code == 303
    other = PAGE.replace("acme", "globex")
    assert hooked.client.get(other, headers=HTML).status_code == 404
    assert hooked.client.post("/smtp-admin/system/webhook", data={"do": "on"}).status_code == 403


def test_an_alert_when_mail_is_sent_and_nothing_comes(hooked: Hooked) -> None:
    hooked.turn_on("postmark")
    session = hooked.host.db.session()
    sender_id = load_sender(session, "acme").sender_id
    session.execute(update(Webhook).values(created_at=now() - timedelta(hours=30)))

    def sent(count: int, ago: timedelta) -> None:
        session.add(
            Counter(
                sender_id=sender_id, partner_id="acme", span=1, minute=now() - ago, sent=count,
                failed=0, dead=0, seconds=0.0,
            )
        )  # fmt: skip
        session.commit()

    def kinds() -> list[str]:
        look(hooked.host)
        return [one.kind for one in alerts(hooked.host) if one.kind == "events_silent"]

    sent(9, timedelta(hours=5))
    sent(50, timedelta(minutes=20))  # of these, something may still come
    sent(50, timedelta(hours=40))  # and of these nothing, for there was no webhook yet
    assert kinds() == []
    sent(1, timedelta(hours=3))
    assert kinds() == ["events_silent"]
    assert "Mail is sent, but no events come." in page(hooked)
    path = "/hooks/" + address(hooked).partition("/hooks/")[2]
    hooked.post(path, {"RecordType": "Delivery", "MessageID": "1", "Recipient": "a@example.org"})
    assert "no events come" not in page(hooked)
    look(hooked.host)
    look(hooked.host, timedelta(minutes=6))
    (alert,) = [one for one in alerts(hooked.host) if one.kind == "events_silent"]
    assert alert.ended_at is not None


def test_keys_are_rotated(hooked: Hooked) -> None:
    path = hooked.turn_on("generic", secret=STANDARD_SECRET)
    session = hooked.host.db.session()
    old = hooked.host.secret_key
    new = generate_key()
    report = KeyReport()
    check_texts(sealed_in_webhooks(session), Keyring([old]), report)
    assert (report.newest, report.older) == (3, 0)  # address, secret, and the one it made first
    report = KeyReport()
    rotate_texts(sealed_in_webhooks(session, locked=True), Keyring([new, old]), report)
    session.commit()
    assert (report.newest, report.older, report.unreadable) == (3, 0, ())
    hooked.host.app.extensions["smtp_admin"] = started_with(
        hooked.host.installation, keyring=Keyring([new])
    )
    assert path.rpartition("/")[2] in address(hooked)
    report = KeyReport()
    check_texts(sealed_in_webhooks(session), Keyring([old]), report)
    assert len(report.unreadable) == 3


def test_a_key_that_is_lost_breaks_no_page(hooked: Hooked) -> None:
    hooked.turn_on("generic", secret=STANDARD_SECRET)
    hooked.host.app.extensions["smtp_admin"] = started_with(
        hooked.host.installation, keyring=Keyring([generate_key()])
    )
    assert hooked.client.get(PAGE, headers=HTML).status_code == 200
    assert do(hooked, "sample").status_code == 503
    assert do(hooked, "rotate").status_code == 303


def test_events_stand_on_the_mails_page(hooked: Hooked) -> None:
    path = hooked.turn_on("postmark")
    (mail,) = hooked.sent("you@example.org")
    own = {"smtp-admin-id": hooked.message_id(mail)}
    for record in (
        {"RecordType": "Delivery", "DeliveredAt": "2026-11-28T10:00:00Z", "Details": "250 ok"},
        {"RecordType": "Open", "ReceivedAt": "2026-11-28T10:05:00Z"},
        {"RecordType": "Click", "ReceivedAt": "2026-11-28T10:06:00Z"},
    ):
        told = {**record, "MessageID": "p", "Recipient": "you@example.org", "Metadata": own}
        assert hooked.post(path, told).status_code == 200
    hooked.apply()
    log = hooked.client.get("/smtp-admin/partners/acme/mail", headers=JSON).json
    assert log
    (one,) = log["mails"]
    assert one["state"] == "delivered"
    shown = hooked.client.get(f"/smtp-admin/mail/{one['id']}", headers=JSON).json
    assert shown
    titles = [each["what"] for each in shown["happened"]]
    assert titles == ["Queued", "Accepted", "Delivered", "Opened", "Link clicked"]
    assert json.dumps(shown).count("250 ok") == 1
    # The API and the command tell them too.
    answer = hooked.client.get(f"/api/email/messages/{one['id']}").json
    assert answer
    told = answer["deliveries"][0]["events"]
    assert [(each["kind"], each["words"]) for each in told] == [
        ("delivered", "250 ok"), ("opened", ""), ("clicked", ""),
    ]  # fmt: skip
    runner = hooked.host.app.test_cli_runner()
    printed = runner.invoke(args=["smtp-admin", "mail", "show", one["id"]]).output
    assert "2026-11-28 10:00:00 UTC  delivered  250 ok" in printed
    printed = runner.invoke(args=["smtp-admin", "mail", "show", one["id"], "--json"]).output
    assert [each["kind"] for each in json.loads(printed)[0]["events"]] == [
        "delivered", "opened", "clicked",
    ]  # fmt: skip
    text = page(hooked)
    assert "you@example.org" in text
    with shifted(timedelta(days=2)):
        assert "Link clicked" in page(hooked)
    assert hooked.host.db.session().scalars(select(Webhook.bad)).all() == [0]
