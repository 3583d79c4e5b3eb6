"""``…/routes``: which mail goes by which sender."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.database import session
from smtp_admin.errors import InvalidInput, RequestError
from smtp_admin.mail.explain import known_types
from smtp_admin.mail.types import PRIORITIES
from smtp_admin.pages.sender_frame import frame, sender_name
from smtp_admin.pages.sender_routes import add_owner_page, owner_url
from smtp_admin.pages.shown_field import Option
from smtp_admin.senders.cleaning import DEFAULT
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender
from smtp_admin.senders.routing import Kind, routes_of, save_routes, senders_of
from smtp_admin.translation import gettext

_PRIORITY_LABELS = {
    "urgent": (
        gettext("Urgent mail"),
        gettext("Password resets, for example. Sent before all other mail."),
    ),
    "normal": (gettext("Normal mail"), gettext("All mail that is not urgent or bulk.")),
    "bulk": (gettext("Bulk mail"), gettext("Newsletters, notices and reminders.")),
}
_KINDS: tuple[Kind, ...] = ("type", "priority")


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    add_owner_page(blueprint, "routes", _routes)


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of mail, and the senders that it may go by."""

    kind: Kind
    name: str
    label: str
    hint: str
    options: tuple[Option, ...]
    errors: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name in the form."""
        return f"{self.kind}-{self.name}"


def _routes(partner_id: str) -> ResponseReturnValue:
    """Which mail goes by which sender; POST saves it."""
    if request.method != "POST":
        return _show(partner_id)
    wanted: dict[tuple[Kind, str], str] = {}
    try:
        wanted = _wanted(partner_id)
        save_routes(session(), partner_id, wanted, web.signed_in())
        session().commit()
    except RequestError as error:
        session().rollback()
        if web.wants_json():
            raise
        return _show(partner_id, wanted, error)
    if web.wants_json():
        return web.answer_json({"ok": True, "routes": _as_json(wanted)})
    web.notify(gettext("Saved. New mail uses these routes."))
    return redirect(owner_url(partner_id, "routes"), code=303)


def _wanted(partner_id: str) -> dict[tuple[Kind, str], str]:
    """What was entered: (kind, name) → key of a sender; what goes as always is left out."""
    given = _given()
    names = {*_names("type", routes_of(session(), partner_id)), *_names("priority", {})}
    wanted: dict[tuple[Kind, str], str] = {}
    for (kind, name), text in given.items():
        if (kind, name) not in names:
            raise InvalidInput(
                fields={f"{kind}-{name}": [gettext("There is no such type of mail.")]}
            )
        if text:
            wanted[kind, name] = DEFAULT_KEY if text == DEFAULT else text
    return wanted


def _given() -> dict[tuple[Kind, str], str]:
    found: dict[tuple[Kind, str], str] = {}
    if not request.is_json:
        for kind in _KINDS:
            start = f"{kind}-"
            found |= {
                (kind, name.removeprefix(start)): text.strip()
                for name, text in request.form.items()
                if name.startswith(start)
            }
        return found
    body = web.read_json()
    for kind in _KINDS:
        group = body.get(kind) or {}
        if not isinstance(group, dict) or not all(isinstance(one, str) for one in group.values()):
            raise InvalidInput(
                fields={kind: [gettext("Send an object of names and keys of senders.")]}
            )
        found |= {(kind, str(name)): text for name, text in group.items()}
    return found


def _show(
    partner_id: str,
    entered: Mapping[tuple[Kind, str], str] | None = None,
    error: RequestError | None = None,
) -> ResponseReturnValue:
    own = senders_of(session(), partner_id)
    saved = routes_of(session(), partner_id)
    keys = {one.sender_id: one.key for one in own if one.sender_id}
    now = {pair: keys[one] for pair, one in saved.items() if one in keys}
    chosen = dict(now) if entered is None else {(str(k), n): key for (k, n), key in entered.items()}
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "routes": _as_json(now),
                "senders": [one.key or DEFAULT for one in own if one.configured],
            }
        )
    complaints = error.fields if error else {}
    labels = {one.name: one.label for one in known_types()}
    usable = [one for one in own if one.configured]
    types = [
        _line("type", name, labels.get(name, name), "", usable, chosen, complaints)
        for _, name in _names("type", saved)
    ]
    priorities = [
        _line("priority", name, *_PRIORITY_LABELS[name], usable, chosen, complaints)
        for _, name in _names("priority", {})
    ]
    page = render_template(
        "smtp_admin/routes.html",
        types=types,
        priorities=priorities,
        usable=usable,
        error=error,
        **frame(partner_id),
    )
    return page, error.status if error else 200


def _names(kind: Kind, saved: Mapping[tuple[str, str], int]) -> list[tuple[Kind, str]]:
    """Every kind of mail that there is, and those that only a saved route knows of."""
    if kind == "priority":
        return [(kind, name) for name in PRIORITIES]
    names = dict.fromkeys(one.name for one in known_types() if one.name != "test")
    names |= dict.fromkeys(name for of, name in saved if of == kind)
    return [(kind, name) for name in names]


def _line(
    kind: Kind,
    name: str,
    label: str,
    hint: str,
    senders: list[ResolvedSender],
    chosen: Mapping[tuple[str, str], str],
    complaints: Mapping[str, list[str]],
) -> Line:
    now = chosen.get((kind, name))
    usual = gettext("By its priority") if kind == "type" else gettext("By the default sender")
    options = [Option("", usual, now is None)]
    options += [
        Option(one.key or DEFAULT, sender_name(one.key, one.label), now == one.key)
        for one in senders
    ]
    errors = tuple(complaints.get(f"{kind}-{name}", ()))
    return Line(kind, name, label, hint, tuple(options), errors)


def _as_json(routes: Mapping[tuple[str, str], str] | Mapping[tuple[Kind, str], str]) -> object:
    return {
        kind: {name: key or DEFAULT for (of, name), key in routes.items() if of == kind}
        for kind in _KINDS
    }
