"""Who tells what became of mail: one table of providers.

How each is set up, proven and read follows it, and so do the page, the docs and the tests.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from smtp_admin.events import amazon, examples, signatures
from smtp_admin.events.arrived import (
    REFUSALS,
    REFUSALS_OF_OUR_SECRET,
    Arrived,
    Known,
    Proof,
)
from smtp_admin.events.event import Event
from smtp_admin.events.examples import Example, Headers
from smtp_admin.events.readers import (
    brevo,
    generic,
    mailgun,
    mailjet,
    postmark,
    resend,
    sendgrid,
    ses,
    sparkpost,
)
from smtp_admin.events.sns import Topic
from smtp_admin.translation import gettext


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """What signatures are checked with.

    Attributes:
        label: as the provider calls it.
        help: where it stands.
        clean: what somebody entered, or :class:`ValueError` with a sentence.
        made_here: whether we make it, and the sender of the events is told.
    """

    label: str
    help: str
    clean: Callable[[str], str]
    made_here: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of provider.

    Attributes:
        key: in the address of its webhooks.
        verify: whether a request is genuine; see :mod:`smtp_admin.events.signatures`.
        read: what it tells; see :mod:`smtp_admin.events.readers`.
        example: a delivered mail in its words.
        steps: what to do at the provider, in its own words.
        secret: ``None`` where nothing is signed, and the address alone is the secret.
        signs_here: whether an example can be signed here as the provider does.
        has_topic: whether it comes through a topic of Amazon SNS.
        hosts: of the servers of senders that it belongs to, beside its preset's.
    """

    key: str
    label: str
    verify: Callable[[Arrived, Known], Proof]
    read: Callable[[Arrived], list[Event]]
    example: Callable[[Example], tuple[Headers, bytes]]
    steps: tuple[str, ...]
    secret: SigningSecret | None = None
    signs_here: bool = True
    has_topic: bool = False
    hosts: tuple[str, ...] = ()

    @property
    def makes_secret(self) -> bool:
        """Whether its signing secret is made here."""
        return self.secret is not None and self.secret.made_here

    def refusal(self, code: str) -> str:
        """Why a request was refused, and what to do; empty for a code that is unknown."""
        ours = REFUSALS_OF_OUR_SECRET if self.makes_secret else {}
        return ours.get(code) or REFUSALS.get(code, "")


def clean_topic(text: str) -> str:
    """The ARN of an SNS topic; empty while none is entered."""
    arn = text.strip()
    if not arn:
        return ""
    try:
        return Topic.of(arn).arn
    except ValueError as error:
        raise ValueError(
            gettext(
                "Enter the ARN of a standard topic, such as arn:aws:sns:eu-central-1:123456789012:"
                "mail-events."
            )
        ) from error


def _clean_mailgun(text: str) -> str:
    key = text.strip()
    if not re.fullmatch(r"[!-~]{16,200}", key):
        raise ValueError(
            gettext("This is not a signing key of Mailgun: it has 32 letters, digits and hyphens.")
        )
    return key


def _clean_sendgrid(text: str) -> str:
    key = "".join(text.split())
    try:
        signatures.sendgrid_key(key)
    except ValueError as error:
        raise ValueError(
            gettext("This is not a verification key of SendGrid. It begins with MFkw.")
        ) from error
    return key


def _clean_standard(text: str) -> str:
    secret = text.strip()
    try:
        signatures.standard_key(secret)
    except ValueError as error:
        raise ValueError(
            gettext("This is not a signing secret. It begins with whsec_, and Base64 follows.")
        ) from error
    return secret


