"""Which values a mail must have: one rule for every way in, and its words.

A value is needed where its type has no default for it. Then it must be there, and say something:
text of which nothing is seen, or none at all, would leave a gap in a sentence that somebody reads.
What may rightly be empty has a default. A list may always be empty, and 0 is a number.
"""

from collections.abc import Mapping
from typing import Any
from unicodedata import category

from smtp_admin.errors import MessageError
from smtp_admin.mail.types import EmailType
from smtp_admin.translation import gettext, joined

#: What every mail is given by us, whatever its type says; the link may be empty.
_OURS = frozenset({"app_name", "unsubscribe_url"})
#: Kinds of characters that nobody sees by themselves: controls and spaces, joiners and marks of
#: direction, and what is put on another letter. Between letters they belong to real text and to
#: emoji. What is not assigned may be an emoji that is newer than the table.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn", "Mc", "Me"})
#: Letters and signs that are blank.
_BLANK = frozenset(
    "\N{HANGUL FILLER}\N{HALFWIDTH HANGUL FILLER}\N{HANGUL CHOSEONG FILLER}"
    "\N{HANGUL JUNGSEONG FILLER}\N{BRAILLE PATTERN BLANK}"
)


def needed_of(type_: EmailType) -> frozenset[str]:
    """The variables that whoever sends such mail must give."""
    return frozenset(type_.variables.keys() - type_.defaults.keys() - _OURS)


def empty_complaints(type_: EmailType, values: Mapping[str, Any]) -> list[str]:
    """A sentence for each needed value that is given and says nothing."""
    return [
        gettext("%(name)s is empty, but the mail needs it.", name=name)
        for name in sorted(needed_of(type_) & values.keys())
        if is_empty(values[name])
    ]


def refuse_incomplete(type_: EmailType, values: Mapping[str, Any]) -> None:
    """Return if *values*, with the defaults, are all that a mail of *type_* needs.

    Raises:
        MessageError: some are missing or empty; it names all of them.
    """
    wrong = empty_complaints(type_, values)
    missing = type_.variables.keys() - values.keys()
    if missing:
        words = gettext(
            "The e-mail type %(name)s needs these values too: %(missing)s.",
            name=type_.name,
            missing=", ".join(sorted(missing)),
        )
        wrong.insert(0, words)
    if wrong:
        raise MessageError(joined(wrong))


def is_empty(value: Any) -> bool:
    """Whether *value* says nothing to whoever reads it."""
    return value is None or (isinstance(value, str) and not any(map(_is_seen, value)))


def _is_seen(letter: str) -> bool:
    return category(letter) not in _UNSEEN and letter not in _BLANK
