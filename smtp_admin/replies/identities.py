"""Whose address or domain a server's words name, and the words without what these are called."""

import re

_CUT = re.compile(r"(?:\.{3}|…)\s*$")
_NAME = re.compile(
    r"[^\s,;<>()\"'\[\]:]+@[^\s,;<>()\"'\[\]:]+|[^\s,;<>()\"'\[\]:@]+\.[^\s,;<>()\"'\[\]:@]+"
)
# Without what only stands before an address in a link.
_ADDRESS = re.compile(r"[^\s,;<>()\"'\[\]:@/?&=]+@[^\s,;<>()\"'\[\]:@/?&]+")
_QUOTES = frozenset("<'\"(`")


def names(words: str, address: str) -> bool:
    """Whether *words*, a list of addresses and domains, name *address* or its domain.

    Capital letters do not count. A list that ends in "..." was cut off by the server, so its last
    name may be the beginning of a longer one.
    """
    if not address:
        return False
    wanted = address.casefold()
    domain = wanted.rpartition("@")[2]
    cut = _CUT.search(words)
    found = [one.casefold().strip(".") for one in _NAME.findall(_CUT.sub("", words))]
    for one in found:
        if one in (wanted, domain) or ("@" not in one and domain.endswith(f".{one}")):
            return True
    return bool(cut and found and "@" in found[-1] and wanted.startswith(found[-1]))


def without_names(words: str, *known: str) -> str:
    """*words* with an ``x`` for each letter of an address, and of *known* addresses and hosts.

    Servers repeat whom a mail is for, and ``dmarc@spamhaus.example`` says nothing about DMARC. Each
    other letter keeps its place.
    """
    found = _ADDRESS.sub(lambda address: _hidden(address[0]), words) if "@" in words else words
    small = words.lower()
    if len(small) != len(words):  # a letter that is two as a small one: where is unknown
        return found
    for one in known:
        address = one.lower()
        local, _, domain = address.rpartition("@")
        for name in (address, domain):
            found = _without(found, small, name)
        if local:
            found = _without(found, small, local, quoted=True)
    return found


def _without(found: str, small: str, name: str, *, quoted: bool = False) -> str:
    """*found* without *name* where it stands by itself in *small*, or in quotes."""
    start = small.find(name) if name else -1
    while start >= 0:
        end = start + len(name)
        before, after = small[start - 1 : start], small[end : end + 1]
        inside = before.isalnum() or after.isalnum() or before in {".", "-", "_"} or after == "-"
        if before in _QUOTES if quoted else not inside:
            found = found[:start] + _hidden(found[start:end]) + found[end:]
        start = small.find(name, end)
    return found


def _hidden(name: str) -> str:
    return "".join("x" if one.isalnum() else one for one in name)
