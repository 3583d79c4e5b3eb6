"""The overview, the partner list, and the SMTP tab."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, allowed, guarded
from smtp_admin.clock import now
from smtp_admin.database import SYSTEM, session
from smtp_admin.delivery.queries import follow
from smtp_admin.diagnosis.explanation import Explanation, explain_followed, provider_notes
from smtp_admin.discovery.search import Discovery
from smtp_admin.errors import Conflict, RequestError, SecretError
from smtp_admin.host import Partner
from smtp_admin.installation import installation
from smtp_admin.monitor.overview import Card, blocked_kinds, card
from smtp_admin.pages.guidance import guide
from smtp_admin.pages.sender_form import SenderForm
from smtp_admin.providers.shape import usable_password
from smtp_admin.senders.queries import senders_of
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.senders.revisions import save_settings
from smtp_admin.senders.values import SenderValues
from smtp_admin.transports.smtp.fields import SECURITY_LABELS


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/")(overview)
    blueprint.get("/partners")(partners)
    blueprint.route("/system", methods=["GET", "POST"])(system)
    blueprint.route("/partners/<partner_id>", methods=["GET", "POST"])(partner)


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


@guarded(Action.EDIT_SYSTEM_SENDER)
def system() -> ResponseReturnValue:
    """The system's sender."""
    return _tab(SYSTEM)


@guarded(Action.EDIT_PARTNER_SENDER)
def partner(partner_id: str) -> ResponseReturnValue:
    """A partner's SMTP tab."""
    return _tab(partner_id)


def tab_url(partner_id: str, **query: Any) -> str:
    """The address of the tab."""
    if partner_id == SYSTEM:
        return url_for(".system", **query)
    return url_for(".partner", partner_id=partner_id, **query)


def _tab(partner_id: str) -> ResponseReturnValue:
    if request.method != "POST":
        return show_tab(partner_id)
    form = SenderForm(request.form)
    sender = load_sender(session(), partner_id)
    try:
        values = form.cleaned(sender)
        password = usable_password(
            values.host, values.username, form.typed_password, values.from_email
        )
        saved = save_settings(
            session(),
            partner_id,
            values,
            password=password,
            expected_revision=form.seen_revision,
            actor=web.signed_in(),
        )
        session().commit()
    except (RequestError, SecretError) as error:
        session().rollback()
        status = error.status if isinstance(error, RequestError) else 503
        return show_tab(partner_id, status=status, error=error, form=form)
    web.notify(f"Saved as revision {saved.revision}. Mail from now on goes out this way.")
    return redirect(tab_url(partner_id), code=303)


