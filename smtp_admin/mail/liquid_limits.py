"""How much a template may do: each value that it makes is small, and so is the sum of all work.

Nothing here asks the clock, so the same template does the same on a slow machine. One unit of
work is a letter of a value that is looked at or written, or one within a loop; the limits are such
that all of it takes well under a second and 20 MB.
"""

from collections.abc import Iterator
from io import StringIO
from typing import Any

from liquid import RenderContext
from liquid.exceptions import ResourceLimitError, UnknownFilterError
from liquid.undefined import UNDEFINED

from smtp_admin.translation import gettext, number

#: Units of work of one rendering.
MOST_WORK = 3_000_000
#: Letters of one value, and of the whole text.
MOST_TEXT = 500_000
#: Letters of all variables that a template makes.
_MOST_KEPT = 1_000_000
MOST_ITEMS = 10_000
_MOST_NUMBER = 10**30
_DEEPEST = 12
#: To look at an item takes as long as to look at so many letters.
_ITEM = 8


def too_much(words: str) -> ResourceLimitError:
    """What to raise where a limit is passed."""
    return ResourceLimitError(words, token=None)


class Limited(RenderContext):
    """What a rendering knows, with what is left of its work.

    Attributes:
        work: units that are left.
        loop_length: letters within the loop that is entered next.
    """

    __slots__ = ("_kept", "_sizes", "loop_length", "work")

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.work = MOST_WORK
        self.loop_length = 0
        self._kept = 0
        self._sizes: dict[str, int] = {}

    def spend(self, units: int) -> None:
        """Take *units* off what is left."""
        self.work -= units
        if self.work < 0:
            raise too_much(gettext("this takes too much work"))

    def get(self, path: list[object], *, token: Any, default: object = UNDEFINED) -> object:
        """A value of the mail; whoever asks for it may read all of it."""
        try:
            value = self.scope[path[0]]  # type: ignore[index]  # or it raises
            for segment in path[1:]:
                if type(value) is not dict or type(segment) is not str:
                    raise KeyError  # the long way round is right for all else
                value = value[segment]
        except (KeyError, TypeError, IndexError):
            value = super().get(path, token=token, default=default)
        kind = type(value)  # of an undefined value nothing else may be asked
        if kind is str or issubclass(kind, (str, list, dict)):
            self.work -= len(value)  # type: ignore[arg-type]  # it is one of those
            if self.work < 0:
                raise too_much(gettext("this takes too much work"))
        return value

    def filter(self, name: str, token: Any) -> Any:
        """The filter *name*, which spends of this rendering."""
        function = self.env.filters.get(name)
        if function is None:
            shown = f"'{name[:40]}'"
            raise UnknownFilterError(
                gettext("there is no filter %(name)s", name=shown), token=token
            )
        return lambda *args, **named: function(self, *args, **named)

    def assign(self, key: str, val: Any) -> None:
        """Keep a value under a name; all of them together are bounded."""
        size = self.weigh(val)
        self.spend(size)
        self._kept += size - self._sizes.get(key, 0)
        self._sizes[key] = size
        if self._kept > _MOST_KEPT:
            raise too_much(gettext("the variables of this template hold too much"))
        self.locals[key] = val

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Pay for a whole loop before it begins."""
        if length > MOST_ITEMS:
            raise too_much(
                gettext("a loop goes over more than %(most)s items", most=number(MOST_ITEMS))
            )
        self.spend(length * (self.loop_length + 10))

    def get_buffer(self, buf: Any = None) -> StringIO:
        """Where a part is written that is kept for later."""
        del buf
        return Writing(self)

    @staticmethod
    def weigh(value: object) -> int:
        """The letters and items of *value*.

        Raises:
            ResourceLimitError: it is larger than a value may be.
        """
        kind = type(value)
        if issubclass(kind, str):
            size = len(value)  # type: ignore[arg-type]  # a text
        elif issubclass(kind, int):
            if abs(value) > _MOST_NUMBER:  # type: ignore[arg-type]  # a number
                raise too_much(gettext("a number is too large"))
            return 1
        elif issubclass(kind, (list, tuple, dict)):
            size = 0
            for one in _sizes(value, 0):
                size += one
                if size > MOST_TEXT:
                    break
        elif issubclass(kind, range):
            if not value.stop - value.start <= MOST_ITEMS:  # type: ignore[attr-defined]  # a range
                raise too_much(
                    gettext("a range has more than %(most)s numbers", most=number(MOST_ITEMS))
                )
            size = _ITEM * len(value)  # type: ignore[arg-type]  # as above
        else:
            return 1
        if size > MOST_TEXT:
            raise too_much(
                gettext("a value has more than %(most)s characters", most=number(MOST_TEXT))
            )
        return size + 1


def _sizes(value: Any, depth: int) -> Iterator[int]:
    """The letters of each part of *value*."""
    if depth > _DEEPEST:
        raise too_much(gettext("a list is nested too deeply"))
    kind = type(value)
    if issubclass(kind, dict):
        yield _ITEM * len(value)
        for name, one in value.items():
            yield len(name) if type(name) is str else 1
            yield from _sizes(one, depth + 1)
    elif issubclass(kind, (list, tuple)):
        if len(value) > MOST_ITEMS:
            raise too_much(gettext("a list has more than %(most)s items", most=number(MOST_ITEMS)))
        yield _ITEM * len(value)
        for one in value:
            yield from _sizes(one, depth + 1)
    elif issubclass(kind, str):
        yield len(value)
    elif issubclass(kind, int) and abs(value) > _MOST_NUMBER:
        raise too_much(gettext("a number is too large"))


class Writing(StringIO):
    """Text that is written: only so much of it, and each letter of a value is work."""

    def __init__(self, context: Limited) -> None:
        super().__init__()
        self._context = context
        self._left = MOST_TEXT

    def write(self, text: str) -> int:
        """Add a value."""
        self._context.spend(len(text))
        return self.write_own(text)

    def write_own(self, text: str) -> int:
        """Add what stands in the template itself."""
        self._left -= len(text)
        if self._left < 0:
            raise too_much(
                gettext("the text has more than %(most)s characters", most=number(MOST_TEXT))
            )
        return StringIO.write(self, text)
