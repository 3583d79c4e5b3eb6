"""``…/explain?type=…``: which values apply to a mail, and where each comes from."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.database import SYSTEM, session
from smtp_admin.mail.explain import explain, gather, known_types
from smtp_admin.pages.senders import sender_urls


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/system/explain")(explain_system)
    blueprint.get("/partners/<partner_id>/explain")(explain_partner)


@guarded(Action.EDIT_SYSTEM_SENDER)
def explain_system() -> ResponseReturnValue:
    """How the system's mail goes out."""
    return _explain(SYSTEM)


@guarded(Action.EDIT_PARTNER_SENDER)
def explain_partner(partner_id: str) -> ResponseReturnValue:
    """How a partner's mail goes out."""
    return _explain(partner_id)


def _explain(partner_id: str) -> ResponseReturnValue:
    types = known_types()
    facts = gather(session(), partner_id, request.args.get("type") or types[0].name)
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
        partner=web.current_partner() if partner_id != SYSTEM else None,
        urls=sender_urls(partner_id),
        types=types,
        type=facts.type_,
        rows=rows,
    )
