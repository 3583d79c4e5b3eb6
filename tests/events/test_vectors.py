"""What vendors publish, signatures by others' code, and the text that Amazon signs."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks.webhooks import Webhook as IndependentSigner

from smtp_admin.events import signatures
from smtp_admin.events.arrived import Arrived, Known, Refused
from smtp_admin.events.sns import signed_text
from tests.events.hooking import MAILGUN_KEY, STANDARD_SECRET, mailgun

#: https://github.com/sendgrid/sendgrid-python, test/unit/test_eventwebhook.py
SENDGRID_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+"
    "2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
)
SENDGRID_SIGNATURE = (
    "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtE"
    "ZtM="
)
SENDGRID_BODY = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
    b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",'
    b'"timestamp":1600112492}]\r\n'
)
SENDGRID_AT = 1600112502
#: The one of Svix's libraries, which Standard Webhooks took over.
SVIX_AT, SVIX_ID, SVIX_BODY = 1614265330, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'
SVIX_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def arrived(body: bytes, headers: dict[str, str], at: float) -> Arrived:
    return Arrived(headers, body, datetime.fromtimestamp(at, UTC))


def of_sendgrid(body: bytes = SENDGRID_BODY, signature: str = SENDGRID_SIGNATURE,
                timestamp: str = str(SENDGRID_AT), later: float = 0.0) -> Arrived:  # fmt: skip
    headers = {
        "x-twilio-email-event-webhook-signature": signature,
        "x-twilio-email-event-webhook-timestamp": timestamp,
    }
    return arrived(body, headers, SENDGRID_AT + later)


def refused(verify: Any, one: Arrived, *secrets: str) -> str:
    with pytest.raises(Refused) as caught:
        verify(one, Known(secrets))
    return caught.value.code


def test_sendgrids_own_vector() -> None:
    signatures.sendgrid(of_sendgrid(), Known((SENDGRID_KEY,)))
    # The key may be the former one.
    other = base64.b64encode(
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).decode()
    signatures.sendgrid(of_sendgrid(), Known((other, SENDGRID_KEY)))
    assert refused(signatures.sendgrid, of_sendgrid(), other) == "signature"


@pytest.mark.parametrize(
    "changed",
    [
        {"body": SENDGRID_BODY[:-2]},  # the line end at its end is signed too
        {"body": json.dumps(json.loads(SENDGRID_BODY)).encode()},  # the same, written anew
        {"body": SENDGRID_BODY + b" "},
        {"timestamp": str(SENDGRID_AT + 1)},
        {
            "signature": "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6Bp"
            "SzoQsbVRamr2nlxFDWYNH3j/0="
        },
        {"signature": "ü"},
        {"signature": SENDGRID_SIGNATURE[:-4]},
        {"signature": "AAAA"},
    ],
)
def test_sendgrids_vector_with_anything_changed(changed: dict[str, Any]) -> None:
    assert refused(signatures.sendgrid, of_sendgrid(**changed), SENDGRID_KEY) == "signature"


@pytest.mark.parametrize("later", [-301, 301])
def test_what_is_signed_for_another_time(later: float) -> None:
    one = of_sendgrid(later=later)
    assert refused(signatures.sendgrid, one, SENDGRID_KEY) == "stale"
    signatures.sendgrid(of_sendgrid(later=later - 2 if later > 0 else later + 2),
                        Known((SENDGRID_KEY,)))  # fmt: skip


def test_a_signer_of_our_own_for_sendgrid() -> None:
    """The published vector shows that the way is right; this one that any such key works."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = base64.b64encode(
        private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    ).decode()
    signed = private.sign(b"1600112502[]", ec.ECDSA(hashes.SHA256()))
    one = of_sendgrid(b"[]", base64.b64encode(signed).decode())
    signatures.sendgrid(one, Known((public,)))


