"""Amazon SNS: what is believed, what is fetched, and who else might be asked to be fetched."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from smtp_admin.clock import now, shifted
from smtp_admin.events.arrived import Refused
from smtp_admin.events.sns import Topic, path_of
from tests.delivery.conftest import NewHost
from tests.events.amazon import CERTIFICATE_PATH, CERTIFICATE_URL, Amazon
from tests.events.conftest import Hook
from tests.events.hooking import TOPIC, Hooked

HOST = "https://sns.eu-central-1.amazonaws.com"


@pytest.fixture(scope="module")
def running() -> Iterator[Amazon]:
    with Amazon() as made:
        yield made


@pytest.fixture
def amazon(running: Amazon) -> Amazon:
    running.asked.clear()
    running.status = 200
    return running


@pytest.fixture
def site(opened: NewHost, hook: Hook, amazon: Amazon) -> Hooked:
    return hook(opened(API_ENDPOINTS={"sns": amazon.url}))


def delivered(provider_id: str, to: str = "you@example.org") -> str:
    return json.dumps(
        {
            "eventType": "Delivery",
            "mail": {"messageId": provider_id, "destination": [to]},
            "delivery": {"recipients": [to], "timestamp": "2026-11-28T00:00:00.000Z"},
        }
    )


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_genuine_message(site: Hooked, amazon: Amazon, version: str) -> None:
    path = site.turn_on("ses", topic=TOPIC)
    (mail,) = site.sent("you@example.org", provider_id="0101-abc")
    message = amazon.message(delivered("0101-abc"), version=version, Subject="With a subject")
    answer = site.post(path, json.dumps(message).encode(), {"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json) == (200, {"ok": True, "events": 1})
    site.apply()
    assert site.state(mail) == "delivered"
    # Once is enough for all that follow.
    assert site.post(path, amazon.message(version=version, Message=delivered("x"))).json
    assert amazon.asked == [CERTIFICATE_PATH]
    assert site.webhook().bad == 0


BAD_URLS: list[Any] = [
    "https://s3.amazonaws.com/bucket/SimpleNotificationService-fake.pem",
    "https://sns.eu-central-1.amazonaws.com.evil.example/SimpleNotificationService-a.pem",
    "https://evil.amazonaws.com/SimpleNotificationService-a.pem",
    f"https://sns.us-east-1.amazonaws.com{CERTIFICATE_PATH}",  # another region than the topic's
    f"https://sns.eu-central-1.amazonaws.com.cn{CERTIFICATE_PATH}",
    f"http://sns.eu-central-1.amazonaws.com{CERTIFICATE_PATH}",
    f"{HOST}:443{CERTIFICATE_PATH}",
    f"{HOST}@evil.example{CERTIFICATE_PATH}",
    f"https://user@sns.eu-central-1.amazonaws.com{CERTIFICATE_PATH}",
    f"{HOST}{CERTIFICATE_PATH}\n",
    f"{HOST}{CERTIFICATE_PATH}?x=1",
    f"{HOST}{CERTIFICATE_PATH}#x",
    f"{HOST}/x{CERTIFICATE_PATH}",
    f"{HOST}/..{CERTIFICATE_PATH}",
    f"{HOST}/SimpleNotificationService-a.pem.pem",
    f"{HOST}/SimpleNotificationService-a/b.pem",
    f"{HOST.upper()}{CERTIFICATE_PATH}",
    "http://169.254.169.254/latest/meta-data",
    "file:///etc/passwd",
    "", None, 5, [CERTIFICATE_URL], {"a": 1},
]  # fmt: skip


def test_certificates_from_elsewhere_are_not_even_fetched(site: Hooked, amazon: Amazon) -> None:
    path = site.turn_on("ses", topic=TOPIC)
    for number, url in enumerate(BAD_URLS, 1):
        answer = site.post(path, {**amazon.message(delivered("x")), "SigningCertURL": url})
        assert answer.status_code == 403, url
        assert amazon.asked == [], url
        assert (site.webhook().bad, site.webhook().last_bad_code) == (number, "certificate"), url
    assert site.events() == []


def test_who_forges_does_not_make_this_machine_call_amazon_for_each(
    site: Hooked, amazon: Amazon
) -> None:
    """Any name of a certificate may be Amazon's; of one topic only some are asked for."""
    path = site.turn_on("ses", topic=TOPIC)
    amazon.status = 404
    statuses = []
    for number in range(8):
        url = f"{HOST}/SimpleNotificationService-{number:x}.pem"
        answer = site.post(path, {**amazon.message(delivered("x")), "SigningCertURL": url})
        statuses.append(answer.status_code)
    assert statuses == [403] * 5 + [503] * 3
    assert len(amazon.asked) == 5
    amazon.status = 200
    with shifted(timedelta(seconds=61)):
        assert site.post(path, amazon.message(delivered("x"))).status_code == 200


