"""The link in every notice by which its reader ends such mail, and what is in it.

The link carries whom it is for and which kind of mail it came with, sealed: nobody can make one for
somebody else, and nothing is written down when a notice is queued. It works for as long as the key
that sealed it is in ``SMTP_ADMIN_SECRET_KEYS``.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flask import current_app

from smtp_admin.errors import MessageError, NotFound, SMTPAdminError
from smtp_admin.installation import installation
from smtp_admin.mail.addresses import address_of
from smtp_admin.translation import gettext

_BOUND = ("unsubscribe",)
_LONGEST = 2000


class Reader(NamedTuple):
    """Who holds a link: an address, and the kind of mail that brought it."""

    partner_id: str
    address: str
    type_name: str


def token_for(reader: Reader) -> str:
    """What stands in the link; empty where the app has no key to seal it with."""
    keyring = installation().keyring
    if not keyring:
        return ""
    return keyring.seal(json.dumps(reader), _BOUND).rstrip("=")


def reader_of(token: str) -> Reader:
    """Whom the link with *token* was made for.

    Raises:
        NotFound: it is no link of ours, or its key is no longer there.
    """
    try:
        if len(token) > _LONGEST or not token.isascii():
            raise ValueError
        padded = token + "=" * (-len(token.rpartition(".")[2]) % 4)
        partner_id, address, type_name = json.loads(installation().keyring.open(padded, _BOUND))
        return Reader(str(partner_id), str(address), str(type_name))
    except (SMTPAdminError, ValueError, TypeError) as error:
        raise NotFound(
            gettext("This link is not valid."), hint=gettext("Use the one in the newest mail.")
        ) from error


def unsubscribe_url(token: str) -> str:
    """The public address that ends such mail, or ``""`` where the app does not know its own.

    It is the configured one, in a request too: there a Host header says what its sender likes.
    """
    if not token:
        return ""
    base = installation().config.public_url
    if base:
        return f"{base}/unsubscribe/{token}"
    adapter = (
        current_app.create_url_adapter(None) if current_app.config.get("SERVER_NAME") else None
    )
    if adapter is None:
        return ""
    return adapter.build("smtp_admin_unsubscribe.ask", {"token": token}, force_external=True)


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
