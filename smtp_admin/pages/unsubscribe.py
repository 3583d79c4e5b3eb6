"""The pages that the links of notices lead to: end such mail, and choose among all kinds of it.

Whoever has the link is who it was sent to. Looking changes nothing, for scanners of mail look too.
A recipient takes back what a recipient did; what an admin or a server stopped stays, also beside
that, and the page says that it does and not why.
"""

from dataclasses import dataclass
from typing import Any

from babel import Locale, UnknownLocaleError
from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from smtp_admin import protection
from smtp_admin.access import Action, guarded
from smtp_admin.database import session
from smtp_admin.database_errors import begin_again
from smtp_admin.delivery.models import Delivery, Message, address_parts
from smtp_admin.delivery.request_counts import kept_counts
from smtp_admin.delivery.suppressions import lift, suppress_several
from smtp_admin.errors import RateLimited
from smtp_admin.installation import installation
from smtp_admin.mail import templates
from smtp_admin.mail.service import registry
from smtp_admin.mail.types import OURS, EmailType
from smtp_admin.mail.unsubscribing import Reader, reader_of
from smtp_admin.pages import reminders
from smtp_admin.pages.readers import speak_to_reader, speak_to_stranger
from smtp_admin.renewals import supply
from smtp_admin.renewals.unsubscribe import PREVIEW
from smtp_admin.suppression.provider_lists.lifted import waiting_of
from smtp_admin.suppression.reading import chosen_language, suppressions_of
from smtp_admin.suppression.reasons import ALL, NOTICES, OWN
from smtp_admin.suppression.writing import keep_language, row_of
from smtp_admin.translation import sentence

#: How often each reader begins again.
COUNTS = kept_counts("readers")
#: What platform admins get about their own mail; they choose it elsewhere.
_FOR_ADMINS = OURS - {"renewal"}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of notice.

    Attributes:
        wanted: the reader has not ended it.
        held: the reader cannot have it, wanted or not.
    """

    name: str
    label: str
    about: str
    wanted: bool
    held: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands against an address: the categories that its owner ended, and those of others."""

    own: frozenset[str]
    others: frozenset[str]

    def ended(self, name: str) -> bool:
        """Whether the reader ended mail of this kind."""
        return bool(self.own & {NOTICES, name})

    def held(self, name: str) -> bool:
        """Whether something stops it that its reader cannot take back."""
        return bool(self.others & {ALL, NOTICES, name})


def make_unsubscribe_blueprint(prefix: str) -> Blueprint:
    """The blueprint of these links; mail programs post to one of them by themselves.

    Args:
        prefix: where our pages are mounted.
    """
    blueprint = protection.protect(Blueprint("smtp_admin_unsubscribe", __name__), with_token=False)
    blueprint.before_request(speak_to_stranger)
    blueprint.get("/unsubscribe/<token>")(ask)
    blueprint.post("/unsubscribe/<token>")(unsubscribe_now)
    blueprint.get(f"{prefix}/preferences/<token>")(preferences)
    blueprint.post(f"{prefix}/preferences/<token>")(save_preferences)
    return blueprint


@guarded(Action.UNSUBSCRIBE)
def ask(token: str) -> ResponseReturnValue:
    """Ask whether such mail is to end."""
    if token == PREVIEW:
        return _show_preview()
    if _is_of_reminders(token):
        return reminders.ask(token)
    return _show(token, reader_of(token))


@guarded(Action.UNSUBSCRIBE)
def unsubscribe_now(token: str) -> ResponseReturnValue:
    """End such mail, or begin again; the same again changes nothing.

    Only for a mail program's one click (RFC 8058, section 3.1) or the page's own button: scanners
    of mail post to addresses too, and must unsubscribe nobody.
    """
    if token == PREVIEW:
        return _show_preview()
    if _is_of_reminders(token):
        return reminders.unsubscribe_now(token)
    reader = reader_of(token)
    if request.form.get("List-Unsubscribe") == "One-Click":
        wanted = False
    elif request.form.get("notices") in {"on", "off"}:
        wanted = request.form["notices"] == "on"
    else:
        return _show(token, reader, status=400)
    if wanted:
        _refuse_often(reader)
    _save(reader, {reader.type_name: wanted})
    if wanted and _standing(reader).held(reader.type_name):
        return _show(token, reader, status=409)
    return _show(token, reader, changed=True, later=wanted and _is_awaited(reader))


@guarded(Action.UNSUBSCRIBE)
def preferences(token: str) -> ResponseReturnValue:
    """Every kind of notice that one gets from a partner, and in which language."""
    return _show_preferences(token, reader_of(token))


@guarded(Action.UNSUBSCRIBE)
def save_preferences(token: str) -> ResponseReturnValue:
    """Save what was chosen there."""
    reader = reader_of(token)
    how = request.form.get("save")
    if how not in {"1", "none"}:
        return _show_preferences(token, reader, status=400)
    if how == "1":
        _refuse_often(reader)
    kept = set() if how == "none" else set(request.form.getlist("kinds"))
    # Boxes of what is held cannot be ticked, and say nothing; who ends everything means these too.
    kinds = [one for one in _kinds(reader) if how == "none" or not one.held]
    language = request.form.get("language", "")
    known = how == "1" and language in {"", *_languages()}
    _save(reader, {one.name: one.name in kept for one in kinds}, language if known else None)
    return _show_preferences(token, reader, saved=True)


def _show_preview() -> ResponseReturnValue:
    """What whoever looked at a preview, and at its link, should know; it is nobody's."""
    return render_template("smtp_admin/unsubscribe/preview.html")


