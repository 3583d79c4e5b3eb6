"""Render an e-mail type: Liquid templates for subject, text and HTML.

Liquid, not Jinja, because partners write them: it sees plain data only, calls nothing, and has
limits for all it does. A template of a partner's own cannot stop mail: where it fails, the one
that it took the place of is used.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from smtp_admin.catalogues import Catalogue, by_tag
from smtp_admin.database import SYSTEM
from smtp_admin.errors import MessageError, TemplateError
from smtp_admin.installation import installation
from smtp_admin.mail import layout, saved_templates, template_files, wording
from smtp_admin.mail.branding import Brand, brand_of
from smtp_admin.mail.inlining import inlined, inlined_template
from smtp_admin.mail.needed_values import refuse_incomplete
from smtp_admin.mail.saved_templates import Saved
from smtp_admin.mail.template_work import Work, work_for
from smtp_admin.mail.types import EmailType
from smtp_admin.mail.wording import FALLBACK, Texts
from smtp_admin.smtp.address import check_header_text
from smtp_admin.translation import Text, gettext, number, said_by

Origin = Literal["partner", "system", "app", "shipped"]
#: Of what partners write: many servers refuse mail with a longer one, and then it would be lost.
_LONGEST_SUBJECT = 500
#: Of HTML whose styles are moved, as many take as long as one unit of work.
_LETTERS = 5
PARTS = ("subject.liquid", "text.liquid", "html.liquid")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's three parts; ``html`` may be empty."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Voice:
    """In whose name a mail speaks, and in which language.

    Attributes:
        language: such as ``de`` or ``pt-BR``; ``""`` for English.
        saved: the templates of the partner's and the system's own, for one type.
        brand: ``None`` for the application's name and our colours.
        session: where it is written down if a template fails.
    """

    partner_id: str = SYSTEM
    language: str = ""
    saved: Sequence[Saved] = ()
    brand: Brand | None = None
    session: Session | None = None


def voice_of(session: Session, type_: EmailType, partner_id: str, language: str = "") -> Voice:
    """The voice of *partner_id* for mail of this type; looked up once in a transaction."""
    saved = saved_templates.find(session, partner_id, type_.name) if type_.customizable else ()
    return Voice(partner_id, language, saved, brand_of(session, partner_id), session)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The template that a mail is made with.

    Attributes:
        origins: part → whose it is; a part that there is none of is missing.
        language: of the words; ``""`` where a file says it in whatever language it likes.
        saved: where it is somebody's own.
    """

    texts: Texts
    origins: Mapping[str, Origin]
    language: str
    saved: Saved | None = None

    def speaks(self, language: str) -> bool:
        """Whether the text is in *language*; an app's file may be in any."""
        if self.saved is not None:
            return language in wording.candidates(self.language)
        return self.origins["text.liquid"] == "app"


def choose(type_: EmailType, voice: Voice) -> Chosen:
    """The template of *type_* for *voice*: the partner's, the system's, the app's file, or ours.

    Raises:
        MessageError: there is none.
    """
    wanted = [*wording.candidates(voice.language)] or [FALLBACK]
    saved = {(one.partner_id, one.language): one for one in voice.saved}
    if own := _first_of(saved, voice.partner_id, wanted):
        return own
    base = shipped(type_, voice.language)
    if not base.language or base.language in wanted:
        return base
    return _first_of(saved, voice.partner_id, [FALLBACK]) or base


def _first_of(
    saved: Mapping[tuple[str, str], Saved], partner_id: str, languages: list[str]
) -> Chosen | None:
    for language in languages:
        for owner in (partner_id, SYSTEM):
            if one := saved.get((owner, language)):
                origin: Origin = "system" if owner == SYSTEM else "partner"
                parts = PARTS if one.texts.html else PARTS[:2]
                return Chosen(one.texts, dict.fromkeys(parts, origin), one.language, one)
    return None


def shipped(type_: EmailType, language: str) -> Chosen:
    """The template of the app's files, and of ours where it has none.

    Raises:
        MessageError: there is none.
    """
    ours = wording.texts(type_.name) if type_.shipped else {}
    known = [one for one in wording.candidates(language) if one in ours] or [FALLBACK]
    words = ours.get(known[0])
    texts: dict[str, str] = {}
    origins: dict[str, Origin] = {}
    for part in PARTS:
        name = part.removesuffix(".liquid")
        text = template_files.source(template_files.path_of(type_.name, part))
        if text is not None:
            texts[name] = text
            origins[part] = "app" if template_files.is_apps_own(type_.name, part) else "shipped"
        elif words is not None:
            texts[name] = f"{layout.MARK}{words.html}" if name == "html" else getattr(words, name)
            origins[part] = "shipped"
        elif name == "html":
            texts[name] = ""
        else:
            path = template_files.path_of(type_.name, part)
            raise MessageError(gettext("There is no template %(path)s.", path=path))
    by_words = words is not None and "app" not in origins.values()
    return Chosen(Texts(**texts), origins, known[0] if by_words else "")


def render(type_: EmailType, context: Mapping[str, Any], voice: Voice | None = None) -> Rendered:
    """The subject, text and HTML of *type_* for *context*.

    Raises:
        MessageError: a value is missing or empty, a template is wrong, or a value cannot stand
            where it would.
    """
    voice = voice or Voice()
    data = plain(context, by_tag(voice.language))
    refuse_incomplete(type_, data)
    chosen = choose(type_, voice)
    if chosen.saved is not None:
        try:
            with work_for(chosen.saved) as work:
                return fill(type_, chosen, data, voice, work)
        except TemplateError as error:
            saved_templates.note_failure(voice.session, chosen.saved, error)
            chosen = shipped(type_, voice.language)
    return fill(type_, chosen, data, voice)


