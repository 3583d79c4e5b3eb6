"""The pages of those who send reminders: settings with reports, calendar, preview of one mail."""

import time
from dataclasses import replace
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.audit.service import record_change
from smtp_admin.database import SYSTEM, beside_workers, host_engine, session
from smtp_admin.errors import Conflict, NotFound, RequestError
from smtp_admin.installation import installation
from smtp_admin.mail import service as mail_service
from smtp_admin.mail import templates
from smtp_admin.mail.templates import Rendered
from smtp_admin.mail.unsubscribing import unsubscribe_url
from smtp_admin.pages.mail_frame import framed
from smtp_admin.pages.owners import owners
from smtp_admin.pages.renewal_forms import RenewalForm
from smtp_admin.pages.sender_frame import OWNER_OF_SYSTEM
from smtp_admin.pages.sender_routes import sender_urls
from smtp_admin.renewals import notices, queries, scheduler, unsubscribe
from smtp_admin.renewals import values as clean
from smtp_admin.renewals.calendar import Entry, look_ahead, look_at
from smtp_admin.renewals.schedule import SENTENCES, Reason
from smtp_admin.renewals.service import load, save
from smtp_admin.renewals.switching import Today, mailed_today, seal
from smtp_admin.translation import gettext, joined, ngettext

#: A request does not wait longer for a run; workers go on with the rest.
_RUN_SECONDS = 10.0
_LONGEST_SEARCH = 100


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/renewals/")(renewals)
    blueprint.route("/renewals/system", methods=["GET", "POST"])(system_renewals)
    blueprint.post("/renewals/system/run")(system_renewals_run)
    blueprint.get("/renewals/system/calendar")(system_calendar)
    blueprint.get("/renewals/system/preview")(system_preview)
    blueprint.get("/renewals/system/preview/mail")(system_preview_mail)
    one = "/renewals/partners/<partner_id>"
    blueprint.route(one, methods=["GET", "POST"])(partner_renewals)
    blueprint.post(f"{one}/run")(partner_renewals_run)
    blueprint.get(f"{one}/calendar")(partner_calendar)
    blueprint.get(f"{one}/preview")(partner_preview)
    blueprint.get(f"{one}/preview/mail")(partner_preview_mail)


@guarded(Action.SEE_RENEWALS)
def renewals() -> ResponseReturnValue:
    """Whose reminders are on, and what the last run did."""
    found = owners(Action.EDIT_SYSTEM_RENEWALS, gettext("System"))
    listed = queries.overview(session(), found.shown)
    return render_template(
        "smtp_admin/renewals/overview.html", owners=found, listed=listed, url=url
    )


@guarded(Action.EDIT_SYSTEM_RENEWALS)
def system_renewals() -> ResponseReturnValue:
    """The settings of the system, which apply to every partner without its own."""
    return _settings(SYSTEM)


@guarded(Action.EDIT_PARTNER_RENEWALS)
def partner_renewals(partner_id: str) -> ResponseReturnValue:
    """A partner's settings."""
    return _settings(partner_id)


@guarded(Action.EDIT_SYSTEM_RENEWALS)
def system_renewals_run() -> ResponseReturnValue:
    """Run over the customers without a partner now."""
    return _run(SYSTEM)


@guarded(Action.EDIT_PARTNER_RENEWALS)
def partner_renewals_run(partner_id: str) -> ResponseReturnValue:
    """Run over a partner's customers now."""
    return _run(partner_id)


@guarded(Action.EDIT_SYSTEM_RENEWALS)
def system_calendar() -> ResponseReturnValue:
    """The next thirty days of customers without a partner."""
    return _calendar(SYSTEM)


@guarded(Action.EDIT_PARTNER_RENEWALS)
def partner_calendar(partner_id: str) -> ResponseReturnValue:
    """The next thirty days of a partner's customers."""
    return _calendar(partner_id)


@guarded(Action.EDIT_SYSTEM_RENEWALS)
def system_preview() -> ResponseReturnValue:
    """What one customer would get."""
    return _preview(SYSTEM)


@guarded(Action.EDIT_PARTNER_RENEWALS)
def partner_preview(partner_id: str) -> ResponseReturnValue:
    """What one of a partner's customers would get."""
    return _preview(partner_id)


@guarded(Action.EDIT_SYSTEM_RENEWALS)
def system_preview_mail() -> ResponseReturnValue:
    """The HTML of that mail."""
    return _preview_mail(SYSTEM)


@guarded(Action.EDIT_PARTNER_RENEWALS)
def partner_preview_mail(partner_id: str) -> ResponseReturnValue:
    """The HTML of that mail."""
    return _preview_mail(partner_id)


def url(partner_id: str, page: str = "renewals", **query: Any) -> str:
    """The address of a page of ours."""
    if partner_id == SYSTEM:
        return url_for(f"smtp_admin.system_{page}", **query)
    return url_for(f"smtp_admin.partner_{page}", partner_id=partner_id, **query)


