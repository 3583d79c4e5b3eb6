"""The lists of a domain at Mailgun: bounces, complaints and unsubscribes.

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/bounces
"""

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from smtp_admin.http.connection import Answer
from smtp_admin.suppression.provider_lists.shape import (
    NOT_FOUND,
    Account,
    Listed,
    Page,
    Removal,
    fields_of,
    items_of,
    listed_as,
    of_one_reason,
    part_at,
    removal_of,
)
from smtp_admin.suppression.reasons import Reason
from smtp_admin.translation import gettext
from smtp_admin.transports.driver import Setup
from smtp_admin.transports.mailgun import account as mailgun

_A_PAGE = 1000
_LISTS: Mapping[str, Reason] = {
    "bounces": "bounce",
    "complaints": "complaint",
    "unsubscribes": "unsubscribe",
}
#: Who unsubscribed from all mail of the domain; other tags are the app's own.
_ALL_MAIL = "*"


def account_of(setup: Setup, configured: str) -> Account:
    """The lists that the sender's key may see, if it is not one that only sends.

    Args:
        configured: the address of the API that the operator configured instead, if any.
    """
    account = cast(mailgun.Account, setup.settings)
    authorization = mailgun.authorization(setup.credential)
    base = f"/v3/{account.domain}"
    return Account(
        provider="Mailgun",
        identity=("mailgun", account, setup.identity),
        endpoint=mailgun.endpoint_of(account, configured),
        lists=tuple(
            of_one_reason(name, reason, f"{base}/{name}?limit={_A_PAGE}", _read, removed=_removed)
            for name, reason in _LISTS.items()
        ),
        headers=lambda _: authorization,
        words=mailgun.words_of,
        redact=lambda: mailgun.redactor_for(setup.credential),
        page=f"https://app.mailgun.com/mg/sending/{account.domain}/suppressions",
        right=gettext("This needs a private API key of the account: a sending key may only send."),
    )


def _read(reason: Reason, found: Any, path: str) -> Page:
    document = fields_of(found)
    items = tuple(items_of(document.get("items")))
    listed = tuple(_listed(one, reason) for one in items if _concerns(one))
    # A next page is always named; after the last it is empty. Of its address only the query is
    # used, so that an answer cannot lead the key to another place.
    following = str(fields_of(document.get("paging")).get("next") or "")
    return Page(listed, part_at(path, urlsplit(following).query) if items else "")


def _listed(one: Mapping[str, Any], reason: Reason) -> Listed:
    detail = " ".join(str(one.get(name) or "") for name in ("code", "error")).strip()
    return listed_as(one.get("address"), reason, detail)


def _concerns(one: Mapping[str, Any]) -> bool:
    tags = one.get("tags")
    return not isinstance(tags, list) or not tags or _ALL_MAIL in tags


def _removed(answer: Answer) -> Removal:
    # That there is no such domain is told by the same status as that there is no such address.
    if answer.status == NOT_FOUND and "domain not found" in mailgun.words_of(answer).lower():
        return "refused"
    return removal_of(answer)
