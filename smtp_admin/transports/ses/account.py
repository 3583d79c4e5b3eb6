"""Where a sender's calls to Amazon SES go, and what is in them (API v2).

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
"""

import base64
import json
from dataclasses import dataclass
from urllib.parse import quote

from smtp_admin.http.connection import Answer
from smtp_admin.http.endpoint import Endpoint
from smtp_admin.transports import api_call
from smtp_admin.transports.base import Outgoing

ACCOUNT_PATH = "/v2/email/account"
SEND_PATH = "/v2/email/outbound-emails"
_IDENTITIES = "/v2/email/identities/"
#: Partitions whose names lie elsewhere; all others are below ``amazonaws.com``.
_DOMAINS = {"cn": "amazonaws.com.cn", "eusc": "amazonaws.eu"}


@dataclass(frozen=True, slots=True)
class SESAccount:
    """One region of one account.

    Attributes:
        configuration_set: empty for the one that the account uses otherwise, or none.
        of_machine: whether calls are made with the rights of this machine.
    """

    region: str
    configuration_set: str = ""
    of_machine: bool = False

    @property
    def host(self) -> str:
        """Amazon's own name for the API of this region, whatever way leads there."""
        domain = _DOMAINS.get(self.region.partition("-")[0], "amazonaws.com")
        return f"email.{self.region}.{domain}"


def endpoint_of(account: SESAccount, configured: str = "") -> Endpoint:
    """The API of the account's region.

    Args:
        configured: the address that the operator configured instead, if any.
    """
    url = configured.replace("{region}", account.region) or f"https://{account.host}"
    return Endpoint.of(url)


def document_for(account: SESAccount, mail: Outgoing) -> bytes:
    """The call that sends *mail* as it is; who it is from stands in it."""
    document: dict[str, object] = {
        "Destination": {"ToAddresses": [mail.recipient]},
        "Content": {"Raw": {"Data": base64.b64encode(mail.content).decode("ascii")}},
    }
    if mail.mail_from:
        document["FeedbackForwardingEmailAddress"] = mail.mail_from
    if account.configuration_set:
        document["ConfigurationSetName"] = account.configuration_set
    return json.dumps(document).encode("utf-8")


def identity_path(identity: str) -> str:
    """Where the API tells about an address or a domain."""
    return _IDENTITIES + quote(identity, safe="")


def identities_for(address: str) -> list[str]:
    """What may be verified for *address* to send: itself, its domain, or a domain above that."""
    domain = address.rpartition("@")[2]
    labels = domain.split(".")
    above = [".".join(labels[at:]) for at in range(len(labels) - 1)]
    return [address, *above]


def kind_of(answer: Answer) -> str:
    """The name of an error, such as ``MessageRejected``; empty where there is none."""
    named = answer.headers.get("x-amzn-errortype", "")
    document = api_call.document_of(answer) or {}
    said = named or str(document.get("__type", "") or document.get("code", ""))
    return said.partition(":")[0].rpartition("#")[2].strip()


def words_of(answer: Answer) -> str:
    """What an answer says, for a person, after the name of the error."""
    document = api_call.document_of(answer) or {}
    said = str(document.get("message", "") or document.get("Message", "") or "")
    kind = kind_of(answer)
    return f"{kind}: {said}" if kind else said
