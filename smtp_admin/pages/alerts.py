"""``/alerts``: what is wrong and since when; acknowledging and muting it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from smtp_admin import web
from smtp_admin.access import Action, allowed, guarded
from smtp_admin.clock import now
from smtp_admin.database import SYSTEM, session
from smtp_admin.errors import InvalidInput, NotFound
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.monitor.alerts import service
from smtp_admin.monitor.alerts.models import Alert
from smtp_admin.monitor.alerts.service import MUTES, AlertSeen
from smtp_admin.pages.mail_filters import log_url
from smtp_admin.pages.readers import is_for_readers
from smtp_admin.pages.sender_routes import page_url
from smtp_admin.translation import gettext

#: In words, as the buttons say it.
_SPANS = {"1h": gettext("1 hour"), "1d": gettext("1 day"), "1w": gettext("1 week")}
#: Alerts that a banner names one by one.
_MOST_NAMED = 3


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/alerts")(alerts)
    for name, view in (("acknowledge", acknowledge), ("mute", mute), ("unmute", unmute)):
        blueprint.post(f"/alerts/<alert_id>/{name}", endpoint=f"{name}_alert")(view)


@guarded(Action.SEE_ALERTS)
def alerts() -> ResponseReturnValue:
    """What is open, and what ended in the last 30 days."""
    actor = web.signed_in()
    scope, side = _scope(actor), service.side_of(actor)
    found = _for(actor, service.open_alerts(session(), scope, live=True, side=side))
    ended = _for(actor, service.ended_alerts(session(), scope, side=side))
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "open": [one.as_json() for one in found],
                "ended": [one.as_json() for one in ended],
            }
        )
    moment = now()
    return render_template(
        "smtp_admin/alerts.html",
        open=[(one, _url(actor, one), one.needs_somebody(moment)) for one in found],
        ended=[(one, _url(actor, one)) for one in ended],
        spans=_SPANS,
        moment=moment,
        mailed=installation().config.alert_emails if actor.is_admin else None,
    )


@guarded(Action.HANDLE_ALERTS)
def acknowledge(alert_id: str) -> ResponseReturnValue:
    """Say that one knows of it."""
    return _change(
        alert_id,
        lambda alert, actor: service.acknowledge(session(), alert, actor),
        gettext("Acknowledged. The alert stays open until it ends."),
    )


@guarded(Action.HANDLE_ALERTS)
def mute(alert_id: str) -> ResponseReturnValue:
    """Show and tell it no more for a while."""
    given = web.read_json() if request.is_json else request.form
    span = str(given.get("for", "1h"))
    if span not in MUTES:
        raise InvalidInput(
            fields={"for": [gettext("Choose one of %(spans)s.", spans=", ".join(MUTES))]}
        )
    return _change(
        alert_id,
        lambda alert, actor: service.mute(session(), alert, actor, MUTES[span]),
        gettext("Muted for %(span)s.", span=_SPANS[span]),
    )


@guarded(Action.HANDLE_ALERTS)
def unmute(alert_id: str) -> ResponseReturnValue:
    """Show and tell it again."""
    return _change(
        alert_id,
        lambda alert, actor: service.unmute(session(), alert, actor),
        gettext("Unmuted."),
    )


def _change(
    alert_id: str, act: Callable[[Alert, Actor], object], notice: str
) -> ResponseReturnValue:
    actor = web.signed_in()
    alert = service.find_alert(session(), alert_id)
    if alert.partner_id == SYSTEM:
        if not actor.is_admin:
            raise NotFound(gettext("There is no alert %(alert_id)s.", alert_id=repr(alert_id[:40])))
    elif not allowed(actor, Action.HANDLE_ALERTS, alert.partner_id):
        raise NotFound(gettext("There is no alert %(alert_id)s.", alert_id=repr(alert_id[:40])))
    act(alert, actor)
    session().commit()
    if web.wants_json():
        return web.answer_json({"ok": True})
    web.notify(notice)
    return redirect(url_for("smtp_admin.alerts"), code=303)


def _scope(actor: Actor) -> frozenset[str] | None:
    """The partners whose alerts *actor* may see; ``None`` for everybody's and the system's."""
    return None if actor.is_admin else actor.partner_ids


def _for(actor: Actor, found: list[AlertSeen]) -> list[AlertSeen]:
    """*found* as *actor* may see it: whom the platform tells, and how, is the platform's affair."""
    return found if actor.is_admin else [replace(one, told=()) for one in found]


def _url(actor: Actor, alert: AlertSeen) -> str:
    """The mail or the tab that it is about, where there is one that this person may open."""
    if alert.partner_id == SYSTEM:
        may = allowed(actor, Action.EDIT_SYSTEM_SENDER)
    else:
        may = allowed(actor, Action.EDIT_PARTNER_SENDER, alert.partner_id)
    if not may or not (alert.sender_id or alert.partner_id):
        return ""
    if alert.kind == "dead_letters":
        return log_url(alert.partner_id, state="dead")
    place = "webhook" if alert.kind == "events_over_limit" else "tab"
    return page_url(alert.partner_id, alert.sender_key, place)


@dataclass(frozen=True, slots=True)
class Banner:
    """What stands on top of every page while something is wrong.

    Attributes:
        named: as sentences, the oldest first; *more* are not named.
    """

    named: tuple[AlertSeen, ...]
    more: int


def banner() -> Banner | None:
    """Open alerts of whom this person looks after that nobody acknowledged or muted: one query.

    On the overview the platform's admins are told too that no worker runs, which no worker can
    find. Error pages ask for the banner as well; where the database is away, nothing is said.
    Pages for those who get mail have none.
    """
    actor = web.current_actor()
    if (
        actor is None
        or not allowed(actor, Action.SEE_ALERTS)
        or request.endpoint == "smtp_admin.alerts"
        or is_for_readers()
    ):
        return None
    live = actor.is_admin and request.endpoint == "smtp_admin.overview"
    try:
        side = service.side_of(actor)
        found = service.unseen_alerts(session(), _scope(actor), live=live, side=side)
    except SQLAlchemyError:
        session().rollback()
        return None
    if not found:
        return None
    return Banner(tuple(found[:_MOST_NAMED]), len(found) - len(found[:_MOST_NAMED]))
