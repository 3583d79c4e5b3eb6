"""Where a sender's calls to Mailgun go, and what is in them.

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages
"""

import base64
import secrets
from dataclasses import dataclass

from smtp_admin.http.connection import Answer
from smtp_admin.http.endpoint import Endpoint
from smtp_admin.smtp.login import Credential
from smtp_admin.smtp.redaction import Redactor
from smtp_admin.transports import api_call
from smtp_admin.transports.base import Outgoing

#: Each has accounts' domains of its own.
REGIONS = {"us": "https://api.mailgun.net", "eu": "https://api.eu.mailgun.net"}
REGION_LABELS = {"us": "US", "eu": "EU"}
#: Whose password the key is, as the API has it.
USER = "api"


@dataclass(frozen=True, slots=True)
class Account:
    """One sending domain at Mailgun."""

    region: str
    domain: str

    @property
    def host(self) -> str:
        """Mailgun's own name for the API of this region, whatever way leads there."""
        return Endpoint.of(REGIONS[self.region]).host

    @property
    def send_path(self) -> str:
        """Where finished mails are posted to."""
        return f"/v3/{self.domain}/messages.mime"

    @property
    def domain_path(self) -> str:
        """Where the API tells about the domain."""
        return f"/v4/domains/{self.domain}"


def endpoint_of(account: Account, configured: str = "") -> Endpoint:
    """The API of the account's region.

    Args:
        configured: the address that the operator configured instead, if any.
    """
    return Endpoint.of((configured or REGIONS[account.region]).replace("{region}", account.region))


def authorization(credential: Credential) -> dict[str, str]:
    """The header that proves who calls."""
    return {"Authorization": f"Basic {_pair(credential)}"}


def redactor_for(credential: Credential) -> Redactor:
    """What takes the key out of answers, in the form of the header too."""
    redact = Redactor(credential.secrets, credential.username)
    redact.hide(_pair(credential))
    return redact


def _pair(credential: Credential) -> str:
    pair = f"{credential.username}:{credential.secrets[0]}".encode()
    return base64.b64encode(pair).decode("ascii")


def form_of(mail: Outgoing | None) -> tuple[dict[str, str], bytes]:
    """The headers and the body that post *mail*; a form without a mail for ``None``."""
    boundary = secrets.token_hex(16)
    parts = []
    if mail is not None:
        recipient = mail.recipient.encode()
        parts = [
            b'--%b\r\nContent-Disposition: form-data; name="to"\r\n\r\n%b\r\n'
            % (boundary.encode(), recipient),
            b'--%b\r\nContent-Disposition: form-data; name="message"; filename="message.mime"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n" % boundary.encode(),
            mail.content,
            b"\r\n",
        ]
    body = b"".join((*parts, b"--%b--\r\n" % boundary.encode()))
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body


def words_of(answer: Answer) -> str:
    """What an answer says, for a person."""
    document = api_call.document_of(answer)
    if document is not None:
        return str(document.get("message", ""))
    # A wrong key is told as plain text; a page of something in between tells nothing.
    plain = answer.headers.get("content-type", "").startswith("text/plain")
    return answer.body[:400].decode("utf-8", "replace") if plain else ""


def id_of(answer: Answer) -> str | None:
    """Mailgun's id of the mail that it accepted; ``None`` where this is no such answer."""
    name = api_call.id_in(answer, "id")
    return None if name is None else name.strip("<>")
