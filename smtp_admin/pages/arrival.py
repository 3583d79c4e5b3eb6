"""The page that the link of a test mail leads to: its reader says that the mail arrived.

Looking changes nothing, for scanners of mail and browsers that fetch ahead look too.
"""

from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import protection
from smtp_admin.access import Action, guarded
from smtp_admin.database import session
from smtp_admin.events.confirming import Confirmable, confirm, find
from smtp_admin.installation import installation
from smtp_admin.mail.arrival_link import PATH, mail_of
from smtp_admin.pages.readers import speak_to_stranger

NAME = "smtp_admin_arrival"


def make_arrival_blueprint(prefix: str) -> Blueprint:
    """The blueprint of this page; the token in its address is what counts.

    Args:
        prefix: where our pages are mounted.
    """
    blueprint = protection.protect(Blueprint(NAME, __name__), with_token=False)
    blueprint.before_request(speak_to_stranger)
    blueprint.get(f"{prefix}{PATH}/<token>")(ask)
    blueprint.post(f"{prefix}{PATH}/<token>")(say)
    return blueprint


@guarded(Action.CONFIRM_ARRIVAL)
def ask(token: str) -> ResponseReturnValue:
    """Ask whether it arrived."""
    return _show(token, find(session(), mail_of(token)))


@guarded(Action.CONFIRM_ARRIVAL)
def say(token: str) -> ResponseReturnValue:
    """Keep that it arrived; the same again changes nothing.

    Only for the page's own button: scanners of mail post to addresses too.
    """
    mail = find(session(), mail_of(token))
    if request.form.get("arrived") != "yes":
        return _show(token, mail, status=400)
    confirm(session(), mail)
    return _show(token, find(session(), mail.public_id))


def _show(token: str, mail: Confirmable, *, status: int = 200) -> ResponseReturnValue:
    page = render_template(
        "smtp_admin/arrival.html",
        token=token,
        mail=mail,
        app_name=installation().config.app_name,
    )
    response = make_response(page, status)
    response.headers["Referrer-Policy"] = "no-referrer"  # the address is the secret
    response.headers["X-Robots-Tag"] = "noindex"
    return response