def _is_of_reminders(token: str) -> bool:
    """Whether it is a link of a renewal reminder, which knows a customer and not an address."""
    return "." not in token


def _refuse_often(reader: Reader) -> None:
    """Return if this reader may begin again: that costs calls of providers. Ending is always free.

    Raises:
        RateLimited: that was too often; it knows when it will be possible again.
    """
    here = installation()
    who = f"{reader.partner_id} {reader.address.lower()}"
    standing = COUNTS.of(here).take(who, here.config.change_limit)
    if standing.over:
        raise RateLimited(retry_after=standing.resets_in)


def _save(reader: Reader, wanted: dict[str, bool], language: str | None = None) -> None:
    """Keep, and commit, which kinds of notice a reader wants.

    Args:
        language: of them; ``None`` for the one that was chosen before.
    """

    def save() -> None:
        _choose(reader, wanted)
        if language is not None:
            keep_language(session(), reader.partner_id, reader.address, language)
        session().commit()

    begin_again(save, session().rollback)


def _choose(reader: Reader, wanted: dict[str, bool]) -> None:
    """Keep which kinds of notice a reader wants; the caller commits.

    All kinds at once, so that the database gets them in the order that is one everywhere.
    """
    partner_id, address = reader.partner_id, reader.address
    own = _standing(reader).own
    back = {name for name, yes in wanted.items() if yes and name in own}
    if any(wanted.values()) and NOTICES in own:
        back.add(NOTICES)
        # Of all notices, which ended together, those go on that are wanted.
        wanted = {one.name: wanted.get(one.name, False) for one in _kinds(reader)}
    if back:
        lift(session(), partner_id, address, categories=sorted(back), reasons=OWN)
    ended = [name for name, yes in wanted.items() if not yes and name not in own]
    rows = [row_of(partner_id, address, "unsubscribe", category=name, by=address) for name in ended]
    suppress_several(session(), rows)


def _is_awaited(reader: Reader) -> bool:
    """Whether a provider may keep such mail back until a worker took the address off its list."""
    return bool(waiting_of(session(), reader.partner_id, reader.address))


def _standing(reader: Reader) -> Standing:
    found = suppressions_of(session(), reader.partner_id, reader.address)
    # All mail is nothing that these pages end.
    own = {one.category for one in found if one.reason in OWN and one.category != ALL}
    others = {one.category for one in found if one.reason not in OWN or one.category == ALL}
    return Standing(frozenset(own), frozenset(others))


def _kinds(reader: Reader) -> list[Kind]:
    """The kinds of notice that a reader had mail of, or has ended."""
    standing = _standing(reader)
    known = {one.name: one for one in registry() if one.notice and one.name not in _FOR_ADMINS}
    domain, mailbox = address_parts(reader.address)
    had = select(Message.type_name).join(Delivery, Delivery.message_pk == Message.id)
    had = had.where(
        Delivery.domain == domain,
        Delivery.mailbox == mailbox,
        Delivery.partner_id == reader.partner_id,
        Message.notice.is_(True),
    )
    names = {
        reader.type_name, *standing.own, *standing.others, *session().scalars(had.distinct())
    }  # fmt: skip
    return [
        Kind(
            one.name,
            one.readers_label,
            # Ours are written for those who send; an app writes for its own people.
            sentence(one.about) if one.about and not one.shipped else "",
            not standing.ended(one.name),
            standing.held(one.name),
        )
        for one in known.values()
        if one.name in names
    ]


def _languages() -> dict[str, str]:
    """Code → name in itself, of the languages that notices are written in."""
    found = {code for one in registry() if one.notice for code in templates.languages(one)}
    named = {}
    for code in sorted(found):
        try:
            named[code] = str(Locale.parse(code, sep="-").get_display_name() or code).capitalize()
        except (UnknownLocaleError, ValueError):
            named[code] = code
    return named


def _show(
    token: str, reader: Reader, *, changed: bool = False, later: bool = False, status: int = 200
) -> ResponseReturnValue:
    standing, name = _standing(reader), reader.type_name
    return _page(
        "ask",
        reader,
        status,
        token=token,
        kind=_label(name),
        wanted=not standing.ended(name) and not standing.held(name),
        held=standing.held(name),
        changed=changed,
        later=later,
    )


def _show_preferences(
    token: str, reader: Reader, *, saved: bool = False, status: int = 200
) -> ResponseReturnValue:
    kinds = _kinds(reader)
    return _page(
        "preferences",
        reader,
        status,
        token=token,
        kinds=kinds,
        stopped=ALL in _standing(reader).others,
        languages=_languages().items(),
        language=chosen_language(session(), reader.partner_id, reader.address),
        saved=saved,
    )


def _label(type_name: str) -> str:
    """What a kind of mail is called; one that is gone by now has its name left."""
    known: dict[str, EmailType] = {one.name: one for one in registry()}
    return known[type_name].readers_label if type_name in known else type_name


def _page(name: str, reader: Reader, status: int, **values: Any) -> ResponseReturnValue:
    speak_to_reader(chosen_language(session(), reader.partner_id, reader.address))
    page = render_template(
        f"smtp_admin/unsubscribe/{name}.html",
        name=supply.partner_name(reader.partner_id),
        address=reader.address,
        **values,
    )
    response = make_response(page, status)
    response.headers["Referrer-Policy"] = "no-referrer"  # the address is the secret
    response.headers["X-Robots-Tag"] = "noindex"
    return response
