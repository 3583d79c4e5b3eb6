"""``POST …/advice``: what to say beside the fields about what was entered; nothing is dialled."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.database import session
from smtp_admin.pages.driver_choice import entered_form
from smtp_admin.pages.field_layout import layout
from smtp_admin.pages.guidance import guide
from smtp_admin.pages.oauth_guidance import oauth_guidance
from smtp_admin.pages.sender_frame import frame
from smtp_admin.pages.sender_routes import add_sender_page
from smtp_admin.senders.resolve import load_sender


def add_to(blueprint: Blueprint) -> None:
    """Register the route."""
    add_sender_page(blueprint, "advice", _advise)


def _advise(partner_id: str, key: str) -> ResponseReturnValue:
    """Complaints and advice about what was entered so far; a field left empty gets neither."""
    sender = load_sender(session(), partner_id, key)
    form = entered_form(sender)
    around = frame(partner_id, key)
    site_domain = around["partner"].site_domain if around["partner"] else ""
    guidance = guide(form, sender, form.readable(sender), site_domain=site_domain)
    for one in form:
        if not one.data:
            one.errors = []
    if web.wants_json():
        found = [one.as_json() for some in guidance.warnings.values() for one in some]
        return web.answer_json({"ok": True, "advice": found, "fields": form.complaints()})
    return render_template(
        "smtp_admin/advice.html",
        layout=layout(form, sender, guidance),
        oauth=oauth_guidance(form, sender),
        **around,
    )
