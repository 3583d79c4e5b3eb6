"""The table of what the API does: each operation with its address, its action and its fields.

The routes are made from it, the description too, and the reader of a request holds its fields.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from smtp_admin.access import Action
from smtp_admin.api import values
from smtp_admin.api.values import (
    ADDRESS,
    ADDRESSES,
    CONTEXT,
    LANGUAGE,
    MOMENT,
    PERIOD,
    RECIPIENTS,
    Field,
)
from smtp_admin.senders.fields import all_fields
from smtp_admin.suppression.reasons import REASONS
from smtp_admin.transports.fields import Field as SenderField

#: draft-ietf-httpapi-idempotency-key-header; with the quotes of its syntax or without.
KEY_HEADER = "Idempotency-Key"
_KEY_LETTERS = r"[A-Za-z0-9._:/+=-]{1,200}"
KEY_SHAPE = re.compile(rf'"?({_KEY_LETTERS})"?')
KEY_PATTERN = rf'^("{_KEY_LETTERS}"|{_KEY_LETTERS})$'

_PARTNER = Field(
    "partner_id",
    values.text(100),
    'Whose it is; `""` for the system. Not needed by who looks after one partner.',
    example="acme",
)
_TYPE = values.matching(r"[A-Za-z_][A-Za-z0-9_]{0,63}", 64, "the name of an e-mail type")
_SENDER = Field("sender", values.text(40), 'The key of a sender, `""` for the default one; else '
                "the routes decide.", example="newsletters")  # fmt: skip
_SEND_AT = Field("send_at", MOMENT, "Not before this time.", example="2026-12-01T09:00:00+01:00")
_EXPIRES_AT = Field("expires_at", MOMENT, "Not after this time.")

QUEUE_FIELDS = (
    Field("to", ADDRESSES, "Who gets it; all of them read each other's addresses.", required=True,
          example="mia@example.com"),
    Field("type", _TYPE, "The e-mail type whose templates write the mail. Without it the mail is "
          "ready: subject, and text or html.", example="password_reset"),
    Field("context", CONTEXT, "A value for each variable of the type."),
    Field("language", LANGUAGE, "The language of the type's text; English without one.",
          example="de"),
    Field("subject", values.line(500), "The subject of a ready mail.", example="Your invoice"),
    Field("text", values.text(), "What it says.", example="Hello, here is your invoice."),
    Field("html", values.text(), "The same as HTML."),
    Field("reply_to", ADDRESS, "Where answers go."),
    _PARTNER,
    _SENDER,
    Field("idempotency_key", values.text(200, 1), "The same key again queues nothing and answers "
          "with the first mail's id. It belongs to the partner, and counts before the header.",
          example="invoice-4711"),
    _SEND_AT,
    _EXPIRES_AT,
    Field("digest", PERIOD, "The notice waits at most so long for others to its one recipient, and "
          "all of them become one mail. Only for types that recipients may end.", example="day"),
)  # fmt: skip
BATCH_FIELDS = (
    Field("type", _TYPE, "The e-mail type.", required=True, example="newsletter"),
    Field("recipients", RECIPIENTS, "Who gets it, each a mail of their own.", required=True),
    _PARTNER,
    Field("batch_key", values.text(200, 1), "What you call the batch. With the key again, "
          "recipients that it does not have yet are added.", example="2026-12"),
    Field("label", values.text(200), "What people call it.", example="December"),
    _SENDER,
    _SEND_AT,
    _EXPIRES_AT,
)  # fmt: skip
SUPPRESSION_FIELDS = (
    Field("address", ADDRESS, "Who gets no such mail any more.", required=True,
          example="mia@example.com"),
    Field("category", _TYPE, "`all` mail, all `notices`, or one kind of notice by the "
          "name of its type; `all` if left out.", example="newsletter"),
    Field("detail", values.text(500), "Why, for the list.", example="Asked by phone"),
    _PARTNER,
)  # fmt: skip


def test_fields() -> tuple[Field, ...]:
    """The fields of a sender as they may be tested: those of every driver, hosts' own too."""
    return (_PARTNER, _SENDER, *(_sender_field(one) for one in all_fields()))


test_fields.__test__ = False  # type: ignore[attr-defined]  # not one of pytest's


