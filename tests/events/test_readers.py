"""What each provider posts, in the shape that its documentation shows, and what is read out of it.

The payloads are the vendors' own examples with their addresses, shortened to what matters.
"""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from smtp_admin.events.arrived import Arrived, NotUnderstood
from smtp_admin.events.event import Event
from smtp_admin.events.sources import SOURCES

AT = datetime(2026, 11, 28, tzinfo=UTC)
FORM = {"content-type": "application/x-www-form-urlencoded"}


def read(source: str, body: Any, headers: dict[str, str] | None = None) -> list[Event]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return SOURCES[source].read(Arrived(headers or {}, raw, AT))


def sns(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:SES_Events",
        "Message": json.dumps(event) + "\n",
        "Timestamp": "2018-03-26T17:58:59.675Z",
    }


MAIL = {
    "timestamp": "2016-01-27T14:59:38.237Z",
    "messageId": "00000138111222aa-33322211-cccc-cccc-cccc-ddddaaaa0680-000000",
    "destination": ["jane@example.com", "mary@example.com", "richard@example.com"],
    "headers": [
        {"name": "From", "value": '"John Doe" <john@example.com>'},
        {"name": "Message-ID", "value": "<custom-message-ID@example.com>"},
    ],
    "commonHeaders": {"messageId": "<other@example.com>"},
}
SES_BOUNCE = {
    "notificationType": "Bounce",
    "bounce": {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [
            {
                "emailAddress": "jane@example.com",
                "status": "5.1.1",
                "action": "failed",
                "diagnosticCode": "smtp; 550 5.1.1 <jane@example.com>... User unknown",
            }
        ],
        "timestamp": "2016-01-27T14:59:44.101Z",
        "feedbackId": "00000138111222aa-44455566-cccc-cccc-cccc-ddddaaaa068a-000000",
    },
    "mail": MAIL,
}


def ses(name: str, told: dict[str, Any], key: str = "", kind: str = "eventType") -> dict[str, Any]:
    return sns({kind: name, key or name[0].lower() + name[1:]: told, "mail": MAIL})


def mailgun(event: str, **more: Any) -> dict[str, Any]:
    return {
        "signature": {},
        "event-data": {
            "event": event,
            "id": "CPgfbmQMTCKtHW6uIWtuVe",
            "timestamp": 1521472262.908181,
            "recipient": "alice@example.com",
            "message": {"headers": {"message-id": "20130503182626.18666.16540@example.org"}},
            **more,
        },
    }


