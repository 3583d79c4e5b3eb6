"""Everything about one address as a file: a JSON document, and the mails to it."""

import json
import zipfile
from datetime import datetime
from io import BytesIO
from typing import Any

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Session

from smtp_admin.delivery.models import Message
from smtp_admin.erasure.finding import Search, rows
from smtp_admin.erasure.places import PLACES, Place

#: Columns that say nothing about the person, or are secrets of the app's.
_LEFT_OUT = frozenset({
    "lease", "recipient_key", "batch_recipient", "sender_head", "token", "token_hash", "secrets",
    "settings", "fields", "access_token", "refresh_token", "address_hash",
    "key", "key_hash", "secret", "former_key_hash", "former_secret",
})  # fmt: skip
#: Mails in one file.
MOST_MAILS = 10_000


def as_json(session: Session, search: Search) -> dict[str, Any]:
    """Place → its rows."""
    return {
        place.key: [_row(place, row) for _, row in rows(session, search, place)] for place in PLACES
    }


def as_zip(session: Session, search: Search) -> bytes:
    """``records.json``, and each mail to the address as a file of its own.

    Texts of mail that carries secrets are left out, such as the links of password resets.
    """
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        found = as_json(session, search)
        archive.writestr("records.json", json.dumps(found, indent=2, ensure_ascii=False))
        texts = next(place for place in PLACES if place.model is Message)
        for number, (_, row) in enumerate(rows(session, search, texts)):
            if number >= MOST_MAILS:
                break
            if row.content and not row.sensitive:
                archive.writestr(f"mails/{row.public_id}-{row.id}.eml", row.content)
    return file.getvalue()


def _row(place: Place, row: Any) -> dict[str, Any]:
    return {
        column.key: _value(getattr(row, column.key))
        for column in place.model.__mapper__.column_attrs
        if column.key not in _LEFT_OUT and not isinstance(column.columns[0].type, LargeBinary)
    }


def _value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
