"""What a mail carries so that its provider names it later: only where a provider gives it back."""

import json
from email import message_from_bytes
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.delivery.models import Message
from smtp_admin.events.arrived import Arrived
from smtp_admin.events.sources import SOURCES
from smtp_admin.providers.catalogue import knowledge, own_id_for
from smtp_admin.providers.provider import OwnId
from tests.app import HostApp
from tests.delivery.workbench import letter
from tests.events.test_readers import AT

#: Host → what its provider posts later, made of the headers that it got.
GIVES_BACK: dict[str, tuple[str, Any]] = {
    "smtp.sendgrid.net": (
        "sendgrid",
        lambda head: [{"event": "delivered", **json.loads(head["X-SMTPAPI"])["unique_args"]}],
    ),
    "smtp.sparkpostmail.com": (
        "sparkpost",
        lambda head: [{"msys": {"message_event": {
            "type": "delivery", "rcpt_meta": json.loads(head["X-MSYS-API"])["metadata"]}}}],
    ),
    "smtp.postmarkapp.com": (
        "postmark",
        lambda head: {"RecordType": "Delivery",
                      "Metadata": {"smtp-admin-id": head["X-PM-Metadata-smtp-admin-id"]}},
    ),
    "smtp-relay.brevo.com": (
        "brevo", lambda head: {"event": "delivered", "X-Mailin-custom": head["X-Mailin-custom"]},
    ),
    "in-v3.mailjet.com": (
        "mailjet", lambda head: [{"event": "sent", "CustomID": head["X-MJ-CustomID"]}],
    ),
    "smtp.resend.com": (
        "resend",
        lambda head: {"type": "email.delivered", "data": {"headers": [
            {"name": "X-Smtp-Admin-Id", "value": head["X-Smtp-Admin-Id"]}]}},
    ),
}  # fmt: skip


def queued(host: HostApp, smtp_host: str, **values: Any) -> Message:
    host.save_sender("acme", host=smtp_host, port=587, security="tls", **values)
    message = letter(extra_headers=values.pop("extra", {}))
    public_id = host.plugin.send_message(message, partner_id="acme")
    host.db.session.commit()
    row = host.db.session.scalar(select(Message).where(Message.public_id == public_id))
    assert row is not None
    return row


@pytest.mark.parametrize("smtp_host", GIVES_BACK)
def test_there_and_back(host: HostApp, smtp_host: str) -> None:
    row = queued(host, smtp_host)
    source, posts = GIVES_BACK[smtp_host]
    head = message_from_bytes(row.content)
    body = json.dumps(posts(head)).encode()
    (event,) = SOURCES[source].read(Arrived({}, body, AT))
    assert f"<{event.message_id}>" == row.message_id
    # It stands in the sender's own block, which another sender's may replace.
    own = own_id_for(smtp_host)
    assert own is not None
    assert own.header.encode() in row.content[: row.sender_head]


@pytest.mark.parametrize(
    "smtp_host", ["mail.acme.example", "smtp.gmail.com", "smtp.mailgun.org", "127.0.0.1"]
)
def test_nobody_else_gets_such_a_header(host: HostApp, smtp_host: str) -> None:
    row = queued(host, smtp_host)
    assert own_id_for(smtp_host) is None
    names = {one.header.lower() for one in _all()}
    assert not names & {name.lower() for name in message_from_bytes(row.content)}


def test_what_an_admin_or_the_mail_says_stays(host: HostApp) -> None:
    own = '{"category": ["receipts"]}'
    row = queued(host, "smtp.sendgrid.net", headers=(("x-smtpapi", own),))
    assert message_from_bytes(row.content).get_all("X-SMTPAPI") == [own]
    message = letter(extra_headers={"X-SMTPAPI": own})
    host.save_sender("acme", host="smtp.sendgrid.net", port=587, security="tls")
    host.plugin.send_message(message, partner_id="acme")
    host.db.session.commit()
    newest = host.db.session.scalars(select(Message).order_by(Message.id.desc())).first()
    assert newest is not None
    assert message_from_bytes(newest.content).get_all("X-SMTPAPI") == [own]


def test_an_id_that_would_not_fit_is_left_out() -> None:
    for one in _all():
        assert one.line("<" + "a" * 40 + "@acme.example>").endswith("\r\n")
        assert one.line("<" + "a" * (one.longest + 1) + ">") == ""
        for odd in ('<a"b@x>', "<a b@x>", "<a\r\nX: y@x>", "<ü@x>", "<{}@x>", "<>"):
            assert one.line(odd) == ""


def _all() -> list[OwnId]:
    return [one.own_id for one in knowledge().known if one.own_id is not None]
