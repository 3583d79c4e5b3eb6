"""Cells of CSV files that people open in spreadsheets, and import here again."""

import unicodedata

#: A spreadsheet would take a cell that begins so for a formula.
_BLANKS = " \u00a0\ufeff\u200b"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_MARK = "'"


def safe_cell(value: object) -> str:
    """*value* for a cell that no spreadsheet takes for a formula.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    text = "" if value is None else str(value)
    # Some programs look past blanks, and take wide signs for the usual ones.
    looked_at = unicodedata.normalize("NFKC", text).lstrip(_BLANKS)
    starts = text.startswith(_FORMULA) or looked_at.startswith(_FORMULA)
    return f"{_MARK}{text}" if starts else text


def as_given(cell: str) -> str:
    """What :func:`safe_cell` made *cell* of."""
    inside = cell.removeprefix(_MARK)
    return inside if safe_cell(inside) == cell else cell
