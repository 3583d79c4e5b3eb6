"""``…/test-connection``: JSON for scripts, the page again for a browser without any."""

from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.connection.answers import as_dict, both_as_json
from smtp_admin.connection.from_worker import BothTests, from_both_places, look
from smtp_admin.connection.service import test_connection
from smtp_admin.database import SYSTEM, session
from smtp_admin.errors import NotFound, RequestError, envelope
from smtp_admin.pages.senders import sender_urls, show_tab


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.post("/system/test-connection")(test_system)
    blueprint.post("/partners/<partner_id>/test-connection")(test_partner)
    blueprint.post("/system/test-connection/worker")(test_system_from_worker)
    blueprint.post("/partners/<partner_id>/test-connection/worker")(test_partner_from_worker)
    blueprint.get("/system/test-connection/<public_id>")(follow_system_connection)
    blueprint.get("/partners/<partner_id>/test-connection/<public_id>")(follow_partner_connection)


@guarded(Action.EDIT_SYSTEM_SENDER)
def test_system() -> ResponseReturnValue:
    """Test the system's sender as it is on the screen."""
    return _test(SYSTEM)


@guarded(Action.EDIT_PARTNER_SENDER)
def test_partner(partner_id: str) -> ResponseReturnValue:
    """Test a partner's sender as it is on the screen."""
    return _test(partner_id)


@guarded(Action.EDIT_SYSTEM_SENDER)
def test_system_from_worker() -> ResponseReturnValue:
    """Test the system's sender as it is on the screen, from here and from a worker."""
    return _test_from_both(SYSTEM)


@guarded(Action.EDIT_PARTNER_SENDER)
def test_partner_from_worker(partner_id: str) -> ResponseReturnValue:
    """Test a partner's sender as it is on the screen, from here and from a worker."""
    return _test_from_both(partner_id)


@guarded(Action.EDIT_SYSTEM_SENDER)
def follow_system_connection(public_id: str) -> ResponseReturnValue:
    """How far a test of the system's sender from both places has come."""
    return _follow(SYSTEM, public_id)


@guarded(Action.EDIT_PARTNER_SENDER)
def follow_partner_connection(partner_id: str, public_id: str) -> ResponseReturnValue:
    """How far a test of a partner's sender from both places has come."""
    return _follow(partner_id, public_id)


def _test(partner_id: str) -> ResponseReturnValue:
    as_json = web.wants_json()
    try:
        result = test_connection(session(), partner_id, request_fields(), web.signed_in())
    except RequestError as error:
        return _refuse(partner_id, error)
    status = 200 if result.ok else 400
    if as_json:
        return web.answer_json(as_dict(result), status)
    return show_tab(partner_id, status=status, test=result)


def _test_from_both(partner_id: str) -> ResponseReturnValue:
    try:
        both = from_both_places(session(), partner_id, request_fields(), web.signed_in())
    except RequestError as error:
        return _refuse(partner_id, error)
    follow = _follow_url(partner_id, both)
    if web.wants_json():
        body, status = both_as_json(both, follow)
        return web.answer_json(body, status)
    return show_tab(partner_id, both=both, look_again=follow)


def _follow(partner_id: str, public_id: str) -> ResponseReturnValue:
    both = look(session(), partner_id, public_id[:32])
    if both is None:
        raise NotFound
    follow = _follow_url(partner_id, both)
    if web.wants_json():
        body, status = both_as_json(both, follow)
        return web.answer_json(body, status)
    return render_template(
        "smtp_admin/both_places.html",
        partner=web.current_partner() if partner_id != SYSTEM else None,
        urls=sender_urls(partner_id),
        both=both,
        look_again=follow,
    )


def _refuse(partner_id: str, error: RequestError) -> ResponseReturnValue:
    """Nothing was dialled."""
    session().rollback()
    if not web.wants_json():
        return show_tab(partner_id, status=error.status, test_error=error)
    validate = {"name": "validate", "status": "failed", "ms": 0.0, "detail": error.message,
                "reply": None}  # fmt: skip
    body = envelope(error, step="validate", steps=[validate])
    return web.answer_json(body, error.status, error.retry_after)


def _follow_url(partner_id: str, both: BothTests) -> str:
    if partner_id == SYSTEM:
        return url_for(".follow_system_connection", public_id=both.public_id)
    return url_for(".follow_partner_connection", partner_id=partner_id, public_id=both.public_id)


def request_fields() -> dict[str, Any]:
    """What a test or search is to be done with, as a form or as JSON."""
    if not request.is_json:
        fields: dict[str, Any] = request.form.to_dict()
        # The page's form has a box, and a box that is not ticked sends nothing.
        if "revision" in fields:
            fields.setdefault("verify_tls", "false")
        return fields
    return web.read_json()
