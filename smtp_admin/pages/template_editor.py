"""One template in one language: write it, look at it, send it to oneself, save it, put it back."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import escape

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.database import SYSTEM, session
from smtp_admin.errors import ConfigError, Conflict, MessageError, NotFound, RequestError
from smtp_admin.mail import drafts, saved_templates, templates, wording
from smtp_admin.mail.common_values import COMMON
from smtp_admin.mail.languages import clean_language, in_order, language_name
from smtp_admin.mail.layout import MARK
from smtp_admin.mail.liquid_source import MOST_SOURCE
from smtp_admin.mail.service import registry
from smtp_admin.mail.templates import Chosen, voice_of
from smtp_admin.mail.types import EmailType
from smtp_admin.mail.wording import Texts
from smtp_admin.pages.mail_frame import framed
from smtp_admin.pages.revision_seen import revision_seen
from smtp_admin.pages.sent_once import form_key
from smtp_admin.pages.template_frame import template_frame
from smtp_admin.pages.text_differences import differences
from smtp_admin.translation import gettext, joined

_PARTS = ("subject", "text", "html")
#: What the form calls its fields.
_LABELS = {
    "subject": gettext("Subject"),
    "html": "HTML",
    "text": gettext("Text"),
    "sample": gettext("Example values"),
}
#: Of a request: three parts of letters that may take twelve bytes each in a form.
_MOST_BYTES = 2 * 1024 * 1024


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    for start, edit, preview in (
        ("/templates/system", system_template, system_template_preview),
        ("/templates/partners/<partner_id>", partner_template, partner_template_preview),
    ):
        rule = f"{start}/<type_name>/<language>"
        blueprint.route(rule, methods=["GET", "POST"])(edit)
        blueprint.post(f"{rule}/preview")(preview)


@guarded(Action.EDIT_SYSTEM_TEMPLATES, most_bytes=_MOST_BYTES)
def system_template(type_name: str, language: str) -> ResponseReturnValue:
    """A template of the system's; POST saves it, sends it or puts it back."""
    return _edit(SYSTEM, type_name, language)


@guarded(Action.EDIT_PARTNER_TEMPLATES, most_bytes=_MOST_BYTES)
def partner_template(partner_id: str, type_name: str, language: str) -> ResponseReturnValue:
    """A template of a partner's; POST saves it, sends it or puts it back."""
    return _edit(partner_id, type_name, language)


@guarded(Action.EDIT_SYSTEM_TEMPLATES, most_bytes=_MOST_BYTES)
def system_template_preview(type_name: str, language: str) -> ResponseReturnValue:
    """What is on the screen, as a mail, for a frame."""
    return _preview(SYSTEM, type_name, language)


@guarded(Action.EDIT_PARTNER_TEMPLATES, most_bytes=_MOST_BYTES)
def partner_template_preview(partner_id: str, type_name: str, language: str) -> ResponseReturnValue:
    """What is on the screen, as a mail, for a frame."""
    return _preview(partner_id, type_name, language)


def edit_url(partner_id: str, type_name: str, language: str, page: str = "", **more: Any) -> str:
    """The address of an editor, or of its preview."""
    names = {"type_name": type_name, "language": language, **more}
    if partner_id == SYSTEM:
        return url_for(f"smtp_admin.system_template{page}", **names)
    return url_for(f"smtp_admin.partner_template{page}", partner_id=partner_id, **names)


def _edit(partner_id: str, type_name: str, language: str) -> ResponseReturnValue:
    type_, language = _asked(type_name, language)
    key = (partner_id, type_.name, language)
    if request.method != "POST":
        return _show(key, type_, _applies(key, type_), drafts.sample_text(type_))
    texts, sample, doing = _typed(), request.form.get("sample", ""), request.form.get("do", "")
    if doing == "compare":
        return _show(key, type_, texts, sample)
    try:
        if doing == "send":
            return _send(key, type_, texts, sample)
        voice = voice_of(session(), type_, partner_id, language)
        if doing != "reset":
            drafts.check(type_, texts, voice)
        saved_templates.write(
            session(),
            key,
            None if doing == "reset" else texts,
            expected_revision=revision_seen(request.form.get("revision", "")),
            actor=web.signed_in(),
            what="reset" if doing == "reset" else "saved",
        )
        session().commit()
    except RequestError as error:
        session().rollback()
        error.call_fields(_LABELS)
        return _show(key, type_, texts, sample, error)
    if doing == "reset":
        web.notify(gettext("The shipped text is used again."))
    else:
        odd = drafts.warnings(type_, texts, voice)
        web.notify(gettext("Saved. New mail uses this text."), tone="warn" if odd else "good")
    return redirect(edit_url(*key), code=303)


def _send(
    key: tuple[str, str, str], type_: EmailType, texts: Texts, sample: str
) -> ResponseReturnValue:
    partner_id, _, language = key
    voice = voice_of(session(), type_, partner_id, language)
    mail = drafts.render(type_, texts, voice, drafts.read_sample(type_, sample))
    sent = ""
    try:
        once = form_key(texts.subject, texts.html, texts.text, sample)
        sent = drafts.send_to(session(), type_, mail, partner_id, web.signed_in(), once)
        session().commit()
    except MessageError as error:
        session().rollback()
        return _show(key, type_, texts, sample, note=error.message)
    note = gettext("A mail with the example is on its way to %(address)s.", address=sent)
    return _show(key, type_, texts, sample, note=note)


