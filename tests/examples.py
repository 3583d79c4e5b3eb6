"""How many examples a property is tried with."""

import os

__all__ = ["LONG", "examples"]

#: Whether what takes minutes is run too.
LONG = bool(os.environ.get("SMTP_ADMIN_TEST_LONG"))
#: What is left of them elsewhere, and how many are always tried.
_SHARE, _LEAST = 4, 25


def examples(count: int) -> int:
    """So many in the long run, and else a quarter: each finds less than those before it."""
    return count if LONG else min(count, max(_LEAST, count // _SHARE))
