"""Two texts beside each other, line by line, with what differs between them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Literal

Kind = Literal["same", "changed", "only_old", "only_new", "skipped", "cut"]
#: Of lines that are the same, so many are shown around those that are not.
_AROUND = 2
#: To compare more takes a time that grows with the square; such a text is compared as one block.
_MOST_LINES = 600
#: A page shows no more; nobody reads a comparison of that length.
_MOST_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a comparison.

    Attributes:
        old, new: the line on each side; ``""`` where it has none.
        count: how many lines are left out here: the same ones, or ``cut`` at the end.
    """

    kind: Kind
    old: str = ""
    new: str = ""
    count: int = 0


def differences(old: str, new: str) -> list[Line]:
    """The lines of both that differ, with some around them; empty if none does."""
    before, after = old.splitlines(), new.splitlines()
    if before == after:
        return []
    found = list(_shortened([*_lines(before, after)]))
    rest = len(found) - _MOST_SHOWN
    return [*found[:_MOST_SHOWN], Line("cut", count=rest)] if rest > 0 else found


def _lines(before: Sequence[str], after: Sequence[str]) -> Iterator[Line]:
    start = _shared(before, after)
    end = _shared(before[start:][::-1], after[start:][::-1])
    yield from (Line("same", one, one) for one in before[:start])
    old = before[start : len(before) - end]
    new = after[start : len(after) - end]
    if max(len(old), len(new)) > _MOST_LINES:
        yield from _block(old, new)
    else:
        for tag, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
            if tag == "equal":
                yield from (Line("same", one, one) for one in old[a:b])
            else:
                yield from _block(old[a:b], new[c:d])
    yield from (Line("same", one, one) for one in before[len(before) - end :])


def _shared(before: Sequence[str], after: Sequence[str]) -> int:
    """How many lines are the same at the beginning."""
    count = 0
    for one, other in zip(before, after, strict=False):
        if one != other:
            break
        count += 1
    return count


def _block(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    for one, other in zip_longest(old, new):
        if one is None:
            yield Line("only_new", "", other)
        elif other is None:
            yield Line("only_old", one)
        else:
            yield Line("same" if one == other else "changed", one, other)


def _shortened(lines: Sequence[Line]) -> Iterator[Line]:
    """*lines* without most of those that are the same."""
    differ = [place for place, one in enumerate(lines) if one.kind != "same"]
    shown = {
        near
        for place in differ
        for near in range(max(0, place - _AROUND), place + _AROUND + 1)
    }  # fmt: skip
    skipped = 0
    for place, one in enumerate(lines):
        if place in shown:
            if skipped:
                yield Line("skipped", count=skipped)
            skipped = 0
            yield one
        else:
            skipped += 1
    if skipped:
        yield Line("skipped", count=skipped)
