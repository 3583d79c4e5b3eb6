"""``…/test-connection``: JSON for scripts, the page again for a browser without any."""

from collections.abc import Collection

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.clock import now
from smtp_admin.connection.answers import as_dict, both_as_json, refused_as_dict
from smtp_admin.connection.from_worker import BothTests, from_both_places, look
from smtp_admin.connection.probe import TestResult
from smtp_admin.connection.service import test_connection
from smtp_admin.connection.tested_before import note_of
from smtp_admin.database import session
from smtp_admin.errors import NotFound, RequestError
from smtp_admin.pages.entered import request_fields
from smtp_admin.pages.sender_frame import frame
from smtp_admin.pages.sender_routes import add_sender_page, is_new, page_url
from smtp_admin.pages.tab import report_on, show_tab, show_typed
from smtp_admin.senders.fields import all_fields
from smtp_admin.senders.resolve import load_sender


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    add_sender_page(blueprint, "test", _test, show_typed)
    add_sender_page(blueprint, "worker_test", _test_from_both, show_typed)
    add_sender_page(blueprint, "test_result", _follow)


def _test(partner_id: str, key: str) -> ResponseReturnValue:
    """Test a sender as it is on the screen."""
    as_json = web.wants_json()
    try:
        result = test_connection(session(), partner_id, request_fields(), web.signed_in(), key=key)
    except RequestError as error:
        return _refuse(partner_id, key, error)
    _remember(partner_id, key, result)
    status = 200 if result.ok else 400
    if as_json:
        return web.answer_json(as_dict(result, _locked(partner_id, key)), status)
    return show_tab(partner_id, key, status=status, test=result)


def _test_from_both(partner_id: str, key: str) -> ResponseReturnValue:
    """The same from here and from a worker."""
    try:
        both = from_both_places(session(), partner_id, request_fields(), web.signed_in(), key=key)
    except RequestError as error:
        return _refuse(partner_id, key, error)
    if both.web is not None:
        _remember(partner_id, key, both.web, both.public_id)
    follow = _follow_url(partner_id, key, both)
    if web.wants_json():
        body, status = both_as_json(both, follow, _locked(partner_id, key))
        return web.answer_json(body, status)
    return show_tab(partner_id, key, both=both, look_again=follow)


def _remember(partner_id: str, key: str, result: TestResult, worker_test: str = "") -> None:
    """What was tested may be what is saved next, and then it was tested."""
    note = note_of(result, partner_id, key, web.signed_in(), now(), worker_test)
    web.remember_test(note)


def _follow(partner_id: str, key: str, public_id: str) -> ResponseReturnValue:
    """How far a test from both places has come."""
    both = look(session(), partner_id, public_id[:32], key)
    if both is None:
        raise NotFound
    follow = _follow_url(partner_id, key, both)
    if web.wants_json():
        body, status = both_as_json(both, follow, _locked(partner_id, key))
        return web.answer_json(body, status)
    return render_template(
        "smtp_admin/both_places.html",
        both=both,
        look_again=follow,
        report=report_on(None, both),
        **frame(partner_id, key),
    )


def _refuse(partner_id: str, key: str, error: RequestError) -> ResponseReturnValue:
    """No connection was made."""
    session().rollback()
    error.call_fields({one.name: one.label for one in all_fields()})
    if not web.wants_json():
        return show_tab(partner_id, key, status=error.status, test_error=error)
    return web.answer_json(refused_as_dict(error), error.status, error.retry_after)


def _locked(partner_id: str, key: str) -> Collection[str]:
    """The fields that the environment holds, which no button can change."""
    return load_sender(session(), partner_id, key).locked


def _follow_url(partner_id: str, key: str, both: BothTests) -> str:
    new = {"new": "1"} if is_new() else {}
    return page_url(partner_id, key, "test_result", public_id=both.public_id, **new)
