"""How much the templates that partners write may do in many mails.

One mail is bounded by itself, and may take half a second. A thousand such mails would hold a web
process, or the worker of everybody's mail, for minutes. So what a template does beyond a fair share
for each mail is counted for its owner, and there is only so much of it in some minutes. Whichever
template goes beyond is set aside until then: its mails have the shipped text at once.

It is counted by each process, not for each call: whoever sends in a loop, or a run of reminders
that commits after each customer, makes the same work as one batch.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from smtp_admin.errors import TemplateError
from smtp_admin.installation import Installation, Kept, installation
from smtp_admin.translation import gettext

#: Units of one mail that nobody counts: ten times what the shipped templates take.
SHARE = 100_000
#: Units beyond that, of all templates of an owner together, in so many seconds: some seconds' work.
MOST_BEYOND = 30_000_000
SECONDS = 600.0


class Owned(Protocol):
    """A template that somebody has written, which is its own key."""

    @property
    def partner_id(self) -> str:
        """Whose it is."""
        ...

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Which it is, with its revision: a text that was mended begins anew."""
        ...


def too_much() -> TemplateError:
    """Why a template is set aside."""
    return TemplateError(gettext("This takes too much work for so many mails."))


@dataclass(slots=True)
class Work:
    """What the templates of one mail may still do, in units of ``liquid_limits``."""

    left: int

    def spend(self, units: int) -> None:
        """Take *units* off what is left.

        Raises:
            TemplateError: nothing is left.
        """
        self.left -= units
        self.check()

    def check(self) -> None:
        """Return if something is left.

        Raises:
            TemplateError: it is not.
        """
        if self.left < 0:
            raise too_much()


@dataclass(slots=True)
class _Purse:
    """What one owner's templates may do. Two threads may both spend the last of it: no harm."""

    begun: float = field(default_factory=time.monotonic)
    left: int = field(default_factory=lambda: MOST_BEYOND)
    aside: set[tuple[str, str, str, int]] = field(default_factory=set)


def _make(_here: Installation) -> dict[str, _Purse]:
    return {}


_PURSES = Kept[dict[str, _Purse]](_make)


@contextmanager
def work_for(template: Owned) -> Iterator[Work]:
    """What *template* may do in one mail.

    Raises:
        TemplateError: it did too much in the last minutes; or it does so now.
    """
    purses = _PURSES.of(installation())
    purse = purses.get(template.partner_id)
    if purse is None or time.monotonic() - purse.begun >= SECONDS:
        purse = purses[template.partner_id] = _Purse()
    if template.key in purse.aside:
        raise too_much()
    given = SHARE + max(0, purse.left)
    work = Work(given)
    try:
        yield work
    finally:
        purse.left -= max(0, given - work.left - SHARE)
        if work.left < 0:
            purse.aside.add(template.key)
