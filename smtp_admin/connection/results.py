"""What a connection test found out, kept: with the revision tested, and between two processes.

A result is stored as the JSON that people see, so nothing is kept that was not redacted for them.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smtp_admin.connection.probe import TestResult
from smtp_admin.connection.request import TestRequest
from smtp_admin.database import changed, database_now
from smtp_admin.diagnosis.diagnose import of_failure
from smtp_admin.expiry.seen_certificates import keep_certificate
from smtp_admin.read_back import kept as kept_words
from smtp_admin.senders.models import RevisionTest, SenderRevision
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.reply import Reply
from smtp_admin.smtp.report import Report, StepResult
from smtp_admin.smtp.tls import TLSDescription
from smtp_admin.transports.driver import Caution

Place = Literal["web", "worker"]
# What a hostile server may add to a row; MariaDB's TEXT has 64 KiB.
_MOST_EXTENSIONS, _LONGEST_EXTENSION, _LONGEST_DETAIL = 32, 100, 500
_MOST_ADDRESSES, _MOST_SAID, _LONGEST_SAID = 20, 60, 200


def keep_with_revision(
    session: Session,
    revision_id: int,
    place: Place,
    result: TestResult,
    tested_by: str,
    at: datetime | None = None,
) -> None:
    """Make *result* the last one of that revision from *place*; the caller commits.

    Args:
        at: when it was; now, if left out.
    """
    failure = result.failure
    values: dict[str, Any] = {
        "ok": failure is None,
        "code": failure.code if failure else "",
        "message": failure.message[:500] if failure else "",
        "reply": str(failure.reply)[:500] if failure and failure.reply else "",
        "at": at or database_now(session),
        "tested_by": tested_by,
    }
    _keep_certificate(session, revision_id, result)
    newest = (
        update(RevisionTest)
        .where(RevisionTest.revision_id == revision_id, RevisionTest.place == place)
        .values(values)
    )
    if changed(session, newest):
        return
    try:
        with session.begin_nested():
            session.add(RevisionTest(revision_id=revision_id, place=place, **values))
    except IntegrityError:  # another test of the same revision was first
        changed(session, newest)


def _keep_certificate(session: Session, revision_id: int, result: TestResult) -> None:
    """Keep what the mail server showed, if its certificate was fine and is the sender's own."""
    revision = session.get(SenderRevision, revision_id)
    if result.report.tls is not None and revision is not None:
        place = result.request.setup.place
        moment = database_now(session)
        keep_certificate(session, revision.sender_id, place, result.report.tls, moment)


def to_text(result: TestResult) -> str:
    """*result* for a column."""
    connection = result.connection_json()
    extensions = connection["extensions"][:_MOST_EXTENSIONS]
    connection["extensions"] = [one[:_LONGEST_EXTENSION] for one in extensions]
    steps = [one | {"detail": one["detail"][:_LONGEST_DETAIL]} for one in result.steps_json()]
    failure = result.failure
    return json.dumps(
        {
            "duration_ms": result.duration_ms,
            "connection": connection,
            "steps": steps,
            "answers": result.report.answers[:_MOST_ADDRESSES],
            "tried": result.report.tried[:_MOST_ADDRESSES],
            "dialogue": [one[:_LONGEST_SAID] for one in result.report.dialogue[-_MOST_SAID:]],
            "warnings": [
                [
                    one.code,
                    one.message[:_LONGEST_DETAIL],
                    one.cause,
                    one.unrecognised[:_LONGEST_SAID],
                ]
                for one in result.warnings
            ],
            "failure": failure
            and {
                "code": failure.code,
                "step": failure.step,
                "message": failure.message,
                "hint": failure.hint,
                "reply": failure.reply.as_json() if failure.reply else None,
                "cause": failure.cause,
                "facts": {name: text[:_LONGEST_DETAIL] for name, text in failure.facts.items()},
            },
        },
        ensure_ascii=False,
    )


def from_text(text: str, request: TestRequest) -> TestResult:
    """The result that :func:`to_text` wrote, of a test of *request*."""
    kept = json.loads(text)
    connection = kept["connection"]
    report = Report(
        steps=[
            StepResult(
                one["name"],
                one["status"],
                one["ms"],
                kept_words(one["detail"]),
                _reply_of(one["reply"]),
            )
            for one in kept["steps"]
        ],
        address=connection["address"],
        tls=_tls_of(connection["tls"]),
        extensions=connection["extensions"],
        auth_methods=connection["auth_methods"],
        answers=kept["answers"],
        tried=[(address, outcome) for address, outcome in kept["tried"]],
        dialogue=kept["dialogue"],
    )
    result = TestResult(request, report, kept["duration_ms"])
    result.warnings = [Caution(*one) for one in kept["warnings"]]
    failed = kept["failure"]
    if failed:
        result.failure = SMTPFailure(
            failed["code"],
            failed["step"],
            failed["message"],
            hint=failed["hint"],
            reply=_reply_of(failed["reply"]),
            cause=failed.get("cause", ""),
            facts=failed.get("facts", {}),
        )
        result.diagnosis = of_failure(result.failure, request.values)
    return result


def _reply_of(kept: Mapping[str, Any] | None) -> Reply | None:
    if kept is None:
        return None
    words = [str(one) for one in (kept["enhanced"], kept["text"]) if one]
    return Reply(kept["code"], (" ".join(words),))


def _tls_of(kept: Mapping[str, Any] | None) -> TLSDescription | None:
    if kept is None:
        return None
    expires = kept["expires"]
    return TLSDescription(
        version=kept["version"],
        cipher=kept["cipher"],
        verified=kept["verified"],
        subject=kept["subject"],
        issuer=kept["issuer"],
        expires=datetime.strptime(expires, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if expires
        else None,
    )