#: Source, body, headers, and what is in the events: kind, recipient, bounce, code.
CASES: list[tuple[str, Any, list[tuple[str, str, str, str]]]] = [
    ("ses", sns(SES_BOUNCE), [("bounced", "jane@example.com", "hard", "5.1.1")]),
    (
        "ses",
        ses("Bounce", {"bounceType": "Transient", "bounceSubType": "MailboxFull",
                       "bouncedRecipients": [{"emailAddress": "a@example.com"}]}),
        [("bounced", "a@example.com", "soft", "")],
    ),
    (
        "ses",
        ses("Bounce", {"bounceType": "Permanent", "bounceSubType": "OnAccountSuppressionList",
                       "bouncedRecipients": [{"emailAddress": "a@example.com"}]}),
        [("bounced", "a@example.com", "policy", "")],
    ),
    (
        "ses",  # called hard, and the server says that the mailbox is full
        ses("Bounce", {"bounceType": "Permanent", "bounceSubType": "General",
                       "bouncedRecipients": [{"emailAddress": "a@example.com", "status": "5.2.2",
                                              "diagnosticCode": "smtp; 552 5.2.2 Over quota"}]}),
        [("bounced", "a@example.com", "soft", "5.2.2")],
    ),
    (
        "ses",
        ses("Complaint", {"complainedRecipients": [{"emailAddress": "richard@example.com"}],
                          "complaintFeedbackType": "abuse"}),
        [("complained", "richard@example.com", "", "")],
    ),
    (
        "ses",
        ses("Delivery", {"recipients": ["jane@example.com"],
                         "smtpResponse": "250 2.6.0 Message received"}),
        [("delivered", "jane@example.com", "", "2.6.0")],
    ),
    (
        "ses",
        ses("DeliveryDelay", {"delayType": "MailboxFull", "delayedRecipients": [
            {"emailAddress": "a@example.com", "status": "4.2.2",
             "diagnosticCode": "smtp; 452 4.2.2 over quota"}]}),
        [("deferred", "a@example.com", "", "4.2.2")],
    ),
    ("ses", ses("Reject", {"reason": "Bad content"}),
     [("bounced", one, "policy", "") for one in ("jane@example.com", "mary@example.com",
                                                 "richard@example.com")]),
    ("ses", ses("Send", {}), []),
    ("ses", {**sns({}), "Message": "Successfully validated SNS topic for Amazon SES event "
                           "publishing."}, []),
    ("ses", {"Type": "SubscriptionConfirmation", "Message": "You have chosen"}, []),
    ("sendgrid", [{"email": "a@example.com", "event": "processed", "sg_event_id": "1"}], []),
    (
        "sendgrid",
        [
            {"email": "a@example.com", "event": "delivered", "sg_event_id": "1",
             "response": "250 2.0.0 OK"},
            {"email": "b@example.com", "event": "deferred", "sg_event_id": "2",
             "response": "450 4.7.1 try again later"},
            {"email": "c@example.com", "event": "bounce", "type": "bounce", "status": "5.1.1",
             "sg_event_id": "3", "reason": "550 5.1.1 no such user"},
            {"email": "d@example.com", "event": "bounce", "type": "blocked", "status": "5.7.1",
             "sg_event_id": "4", "reason": "550 5.7.1 blocked using spam list"},
            {"email": "e@example.com", "event": "dropped", "reason": "Bounced Address",
             "sg_event_id": "5"},
            {"email": "f@example.com", "event": "dropped", "reason": "Spam Reporting Address",
             "sg_event_id": "6"},
            {"email": "g@example.com", "event": "spamreport", "sg_event_id": "7"},
            {"email": "h@example.com", "event": "open", "sg_event_id": "8"},
            {"email": "i@example.com", "event": "click", "sg_event_id": "9", "url": "https://x"},
            {"email": "j@example.com", "event": "group_unsubscribe", "sg_event_id": "10"},
            "no event", None, 5, {"event": {}}, {"event": "group_resubscribe"},
        ],
        [
            ("delivered", "a@example.com", "", "2.0.0"), ("deferred", "b@example.com", "", "4.7.1"),
            ("bounced", "c@example.com", "hard", "5.1.1"),
            ("bounced", "d@example.com", "policy", "5.7.1"),
            ("bounced", "e@example.com", "hard", ""), ("bounced", "f@example.com", "policy", ""),
            ("complained", "g@example.com", "", ""), ("opened", "h@example.com", "", ""),
            ("clicked", "i@example.com", "", ""), ("unsubscribed", "j@example.com", "", ""),
        ],
    ),
    ("mailgun", mailgun("delivered", **{"delivery-status": {"code": 250, "message": "OK"}}),
     [("delivered", "alice@example.com", "", "250")]),
    (
        "mailgun",
        mailgun("failed", severity="permanent", reason="bounce",
                **{"delivery-status": {"code": 550, "message": "5.1.1 The email account that you "
                                       "tried to reach does not exist. Please\n5.1.1 double-"}}),
        [("bounced", "alice@example.com", "hard", "5.1.1")],
    ),
    (
        "mailgun",
        mailgun("failed", severity="temporary", reason="generic",
                **{"delivery-status": {"code": 498, "message": "No MX for nomx.example.com"}}),
        [("deferred", "alice@example.com", "", "498")],
    ),
    ("mailgun", mailgun("failed", severity="permanent", reason="suppress-complaint",
                        **{"delivery-status": {"code": 607}}),
     [("bounced", "alice@example.com", "policy", "")]),
    ("mailgun", mailgun("complained"), [("complained", "alice@example.com", "", "")]),
    ("mailgun", mailgun("accepted", **{"delivery-status": None}), []),
    ("postmark", {"RecordType": "Delivery", "MessageID": "883953f4", "Recipient": "a@example.com",
                  "DeliveredAt": "2014-08-01T13:28:10.2735393-04:00", "Details": "Test delivery",
                  "Metadata": {"smtp-admin-id": "abc@acme.example"}},
     [("delivered", "a@example.com", "", "")]),
    (
        "postmark",
        {"RecordType": "Bounce", "ID": 901542550, "Type": "HardBounce", "MessageID": "2706ee8a",
         "Details": "smtp;550 5.1.1 The email account that you tried to reach does not exist.",
         "Description": "The server was unable to deliver your message",
         "Email": "bounce@example.com", "BouncedAt": "2016-04-27T16:28:50.3963933-04:00"},
        [("bounced", "bounce@example.com", "hard", "5.1.1")],
    ),
    ("postmark", {"RecordType": "Bounce", "ID": 1, "Type": "Transient", "Email": "a@example.com"},
     [("deferred", "a@example.com", "", "")]),
    ("postmark", {"RecordType": "Bounce", "ID": 1, "Type": "SpamNotification",
                  "Email": "a@example.com"}, [("complained", "a@example.com", "", "")]),
    ("postmark", {"RecordType": "Bounce", "ID": 1, "Type": "AutoResponder"}, []),
    ("postmark", {"RecordType": "SpamComplaint", "ID": 2, "Type": "SpamComplaint",
                  "Email": "a@example.com"}, [("complained", "a@example.com", "", "")]),
    ("postmark", {"RecordType": "SubscriptionChange", "Recipient": "a@example.com",
                  "SuppressSending": True}, [("unsubscribed", "a@example.com", "", "")]),
    ("postmark", {"RecordType": "SubscriptionChange", "Recipient": "a@example.com",
                  "SuppressSending": True, "SuppressionReason": "HardBounce"}, []),
    # What its button for trying sends is not what it sends otherwise.
    ("postmark", {"Metadata": {}, "MessageID": "0"}, []),
    ("sparkpost", [{"msys": {}}], []),
    (
        "sparkpost",
        [
            {"msys": {"message_event": {
                "type": "bounce", "bounce_class": "10", "event_id": "84345317653491230",
                "raw_rcpt_to": "Invalid@example.com", "rcpt_to": "invalid@example.com",
                "raw_reason": "550 5.1.1 no such user", "timestamp": "1460989507",
                "rcpt_meta": {"smtp_admin_id": "abc@acme.example"}}}},
            {"msys": {"message_event": {
                "type": "bounce", "bounce_class": "60", "rcpt_to": "away@example.com"}}},
            {"msys": {"message_event": {
                "type": "policy_rejection", "rcpt_to": "s@example.com", "event_id": "2",
                "raw_reason": "554 5.7.1 recipient address suppressed due to customer policy"}}},
            {"msys": {"track_event": {"type": "open", "rcpt_to": "a@example.com",
                                      "event_id": "3"}}},
            {"msys": {"unsubscribe_event": {"type": "list_unsubscribe", "event_id": "4",
                                            "rcpt_to": "a@example.com"}}},
        ],
        [
            ("bounced", "Invalid@example.com", "hard", "5.1.1"),
            ("bounced", "s@example.com", "policy", "5.7.1"),
            ("opened", "a@example.com", "", ""), ("unsubscribed", "a@example.com", "", ""),
        ],
    ),
    ("brevo", {"event": "request", "email": "a@example.com"}, []),
    (
        "brevo",
        {"event": "hard_bounce", "email": "not-a-user@example.com", "ts_epoch": 1520363423000,
         "message-id": "<201803011158.9876543210@smtp-relay.mailin.fr>",
         "reason": " RecipientError: 550 5.5.0 Requested action not taken: mailbox unavailable."},
        [("bounced", "not-a-user@example.com", "hard", "5.5.0")],
    ),
    ("brevo", {"event": "blocked", "email": "a@example.com", "ts_epoch": 1520363423000,
               "reason": "blocked : due to blacklist user"},
     [("bounced", "a@example.com", "policy", "")]),
    ("brevo", [{"event": "delivered", "email": "a@example.com"},
               {"event": "complaint", "email": "b@example.com"}],
     [("delivered", "a@example.com", "", ""), ("complained", "b@example.com", "", "")]),
    (
        "mailjet",
        [{"event": "sent", "time": 1498093527, "MessageID": 12345678901234567,
          "email": "recipient@example.com", "CustomID": "abc@acme.example",
          "smtp_reply": "sent (250 2.0.0 OK 1498093527 a67bc12345def.22 - gsmtp)"}],
        [("delivered", "recipient@example.com", "", "2.0.0")],
    ),
    ("mailjet", {"event": "bounce", "time": 1, "MessageID": 13792286917004336,
                 "email": "bounce@example.com", "hard_bounce": True, "error": "user unknown"},
     [("bounced", "bounce@example.com", "hard", "")]),
    ("mailjet", {"event": "bounce", "time": 1, "MessageID": 1, "email": "a@example.com",
                 "hard_bounce": False, "error": "greylisted"},
     [("deferred", "a@example.com", "", "")]),
    ("mailjet", {"event": "blocked", "time": 1, "MessageID": 1, "email": "a@example.com",
                 "error": "preblocked"}, [("bounced", "a@example.com", "policy", "")]),
    ("mailjet", [], []),
    (
        "resend",
        {"type": "email.bounced", "created_at": "2024-11-22T23:41:12.126Z",
         "data": {"email_id": "56761188-7520-42d8-8898-ff6fc54ce618", "to": ["a@example.org"],
                  "bounce": {"message": "The recipient's email address is on the suppression list",
                             "subType": "Suppressed", "type": "Permanent"}}},
        [("bounced", "a@example.org", "policy", "")],
    ),
    ("resend", {"type": "email.bounced", "created_at": "2024-11-22T23:41:12.126Z",
                "data": {"email_id": "5", "to": ["A <a@example.org>"],
                         "bounce": {"message": "hard", "subType": "General", "type": "Permanent"}}},
     [("bounced", "a@example.org", "hard", "")]),
    # Of several recipients it does not say which.
    ("resend", {"type": "email.delivered", "data": {"to": ["a@example.org", "b@example.org"]}},
     [("delivered", "", "", "")]),
    ("resend", {"type": "email.sent", "data": {}}, []),
    ("generic", [{"type": "bounced", "recipient": "a@example.org", "bounce": "soft"},
                 {"type": "complained", "recipient": "b@example.org"}, {"type": "else"}],
     [("bounced", "a@example.org", "soft", ""), ("complained", "b@example.org", "", "")]),
    ("generic", [], []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "body", "expected"),
    CASES,
    ids=[f"{source}-{number}" for number, (source, _, _) in enumerate(CASES)],
)
def test_what_is_read(source: str, body: Any, expected: list[tuple[str, str, str, str]]) -> None:
    found = read(source, body)
    assert [(one.kind, one.recipient, one.bounce, one.code) for one in found] == expected
    assert len({one.identity for one in found}) == len(found)
    # The same, told once more, is the same.
    assert [one.identity for one in read(source, body)] == [one.identity for one in found]


