"""The overview, and the list of partners."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, allowed, guarded
from smtp_admin.database import SYSTEM, session
from smtp_admin.host import Partner
from smtp_admin.monitor.overview import blocked_kinds, cards
from smtp_admin.senders.queries import senders_of
from smtp_admin.senders.resolve import load_sender


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/")(overview)
    blueprint.get("/partners")(partners)


@guarded(Action.SEE_OVERVIEW)
def overview() -> ResponseReturnValue:
    """The health of every sender that one may see."""
    owners: list[Partner | None] = []
    senders = []
    if allowed(web.current_actor(), Action.EDIT_SYSTEM_SENDER):
        owners.append(None)
        senders.append(load_sender(session(), SYSTEM))
    for one in senders_of(session(), web.visible_partners()):
        owners.append(one.partner)
        senders.append(one.sender)
    shown = list(zip(owners, cards(session(), senders), strict=True))
    return render_template("smtp_admin/overview.html", shown=shown, blocked=blocked_kinds())


@guarded(Action.LIST_PARTNERS)
def partners() -> ResponseReturnValue:
    """All partners, each with the state of its sender."""
    found = senders_of(session(), web.visible_partners())
    system, *theirs = cards(
        session(), [load_sender(session(), SYSTEM), *(one.sender for one in found)]
    )
    return render_template(
        "smtp_admin/partners.html",
        partners=[(one.partner, card) for one, card in zip(found, theirs, strict=True)],
        system=system,
        blocked=blocked_kinds(),
    )
