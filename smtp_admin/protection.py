"""What stands around every view of ours: the guard, the token check and the error pages."""

import itertools
import logging
import time
from collections.abc import Callable
from functools import partial

from flask import Blueprint, Response, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, validate_csrf
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from wtforms.validators import ValidationError

from smtp_admin import commits, resources, schema, unsent, ways_back, web
from smtp_admin.access import action_of, most_bytes_of, require, shows_again
from smtp_admin.database import host_engine
from smtp_admin.database_errors import AWAY, GONE, TRIES, is_contention, somebody_was_faster
from smtp_admin.errors import (
    Conflict,
    CSRFFailed,
    Forbidden,
    InvalidInput,
    MessageError,
    NotFound,
    RequestError,
    SecretError,
    SetupError,
    SMTPAdminError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    envelope,
)
from smtp_admin.identifiers import is_storable, storable
from smtp_admin.installation import installation
from smtp_admin.static_files import WithStaticFiles
from smtp_admin.translation import gettext

log = logging.getLogger(__name__)

#: Forms and JSON of ours are small; anything larger is not from our pages.
MOST_REQUEST_BYTES = 256 * 1024
#: The blueprints that were protected here.
OURS: set[str] = set()
_CHANGING = {"POST", "PUT", "PATCH", "DELETE"}


def protect(
    blueprint: Blueprint,
    *,
    with_token: bool = True,
    authenticate: Callable[[], None] | None = None,
    explain: Callable[[SMTPAdminError], None] | None = None,
) -> Blueprint:
    """Add the guard, the token check and the error pages to *blueprint*.

    Args:
        with_token: off where the address itself is the secret, and others than our pages post.
        authenticate: finds out who asks, where that need not be the person of the session.
        explain: has errors say more before they are answered.
    """
    blueprint.before_request(_limit_size)
    if authenticate is not None:
        blueprint.before_request(_check_schema)
        blueprint.before_request(authenticate)
    blueprint.before_request(_guard)
    if with_token:
        blueprint.before_request(_check_token)
    blueprint.before_request(_check_schema)
    blueprint.register_error_handler(SMTPAdminError, partial(_explained, explain))
    blueprint.register_error_handler(CSRFError, _answer_token_error)
    blueprint.register_error_handler(HTTPException, _answer_http_error)
    for kind in AWAY + GONE:
        blueprint.register_error_handler(kind, _answer_database_error)
    blueprint.register_error_handler(Exception, _answer_unexpected)
    blueprint.after_request(_not_stored)
    OURS.add(blueprint.name)
    return blueprint


def make_blueprint(prefix: str) -> Blueprint:
    """The blueprint of the pages, without views yet."""
    return protect(
        WithStaticFiles(
            "smtp_admin",
            __name__,
            url_prefix=prefix,
            template_folder=str(resources.folder("templates")),
        )
    )


def _limit_size() -> None:
    view = current_app.view_functions.get(request.endpoint or "")
    most = most_bytes_of(view) or MOST_REQUEST_BYTES
    if (request.content_length or 0) > most:
        raise TooLarge(gettext("This request is too large."))
    request.max_content_length = request.max_form_memory_size = most


def _guard() -> None:
    """Refuse whatever is not explicitly allowed; look up the partner that the address names."""
    endpoint = request.endpoint or ""
    if endpoint.endswith(".static"):
        return
    action = action_of(current_app.view_functions.get(endpoint))
    if action is None:
        raise Forbidden
    named = request.view_args or {}
    partner_id = named.get("partner_id")
    require(web.current_actor(), action, partner_id)
    if not all(is_storable(str(one)) for one in named.values()):
        raise NotFound
    asked = [*request.args.items(multi=True)]
    if not all(map(is_storable, itertools.chain.from_iterable(asked))):
        # As Werkzeug does with what is not UTF-8: it names nothing that is there.
        request.args = ImmutableMultiDict((storable(one), storable(text)) for one, text in asked)
    if partner_id is not None:
        partner = installation().host.partner(partner_id)
        if partner is None:
            raise NotFound
        web.look_at(partner)


def _check_token() -> None:
    """Our own check: the host may have none, or may have one that answers in HTML."""
    if request.method not in _CHANGING or not current_app.config.get("WTF_CSRF_ENABLED", True):
        return
    if web.is_by_program():  # it proved itself by what no browser sends by itself
        return
    token = request.headers.get("X-CSRFToken") or request.headers.get("X-CSRF-Token")
    try:
        validate_csrf(token or request.form.get("csrf_token"))
    except ValidationError as error:
        raise CSRFFailed(str(error)) from error


def _check_schema() -> None:

    here = installation()
    if here.schema_checked or (request.endpoint or "").endswith(".static"):
        return
    try:
        schema.check(host_engine())
    except SetupError as error:
        raise Unavailable(error.message, hint=error.hint) from error
    here.schema_checked = True


