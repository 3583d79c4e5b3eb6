"""Wrong kinds of values in calls of the host: our error, with the argument and what to pass."""

from collections.abc import Callable
from typing import Any

import flask_mail
import pytest

from smtp_admin import MessageError, Recipient, SMTPAdmin
from smtp_admin.mail.message import Attachment, Message
from tests.mail.reading import queued

SAM = "sam@example.com"
CONTEXT = {"name": "Sam", "reset_url": "https://acme.example/", "expires_minutes": 60}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"to": None}, r'^to is one address, such as "sam@example\.com", or a list .* is None\.$'),
        ({"to": 7}, "^to is one address.* is int, '7'"),
        ({"to": [None]}, r"^to \(one of it\) is text.* is None"),
        ({"to": {SAM: "Sam"}}, "^to is .* is dict"),
        ({"context": [1]}, "^context is a dict.* is list"),
        ({"context": "Sam"}, "^context is a dict.* is str, 'Sam'"),
        ({"type_name": None}, "^type_name is the name of a type.* is None"),
        ({"type_name": ["greeting"]}, "^type_name .* is list"),
        ({"partner_id": 5}, "partner_id is text"),
        ({"language": 5}, "language is text"),
        ({"send_at": "now"}, "is a datetime"),
        ({"digest": ["day"]}, '"hour" or for a "day"'),
        ({"reply_to": 5}, "'5' is not a valid mail address"),
    ],
)
def test_send(plugin: SMTPAdmin, how: dict[str, Any], words: str) -> None:
    everything = {"type_name": "password_reset", "to": SAM, "context": CONTEXT} | how
    with pytest.raises(MessageError, match=words):
        plugin.send(**everything)
    if "digest" not in how:
        with pytest.raises(MessageError):
            plugin.send(**everything, digest="day")
    assert queued() == []


@pytest.mark.parametrize(
    ("recipients", "words"),
    [
        (None, "^recipients is a list.* of Recipient; what was passed is None"),
        (SAM, f"^recipients is a list.* is str, '{SAM}'"),
        ([SAM], rf"'{SAM}' \(str\) is no recipient. Pass Recipient\(address, context\)"),
        ([Recipient(SAM, [1])], "^context is a dict.* is list"),  # type: ignore[arg-type]
        ([Recipient(None, {"who": "Sam"})], "^Recipient 1 .*Enter an e-mail address"),
    ],
)
def test_send_many(plugin: SMTPAdmin, recipients: Any, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        plugin.send_many("greeting", recipients)
    assert queued() == []


def test_send_messages(plugin: SMTPAdmin) -> None:
    with pytest.raises(MessageError, match=r"^messages is a list of messages.* is None"):
        plugin.send_messages(None)  # type: ignore[arg-type]
    with pytest.raises(MessageError, match=r"^Message 1: recipients of a Message is a list"):
        plugin.send_messages([Message("Invoice", SAM, "x")])


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("recipients", SAM, f"^recipients of a Message is a list of addresses.*str, '{SAM}'"),
        ("recipients", 7, "^recipients of a Message is a list of addresses.* is int"),
        ("recipients", [7], r"^recipients of a Message \(one of it\) is text"),
        ("cc", SAM, "^cc of a Message is a list"),
        ("bcc", SAM, "^bcc of a Message is a list"),
        ("attachments", "a.pdf", "^attachments of a Message is a list of Attachment"),
        ("attachments", ["a.pdf"], "^attachments of a Message is a list.* one of them is str"),
        ("extra_headers", ["X-A: b"], "^extra_headers of a Message is a dict"),
        ("alts", "BEGIN", "^alts of a Message is a dict"),
        ("body", 7, "text of a mail is a str"),
    ],
)
@pytest.mark.parametrize("make", [Message, flask_mail.Message])
def test_ready_messages(
    plugin: SMTPAdmin, make: Callable[..., Any], field: str, value: Any, words: str
) -> None:
    """Of both classes, by both ways."""
    message = make("Invoice", [SAM], "x")
    if (make, field) == (flask_mail.Message, "body"):
        return  # its texts are put into words, as Flask-Mail does
    if (make, field) == (flask_mail.Message, "alts"):
        return  # a property, which makes a dict of it
    setattr(message, field, value)
    for send in (plugin.send_message, plugin.mail.send):
        with pytest.raises(MessageError, match=words):
            send(message)
    assert queued() == []


def test_an_attachment_of_text(plugin: SMTPAdmin) -> None:
    file = Attachment("a", "text/plain", None)  # type: ignore[arg-type]
    message = Message("Hi", [SAM], "x", attachments=[file])
    with pytest.raises(MessageError, match=r"^The data of the attachment 'a' are bytes, not None"):
        plugin.send_message(message)
