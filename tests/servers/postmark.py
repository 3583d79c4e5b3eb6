"""Postmark's suppressions, as far as its documentation says how they behave, on loopback."""

import json
from collections.abc import Callable

from tests.servers.provider_api import Call, ProviderAPI, Response

__all__ = ["TOKEN", "PostmarkAPI"]

TOKEN = "0a1b2c3d-1111-2222-3333-444455556666"


class PostmarkAPI:
    """One server with one token.

    Attributes:
        streams: id → address → reason and origin.
    """

    def __init__(self) -> None:
        self.streams: dict[str, dict[str, tuple[str, str]]] = {"outbound": {}, "broadcast": {}}
        self.answer: Callable[[Call], Response | None] = lambda _: None
        self.server = ProviderAPI(self._answering)

    def _answering(self, call: Call) -> Response | None:
        instead = self.answer(call)
        if instead is not None:
            return instead
        if call.headers.get("x-postmark-server-token") != TOKEN:
            words = "Bad or missing Server API token."
            return Response.of({"ErrorCode": 10, "Message": words}, 401)
        start, name, stream, what, last = call.path.split("/")
        assert (start, name, what) == ("", "message-streams", "suppressions")
        if stream not in self.streams:
            return Response.of({"ErrorCode": 1226, "Message": "The stream was not found."}, 404)
        entries = self.streams[stream]
        if (call.method, last) == ("GET", "dump"):
            return Response.of(
                {
                    "Suppressions": [
                        {"EmailAddress": one, "SuppressionReason": why, "Origin": origin}
                        for one, (why, origin) in entries.items()
                    ]
                }
            )
        assert (call.method, last) == ("POST", "delete")
        asked = [one["EmailAddress"] for one in json.loads(call.body)["Suppressions"]]
        return Response.of({"Suppressions": [self._delete(entries, one) for one in asked]})

    def _delete(self, entries: dict[str, tuple[str, str]], address: str) -> dict[str, object]:
        if entries.get(address, ("", ""))[0] == "SpamComplaint":
            words = "You do not have the required authority to change this suppression."
            return {"EmailAddress": address, "Status": "Failed", "Message": words}
        entries.pop(address, None)
        return {"EmailAddress": address, "Status": "Deleted", "Message": None}
