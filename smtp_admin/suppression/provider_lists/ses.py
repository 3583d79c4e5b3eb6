"""The suppression list of an account at Amazon SES, of one region.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListSuppressedDestinations.html
"""

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlencode

from smtp_admin.http.connection import Answer
from smtp_admin.suppression.provider_lists.shape import (
    FORBIDDEN,
    NOT_FOUND,
    OK,
    Account,
    Call,
    Page,
    Removal,
    TheirList,
    fields_of,
    items_of,
    listed_as,
    one_by_one,
    part_at,
    text_of,
)
from smtp_admin.suppression.reasons import Reason
from smtp_admin.translation import gettext
from smtp_admin.transports.driver import Setup
from smtp_admin.transports.ses import account as ses
from smtp_admin.transports.ses.signing import signer_of_keys, with_content

_PATH = "/v2/email/suppression/addresses"
_A_PAGE = 100
_REASONS: Mapping[str, Reason] = {"BOUNCE": "bounce", "COMPLAINT": "complaint"}


def account_of(setup: Setup, configured: str) -> Account:
    """The list that the sender's key may see.

    Args:
        configured: the address of the API that the operator configured instead, if any.
    """
    account = cast(ses.SESAccount, setup.settings)
    endpoint = ses.endpoint_of(account, configured)
    signer = signer_of_keys(account.region, setup.credential)

    def headers(call: Call) -> Mapping[str, str]:
        return with_content(signer.headers(call.method, endpoint, call.path, call.body))

    return Account(
        provider="Amazon SES",
        identity=("ses", account.region, setup.identity),
        endpoint=endpoint,
        lists=(_LIST,),
        headers=headers,
        words=ses.words_of,
        redact=signer.redactor,
        page=f"https://{_console(account.region)}/ses/home?region={account.region}"
        "#/suppression-list",
        right=gettext(
            "The key must be allowed ses:ListSuppressedDestinations and "
            "ses:DeleteSuppressedDestination."
        ),
    )


def _console(region: str) -> str:
    return "console.amazonaws.cn" if region.startswith("cn-") else "console.aws.amazon.com"


def _read(found: Any, path: str) -> Page:
    document = fields_of(found)
    listed = tuple(
        listed_as(one.get("EmailAddress"), _REASONS[text_of(one.get("Reason"))])
        for one in items_of(document.get("SuppressedDestinationSummaries") or [])
        if text_of(one.get("Reason")) in _REASONS
    )
    token = text_of(document.get("NextToken"))
    following = urlencode({"PageSize": _A_PAGE, "NextToken": token})
    return Page(listed, part_at(path, following) if token else "")


def _removed(answer: Answer) -> Removal:
    if answer.status == OK:
        return "removed"
    if answer.status == NOT_FOUND and ses.kind_of(answer) == "NotFoundException":
        return "absent"
    return "refused" if answer.status == FORBIDDEN else "failed"


_LIST = TheirList(
    name="suppression list",
    reasons=tuple(_REASONS.values()),
    first=f"{_PATH}?PageSize={_A_PAGE}",
    read=_read,
    remove=one_by_one(_PATH),
    removed=_removed,
)
