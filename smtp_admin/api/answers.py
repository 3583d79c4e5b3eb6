"""The schemas of the API's answers, by name; a test compares them with real answers."""

from typing import Any, get_args

from smtp_admin.delivery.states import STATES
from smtp_admin.sender_state.state import KEYS
from smtp_admin.suppression.provider_lists.removing import Status
from smtp_admin.suppression.reasons import REASONS

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_FLAG: Schema = {"type": "boolean"}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_STATE: Schema = {"type": "string", "enum": list(STATES)}
_COUNTS: Schema = {
    "type": "object",
    "additionalProperties": _WHOLE,
    "description": "How many are in each state.",
}
_OPEN: Schema = {"type": "object"}


def _or_null(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_OK: Schema = {"const": True}
_REPLY = _object(code=_WHOLE, enhanced=_or_null(_TEXT), text=_TEXT)
#: In what state a sender is.
_SENDER_STATE: dict[str, Schema] = {
    "state": {"type": "string", "enum": list(KEYS)},
    "headline": _TEXT,
    "message": _TEXT,
    "tone": {"type": "string", "enum": ["good", "ready", "warn", "bad", "off"]},
    "since": _or_null(_MOMENT),
    "until": _or_null(_MOMENT),
}
_NUMBERS: dict[str, Schema] = {
    **_SENDER_STATE,
    "pending": _WHOLE,
    "sending": _WHOLE,
    "sent": _WHOLE,
    "failed": _WHOLE,
    "dead": _WHOLE,
    "uncertain": _WHOLE,
    "sent_this_hour": _WHOLE,
    "max_per_hour": _or_null(_WHOLE),
    "sent_24h": _WHOLE,
    "failed_24h": _WHOLE,
    "bounced_24h": _WHOLE,
    "complained_24h": _WHOLE,
    "average_seconds": _or_null(_NUMBER),
    "queue_limit": _WHOLE,
    "paused": _FLAG,
    "oldest_pending_seconds": _or_null(_NUMBER),
}
_NAMED: dict[str, Schema] = {"sender": _TEXT, "label": _TEXT}
_ATTEMPT = _object(at=_MOMENT, verdict=_TEXT, code=_TEXT, cause=_TEXT, error=_TEXT, reply=_TEXT)
_EVENT = _object(at=_MOMENT, kind=_TEXT, bounce=_TEXT, code=_TEXT, words=_TEXT)
_HOP = {
    "type": "object",
    "properties": {"at": _MOMENT, "from": _TEXT, "to": _TEXT, "reason": _TEXT},
    "required": ["at", "from", "to", "reason"],
    "additionalProperties": False,
}
_DELIVERY = _object(
    recipient=_TEXT,
    archive=_FLAG,
    state=_STATE,
    tries=_WHOLE,
    next_attempt_at=_or_null(_MOMENT),
    finished_at=_or_null(_MOMENT),
    code=_TEXT,
    cause=_TEXT,
    error=_TEXT,
    reply=_TEXT,
    attempts=_list(_ATTEMPT),
    handed_over=_list(_HOP),
    events=_list(_EVENT),
)
_STEP = _object(
    name=_TEXT,
    status={"type": "string", "enum": ["ok", "failed", "skipped"]},
    ms=_NUMBER,
    detail=_TEXT,
    reply={"anyOf": [_REPLY, {"type": "null"}]},
)

_SUPPRESSION = _object(
    id=_WHOLE,
    partner_id=_TEXT,
    address=_or_null(_TEXT),
    category=_TEXT,
    reason={"type": "string", "enum": list(REASONS)},
    detail=_TEXT,
    mail_id=_or_null(_ID),
    at=_MOMENT,
    by=_TEXT,
)
_AT_PROVIDER = _object(
    sender=_TEXT,
    provider=_TEXT,
    status={"type": "string", "enum": list(get_args(Status))},
    removed=_WHOLE,
    message=_TEXT,
    page=_or_null(_TEXT),
)
ANSWERS: dict[str, Schema] = {
    "Status": {
        "description": "The numbers; with `sender`, of that one alone, which then is named and has "
        "no `senders`.",
        "anyOf": [
            _object(ok=_OK, **_NUMBERS, senders=_list(_object(**_NAMED, **_NUMBERS))),
            _object(ok=_OK, **_NAMED, **_NUMBERS),
        ],
    },
    "Suppressions": _object(ok=_OK, suppressions=_list(_SUPPRESSION), before=_or_null(_WHOLE)),
    "Suppressed": _object(ok=_OK, address=_TEXT, category=_TEXT, new=_FLAG, kept_back=_WHOLE),
    "Unsuppressed": _object(
        ok=_OK, address=_TEXT, count=_WHOLE, left=_WHOLE, providers=_list(_AT_PROVIDER)
    ),
    "Queued": _object(ok=_OK, id=_ID, status=_STATE | {"enum": [*STATES, "waiting"]}),
    "BatchQueued": _object(ok=_OK, id=_ID, queued=_WHOLE, known=_WHOLE, suppressed=_WHOLE),
    "Batch": _object(
        ok=_OK,
        id=_ID,
        partner_id=_TEXT,
        label=_TEXT,
        key=_or_null(_TEXT),
        type=_TEXT,
        sender=_or_null(_TEXT),
        total=_WHOLE,
        queued=_WHOLE,
        suppressed=_WHOLE,
        waiting=_WHOLE,
        done=_WHOLE,
        progress=_NUMBER,
        states=_COUNTS,
        created_by=_TEXT,
        created_at=_MOMENT,
        cancelled_at=_or_null(_MOMENT),
    ),
    "Message": _object(
        ok=_OK,
        id=_ID,
        partner_id=_TEXT,
        type=_TEXT,
        subject=_TEXT,
        message_id=_TEXT,
        queued_at=_MOMENT,
        states=_COUNTS,
        recipients=_WHOLE,
        deliveries=_list(_DELIVERY),
    ),
    "Changed": _object(ok=_OK, id=_ID, count=_WHOLE),
    "SentAgain": _object(ok=_OK, id=_ID, count=_WHOLE, kept_back=_WHOLE),
    "Senders": _object(
        ok=_OK,
        partner_id=_TEXT,
        senders=_list(
            _object(
                **_NAMED,
                configured=_FLAG,
                driver=_TEXT,
                from_email=_TEXT,
                from_name=_TEXT,
                max_per_hour=_or_null(_WHOLE),
                max_per_day=_or_null(_WHOLE),
                paused=_FLAG,
                **_SENDER_STATE,
            )
        ),
    ),
    "TestResult": _object(
        ok=_OK,
        duration_ms=_NUMBER,
        connection=_OPEN,
        steps=_list(_STEP),
        warnings=_list(_object(code=_TEXT, message=_TEXT)),
    ),
    "Description": _OPEN,
    "Error": {
        "description": "Every error has this form. `message` and `hint` are for people, `code` is "
        "for programs, `fields` says what is wrong with which field. `step`, `connection` and "
        "`steps` are empty but in errors of a connection test.",
        "type": "object",
        "properties": {
            "ok": {"const": False},
            "error": {
                "type": "object",
                "properties": {
                    "code": _TEXT,
                    "message": _TEXT,
                    "step": _or_null(_TEXT),
                    "hint": _TEXT,
                    "reply": {"anyOf": [_REPLY, {"type": "null"}]},
                    "fields": {"type": "object", "additionalProperties": _list(_TEXT)},
                    "fixes": _list(_OPEN),
                },
                "required": ["code", "message", "step", "hint", "reply", "fields"],
                "additionalProperties": False,
            },
            "connection": _OPEN,
            "steps": _list(_STEP),
            "duration_ms": _NUMBER,
        },
        "required": ["ok", "error", "connection", "steps"],
        "additionalProperties": False,
    },
}
