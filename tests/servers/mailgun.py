"""Mailgun, as far as its documentation says how it behaves, on loopback."""

import base64
import email
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message as Part
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from tests.servers.provider_api import Call, ProviderAPI, Response

__all__ = ["KEY", "MailgunAPI", "Posted"]

_LISTS = ("bounces", "complaints", "unsubscribes")
KEY = "a-sending-key-0123456789abcdef"
DOMAIN = "mg.acme.example"


@dataclass(frozen=True, slots=True)
class Posted:
    """A mail that was posted."""

    recipient: str
    content: bytes


class MailgunAPI:
    """One domain with one key; each answer can be replaced.

    Attributes:
        about: what it tells about its domain; ``None`` where the key may only send.
        at: decides on a mail that was posted; ``None`` accepts it.
        posted: what was posted, accepted or not.
        lists: name → its entries by address; ``None`` where the key may only send.
    """

    def __init__(self, key: str = KEY, domain: str = DOMAIN) -> None:
        self.key, self.domain = key, domain
        self.about: dict[str, object] | None = {"name": domain, "state": "active", "type": "custom"}
        self.at: Callable[[Posted], Response | str | None] = lambda _: None
        self.answer: Callable[[Call], Response | str | None] = lambda _: None
        self.posted: list[Posted] = []
        self.lists: dict[str, dict[str, dict[str, object]]] | None = {
            "bounces": {}, "complaints": {}, "unsubscribes": {},
        }  # fmt: skip
        self._ids = itertools.count(1)
        self.server = ProviderAPI(self._answering)

    def _answering(self, call: Call) -> Response | None:
        instead = self.answer(call)
        if instead is not None:
            return None if isinstance(instead, str) else instead
        right = "Basic " + base64.b64encode(f"api:{self.key}".encode()).decode()
        if call.headers.get("authorization") != right:
            return Response(401, b"Forbidden", {"Content-Type": "text/plain; charset=utf-8"})
        if call.path == f"/v4/domains/{self.domain}":
            if self.about is None:
                return Response(401, b"Forbidden", {"Content-Type": "text/plain"})
            return Response.of({"domain": self.about, "sending_dns_records": []})
        name = urlsplit(call.path).path.removeprefix(f"/v3/{self.domain}/").partition("/")[0]
        if name in _LISTS:
            return self._listing(call, name)
        if call.path != f"/v3/{self.domain}/messages.mime":
            return Response.of({"message": f"Domain not found: {call.path.split('/')[2]}"}, 404)
        mail = posted_in(call)
        if mail is None:
            return Response.of({"message": "to parameter is missing"}, 400)
        self.posted.append(mail)
        refusal = self.at(mail)
        if refusal is not None:
            return None if isinstance(refusal, str) else refusal
        name = f"<{next(self._ids)}.{call.headers['content-length']}@{self.domain}>"
        return Response.of({"id": name, "message": "Queued. Thank you."})

    def _listing(self, call: Call, name: str) -> Response:
        if self.lists is None:
            return Response(401, b"Forbidden", {"Content-Type": "text/plain"})
        entries = self.lists[name]
        parts = urlsplit(call.path)
        if call.method == "DELETE":
            address = unquote(parts.path.rpartition("/")[2])
            if entries.pop(address, None) is None:
                return Response.of({"message": f"Address not found in {name} table"}, 404)
            return Response.of({"message": "Removed", "address": address})
        asked = parse_qs(parts.query)
        limit, after = int(asked["limit"][0]), asked.get("address", [""])[0]
        some = [entries[one] for one in sorted(entries) if one > after][:limit]
        last = some[-1]["address"] if some else after
        query = urlencode({"page": "next", "address": last, "limit": limit})
        # The real one names itself, whatever way led to it.
        following = f"https://api.mailgun.net/v3/{self.domain}/{name}?{query}"
        return Response.of({"items": some, "paging": {"next": following}})


def posted_in(call: Call) -> Posted | None:
    """The mail in a form, read by the standard library's own parser of such bodies."""
    head = f"Content-Type: {call.headers['content-type']}\r\n\r\n".encode("latin-1")
    found: dict[str, Part] = {}
    whole = email.message_from_bytes(head + call.body)
    parts = whole.get_payload()
    for part in parts if isinstance(parts, list) else []:
        assert isinstance(part, Part)
        found[str(part.get_param("name", header="content-disposition"))] = part
    if "to" not in found or "message" not in found:
        return None
    recipient = found["to"].get_payload()
    # The parser may change line ends of what it takes for text; the bytes are cut out themselves.
    boundary = b"--" + whole.get_boundary("").encode()
    piece = call.body.split(boundary)[2]
    return Posted(str(recipient), piece.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n"))


def refusal(status: int, message: str, **headers: str) -> Response:
    """A refusal in Mailgun's form."""
    return Response.of({"message": message}, status, **headers)


def is_json(text: bytes) -> bool:
    """Whether *text* is JSON."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
