"""What refusals say to whoever writes a program: what to send, and which scope is missing.

The rooms below know nothing of tokens and scopes, and say what a person at a page would read. Here
the same error gets the words of this API; its code and status stay.
"""

from flask import request
from werkzeug.exceptions import MethodNotAllowed

from smtp_admin import web
from smtp_admin.access import TokenActor
from smtp_admin.api.scopes import scopes_with
from smtp_admin.errors import Forbidden, NotFound, RequestError, SMTPAdminError, Unauthenticated

#: What an id in an address names.
_NAMED = {"message": "mail", "cancel": "mail", "retry": "mail", "batch_status": "batch"}


def explain(error: SMTPAdminError) -> None:
    """Say *error* in the words of the API, where nobody said more of it."""
    if not isinstance(error, RequestError):
        return
    error.call_fields({name: f"“{name}”" for name in error.fields})
    if isinstance(error, Unauthenticated) and error.is_plain:
        error.message = "No token was sent, and nobody is signed in."
        error.hint = "Send the header Authorization: Bearer smtpadmin_… with every request."
    elif isinstance(error, Forbidden):
        _name_scope(error)
    elif isinstance(error, NotFound) and error.is_plain:
        _name_thing(error)


def _name_scope(error: Forbidden) -> None:
    actor = web.current_actor()
    scopes = scopes_with(error.action) if error.action is not None else ()
    if not isinstance(actor, TokenActor) or not scopes or error.action in actor.actions:
        return
    error.message = f"This token does not have the scope {scopes[0]}."
    partners = "".join(f" --partner {one}" for one in sorted(actor.partner_ids - {""})[:1])
    error.hint = (
        "Create a token with it on the page API tokens, or by "
        f"flask smtp-admin tokens create NAME{partners} --scope {scopes[0]}"
    )


def _name_thing(error: NotFound) -> None:
    what = _NAMED.get((request.endpoint or "").rpartition(".")[2])
    if what is not None:
        error.message = f"There is no such {what} {for_whom()}."


def no_partner() -> NotFound:
    """That somebody may not know of a partner; the same where there is none."""
    return NotFound(f"There is no such partner {for_whom()}.")


def for_whom() -> str:
    """Whose reach something is not in."""
    is_token = isinstance(web.current_actor(), TokenActor)
    return "for this token" if is_token else "that you look after"


def unrouted(error: Exception) -> RequestError:
    """What is said to a request for an address, or by a method, that the API does not have."""
    if isinstance(error, MethodNotAllowed):
        methods = " or ".join(sorted({*(error.valid_methods or ())} - {"HEAD", "OPTIONS"}))
        refused = RequestError(
            f"{request.method[:20]} is not possible at this address. Use {methods}.",
            code="invalid_input",
        )
        refused.status = 405
        return refused
    return NotFound(
        "The API has no such address.", hint="GET /api/email/openapi.json describes those it has."
    )