def fill(
    type_: EmailType,
    chosen: Chosen,
    data: Mapping[str, Any],
    voice: Voice,
    work: Work | None = None,
) -> Rendered:
    """The parts of a mail from *chosen*.

    Args:
        work: what they may do together; ``None`` where each part's own limits are enough.

    Raises:
        TemplateError: a template is wrong, or a value of the mail does not fit it.
    """
    brand = voice.brand or Brand(installation().config.app_name)
    language = chosen.language or _language(data, voice)
    common = wording.common_in(language)
    mail = {"language": language, "direction": wording.direction(language), **_stop(common, data)}
    values = {"brand": brand.as_data(), "mail": mail, "unsubscribe_url": "", **data}
    pen = _Pen(type_, work)
    written = pen.part("subject.liquid", chosen.texts.subject, values)
    subject = " ".join(written.split())
    try:
        check_header_text(subject)
    except ValueError as error:
        words = gettext("The subject of %(name)s: %(error)s", name=type_.name, error=said_by(error))
        raise TemplateError(words) from error
    if chosen.saved is not None and not 0 < len(subject) <= _LONGEST_SUBJECT:
        words = gettext(
            "The subject of %(name)s has %(count)s characters; 1 to %(most)s are possible.",
            name=type_.name,
            count=number(len(subject)),
            most=_LONGEST_SUBJECT,
        )
        raise TemplateError(words)
    text = pen.part("text.liquid", chosen.texts.text, values)
    link = str(values["unsubscribe_url"])
    if link and link not in text:
        text = f"{text.rstrip()}\n\n{mail['stop']}: {link}\n"
    values["mail"] = {**mail, "subject": subject}
    return Rendered(subject, text, pen.html(chosen, values, brand))


def _language(data: Mapping[str, Any], voice: Voice) -> str:
    """In which language a file says it: that of its words, or what the values say."""
    words = data.get("words")
    spoken = words.get("language") if isinstance(words, dict) else data.get("language")
    return str(spoken or voice.language or FALLBACK)


def _stop(common: Mapping[str, str], data: Mapping[str, Any]) -> dict[str, str]:
    """What the link says that ends such mail; the reminder has words of its own for it."""
    words = data.get("words")
    own = words.get("stop") if isinstance(words, dict) else None
    return {"stop": str(own or common["stop"])}


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes the parts of one mail."""

    type_: EmailType
    work: Work | None

    def part(self, part: str, source: str, data: Mapping[str, Any], *, escape: bool = False) -> str:
        try:
            return _fill(source, data, escape=escape, work=self.work)
        except TemplateError as error:
            raise error.within(self.type_.name, part) from error

    def html(self, chosen: Chosen, data: dict[str, Any], brand: Brand) -> str:
        """The HTML part with its styles in its tags, where many mail programs need them."""
        source = chosen.texts.html
        if not source:
            return ""
        page = source
        if chosen.saved is not None or source.startswith(layout.MARK):
            page = layout.whole(source, brand.colour or layout.COLOUR)
        ready = inlined_template(page) if not _has_markup(data) else None
        if ready is not None:
            # A mistake is found again below, where its line is the one in the file.
            with suppress(MessageError):
                return _fill(ready, data, escape=True, work=self.work)
        if page is not source:
            self.part("html.liquid", source, data, escape=True)
        return self._inlined(self.part("html.liquid", page, data, escape=True))

    def _inlined(self, page: str) -> str:
        if self.work is None:
            return inlined(page)
        self.work.spend(len(page) // _LETTERS)
        styled = inlined(page)
        self.work.spend(len(styled) // _LETTERS)
        return styled


def _has_markup(value: Any) -> bool:
    """Whether HTML comes in with the values, to which the styles apply as well."""
    if isinstance(value, str):
        return hasattr(value, "__html__")
    if isinstance(value, dict):
        return any(map(_has_markup, value.values()))
    return isinstance(value, list) and any(map(_has_markup, value))


def plain(value: Any, chosen: Catalogue | None = None, depth: int = 0) -> Any:
    """*value* as plain data: numbers, text, lists and dictionaries, nothing that can act.

    Args:
        chosen: what our own texts are said by; ``None`` for English. A mail is in its own language,
            whatever page somebody looks at.

    Raises:
        MessageError: it is nested too deeply.
    """
    if depth > 10:  # noqa: PLR2004 - deeper than any mail
        raise MessageError(gettext("The values of a mail are nested too deeply."))
    if isinstance(value, Text):
        return str(value) if chosen is None else value.into(chosen)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(one, chosen, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one, chosen, depth + 1) for one in value]
    return str(value)


def _fill(source: str, data: Mapping[str, Any], *, escape: bool, work: Work | None) -> str:
    # Liquid takes long to import, and most processes render no mail.
    from smtp_admin.mail.liquid import fill as filled

    return filled(source, data, escape=escape, work=work)


def is_apps_own(type_: EmailType, part: str) -> bool | None:
    """Whether a part's template is the app's, not ours; ``None`` if there is none."""
    own = template_files.is_apps_own(type_.name, part)
    return False if own is None and type_.shipped and wording.texts(type_.name) else own


def languages(type_: EmailType) -> Iterator[str]:
    """The languages that the shipped templates of *type_* are in."""
    yield from wording.names(type_.name) if type_.shipped else (FALLBACK,)


def draft(texts: Texts, language: str) -> Chosen:
    """What is chosen where *texts* apply that nobody has saved."""
    return Chosen(texts, {}, language, Saved(SYSTEM, "", language, 0, texts))