def _sender_field(one: SenderField) -> Field:
    schema: dict[str, Any] = {"type": "string", "maxLength": 10_000}
    if one.kind == "number":
        schema = {"type": "integer"}
    elif one.kind == "flag":
        schema = {"type": "boolean"}
    elif one.kind == "choice":
        schema = {"type": "string", "examples": list(one.choices)}
    elif one.kind in {"senders", "lines"}:
        schema = {"type": "array", "items": {"type": "string"}}
    words = f"{one.label}. {one.help}".strip()
    return Field(one.name, values.Value(schema, lambda value: value), words)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the address or a header."""

    name: str
    place: Literal["path", "query", "header"]
    schema: values.Schema
    help: str
    required: bool = False


_OF_PARTNER = Parameter("partner_id", "query", {"type": "string"}, _PARTNER.help)
_OF_SENDER = Parameter(
    "sender", "query", {"type": "string"}, "The key of one sender of that partner only."
)
_ID = Parameter(
    "public_id",
    "path",
    {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "The id that was answered when it was queued.",
    required=True,
)
_OF_ADDRESS = Parameter("address", "query", ADDRESS.schema, "Only this address.")
_OF_CATEGORY = Parameter("category", "query", _TYPE.schema, "Only this category; else every one.")
_OF_REASON = Parameter(
    "reason",
    "query",
    {"type": "string", "enum": [*REASONS]},
    "Only what came for this reason; else for every one.",
)
_BEFORE = Parameter(
    "before",
    "query",
    {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
    "Those before the suppression of this id.",
)
_KEY = Parameter(
    KEY_HEADER,
    "header",
    {"type": "string", "pattern": KEY_PATTERN},
    "Stands for `idempotency_key`, or for `batch_key`, where the body has none.",
)


def _nothing() -> tuple[Field, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that the API does.

    Attributes:
        name: of the view, and for generated clients.
        path: as Flask writes it, after the API's own address.
        answers: status of a success → the name of the schema of its JSON.
        refusals: the statuses of errors beside those that every operation has.
        body: the fields of its JSON.
        most_bytes: of a request, if that is more than usual.
        leads_to: the operations that take the id that it answers with.
    """

    name: str
    method: Literal["GET", "POST", "DELETE"]
    path: str
    action: Action
    summary: str
    answers: dict[int, str]
    refusals: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: Callable[[], tuple[Field, ...]] = _nothing
    most_bytes: int | None = None
    leads_to: tuple[str, ...] = ()


_MEGABYTE = 1024 * 1024
OPERATIONS = (
    Operation("status", "GET", "/status", Action.SEE_PARTNER_STATUS,
              "The numbers of a partner's mail, of one sender, or of all mail",
              {200: "Status"}, (404,), (_OF_PARTNER, _OF_SENDER)),
    Operation("queue", "POST", "/queue", Action.SEND_MAIL, "Queue one mail",
              {202: "Queued", 200: "Queued"}, (400, 404, 413, 415), (_KEY,), lambda: QUEUE_FIELDS,
              2 * _MEGABYTE, ("message", "cancel", "retry")),
    Operation("batch", "POST", "/batch", Action.SEND_MAIL, "Queue mail of a type to many",
              {202: "BatchQueued", 200: "BatchQueued"}, (400, 404, 409, 413, 415), (_KEY,),
              lambda: BATCH_FIELDS, 2 * _MEGABYTE, ("batch_status",)),
    Operation("batch_status", "GET", "/batch/<public_id>", Action.SEE_MAIL, "How a batch stands",
              {200: "Batch"}, (404,), (_ID,)),
    Operation("message", "GET", "/messages/<public_id>", Action.SEE_MAIL,
              "One mail with its deliveries and their attempts", {200: "Message"}, (404,), (_ID,)),
    Operation("cancel", "POST", "/messages/<public_id>/cancel", Action.CHANGE_MAIL,
              "Do not send what of a mail is still queued", {200: "Changed"}, (400, 404, 409),
              (_ID,)),
    Operation("retry", "POST", "/messages/<public_id>/retry", Action.CHANGE_MAIL,
              "Send dead letters and unknown outcomes of a mail once more", {200: "SentAgain"},
              (400, 404, 409), (_ID,)),
    Operation("senders", "GET", "/senders", Action.SEE_SENDERS,
              "The senders of a partner or of the system", {200: "Senders"}, (400, 404),
              (_OF_PARTNER,)),
    Operation("connection_test", "POST", "/test-connection", Action.TEST_SENDER,
              "Test a sender: with the settings that are sent, or as it is saved",
              {200: "TestResult"}, (400, 404, 413, 415), (), test_fields),
    Operation("suppressions", "GET", "/suppressions", Action.MANAGE_SUPPRESSIONS,
              "The suppressed addresses of a partner, newest first", {200: "Suppressions"},
              (400, 404), (_OF_PARTNER, _BEFORE, _OF_ADDRESS)),
    Operation("suppress", "POST", "/suppressions", Action.MANAGE_SUPPRESSIONS,
              "Stop sending mail to an address", {201: "Suppressed", 200: "Suppressed"},
              (400, 404, 413, 415), (), lambda: SUPPRESSION_FIELDS),
    Operation("unsuppress", "DELETE", "/suppressions", Action.MANAGE_SUPPRESSIONS,
              "Let an address have its mail again", {200: "Unsuppressed"}, (400, 404),
              (_OF_PARTNER, replace(_OF_ADDRESS, required=True), _OF_CATEGORY,
               _OF_REASON)),
    Operation("openapi", "GET", "/openapi.json", Action.SEE_API_DOCUMENT,
              "This description", {200: "Description"}),
)  # fmt: skip
