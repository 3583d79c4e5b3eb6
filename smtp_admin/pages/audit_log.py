"""``/audit`` and ``…/audit``: who did what, to everything one looks after or to one owner's."""

from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.audit.actions import ACTIONS, action_words
from smtp_admin.audit.models import Audit
from smtp_admin.audit.queries import as_json, entries
from smtp_admin.database import database_now, session
from smtp_admin.pages import lists
from smtp_admin.pages.mail_log import owner_name
from smtp_admin.pages.sender_frame import frame
from smtp_admin.pages.sender_routes import add_owner_page, owner_url

_MOST_EXPORTED = 100_000
_STEP = 1000


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/audit")(audit_log)
    add_owner_page(blueprint, "audit", _audit)


@guarded(Action.SEE_AUDIT)
def audit_log() -> ResponseReturnValue:
    """What was done to everything that one looks after."""
    return _audit(None)


def _audit(owner: str | None) -> ResponseReturnValue:
    base = url_for("smtp_admin.audit_log") if owner is None else owner_url(owner, "audit")
    chosen = {
        "q": lists.word("q", 320),
        "action": lists.word("action", 40),
        "period": lists.word("period", 4),
    }
    wanted = _wanted(owner, chosen)
    if request.args.get("export") == "csv":
        return lists.csv_answer("audit", ("at", "who", "partner", "action", "detail"), _all(wanted))
    rows, older, newer = lists.page_by_id(session(), wanted, Audit.id, **lists.place())
    pager = lists.pager(base, chosen, older=older, newer=newer)
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "entries": [as_json(one) for one in rows],
                "older": pager.older or None,
                "newer": pager.newer or None,
            }
        )
    return render_template(
        "smtp_admin/audit.html",
        here="audit",
        all_=owner is None,
        base=base,
        chosen=chosen,
        rows=[(one, action_words(one.action), owner_name(one.partner_id)) for one in rows],
        pager=pager,
        export_url=lists.address(base, chosen, export="csv"),
        actions=sorted(ACTIONS.items(), key=lambda one: one[1]),
        periods={name: label for name, (_, label) in lists.PERIODS.items()},
        **(frame(owner) if owner is not None else {}),
    )


def _wanted(owner: str | None, chosen: dict[str, str]) -> Any:
    return entries(
        lists.scope() if owner is None else {owner},
        action=chosen["action"],
        since=lists.since(database_now(session())),
        words=chosen["q"],
    )


def _all(wanted: Any) -> Any:
    before, left = 0, _MOST_EXPORTED
    while left > 0:
        some = wanted.where(Audit.id < before) if before else wanted
        rows = session().scalars(some.order_by(Audit.id.desc()).limit(_STEP)).all()
        for one in rows:
            yield (one.at.isoformat(), one.actor_email or one.actor_id, one.partner_id,
                   one.action, one.detail)  # fmt: skip
        if len(rows) < _STEP:
            return
        before, left = rows[-1].id, left - len(rows)
        session().rollback()