def _answer_error(error: SMTPAdminError) -> ResponseReturnValue:
    if isinstance(error, SecretError | SetupError):
        error = Unavailable(error.message, hint=error.hint)
    if isinstance(error, MessageError):  # such as of a sender that was deleted just now
        error = InvalidInput(error.message, hint=error.hint)
    status = error.status if isinstance(error, RequestError) else 500
    retry_after = error.retry_after if isinstance(error, RequestError) else None
    if web.wants_json():
        return web.answer_json(envelope(error), status, retry_after)
    if isinstance(error, Unauthenticated):
        if request.method in _CHANGING:
            return unsent.answer_signed_out()
        url = installation().host.sign_in_url(ways_back.here())
        if url is not None:
            return Response(status=302, headers={"Location": url})
    if isinstance(error, CSRFFailed):
        return _show_again(error)
    page = render_template("smtp_admin/error.html", error=error, status=status)
    response = current_app.make_response((page, status))
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _show_again(error: CSRFFailed) -> ResponseReturnValue:
    """The form once more, with what was typed and a new token, for whoever may still send it."""
    view = current_app.view_functions.get(request.endpoint or "")
    show = shows_again(view)
    try:
        _guard()  # the host's own check of the token may have come before ours
        _check_schema()
        if show is None or not unsent.typed():
            return unsent.answer_too_old()
        shown: ResponseReturnValue = show(error, **(request.view_args or {}))
    except Exception as failed:  # noqa: BLE001 - no handler is called for what another raises
        return current_app.handle_user_exception(failed)
    return shown


def _explained(
    explain: Callable[[SMTPAdminError], None] | None, error: SMTPAdminError
) -> ResponseReturnValue:
    if explain is not None:
        explain(error)
    return _answer_error(error)


def answer_error(error: SMTPAdminError) -> ResponseReturnValue:
    """An error of ours, for a request that no blueprint of ours takes."""
    return _answer_error(error)


def _answer_token_error(error: CSRFError) -> ResponseReturnValue:
    # The host's own check was first: its reason may be another than ours, such as a missing
    # Referer over HTTPS.
    return _answer_error(CSRFFailed(error.description or ""))


def _answer_http_error(error: HTTPException) -> ResponseReturnValue:
    """An error of Flask's own, such as a wrong method, in our form."""
    if isinstance(error, RequestEntityTooLarge):
        return _answer_error(TooLarge(gettext("This request is too large.")))
    if error.code is None or error.code < 400:  # noqa: PLR2004 - redirects are exceptions too
        return error
    known: dict[int, RequestError] = {404: NotFound(), 403: Forbidden(), 401: Unauthenticated()}
    found = known.get(error.code)
    if found is None:
        found = RequestError(
            error.description or gettext("This is not possible."), code="invalid_input"
        )
        found.status = error.code
    answer = current_app.make_response(_answer_error(found))
    if isinstance(error, MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return answer


def _answer_database_error(error: SQLAlchemyError) -> ResponseReturnValue:
    _roll_back()
    kind = type(getattr(error, "orig", None) or error).__name__
    if somebody_was_faster(error):
        log.info("two changed the same at once: %s in %s", kind, request.endpoint)
        return _answer_error(Conflict(hint=gettext("Look at it again, and try again.")))
    if isinstance(error, DBAPIError) and is_contention(error):
        if _may_begin_again():
            return _begin_again()
        log.info("two got in each other's way: %s in %s", kind, request.endpoint)
        return _answer_error(
            Unavailable(
                gettext("Others are changing the same right now. Nothing was changed."),
                hint=gettext("Try again."),
                retry_after=1,
            )
        )
    installation().schema_checked = False
    log.error("the database failed: %s", kind)
    return _answer_error(
        Unavailable(
            gettext("The database is not available right now. Nothing was changed."),
            hint=gettext("Try again in a minute. If it fails again, ask the platform's operator."),
        )
    )


def _may_begin_again() -> bool:
    """Whether the view may be called once more: it changed nothing yet, and nobody waits long."""
    tried = request.environ.setdefault(_TRIED, [time.monotonic()])
    tried.append(time.monotonic())
    within = tried[-1] - tried[0] < _LONGEST_SECONDS and len(tried) <= TRIES
    return request.method in _CHANGING and within and not commits.were_any()


#: When the view failed for others' sake, the first time twice.
_TRIED = "smtp_admin.tried"
#: Some databases wait for minutes before they say that another has the lock.
_LONGEST_SECONDS = 10.0


def _begin_again() -> ResponseReturnValue:
    log.info("%s begins again: another transaction got in its way", request.endpoint)
    for file in itertools.chain.from_iterable(request.files.listvalues()):
        file.stream.seek(0)
    view = current_app.view_functions[request.endpoint or ""]
    try:
        answer: ResponseReturnValue = current_app.ensure_sync(view)(**(request.view_args or {}))
    except Exception as error:  # noqa: BLE001 - no handler is called for what another raises
        return current_app.handle_user_exception(error)
    return answer


def _answer_unexpected(error: Exception) -> ResponseReturnValue:
    _roll_back()
    if current_app.debug or current_app.testing:
        raise error
    log.error("an unexpected error in %s", request.endpoint, exc_info=error)
    return _answer_error(
        SMTPAdminError(
            gettext("Something went wrong on our side. Nothing was changed."),
            hint=gettext(
                "The error was logged. If it happens again, tell the platform's operator."
            ),
        )
    )


def _roll_back() -> None:
    try:
        installation().db.session().rollback()
    except SQLAlchemyError:
        log.debug("rolling back failed too")


def _not_stored(response: Response) -> Response:
    if not (request.endpoint or "").endswith(".static"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response