def show_tab(
    partner_id: str,
    *,
    status: int = 200,
    form: SenderForm | None = None,
    error: Any = None,
    test: Any = None,
    test_error: RequestError | None = None,
    mail_error: RequestError | None = None,
    mail_explanation: Explanation | None = None,
    sent: Any = None,
    both: Any = None,
    look_again: str = "",
    found: Discovery | None = None,
    find_error: RequestError | None = None,
) -> ResponseReturnValue:
    """The tab, with what was entered if something was, and what came of it.

    Args:
        test: the result of a connection test, to be shown beside the form.
        mail_explanation: why a test mail was refused that was tried with what was entered.
        sent: a test mail that went out with what was entered.
        both: a connection test from here and from a worker, to be seen again at *look_again*.
        found: what a search for settings found; the best of it is filled in.
    """
    sender = load_sender(session(), partner_id)
    answers = (error, test, test_error, mail_error, sent, both)
    entered = any(answers) and "host" in request.form
    if form is None:
        form = SenderForm(request.form if entered else None)
        if not entered:
            form.fill(sender)
    saved_now: dict[str, str] = {}
    if isinstance(error, Conflict):
        saved_now = form.differences(sender)
        # The next try must be made knowing what was saved meanwhile.
        form.revision.data = str(sender.revision)
    of = web.current_partner() if partner_id != SYSTEM else None
    guidance = guide(
        form,
        sender,
        _on_screen(form, sender) if entered else sender.values,
        chosen="" if entered else request.args.get("preset", "")[:60],
        limit="" if entered else request.args.get("limit", "")[:60],
        found=_suggested(found),
        site_domain=of.site_domain if of else "",
    )
    # After that, because whoever reads the form validates it, which forgets them.
    complaints = getattr(error or test_error or mail_error, "fields", {})
    for name, texts in complaints.items():
        if name in form and not form[name].errors:
            form[name].errors = list(texts)
    followed = None
    if mail := request.args.get("mail"):
        followed = follow(session(), mail[:32], partner_id)
    if followed is not None:
        mail_explanation = explain_followed(session(), followed)
    page = render_template(
        "smtp_admin/tab.html",
        partner_id=partner_id,
        partner=of,
        guidance=guidance,
        sender=sender,
        form=form,
        card=card(session(), sender),
        blocked=blocked_kinds(),
        error=error,
        test=test,
        test_error=test_error,
        test_notes=_notes_on(test),
        mail_error=mail_error,
        mail_explanation=mail_explanation,
        found=found,
        find_error=find_error,
        address=request.form.get("address") or sender.values.from_email,
        preset=guidance.chosen,
        followed=followed,
        sent=sent,
        both=both,
        look_again=look_again,
        saved_now=saved_now,
        to=request.form.get("to") or _own_address(),
        password_age=_age(sender),
        has_keys=bool(installation().keyring),
        urls=sender_urls(partner_id),
        security_labels=SECURITY_LABELS,
    )
    return page, status


def _on_screen(form: SenderForm, sender: ResolvedSender) -> SenderValues:
    """What was entered, or what is saved where that cannot be used."""
    try:
        return form.cleaned(sender)
    except RequestError:
        return sender.values


def _suggested(found: Discovery | None) -> dict[str, str] | None:
    """The best settings that were found, as fields of the form."""
    if found is None or found.best is None:
        return None
    best = {name: str(value) for name, value in found.best.as_json().items()}
    return best | {"address": found.address}


def _notes_on(test: Any) -> tuple[str, ...]:
    """What the provider has announced that explains the failure of a test."""
    if test is None or test.failure is None or test.failure.reply is None:
        return ()
    return provider_notes(test.setup.settings.host, str(test.failure.reply))


def _own_address() -> str:
    actor = web.current_actor()
    return actor.email if actor else ""


def _age(sender: ResolvedSender) -> int | None:
    return None if sender.password_set_at is None else (now() - sender.password_set_at).days


def sender_urls(partner_id: str) -> dict[str, str]:
    """Where the pages and buttons of one sender are."""
    if partner_id == SYSTEM:
        return {
            "save": url_for(".system"),
            "test": url_for(".test_system"),
            "worker_test": url_for(".test_system_from_worker"),
            "mail": url_for(".send_system_test"),
            "history": url_for(".system_history"),
            "rollback": url_for(".system_rollback"),
            "explain": url_for(".explain_system"),
            "discover": url_for(".discover_system"),
            "deliverability": url_for(".deliverability_of_system"),
            "renewals": url_for(".system_renewals"),
            "calendar": url_for(".system_calendar"),
        }
    return {
        "save": url_for(".partner", partner_id=partner_id),
        "test": url_for(".test_partner", partner_id=partner_id),
        "worker_test": url_for(".test_partner_from_worker", partner_id=partner_id),
        "mail": url_for(".send_partner_test", partner_id=partner_id),
        "history": url_for(".partner_history", partner_id=partner_id),
        "rollback": url_for(".partner_rollback", partner_id=partner_id),
        "explain": url_for(".explain_partner", partner_id=partner_id),
        "discover": url_for(".discover_partner", partner_id=partner_id),
        "deliverability": url_for(".deliverability_of_partner", partner_id=partner_id),
        "renewals": url_for(".partner_renewals", partner_id=partner_id),
        "calendar": url_for(".partner_calendar", partner_id=partner_id),
    }
