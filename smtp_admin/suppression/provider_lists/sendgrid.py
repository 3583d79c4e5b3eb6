"""The lists of an account or subuser at SendGrid, for senders whose SMTP password is an API key.

Blocks are no part of it: SendGrid goes on sending to an address after one. Nor are groups of
unsubscribes, which only concern mail that names its group.
https://www.twilio.com/docs/sendgrid/api-reference/bounces-api
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from smtp_admin.http.connection import Answer
from smtp_admin.http.endpoint import Endpoint
from smtp_admin.smtp.redaction import Redactor
from smtp_admin.suppression.provider_lists.shape import (
    Account,
    Page,
    items_of,
    listed_as,
    of_one_reason,
    part_at,
)
from smtp_admin.suppression.reasons import Reason
from smtp_admin.translation import gettext
from smtp_admin.transports.driver import Setup

_A_PAGE = 500
#: Name → our reason, where it is read, and what an address that is taken off stands below instead.
_LISTS: Mapping[str, tuple[Reason, str, str]] = {
    "bounces": ("bounce", "/v3/suppression/bounces", ""),
    "invalid emails": ("bounce", "/v3/suppression/invalid_emails", ""),
    "spam reports": ("complaint", "/v3/suppression/spam_reports", ""),
    "global unsubscribes": (
        "unsubscribe",
        "/v3/suppression/unsubscribes",
        "/v3/asm/suppressions/global",
    ),
}


def account_of(setup: Setup, url: str) -> Account:
    """The lists that the sender's API key may see.

    Args:
        url: of the API of the server's region.
    """
    key = setup.credential.secrets[0]
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
    return Account(
        provider="SendGrid",
        identity=("sendgrid", url, setup.identity),
        endpoint=Endpoint.of(url),
        lists=tuple(
            of_one_reason(name, reason, part_at(path, _query(0)), _read, entries=entries)
            for name, (reason, path, entries) in _LISTS.items()
        ),
        headers=lambda _: headers,
        words=_words,
        redact=lambda: Redactor([key]),
        page="https://app.sendgrid.com/suppressions",
        right=gettext("The API key needs the permission “Suppressions”, not only “Mail Send”."),
    )


def _query(offset: int) -> str:
    return f"limit={_A_PAGE}&offset={offset}"


def _read(reason: Reason, found: Any, path: str) -> Page:
    items = tuple(items_of(found))
    listed = tuple(listed_as(one.get("email"), reason, one.get("reason")) for one in items)
    offset = int(parse_qs(urlsplit(path).query)["offset"][0]) + len(items)
    return Page(listed, part_at(path, _query(offset)) if len(items) >= _A_PAGE else "")


def _words(answer: Answer) -> str:
    try:
        errors = items_of(json.loads(answer.body)["errors"])
        return " ".join(str(one.get("message", "")) for one in errors)
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
