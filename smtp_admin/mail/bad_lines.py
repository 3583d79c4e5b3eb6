"""Lines of a list that cannot be used: told all at once, and skipped where a person says so."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from smtp_admin.errors import InvalidInput
from smtp_admin.translation import gettext, joined, ngettext, number

#: Reasons that are shown, and lines of each; of the rest their number.
MOST_SHOWN, _MOST_LINES = 20, 10
#: The number of a line has no more digits.
_DIGITS = 8


@dataclass(frozen=True, slots=True, init=False)
class Complaint:
    """A line that cannot be used, and why: all that is wrong with it."""

    line: int
    words: tuple[str, ...]

    def __init__(self, line: int, *words: str) -> None:
        object.__setattr__(self, "line", line)
        object.__setattr__(self, "words", words)

    def __str__(self) -> str:
        return _told([self.line], joined(self.words))


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
    """Each reason once with its lines: the first of them, and how many more there are."""
    lines: dict[str, list[int]] = {}
    for one in complaints:
        for words in one.words:
            lines.setdefault(words, []).append(one.line)
    found = [_told(numbers, words) for words, numbers in [*lines.items()][:MOST_SHOWN]]
    if len(lines) > MOST_SHOWN:
        found.append(gettext("and %(number)s more", number=len(lines) - MOST_SHOWN))
    return found


def _told(lines: Sequence[int], words: str) -> str:
    """*words* with the lines that they are about, such as 2–23 and 30."""
    if len(lines) == 1:
        return gettext("line %(line)s: %(words)s", line=lines[0], words=words)
    runs: list[list[int]] = []
    for one in lines:
        if runs and one == runs[-1][-1] + 1:
            runs[-1][1:] = [one]
        else:
            runs.append([one])
    told = ["–".join(map(str, run)) for run in runs[:_MOST_LINES]]
    if len(runs) > _MOST_LINES:
        told.append("…")
    return gettext(
        "%(number)s lines (%(lines)s): %(words)s",
        number=number(len(lines)),
        lines=", ".join(told),
        words=words,
    )


def numbers_of(text: str) -> frozenset[int]:
    """The numbers of lines that :attr:`BadLines.skip` wrote down; what is none is left out."""
    parts = (one.strip() for one in text.split(","))
    return frozenset(
        int(one) for one in parts if one.isascii() and one.isdigit() and len(one) <= _DIGITS
    )
