"""How what was tried ended, written beside who tried it.

A test is counted before it begins, because its limits are counted from the audit log. So its entry
is there first, and gets its outcome when there is one. An entry without stays as it is: the process
was stopped, or no worker answered.
"""

import logging

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from smtp_admin.audit.models import Audit
from smtp_admin.identifiers import storable
from smtp_admin.smtp.failure import SMTPFailure

log = logging.getLogger("smtp_admin.audit")

_LONGEST = 500
SUCCEEDED = "succeeded"


def outcome_of(failure: SMTPFailure | None) -> str:
    """*failure* in a few words, with the step, our code and the server's; never what a server said.

    Whoever reads the audit log need not be who may see a dialogue.
    """
    if failure is None:
        return SUCCEEDED
    said = failure.reply
    reply = f", {said.code} {said.enhanced or ''}".rstrip() if said is not None else ""
    return f"failed at {failure.step} ({failure.code}{reply})"


def note_outcome(session: Session, entry_id: int | None, outcome: str) -> None:
    """Add *outcome* to an entry that is still there, and commit.

    A person waits for what was tried, not for its entry: a database that fails just now is logged.
    """
    try:
        entry = None if entry_id is None else session.get(Audit, entry_id)
        if entry is not None:
            entry.detail = _with(entry.detail, f": {outcome}")
        session.commit()
    except DBAPIError as error:
        session.rollback()
        log.warning("the outcome of a test was not noted (%s)", type(error.orig).__name__)


def await_worker(session: Session, entry_id: int | None, place: str, test_id: str) -> None:
    """Have the entry name the test that a worker is to run; the caller commits."""
    entry = None if entry_id is None else session.get(Audit, entry_id)
    if entry is not None:
        entry.detail = _waiting(place, test_id)


def note_workers_outcome(
    session: Session, partner_id: str, place: str, test_id: str, outcome: str
) -> None:
    """Give the entry that names the test *test_id* its outcome; the caller commits."""
    entry = session.scalar(
        select(Audit).where(
            Audit.partner_id == partner_id,
            Audit.action == "connection.tested",
            Audit.detail == _waiting(place, test_id),
        )
    )
    if entry is not None:
        entry.detail = _with(f"{place} by a worker", f": {outcome}")


def _waiting(place: str, test_id: str) -> str:
    return _with(f"{place} by a worker", f", test {test_id}")


def _with(detail: str, more: str) -> str:
    return storable(f"{detail[: _LONGEST - len(more)]}{more}")
