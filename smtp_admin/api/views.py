"""The blueprint of the API: its routes are those of the table of operations."""

from collections.abc import Callable

from flask import Blueprint, Flask, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed, NotFound

from smtp_admin import protection, web
from smtp_admin.access import guarded
from smtp_admin.api import mails, refusals, senders, sending, suppressions
from smtp_admin.api.authentication import authenticate, describe
from smtp_admin.api.document import description
from smtp_admin.api.operations import OPERATIONS
from smtp_admin.api.owner import status_owner
from smtp_admin.database import session
from smtp_admin.monitor.overview import status_json

PREFIX = "/api/email"


def make_api_blueprint() -> Blueprint:
    """The blueprint of the API."""
    blueprint = protection.protect(
        Blueprint("smtp_admin_api", __name__, url_prefix=PREFIX),
        authenticate=authenticate,
        explain=refusals.explain,
    )
    blueprint.after_request(describe)
    for one in OPERATIONS:
        view = guarded(one.action, most_bytes=one.most_bytes)(_VIEWS[one.name])
        blueprint.add_url_rule(one.path, one.name, view, methods=[one.method])
    return blueprint


def answer_unrouted(app: Flask) -> None:
    """Let addresses and methods that the API does not have be answered in its form, too.

    Such a request has no blueprint whose error pages could answer it.
    """
    app.before_request(_answer_unrouted)


def _answer_unrouted() -> ResponseReturnValue | None:
    error = request.routing_exception
    if not request.path.startswith(f"{PREFIX}/") or not isinstance(
        error, NotFound | MethodNotAllowed
    ):
        return None
    web.asked_by_program()
    answer = current_app.make_response(protection.answer_error(refusals.unrouted(error)))
    if isinstance(error, MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return answer


def status() -> ResponseReturnValue:
    """The numbers of a partner's mail (``?partner_id=``), of one sender, or of all mail."""
    partner_id = status_owner(request.args.get("partner_id"))
    key = request.args.get("sender")
    return web.answer_json(status_json(session(), partner_id, None if key is None else key[:40]))


def openapi() -> ResponseReturnValue:
    """The description of the API."""
    cookie = current_app.config["SESSION_COOKIE_NAME"]
    return web.answer_json(description(f"{request.root_path}{PREFIX}", cookie))


_VIEWS: dict[str, Callable[..., ResponseReturnValue]] = {
    "status": status,
    "queue": sending.queue,
    "batch": sending.batch,
    "batch_status": mails.batch_status,
    "message": mails.message,
    "cancel": mails.cancel,
    "retry": mails.retry,
    "senders": senders.senders,
    "connection_test": senders.connection_test,
    "suppressions": suppressions.listed,
    "suppress": suppressions.add,
    "unsuppress": suppressions.remove,
    "openapi": openapi,
}
