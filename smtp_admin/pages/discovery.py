"""``…/discover``: settings from an address; JSON for scripts, the tab for browsers without any."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.database import SYSTEM, session
from smtp_admin.discovery.service import find_settings_for
from smtp_admin.errors import InvalidInput, RequestError
from smtp_admin.pages.connection import request_fields
from smtp_admin.pages.senders import show_tab


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.post("/system/discover")(discover_system)
    blueprint.post("/partners/<partner_id>/discover")(discover_partner)


@guarded(Action.EDIT_SYSTEM_SENDER)
def discover_system() -> ResponseReturnValue:
    """Find settings for the system's sender from an address."""
    return _discover(SYSTEM)


@guarded(Action.EDIT_PARTNER_SENDER)
def discover_partner(partner_id: str) -> ResponseReturnValue:
    """Find settings for a partner's sender from an address."""
    return _discover(partner_id)


def _discover(partner_id: str) -> ResponseReturnValue:
    as_json = web.wants_json()
    try:
        address = request_fields().get("address") or ""
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
