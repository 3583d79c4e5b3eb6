"""``/suppressions``: the addresses that get no mail, or no notices, of a partner."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from smtp_admin import web
from smtp_admin.access import Action
from smtp_admin.api.body import read_body, refuse
from smtp_admin.api.operations import SUPPRESSION_FIELDS
from smtp_admin.api.owner import owner_of
from smtp_admin.api.values import ADDRESS
from smtp_admin.audit.service import record_change
from smtp_admin.database import session
from smtp_admin.delivery.suppressions import lift_rows, suppress
from smtp_admin.errors import NotFound
from smtp_admin.identifiers import is_storable
from smtp_admin.mail.addresses import address_of
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.provider_lists.removing import remove_at_providers
from smtp_admin.suppression.reading import address_hash, suppressions_of
from smtp_admin.suppression.reasons import ALL, clean_reason
from smtp_admin.suppression.writing import clean_category

_MOST = 100
_MOST_DIGITS = 18


def listed() -> ResponseReturnValue:
    """The newest of a partner, or those before one of them."""
    owner = owner_of(_asked("partner_id"), Action.MANAGE_SUPPRESSIONS)
    wanted = select(Suppression).where(Suppression.partner_id == owner)
    if request.args.get("address") is not None:
        wanted = wanted.where(Suppression.address_hash == address_hash(_address()))
    before = request.args.get("before")
    if before is not None:
        usual = before.isascii() and before.isdigit() and 0 < len(before) <= _MOST_DIGITS
        if not usual or int(before) < 1:
            refuse("before", "This is the id of a suppression, a whole number.")
        wanted = wanted.where(Suppression.id < int(before))
    rows = session().scalars(wanted.order_by(Suppression.id.desc()).limit(_MOST + 1)).all()
    more = len(rows) > _MOST
    return web.answer_json(
        {
            "ok": True,
            "suppressions": [as_json(one) for one in rows[:_MOST]],
            "before": rows[_MOST - 1].id if more else None,
        }
    )


def add() -> ResponseReturnValue:
    """Suppress an address."""
    given = read_body(SUPPRESSION_FIELDS)
    owner = owner_of(given["partner_id"], Action.MANAGE_SUPPRESSIONS)
    category = clean_category(given["category"] or ALL)
    address = address_of(given["address"])[1]
    actor = web.signed_in()
    done = suppress(
        session(), owner, address, "manual", category=category, detail=given["detail"] or "",
        by=actor.email or actor.name,
    )  # fmt: skip
    if done.new:
        record_change(session(), actor, owner, "suppression.added", f"{address}: {category}")
    session().commit()
    return web.answer_json(
        {"ok": True, "address": address, "category": category, "new": done.new,
         "kept_back": done.kept_back},
        201 if done.new else 200,
    )  # fmt: skip


def remove() -> ResponseReturnValue:
    """Let an address have its mail again, as far as nothing else stands against it."""
    owner = owner_of(_asked("partner_id"), Action.MANAGE_SUPPRESSIONS)
    address = _address()
    category = _asked("category")
    categories = [] if category is None else [clean_category(category)]
    reason = _asked("reason")
    reasons = [] if reason is None else [clean_reason(reason)]
    rows = suppressions_of(session(), owner, address, categories=categories, reasons=reasons)
    lifting = lift_rows(session(), owner, rows, address, asks_now=True)
    if not lifting.count:
        raise NotFound("This address is not suppressed.")
    left = len(suppressions_of(session(), owner, address))
    detail = lifted_words(address, category or "", reason or "")
    record_change(session(), web.signed_in(), owner, "suppression.removed", detail)
    session().commit()
    providers = [one.as_json() for one in remove_at_providers(session(), owner, lifting)]
    return web.answer_json(
        {
            "ok": True,
            "address": address,
            "count": lifting.count,
            "left": left,
            "providers": providers,
        }
    )


def lifted_words(address: str, category: str, reason: str) -> str:
    """What was taken off the list, for the audit log."""
    words = f"{address}: {category or 'every category'}"
    return f"{words}, {reason}" if reason else words


def _asked(name: str) -> str | None:
    text = request.args.get(name)
    if text is not None and not is_storable(text):
        refuse(name, "A character of it (NUL, or half of a pair) cannot be stored.")
    return text


def _address() -> str:
    try:
        return address_of(ADDRESS.read(request.args.get("address", "")))[1]
    except ValueError as error:
        refuse("address", str(error))


def as_json(one: Suppression) -> dict[str, Any]:
    """A suppression for a script; an erased address is null."""
    return {
        "id": one.id,
        "partner_id": one.partner_id,
        "address": one.address or None,
        "category": one.category,
        "reason": one.reason,
        "detail": one.detail,
        "mail_id": one.mail_id or None,
        "at": one.created_at.isoformat(),
        "by": one.created_by,
    }
