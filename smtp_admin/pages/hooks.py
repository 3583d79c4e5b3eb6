"""``/hooks/email/<provider>/<key>``: where providers post what became of mail.

Programs post here, so every answer is JSON, and none needs a session or a token of a form.
"""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from smtp_admin import protection, web
from smtp_admin.access import Action, guarded
from smtp_admin.clock import now
from smtp_admin.database import session
from smtp_admin.errors import TooLarge
from smtp_admin.events.arrived import Arrived
from smtp_admin.events.receiving import receive
from smtp_admin.translation import gettext

#: Batches of providers have some hundred kilobytes.
MOST_BYTES = 1024 * 1024
NAME = "smtp_admin_hooks"
PREFIX = "/hooks/email"


def make_hooks_blueprint() -> Blueprint:
    """The blueprint of webhooks."""
    blueprint = protection.protect(Blueprint(NAME, __name__), with_token=False)
    # Before all else: an error is told to a program too.
    blueprint.before_request_funcs[None].insert(0, web.asked_by_program)
    blueprint.post(f"{PREFIX}/<provider>/<key>")(take_in)
    return blueprint


@guarded(Action.RECEIVE_EVENTS, most_bytes=MOST_BYTES)
def take_in(provider: str, key: str) -> ResponseReturnValue:
    """Keep what was posted, and answer at once."""
    body = request.get_data(cache=False)
    if len(body) >= MOST_BYTES:  # without a length, Werkzeug cuts it off there and says nothing
        raise TooLarge(gettext("This request is too large."))
    headers = {name.lower(): text for name, text in request.headers.items()}
    arrived = Arrived(headers, body, now())
    taken = receive(session(), provider, key, arrived)
    return web.answer_json({"ok": True, "events": taken.events})
