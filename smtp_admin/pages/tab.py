"""The tab of a sender: its state, its settings, its tests."""

from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.clock import now
from smtp_admin.connection.copy_report import report_text
from smtp_admin.connection.fixes import fixes
from smtp_admin.connection.tested_before import count_for_revision, worked_before
from smtp_admin.credentials.key_pair import new_key_pair
from smtp_admin.database import database_now, session
from smtp_admin.delivery.queries import Followed, follow, next_try
from smtp_admin.diagnosis.explanation import Explanation, explain_followed, provider_notes
from smtp_admin.discovery.search import Discovery
from smtp_admin.errors import (
    Conflict,
    CSRFFailed,
    InvalidInput,
    RequestError,
    SecretError,
    SMTPAdminError,
)
from smtp_admin.events.queries import told
from smtp_admin.installation import installation
from smtp_admin.mail.arrival_link import has_links
from smtp_admin.mail.last_test_mail import TestMail, last_test_mail
from smtp_admin.monitor.overview import blocked_kinds, card, is_paused
from smtp_admin.pages.driver_choice import driver_choice, entered_form, refuse_read_only
from smtp_admin.pages.entered import APPLY
from smtp_admin.pages.field_layout import layout
from smtp_admin.pages.guidance import guide
from smtp_admin.pages.lead import has_mail, last_tests, lead, works
from smtp_admin.pages.mail_filters import numbers_url, sender_url
from smtp_admin.pages.oauth_guidance import must_sign_in, oauth_guidance
from smtp_admin.pages.provider_choice import asked_for
from smtp_admin.pages.sender_form import SenderForm, sender_form
from smtp_admin.pages.sender_frame import frame, has_heir, is_last_resort
from smtp_admin.pages.sender_routes import add_sender_page, page_url
from smtp_admin.providers.shape import usable_password
from smtp_admin.senders.fix import Fix
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, load_sender, overrides_for
from smtp_admin.senders.revisions import save_settings
from smtp_admin.senders.routing import senders_of
from smtp_admin.senders.values import SenderValues
from smtp_admin.translation import gettext, joined
from smtp_admin.transports.smtp.fields import SECURITY_LABELS
from smtp_admin.unsent import typed_before

#: The button that makes a key pair and saves it with the settings.
_MAKE_KEY = "make_key"


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    add_sender_page(blueprint, "tab", tab, show_typed)


def tab(partner_id: str, key: str) -> ResponseReturnValue:
    """A sender's tab; POST saves it."""
    if request.method != "POST":
        return show_tab(partner_id, key)
    sender = load_sender(session(), partner_id, key)
    form: SenderForm | None = None
    try:
        refuse_read_only(sender, web.signed_in())
        form = entered_form(sender)
        if APPLY in request.form:  # a button that fills something in, and saves nothing
            return show_tab(partner_id, key, form=form, applied=True)
        values = form.cleaned(sender)
        secrets = entered_secrets(form, sender, values)
        values, secrets = _with_new_key(sender, values, secrets)
        saved = save_settings(
            session(),
            partner_id,
            values,
            secrets=secrets,
            expected_revision=form.seen_revision,
            actor=web.signed_in(),
            key=key,
            label=str(form.label.data or "") if key != DEFAULT_KEY else None,
        )
        count_for_revision(session(), web.tested_before(), saved, web.signed_in(), now())
        session().commit()
    except (RequestError, SecretError) as error:
        session().rollback()
        status = error.status if isinstance(error, RequestError) else 503
        return show_tab(partner_id, key, status=status, error=error, form=form)
    if saved.revision == form.seen_revision:
        resumes = is_paused(sender) and not is_paused(saved)
        unchanged = gettext("Nothing changed, so there is no new revision.")
        web.notify(joined((unchanged, gettext("Sending resumes.") if resumes else "")))
    else:
        web.notify(
            gettext(
                "Saved as revision %(revision)s. %(what_now)s",
                revision=saved.revision,
                what_now=_what_now(saved),
            )
        )
    return redirect(page_url(partner_id, key, "tab"), code=303)


def _with_new_key(
    sender: ResolvedSender, values: SenderValues, secrets: dict[str, str]
) -> tuple[SenderValues, dict[str, str]]:
    """The same with a new key pair, if the button for that was pressed."""
    if _MAKE_KEY not in request.form or not values.sign_in:
        return values, secrets
    certificate, key = new_key_pair(f"{installation().config.app_name} {sender.name}")
    return values.replace(oauth_certificate=certificate), secrets | {"oauth_key": key}


def entered_secrets(
    form: SenderForm, sender: ResolvedSender, values: SenderValues
) -> dict[str, str]:
    """The secrets that were entered, as the provider means them, after the form was cleaned.

    Raises:
        InvalidInput: login or password cannot be right, whatever the server says.
    """
    secrets = form.secrets(sender)
    if "password" in form:
        typed = secrets.get("password", "")
        secrets["password"] = usable_password(
            values.host, values.username, typed, values.from_email
        )
    return secrets


