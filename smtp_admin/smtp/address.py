"""The strict grammar of an envelope address, and the guard for text that goes into a header.

smtplib and the standard e-mail parsers *repair* a wrong address, which mails somebody else. Here
what was checked is what goes on the wire: a dot-atom local part (RFC 5321 section 4.1.2, without
quoted strings, comments, literals or routes) and a domain in ASCII.
"""

import re

import idna

from smtp_admin.translation import gettext

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_LOCAL_ASCII = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*")
_LOCAL_UTF8 = re.compile(rf"[{_ATEXT}\u00a1-\U0010ffff]+(?:\.[{_ATEXT}\u00a1-\U0010ffff]+)*")
#: What many programs decode even where it may not stand, and then see another address, or two.
_ENCODED_WORD = re.compile(r"=\?.*\?=")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST_LOCAL = 64
_LONGEST = 254
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def clean_address(text: str) -> str:
    """*text* as an envelope address: local part as typed, domain in lower-case ASCII.

    Raises:
        ValueError: with a sentence that says what is wrong.
    """
    address = text.strip(" ")
    if not address:
        raise ValueError(gettext("Enter an e-mail address."))
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise ValueError(gettext("An e-mail address needs a name, an @ and a domain."))
    if len(local.encode("utf-8", "surrogatepass")) > _LONGEST_LOCAL:
        raise ValueError(gettext("The part before the @ is longer than 64 characters."))
    if local.startswith("-"):
        raise ValueError(gettext("An e-mail address cannot begin with a hyphen."))
    if not (_LOCAL_ASCII.fullmatch(local) or _is_utf8_local(local)):
        raise ValueError(gettext("The part before the @ contains a character that is not allowed."))
    if _ENCODED_WORD.search(local):
        raise ValueError(gettext("The part before the @ looks like encoded text (=?…?=)."))
    cleaned = f"{local}@{_ascii_domain(domain)}"
    if len(cleaned) > _LONGEST:
        raise ValueError(gettext("This address is longer than 254 characters."))
    return cleaned


def _is_utf8_local(local: str) -> bool:
    return not _FORBIDDEN.search(local) and bool(_LOCAL_UTF8.fullmatch(local))


def _ascii_domain(domain: str) -> str:
    name = domain.lower()
    try:
        if not name.isascii():
            name = idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(gettext("The domain after the @ is not valid.")) from error
    labels = name.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004
        raise ValueError(gettext("The domain after the @ should look like example.com."))
    if labels[-1].isdigit():
        raise ValueError(gettext("The domain after the @ cannot be an IP address."))
    return name


def domain_of(address: str) -> str:
    """The domain of a cleaned address."""
    return address.rpartition("@")[2]


def is_within(domain: str, other: str) -> bool:
    """Whether *domain* is *other*, or below it: whoever owns that owns both."""
    domain, other = domain.lower(), other.lower()
    return bool(other) and (domain == other or domain.endswith(f".{other}"))


def check_header_text(text: str) -> str:
    """*text* if it may stand in a header, else an error.

    Control characters would start a header of their own; an encoded word (``=?…?=``) may hide
    one, which Python writes out decoded on some patch levels (CVE-2024-6923).

    Raises:
        ValueError: with a sentence that says what is wrong.
    """
    if _FORBIDDEN.search(text):
        raise ValueError(gettext("Line breaks and control characters are not allowed here."))
    if "=?" in text:
        raise ValueError(gettext("“=?” is not allowed here."))
    return text
