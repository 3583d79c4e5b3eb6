"""What every page and JSON answer has in common: who asks, what is refused, how errors look."""

import itertools
import logging
from collections.abc import Callable, Mapping
from typing import Any

from flask import (
    Blueprint,
    Response,
    current_app,
    jsonify,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, validate_csrf
from jinja2 import TemplateNotFound
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge
from wtforms.validators import ValidationError

from smtp_admin import resources
from smtp_admin.access import Action, action_of, allowed, most_bytes_of, require
from smtp_admin.database import host_engine
from smtp_admin.errors import (
    CSRFFailed,
    Forbidden,
    InvalidInput,
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
from smtp_admin.host import Actor, Partner
from smtp_admin.identifiers import is_storable, storable
from smtp_admin.installation import installation
from smtp_admin.translation import Text, gettext

log = logging.getLogger(__name__)

#: Forms and JSON of ours are small; anything larger is not from our pages.
MOST_REQUEST_BYTES = 256 * 1024
_EXAMPLE = '{"host": "mail.example.com", "port": 587}'
_OWN_LAYOUT = "smtp_admin/layout.html"
_NOTICE = "smtp_admin_notice"
_UNDO = "smtp_admin_undo"
_TESTED = "smtp_admin_tested"
_ACTOR, _PARTNER, _PROGRAM = "smtp_admin.actor", "smtp_admin.partner", "smtp_admin.program"
#: The blueprints that were protected here.
OURS: set[str] = set()
_CHANGING = {"POST", "PUT", "PATCH", "DELETE"}


def current_actor() -> Actor | None:
    """Who is signed in; the host is asked once per request.

    Kept with the request, not in ``g``: an app context may outlive the request.
    """
    if _ACTOR not in request.environ:
        request.environ[_ACTOR] = installation().host.current_actor()
    actor: Actor | None = request.environ[_ACTOR]
    return actor


def asked_by_program() -> None:
    """Note that a program asks: it gets JSON, and its request is no form of anybody's page."""
    request.environ[_PROGRAM] = True


def act_as(actor: Actor) -> None:
    """Let *actor* be who asks, and nobody else, whatever the session says."""
    request.environ[_ACTOR] = actor


def signed_in() -> Actor:
    """Who is signed in.

    Raises:
        Unauthenticated: nobody.
    """
    actor = current_actor()
    if actor is None:
        raise Unauthenticated
    return actor


def current_partner() -> Partner:
    """The partner that the page's address names; the guard has looked it up."""
    partner: Partner = request.environ[_PARTNER]
    return partner


def look_at(partner: Partner) -> None:
    """Let *partner* be the one that this page is about; whoever calls has asked who may see it."""
    request.environ[_PARTNER] = partner


def visible_partners() -> list[Partner]:
    """The partners whose settings the present actor may edit, by name."""
    actor = current_actor()
    partners = installation().host.partners()
    mine = [one for one in partners if allowed(actor, Action.EDIT_PARTNER_SENDER, one.id)]
    return sorted(mine, key=lambda one: one.name.casefold())


def layout() -> str:
    """The template that pages extend: the host's, or our own where the host's is missing.

    A page without the host's dress still works; one that fails tells nobody why.
    """
    here = installation()
    name = here.config.layout
    if not here.layout_exists:
        missing = _missing_template(name)
        if missing:
            log.error("SMTP_ADMIN_LAYOUT is %r, but there is no template %r", name, missing)
            return _OWN_LAYOUT
        here.layout_exists = True
    return name


def _missing_template(name: str) -> str:
    """The name of the template that *name* lacks, itself perhaps; ``""`` if it can be used."""
    try:
        current_app.jinja_env.get_template(name)
    except TemplateNotFound as error:
        return str(error.name or name)
    return ""


def notify(text: str, *, undo: str = "") -> None:
    """Show *text* once, on the next page of ours.

    Not by Flask's ``flash``: a host's layout may show those too, and then they stand there twice.

    Args:
        undo: the moment of what was done with mail, where it can be taken back.
    """
    # As plain text: a session may take one of ours for HTML, and escape it.
    session[_NOTICE] = text.shown() if isinstance(text, Text) else text
    session[_UNDO] = undo


def notice() -> str:
    """What :func:`notify` was told, once."""
    return str(session.pop(_NOTICE, ""))


def undo_offered() -> str:
    """The moment that :func:`notify` was told of, once; ``""`` where nothing can be undone."""
    return str(session.pop(_UNDO, ""))


def remember_test(note: Mapping[str, str] | None) -> None:
    """Keep what was tested last for the person's next save, or forget it if that failed."""
    if note is None:
        session.pop(_TESTED, None)
    elif not current_app.session_interface.is_null_session(session):
        session[_TESTED] = dict(note)


def tested_before() -> Any:
    """What :func:`remember_test` was told last, if anything."""
    return session.get(_TESTED)


def wants_json() -> bool:
    """Whether the caller is a script: everything but a browser that submits a form or reads."""
    if request.is_json or _PROGRAM in request.environ:
        return True
    accepted = request.accept_mimetypes
    return accepted["text/html"] <= accepted["application/json"]


def read_json() -> dict[str, Any]:
    """The JSON object that was sent.

    Raises:
        InvalidInput: it is something else.
    """
    try:
        given = request.get_json()
    except RecursionError as error:
        raise InvalidInput(gettext("This JSON is nested too deeply.")) from error
    except BadRequest as error:
        raise InvalidInput(
            gettext("This is not JSON."),
            hint=gettext(
                "Send an object with the fields of the form, such as %(example)s.", example=_EXAMPLE
            ),
        ) from error
    if not isinstance(given, dict):
        raise InvalidInput(
            gettext("This JSON is not an object."),
            hint=gettext(
                "Send an object with the fields of the form, such as %(example)s.", example=_EXAMPLE
            ),
        )
    return given


def protect(
    blueprint: Blueprint,
    *,
    with_token: bool = True,
    authenticate: Callable[[], None] | None = None,
) -> Blueprint:
    """Add the guard, the token check and the error pages to *blueprint*.

    Args:
        with_token: off where the address itself is the secret, and others than our pages post.
        authenticate: finds out who asks, where that need not be the person of the session.
    """
    blueprint.before_request(_limit_size)
    if authenticate is not None:
        blueprint.before_request(_check_schema)
        blueprint.before_request(authenticate)
    blueprint.before_request(_guard)
    if with_token:
        blueprint.before_request(_check_token)
    blueprint.before_request(_check_schema)
    blueprint.register_error_handler(SMTPAdminError, _answer_error)
    blueprint.register_error_handler(CSRFError, _answer_token_error)
    blueprint.register_error_handler(HTTPException, answer_http_error)
    blueprint.register_error_handler(DBAPIError, _answer_database_error)
    blueprint.register_error_handler(Exception, _answer_unexpected)
    blueprint.after_request(_not_stored)
    OURS.add(blueprint.name)
    return blueprint


def make_blueprint(prefix: str) -> Blueprint:
    """The blueprint of the pages, without views yet."""
    return protect(
        Blueprint(
            "smtp_admin",
            __name__,
            url_prefix=prefix,
            template_folder=str(resources.folder("templates")),
            static_folder=str(resources.folder("static")),
            static_url_path="/static",
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
    require(current_actor(), action, partner_id)
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
        look_at(partner)


def _check_token() -> None:
    """Our own check: the host may have none, or may have one that answers in HTML."""
    if request.method not in _CHANGING or not current_app.config.get("WTF_CSRF_ENABLED", True):
        return
    if _PROGRAM in request.environ:  # it proved itself by what no browser sends by itself
        return
    token = request.headers.get("X-CSRFToken") or request.headers.get("X-CSRF-Token")
    try:
        validate_csrf(token or request.form.get("csrf_token"))
    except ValidationError as error:
        raise CSRFFailed(str(error)) from error


def _check_schema() -> None:
    from smtp_admin import schema  # above this floor; loads Alembic

    here = installation()
    if here.schema_checked or (request.endpoint or "").endswith(".static"):
        return
    try:
        schema.check(host_engine())
    except SetupError as error:
        raise Unavailable(error.message, hint=error.hint) from error
    here.schema_checked = True


def answer_json(
    body: Mapping[str, Any], status: int = 200, retry_after: int | None = None
) -> Response:
    """*body* as a JSON answer that nobody caches."""
    response = jsonify(body)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _answer_error(error: SMTPAdminError) -> ResponseReturnValue:
    if isinstance(error, SecretError | SetupError):
        error = Unavailable(error.message, hint=error.hint)
    status = error.status if isinstance(error, RequestError) else 500
    retry_after = error.retry_after if isinstance(error, RequestError) else None
    if wants_json():
        return answer_json(envelope(error), status, retry_after)
    if isinstance(error, Unauthenticated):
        # What was posted is lost; after signing in, a page that can be looked at comes next.
        back = request.full_path.rstrip("?") if request.method == "GET" else _start()
        url = installation().host.sign_in_url(back)
        if url is not None:
            return Response(status=302, headers={"Location": url})
    page = render_template("smtp_admin/error.html", error=error, status=status)
    response = current_app.make_response((page, status))
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _start() -> str:
    return url_for("smtp_admin.overview")


def _answer_token_error(error: CSRFError) -> ResponseReturnValue:
    # The host's own check was first: its reason may be another than ours, such as a missing
    # Referer over HTTPS.
    return _answer_error(CSRFFailed(error.description or ""))


def answer_http_error(error: HTTPException) -> ResponseReturnValue:
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
    return _answer_error(found)


def _answer_database_error(error: DBAPIError) -> ResponseReturnValue:
    _roll_back()
    installation().schema_checked = False
    log.error("the database failed: %s", type(error.orig).__name__)
    return _answer_error(
        Unavailable(
            gettext("The database is not available right now. Nothing was changed."),
            hint=gettext("Try again in a minute. If it fails again, ask the platform's operator."),
        )
    )


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
