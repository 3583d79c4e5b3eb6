"""``POST …/test-connection``: JSON for scripts, the page again for a browser without any."""

from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.connection.probe import TestResult
from smtp_admin.connection.service import test_connection
from smtp_admin.database import SYSTEM, session
from smtp_admin.errors import RequestError
from smtp_admin.settings.views import show_tab


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.post("/system/test-connection")(test_system)
    blueprint.post("/partners/<partner_id>/test-connection")(test_partner)


@guarded(Action.EDIT_SYSTEM_SENDER)
def test_system() -> ResponseReturnValue:
    """Test the system's sender as it is on the screen."""
    return _test(SYSTEM)


@guarded(Action.EDIT_PARTNER_SENDER)
def test_partner(partner_id: str) -> ResponseReturnValue:
    """Test a partner's sender as it is on the screen."""
    return _test(partner_id)


def _test(partner_id: str) -> ResponseReturnValue:
    as_json = web.wants_json()
    try:
        result = test_connection(session(), partner_id, _given(), web.signed_in())
    except RequestError as error:
        if as_json:
            validate = {"name": "validate", "status": "failed", "ms": 0.0,
                        "detail": error.message, "reply": None}  # fmt: skip
            body = web.envelope(error, step="validate", steps=[validate])
            return web.answer_json(body, error.status, error.retry_after)
        session().rollback()
        return show_tab(partner_id, status=error.status, test_error=error)
    status = 200 if result.ok else 400
    if as_json:
        return web.answer_json(as_dict(result), status)
    return show_tab(partner_id, status=status, test=result)


def as_dict(result: TestResult) -> dict[str, Any]:
    """The answer as the interface documents it."""
    failure = result.failure
    if failure is None:
        return {
            "ok": True,
            "duration_ms": result.duration_ms,
            "connection": result.connection_json(),
            "steps": result.steps_json(),
            "warnings": [{"code": one.code, "message": one.message} for one in result.warnings],
        }
    return web.envelope(
        failure,
        step=failure.step,
        reply=failure.reply.as_json() if failure.reply else None,
        connection=result.connection_json(),
        steps=result.steps_json(),
        duration_ms=result.duration_ms,
    )


def _given() -> dict[str, Any]:
    if not request.is_json:
        given: dict[str, Any] = request.form.to_dict()
        # The page's form has a box, and a box that is not ticked sends nothing.
        if "revision" in given:
            given.setdefault("verify_tls", "false")
        return given
    return web.read_json()
