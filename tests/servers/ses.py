"""Amazon SES (API v2), as far as its documentation says how it behaves, on loopback.

It checks signatures itself, by the published rules of Signature Version 4.
"""

import base64
import hashlib
import hmac
import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from tests.servers.provider_api import Call, ProviderAPI, Response

__all__ = ["KEY_ID", "REGION", "SECRET", "SESAPI", "PostedToSES", "error"]

KEY_ID, SECRET, REGION = "AKIA0123456789ABCDEF", "b" * 20 + "/+" + "C" * 18, "eu-central-1"
_SUPPRESSED = "/v2/email/suppression/addresses"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/ses/"
    r"aws4_request, "
    r"SignedHeaders=(?P<signed>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class PostedToSES:
    """A mail that was posted."""

    recipient: str
    feedback_to: str
    configuration_set: str
    content: bytes


def error(kind: str, message: str, status: int = 400, **headers: str) -> Response:
    """A refusal in the form of AWS."""
    return Response.of({"message": message}, status, x_amzn_ErrorType=kind, **headers)


class SESAPI:
    """One account; each answer can be replaced.

    Attributes:
        account: what it tells about the account; ``None`` where the key may not ask.
        identities: name → whether it is verified.
        token: of temporary credentials, which every call must bring then.
        at: decides on a mail that was posted; ``None`` accepts it.
        posted: what was posted, accepted or not.
        suppressed: address → reason; ``None`` where the key may not see the list.
    """

    def __init__(self, key_id: str = KEY_ID, secret: str = SECRET, token: str = "") -> None:
        self.key_id, self.secret, self.token = key_id, secret, token
        self.account: dict[str, Any] | None = {
            "ProductionAccessEnabled": True,
            "SendingEnabled": True,
            "EnforcementStatus": "HEALTHY",
            "SendQuota": {"Max24HourSend": 50000.0, "MaxSendRate": 14.0, "SentLast24Hours": 120.0},
        }
        self.identities: dict[str, bool] = {"acme.example": True}
        self.at: Callable[[PostedToSES], Response | str | None] = lambda _: None
        self.answer: Callable[[Call], Response | str | None] = lambda _: None
        self.posted: list[PostedToSES] = []
        self.suppressed: dict[str, str] | None = {}
        self._ids = itertools.count(1)
        self.server = ProviderAPI(self._answering)

    def _answering(self, call: Call) -> Response | None:
        instead = self.answer(call)
        if instead is not None:
            return None if isinstance(instead, str) else instead
        wrong = self._unsigned(call)
        if wrong is not None:
            return wrong
        if call.path.startswith(_SUPPRESSED):
            return self._suppression(call)
        if (call.method, call.path) == ("GET", "/v2/email/account"):
            return self._denied("GetAccount") if self.account is None else Response.of(self.account)
        if call.path.startswith("/v2/email/identities/"):
            name = unquote(call.path.rpartition("/")[2])
            if name not in self.identities:
                return error("NotFoundException", f"Email identity {name} does not exist.", 404)
            return Response.of({"VerifiedForSendingStatus": self.identities[name]})
        if (call.method, call.path) != ("POST", "/v2/email/outbound-emails"):
            return error("UnknownOperationException", "no such operation", 404)
        return self._send(json.loads(call.body))

    def _suppression(self, call: Call) -> Response:
        if self.suppressed is None:
            return self._denied("DeleteSuppressedDestination")
        path, _, query = call.path.partition("?")
        if call.method == "DELETE":
            address = unquote(path.removeprefix(f"{_SUPPRESSED}/"))
            if self.suppressed.pop(address, None) is None:
                words = f"Email address {address} does not exist on your suppression list."
                return error("NotFoundException", words, 404)
            return Response.of({})
        asked = parse_qs(query)
        start = int(asked.get("NextToken", ["0/=+"])[0].removesuffix("/=+"))
        end = start + int(asked["PageSize"][0])
        some = [*self.suppressed.items()][start:end]
        summaries = [{"EmailAddress": address, "Reason": why} for address, why in some]
        more = {"NextToken": f"{end}/=+"} if end < len(self.suppressed) else {}
        return Response.of({"SuppressedDestinationSummaries": summaries, **more})

    def _send(self, document: Mapping[str, Any]) -> Response | None:
        if "Content" not in document:
            return error("BadRequestException", "1 validation error detected: content is null")
        (recipient,) = document["Destination"]["ToAddresses"]
        mail = PostedToSES(
            recipient,
            document.get("FeedbackForwardingEmailAddress", ""),
            document.get("ConfigurationSetName", ""),
            base64.b64decode(document["Content"]["Raw"]["Data"], validate=True),
        )
        self.posted.append(mail)
        refusal = self.at(mail)
        if refusal is not None:
            return None if isinstance(refusal, str) else refusal
        return Response.of({"MessageId": f"0107{next(self._ids):08x}-000000"})

    def _denied(self, action: str) -> Response:
        words = f"User: arn:aws:iam::123456789012:user/x is not authorized to perform: ses:{action}"
        return error("AccessDeniedException", words, 403)

    def _unsigned(self, call: Call) -> Response | None:
        found = _AUTHORIZATION.fullmatch(call.headers.get("authorization", ""))
        if found is None:
            return error("MissingAuthenticationTokenException", "Missing Token", 403)
        token = call.headers.get("x-amz-security-token", "")
        if (found["key"], token) != (self.key_id, self.token):
            words = "The security token included in the request is invalid."
            return error("UnrecognizedClientException", words, 403)
        moment = call.headers["x-amz-date"]
        made = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs((datetime.now(UTC) - made).total_seconds()) > 300:
            words = f"Signature expired: {moment} is now earlier"
            return error("InvalidSignatureException", words, 403)
        if found["signature"] != self._signature(call, found, moment):
            words = "The request signature we calculated does not match the signature you provided."
            return error("SignatureDoesNotMatch", words, 403)
        return None

    def _signature(self, call: Call, found: Mapping[str, str] | Any, moment: str) -> str:
        names = found["signed"].split(";")
        assert {"host", "x-amz-date"} <= set(names)
        headers = "".join(f"{name}:{' '.join(call.headers[name].split())}\n" for name in names)
        body = hashlib.sha256(call.body).hexdigest()
        path, _, query = call.path.partition("?")
        path, query = quote(path, safe="/~"), "&".join(sorted(query.split("&")))
        whole = f"{call.method}\n{path}\n{query}\n{headers}\n{found['signed']}\n{body}"
        scope = f"{found['day']}/{found['region']}/ses/aws4_request"
        digest = hashlib.sha256(whole.encode()).hexdigest()
        key = f"AWS4{self.secret}".encode()
        for part in (found["day"], found["region"], "ses", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        said = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
        return hmac.digest(key, said.encode(), "sha256").hex()