def _settings(partner_id: str) -> ResponseReturnValue:
    applied = load(session(), partner_id)
    if request.method != "POST":
        form = RenewalForm()
        form.fill(applied)
        return _show_settings(partner_id, form)
    form = RenewalForm(request.form)
    try:
        own = partner_id == SYSTEM or bool(form.own.data)
        # Who goes back to the system's settings may leave anything in the fields.
        values = form.chosen(applied, request.form) if own else applied.values
        coming = values if own else load(session(), SYSTEM).values
        if coming.enabled and not applied.values.enabled and form.confirmed.data != seal(coming):
            today = mailed_today(host_engine(), session(), partner_id, coming)
            if today.worth_saying:
                form.confirmed.data = seal(coming)
                return _show_settings(partner_id, form, today=today)
        saved = save(
            session(),
            partner_id,
            values,
            own=own,
            expected_revision=form.seen_revision,
            actor=web.signed_in(),
        )
        session().commit()
    except RequestError as error:
        session().rollback()
        return _show_settings(partner_id, form, error)
    on = gettext("Saved. Reminders are on. The next run is within 15 minutes.")
    web.notify(on if saved.values.enabled else gettext("Saved. Reminders are off."))
    return redirect(url(partner_id), code=303)


def _show_settings(
    partner_id: str,
    form: RenewalForm,
    error: RequestError | None = None,
    today: Today | None = None,
) -> ResponseReturnValue:
    applied = load(session(), partner_id)
    system = RenewalForm()
    system.show(load(session(), SYSTEM).values)
    if partner_id != SYSTEM and not form.own.data:
        form.show(load(session(), SYSTEM).values)
    for name, texts in (error.fields if error else {}).items():
        form[name].errors = texts
    if error:
        error.call_fields({one.name: one.label.text for one in form})
    if isinstance(error, Conflict):
        # The next try must be made knowing what was saved meanwhile.
        form.revision.data = str(applied.revision)
    return render_template(
        "smtp_admin/renewals/settings.html",
        form=form,
        error=error,
        today=today,
        system=system,
        applied=applied,
        advice=clean.warnings(applied.values),
        runs=queries.runs(session(), partner_id),
        link=unsubscribe_url(unsubscribe.PREVIEW),
        **_common(partner_id, "renewals"),
    ), (error.status if error else 200)


def _run(partner_id: str) -> ResponseReturnValue:
    if not load(session(), partner_id).values.enabled:
        raise Conflict(
            gettext("Reminders are off, so there is nothing to run."),
            hint=gettext("Switch them on first."),
        )
    try:
        record_change(session(), web.signed_in(), partner_id, "renewals.run")
        session().commit()
    except RequestError:
        session().rollback()
        raise
    ends = time.monotonic() + _RUN_SECONDS
    with beside_workers(2) as engine:
        reports = scheduler.run_now(engine, partner_id, stopped=lambda: time.monotonic() > ends)
    queued = sum(one.due for one in reports.values())
    problems = any(one.failed or one.ended for one in reports.values())
    web.notify(
        joined(
            (
                ngettext(
                    "%(number)s notice was queued.", "%(number)s notices were queued.", queued
                ),
                gettext("The report says what went wrong.") if problems else "",
            )
        )
    )
    return redirect(url(partner_id), code=303)


def _calendar(partner_id: str) -> ResponseReturnValue:
    search = request.args.get("q", "")[:_LONGEST_SEARCH]
    applied = load(session(), partner_id)
    return render_template(
        "smtp_admin/renewals/calendar.html",
        applied=applied,
        calendar=look_ahead(host_engine(), partner_id, applied.values, search=search),
        search=search,
        **_common(partner_id, "calendar"),
    )


def _preview(partner_id: str) -> ResponseReturnValue:
    if not request.args.get("customer"):
        return render_template("smtp_admin/renewals/choose.html", **_common(partner_id, "calendar"))
    entry, mail = _look_at(partner_id)
    return render_template(
        "smtp_admin/renewals/preview.html",
        applied=load(session(), partner_id),
        entry=entry,
        mail=mail,
        **_common(partner_id, "calendar"),
    )


def _preview_mail(partner_id: str) -> ResponseReturnValue:
    _, mail = _look_at(partner_id)
    if mail is None or not mail.html:
        raise NotFound
    return framed(mail.html)


def _look_at(partner_id: str) -> tuple[Entry, Rendered | None]:
    """The customer that the address names, and the mail that comes next, as if reminders were on.

    Where none comes, it is the one about what expires first.
    """
    values = replace(load(session(), partner_id).values, enabled=True)
    entry = look_at(host_engine(), partner_id, values, request.args.get("customer", ""))
    left = [one for one in entry.customer.services if entry.seen_at < one.expires_at]
    first = sorted(left, key=lambda one: one.expires_at)[:1]
    services = entry.named or entry.now.services or tuple(first)
    if not services:
        return entry, None
    link = unsubscribe_url(unsubscribe.PREVIEW)
    voice = replace(notices.voice_for(session(), partner_id), language=services[0].language)
    context = {"app_name": installation().config.app_name} | notices.context_of(
        entry.customer, services, values, link, voice
    )
    return entry, templates.render(mail_service.registry().get(notices.TYPE), context, voice)


def _common(partner_id: str, tab: str) -> dict[str, Any]:
    return {
        "tab": tab,
        "partner": web.current_partner() if partner_id != SYSTEM else None,
        "owner": web.current_partner().name if partner_id != SYSTEM else OWNER_OF_SYSTEM,
        "partner_id": partner_id,
        "url": url,
        "urls": sender_urls(partner_id),
        "sentences": {reason.value: SENTENCES[reason] for reason in Reason},
    }
