"""What every template of ours finds in its context."""

from typing import Any

from flask_wtf.csrf import generate_csrf

from smtp_admin import web
from smtp_admin.installation import installation
from smtp_admin.monitor.overview import ago
from smtp_admin.pages.alerts import banner
from smtp_admin.pages.kept_mail import kept_mail
from smtp_admin.pages.navigation import navigation, sender_pages
from smtp_admin.pages.sandbox_note import sandbox_notes
from smtp_admin.pages.sent_once import once_field
from smtp_admin.pages.times import shown_time


def page_values() -> dict[str, Any]:
    """The values by name; for our own pages and for what a host embeds."""
    return {
        "smtp_admin_layout": web.layout(),
        "smtp_admin_app_name": installation().config.app_name,
        "smtp_admin_csrf_token": generate_csrf,
        "smtp_admin_once": once_field,
        "smtp_admin_actor": web.current_actor(),
        "smtp_admin_ago": ago,
        "smtp_admin_notice": web.notice,
        "smtp_admin_notice_tone": web.notice_tone,
        "smtp_admin_notice_link": web.notice_link,
        "smtp_admin_undo": web.undo_offered,
        "smtp_admin_navigation": navigation,
        "smtp_admin_sender_pages": sender_pages,
        "smtp_admin_time": shown_time,
        "smtp_admin_alerts": banner,
        "smtp_admin_kept": kept_mail,
        "smtp_admin_sandbox": sandbox_notes,
    }
