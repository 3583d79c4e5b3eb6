"""Messages of Amazon SNS: whose they are, whether they are genuine, and saying yes to them.

Anybody may have a topic of their own, and Amazon signs its messages too. So only one topic counts,
that which somebody saved, and nothing is fetched from an address that a message names: the
certificate's must be one that Amazon has for the region of that topic, and the subscription is
confirmed at an address made here.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from smtp_admin.events.arrived import (
    Arrived,
    Known,
    NotUnderstood,
    Proof,
    Refused,
    Unreachable,
    document_of,
)
from smtp_admin.events.readers.values import moment
from smtp_admin.translation import gettext

#: SNS tries again for an hour by default, and signs the time of the first try.
_OLDEST_SECONDS, _NEWEST_SECONDS = 2 * 3600, 300
_ARN = re.compile(
    r"arn:(?P<partition>aws(?:-[a-z]{2,10})*):sns:(?P<region>[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-[1-9])"
    r":(?P<account>[0-9]{12}):(?P<name>[A-Za-z0-9_-]{1,256})"
)
_PATH = r"/SimpleNotificationService(?:-[A-Za-z0-9]+)?\.pem"
_TOKEN = re.compile(r"[A-Za-z0-9]{20,1000}")
_DOMAINS = {"aws-cn": "amazonaws.com.cn"}
_OF_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_OF_SUBSCRIPTION = (
    "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
)  # fmt: skip
_SIGNED = {
    "Notification": _OF_NOTIFICATION,
    "SubscriptionConfirmation": _OF_SUBSCRIPTION,
    "UnsubscribeConfirmation": _OF_SUBSCRIPTION,
}
_MOST_CERTIFICATE_BYTES = 10 * 1024
_MOST_KEPT = 20
#: Certificates that are asked for on account of one topic, in so many seconds: who forges its
#: messages must not make this machine call Amazon for each.
_MOST_ASKED, _ASKED_SECONDS = 5, 60
_MOST_TOPICS = 1000

#: Path and query at SNS in a region → what was answered, or :class:`Unreachable`.
Fetch = Callable[["Topic", str], bytes]


@dataclass(frozen=True, slots=True)
class Topic:
    """The parts of a topic's name."""

    arn: str
    partition: str
    region: str

    @classmethod
    def of(cls, arn: str) -> "Topic":
        """The topic with this name.

        Raises:
            ValueError: it is none.
        """
        found = _ARN.fullmatch(arn)
        if found is None:
            raise ValueError("not the ARN of an SNS topic")
        return cls(arn, found["partition"], found["region"])

    @property
    def host(self) -> str:
        """The only host that speaks for it."""
        return f"sns.{self.region}.{_DOMAINS.get(self.partition, 'amazonaws.com')}"


class SNS:
    """Checks messages; keeps the certificates that it fetched.

    Args:
        fetch: asks SNS, and nobody else.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._certificates: dict[tuple[str, str], x509.Certificate] = {}
        #: Topic → in which minute, and how often, its certificates were asked for.
        self._asked: dict[str, tuple[int, int]] = {}

    def verify(self, arrived: Arrived, known: Known) -> Proof:
        """That a message is of the saved topic, and from Amazon.

        Raises:
            Refused: it is not.
            NotUnderstood: it is no message of SNS.
            Unreachable: Amazon's certificate cannot be had now.
        """
        message = document_of(arrived.body)
        if not isinstance(message, dict) or str(message.get("Type")) not in _SIGNED:
            raise NotUnderstood(
                gettext(
                    "This is no message of Amazon SNS. Leave “raw message delivery” off at the "
                    "subscription: without it nothing is signed."
                )
            )
        if not known.topic:
            raise Refused("no_topic")
        topic = Topic.of(known.topic)
        if message.get("TopicArn") != topic.arn:
            raise Refused("topic")
        self._refuse_unless_fresh(arrived.at, message)
        if not arrived.is_sample:
            self._refuse_unless_signed(topic, message, arrived.at)
        return Proof()

    def confirm(self, topic: Topic, token: str) -> None:
        """Say yes to a subscription of *topic*.

        Raises:
            Refused: *token* cannot be one.
            Unreachable: SNS did not take it.
        """
        if not _TOKEN.fullmatch(token):
            raise Refused("signature")
        asked = {"Action": "ConfirmSubscription", "TopicArn": topic.arn, "Token": token}
        self._fetch(topic, f"/?{urlencode(asked)}")

    def _refuse_unless_signed(
        self, topic: Topic, message: Mapping[str, Any], now: datetime
    ) -> None:
        version = message.get("SignatureVersion")
        algorithm = {"1": hashes.SHA1(), "2": hashes.SHA256()}.get(str(version))  # noqa: S303
        signature = message.get("Signature")
        if algorithm is None or not isinstance(signature, str):
            raise Refused("unsigned")
        try:
            raw = base64.b64decode(signature.encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise Refused("signature") from error
        key = self._key(topic, message.get("SigningCertURL"), now)
        try:
            key.verify(raw, signed_text(message), padding.PKCS1v15(), algorithm)
        except InvalidSignature as error:
            raise Refused("signature") from error

    def _key(self, topic: Topic, url: object, now: datetime) -> rsa.RSAPublicKey:
        path = path_of(topic, url)
        certificate = self._certificates.get((topic.host, path))
        if certificate is None:
            self._count_asking(topic, now)
            certificate = _certificate(self._fetch(topic, path))
            if len(self._certificates) >= _MOST_KEPT:
                self._certificates.clear()
            self._certificates[topic.host, path] = certificate
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise Refused("certificate")
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise Refused("certificate")
        return key

    def _count_asking(self, topic: Topic, now: datetime) -> None:
        minute = int(now.timestamp()) // _ASKED_SECONDS
        before, count = self._asked.get(topic.arn, (minute, 0))
        count = count if before == minute else 0
        if count >= _MOST_ASKED:
            raise Unreachable
        if len(self._asked) >= _MOST_TOPICS:
            self._asked.clear()
        self._asked[topic.arn] = (minute, count + 1)

    @staticmethod
    def _refuse_unless_fresh(now: datetime, message: Mapping[str, Any]) -> None:
        at = moment(message.get("Timestamp"))
        if at is None or not -_NEWEST_SECONDS <= (now - at).total_seconds() <= _OLDEST_SECONDS:
            raise Refused("stale")


def path_of(topic: Topic, url: object) -> str:
    """The path of a certificate of *topic*'s region.

    Raises:
        Refused: *url* is anything but such a certificate's.
    """
    if not isinstance(url, str):
        raise Refused("certificate")
    # As a whole, for a URL can be read in more ways than one.
    found = re.fullmatch(rf"https://{re.escape(topic.host)}({_PATH})", url)
    if found is None:
        raise Refused("certificate")
    return found[1]


def signed_text(message: Mapping[str, Any]) -> bytes:
    """What Amazon signs of a message: some of its fields, each name and value in a line.

    Raises:
        Refused: one of them is no text.
    """
    lines = []
    for name in _SIGNED[str(message["Type"])]:
        value = message.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str):
            raise Refused("signature")
        lines.append(f"{name}\n{value}\n")
    return "".join(lines).encode("utf-8", "replace")


def _certificate(pem: bytes) -> x509.Certificate:
    if len(pem) > _MOST_CERTIFICATE_BYTES:
        raise Refused("certificate")
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise Unreachable from error
