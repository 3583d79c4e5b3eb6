"""The overview: one table of all senders that one may see, worst first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, allowed, guarded
from smtp_admin.database import session
from smtp_admin.monitor.overview import blocked_kinds
from smtp_admin.monitor.sender_table import Asked, Line, Table, table
from smtp_admin.pages.mail_filters import numbers_url
from smtp_admin.pages.sender_frame import OWNER_OF_SYSTEM
from smtp_admin.pages.sender_routes import page_url
from smtp_admin.sender_state.state import NAMES, Key
from smtp_admin.translation import gettext, joined, number

#: The columns that one may sort by, in their order; all but the first two are numbers.
_COLUMNS = {
    "name": gettext("Sender"),
    "state": gettext("State"),
    "queued": gettext("Queued"),
    "sent": gettext("Sent, 24 h"),
    "failed": gettext("Mail refused, 24 h"),
    "dead": gettext("Dead letters"),
    "limit": gettext("Limit used"),
    "average": gettext("Average"),
}
_WORDS = ("name", "state")
#: States that are not well and no riddle.
_SAYS_IT_ALL: frozenset[Key] = frozenset({"no_worker", "limit", "held"})
_CHART_HEIGHT, _CHART_STEP = 24, 4


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/")(overview)
    blueprint.get("/partners")(partners)


@guarded(Action.SEE_OVERVIEW)
def overview() -> ResponseReturnValue:
    """The health of every sender that one may see."""
    return _page(gettext("Mail"), only_partners=False)


@guarded(Action.LIST_PARTNERS)
def partners() -> ResponseReturnValue:
    """The same without the system's own senders."""
    return _page(gettext("Partners"), only_partners=True)


def _page(title: str, *, only_partners: bool) -> ResponseReturnValue:
    actor = web.signed_in()
    asked = Asked.read(*(request.args.get(name, "") for name in ("q", "state", "sort", "page")))
    of_system = allowed(actor, Action.EDIT_SYSTEM_SENDER)
    found = table(
        session(),
        web.visible_partners(),
        asked,
        system=OWNER_OF_SYSTEM if of_system else "",
        everybody=actor.is_admin,
        only_partners=only_partners,
    )
    return render_template(
        "smtp_admin/overview.html",
        title=title,
        rows=[Row.of(line) for line in found.lines],
        table=found,
        asked=asked,
        columns=[Column.of(name, asked) for name in _COLUMNS],
        order=_order(asked),
        states=[(key, joined((NAMES[key], number(count)))) for key, count in found.states.items()],
        all_states=gettext("All %(number)s", number=number(sum(found.states.values()))),
        missing=[
            (one.owner if one.partner else gettext("the system"), _tab(one))
            for one in found.missing
        ],
        blocked=blocked_kinds(),
        of_system=of_system,
        here=_url(),
        previous=_page_url(found, asked, -1),
        next=_page_url(found, asked, +1),
    )


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column, which sorts by it."""

    name: str
    label: str
    url: str
    sorted: str
    is_number: bool

    @classmethod
    def of(cls, name: str, asked: Asked) -> "Column":
        """A click on the column that the table is sorted by turns it round."""
        here = name == asked.sort
        down = asked.reverse == (name == "name")
        return cls(
            name=name,
            label=_COLUMNS[name],
            url=_url(asked, sort=f"-{name}" if here and not asked.reverse else name),
            sorted=("descending" if down else "ascending") if here else "",
            is_number=name not in _WORDS,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table, with where it and its numbers lead to.

    Attributes:
        why: troubleshooting of a sender that is not well.
        log: where the mail is that its numbers count.
        chart: the paths of a small chart, accepted and failed; ``None`` without mail.
    """

    line: Line
    url: str
    why: str
    log: str
    chart: tuple[str, str] | None

    @classmethod
    def of(cls, line: Line) -> "Row":
        """The row of *line*."""
        owner, key = line.sender.partner_id, line.sender.key
        ill = line.sender.configured and line.state.tone in {"bad", "warn"}
        ill = ill and line.state.key not in _SAYS_IT_ALL
        why = page_url(owner, key, "symptoms") if ill else ""
        return cls(line, _tab(line), why, numbers_url(line.scope), _chart(line.day.hourly or ()))


def _tab(line: Line) -> str:
    return page_url(line.sender.partner_id, line.sender.key, "tab")


def _chart(hourly: Sequence[tuple[int, int]]) -> tuple[str, str] | None:
    """One bar an hour, accepted below and failed on top, as two paths: a page has fifty charts."""
    most = max((sent + failed for sent, failed in hourly), default=0)
    if not most:
        return None
    good, bad = [], []
    for place, (sent, failed) in enumerate(hourly):
        at = f"M{place * _CHART_STEP + 1.5} "
        height = round(sent / most * _CHART_HEIGHT, 1)
        if sent:
            good.append(f"{at}{_CHART_HEIGHT}v-{max(height, 1)}")
        if failed:
            more = max(round(failed / most * _CHART_HEIGHT, 1), 1)
            bad.append(f"{at}{max(_CHART_HEIGHT - height, 1)}v-{more}")
    return "".join(good), "".join(bad)


def _order(asked: Asked) -> str:
    """What the address says of the order; nothing of the usual one."""
    if asked.sort == "state" and not asked.reverse:
        return ""
    return f"{'-' if asked.reverse else ''}{asked.sort}"


def _page_url(found: Table, asked: Asked, step: int) -> str:
    page = found.page + step
    return _url(asked, page=page) if 1 <= page <= found.pages else ""


def _url(asked: Asked | None = None, sort: str = "", page: int = 1) -> str:
    """This page with the same search, in this order, at this page of it."""
    query: dict[str, Any] = {}
    if asked is not None:
        order = _order(asked) if not sort else sort if sort != "state" else ""
        query = {"q": asked.words, "state": asked.state, "sort": order,
                 "page": page if page > 1 else None}  # fmt: skip
    return url_for(request.endpoint or "", **{name: one for name, one in query.items() if one})