def test_ids_that_lead_to_our_mail() -> None:
    (one,) = read("ses", sns(SES_BOUNCE))
    assert one.provider_id == MAIL["messageId"]
    assert one.message_id == "custom-message-ID@example.com"
    assert one.at == datetime(2016, 1, 27, 14, 59, 44, 101000, tzinfo=UTC)
    (one,) = read("mailgun", mailgun("delivered"))
    assert one.message_id == one.provider_id == "20130503182626.18666.16540@example.org"
    both = {"smtp_admin_id": "abc@acme.example", "smtp-id": "<no@way>"}
    (one,) = read("sendgrid", [{"event": "delivered", "sg_event_id": "1", **both}])
    assert one.message_id == "abc@acme.example"
    (one,) = read("sendgrid", [{"event": "delivered", "sg_event_id": "1", "smtp-id": "<a@b>"}])
    assert one.message_id == "a@b"
    (one,) = read("brevo", {"event": "delivered", "ts_epoch": 1520363423000,
                            "message-id": "<201803011158@smtp-relay.mailin.fr>",
                            "X-Mailin-custom": "abc@acme.example"})  # fmt: skip
    assert one.message_id == "abc@acme.example"
    assert one.at == datetime(2018, 3, 6, 19, 10, 23, tzinfo=UTC)
    (one,) = read("mailjet", {"event": "sent", "MessageID": 9223372036854775807, "time": 1})
    assert one.provider_id == "9223372036854775807"
    (one,) = read("resend", {"type": "email.delivered", "data": {"email_id": "e", "headers": [
        {"name": "X-Smtp-Admin-Id", "value": "abc@acme.example"}]}})  # fmt: skip
    assert (one.message_id, one.provider_id) == ("abc@acme.example", "e")


