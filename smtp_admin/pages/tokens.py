"""``/tokens`` and ``…/tokens``: API tokens, of all whom one looks after or of one owner.

A token is shown in the one answer to the form that made it, and nowhere else: a redirect would have
to carry it in the session, whose cookie is signed and not encrypted.
"""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from smtp_admin import web
from smtp_admin.access import Action, guarded, require
from smtp_admin.api import tokens as service
from smtp_admin.api.models import ApiToken
from smtp_admin.api.scopes import SCOPES
from smtp_admin.api.tokens import LIFETIMES, Created, TokenState
from smtp_admin.database import SYSTEM, database_now, session
from smtp_admin.errors import NotFound, RequestError
from smtp_admin.pages import lists
from smtp_admin.pages.mail_log import owner_name
from smtp_admin.pages.sender_frame import OWNER_OF_SYSTEM, frame, owner_links
from smtp_admin.pages.sender_routes import add_owner_page, owner_url
from smtp_admin.translation import gettext


@dataclass(frozen=True, slots=True)
class StateWords:
    """A state as people read it; ``works`` where a token in it can still be revoked."""

    label: str
    tone: str
    works: bool = False


_STATES: dict[TokenState, StateWords] = {
    "live": StateWords(gettext("Working"), "good", works=True),
    "expired": StateWords(gettext("Expired"), "off"),
    "revoked": StateWords(gettext("Revoked"), "off"),
}
#: What a message calls the fields of the form.
_LABELS = {
    "name": gettext("Name"),
    "scopes": gettext("“It may”"),
    "expires": gettext("Expires"),
}
_USUAL_LIFETIME = "90d"


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/tokens")(tokens)
    blueprint.add_url_rule(
        "/tokens/<public_id>/revoke", "revoke_token", revoke, methods=["GET", "POST"]
    )
    add_owner_page(blueprint, "tokens", _tokens)


@guarded(Action.MANAGE_TOKENS)
def tokens() -> ResponseReturnValue:
    """The tokens of all whom one looks after."""
    return _list(None)


@guarded(Action.MANAGE_TOKENS)
def revoke(public_id: str) -> ResponseReturnValue:
    """Ask whether a token is to work no more; POST does it."""
    try:
        row = service.find_token(session(), public_id, lists.scope())
    except NotFound as error:
        raise NotFound from error
    back = owner_url(row.partner_id, "tokens")
    if request.method == "POST":
        name = row.name
        service.revoke_token(session(), web.signed_in(), row)
        session().commit()
        if web.wants_json():
            return web.answer_json({"ok": True, "id": public_id})
        web.notify(
            gettext(
                "Revoked: %(name)s. Requests with this token are refused from now on.", name=name
            )
        )
        return redirect(back, code=303)
    moment = database_now(session())
    if web.wants_json():
        return web.answer_json({"ok": True, **service.as_json(row, moment)})
    return render_template(
        "smtp_admin/revoke_token.html",
        token=row,
        revoked=row.revoked_at is not None,
        owner=_owner_words(row.partner_id),
        may=service.scope_words(row),
        back=back,
    )


def _tokens(owner: str) -> ResponseReturnValue:
    """The tokens of one owner; POST makes one."""
    require(web.signed_in(), Action.MANAGE_TOKENS, owner)
    if request.method != "POST":
        return _list(owner)
    entered = _entered()
    try:
        made = service.create_token(session(), web.signed_in(), owner, **entered)
        session().commit()
    except RequestError as error:
        session().rollback()
        if web.wants_json():
            raise
        error.call_fields(_LABELS)
        return _list(owner, error=error, entered=entered)
    if web.wants_json():
        shown = service.as_json(made.row, database_now(session()))
        return web.answer_json({"ok": True, "token": made.text, **shown}, 201)
    return _list(owner, made=made)


def _entered() -> dict[str, Any]:
    """The form, or the same as JSON."""
    if request.is_json:
        given = web.read_json().get("scopes")
        scopes = [str(one) for one in given] if isinstance(given, list) else []
    else:
        scopes = request.form.getlist("scopes")
    return {
        "name": lists.word("name", 200),
        "scopes": scopes,
        "lifetime": lists.word("expires", 10) or _USUAL_LIFETIME,
    }


def _list(
    owner: str | None,
    *,
    made: Created | None = None,
    error: RequestError | None = None,
    entered: dict[str, Any] | None = None,
) -> ResponseReturnValue:
    base = url_for("smtp_admin.tokens") if owner is None else owner_url(owner, "tokens")
    posted = request.method == "POST"
    chosen = {
        "q": "" if posted else lists.word("q", 80),
        "state": "" if posted else lists.word("state", 10),
    }
    moment = database_now(session())
    wanted = _wanted(owner, chosen, moment)
    place = {"before": 0, "after": 0} if posted else lists.place()
    rows, older, newer = lists.page_by_id(session(), wanted, ApiToken.id, **place)
    pager = lists.pager(base, chosen, older=older, newer=newer)
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "tokens": [service.as_json(one, moment) for one in rows],
                "older": pager.older or None,
                "newer": pager.newer or None,
            }
        )
    page = render_template(
        "smtp_admin/tokens.html",
        here="tokens",
        all_=owner is None,
        base=base,
        chosen=chosen,
        rows=[
            (one, _STATES[service.state_of(one, moment)], service.scope_words(one),
             _owner_words(one.partner_id))
            for one in rows
        ],
        pager=pager,
        states=[(name, words.label) for name, words in _STATES.items()],
        scopes=SCOPES.values(),
        lifetimes=[(name, words) for name, (_, words) in LIFETIMES.items()],
        usual=_USUAL_LIFETIME,
        entered=entered or {},
        made=made,
        error=error,
        owners=owner_links("tokens") if owner is None else None,
        **(frame(owner) if owner is not None else {}),
    )  # fmt: skip
    return page, error.status if error else 200


def _wanted(owner: str | None, chosen: dict[str, str], moment: Any) -> Any:
    wanted = select(ApiToken)
    scope = lists.scope() if owner is None else frozenset({owner})
    if scope is not None:
        wanted = wanted.where(ApiToken.partner_id.in_(sorted(scope)))
    if chosen["q"]:
        wanted = wanted.where(ApiToken.name.icontains(chosen["q"], autoescape=True))
    if chosen["state"] == "live":
        wanted = wanted.where(service.is_live(moment))
    elif chosen["state"] == "revoked":
        wanted = wanted.where(ApiToken.revoked_at.is_not(None))
    elif chosen["state"] == "expired":
        wanted = wanted.where(ApiToken.revoked_at.is_(None), ApiToken.expires_at <= moment)
    return wanted


def _owner_words(partner_id: str) -> str:
    return OWNER_OF_SYSTEM if partner_id == SYSTEM else owner_name(partner_id)
