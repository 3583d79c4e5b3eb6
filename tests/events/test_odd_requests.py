"""Requests of any kind: whatever a header or a body is made of, it is refused or read, no more."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtp_admin.events import signatures
from smtp_admin.events.arrived import Arrived, Known, NotUnderstood, Refused, Unreachable
from smtp_admin.events.sns import SNS, Topic
from smtp_admin.events.sources import SOURCES
from tests.events.hooking import MAILGUN_KEY, STANDARD_SECRET, TOPIC
from tests.events.test_vectors import SENDGRID_KEY

AT = datetime(2026, 11, 28, tzinfo=UTC)


def away(_topic: Topic, _path: str) -> bytes:
    raise Unreachable


WAYS: dict[str, tuple[Any, Known]] = {
    "mailgun": (signatures.mailgun_token, Known((MAILGUN_KEY,))),
    "standard": (signatures.standard, Known((STANDARD_SECRET,))),
    "sendgrid": (signatures.sendgrid, Known((SENDGRID_KEY,))),
    "sns": (SNS(away).verify, Known(topic=TOPIC)),
}
#: Names that somebody looks at, so that chance finds them.
NAMES = st.sampled_from(
    ["Type", "TopicArn", "Timestamp", "Signature", "SigningCertURL", "SignatureVersion", "Message",
     "signature", "timestamp", "token", "event-data", "event", "type", "data", "msys", "email",
     "bounce", "eventType", "mail", "recipient", "RecordType", "x"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([TOPIC, "Notification", "1", "2026-11-28T00:00:00.000Z", "bounce", "Bounce"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(NAMES, inside, max_size=5),
    max_leaves=12,
)  # fmt: skip
BODIES = st.binary(max_size=200) | VALUES.map(lambda one: json.dumps(one).encode())
HEADERS = st.dictionaries(
    st.sampled_from(
        ["webhook-id", "webhook-timestamp", "webhook-signature", "svix-id", "svix-timestamp",
         "svix-signature", "x-twilio-email-event-webhook-signature", "content-type",
         "x-twilio-email-event-webhook-timestamp"]
    ),
    st.text(max_size=60)
    | st.sampled_from(["v1,", "v1,AAAA v2,", "1764288000", "application/x-www-form-urlencoded"]),
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@given(headers=HEADERS, body=BODIES)
@example({}, b'{"Type": ["Notification"]}')
def test_nothing_unsigned_is_believed(way: str, headers: dict[str, str], body: bytes) -> None:
    verify, known = WAYS[way]
    with pytest.raises((Refused, NotUnderstood, Unreachable)):
        verify(Arrived(headers, body, AT), known)


@pytest.mark.parametrize("source", SOURCES)
@given(headers=HEADERS, body=BODIES)
def test_what_is_read_can_be_kept(source: str, headers: dict[str, str], body: bytes) -> None:
    try:
        events = SOURCES[source].read(Arrived(headers, body, AT))
    except NotUnderstood:
        return
    for one in events:
        assert len(one.identity) == 64
        assert not set("\x00\ud800") & set(one.recipient + one.words + one.message_id)
        assert one.at is None or one.at.tzinfo is not None