SOURCES: dict[str, Source] = {
    one.key: one
    for one in (
        Source(
            "ses",
            "Amazon SES",
            amazon.verify,
            ses.read,
            examples.ses,
            (
                gettext(
                    "In the SNS console, in the region of this sender, create a standard topic."
                ),
                gettext("Enter its ARN here and save."),
                gettext(
                    "At the topic, create a subscription: protocol HTTPS, and the address above. "
                    "Leave “raw message delivery” off. It is confirmed from here automatically."
                ),
                gettext(
                    "In the SES console, at the configuration set of this sender, add an event "
                    "destination: this topic, with deliveries, bounces, complaints and delays."
                ),
            ),
            signs_here=False,
            has_topic=True,
        ),
        Source(
            "sendgrid",
            "SendGrid",
            signatures.sendgrid,
            sendgrid.read,
            examples.sendgrid,
            (
                gettext("At SendGrid, open Settings, Mail Settings, Event Webhooks."),
                gettext("Create a webhook with the address above, and choose its events."),
                gettext("Turn on Signature Verification, and copy the verification key to here."),
            ),
            SigningSecret(
                gettext("Verification key"),
                gettext("SendGrid shows it after Signature Verification was turned on."),
                _clean_sendgrid,
            ),
            signs_here=False,
        ),
        Source(
            "mailgun",
            "Mailgun",
            signatures.mailgun_token,
            mailgun.read,
            examples.mailgun,
            (
                gettext("At Mailgun, open Send, Sending, Webhooks, and choose the domain."),
                gettext(
                    "Add the address above for Delivered Messages, Permanent Failure, Temporary "
                    "Failure and Spam Complaints. Mailgun keeps three addresses for each."
                ),
                gettext("Copy the HTTP webhook signing key from that page to here."),
            ),
            SigningSecret(
                gettext("HTTP webhook signing key"),
                gettext("It is not the API key of the sender."),
                _clean_mailgun,
            ),
        ),
        Source(
            "postmark",
            "Postmark",
            signatures.by_secret_address,
            postmark.read,
            examples.postmark,
            (
                gettext("At Postmark, open the server, its message stream, and Webhooks."),
                gettext(
                    "Add a webhook with the address above, for Delivery, Bounce and Spam Complaint."
                ),
            ),
        ),
        Source(
            "sparkpost",
            "SparkPost",
            signatures.by_secret_address,
            sparkpost.read,
            examples.sparkpost,
            (
                gettext("At SparkPost, open Configuration, Webhooks, and create one."),
                gettext(
                    "Enter the address above, without authentication, and choose the events "
                    "Delivery, Bounce, Delay, Out of Band and Spam Complaint."
                ),
            ),
        ),
        Source(
            "brevo",
            "Brevo",
            signatures.by_secret_address,
            brevo.read,
            examples.brevo,
            (
                gettext("At Brevo, open Transactional, Settings, Webhook, and add one."),
                gettext("Enter the address above, and choose the events."),
            ),
            hosts=("smtp-relay.brevo.com", "smtp-relay.sendinblue.com"),
        ),
        Source(
            "mailjet",
            "Mailjet",
            signatures.by_secret_address,
            mailjet.read,
            examples.mailjet,
            (
                gettext("At Mailjet, open Account settings, Event notifications (webhooks)."),
                gettext("Enter the address above for Sent, Bounce, Blocked and Spam."),
            ),
            hosts=("in-v3.mailjet.com", "in.mailjet.com"),
        ),
        Source(
            "resend",
            "Resend",
            signatures.standard,
            resend.read,
            examples.resend,
            (
                gettext("At Resend, open Webhooks, and add one with the address above."),
                gettext("Choose the events of emails, and copy the signing secret to here."),
            ),
            SigningSecret(
                gettext("Signing secret"),
                gettext("It begins with whsec_."),
                _clean_standard,
            ),
            hosts=("smtp.resend.com",),
        ),
        Source(
            "generic",
            gettext("Another server, signed"),
            signatures.standard,
            generic.read,
            examples.generic,
            (
                gettext("Let your mail server, or what reads its log, post events to the address."),
                gettext(
                    "Sign each with the signing secret, as Standard Webhooks says. It was shown "
                    "once, when it was made."
                ),
            ),
            SigningSecret(
                gettext("Signing secret"),
                gettext("Only if you want to use one of your own. It begins with whsec_."),
                _clean_standard,
                made_here=True,
            ),
        ),
    )
}


def source_of_sender(driver_provider: str, provider_key: str, host: str) -> Source | None:
    """The source that a sender's provider has, if it is known which that is.

    Args:
        driver_provider: the provider of its sending method, where that has only one.
        provider_key: the provider of the preset that its host belongs to.
    """
    for key in (driver_provider, provider_key):
        if key in SOURCES:
            return SOURCES[key]
    return next((one for one in SOURCES.values() if host.lower() in one.hosts), None)
