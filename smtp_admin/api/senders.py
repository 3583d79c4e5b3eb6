"""``GET /senders`` and ``POST /test-connection``."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action
from smtp_admin.api.body import read_object, refuse
from smtp_admin.api.operations import test_fields
from smtp_admin.api.owner import owner_of
from smtp_admin.connection.answers import as_dict, refused_as_dict
from smtp_admin.connection.service import test_connection
from smtp_admin.database import session
from smtp_admin.errors import InvalidInput, NotFound, RequestError
from smtp_admin.monitor.overview import is_paused
from smtp_admin.sender_state.facts import states_of
from smtp_admin.senders.queries import senders_by_owner
from smtp_admin.senders.resolve import DEFAULT_KEY, load_sender
from smtp_admin.senders.values import texts_of


def senders() -> ResponseReturnValue:
    """The senders of a partner or of the system, each with its state."""
    owner = owner_of(request.args.get("partner_id"), Action.SEE_SENDERS)
    found = senders_by_owner(session(), [owner])[owner]
    states = states_of(session(), found)
    return web.answer_json(
        {
            "ok": True,
            "partner_id": owner,
            "senders": [
                {
                    "sender": one.key,
                    "label": one.label,
                    "configured": one.configured,
                    "driver": one.values.driver,
                    "from_email": one.values.from_email,
                    "from_name": one.values.from_name,
                    "max_per_hour": one.values.max_per_hour,
                    "max_per_day": one.values.max_per_day,
                    "paused": is_paused(one),
                    **state.as_json(),
                }
                for one, state in zip(found, states, strict=True)
            ],
        }
    )


def connection_test() -> ResponseReturnValue:
    """Test a sender: with these settings, or as it is saved where none are given."""
    given = read_object()
    own = {one.name for one in test_fields()}
    unknown = given.keys() - own
    if unknown:
        name = min(unknown)
        refuse(name[:40], f"There is no such field. There are: {', '.join(sorted(own))}.")
    owner = owner_of(_name(given, "partner_id"), Action.TEST_SENDER)
    key = _name(given, "sender") or DEFAULT_KEY
    sender = load_sender(session(), owner, key)
    if key != DEFAULT_KEY and (not sender.sender_id or sender.deleted):
        raise NotFound(f"There is no sender {key[:40]!r}.")
    fields: dict[str, Any] = {
        name: value for name, value in given.items() if name not in {"partner_id", "sender"}
    }
    if not fields and sender.configured:
        fields = texts_of(sender.values)
    try:
        result = test_connection(session(), owner, fields, web.signed_in(), key=key)
    except RequestError as error:
        session().rollback()
        return web.answer_json(refused_as_dict(error), error.status, error.retry_after)
    return web.answer_json(as_dict(result, sender.locked), 200 if result.ok else 400)


def _name(given: dict[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInput(fields={name: ["This must be text."]})
    return value
