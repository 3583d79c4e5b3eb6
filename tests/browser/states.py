"""States of pages: functions that bring one about, each under its name with its looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .inspection import ALL_LOOKS, Look
from .site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["State", "States", "at"]

State = Callable[["Page", Site], None]


class States(dict[str, tuple[State, tuple[Look, ...]]]):
    """The states that one file of tests looks at."""

    def add(self, looks: tuple[Look, ...] = ALL_LOOKS) -> Callable[[State], State]:
        """List a function that brings a page into a state."""

        def add(function: State) -> State:
            self[function.__name__] = (function, looks)
            return function

        return add


def at(page: Page, site: Site, path: str, status: int = 200) -> None:
    """Go to a page that answers with this status."""
    answer = page.goto(site.url + path)
    assert answer is not None
    assert answer.status == status
