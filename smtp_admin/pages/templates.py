"""``/templates/…``: which texts there are, whose they are, and what the mail looks like."""

from dataclasses import dataclass, replace

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.database import SYSTEM, session
from smtp_admin.errors import ConfigError, Conflict, InvalidInput, NotFound, RequestError
from smtp_admin.mail import branding, saved_templates, template_files, templates
from smtp_admin.mail.branding import Brand
from smtp_admin.mail.languages import clean_language, in_order, language_name
from smtp_admin.mail.service import registry
from smtp_admin.mail.types import EmailType
from smtp_admin.pages import template_editor
from smtp_admin.pages.lists import word
from smtp_admin.pages.owners import owners
from smtp_admin.pages.revision_seen import revision_seen
from smtp_admin.pages.template_frame import list_url, template_frame
from smtp_admin.translation import as_shown, gettext, sentence

_FIELDS = {
    "colour": gettext("Colour"),
    "logo_url": gettext("Address of the logo"),
    "footer": gettext("Line at the end"),
}
_BEGINS = {"type": gettext("E-mail type"), "language": gettext("Language")}


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/templates/")(email_templates)
    blueprint.route("/templates/system", methods=["GET", "POST"])(system_templates)
    blueprint.route("/templates/partners/<partner_id>", methods=["GET", "POST"])(partner_templates)
    template_editor.add_to(blueprint)


@dataclass(frozen=True, slots=True)
class Line:
    """One type, as a list shows it.

    Attributes:
        about: what such a mail does, as a sentence; may be empty.
        own: the languages in which there is a text of theirs, each with why it failed last.
        languages: these, and those of the shipped one; of a file of the app there is one.
    """

    type_: EmailType
    about: str
    own: tuple[tuple[str, str], ...]
    languages: tuple[str, ...]
    of_app: bool


@guarded(Action.SEE_TEMPLATES)
def email_templates() -> ResponseReturnValue:
    """Whose templates there are."""
    found = owners(Action.EDIT_SYSTEM_TEMPLATES, gettext("System"))
    counts = saved_templates.how_many(session(), [one for one, _ in found.shown])
    return render_template(
        "smtp_admin/templates/overview.html", owners=found, counts=counts, url=list_url
    )


@guarded(Action.EDIT_SYSTEM_TEMPLATES)
def system_templates() -> ResponseReturnValue:
    """The system's templates, which apply where a partner has none; POST saves how mail looks."""
    return _list(SYSTEM)


@guarded(Action.EDIT_PARTNER_TEMPLATES)
def partner_templates(partner_id: str) -> ResponseReturnValue:
    """A partner's templates; POST saves how its mail looks."""
    return _list(partner_id)


def _list(partner_id: str) -> ResponseReturnValue:
    brand = branding.saved(session(), partner_id)
    if request.method != "POST":
        return _begin(partner_id, brand) if "language" in request.args else _show(partner_id, brand)
    seen = revision_seen(request.form.get("revision", ""))
    typed = {name: word(name, 600) for name in _FIELDS}
    entered = replace(brand, **typed, revision=seen)
    try:
        branding.save(session(), partner_id, entered, web.signed_in())
        session().commit()
    except RequestError as error:
        session().rollback()
        error.call_fields(_FIELDS)
        if isinstance(error, Conflict):  # now they know of the newer one, and may save again
            entered = replace(entered, revision=branding.saved(session(), partner_id).revision)
        return _show(partner_id, entered, error)
    web.notify(gettext("Saved. New mail looks like this."))
    return redirect(list_url(partner_id), code=303)


def _begin(partner_id: str, brand: Brand) -> ResponseReturnValue:
    """Open the editor for a type in a language that somebody typed."""
    try:
        type_ = registry().get(request.args.get("type", ""))
        language = clean_language(request.args["language"])
    except ConfigError as error:
        raise NotFound from error
    except InvalidInput as error:
        error.call_fields(_BEGINS)
        return _show(partner_id, brand, begins=error)
    return redirect(template_editor.edit_url(partner_id, type_.name, language))


def _show(
    partner_id: str,
    brand: Brand,
    error: RequestError | None = None,
    begins: InvalidInput | None = None,
) -> ResponseReturnValue:
    own = saved_templates.customized(session(), partner_id)
    failed = saved_templates.failures(session(), partner_id)
    page = render_template(
        "smtp_admin/templates/list.html",
        lines=[_line(partner_id, one, own.get(one.name, []), failed) for one in _types()],
        brand=brand,
        error=error,
        begins=begins,
        brand_to_fix=[(one, _FIELDS[one]) for one in error.fields if one in _FIELDS]
        if error
        else [],
        asked=(request.args.get("type", ""), request.args.get("language", "")[:35]),
        labels=_FIELDS | _BEGINS,
        edit=template_editor.edit_url,
        language_name=language_name,
        **template_frame(partner_id),
    )
    refused = error or begins
    return page, refused.status if refused else 200


def _line(partner_id: str, type_: EmailType, languages: list[str], failed: dict[str, str]) -> Line:
    numbers = {
        one: saved_templates.revision_of(session(), partner_id, type_.name, one)
        for one in languages
    }
    own = tuple(
        (one, failed.get(f"{type_.name}, {one}, revision {numbers[one]}", ""))
        for one in in_order(languages)
    )
    of_app = bool(template_files.is_apps_own(type_.name, "text.liquid"))
    about = sentence(type_.about) if type_.about else ""
    all_languages = in_order({*languages, *templates.languages(type_)})
    return Line(type_, about, own, tuple(all_languages), of_app)


def _types() -> list[EmailType]:
    return sorted(
        registry(), key=lambda one: (not one.customizable, as_shown(one.label).casefold())
    )