def test_amazon_tells_the_same_in_two_ways() -> None:
    """Under two ids of SNS, where notifications and event publishing are both on."""
    (first,) = read("ses", sns(SES_BOUNCE))
    event = {**SES_BOUNCE, "eventType": "Bounce"}
    del event["notificationType"]
    (second,) = read("ses", {**sns(event), "MessageId": "another"})
    assert first.identity == second.identity


def test_mailguns_older_form() -> None:
    posted = {
        "event": "bounced", "recipient": "noreply@example.com", "code": "550",
        "error": "550 5.1.1 The email account that you tried to reach does not exist.",
        "Message-Id": "<20160421175529.19495.89030.B3AE3728@example.com>",
        "timestamp": "1461261330", "token": "0" * 50,
    }  # fmt: skip
    (one,) = read("mailgun", urlencode(posted).encode(), FORM)
    assert (one.kind, one.bounce, one.code) == ("bounced", "hard", "5.1.1")
    assert one.message_id == "20160421175529.19495.89030.B3AE3728@example.com"
    assert one.at == datetime(2016, 4, 21, 17, 55, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("source", "body", "says"),
    [
        ("postmark", {"FromFull": {"Email": "a@b"}, "Subject": "Hi"}, "received"),
        ("brevo", {"items": [{"Uuid": ["1"]}]}, "received"),
        ("sparkpost", [{"msys": {"relay_message": {"content": {}}}}], "received"),
        ("ses", sns({"notificationType": "Received", "mail": {}}), "received"),
        ("ses", sns({"hello": "world"}), "not an event of Amazon SES"),
        ("sendgrid", {"event": "delivered"}, "no list"),
        ("mailgun", {"signature": {}}, "no event of Mailgun"),
        ("generic", {"type": "else"}, "must be one of"),
    ],
)
def test_what_belongs_elsewhere_is_said(source: str, body: Any, says: str) -> None:
    with pytest.raises(NotUnderstood, match=says):
        read(source, body)


