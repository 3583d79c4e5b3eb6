"""The link in every notice by which its reader ends such mail, and what is in it.

The link carries whom it is for and which kind of mail it came with: see
:mod:`smtp_admin.mail.links`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from smtp_admin.errors import MessageError
from smtp_admin.mail.addresses import address_of
from smtp_admin.mail.links import parts_of, public_address, token_of


class Reader(NamedTuple):
    """Who holds a link: an address, and the kind of mail that brought it."""

    partner_id: str
    address: str
    type_name: str


def token_for(reader: Reader) -> str:
    """What stands in the link; empty where the app has no key to seal it with."""
    return token_of("unsubscribe", reader)


def reader_of(token: str) -> Reader:
    """Whom the link with *token* was made for.

    Raises:
        NotFound: it is no link of ours, or its key is no longer there.
    """
    return Reader(*parts_of("unsubscribe", token, len(Reader._fields)))


def unsubscribe_url(token: str, language: str = "") -> str:
    """The public address that ends such mail, or ``""`` where the app does not know its own.

    Args:
        language: of the mail that it stands in.
    """
    return public_address("/unsubscribe", "smtp_admin_unsubscribe.ask", token, language)


def only_address(to: object) -> str:
    """The address of the one recipient; empty for several, or for what is no address.

    All recipients of one mail get the same link, which would let each unsubscribe the others.
    """
    recipients: Sequence[object] = [to] if isinstance(to, str) else list(to)  # type: ignore[call-overload]  # what is no list is refused where the mail is built
    if len(recipients) != 1:
        return ""
    try:
        return address_of(recipients[0])[1]
    except MessageError:
        return ""


def list_headers(link: str) -> Mapping[str, str]:
    """What lets a mail program offer to unsubscribe (RFC 2369, and RFC 8058 for one click)."""
    if not link:
        return {}
    headers = {"List-Unsubscribe": f"<{link}>"}
    if link.startswith("https:"):  # one click in the mail program, without a visit
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers
