"""Host names as people type them, and the one spelling that goes to the resolver."""

import ipaddress
import re

import idna

from smtp_admin.translation import gettext

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_LONGEST = 253


def ip_literal(host: str) -> IPAddress | None:
    """The address that *host* spells in the ordinary way, or ``None`` for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def clean_host(text: str, example: str = "smtp.example.com") -> str:
    """The host name or IP address that *text* means, in lower case and in ASCII (A-labels).

    Only the ordinary spelling of an IP address is taken: resolvers also read ``127.1``,
    ``0x7f.1`` and ``2130706433`` as addresses, which is how a check is talked round.

    Args:
        example: what such a name looks like, for the errors.

    Raises:
        ValueError: with a sentence that says what is wrong and what would be right.
    """
    host = text.strip()
    if not host:
        raise ValueError(
            gettext("Enter the host name of the mail server, such as %(example)s.", example=example)
        )
    _refuse_other_things(host)
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    address = ip_literal(bare)
    if address is not None:
        if getattr(address, "scope_id", None):
            raise ValueError(gettext("An address with a zone (%…) cannot be used."))
        return str(address)
    if ":" in host:
        raise ValueError(gettext("Put the port into its own field, without a colon."))
    return _ascii_name(host, example)


def _refuse_other_things(host: str) -> None:
    if "://" in host:
        scheme = host.partition("://")[0]
        raise ValueError(
            gettext("Leave out “%(scheme)s://”. Only the host name is needed.", scheme=scheme)
        )
    if "/" in host or "\\" in host:
        raise ValueError(gettext("Leave out the slash. Only the host name is needed."))
    if "@" in host:
        raise ValueError(
            gettext("This looks like an e-mail address. Enter the mail server's host name.")
        )
    if any(ord(letter) <= 0x20 or 0x7F <= ord(letter) <= 0xA0 for letter in host):  # noqa: PLR2004
        raise ValueError(gettext("A host name has no spaces or control characters."))


def _ascii_name(host: str, example: str) -> str:
    name = host.lower().removesuffix(".")
    try:
        if not name.isascii():
            # uts46 folds what people type (capitals, full-width letters) as browsers do.
            name = idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(gettext("This is not a valid international host name.")) from error
    labels = name.split(".")
    if len(name) > _LONGEST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(
            gettext(
                "This is not a valid host name. It should look like %(example)s.", example=example
            )
        )
    # A last label of digits is read as an IPv4 address by resolvers (RFC 3696 section 2).
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        raise ValueError(gettext("This is neither a host name nor an ordinary IP address."))
    return name


def display_host(host: str) -> str:
    """*host* as people read it: international names in their own letters."""
    try:
        return idna.decode(host) if "xn--" in host else host
    except idna.IDNAError:
        return host


def is_host_name(text: str) -> bool:
    """Whether *text* can be a name in EHLO: letters, digits, hyphens and dots."""
    return bool(re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", text))
