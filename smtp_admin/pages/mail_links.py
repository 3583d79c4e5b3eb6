"""Where a number of mails leads to: the log, with the same mails."""

from typing import Any

from flask import current_app, url_for

from smtp_admin.database import SYSTEM

_SYSTEMS, _PARTNERS = "smtp_admin.system_mail", "smtp_admin.partner_mail"


def mail_url(partner_id: str, **query: Any) -> str:
    """The log of a partner's mail, or of the system's; empty where there is none."""
    if _PARTNERS not in current_app.view_functions:
        return ""
    if partner_id == SYSTEM:
        return url_for(_SYSTEMS, **query)
    return url_for(_PARTNERS, partner_id=partner_id, **query)
