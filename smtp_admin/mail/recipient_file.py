"""Recipients from a CSV file, whose header row names address, language and a type's variables."""

import csv
import hashlib
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smtp_admin.errors import InvalidInput, MessageError
from smtp_admin.mail.addresses import ADDRESS_COLUMNS, address_of
from smtp_admin.mail.bad_lines import Complaint
from smtp_admin.mail.batches import Recipient
from smtp_admin.mail.needed_values import empty_complaints, needed_of
from smtp_admin.mail.types import EmailType
from smtp_admin.translation import gettext

_ADDRESS, _LANGUAGE = "address", "language"
_LONGEST_EXAMPLE = 200
#: What spreadsheets of different countries put between two cells.
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file holds.

    Attributes:
        count: how many get mail: each address once.
        again: lines whose address another line before has too.
        first: the first row that can be used.
        fingerprint: of everything in it.
    """

    count: int
    again: tuple[Complaint, ...]
    complaints: tuple[Complaint, ...]
    first: Recipient | None
    fingerprint: str


class RecipientFile:
    """A file of recipients for mail of one type; it is read row by row, as often as asked.

    Args:
        skip: lines to leave out.

    Attributes:
        ignored: columns that are no variables of the type.

    Raises:
        InvalidInput: it has no header row that fits the type, or is no text.
    """

    def __init__(self, path: Path, type_: EmailType, skip: Collection[int] = frozenset()) -> None:
        self._path, self._skip = path, skip
        with self._opened() as file:
            start = file.readline()
        self._delimiter = next(
            (one for one in _DELIMITERS if {*ADDRESS_COLUMNS} & {*_names(start, one)}),
            _DELIMITERS[0],
        )
        with self._reading() as rows:
            self._columns = [cell.strip().casefold() for cell in next(rows, [])]
        known = {name.casefold(): name for name in type_.variables} | {_ADDRESS: _ADDRESS}
        known.setdefault(_LANGUAGE, _LANGUAGE)
        # One of them: a value of the type may be called "email" too, or another column.
        called = (one for one in ADDRESS_COLUMNS if one in self._columns)
        known.setdefault(next(called, _ADDRESS), _ADDRESS)
        self._names = [known.get(one, "") for one in self._columns]
        self.ignored = [
            one for one, name in zip(self._columns, self._names, strict=True) if not name
        ]
        #: What no cell can hold as it is: the sample of each.
        self._structured = {
            name: one for name, one in type_.sample.items() if isinstance(one, list | dict)
        }
        self._type = type_
        self._check_columns(type_)

    def _check_columns(self, type_: EmailType) -> None:
        if _ADDRESS not in self._names:
            raise InvalidInput(
                gettext(
                    "%(name)s has no column “address” in its first line.", name=self._path.name
                ),
                hint=gettext(
                    "The first line names the columns: %(names)s.",
                    names=", ".join(one.name for one in columns_of(type_)),
                ),
            )
        given = [name for name in self._names if name]
        twice = sorted({one for one in given if given.count(one) > 1})
        if twice:
            raise InvalidInput(
                gettext(
                    "%(name)s has two columns “%(twice)s”.", name=self._path.name, twice=twice[0]
                )
            )
        missing = needed_of(type_) - {_LANGUAGE, *given}
        if missing:
            raise InvalidInput(
                gettext(
                    "%(name)s lacks columns that %(name2)s needs: %(names)s.",
                    name=self._path.name,
                    name2=type_.name,
                    names=", ".join(sorted(missing)),
                ),
                hint=gettext(
                    "The first line names the columns: %(names)s.",
                    names=", ".join(one.name for one in columns_of(type_) if one.needed),
                ),
            )

    def rows(self) -> Iterator[tuple[int, Recipient | Complaint]]:
        """Each row that is not empty, with the line that it begins in.

        Raises:
            InvalidInput: the file ends in the middle of a row, or is no text.
        """
        with self._reading() as rows:
            begins = 1
            for cells in rows:
                line, begins = begins, rows.line_num + 1
                if line > 1 and any(cells) and line not in self._skip:
                    yield line, self._recipient(line, cells)

    def check(self) -> Checked:
        """Read all of it.

        Raises:
            InvalidInput: as :meth:`rows`.
        """
        first, complaints, again = None, [], []
        digest = hashlib.blake2b(digest_size=16)
        known: set[bytes] = set()
        for line, one in self.rows():
            if isinstance(one, Complaint):
                complaints.append(one)
                continue
            first = first or one
            name = _name_of(one)
            if name in known:
                again.append(Complaint(line, str(one.address)))
            known.add(name)
        with self._path.open("rb") as file:
            while some := file.read(1 << 20):
                digest.update(some)
        return Checked(len(known), tuple(again), tuple(complaints), first, digest.hexdigest())

    def _recipient(self, line: int, cells: list[str]) -> Recipient | Complaint:
        if len(cells) != len(self._names):
            return Complaint(
                line,
                gettext(
                    "it has %(cells)s cells instead of %(names)s.",
                    cells=len(cells),
                    names=len(self._names),
                ),
            )
        values: dict[str, Any] = {
            name: cell for name, cell in zip(self._names, cells, strict=True) if name
        }
        address = values.pop(_ADDRESS).strip()
        language = values.pop(_LANGUAGE, "").strip()
        wrong = []
        for name in sorted(self._structured.keys() & values.keys()):
            try:
                values[name] = _structure(name, values[name], self._structured[name])
            except MessageError as error:
                wrong.append(error.message)
        wrong += empty_complaints(self._type, values)
        try:
            address_of(address)
        except MessageError as error:
            wrong.append(error.message)
        if wrong:
            return Complaint(line, *wrong)
        return Recipient(address, values, language)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                yield file
        except UnicodeDecodeError as error:
            raise InvalidInput(
                gettext("%(name)s is not text in UTF-8.", name=self._path.name),
                hint=gettext("Save it from the spreadsheet as “CSV UTF-8”."),
            ) from error
        except OSError as error:
            raise InvalidInput(
                gettext(
                    "%(name)s cannot be read: %(value)s.",
                    name=self._path.name,
                    value=error.strerror or error,
                )
            ) from error

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        with self._opened() as file:
            rows = csv.reader(file, delimiter=self._delimiter, strict=True)
            try:
                yield rows
            except csv.Error as error:
                raise InvalidInput(
                    gettext(
                        "%(name)s cannot be read from line %(line_num)s on: %(error)s.",
                        name=self._path.name,
                        line_num=rows.line_num,
                        error=error,
                    )
                ) from error


def _name_of(one: Recipient) -> bytes:
    """What stands for an address: a file may have a million."""
    text = str(one.address)
    # Nearly all are as they stand, and to read one again would take as long as all the rest.
    address = text if text.isascii() and "<" not in text else address_of(text)[1]
    return hashlib.blake2b(address.lower().encode(), digest_size=8).digest()


def _structure(name: str, cell: str, sample: Any) -> Any:
    """The list or object that a cell holds as JSON; an empty one for an empty cell.

    Raises:
        MessageError: it holds something else.
    """
    if not cell.strip():
        return type(sample)()
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, type(sample)):
        raise MessageError(
            gettext(
                "%(name)s needs JSON in its cell, such as %(example)s",
                name=name,
                example=_as_cell(sample),
            )
        )
    return found


def _as_cell(sample: Any) -> str:
    """An example of a cell: of a list its first entry is enough."""
    text = json.dumps(sample[:1] if isinstance(sample, list) else sample, ensure_ascii=False)
    return text if len(text) <= _LONGEST_EXAMPLE else f"{text[:_LONGEST_EXAMPLE]} …"


@dataclass(frozen=True, slots=True)
class Column:
    """What the first line of a list may name.

    Attributes:
        example: what a cell holds where it must be JSON; empty where it is text.
    """

    name: str
    needed: bool
    example: str = ""


def columns_of(type_: EmailType) -> tuple[Column, ...]:
    """The columns of a list for *type_*, those that it needs first."""
    named = (
        Column(
            name,
            name in needed_of(type_),
            _as_cell(type_.sample[name]) if isinstance(type_.sample[name], list | dict) else "",
        )
        for name in type_.variables
        if name not in {"app_name", _LANGUAGE}
    )
    found = (Column(_ADDRESS, needed=True), Column(_LANGUAGE, needed=False), *named)
    return tuple(sorted(found, key=lambda one: not one.needed))


def _names(line: str, delimiter: str) -> list[str]:
    cells = next(csv.reader([line], delimiter=delimiter), [])
    return [cell.strip().casefold() for cell in cells]
