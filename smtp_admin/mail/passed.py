"""What a host passes to ``send`` and its sisters, looked at before anything is made of it.

A wrong kind of value is the mistake of whoever writes the call, and the error names the argument,
what came, and what to pass. Without this it would be a ``TypeError`` from deep inside, or each
letter of a text taken for an address.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from smtp_admin.errors import MessageError

#: What is no address. Others may be: text that is translated late, a pair as Flask-Mail has it.
_NO_ADDRESS = (bytes, int, float, list, set, Mapping)


def kind_of(value: object) -> str:
    """What *value* is, for people who write Python: ``None``, ``str``, ``datetime.date``."""
    if value is None:
        return "None"
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"


def recipients_in(to: Any) -> list[Any]:
    """The recipients that *to* names: one, or several.

    Raises:
        MessageError: it names none.
    """
    if isinstance(to, str):
        return [to]
    return addresses_in(to, "to", 'one address, such as "sam@example.com", or a list of them')


def addresses_in(value: Any, name: str, wanted: str = "") -> list[Any]:
    """The addresses in the argument *name*; ``None`` has none, where no other is wanted.

    Raises:
        MessageError: they are in nothing that holds several.
    """
    if value is None and not wanted:
        return []
    wanted = wanted or 'a list of addresses, such as ["sam@example.com"]'
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise _wrong(name, value, wanted)
    found = list(value)
    for one in found:
        if one is None or isinstance(one, _NO_ADDRESS):
            raise _wrong(f"{name} (one of it)", one, 'text, such as "sam@example.com"')
    return found


def mapping_in(value: Any, name: str, wanted: str) -> Mapping[str, Any]:
    """The argument *name*, which has a value for each of its names; ``None`` has none.

    Raises:
        MessageError: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _wrong(name, value, wanted)
    return value


def values_in(context: Any) -> Mapping[str, Any]:
    """The values for the variables of a type.

    Raises:
        MessageError: they are in no dictionary.
    """
    return mapping_in(context, "context", 'a dict, such as {"name": "Sam"}')


def text_in(value: Any, name: str, wanted: str) -> str:
    """The argument *name*, which is text.

    Raises:
        MessageError: it is something else.
    """
    if not isinstance(value, str):
        raise _wrong(name, value, wanted)
    return value


def several_in(value: Any, name: str, wanted: str) -> Iterable[Any]:
    """The argument *name*, which is read one after the other.

    Raises:
        MessageError: it cannot be.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise _wrong(name, value, wanted)
    return value


def _wrong(name: str, value: Any, wanted: str) -> MessageError:
    shown = "" if value is None else f", {str(value)[:60]!r}"
    return MessageError(f"{name} is {wanted}; what was passed is {kind_of(value)}{shown}.")