def test_paths_that_amazon_has() -> None:
    topic = Topic.of(TOPIC)
    for name in ("SimpleNotificationService.pem", "SimpleNotificationService-0abcDEF9.pem"):
        assert path_of(topic, f"{HOST}/{name}") == f"/{name}"
    china = Topic.of("arn:aws-cn:sns:cn-north-1:123456789012:events")
    assert path_of(china, f"https://sns.cn-north-1.amazonaws.com.cn{CERTIFICATE_PATH}")
    with pytest.raises(Refused):
        path_of(china, f"https://sns.cn-north-1.amazonaws.com{CERTIFICATE_PATH}")
    government = Topic.of("arn:aws-us-gov:sns:us-gov-west-1:123456789012:events")
    assert government.host == "sns.us-gov-west-1.amazonaws.com"


def stranger() -> Any:
    return rsa.generate_private_key(65537, 2048)


#: What is changed, before or after signing, and what is refused for it.
FORGERIES: dict[str, tuple[Callable[[Amazon], dict[str, Any]], str]] = {
    "another topic": (
        lambda a: a.message(TopicArn="arn:aws:sns:eu-central-1:999999999999:mail-events"), "topic"),
    "another topic of the account": (lambda a: a.message(TopicArn=TOPIC + "2"), "topic"),
    "no topic": (lambda a: {**a.message(), "TopicArn": None}, "topic"),
    "a list of topics": (lambda a: {**a.message(), "TopicArn": [TOPIC]}, "topic"),
    "another text": (lambda a: {**a.message(), "Message": delivered("x")}, "signature"),
    "a text that is none": (lambda a: {**a.message(), "Message": {"a": 1}}, "signature"),
    "a subject that was not signed": (lambda a: {**a.message(), "Subject": "x"}, "signature"),
    "another kind": (
        lambda a: {**a.message(), "Type": "SubscriptionConfirmation", "Token": "t" * 64,
                   "SubscribeURL": "http://169.254.169.254/"}, "signature"),
    "somebody else's key": (lambda a: a.message(key=stranger()), "signature"),
    "no signature": (lambda a: {**a.message(), "Signature": None}, "unsigned"),
    "a signature that is no Base64": (lambda a: {**a.message(), "Signature": "ü"}, "signature"),
    "an empty signature": (lambda a: {**a.message(), "Signature": ""}, "signature"),
    "a version that there is not": (
        lambda a: {**a.message(), "SignatureVersion": "3"}, "unsigned"),
    "the wrong version": (lambda a: {**a.message(), "SignatureVersion": "2"}, "signature"),
    "two hours and a minute old": (
        lambda a: a.message(Timestamp=(now() - timedelta(minutes=121)).isoformat()), "stale"),
    "of the future": (
        lambda a: a.message(Timestamp=(now() + timedelta(seconds=301)).isoformat()), "stale"),
    "no time": (lambda a: {**a.message(), "Timestamp": "yesterday"}, "stale"),
    "a time that is none": (lambda a: {**a.message(), "Timestamp": 1e18}, "stale"),
}  # fmt: skip


