"""Read the JSON of a request: whatever its shape, what comes out are values, or what is wrong."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from flask import request

from smtp_admin.api.values import Field, read_fields
from smtp_admin.errors import InvalidInput, RequestError, TooLarge
from smtp_admin.identifiers import is_storable, storable

_DEEPEST = 10
#: Digits of the numbers that every database and every client can hold.
_MOST_DIGITS = 18
_NOT_STORABLE = "A character of it (NUL, or half of a pair) cannot be stored."


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Stands where JSON had a number that nobody can use, and says why."""

    why: str


def read_body(fields: Iterable[Field]) -> dict[str, Any]:
    """Field → value of the object that was sent; ``None`` where it says nothing.

    Raises:
        RequestError: 415, it is not sent as JSON.
        InvalidInput: it is no object, or a field cannot be used; names them all.
        TooLarge, RequestEntityTooLarge: it has more bytes than the view takes.
    """
    given = read_object()
    values, wrong = read_fields(fields, given)
    if wrong:
        raise InvalidInput(fields=wrong)
    return values


def read_object() -> dict[str, Any]:
    """The object that was sent, with nothing in it that cannot be stored or written.

    Raises:
        RequestError, InvalidInput, TooLarge, RequestEntityTooLarge: as :func:`read_body`.
    """
    if not request.is_json:
        error = RequestError(
            "This request has no JSON.",
            hint="Send an object, with the header Content-Type: application/json.",
            code="invalid_input",
        )
        error.status = 415
        raise error
    raw = request.get_data(cache=False)
    most = request.max_content_length
    if most is not None and len(raw) >= most and len(raw) > (request.content_length or 0):
        raise TooLarge("This request is too large.")  # what came in chunks is cut off there
    try:
        given = json.loads(
            raw,
            parse_int=_whole, parse_float=_number, parse_constant=_constant,
        )  # fmt: skip
    except RecursionError as error:
        raise InvalidInput("This JSON is nested too deeply.") from error
    except ValueError as error:  # UnicodeDecodeError is one too
        raise InvalidInput(
            f"This is not JSON in UTF-8: {_place_of(error)}.",
            hint="Let a library write it, such as json.dumps.",
        ) from error
    if not isinstance(given, dict):
        raise InvalidInput("This JSON is not an object.", hint="Send an object with the fields.")
    wrong = {}
    for name, value in given.items():
        complaint = _complaint(name, value)
        if complaint:
            wrong[storable(name)[:40]] = [complaint]
    if wrong:
        raise InvalidInput(fields=wrong)
    return given


def _place_of(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    return "its bytes cannot be read"


def _whole(text: str) -> Any:
    if len(text.lstrip("-")) > _MOST_DIGITS:
        return _Unusable(f"A number has more than {_MOST_DIGITS} digits. Send it as text.")
    return int(text)


def _number(text: str) -> Any:
    found = float(text)
    return _Unusable("A number is too large.") if found in (_ENDLESS, -_ENDLESS) else found


_ENDLESS = float("inf")


def _constant(text: str) -> Any:
    return _Unusable(f"{text} is no number in JSON.")


def _complaint(name: str, value: Any) -> str:
    """Why *value* cannot be used, wherever in it that is; empty if it can be.

    Not by recursion: how deep it is, the sender decides.
    """
    if not is_storable(name):
        return _NOT_STORABLE
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        if depth > _DEEPEST:
            return "This is nested too deeply."
        if isinstance(one, _Unusable):
            return one.why
        if isinstance(one, str) and not is_storable(one):
            return _NOT_STORABLE
        if isinstance(one, list):
            waiting += [(each, depth + 1) for each in one]
        elif isinstance(one, dict):
            if not all(is_storable(key) for key in one):
                return _NOT_STORABLE
            waiting += [(each, depth + 1) for each in one.values()]
    return ""


def refuse(field: str, words: str, *, hint: str = "") -> NoReturn:
    """Refuse a request because of one field.

    Raises:
        InvalidInput: always.
    """
    raise InvalidInput(hint=hint, fields={field: [words]})
