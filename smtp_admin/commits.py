"""Whether anything was committed while a request is answered: what was does not begin again.

Kept with the request. Where there is none, as in a worker, nobody asks.
"""

from typing import Any

from flask import has_request_context, request
from sqlalchemy import event

_MARK = "smtp_admin.committed"


def note(*_of_the_event: object) -> None:
    """Something was committed."""
    if has_request_context():
        request.environ[_MARK] = True


def were_any() -> bool:
    """Whether anything was, while the present request is answered."""
    return _MARK in request.environ


def listen(sessions: Any) -> None:
    """Note what the sessions of a factory commit; once is enough, more do no harm."""
    event.listen(sessions, "after_commit", note)
