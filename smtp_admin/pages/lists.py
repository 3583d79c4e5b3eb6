"""What every list has in common: whose rows one sees, filters in the address, pages, and CSV."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from urllib.parse import urlencode

from flask import Response, request, stream_with_context
from sqlalchemy.orm import Session

from smtp_admin import access, web
from smtp_admin.csv_cells import safe_cell
from smtp_admin.delivery.mail_log import OLDEST
from smtp_admin.identifiers import storable
from smtp_admin.translation import gettext

PAGE_SIZE = 50
#: Names in addresses → how far back, and what people read.
PERIODS: dict[str, tuple[timedelta, str]] = {
    "1h": (timedelta(hours=1), gettext("Last hour")),
    "24h": (timedelta(hours=24), gettext("Last 24 hours")),
    "7d": (timedelta(days=7), gettext("Last 7 days")),
    "30d": (timedelta(days=30), gettext("Last 30 days")),
}
#: Names of what says where in the list one is: another filter begins anew.
_PLACES = ("before", "after", "mail", "oldest", "export")
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Pager:
    """Where the neighbours of a page are; ``""`` where there is none."""

    newest: str = ""
    newer: str = ""
    older: str = ""
    oldest: str = ""


def scope() -> frozenset[str] | None:
    """Whose rows the present person may see: the ids of partners, or ``None`` for everybody's."""
    return access.scope(web.signed_in())


def given(name: str) -> bool:
    """Whether the request says anything under this name, be it nothing."""
    return name in request.values or (_has_json() and name in web.read_json())


def _given(name: str) -> str:
    """What the address or the form says, or JSON that was sent."""
    found: object = request.values.get(name, "")
    if _has_json():
        found = web.read_json().get(name, found)
    # What no database can hold names nothing that is there.
    return storable(str(found)) if isinstance(found, str | int) else ""


def _has_json() -> bool:
    return request.is_json and request.method == "POST"


def number(name: str) -> int:
    """A whole number of the address; 0 for anything else."""
    return next(iter(numbers([_given(name)])), 0)


def numbers(texts: Iterable[object]) -> list[int]:
    """Those of *texts* that are whole numbers which a column can hold; the others are left out."""
    return [
        int(one)
        for one in map(str, texts)
        if one.isascii() and one.isdigit() and len(one) <= _MOST_DIGITS
    ]


def place() -> dict[str, int]:
    """Where in a list the address points: the ids before and after which to read."""
    after = OLDEST if number("oldest") else number("after")
    return {"before": number("before"), "after": after}


def word(name: str, longest: int = 300) -> str:
    """A text of the address or form."""
    return _given(name).strip()[:longest]


def flag(name: str) -> bool:
    """Whether something is said to be so."""
    return _given(name).strip().lower() in {"1", "true", "yes", "on"}


def since(moment: datetime, name: str = "period") -> datetime | None:
    """When the chosen period began; ``None`` for any time."""
    found = PERIODS.get(_given(name))
    return None if found is None else moment - found[0]


def address(base: str, chosen: Mapping[str, Any], **changes: Any) -> str:
    """*base* with the filters that are *chosen*, and others in place of some."""
    values = {
        name: value
        for name, value in {**chosen, **changes}.items()
        if value not in ("", None, 0) and (name in changes or name not in _PLACES)
    }
    return f"{base}?{urlencode(values, doseq=True)}" if values else base


def pager(
    base: str,
    chosen: Mapping[str, Any],
    *,
    older: int,
    newer: int,
    older_mail: int = 0,
    newer_mail: int = 0,
) -> Pager:
    """The neighbours of a page, from the ids after which the next ones begin.

    Args:
        older_mail, newer_mail: the mails of these, in a list that is in the order of mails.
    """
    return Pager(
        newest=address(base, chosen) if newer else "",
        newer=address(base, chosen, after=newer, mail=newer_mail) if newer else "",
        older=address(base, chosen, before=older, mail=older_mail) if older else "",
        oldest=address(base, chosen, oldest=1) if older else "",
    )


def page_by_id(
    session: Session, wanted: Any, key: Any, *, before: int, after: int, size: int = PAGE_SIZE
) -> tuple[list[Any], int, int]:
    """Rows of a statement, newest first, and the ids from which older and newer ones go on.

    Args:
        key: the column of the id, of which later rows have a larger one.
        before, after: 0 for the newest page.
    """
    if after:
        some = wanted.where(key > max(after, 0)).order_by(key)
    else:
        some = (wanted.where(key < before) if before else wanted).order_by(key.desc())
    rows = list(session.scalars(some.limit(size + 1)))
    more = len(rows) > size
    rows = sorted(rows[:size], key=lambda one: int(one.id), reverse=True)
    if not rows:
        return [], 0, 0
    is_oldest = after == OLDEST if after else not more
    is_newest = not more if after else not before
    return rows, 0 if is_oldest else rows[-1].id, 0 if is_newest else rows[0].id


def csv_answer(name: str, titles: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """*rows* as a CSV file, sent while it is read."""

    def lines() -> Iterator[str]:
        # The mark by which spreadsheets know that it is UTF-8.
        yield "\ufeff" + _line(titles)
        for row in rows:
            yield _line([safe_cell(one) for one in row])

    answer = Response(stream_with_context(lines()), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _line(cells: Sequence[str]) -> str:
    written = StringIO()
    csv.writer(written).writerow(cells)
    return written.getvalue()
