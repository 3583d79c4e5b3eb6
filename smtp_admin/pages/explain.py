"""``…/explain?type=…``: which values apply to a mail, and where each comes from."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, allowed
from smtp_admin.database import session
from smtp_admin.errors import InvalidInput, MessageError
from smtp_admin.mail.explain import explain, gather, known_types
from smtp_admin.pages.sender_frame import frame
from smtp_admin.pages.sender_routes import add_sender_page


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    add_sender_page(blueprint, "explain", _explain)


def _explain(partner_id: str, key: str) -> ResponseReturnValue:
    """How mail goes out."""
    types = known_types()
    asked = request.args.get("type") or types[0].name
    try:
        # Of the default sender's page, the routes decide; of another's, it is meant.
        facts = gather(
            session(),
            partner_id,
            asked,
            key or None,
            of_platform=allowed(web.current_actor(), Action.EDIT_SYSTEM_SENDER),
        )
    except MessageError as error:  # it is there, but cannot send
        raise InvalidInput(error.message, hint=error.hint) from error
    rows = explain(facts)
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "partner_id": partner_id,
                "type": facts.type_.name,
                "rows": [one.as_json() for one in rows],
            }
        )
    return render_template(
        "smtp_admin/explain.html",
        types=types,
        type=facts.type_,
        rows=rows,
        **frame(partner_id, key),
    )
