"""The number of a revision as a form sends it back: which one a person saw while editing."""

#: Digits that every database can hold.
_MOST_DIGITS = 9


def revision_seen(text: str) -> int:
    """The number that *text* is; -1, which no revision has, for anything else."""
    usual = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if usual else -1
