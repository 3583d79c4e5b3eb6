"""``…/discover``: settings from an address; JSON for scripts, the tab for browsers without any."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.database import session
from smtp_admin.discovery.service import find_settings_for
from smtp_admin.errors import InvalidInput, RequestError
from smtp_admin.pages.entered import request_fields
from smtp_admin.pages.sender_routes import add_sender_page
from smtp_admin.pages.tab import show_tab, show_typed
from smtp_admin.translation import gettext


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    add_sender_page(blueprint, "discover", _discover, show_typed)


def _discover(partner_id: str, key: str) -> ResponseReturnValue:
    """Find settings for a sender from an address."""
    as_json = web.wants_json()
    try:
        address = request_fields().get("address") or ""
        if not isinstance(address, str):
            raise InvalidInput(fields={"address": [gettext("This must be text.")]})
        found = find_settings_for(session(), partner_id, address, web.signed_in())
    except RequestError as error:
        if as_json:
            raise
        session().rollback()
        return show_tab(partner_id, key, status=error.status, find_error=error)
    if as_json:
        return web.answer_json({"ok": True, **found.as_json()})
    return show_tab(partner_id, key, found=found)
