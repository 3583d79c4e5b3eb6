"""The overview, and the list of partners."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, allowed, guarded
from smtp_admin.database import SYSTEM, session
from smtp_admin.host import Partner
from smtp_admin.monitor.overview import Card, blocked_kinds, card
from smtp_admin.senders.queries import senders_of
from smtp_admin.senders.resolve import load_sender


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/")(overview)
    blueprint.get("/partners")(partners)


@guarded(Action.SEE_OVERVIEW)
def overview() -> ResponseReturnValue:
    """The health of every sender that one may see."""
    actor = web.current_actor()
    shown: list[tuple[Partner | None, Card]] = []
    if allowed(actor, Action.EDIT_SYSTEM_SENDER):
        shown.append((None, card(session(), load_sender(session(), SYSTEM))))
    shown += [
        (one.partner, card(session(), one.sender))
        for one in senders_of(session(), web.visible_partners())
    ]
    return render_template("smtp_admin/overview.html", shown=shown, blocked=blocked_kinds())


@guarded(Action.LIST_PARTNERS)
def partners() -> ResponseReturnValue:
    """All partners, each with the state of its sender."""
    found = [
        (one.partner, card(session(), one.sender))
        for one in senders_of(session(), web.visible_partners())
    ]
    return render_template(
        "smtp_admin/partners.html",
        partners=found,
        system=card(session(), load_sender(session(), SYSTEM)),
        blocked=blocked_kinds(),
    )
