"""SendGrid's lists (API v3), as far as its documentation says how they behave, on loopback."""

from collections.abc import Callable
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.provider_api import Call, ProviderAPI, Response

__all__ = ["KEY", "SendGridAPI"]

KEY = f"SG.{'k' * 22}.{'s' * 43}"
_READ = {
    "/v3/suppression/bounces": "bounces",
    "/v3/suppression/invalid_emails": "invalid_emails",
    "/v3/suppression/spam_reports": "spam_reports",
    "/v3/suppression/unsubscribes": "unsubscribes",
}
_REMOVE = {
    **{path: name for path, name in _READ.items() if name != "unsubscribes"},
    "/v3/asm/suppressions/global": "unsubscribes",
}


def refusal(status: int, message: str) -> Response:
    """A refusal in SendGrid's form."""
    return Response.of({"errors": [{"field": None, "message": message}]}, status)


class SendGridAPI:
    """One account with one key.

    Attributes:
        lists: name → address → reason.
        may: whether the key has the permission, not only that to send.
    """

    def __init__(self) -> None:
        self.lists: dict[str, dict[str, str]] = {name: {} for name in _READ.values()}
        self.may = True
        self.answer: Callable[[Call], Response | None] = lambda _: None
        self.server = ProviderAPI(self._answering)

    def _answering(self, call: Call) -> Response | None:
        instead = self.answer(call)
        if instead is not None:
            return instead
        if call.headers.get("authorization") != f"Bearer {KEY}":
            return refusal(401, "The provided authorization grant is invalid, expired, or revoked")
        if not self.may:
            return refusal(403, "access forbidden")
        parts = urlsplit(call.path)
        if call.method == "GET" and parts.path in _READ:
            asked = {name: int(words[0]) for name, words in parse_qs(parts.query).items()}
            entries = [*self.lists[_READ[parts.path]].items()][asked["offset"] :][: asked["limit"]]
            return Response.of(
                [{"email": one, "reason": why, "created": 1} for one, why in entries]
            )
        above, _, address = parts.path.rpartition("/")
        if call.method != "DELETE" or above not in _REMOVE:
            return refusal(404, "not found")
        if self.lists[_REMOVE[above]].pop(unquote(address), None) is None:
            return refusal(404, "resource not found")
        return Response(204)
