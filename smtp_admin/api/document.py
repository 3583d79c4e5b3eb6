"""The description of the API (OpenAPI 3.1), made from the tables by which it works."""

import re
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from smtp_admin.access import Action
from smtp_admin.api.answers import ANSWERS
from smtp_admin.api.operations import OPERATIONS, QUEUE_FIELDS, Operation, Parameter
from smtp_admin.api.scopes import scopes_with
from smtp_admin.api.values import object_schema

_REASONS = {
    400: "Something in the request cannot be used. With a session: the token against forged "
    "requests is missing.",
    401: "There is no token, or it no longer works.",
    403: "Not for this token or person.",
    404: "There is no such thing, or none that this token or person may know of.",
    409: "Its state does not allow it.",
    413: "The request or the mail is too large.",
    415: "The request is not sent as JSON.",
    429: "Too many requests, or too much mail is waiting. `Retry-After` says how long to wait.",
    503: "The database, or a table of it, is missing for now.",
}
#: What every operation may answer that is not open to anybody.
_ALWAYS = (401, 403, 429, 503)
_ON_SUCCESS = {200: "Done.", 201: "Added.", 202: "Queued."}
_RATE_HEADERS = {
    "RateLimit-Policy": "The limit: `q` requests in `w` seconds.",
    "RateLimit": "What is left of it: `r` requests; in `t` seconds all are possible again.",
}


def description(address: str, session_cookie: str) -> dict[str, Any]:
    """The whole of it.

    Args:
        address: where the API is.
        session_cookie: the name of the cookie of the host's session.
    """
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        path = re.sub(r"<(\w+)>", r"{\1}", one.path)
        paths.setdefault(path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mail",
            "version": _version(),
            "description": "Queue mail, see what became of it, look after senders. A request is "
            "made with a token, or with the session of someone who is signed in.",
        },
        "servers": [{"url": address}],
        "paths": paths,
        "components": {
            "schemas": ANSWERS,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token. What it may do is said of each operation.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": session_cookie,
                    "description": "The session of the app. What changes something also needs the "
                    "token of a page in the header X-CSRFToken.",
                },
            },
        },
    }


def _version() -> str:
    try:
        return version("smtp_admin")
    except PackageNotFoundError:  # run from its source, without being installed
        return "0"


def _operation(one: Operation) -> dict[str, Any]:
    is_open = one.action is Action.SEE_API_DOCUMENT
    scopes = list(scopes_with(one.action))
    refusals = sorted({*one.refusals, *(() if is_open else _ALWAYS)})
    found: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "responses": {
            **{str(status): _answer(status, one) for status in one.answers},
            **{str(status): _refusal(status) for status in refusals},
        },
        "security": [] if is_open else [{"token": scopes}, {"session": []}],
    }
    if one.parameters:
        found["parameters"] = [_parameter(each) for each in one.parameters]
    if one.body():
        schema = _mail_schema() if one.name == "queue" else object_schema(one.body())
        content = {"application/json": {"schema": schema}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _mail_schema() -> dict[str, Any]:
    """A mail of a type, or a ready one."""
    whole = object_schema(QUEUE_FIELDS)
    properties = whole["properties"]
    nothing = {"type": "null"}
    no_text = dict.fromkeys(("subject", "text", "html"), nothing)
    filled = {name: {**properties[name], "type": "string"} for name in ("type", "subject")}
    bodies = {name: {**properties[name], "type": "string"} for name in ("text", "html")}
    ready = properties | {"subject": filled["subject"], "type": nothing, "context": nothing}
    forms = [
        ("Mail of a type", properties | no_text | {"type": filled["type"]}, ["to", "type"]),
        ("A ready mail", ready | {"text": bodies["text"]}, ["to", "subject", "text"]),
        ("A ready mail of HTML alone", ready | {"text": nothing, "html": bodies["html"]},
         ["to", "subject", "html"]),
    ]  # fmt: skip
    return {
        "anyOf": [
            {"title": title} | whole | {"properties": fields, "required": required}
            for title, fields, required in forms
        ]
    }


def _parameter(one: Parameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "in": one.place,
        "required": one.required,
        "schema": dict(one.schema),
        "description": one.help,
    }


def _content(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _answer(status: int, one: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": _ON_SUCCESS[status],
        "content": _content(one.answers[status]),
    }
    if one.leads_to:
        found["links"] = {
            name: {"operationId": name, "parameters": {"public_id": "$response.body#/id"}}
            for name in one.leads_to
        }
    if one.action is not Action.SEE_API_DOCUMENT:
        found["headers"] = {
            header: {"required": True, "schema": {"type": "string"}, "description": words}
            for header, words in _RATE_HEADERS.items()
        }
    return found


def _refusal(status: int) -> dict[str, Any]:
    found: dict[str, Any] = {"description": _REASONS[status], "content": _content("Error")}
    if status == 401:  # noqa: PLR2004
        found["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    if status == 429:  # noqa: PLR2004
        found["headers"] = {"Retry-After": {"required": True, "schema": {"type": "integer"}}}
    return found
