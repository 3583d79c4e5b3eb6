"""The list of a message stream at Postmark, for senders whose SMTP login is the server's token.

https://postmarkapp.com/developer/api/suppressions-api
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from smtp_admin.http.connection import Answer
from smtp_admin.http.endpoint import Endpoint
from smtp_admin.smtp.redaction import Redactor
from smtp_admin.suppression.provider_lists.shape import (
    OK,
    Account,
    Call,
    Listed,
    Page,
    Removal,
    TheirList,
    fields_of,
    items_of,
    listed_as,
    removal_of,
    text_of,
)
from smtp_admin.suppression.reasons import ALL, Reason
from smtp_admin.translation import gettext
from smtp_admin.transports import api_call
from smtp_admin.transports.driver import Setup

_REASONS: Mapping[str, Reason] = {"HardBounce": "bounce", "SpamComplaint": "complaint"}


def account_of(setup: Setup, url: str, stream: str) -> Account:
    """The list of the message stream that the sender's mail goes by.

    Args:
        url: of the API.
    """
    token = setup.credential.secrets[0]
    base = {"X-Postmark-Server-Token": token, "Accept": "application/json"}
    return Account(
        provider="Postmark",
        identity=("postmark", url, stream, setup.identity),
        endpoint=Endpoint.of(url),
        lists=(_list(stream),),
        headers=lambda call: base | ({"Content-Type": "application/json"} if call.body else {}),
        words=_words,
        redact=lambda: Redactor([token]),
        page="https://account.postmarkapp.com/servers",
        right=gettext(
            "The token must be the Server API token. A complaint is removed by Postmark’s support "
            "alone."
        ),
    )


def _list(stream: str) -> TheirList:
    path = f"/message-streams/{quote(stream, safe='')}/suppressions"
    return TheirList(
        name=stream,
        reasons=(*_REASONS.values(), "unsubscribe", "manual"),
        first=f"{path}/dump",
        read=_read,
        remove=partial(_remove, path),
        removed=_removed,
    )


def _remove(path: str, address: str) -> Call:
    document = {"Suppressions": [{"EmailAddress": address}]}
    return Call("POST", f"{path}/delete", json.dumps(document).encode())


def _read(found: Any, _path: str) -> Page:
    items = items_of(fields_of(found).get("Suppressions"))
    return Page(tuple(_listed(one) for one in items))


def _listed(one: Mapping[str, Any]) -> Listed:
    address = text_of(one.get("EmailAddress"))
    reason = _REASONS.get(text_of(one.get("SuppressionReason")))
    if reason is None and one.get("Origin") == "Recipient":
        reason = "unsubscribe"
    return listed_as(address, reason) if reason else Listed(address, "manual", ALL)


def _removed(answer: Answer) -> Removal:
    if answer.status != OK:
        # A stream that does not exist is no sign that the address may have mail.
        return "refused" if (found := removal_of(answer)) == "absent" else found
    (status, _), *_ = _results(answer) or [("", "")]
    return "removed" if status == "Deleted" else "refused"


def _results(answer: Answer) -> list[tuple[str, str]]:
    try:
        items = items_of((api_call.document_of(answer) or {}).get("Suppressions"))
    except ValueError:
        return []
    return [(text_of(one.get("Status")), text_of(one.get("Message"))) for one in items]


def _words(answer: Answer) -> str:
    said = text_of((api_call.document_of(answer) or {}).get("Message"))
    return said or " ".join(message for _, message in _results(answer))
