"""Whose page of one name one may open: found by name, a page at a time."""

from dataclasses import dataclass
from math import ceil

from flask import request, url_for

from smtp_admin import web
from smtp_admin.access import Action, allowed
from smtp_admin.database import SYSTEM
from smtp_admin.pages import lists
from smtp_admin.pages.sender_frame import OWNER_OF_SYSTEM

PER_PAGE = 50
#: From so many on there is a search.
_MANY = 10


@dataclass(frozen=True, slots=True)
class Owners:
    """A page of them, by name, the system first.

    Attributes:
        shown: ids and names.
        words: what was searched for in names and ids.
        all: how many there are, *found* of which fit.
        first: the number of the first that is shown, from 1.
        here: the address of the list without a search; *previous* and *next* are pages of it, or
            empty.
    """

    shown: tuple[tuple[str, str], ...]
    words: str
    all: int
    found: int
    first: int
    here: str
    previous: str
    next: str

    @property
    def last(self) -> int:
        """The number of the last that is shown."""
        return self.first + len(self.shown) - 1

    @property
    def are_many(self) -> bool:
        """Whether one would rather search."""
        return self.all > _MANY


def owners(of_system: Action, system: str = OWNER_OF_SYSTEM) -> Owners:
    """Those whose page the present person may open, as the address asks for them.

    Args:
        of_system: what one must be allowed to do to open the system's.
        system: what that is called.
    """
    every = [(one.id, one.name) for one in web.visible_partners()]
    if allowed(web.current_actor(), of_system):
        every.insert(0, (SYSTEM, system))
    words = " ".join(lists.word("q").split())
    wanted = web.letters(words)
    fitting = [one for one in every if any(wanted in web.letters(text) for text in one)]
    pages = max(1, ceil(len(fitting) / PER_PAGE))
    page = min(max(1, lists.number("page")), pages)
    start = (page - 1) * PER_PAGE
    here = url_for(request.endpoint or "")

    def at(number: int) -> str:
        there = 1 <= number <= pages
        return lists.address(here, {"q": words}, page=number if number > 1 else 0) if there else ""

    return Owners(
        shown=tuple(fitting[start : start + PER_PAGE]),
        words=words,
        all=len(every),
        found=len(fitting),
        first=start + 1,
        here=here,
        previous=at(page - 1),
        next=at(page + 1),
    )