@pytest.mark.parametrize("prefix", ["svix-", "webhook-"])
def test_the_vector_of_standard_webhooks(prefix: str) -> None:
    headers = {
        f"{prefix}id": SVIX_ID,
        f"{prefix}timestamp": str(SVIX_AT),
        f"{prefix}signature": SVIX_SIGNATURE,
    }
    signatures.standard(arrived(SVIX_BODY, headers, SVIX_AT), Known((STANDARD_SECRET,)))
    bare = STANDARD_SECRET.removeprefix("whsec_")
    signatures.standard(arrived(SVIX_BODY, headers, SVIX_AT), Known((bare,)))
    # Several signatures while a secret is changed, and others that nobody here knows.
    headers[f"{prefix}signature"] = f"v2,AAAA junk v1 v1, v1a,x {SVIX_SIGNATURE}"
    signatures.standard(arrived(SVIX_BODY, headers, SVIX_AT), Known((STANDARD_SECRET,)))
    one = arrived(SVIX_BODY + b"\n", headers, SVIX_AT)
    assert refused(signatures.standard, one, STANDARD_SECRET) == "signature"
    assert refused(signatures.standard, arrived(SVIX_BODY, headers, SVIX_AT + 301),
                   STANDARD_SECRET) == "stale"  # fmt: skip


@pytest.mark.parametrize("body", ["{}", '[{"type": "delivered", "reason": "ü 漢字"}]'])
def test_signatures_of_the_standardwebhooks_package(body: str) -> None:
    at = datetime.now(UTC)
    signature = IndependentSigner(STANDARD_SECRET).sign("msg_1", at, body)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }
    one = Arrived(headers, body.encode(), at)
    signatures.standard(one, Known((STANDARD_SECRET,)))
    forged = {**headers, "webhook-id": "msg_1.1"}
    assert refused(signatures.standard, Arrived(forged, one.body, at), STANDARD_SECRET)


def test_ours_satisfy_the_standardwebhooks_package() -> None:
    from smtp_admin.events.examples import Example, generic

    headers, body = generic(Example("one", datetime.now(UTC), "a@example.com", STANDARD_SECRET))
    verified = IndependentSigner(STANDARD_SECRET).verify(body, dict(headers))
    assert verified["type"] == "delivered"


def test_mailguns_documented_way() -> None:
    """HMAC-SHA256 over time and token, in small hexadecimal letters."""
    at = datetime(2026, 11, 28, 12, tzinfo=UTC)
    token = "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"
    document = mailgun({"event": "delivered"}, token=token, at=at)
    body = json.dumps(document).encode()
    signed = f"{int(at.timestamp())}{token}".encode()
    expected = hmac.new(MAILGUN_KEY.encode(), signed, hashlib.sha256).hexdigest()
    assert document["signature"]["signature"] == expected
    proof = signatures.mailgun_token(Arrived({}, body, at), Known((MAILGUN_KEY,)))
    assert proof.nonce.startswith("a8ce0edb")
    for name, wrong in (
        ("signature", expected.upper()), ("signature", expected[:-1]), ("signature", "ü"),
        ("signature", [expected]), ("token", "b" * 50), ("token", {}), ("timestamp", "1e9"),
        ("timestamp", None), ("timestamp", -1),
    ):  # fmt: skip
        document["signature"] = {**mailgun({}, at=at)["signature"], name: wrong}
        changed = Arrived({}, json.dumps(document).encode(), at)
        assert refused(signatures.mailgun_token, changed, MAILGUN_KEY) in {"signature", "unsigned"}
    late = Arrived({}, body, at + timedelta(seconds=301))
    assert refused(signatures.mailgun_token, late, MAILGUN_KEY) == "stale"


def test_the_text_that_amazon_signs() -> None:
    """As its documentation says, by kind of message, with and without a subject."""
    notification = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-west-2:123456789012:MyTopic",
        "Subject": "My First Message",
        "Message": "Hello world!",
        "Timestamp": "2012-05-02T00:54:06.655Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "SigningCertURL": "EXAMPLE",
        "UnsubscribeURL": "EXAMPLE",
    }
    assert signed_text(notification) == (
        b"Message\nHello world!\n"
        b"MessageId\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\n"
        b"Subject\nMy First Message\n"
        b"Timestamp\n2012-05-02T00:54:06.655Z\n"
        b"TopicArn\narn:aws:sns:us-west-2:123456789012:MyTopic\n"
        b"Type\nNotification\n"
    )
    del notification["Subject"]
    assert b"Subject" not in signed_text(notification)
    confirmation = {
        **notification,
        "Type": "SubscriptionConfirmation",
        "Token": "2336412f37",
        "SubscribeURL": "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription",
    }
    lines = signed_text(confirmation).decode().split("\n")
    assert lines[::2][:-1] == [
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ]  # fmt: skip
