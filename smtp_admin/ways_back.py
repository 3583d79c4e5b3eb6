"""Where one goes on from an address that takes only forms: THE rule, for all our pages.

Such an address stands in the browser after its form was answered, so people reload it, keep it as a
bookmark, or come back to it after signing in. It belongs to the nearest page above it.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, current_app, redirect, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import MapAdapter, RequestRedirect, Rule

from smtp_admin import web
from smtp_admin.access import action_of, guarded

#: What ends the name of an endpoint that only leads on.
LEADS = "_leads_back"
_PAGES = "smtp_admin."


def lead_back_from_forms(blueprint: Blueprint) -> None:
    """Let a GET of whatever takes only forms lead to the page that it belongs to.

    As routes: an error page would not do, since ``/mail/undo`` would be read as the mail "undo".
    Call it after all views were added.
    """
    blueprint.record(_add_routes)


def page_of(path: str) -> str | None:
    """The page that *path* belongs to: itself, or the nearest above it; ``None`` outside ours."""
    adapter = current_app.create_url_adapter(request)
    while adapter is not None and path.strip("/"):
        found = next((one for one in (path, f"{path}/") if _is_page(adapter, one)), None)
        if found is not None:
            return found
        path = path.rstrip("/").rpartition("/")[0]
    return None


def here() -> str:
    """The address of the page that the request's own address belongs to."""
    return _address(request.path, request.query_string.decode("latin-1")) or start()


def page_of_form() -> str:
    """The address of the page on which the form stands that was sent; only ever one of ours."""
    came = urlsplit(request.referrer or "")
    root = request.root_path
    if came.netloc == request.host and came.path.startswith(f"{root}/"):
        return _address(came.path.removeprefix(root), came.query) or here()
    return here()


def start() -> str:
    """The address of the overview."""
    return url_for("smtp_admin.overview")


def is_from_our_page() -> bool:
    """Whether the browser says that a page of this site sent the form, and no other site.

    No proof for a change, which needs the token, but enough to show again what was typed.
    """
    said = request.headers.get("Sec-Fetch-Site")
    if said is not None:
        return said == "same-origin"
    return urlsplit(request.headers.get("Origin", "")).netloc == request.host


def _address(path: str, query: str) -> str | None:
    page = page_of(path)
    if page is None:
        return None
    return request.root_path + page + (f"?{query}" if query else "")


def _is_page(adapter: MapAdapter, path: str) -> bool:
    try:
        endpoint, _ = adapter.match(path, method="GET")
    except (HTTPException, RequestRedirect):
        return False
    own = endpoint.startswith(_PAGES) and not endpoint.endswith(".static")
    return own and not endpoint.endswith(LEADS)


def _add_routes(state: BlueprintSetupState) -> None:
    rules = [one for one in state.app.url_map.iter_rules() if one.endpoint.startswith(_PAGES)]
    pages = {one.rule for one in rules if "GET" in (one.methods or ())}
    made: dict[str, Callable[..., ResponseReturnValue]] = {}
    for one in rules:
        if one.rule in pages:
            continue
        name = one.endpoint.removeprefix(_PAGES) + LEADS
        view = made.setdefault(name, _view(state, one))
        path = one.rule.removeprefix(state.url_prefix or "")
        state.add_url_rule(path, name, view, methods=["GET"])


def _view(state: BlueprintSetupState, rule: Rule) -> Callable[..., ResponseReturnValue]:
    """Leads whoever may send the form; for others the address is what it is to them anyway."""
    action = action_of(state.app.view_functions[rule.endpoint])
    methods = sorted(rule.methods or ())

    def lead(**_named: Any) -> ResponseReturnValue:
        if web.wants_json():
            raise MethodNotAllowed(methods)
        return redirect(here(), code=303)

    return lead if action is None else guarded(action)(lead)
