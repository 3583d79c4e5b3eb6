"""The kinds of values that the API takes: each with its JSON schema, and the reader that holds it.

The description of the API shows the schema and requests go through the reader, side by side here so
that they say the same. A reader raises ``ValueError`` with a sentence about the value.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smtp_admin.delivery.digest_items import PERIODS
from smtp_admin.errors import MessageError
from smtp_admin.identifiers import is_storable
from smtp_admin.mail.addresses import address_of
from smtp_admin.mail.batches import Recipient
from smtp_admin.smtp.address import check_header_text

Schema = Mapping[str, Any]

#: Recipients of one mail; all of them read each other's addresses.
MOST_TO = 100
#: Recipients of one request for a batch; a batch may be filled by several.
MOST_RECIPIENTS = 1000
_MOST_TEXT = 1_000_000
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=^_`{|}~][A-Za-z0-9!#$%&'*+/=^_`{|}~-]{0,30}"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?"
_TOP = r"[A-Za-z]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?"
_NO_NUL = r"^[^\u0000]*$"
_ONE_LINE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Value:
    """One kind of value."""

    schema: Schema
    read: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a request.

    Attributes:
        help: one sentence for the description.
        required: whether a request without it, or with ``null``, is refused.
        example: a value of it.
    """

    name: str
    value: Value
    help: str
    required: bool = False
    example: Any = None

    @property
    def schema(self) -> dict[str, Any]:
        """Its JSON schema; ``null`` stands for nothing where it may be left out."""
        found = dict(self.value.schema)
        if not self.required:
            found = _or_null(found)
        found["description"] = self.help
        if self.example is not None:
            found["examples"] = [self.example]
        return found


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" in schema:
        schema = schema | {"enum": [*schema["enum"], None]}
    if "anyOf" in schema:
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    return schema | {"type": [schema["type"], "null"]}


def object_schema(fields: Iterable[Field]) -> dict[str, Any]:
    """The schema of an object with these fields and no others."""
    listed = list(fields)
    found: dict[str, Any] = {
        "type": "object",
        "properties": {one.name: one.schema for one in listed},
        "additionalProperties": False,
    }
    required = [one.name for one in listed if one.required]
    return found | ({"required": required} if required else {})


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"This must be text, not {_kind_of(value)}.")
    if not is_storable(value):
        raise ValueError("A character of this text (NUL, or half of a pair) cannot be stored.")
    return value


def _kind_of(value: Any) -> str:
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "true or false"), ((int, float), "a number"), (list, "a list"), (dict, "an object"),
        (str, "text"),
    )  # fmt: skip
    return next((words for kind, words in kinds if isinstance(value, kind)), "null")


def text(longest: int = _MOST_TEXT, least: int = 0) -> Value:
    """Text of any lines."""

    def read(value: Any) -> str:
        found = _text(value)
        if not least <= len(found) <= longest:
            raise ValueError(f"This must have {least} to {longest:,} characters.")
        return found

    schema = {"type": "string", "maxLength": longest, "pattern": _NO_NUL}
    return Value(schema | ({"minLength": least} if least else {}), read)


def line(longest: int) -> Value:
    """One line of text that may stand in a header."""

    def read(value: Any) -> str:
        found = check_header_text(_text(value))
        if not 1 <= len(found) <= longest:
            raise ValueError(f"This must have 1 to {longest} characters.")
        return found

    schema = {"type": "string", "minLength": 1, "maxLength": longest, "pattern": _ONE_LINE,
              "not": {"pattern": r"=\?"}}  # fmt: skip
    return Value(schema, read)


def matching(pattern: str, longest: int, words: str) -> Value:
    """Text of a shape; *words* say which."""
    shape = re.compile(pattern, re.ASCII)

    def read(value: Any) -> str:
        found = _text(value)
        if len(found) > longest or not shape.fullmatch(found):
            raise ValueError(f"This must be {words}.")
        return found

    return Value({"type": "string", "maxLength": longest, "pattern": f"^{pattern}$"}, read)


def _moment(value: Any) -> datetime:
    found = _text(value)
    try:
        if not _MOMENT.fullmatch(found):
            raise ValueError
        return datetime.fromisoformat(found.upper())
    except ValueError as error:
        words = "This must be a time with its zone, such as 2026-12-01T09:00:00+01:00."
        raise ValueError(words) from error


