"""Lines of a list that cannot be used: told all at once, and skipped where a person says so."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from smtp_admin.errors import InvalidInput
from smtp_admin.translation import gettext, ngettext

#: Those that are shown; of the rest their number.
MOST_SHOWN = 20
#: The number of a line has no more digits.
_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Complaint:
    """A line that cannot be used, and why."""

    line: int
    words: str

    def __str__(self) -> str:
        return gettext("line %(line)s: %(words)s", line=self.line, words=self.words)


class BadLines(InvalidInput):
    """Some lines of a list cannot be used, and nothing was done with the others yet.

    Attributes:
        count: how many.
        skip: the numbers of all lines to leave out if the others are to be used; see
            :func:`numbers_of`. Empty where no line would be left.
    """

    def __init__(
        self, complaints: Sequence[Complaint], *, usable: int, skipped: Collection[int] = ()
    ) -> None:
        """*usable*: lines that can be used; *skipped*: those that are left out already."""
        self.count = len(complaints)
        numbers = sorted({*skipped, *(one.line for one in complaints)})
        self.skip = ",".join(map(str, numbers)) if usable else ""
        super().__init__(
            ngettext(
                "%(number)s line cannot be used. Nothing was done yet.",
                "%(number)s lines cannot be used. Nothing was done yet.",
                self.count,
            ),
            hint=gettext("Correct or remove these lines."),
            fields={"file": shown(complaints)},
        )


def shown(complaints: Sequence[Complaint]) -> list[str]:
    """The first of them, and how many more there are."""
    found = [str(one) for one in complaints[:MOST_SHOWN]]
    if len(complaints) > MOST_SHOWN:
        found.append(gettext("and %(number)s more", number=len(complaints) - MOST_SHOWN))
    return found


def numbers_of(text: str) -> frozenset[int]:
    """The numbers of lines that :attr:`BadLines.skip` wrote down; what is none is left out."""
    parts = (one.strip() for one in text.split(","))
    return frozenset(
        int(one) for one in parts if one.isascii() and one.isdigit() and len(one) <= _DIGITS
    )
