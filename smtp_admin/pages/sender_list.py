"""``…/senders``: all senders of a partner or of the system, and adding one."""

import re
import unicodedata
from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.database import session
from smtp_admin.errors import InvalidInput, RequestError
from smtp_admin.pages.sender_frame import frame, sender_name
from smtp_admin.pages.sender_routes import add_owner_page, page_url
from smtp_admin.sender_state.facts import states_of
from smtp_admin.sender_state.state import State
from smtp_admin.senders.cleaning import DEFAULT, clean_key
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.senders.revisions import clean_label
from smtp_admin.senders.routing import senders_of
from smtp_admin.translation import gettext, said_by

_LONGEST_KEY = 40
#: What the form calls its fields.
_LABELS = {"label": gettext("Name"), "key": gettext("Key")}


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    add_owner_page(blueprint, "senders", _senders)


@dataclass(frozen=True, slots=True)
class Listed:
    """One sender in the list."""

    sender: ResolvedSender
    name: str
    url: str
    state: State
    steps_in: str


def _senders(partner_id: str) -> ResponseReturnValue:
    """The senders; POST goes to the empty tab of another, and saves nothing."""
    if request.method != "POST":
        return _show(partner_id)
    given = web.read_json() if request.is_json else request.form
    label, key = (str(given.get(name) or "") for name in ("label", "key"))
    try:
        name = clean_label(label)
        found = _free_key(partner_id, key, name)
    except RequestError as error:
        if web.wants_json():
            raise
        error.call_fields(_LABELS)
        return _show(partner_id, error, label=label, key=key)
    url = page_url(partner_id, found, "tab", new="1", label=name)
    if web.wants_json():
        return web.answer_json({"ok": True, "key": found, "url": url})
    return redirect(url, code=303)


def _show(
    partner_id: str, error: RequestError | None = None, *, label: str = "", key: str = ""
) -> ResponseReturnValue:
    own = senders_of(session(), partner_id)
    names = {one.key or DEFAULT: sender_name(one.key, one.label) for one in own}
    listed = [
        Listed(
            sender=one,
            name=sender_name(one.key, one.label),
            url=page_url(partner_id, one.key, "tab"),
            state=state,
            steps_in=", ".join(names.get(each, each) for each in one.values.fallbacks),
        )
        for one, state in zip(own, states_of(session(), own), strict=True)
    ]
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "senders": [
                    {"key": one.sender.key, "label": one.sender.label, **one.state.as_json()}
                    for one in listed
                ],
            }
        )
    page = render_template(
        "smtp_admin/senders.html",
        listed=listed,
        error=error,
        label=label,
        new_key=key,
        **frame(partner_id),
    )
    return page, error.status if error else 200


def _free_key(partner_id: str, text: str, label: str) -> str:
    """The key as entered, or one made from the label, that no sender has.

    Raises:
        InvalidInput: it cannot be used, or there is such a sender.
    """
    if not text.strip() and not label:
        raise InvalidInput(fields={"label": [gettext("Give it a name, such as Newsletters.")]})
    field = "key" if text.strip() else "label"
    try:
        key = clean_key(text) if text.strip() else clean_key(suggested_key(label))
    except ValueError as error:
        words = (
            said_by(error)
            if field == "key"
            else gettext("No key can be made from this name. Enter one.")
        )
        raise InvalidInput(fields={"key": [words]}) from error
    there = load_sender(session(), partner_id, key)
    if there.revision and not there.deleted:
        raise InvalidInput(
            fields={field: [gettext("There is a sender with the key “%(key)s” already.", key=key)]}
        )
    return key


def suggested_key(label: str) -> str:
    """A key that reads like *label*: ``Rechnungen für Köln`` → ``rechnungen-fur-koln``."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:_LONGEST_KEY].strip("-")