def show_tab(partner_id: str, key: str, *, status: int = 200, **came: Any) -> ResponseReturnValue:
    """The tab, with what was entered if something was, and what came of it.

    Args:
        came: the arguments of :func:`tab_values`.
    """
    values = tab_values(partner_id, key, **came)
    return render_template("smtp_admin/tab.html", **values), status


def show_typed(error: RequestError, partner_id: str, key: str = DEFAULT_KEY) -> ResponseReturnValue:
    """The tab with what was typed, where the page was open for too long."""
    told = CSRFFailed()
    told.message = gettext("This page was open for too long. Nothing was changed.")
    told.hint = gettext("Press the button again.")
    return show_tab(partner_id, key, status=error.status, error=told)


def tab_values(
    partner_id: str,
    key: str,
    *,
    form: SenderForm | None = None,
    error: Any = None,
    test: Any = None,
    test_error: RequestError | None = None,
    mail_error: RequestError | None = None,
    mail_explanation: Explanation | None = None,
    applied: bool = False,
    sent: Any = None,
    both: Any = None,
    look_again: str = "",
    found: Discovery | None = None,
    find_error: RequestError | None = None,
) -> dict[str, Any]:
    """What the template of the tab needs.

    Args:
        test: the result of a connection test, to be shown beside the form.
        mail_explanation: why a test mail was refused that was tried with what was entered.
        applied: a button filled something in.
        sent: a test mail that went out with what was entered.
        both: a connection test from here and from a worker, to be seen again at *look_again*.
        found: what a search for settings found; the best of it is filled in.
    """
    sender = load_sender(session(), partner_id, key)
    answers = (error, test, test_error, mail_error, sent, both, applied)
    entered = any(answers) and "revision" in request.form
    asked = request.form if entered else request.args
    wanted = "smtp" if found else asked.get("driver", "")[:20]
    choice = driver_choice(sender, web.signed_in(), wanted)
    if form is None:
        form = _form(sender, choice.chosen, entered=entered)
    saved_now: dict[str, str] = {}
    if isinstance(error, Conflict):
        saved_now = form.differences(sender)
        # The next try must be made knowing what was saved meanwhile.
        form.revision.data = str(sender.revision)
    around = frame(partner_id, key)
    site_domain = around["partner"].site_domain if around["partner"] else ""
    guidance = guide(
        form,
        sender,
        form.readable(sender) if entered else sender.values,
        chosen="" if entered else asked_for(request.args),
        kept=asked_for(request.form) if entered else "",
        limit="" if entered else request.args.get("limit", "")[:60],
        found=_suggested(found),
        site_domain=site_domain,
    )
    tried = entered and _tried_before(form, sender)
    _complain(form, error or test_error or mail_error)
    test_mail = _test_mail(sender)
    followed = told_by = None
    if test_mail is not None and sent is None and mail_error is None:
        followed = test_mail.mail
        mail_explanation = explain_followed(session(), followed)
        told_by = told(session(), followed.public_id, followed.state)
    last = last_tests(session(), sender)
    numbers = card(session(), sender)
    if _same_cause(mail_explanation, numbers.explanation):
        mail_explanation = None  # it is told at the top already
    unsaved = form.unsaved(sender)
    is_there = bool(sender.revision and not sender.deleted)
    may_delete = is_there and not is_last_resort(sender) and not choice.read_only
    others = [one for one in senders_of(session(), partner_id) if one.key != key]
    return around | dict(  # noqa: C408 - names, as the template reads them
        guidance=guidance,
        oauth=oauth_guidance(form, sender),
        sender=sender,
        form=form,
        layout=layout(form, sender, guidance, others=others, saved=saved_now),
        choice=choice,
        env_problems=overrides_for(partner_id, key).problems,
        may_pause=bool(sender.sender_id) and (sender.configured or is_paused(sender)),
        may_delete=may_delete,
        has_heir=not may_delete or has_heir(sender),
        label=_label(form, sender),
        card=numbers,
        numbers_log=numbers_url(numbers.scope),
        limit_log=sender_url(sender),
        lead=lead(
            session(),
            sender,
            numbers,
            form,
            unsaved=unsaved,
            works=works(test, both) or tried,
            last=last,
            test_mail=test_mail,
            sent=sent is not None,
        ),
        last_tests=last,
        has_mail=has_mail(numbers),
        unsaved=unsaved,
        to_fix=[(one.name, one.label.text) for one in form if one.errors],
        retype=_retype(form),
        fixes=_fixes(sender, test, both),
        paused=is_paused(sender),
        blocked=blocked_kinds(),
        error=error,
        test=test,
        test_error=test_error,
        test_notes=_notes_on(test),
        report=report_on(test, both),
        mail_error=mail_error,
        mail_explanation=mail_explanation,
        found=found,
        find_error=find_error,
        address=request.form.get("address") or sender.values.from_email,
        preset=guidance.chosen,
        followed=followed,
        next_try=_next_try(followed),
        test_mail=test_mail,
        told=told_by,
        has_link=followed is not None and has_links(),
        sent=sent,
        both=both,
        look_again=look_again,
        to=request.form.get("to") or web.signed_in().email,
        has_keys=bool(installation().keyring),
        security_labels=SECURITY_LABELS,
    )


