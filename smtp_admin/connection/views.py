"""``…/test-connection``, ``…/discover`` and ``…/deliverability``.

JSON for scripts, the page again for a browser without any.
"""

from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.connection.deliverability import Deliverability
from smtp_admin.connection.lookup import dns_lately, find_settings_for
from smtp_admin.connection.probe import TestResult
from smtp_admin.connection.service import test_connection
from smtp_admin.database import SYSTEM, session
from smtp_admin.errors import InvalidInput, RequestError
from smtp_admin.installation import installation
from smtp_admin.settings.sender import load_sender, sender_for_mail
from smtp_admin.settings.service import check_rate, record
from smtp_admin.settings.views import sender_urls, show_tab


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.post("/system/test-connection")(test_system)
    blueprint.post("/partners/<partner_id>/test-connection")(test_partner)
    blueprint.post("/system/discover")(discover_system)
    blueprint.post("/partners/<partner_id>/discover")(discover_partner)
    for rule, view in (
        ("/system/deliverability", deliverability_of_system),
        ("/partners/<partner_id>/deliverability", deliverability_of_partner),
    ):
        blueprint.route(rule, methods=["GET", "POST"])(view)


@guarded(Action.EDIT_SYSTEM_SENDER)
def test_system() -> ResponseReturnValue:
    """Test the system's sender as it is on the screen."""
    return _test(SYSTEM)


@guarded(Action.EDIT_PARTNER_SENDER)
def test_partner(partner_id: str) -> ResponseReturnValue:
    """Test a partner's sender as it is on the screen."""
    return _test(partner_id)


@guarded(Action.EDIT_SYSTEM_SENDER)
def discover_system() -> ResponseReturnValue:
    """Find settings for the system's sender from an address."""
    return _discover(SYSTEM)


@guarded(Action.EDIT_PARTNER_SENDER)
def discover_partner(partner_id: str) -> ResponseReturnValue:
    """Find settings for a partner's sender from an address."""
    return _discover(partner_id)


@guarded(Action.EDIT_SYSTEM_SENDER)
def deliverability_of_system() -> ResponseReturnValue:
    """What DNS says about the system's sender; POST asks again."""
    return _deliverability(SYSTEM)


@guarded(Action.EDIT_PARTNER_SENDER)
def deliverability_of_partner(partner_id: str) -> ResponseReturnValue:
    """What DNS says about a partner's sender; POST asks again."""
    return _deliverability(partner_id)


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


def _discover(partner_id: str) -> ResponseReturnValue:
    as_json = web.wants_json()
    try:
        address = _given().get("address") or ""
        if not isinstance(address, str):
            raise InvalidInput(fields={"address": ["This must be text."]})
        found = find_settings_for(session(), partner_id, address, web.signed_in())
    except RequestError as error:
        if as_json:
            raise
        session().rollback()
        return show_tab(partner_id, status=error.status, find_error=error)
    if as_json:
        return web.answer_json({"ok": True, **found.as_json()})
    return show_tab(partner_id, found=found)


def _deliverability(partner_id: str) -> ResponseReturnValue:
    sender = load_sender(session(), partner_id)
    found: Deliverability | None = None
    error: RequestError | None = None
    anew = request.method == "POST"
    try:
        if not sender.configured:
            if anew or web.wants_json():
                raise InvalidInput(
                    "No settings are saved for this sender.", hint="Fill in its SMTP tab first."
                )
        else:
            if anew:
                actor = web.signed_in()
                check_rate(session(), actor, "dns.checked", installation().config.test_limit)
                record(session(), actor, partner_id, "dns.checked", sender.values.from_email)
            # No transaction is open while name servers are asked.
            session().commit()
            found = dns_lately(sender, anew=anew)
    except RequestError as refused:
        session().rollback()
        if web.wants_json():
            raise
        error = refused
        found = dns_lately(sender) if sender.configured else None
    if web.wants_json() and found is not None:
        return web.answer_json({"ok": True, **found.as_json()})
    page = render_template(
        "smtp_admin/deliverability.html",
        partner=web.current_partner() if partner_id != SYSTEM else None,
        sender=sender,
        through=None if sender.configured else sender_for_mail(session(), partner_id),
        found=found,
        error=error,
        urls=sender_urls(partner_id),
    )
    return page, error.status if error else 200


def _given() -> dict[str, Any]:
    if not request.is_json:
        given: dict[str, Any] = request.form.to_dict()
        # The page's form has a box, and a box that is not ticked sends nothing.
        if "revision" in given:
            given.setdefault("verify_tls", "false")
        return given
    return web.read_json()
