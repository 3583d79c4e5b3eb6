"""Lists of addresses to suppress, as CSV: one address in each line, or columns with a header."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from typing import Any, cast

from smtp_admin.csv_cells import as_given
from smtp_admin.errors import InvalidInput, MessageError
from smtp_admin.mail.addresses import address_of
from smtp_admin.mail.recipient_file import Complaint
from smtp_admin.suppression.reading import is_hash
from smtp_admin.suppression.reasons import REASONS, Reason
from smtp_admin.suppression.writing import clean_category, row_of
from smtp_admin.translation import gettext, ngettext

#: What one file may have.
MOST_LINES = 100_000
_MOST_COMPLAINTS = 10
#: Our own columns, and what others call them.
_COLUMNS: Mapping[str, str] = {
    "address": "address",
    "email": "address",
    "email address": "address",
    "recipient": "address",
    "category": "category",
    "reason": "reason",
    "detail": "detail",
}
_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class SuppressionFile:
    """What a list holds: rows for the table, all of which can be used."""

    rows: tuple[dict[str, Any], ...]


def read_suppressions(
    text: str, partner_id: str, *, category: str, by: str = ""
) -> SuppressionFile:
    """The rows of *text*.

    Args:
        category: of each line that names none.

    Raises:
        InvalidInput: some lines cannot be used, and which; or there are none, or too many.
    """
    rows, complaints = [], []
    for line, found in _lines(text, partner_id, category, by):
        if isinstance(found, str):
            complaints.append(Complaint(line, found))
        else:
            rows.append(found)
        if len(rows) + len(complaints) > MOST_LINES:
            raise InvalidInput(
                gettext("The list has more than %(most)s lines. Split it.", most=MOST_LINES)
            )
    if complaints:
        shown = [str(one) for one in complaints[:_MOST_COMPLAINTS]]
        if len(complaints) > _MOST_COMPLAINTS:
            shown.append(gettext("and %(number)s more", number=len(complaints) - _MOST_COMPLAINTS))
        raise InvalidInput(
            ngettext(
                "%(number)s line cannot be used. Nothing was imported.",
                "%(number)s lines cannot be used. Nothing was imported.",
                len(complaints),
            ),
            hint=gettext("Correct or remove these lines."),
            fields={"file": shown},
        )
    if not rows:
        raise InvalidInput(
            gettext("The list has no addresses."),
            fields={"file": [gettext("It has no addresses.")]},
        )
    return SuppressionFile(tuple(rows))


def _lines(
    text: str, partner_id: str, category: str, by: str
) -> Iterator[tuple[int, dict[str, Any] | str]]:
    start = text.lstrip("\ufeff")
    first = start.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    # Strictly: a quotation mark without its other half would swallow the lines after it.
    reader = csv.reader(StringIO(start, newline=None), delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    try:
        for cells in reader:
            given = [as_given(cell.strip()) for cell in cells]
            if not any(given):
                continue
            if columns is None:
                names = [_COLUMNS.get(cell.casefold(), "") for cell in given]
                if "address" in names:
                    columns = names
                    continue
                columns = ["address"]
            values = dict(zip(columns, given, strict=False))
            yield reader.line_num, _row(values, partner_id, category, by)
    except csv.Error as error:
        yield reader.line_num, gettext("this is not CSV: %(why)s.", why=str(error))


def _row(
    values: Mapping[str, str], partner_id: str, category: str, by: str
) -> dict[str, Any] | str:
    address = values.get("address", "")
    reason = values.get("reason", "") or "manual"
    try:
        if not is_hash(address):
            address = address_of(address)[1]
        if reason not in REASONS:
            names = ", ".join(REASONS)
            return gettext("there is no reason %(reason)s; there are %(names)s.",
                           reason=repr(reason[:40]), names=names)  # fmt: skip
        own = REASONS[cast(Reason, reason)].category
        wanted = clean_category(values.get("category", "") or own or category)
    except MessageError as error:
        return error.message
    except InvalidInput as error:
        return " ".join(chain.from_iterable(error.fields.values()))
    detail = values.get("detail", "")
    return row_of(partner_id, address, cast(Reason, reason), category=wanted, detail=detail, by=by)
