"""What the pages of one owner's e-mail templates have in common."""

from typing import Any

from flask import url_for

from smtp_admin import web
from smtp_admin.database import SYSTEM
from smtp_admin.pages.sender_frame import OWNER_OF_SYSTEM
from smtp_admin.pages.sender_routes import sender_urls


def list_url(partner_id: str, **query: Any) -> str:
    """The address of a list."""
    if partner_id == SYSTEM:
        return url_for("smtp_admin.system_templates", **query)
    return url_for("smtp_admin.partner_templates", partner_id=partner_id, **query)


def template_frame(partner_id: str) -> dict[str, Any]:
    """What every page of them needs."""
    return {
        "partner": web.current_partner() if partner_id != SYSTEM else None,
        "owner": web.current_partner().name if partner_id != SYSTEM else OWNER_OF_SYSTEM,
        "partner_id": partner_id,
        "list_url": list_url(partner_id),
        "urls": sender_urls(partner_id),
    }
