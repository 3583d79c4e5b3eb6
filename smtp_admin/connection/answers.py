"""A connection test as JSON, as the interface documents it."""

from collections.abc import Collection
from typing import Any

from smtp_admin.connection.fixes import fixes
from smtp_admin.connection.from_worker import BothTests
from smtp_admin.connection.probe import TestResult
from smtp_admin.errors import RequestError, Unavailable, envelope


def both_as_json(
    both: BothTests, follow: str | None, locked: Collection[str] = ()
) -> tuple[dict[str, Any], int]:
    """The answer of a test from both places, and its status.

    202 while the worker has not answered, 200 if mail could be sent from both places, 400 if not
    from one of them, 503 if no worker could test.
    """
    more = {
        "id": both.public_id,
        "status": both.status,
        "follow": follow,
        "web": as_dict(both.web, locked) if both.web else None,
        "worker": as_dict(both.remote, locked) if both.remote else None,
        "differs_at": both.differs_at,
    }
    failed = next((one for one in (both.web, both.remote) if one and not one.ok), None)
    if both.pending:
        return {"ok": True, "message": both.message, "hint": both.hint} | more, 202
    if both.status != "done":
        return envelope(Unavailable(both.message, hint=both.hint), **more), 503
    if failed is not None:
        return as_dict(failed, locked) | more, 400
    return {"ok": True, "message": "", "hint": ""} | more, 200


def refused_as_dict(error: RequestError) -> dict[str, Any]:
    """The answer where no connection was made."""
    validate = {"name": "validate", "status": "failed", "ms": 0.0, "detail": error.message,
                "reply": None}  # fmt: skip
    body = envelope(error, step="validate", steps=[validate])
    body["error"]["fixes"] = []  # nothing was tried
    return body


def as_dict(result: TestResult, locked: Collection[str] = ()) -> dict[str, Any]:
    """The answer as the interface documents it.

    Args:
        locked: fields that the environment holds, which nothing is offered for.
    """
    failure = result.failure
    if failure is None:
        return {
            "ok": True,
            "duration_ms": result.duration_ms,
            "connection": result.connection_json(),
            "steps": result.steps_json(),
            "warnings": [{"code": one.code, "message": one.message} for one in result.warnings],
        }
    answer = envelope(
        failure,
        step=failure.step,
        reply=failure.reply.as_json() if failure.reply else None,
        connection=result.connection_json(),
        steps=result.steps_json(),
        duration_ms=result.duration_ms,
    )
    answer["error"]["fixes"] = [one.as_json() for one in fixes(result, locked)]
    return answer
