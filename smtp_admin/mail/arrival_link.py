"""The link in a test mail by which its reader says that it arrived.

It carries the id of that mail and nothing else; see :mod:`smtp_admin.mail.links`.
"""

from smtp_admin.installation import installation
from smtp_admin.mail.links import parts_of, public_address, token_of

#: Where the page is, below the prefix of all pages.
PATH = "/test-mail"


def arrival_url(public_id: str, language: str = "") -> str:
    """The public address where one says that this mail arrived.

    It is ``""`` where the app does not know its own address, or has no key.

    Args:
        language: of the mail.
    """
    prefix = installation().config.url_prefix
    token = token_of("arrival", [public_id])
    return public_address(prefix + PATH, "smtp_admin_arrival.ask", token, language)


def has_links() -> bool:
    """Whether test mails carry such a link here."""
    return bool(arrival_url("0" * 32))


def mail_of(token: str) -> str:
    """The id of the mail that the link with *token* came with.

    Raises:
        NotFound: it is no link of ours, or its key is no longer there.
    """
    return parts_of("arrival", token, 1)[0]