#: A time with its zone (RFC 3339).
MOMENT = Value({"type": "string", "format": "date-time"}, _moment)

_ADDRESS: Schema = {
    "type": "string",
    "maxLength": 254,
    "pattern": rf"^{_LOCAL}(\.{_LOCAL})?@({_LABEL}\.){{1,3}}{_TOP}$",
    "description": "An address. One with a name before it, such as `Mia <mia@example.com>`, and "
    "one with a domain in other letters are taken too.",
}
_LONGEST_WRITTEN = 1000


def _address(value: Any) -> str:
    found = _text(value)
    if len(found) > _LONGEST_WRITTEN:
        raise ValueError("This address is too long.")
    try:
        address_of(found)
    except MessageError as error:
        raise ValueError(error.message) from error
    return found


ADDRESS = Value(_ADDRESS, _address)


def _addresses(value: Any) -> list[str]:
    if not isinstance(value, list):
        return [_address(value)]
    if not 1 <= len(value) <= MOST_TO:
        raise ValueError(
            f"There must be 1 to {MOST_TO} addresses. There are {len(value):,}. For more, queue a "
            "batch."
        )
    found = []
    for number, one in enumerate(value, 1):
        try:
            found.append(_address(one))
        except ValueError as error:
            raise ValueError(f"Address {number}: {error}") from error
    return found


ADDRESSES = Value(
    {"anyOf": [_ADDRESS, {"type": "array", "items": _ADDRESS, "minItems": 1, "maxItems": MOST_TO}]},
    _addresses,
)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"This must be an object, not {_kind_of(value)}.")
    return value


#: Values for a template, by name.
CONTEXT = Value({"type": "object"}, _object)
LANGUAGE = matching(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?", 12, "a language such as de or pt-BR")


def _period(value: Any) -> str:
    if value not in tuple(PERIODS):  # a list would be no key
        raise ValueError(f"This must be one of {', '.join(PERIODS)}.")
    return str(value)


#: For how long a notice may wait for its digest.
PERIOD = Value({"type": "string", "enum": list(PERIODS)}, _period)
_ONE_OF_MANY = (
    Field("address", ADDRESS, "Who gets it.", required=True, example="mia@example.com"),
    Field("context", CONTEXT, "A value for each variable of the type.", example={"name": "Mia"}),
    Field(
        "language", LANGUAGE, "The language of the type's text; English without one.", example="de"
    ),
)


def _recipients(value: Any) -> list[Recipient]:
    if not isinstance(value, list):
        raise ValueError(f"This must be a list, not {_kind_of(value)}.")
    if not 1 <= len(value) <= MOST_RECIPIENTS:
        raise ValueError(
            f"There must be 1 to {MOST_RECIPIENTS:,} recipients at a time. There are "
            f"{len(value):,}. Send the next ones with the same batch_key."
        )
    found = []
    for number, one in enumerate(value, 1):
        try:
            given = _object({"address": one} if isinstance(one, str) else one)
            values, wrong = read_fields(_ONE_OF_MANY, given)
            if wrong:
                name, texts = next(iter(wrong.items()))
                raise ValueError(f"{name}: {texts[0]}")
        except ValueError as error:
            raise ValueError(f"Recipient {number}: {error}") from error
        found.append(
            Recipient(values["address"], values["context"] or {}, values["language"] or "")
        )
    return found


RECIPIENTS = Value(
    {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_RECIPIENTS,
        "items": {"anyOf": [_ADDRESS, object_schema(_ONE_OF_MANY)]},
    },
    _recipients,
)


def read_fields(
    fields: Iterable[Field], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Field → value, ``None`` where nothing is given, and field → what is wrong with it."""
    values: dict[str, Any] = {}
    wrong: dict[str, list[str]] = {}
    known = {one.name: one for one in fields}
    for name in sorted(given.keys() - known.keys()):
        wrong[name[:40]] = [f"There is no such field. There are: {', '.join(known)}."]
    for name, one in known.items():
        values[name] = None
        try:
            if given.get(name) is not None:
                values[name] = one.value.read(given[name])
            elif one.required:
                raise ValueError("This is needed.")
        except ValueError as error:
            wrong[name] = [str(error)]
    return values, wrong