def _preview(partner_id: str, type_name: str, language: str) -> ResponseReturnValue:
    type_, language = _asked(type_name, language)
    voice = voice_of(session(), type_, partner_id, language)
    try:
        values = drafts.read_sample(type_, request.form.get("sample", ""))
        mail = drafts.render(type_, _typed(), voice, values)
    except RequestError as error:
        told = "".join(
            f"<p><b>{escape(_LABELS.get(name, name))}</b>: {escape(joined(texts))}</p>"
            for name, texts in error.fields.items()
        )
        return framed(f"<!doctype html><title>{escape(gettext('Mistakes'))}</title>{told}")
    if request.form.get("view") == "text" or not mail.html:
        text = f"{mail.subject}\n\n{mail.text}"
        return framed(f"<!doctype html><title>{escape(_LABELS['text'])}</title>"
                      f'<pre style="white-space:pre-wrap">{escape(text)}</pre>')  # fmt: skip
    return framed(mail.html)


def _asked(type_name: str, language: str) -> tuple[EmailType, str]:
    """The type that may be written, and the language as it is stored."""
    try:
        type_ = registry().get(type_name)
        cleaned = clean_language(language)
    except (ConfigError, RequestError) as error:
        raise NotFound from error
    if not type_.customizable:
        raise NotFound(gettext("The text of this type cannot be changed."))
    return type_, cleaned


def _typed() -> Texts:
    given = {name: request.form.get(name, "").replace("\r\n", "\n") for name in _PARTS}
    given["subject"] = " ".join(given["subject"].split())
    return Texts(**{name: text[: MOST_SOURCE + 1] for name, text in given.items()})


def _applies(key: tuple[str, str, str], type_: EmailType) -> Texts:
    """What to begin with: a revision that was asked for, one's own, or the shipped text."""
    asked = request.args.get("from", "")
    if asked:
        return saved_templates.texts_of(session(), key, revision_seen(asked))
    return _bare(_chosen(key, type_).texts)


def _chosen(key: tuple[str, str, str], type_: EmailType) -> Chosen:
    partner_id, _, language = key
    return templates.choose(type_, voice_of(session(), type_, partner_id, language))


def _where_it_begins(chosen: Chosen, language: str) -> str:
    """Whose text applies while there is none of theirs in *language*."""
    origin = chosen.origins["text.liquid"]
    if origin == "app":
        return gettext("A file of the app applies now. Change the text and save.")
    if chosen.language in ("", language):
        return gettext("The text that applies now. Change it and save.")
    whose = {
        "partner": gettext("your own text"),
        "system": gettext("the system's own text"),
        "shipped": gettext("the shipped text"),
    }[origin]
    return gettext(
        "There is no text in %(language)s yet. Recipients who read it get %(whose)s in %(other)s,"
        " and you start from that.",
        language=language_name(language),
        whose=whose,
        other=language_name(chosen.language),
    )


def _bare(texts: Texts) -> Texts:
    """*texts* without the mark of those that stand in the layout: of a person's own all do."""
    return Texts(texts.subject, texts.text, texts.html.removeprefix(MARK).lstrip("\n"))


def _show(
    key: tuple[str, str, str],
    type_: EmailType,
    texts: Texts,
    sample: str,
    error: RequestError | None = None,
    note: str = "",
) -> ResponseReturnValue:
    partner_id, _, language = key
    own = saved_templates.customized(session(), partner_id).get(type_.name, [])
    number = saved_templates.revision_of(session(), *key)
    # What is entered is still based on the revision that the person saw, whatever was saved since.
    # After a conflict they know of the newer one, and may save theirs on top of it.
    based_on = number
    if request.method == "POST" and not isinstance(error, Conflict):
        based_on = revision_seen(request.form.get("revision", ""))
    failed = saved_templates.failures(session(), partner_id)
    shipped = templates.shipped(type_, language)
    bare = _bare(shipped.texts)
    page = render_template(
        "smtp_admin/templates/editor.html",
        type_=type_,
        language=language,
        direction=wording.direction(language),
        texts=texts,
        sample=sample,
        language_name=language_name,
        languages=in_order({*own, *templates.languages(type_), language}),
        edit_in=lambda other: edit_url(partner_id, type_.name, other),
        begins="" if language in own else _where_it_begins(_chosen(key, type_), language),
        shipped=bare,
        shipped_in=shipped.language,
        compared=[
            (_LABELS[one], differences(getattr(bare, one), getattr(texts, one)))
            for one in ("subject", "html", "text")
        ],
        common={one: means for one, means in COMMON.items() if one not in _own_values(type_)},
        own_values=_own_values(type_),
        revision=based_on,
        is_own=language in own,
        failed=failed.get(f"{type_.name}, {language}, revision {number}", ""),
        history=saved_templates.history(session(), *key),
        edit=lambda **more: edit_url(*key, **more),
        preview_url=edit_url(*key, page="_preview"),
        error=error,
        labels=_LABELS,
        note=note,
        complaints=error.fields if error else {},
        warnings=drafts.warnings(type_, texts, voice_of(session(), type_, partner_id, language)),
        to_fix=[(one, _LABELS[one]) for one in error.fields if one in _LABELS] if error else [],
        sending=request.form.get("do") == "send",
        **template_frame(partner_id),
    )
    return page, error.status if error else 200


def _own_values(type_: EmailType) -> dict[str, str]:
    """The variables that only mail of this type has, each with what it is."""
    found = {}
    for name, means in type_.variables.items():
        if name != "app_name":
            optional = name in type_.defaults
            found[name] = gettext("%(means)s; may be left out", means=means) if optional else means
    return found
