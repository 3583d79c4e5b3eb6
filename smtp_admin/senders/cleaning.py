"""The cleaners of the fields that every sender has, whatever its driver."""

import re

from smtp_admin.smtp.address import check_header_text, clean_address
from smtp_admin.smtp.header_guard import check_header
from smtp_admin.translation import gettext, said_by
from smtp_admin.transports.fields import whole_number

_LONGEST_NAME = 64
_MOST_MAILS = 10_000_000
_MOST_HEADERS, _LONGEST_HEADER = 20, 900
_MOST_FALLBACKS = 5
DEFAULT_CONNECTIONS = 2
MOST_CONNECTIONS = 20
#: How a list of fallbacks names the sender without a key, and the system's.
DEFAULT, SYSTEMS = "default", "system"
_KEY = re.compile(r"[a-z0-9-]{1,40}")

clean_connections = whole_number(
    1,
    MOST_CONNECTIONS,
    empty=DEFAULT_CONNECTIONS,
    sentence=gettext("Enter a whole number from 1 to %(most)s.", most=MOST_CONNECTIONS),
)
#: Mails per hour or day; ``None`` for no limit.
clean_limit = whole_number(
    1,
    _MOST_MAILS,
    empty=None,
    sentence=gettext("Enter a whole number from 1, or leave it empty for no limit."),
)


def clean_from_email(text: str) -> str:
    """The address that mails come from; empty for none yet."""
    # Only where a sender is saved is the library needed, and it takes long to import.
    from email_validator import EmailNotValidError, validate_email

    address = text.strip(" ")
    if not address:
        return ""
    named = re.fullmatch(r"[^<>]*<([^<>]*)>", address)
    if named:
        raise ValueError(
            gettext(
                "Enter only the address: %(named)s. Enter the name in its own field.",
                named=named[1][:254],
            )
        )
    address = clean_address(address)
    if not address.isascii():
        raise ValueError(gettext("A sender address may only have ASCII letters before the @."))
    try:
        # Two opinions: ours on what is safe on the wire, the library's on what can exist.
        validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(said_by(error)) from error
    return address


def clean_from_name(text: str) -> str:
    """The name beside the from address."""
    name = " ".join(text.split(" ")).strip()
    if len(name) > _LONGEST_NAME:
        raise ValueError(gettext("A name has at most 64 characters."))
    return check_header_text(name)


def clean_headers(text: str) -> tuple[tuple[str, str], ...]:
    """Headers that every mail of a sender carries, one in a line: ``Name: value``."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(
                gettext("Write “Name: value” in each line, not “%(line)s”.", line=line.strip()[:60])
            )
        name, value = check_header(name.strip(), value.strip())
        if not value or not value.isascii() or len(value) > _LONGEST_HEADER:
            raise ValueError(
                gettext("“%(name)s” needs a value of 1 to 900 ASCII characters.", name=name)
            )
        if name.lower() in {one.lower() for one, _ in found}:
            raise ValueError(gettext("“%(name)s” is here twice.", name=name))
        found.append((name, value))
    if len(found) > _MOST_HEADERS:
        raise ValueError(gettext("At most %(most)s headers.", most=_MOST_HEADERS))
    return tuple(found)


def clean_key(text: str) -> str:
    """The key of a sender: its name in addresses and commands, which never changes."""
    key = text.strip().lower()
    if not _KEY.fullmatch(key):
        raise ValueError(gettext("A key has 1 to 40 of these: a-z, 0-9, hyphen."))
    if key in {DEFAULT, SYSTEMS}:
        raise ValueError(gettext("“%(key)s” is reserved. Choose another key.", key=key))
    return key


def clean_fallbacks(text: str) -> tuple[str, ...]:
    """Senders that step in, in order; keys with commas or spaces between.

    ``default`` is the partner's sender without a key, ``system`` the system's, which comes last.
    Whether there are such senders is looked up where they are saved.
    """
    words = [word for word in re.split(r"[\s,]+", text.strip().lower()) if word]
    for word in words:
        if not _KEY.fullmatch(word):
            raise ValueError(gettext("“%(word)s” is not the key of a sender.", word=word[:60]))
    found = tuple(dict.fromkeys(words))
    if len(found) > _MOST_FALLBACKS:
        raise ValueError(gettext("At most %(most)s fallback senders.", most=_MOST_FALLBACKS))
    if SYSTEMS in found[:-1]:
        raise ValueError(gettext("The system's sender must be last."))
    return found
