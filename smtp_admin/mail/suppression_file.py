"""Lists of addresses to suppress, as CSV: one address in each line, or columns with a header."""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from typing import Any, cast

from smtp_admin.csv_cells import as_given
from smtp_admin.errors import InvalidInput, MessageError
from smtp_admin.mail.addresses import ADDRESS_COLUMNS, address_of
from smtp_admin.mail.bad_lines import BadLines, Complaint
from smtp_admin.suppression.reading import is_hash
from smtp_admin.suppression.reasons import REASONS, Reason, unknown_reason
from smtp_admin.suppression.writing import clean_category, row_of
from smtp_admin.translation import gettext

#: What one file may have.
MOST_LINES = 100_000
#: Our own columns, and what others call them.
_COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(ADDRESS_COLUMNS, "address"),
    "category": "category",
    "reason": "reason",
    "detail": "detail",
    "note": "detail",
    "notes": "detail",
    "comment": "detail",
}
_DELIMITERS = (",", ";", "\t")
_LONGEST_TITLE = 60


@dataclass(frozen=True, slots=True)
class SuppressionFile:
    """What a list holds: rows for the table, all of which can be used.

    Attributes:
        ignored: columns with something in them that is not kept.
    """

    rows: tuple[dict[str, Any], ...]
    ignored: tuple[str, ...]


def read_suppressions(
    text: str, partner_id: str, *, category: str, by: str = "", skip: Collection[int] = frozenset()
) -> SuppressionFile:
    """The rows of *text*.

    Args:
        category: of each line that names none.
        skip: lines to leave out.

    Raises:
        BadLines: some lines cannot be used, and which.
        InvalidInput: there are none, or too many, or it is not CSV.
    """
    rows, complaints = [], []
    ignored: dict[str, None] = {}
    for line, values in _lines(text, ignored):
        if line in skip:
            continue
        found = _row(values, partner_id, category, by)
        if isinstance(found, str):
            complaints.append(Complaint(line, found))
        else:
            rows.append(found)
        if len(rows) + len(complaints) > MOST_LINES:
            raise InvalidInput(
                gettext("The list has more than %(most)s lines. Split it.", most=MOST_LINES)
            )
    if complaints:
        raise BadLines(complaints, usable=len(rows), skipped=skip)
    if not rows:
        raise InvalidInput(
            gettext("The list has no addresses."),
            fields={"file": [gettext("It has no addresses.")]},
        )
    return SuppressionFile(tuple(rows), tuple(ignored))


def _lines(text: str, ignored: dict[str, None]) -> Iterator[tuple[int, dict[str, str]]]:
    """The values of each line by our own columns.

    Args:
        ignored: gets the columns whose cells are not used.

    Raises:
        InvalidInput: it is not CSV from some line on.
    """
    start = text.lstrip("\ufeff")
    first = start.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    # Strictly: a quotation mark without its other half would swallow the lines after it.
    reader = csv.reader(StringIO(start, newline=None), delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    titles: list[str] = []
    try:
        for cells in reader:
            given = [as_given(cell.strip()) for cell in cells]
            if not any(given):
                continue
            if columns is None:
                names = [_COLUMNS.get(cell.casefold(), "") for cell in given]
                if "address" in names:
                    columns, titles = names, given
                    continue
                columns, titles = ["address"], []
            values: dict[str, str] = {}
            for number, cell in enumerate(given):
                name = columns[number] if number < len(columns) else ""
                if name and not values.get(name):
                    values[name] = cell
                elif cell:
                    ignored.setdefault(_title(titles, number))
            yield reader.line_num, values
    except csv.Error as error:
        # No line to skip: whatever comes after it was not read.
        words = gettext(
            "line %(line)s: %(words)s",
            line=reader.line_num,
            words=gettext("this is not CSV: %(why)s.", why=str(error)),
        )
        raise InvalidInput(
            gettext("The list cannot be read to its end. Nothing was imported."),
            fields={"file": [words]},
        ) from error


def _title(titles: Sequence[str], number: int) -> str:
    """What a column is called; without a header, by its place."""
    if number < len(titles) and titles[number]:
        return titles[number][:_LONGEST_TITLE]
    return gettext("column %(number)s", number=number + 1)


def _row(
    values: Mapping[str, str], partner_id: str, category: str, by: str
) -> dict[str, Any] | str:
    address = values.get("address", "")
    reason = values.get("reason", "") or "manual"
    try:
        if not is_hash(address):
            address = address_of(address)[1]
        if reason not in REASONS:
            return unknown_reason(reason)
        own = REASONS[cast(Reason, reason)].category
        wanted = clean_category(values.get("category", "") or own or category)
    except MessageError as error:
        return error.message
    except InvalidInput as error:
        return " ".join(chain.from_iterable(error.fields.values()))
    detail = values.get("detail", "")
    return row_of(partner_id, address, cast(Reason, reason), category=wanted, detail=detail, by=by)