def _retype(form: SenderForm) -> list[tuple[str, str]]:
    """The secrets that were typed, which no page sends back: names and labels."""
    before = typed_before("password")
    secrets = [one for one in form.table if one.secret]
    return [(one.name, one.label) for one in secrets if form.typed(one.name) or one.name in before]


def _tried_before(form: SenderForm, sender: ResolvedSender) -> bool:
    """Whether the last connection test was of what stands in *form*, and succeeded."""
    note = web.tested_before()
    if note is None:
        return False
    try:
        values = form.cleaned(sender)
        typed = entered_secrets(form, sender, values)
        return worked_before(note, sender, values, typed, web.signed_in(), now())
    except (SMTPAdminError, LookupError):
        return False


def _test_mail(sender: ResolvedSender) -> TestMail | None:
    """The test mail that is asked for, else the last one."""
    last = last_test_mail(session(), sender)
    wanted = request.args.get("mail", "")[:32]
    if not wanted or (last is not None and last.mail.public_id == wanted):
        return last
    found = follow(session(), wanted, sender.partner_id)
    return last if found is None else TestMail(found)


def _form(sender: ResolvedSender, driver_name: str, *, entered: bool) -> SenderForm:
    """The form as it was sent, or with what is saved."""
    if entered:
        try:
            return entered_form(sender)
        except InvalidInput:  # a driver that there is not; whoever read it first complains
            pass
    form = sender_form(driver_name)
    form.fill(sender)
    if sender.deleted or not sender.revision:
        form.label.data = request.args.get("label", "")[:80] or sender.label
    return form


def _what_now(saved: ResolvedSender) -> str:
    """What saving means for mail."""
    if saved.values.kind.keeps_mail:
        return gettext("From now on this sender keeps mail and does not send it.")
    if must_sign_in(saved):
        return gettext("Now sign in. Until then no mail is sent.")
    if saved.key:
        return gettext(
            "Mail with a route to this sender, or sent with its key, uses these settings."
        )
    return gettext("New mail is sent with these settings.")


def _label(form: SenderForm, sender: ResolvedSender) -> str:
    """The name as entered, saved, or given where the sender was added."""
    return str(form.label.data or "") or sender.label or request.args.get("label", "")[:80]


def _complain(form: SenderForm, error: Any) -> None:
    """Say beside the fields what is wrong with them.

    After everything else, because whoever reads the form validates it, which forgets complaints.
    """
    for name, texts in getattr(error, "fields", {}).items():
        if name in form and not form[name].errors:
            form[name].errors = list(texts)


def _suggested(found: Discovery | None) -> dict[str, str] | None:
    """The best settings that were found, as fields of the form."""
    if found is None or found.best is None:
        return None
    best = {name: str(value) for name, value in found.best.as_json().items()}
    return best | {"address": found.address}


def _same_cause(one: Explanation | None, other: Explanation | None) -> bool:
    return bool(one and other and one.causes[0].key == other.causes[0].key)


def _notes_on(test: Any) -> tuple[str, ...]:
    """What the provider has announced that explains the failure of a test."""
    if test is None or test.failure is None or test.failure.reply is None:
        return ()
    return provider_notes(test.request.values.host, str(test.failure.reply))


def _fixes(sender: ResolvedSender, test: Any, both: Any) -> tuple[Fix, ...]:
    """What mends a test that failed, from wherever."""
    results = (both.web, both.remote) if both else (test,)
    failed = next((one for one in results if one is not None and not one.ok), None)
    return () if failed is None else fixes(failed, sender.locked)


def report_on(test: Any, both: Any) -> str:
    """What to send to whoever runs the server, where a test failed or met words nobody knows."""
    results = [one for one in ((both.web, both.remote) if both else (test,)) if one is not None]
    failed = next((one for one in results if not one.ok or _met_unknown_words(one)), None)
    return "" if failed is None else report_text(failed, both)


def _met_unknown_words(test: Any) -> bool:
    return any(one.unrecognised for one in test.warnings)


def _next_try(followed: Followed | None) -> datetime | None:
    if followed is None:
        return None
    moment = database_now(session())
    return next_try(followed.state, followed.code, followed.next_attempt_at, moment)