ODD: list[bytes] = [
    b"", b"null", b"[]", b"{}", b"5", b'"x"', b"true", b"[null, 5, [], {}]", b"NaN", b"[NaN]",
    b"{", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf[]", b'{"a": "\\ud800"}', b'[{"event": "\\ud800"}]',
    b"[" * 100_000, b'{"a":' * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b'{"a": 1, "a": 2}',
    b'{"event-data": {"event": "failed", "delivery-status": [], "message": 5, "id": {}}}',
    b'[{"msys": {"message_event": {"type": "bounce", "bounce_class": {}}}}]', b'[{"msys": 5}]',
    b'{"Type": "Notification", "Message": 5}', b'{"Type": "Notification", "Message": "{}"}',
    b'{"Type": "Notification", "Message": "{\\"eventType\\": \\"Bounce\\", \\"bounce\\": 5}"}',
    b'{"type": "email.bounced", "data": {"to": {}, "bounce": [], "headers": 5}}',
    b'[{"event": "bounce", "timestamp": 1e308, "sg_event_id": [], "email": {"a": 1}}]',
    b'{"event": "sent", "time": "soon", "MessageID": null}',
    b'{"type": "bounced", "at": "99999-01-01", "recipient": ["x"], "code": {}}',
    b'{"type": "delivered", "at": -5, "recipient": "' + b"a" * 10_000 + b'"}',
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_odd_bodies_never_crash(source: str) -> None:
    for headers in ({}, FORM):
        for body in ODD:
            try:
                found = read(source, body, headers)
            except NotUnderstood:
                continue
            for one in found:
                assert "\ud800" not in one.words + one.recipient