def test_forgeries(site: Hooked, amazon: Amazon) -> None:
    path = site.turn_on("ses", topic=TOPIC)
    for number, (name, (forge, code)) in enumerate(FORGERIES.items(), 1):
        answer = site.post(path, forge(amazon))
        assert answer.status_code == 403, name
        assert (site.webhook().bad, site.webhook().last_bad_code) == (number, code), name
    assert site.events() == []
    assert not any("Confirm" in one for one in amazon.asked)


def test_what_is_no_message_of_sns(site: Hooked) -> None:
    path = site.turn_on("ses", topic=TOPIC)
    for body in (b"{}", b"[]", b"null", b"", b'{"Type": "Raw"}', b"{", b'"x"'):
        answer = site.post(path, body)
        assert answer.status_code == 400
        assert answer.json
        assert answer.json["error"]["code"] == "invalid_input"


def test_without_a_topic_nobody_is_believed(site: Hooked, amazon: Amazon) -> None:
    path = site.turn_on("ses")
    assert site.post(path, amazon.message()).status_code == 403
    assert site.webhook().last_bad_code == "no_topic"
    assert amazon.asked == []


def test_a_subscription_is_confirmed_at_an_address_of_our_own(site: Hooked, amazon: Amazon) -> None:
    path = site.turn_on("ses", topic=TOPIC)
    message = amazon.message(
        Type="SubscriptionConfirmation",
        Message="You have chosen to subscribe",
        Token="a" * 64,
        SubscribeURL="http://169.254.169.254/latest/meta-data",
    )
    answer = site.post(path, message)
    assert answer.status_code == 200, answer.text
    asked = amazon.asked[-1]
    assert asked.startswith("/?Action=ConfirmSubscription&TopicArn=arn%3Aaws%3Asns")
    assert asked.endswith(f"Token={'a' * 64}")
    assert site.webhook().confirmed_at is not None
    ended = amazon.message(Type="UnsubscribeConfirmation", Token="a" * 64, SubscribeURL="x")
    assert site.post(path, ended).status_code == 200
    assert site.webhook().confirmed_at is None


def test_a_subscription_of_somebody_elses_topic(site: Hooked, amazon: Amazon) -> None:
    """Amazon signs it as well as any other: it must not be confirmed."""
    path = site.turn_on("ses", topic=TOPIC)
    theirs = "arn:aws:sns:eu-central-1:999999999999:theirs"
    message = amazon.message(Type="SubscriptionConfirmation", Message="x", Token="a" * 64,
                             SubscribeURL="x", TopicArn=theirs)  # fmt: skip
    assert site.post(path, message).status_code == 403
    assert amazon.asked == []
    token = amazon.message(Type="SubscriptionConfirmation", Message="x", SubscribeURL="x",
                           Token="a&Action=DeleteTopic")  # fmt: skip
    assert site.post(path, token).status_code == 400
    assert amazon.asked == [CERTIFICATE_PATH]


def test_while_the_certificate_cannot_be_had(site: Hooked, amazon: Amazon) -> None:
    """It is sent again later; no redirect is followed."""
    path = site.turn_on("ses", topic=TOPIC)
    for number, (status, answered) in enumerate(((500, 503), (302, 503), (404, 403)), 1):
        amazon.status = status
        assert site.post(path, amazon.message(delivered("x"))).status_code == answered
        assert amazon.asked == [CERTIFICATE_PATH] * number
    amazon.status = 200
    assert site.post(path, amazon.message(delivered("x"))).status_code == 200


def test_a_certificate_whose_time_is_over(site: Hooked, amazon: Amazon) -> None:
    path = site.turn_on("ses", topic=TOPIC)
    with shifted(timedelta(days=31)):
        assert site.post(path, amazon.message(delivered("x"))).status_code == 403
    assert site.webhook().last_bad_code == "certificate"


def test_no_private_address_is_dialled(opened: NewHost, hook: Hook) -> None:
    """The name of Amazon leads nowhere but to public addresses, or is refused by the policy."""
    site = hook(opened(API_ENDPOINTS={"sns": "http://127.0.0.1:1"}, ALLOWED_NETWORKS=()))
    path = site.turn_on("ses", topic=TOPIC)
    with Amazon() as amazon:
        assert site.post(path, amazon.message()).status_code == 503
