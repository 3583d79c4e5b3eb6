"""``/expiry``: what ends of everything one looks after, the worst first, and where to renew it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.clock import now
from smtp_admin.database import SYSTEM, session
from smtp_admin.expiry.kinds import BY_NAME, KINDS
from smtp_admin.expiry.things import AHEAD, Condition, Ending
from smtp_admin.expiry.watch import advice_on, as_json, name_of
from smtp_admin.monitor.expiring import endings
from smtp_admin.pages import lists
from smtp_admin.pages.mail_log import owner_name
from smtp_admin.pages.sender_frame import OWNER_OF_SYSTEM, sender_name
from smtp_admin.pages.sender_routes import owner_url, page_url
from smtp_admin.translation import gettext


@dataclass(frozen=True, slots=True)
class ConditionWords:
    """A condition as people read it."""

    label: str
    tone: str


_CONDITIONS: dict[Condition, ConditionWords] = {
    "over": ConditionWords(gettext("Ended"), "bad"),
    "soon": ConditionWords(gettext("Ends soon"), "warn"),
    "attention": ConditionWords(gettext("To do"), "warn"),
    "fine": ConditionWords(gettext("Valid"), "good"),
    "endless": ConditionWords(gettext("No known end"), "off"),
}
#: What is done in the part of the tab that is about OAuth2.
_IN_OAUTH = frozenset({"client_secret", "sign_in", "app_certificate"})
_TITLES = ("kind", "name", "partner", "sender", "state", "ends", "since", "what to do")


def add_to(blueprint: Blueprint) -> None:
    """Register the route."""
    blueprint.get("/expiry")(expiry)


@guarded(Action.SEE_EXPIRY)
def expiry() -> ResponseReturnValue:
    """Everything that ends; one page is fifty."""
    base = url_for("smtp_admin.expiry")
    chosen = {name: lists.word(name, 40) for name in ("q", "state", "kind")}
    found = [one for one in endings(session(), lists.scope()) if _fits(one, chosen)]
    if request.args.get("export") == "csv":
        return lists.csv_answer("expiry", _TITLES, map(_cells, found))
    pages = max(1, ceil(len(found) / lists.PAGE_SIZE))
    page = min(max(1, lists.number("page")), pages)
    first = (page - 1) * lists.PAGE_SIZE
    shown = found[first : first + lists.PAGE_SIZE]
    links = {
        name: lists.address(base, chosen, page=number) if 1 <= number <= pages else ""
        for name, number in (("previous", page - 1), ("next", page + 1))
    }
    if web.wants_json():
        things = [as_json(one) for one in shown]
        return web.answer_json(
            {"ok": True, "count": len(found), "things": things, "next": links["next"] or None}
        )
    return render_template(
        "smtp_admin/expiry.html",
        here="expiry",
        all_=True,
        base=base,
        chosen=chosen,
        rows=[Row.of(one) for one in shown],
        found=len(found),
        first=first + 1,
        ahead=AHEAD.days,
        export_url=lists.address(base, chosen, export="csv"),
        states=[(name, words.label) for name, words in _CONDITIONS.items()],
        kinds=[(one.name, one.label) for one in KINDS],
        **links,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        url: where something can be done about it; empty where that is not on a page.
        days: until its end, or since it; ``None`` without one.
    """

    one: Ending
    name: str
    owner: str
    sender: str
    words: ConditionWords
    advice: str
    url: str
    days: int | None

    @classmethod
    def of(cls, one: Ending) -> "Row":
        """The row of *one*."""
        return cls(
            one,
            name_of(one),
            OWNER_OF_SYSTEM if one.partner_id == SYSTEM else owner_name(one.partner_id),
            sender_name(one.sender.key, one.sender.label) if one.sender else "",
            _CONDITIONS[one.condition],
            advice_on(one),
            _url(one),
            None if one.ends is None else (one.ends - now()).days,
        )


def _url(one: Ending) -> str:
    if BY_NAME[one.kind].where == "tokens":
        return owner_url(one.partner_id, "tokens")
    if one.sender is None:
        return ""
    anchor = {"_anchor": "oauth"} if one.kind in _IN_OAUTH else {}
    return page_url(one.partner_id, one.sender.key, "tab", **anchor)


def _fits(one: Ending, chosen: dict[str, str]) -> bool:
    if chosen["state"] and one.condition != chosen["state"]:
        return False
    if chosen["kind"] and one.kind != chosen["kind"]:
        return False
    words = chosen["q"].casefold()
    return not words or any(words in text.casefold() for text in _texts(one))


def _texts(one: Ending) -> Sequence[str]:
    values = one.sender.values if one.sender else None
    return (
        one.what,
        one.partner_id,
        owner_name(one.partner_id),
        *((one.sender.key, one.sender.label) if one.sender else ()),
        *((values.host, values.username, values.from_email) if values else ()),
    )


def _cells(one: Ending) -> tuple[Any, ...]:
    said = as_json(one)
    return (one.kind, said["label"], one.partner_id, said["sender"], one.condition,
            said["ends_at"], said["since"], said["message"])  # fmt: skip
