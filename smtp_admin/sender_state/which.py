"""Which rows a query about senders reads."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import Session

from smtp_admin.database import among

_MANY = 200


def these(session: Session, column: Any, ids: Sequence[int]) -> ColumnElement[bool]:
    """Rows of these senders; of many, all rows are read: there are few of what is asked here."""
    return among(session, column, ids) if len(ids) <= _MANY else true()
