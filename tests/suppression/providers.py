"""The four providers with lists of their own, seen in one way by the tests of all of them."""

from typing import Any, Protocol

from smtp_admin.suppression.reasons import Reason
from tests.app import HostApp
from tests.servers import mailgun, postmark, sendgrid, ses
from tests.servers.provider_api import Response

_OF_MAILGUN = {"bounce": "bounces", "complaint": "complaints", "unsubscribe": "unsubscribes"}
_OF_SENDGRID = {"bounce": "bounces", "complaint": "spam_reports", "unsubscribe": "unsubscribes"}
_OF_POSTMARK = {
    "bounce": ("HardBounce", "Recipient"),
    "complaint": ("SpamComplaint", "Recipient"),
    "unsubscribe": ("ManualSuppression", "Recipient"),
    "manual": ("ManualSuppression", "Customer"),
}


class Provider(Protocol):
    """One provider on loopback, with one account.

    Attributes:
        page: how many addresses one of its answers holds; 0 where it is all of them.
    """

    name: str
    label: str
    secret: str
    page: int
    api: Any

    def save(self, host: HostApp, **more: Any) -> None:
        """Save a sender of acme that sends by it."""
        ...

    def put(self, address: str, reason: Reason = "bounce") -> None:
        """Suppress an address there."""
        ...

    def listed(self) -> set[str]:
        """Whom it suppresses."""
        ...

    def only_send(self) -> None:
        """Take the key's right to the list away."""
        ...


class Mailgun:
    """A domain, and a private API key."""

    name, label, secret, page = "mailgun", "Mailgun", mailgun.KEY, 1000

    def __init__(self) -> None:
        self.api = mailgun.MailgunAPI()

    def save(self, host: HostApp, **more: Any) -> None:
        secrets = {"mailgun_key": more.pop("key_there", self.secret)}
        host.save_sender(driver="mailgun", mailgun_domain=mailgun.DOMAIN, secrets=secrets, **more)

    def put(self, address: str, reason: Reason = "bounce") -> None:
        assert self.api.lists is not None
        entry: dict[str, object] = {"address": address, "created_at": "Mon, 06 May 2024 18:11:58"}
        if reason == "bounce":
            entry |= {"code": "550", "error": "No such mailbox"}
        if reason == "unsubscribe":
            entry["tags"] = ["*"]
        self.api.lists[_OF_MAILGUN[reason]][address] = entry

    def listed(self) -> set[str]:
        assert self.api.lists is not None
        return {one for entries in self.api.lists.values() for one in entries}

    def only_send(self) -> None:
        self.api.lists = None


class SES:
    """An account in one region, and an access key."""

    name, label, secret, page = "ses", "Amazon SES", ses.SECRET, 100

    def __init__(self) -> None:
        self.api = ses.SESAPI()

    def save(self, host: HostApp, **more: Any) -> None:
        secrets = {"ses_secret": more.pop("key_there", self.secret)}
        host.save_sender(
            driver="ses", ses_region=ses.REGION, ses_key_id=ses.KEY_ID, secrets=secrets, **more
        )

    def put(self, address: str, reason: Reason = "bounce") -> None:
        assert self.api.suppressed is not None
        self.api.suppressed[address] = {"bounce": "BOUNCE", "complaint": "COMPLAINT"}[reason]

    def listed(self) -> set[str]:
        assert self.api.suppressed is not None
        return {*self.api.suppressed}

    def only_send(self) -> None:
        self.api.suppressed = None


class SendGrid:
    """An account, reached by SMTP with an API key."""

    name, label, secret, page = "sendgrid", "SendGrid", sendgrid.KEY, 500

    def __init__(self) -> None:
        self.api = sendgrid.SendGridAPI()

    def save(self, host: HostApp, **more: Any) -> None:
        key = more.pop("key_there", self.secret)
        values: dict[str, Any] = {"host": "smtp.sendgrid.net", "port": 587, "security": "tls"}
        host.save_sender(**values, username="apikey", password=key, **more)

    def put(self, address: str, reason: Reason = "bounce") -> None:
        self.api.lists[_OF_SENDGRID[reason]][address] = "550 5.1.1 no such user"

    def listed(self) -> set[str]:
        return {one for entries in self.api.lists.values() for one in entries}

    def only_send(self) -> None:
        self.api.may = False


class Postmark:
    """A server, reached by SMTP with its token."""

    name, label, secret, page = "postmark", "Postmark", postmark.TOKEN, 0

    def __init__(self) -> None:
        self.api = postmark.PostmarkAPI()

    def save(self, host: HostApp, **more: Any) -> None:
        key = more.pop("key_there", self.secret)
        values: dict[str, Any] = {"host": "smtp.postmarkapp.com", "port": 587, "security": "tls"}
        host.save_sender(**values, username=key, password=key, **more)

    def put(self, address: str, reason: Reason = "bounce") -> None:
        self.api.streams["outbound"][address] = _OF_POSTMARK[reason]

    def listed(self) -> set[str]:
        return {*self.api.streams["outbound"]}

    def only_send(self) -> None:
        words = {"ErrorCode": 10, "Message": "Bad or missing Server API token."}
        self.api.answer = lambda _: Response.of(words, 401)


ALL_PROVIDERS = (Mailgun, SES, SendGrid, Postmark)
#: The same kind of key as the right one, but another.
WRONG_KEY = {
    "mailgun": "b" * 40,
    "ses": "w" * 40,
    "sendgrid": f"SG.{'x' * 22}.{'y' * 43}",
    "postmark": "ffffffff-1111-2222-3333-444455556666",
}
