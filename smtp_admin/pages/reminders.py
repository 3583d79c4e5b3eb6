"""The pages of those who get reminders: ask for one, and the link that ends them."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Flask, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf

from smtp_admin import web
from smtp_admin.access import Action, allowed, guarded
from smtp_admin.database import session
from smtp_admin.errors import RequestError, Unavailable
from smtp_admin.pages.readers import speak_to_reader
from smtp_admin.renewals import notices, supply, unsubscribe
from smtp_admin.renewals.on_demand import Standing, refusal, remind, standings
from smtp_admin.renewals.schedule import Reason
from smtp_admin.translation import gettext, wanted_language


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/renewals/remind-me")(reminder_page)
    blueprint.post("/renewals/remind-me")(remind_me)


def add_global(app: Flask) -> None:
    """Let every template of the app embed the reminder button."""
    app.jinja_env.globals["smtp_admin_reminder"] = reminder


@dataclass(frozen=True, slots=True)
class Soon:
    """A service of the customer that expires soon; when, in the customer's zone."""

    name: str
    expires_at: datetime
    price: str
    currency: str
    payment_url: str


@dataclass(frozen=True, slots=True)
class Reminder:
    """What a page shows a customer about reminders.

    Attributes:
        services: what expires soon, over all partners.
        known: whether the host could say; it may fail.
        offered: whether reminders are on at all.
        sentence: why there is no reminder now; ``""`` if it can be had.
        allowed_at: when it can, in the customer's zone, where that is only a matter of time.
        seconds: until then, rounded up.
        manage_url: where reminders can be switched off or on again; ``""`` before the first one.
        language: of their mail, as the host says; ``""`` if nothing expires soon.
    """

    services: tuple[Soon, ...] = ()
    known: bool = True
    offered: bool = True
    sentence: str = ""
    allowed_at: datetime | None = None
    seconds: int = 0
    last_at: datetime | None = None
    unsubscribed: bool = False
    manage_url: str = ""
    language: str = ""
    url: str = ""
    csrf_token: str = ""


def reminder() -> Reminder | None:
    """For the customer who is signed in; ``None`` for anybody else."""
    actor = web.current_actor()
    if actor is None or actor.customer_id is None:
        return None
    if not allowed(actor, Action.ASK_FOR_REMINDER):
        return None
    try:
        return _shown(standings(str(actor.customer_id)))
    except Unavailable as error:  # it may stand in a page of the host's, which goes on without
        return Reminder(known=False, sentence=error.message)


@guarded(Action.ASK_FOR_REMINDER)
def reminder_page() -> ResponseReturnValue:
    """The customer's own page."""
    return render_template("smtp_admin/renewals/remind_me.html", one=_in_own_language(), error=None)


@guarded(Action.ASK_FOR_REMINDER)
def remind_me() -> ResponseReturnValue:
    """Send a reminder now, or say when that will be possible."""
    customer_id = str(web.signed_in().customer_id)
    try:
        standing = remind(customer_id)
    except RequestError as error:
        if web.wants_json():
            raise
        page = render_template(
            "smtp_admin/renewals/remind_me.html", one=_in_own_language(), error=error
        )
        response = make_response(page, error.status)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response
    if web.wants_json():
        body: dict[str, Any] = {
            "ok": True,
            "status": "queued",
            "to": standing.customer.email,
            "services": [one.service_name for one in standing.decision.services],
            "next_in_seconds": int(standing.values.gap(on_demand=True).total_seconds()),
        }
        return web.answer_json(body, 202)
    web.notify(gettext("A reminder is being sent to %(email)s.", email=standing.customer.email))
    return redirect(url_for("smtp_admin.reminder_page"), code=303)


def _in_own_language() -> Reminder | None:
    """What the page shows, after it was set to the host's language, else the customer's."""
    one = reminder()
    speak_to_reader(wanted_language(), one.language if one else "")
    return one


def ask(token: str) -> ResponseReturnValue:
    """Ask whether reminders are to end; looking changes nothing, as scanners of mail look too."""
    return _show(unsubscribe.find(session(), token))


def unsubscribe_now(token: str) -> ResponseReturnValue:
    """End reminders, or begin again; the same again changes nothing.

    Only for a mail program's one click (RFC 8058, section 3.1) or the page's own button:
    scanners of mail post to addresses too, and must end nobody's reminders.
    """
    if request.form.get("List-Unsubscribe") == "One-Click":
        wanted = False
    elif request.form.get("reminders") in {"on", "off"}:
        wanted = request.form["reminders"] == "on"
    else:
        return _show(unsubscribe.find(session(), token), status=400)
    found = unsubscribe.choose(session(), token, wanted=wanted)
    session().commit()
    return _show(found, changed=True)


def _show(
    found: unsubscribe.Subscription, *, changed: bool = False, status: int = 200
) -> ResponseReturnValue:
    name = supply.partner_name(found.partner_id)
    page = render_template(
        "smtp_admin/renewals/unsubscribe.html", found=found, changed=changed, name=name
    )
    response = make_response(page, status)
    response.headers["Referrer-Policy"] = "no-referrer"  # the address is the secret
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _shown(found: list[Standing]) -> Reminder:
    ready = next((one for one in found if one.reason is None), None)
    timed = [one for one in found if one.allowed_at is not None]
    first = ready or (min(timed, key=lambda one: one.allowed_at or one.now) if timed else None)
    first = first or (found[0] if found else None)
    error = None if ready else refusal(first)
    zone = first.customer.zone(first.values) if first else UTC
    allowed_at = first.allowed_at.astimezone(zone) if first and first.allowed_at else None
    seconds = 0
    if first is not None and allowed_at is not None:
        seconds = math.ceil((allowed_at - first.now).total_seconds())
    expiring = [one for standing in found for one in standing.decision.services]
    language = expiring[0].language if expiring else ""
    return Reminder(
        services=tuple(
            Soon(
                notices.shown(one.service_name),
                one.expires_at.astimezone(zone),
                notices.amount(one.price, one.currency),
                one.currency,
                one.payment_url,
            )
            for one in sorted(expiring, key=lambda one: one.expires_at)
        ),
        offered=any(one.reason is not Reason.DISABLED for one in found),
        sentence=error.message if error else "",
        allowed_at=allowed_at,
        seconds=seconds,
        last_at=first.last_at.astimezone(zone) if first and first.last_at else None,
        unsubscribed=first is not None and first.reason is Reason.UNSUBSCRIBED,
        manage_url=url_for("smtp_admin_unsubscribe.ask", token=first.token, lang=language or None)
        if first and first.token
        else "",
        language=language,
        url=url_for("smtp_admin.remind_me"),
        csrf_token=generate_csrf(),
    )
