"""A form that was not taken because of the session: what was typed, to be sent once more.

Whoever types for an hour is signed out meanwhile, or holds a token that is too old. What was typed
goes back into the answer, never into the session; secrets and files are asked for again.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from flask import render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from smtp_admin import ways_back
from smtp_admin.installation import installation
from smtp_admin.senders.fields import all_fields

#: Those of forms that are not of a sender's fields.
_SECRETS = frozenset({"password", "secret"})
#: What a page for the signed-out says of what it does not keep, for the page that comes next.
_NOT_KEPT = "not_kept"
_OURS = frozenset({"csrf_token", _NOT_KEPT})
Kind = Literal["password", "file"]


@dataclass(frozen=True, slots=True)
class Typed:
    """What a form held: what can be sent again, and what has to be given again.

    Attributes:
        kept: names and texts, in their order.
        again: names, and of what kind the fields are.
    """

    kept: tuple[tuple[str, str], ...] = ()
    again: tuple[tuple[str, Kind], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.kept or self.again)


def secret_names() -> frozenset[str]:
    """The fields of all our forms that never go back to a browser."""
    return _SECRETS | {one.name for one in all_fields() if one.secret}


def typed() -> Typed:
    """What was sent, if a page of this site sent it.

    What another site had a browser send is not shown with a button below it: pressing that would do
    what the other site wants.
    """
    if not ways_back.is_from_our_page():
        return Typed()
    try:
        sent = [one for one in request.form.items(multi=True) if one[0] not in _OURS]
        files = [name for name, one in request.files.items() if one.filename]
    except RequestEntityTooLarge:
        return Typed()
    secrets = secret_names()
    again: dict[str, Kind] = dict.fromkeys(typed_before("password"), "password")
    again |= {name: "password" for name, text in sent if name in secrets and text}
    again |= dict.fromkeys([*typed_before("file"), *files], "file")
    return Typed(tuple(one for one in sent if one[0] not in secrets), tuple(again.items()))


def typed_before(kind: Kind) -> list[str]:
    """The fields of this kind that somebody filled in before they were signed out."""
    named = (one.partition(":") for one in request.form.getlist(_NOT_KEPT))
    return [name for said, _, name in named if said == kind]


def answer_signed_out() -> ResponseReturnValue:
    """Nobody is signed in any more: where to sign in, and the form to be sent once more."""
    page = ways_back.page_of_form()
    sign_in = installation().host.sign_in_url(page)
    return _answer(401, page=page, sign_in=sign_in or "")


def answer_too_old() -> ResponseReturnValue:
    """The token is not of this session, or is too old: the form to be sent once more."""
    return _answer(400, page=ways_back.page_of_form())


def _answer(status: int, *, page: str, sign_in: str = "") -> ResponseReturnValue:
    values = {
        "signed_out": status == HTTPStatus.UNAUTHORIZED,
        "typed": typed(),
        "action": request.full_path.rstrip("?"),
        "page": page,
        "sign_in": sign_in,
    }
    return render_template("smtp_admin/unsent.html", **values), status
