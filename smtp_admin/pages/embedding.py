"""What a host's own templates may show of its partners' mail: a menu, a badge, the whole tab.

Each is a global of the app's templates, and ``smtp_admin/embed.html`` has macros over them. Access
is asked here too: who may not see a page of ours sees nothing of it on the host's either.
"""

from dataclasses import dataclass
from typing import Any

from flask import Flask, render_template
from markupsafe import Markup

from smtp_admin import web
from smtp_admin.access import Action, allowed
from smtp_admin.database import SYSTEM, session
from smtp_admin.installation import installation
from smtp_admin.pages.navigation import menu
from smtp_admin.pages.page_values import page_values
from smtp_admin.pages.sender_routes import page_url
from smtp_admin.pages.tab import tab_values
from smtp_admin.sender_state.facts import states_of
from smtp_admin.sender_state.state import State
from smtp_admin.senders.resolve import DEFAULT_KEY, load_sender


@dataclass(frozen=True, slots=True)
class Badge:
    """How a partner's mail is doing, and where to look at it."""

    state: State
    url: str


def add_globals(app: Flask) -> None:
    """Let every template of the app embed them."""
    app.jinja_env.globals.update(
        smtp_admin_menu=menu, smtp_admin_badge=badge, smtp_admin_tab=embedded_tab
    )


def badge(partner_id: str | int = SYSTEM) -> Badge | None:
    """The state of a default sender; ``None`` for who may not see it.

    Args:
        partner_id: a number too, as most apps have them: a template has no ``str()``.
    """
    partner_id = str(partner_id)
    if not _may_edit(partner_id):
        return None
    (state,) = states_of(session(), [load_sender(session(), partner_id)])
    return Badge(state, page_url(partner_id, DEFAULT_KEY, "tab"))


def embedded_tab(partner_id: str | int) -> Markup:
    """The tab of a partner's default sender; nothing for who may not see it."""
    partner_id = str(partner_id)
    if not _may_edit(partner_id):
        return Markup()
    if partner_id != SYSTEM:
        partner = installation().host.partner(partner_id)
        if partner is None:
            return Markup()
        web.look_at(partner)
    values: dict[str, Any] = page_values() | tab_values(partner_id, DEFAULT_KEY)
    # Our own template, which escapes what it shows.
    return Markup(render_template("smtp_admin/embedded_tab.html", **values))  # noqa: S704


def _may_edit(partner_id: str) -> bool:
    actor = web.current_actor()
    if partner_id == SYSTEM:
        return allowed(actor, Action.EDIT_SYSTEM_SENDER)
    return allowed(actor, Action.EDIT_PARTNER_SENDER, partner_id)
