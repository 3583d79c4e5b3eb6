"""Everything about one address as a file: a JSON document, and the mails to it."""

import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from tempfile import SpooledTemporaryFile
from textwrap import indent
from typing import IO, Any

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Session

from smtp_admin.clock import now
from smtp_admin.delivery.models import Message
from smtp_admin.erasure.finding import Search, rows
from smtp_admin.erasure.places import PLACES, Place

#: Columns that say nothing about the person, or are secrets of the app's.
_LEFT_OUT = frozenset({
    "lease", "recipient_key", "batch_recipient", "sender_head", "token", "token_hash", "secrets",
    "settings", "fields", "access_token", "refresh_token", "address_hash",
    "key", "key_hash", "secret", "former_key_hash", "former_secret",
})  # fmt: skip
#: Mails in one file, and their bytes together.
MOST_MAILS, MOST_BYTES = 10_000, 500 * 1024 * 1024
_IN_MEMORY, _PIECE = 4 * 1024 * 1024, 64 * 1024


def write_zip(session: Session, search: Search, file: IO[bytes]) -> None:
    """``records.json``, place → its rows; and each mail to the address as a file of its own.

    Texts of mail that carries secrets are left out, such as the links of password resets. What is
    too much for one file is left out too, and ``left-out.txt`` says so. Nothing is held in memory.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        # A name alone would be of 1980.
        named = zipfile.ZipInfo("records.json", now().timetuple()[:6])
        named.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(named, "w", force_zip64=True) as records:
            for piece in _records(session, search):
                records.write(piece.encode())
        place = next(one for one in PLACES if one.model is Message)
        count = size = left_out = 0
        for _, row in rows(session, search, place, texts=True):
            if not row.content or row.sensitive:
                continue
            if count >= MOST_MAILS or size + len(row.content) > MOST_BYTES:
                left_out += 1
                continue
            archive.writestr(f"mails/{row.public_id}-{row.id}.eml", row.content)
            count, size = count + 1, size + len(row.content)
        if left_out:
            archive.writestr("left-out.txt", f"Mails that are not in this file: {left_out}.\n")


def zip_pieces(session: Session, search: Search) -> Iterator[bytes]:
    """The same piece by piece, all of it made before the first one is read."""
    file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed when it was read
    write_zip(session, search, file)
    file.seek(0)
    return _pieces(file)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


def _records(session: Session, search: Search) -> Iterator[str]:
    before = "{"
    for place in PLACES:
        yield f"{before}\n  {json.dumps(place.key)}: ["
        before, between = ",", ""
        for _, row in rows(session, search, place):
            told = json.dumps(_row(search, place, row), indent=2, ensure_ascii=False)
            yield f"{between}\n{indent(told, '    ')}"
            between = ","
        yield "\n  ]" if between else "]"
    yield "\n}\n"


def _row(search: Search, place: Place, row: Any) -> dict[str, Any]:
    left_out = _LEFT_OUT | search.untold(place)
    return {
        column.key: _value(getattr(row, column.key))
        for column in place.model.__mapper__.column_attrs
        if column.key not in left_out and not isinstance(column.columns[0].type, LargeBinary)
    }


def _value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
