"""What may name something that is stored: looked at wherever a name comes in."""

import re

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether every database can hold *text*; what it cannot hold names nothing that is there.

    PostgreSQL takes no NUL, and half a pair of UTF-16 has no bytes in UTF-8.
    """
    return not _UNSTORABLE.search(text)


def storable(text: str) -> str:
    """*text* with a mark in place of what no database can hold."""
    return _UNSTORABLE.sub("\ufffd", text)
