"""``GET /api/email/status``."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded, require
from smtp_admin.database import SYSTEM, session
from smtp_admin.errors import NotFound
from smtp_admin.installation import installation
from smtp_admin.monitor.overview import status_json

PREFIX = "/api/email"


def make_api_blueprint() -> Blueprint:
    """The blueprint of the API."""
    blueprint = web.protect(Blueprint("smtp_admin_api", __name__, url_prefix=PREFIX))
    blueprint.get("/status")(status)
    return blueprint


@guarded(Action.SEE_PARTNER_STATUS)
def status() -> ResponseReturnValue:
    """The numbers of a partner's mail (``?partner_id=``), of one sender, or of all mail."""
    actor = web.signed_in()
    partner_id = request.args.get("partner_id")
    if partner_id is None:
        if len(actor.partner_ids) == 1 and not actor.is_admin:
            (partner_id,) = actor.partner_ids
        else:
            require(actor, Action.SEE_SYSTEM_STATUS)
    if partner_id == SYSTEM and partner_id is not None:
        require(actor, Action.SEE_SYSTEM_STATUS)
    elif partner_id is not None:
        require(actor, Action.SEE_PARTNER_STATUS, partner_id)
        if installation().host.partner(partner_id) is None:
            raise NotFound
    key = request.args.get("sender")
    return web.answer_json(status_json(session(), partner_id, None if key is None else key[:40]))
