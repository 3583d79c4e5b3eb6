"""Whose address or domain a server's words name: the recipient's, the sender's, or another's."""

import re

_CUT = re.compile(r"(?:\.{3}|…)\s*$")
_NAME = re.compile(
    r"[^\s,;<>()\"'\[\]:]+@[^\s,;<>()\"'\[\]:]+|[^\s,;<>()\"'\[\]:@]+\.[^\s,;<>()\"'\[\]:@]+"
)


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
