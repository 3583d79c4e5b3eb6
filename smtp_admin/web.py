"""What every page and JSON answer has in common: who asks, for whom, and in which form."""

import logging
import unicodedata
from collections.abc import Mapping
from typing import Any

from flask import Response, current_app, jsonify, request, session
from jinja2 import TemplateNotFound
from werkzeug.exceptions import BadRequest

from smtp_admin.access import Action, allowed
from smtp_admin.errors import InvalidInput, Unauthenticated
from smtp_admin.host import Actor, Partner
from smtp_admin.installation import installation
from smtp_admin.translation import as_shown, gettext

log = logging.getLogger(__name__)

_EXAMPLE = '{"host": "mail.example.com", "port": 587}'
_OWN_LAYOUT = "smtp_admin/layout.html"
_NOTICE = "smtp_admin_notice"
_TONE = "smtp_admin_tone"
_UNDO = "smtp_admin_undo"
_LINK = "smtp_admin_link"
_TESTED = "smtp_admin_tested"
_ACTOR, _PARTNER, _PROGRAM = "smtp_admin.actor", "smtp_admin.partner", "smtp_admin.program"


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


def is_by_program() -> bool:
    """Whether :func:`asked_by_program` was called for this request."""
    return _PROGRAM in request.environ


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
    return sorted(mine, key=lambda one: (letters(one.name), one.id))


def letters(name: str) -> str:
    """*name* to sort and to search by: with its accents it would come after Z."""
    folded = name.casefold()
    if folded.isascii():
        return folded
    parts = unicodedata.normalize("NFKD", folded)
    return "".join(one for one in parts if not unicodedata.combining(one))


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


def notify(
    text: str,
    *,
    undo: str = "",
    undo_words: str = "",
    tone: str = "good",
    link: tuple[str, str] | None = None,
) -> None:
    """Show *text* once, on the next page of ours.

    Not by Flask's ``flash``: a host's layout may show those too, and then they stand there twice.

    Args:
        undo: the moment of what was done with mail, where it can be taken back.
        undo_words: what the button says that does it; ``""`` for the usual word.
        tone: ``good``, or ``warn`` where not all of it was done.
        link: what to look at next: its words, and its address.
    """
    # As plain text: a session may take one of ours for HTML, and escape it.
    session[_NOTICE] = as_shown(text)
    session[_UNDO] = [undo, as_shown(undo_words)]
    session[_TONE] = tone
    session[_LINK] = [as_shown(one) for one in link or ()]


def notice() -> str:
    """What :func:`notify` was told, once."""
    return str(session.pop(_NOTICE, ""))


def notice_tone() -> str:
    """How the notice of :func:`notify` looks, once."""
    return str(session.pop(_TONE, "good"))


def notice_link() -> list[str]:
    """The words and the address of the link of :func:`notify`, once; empty for none."""
    return list(session.pop(_LINK, ()))


def undo_offered() -> list[str]:
    """The moment that :func:`notify` was told of and the words of its button, once."""
    kept = session.pop(_UNDO, ())
    # A session that is older than this version may have the moment alone.
    return [kept, ""] if isinstance(kept, str) else list(kept)


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
    if request.is_json or is_by_program():
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
