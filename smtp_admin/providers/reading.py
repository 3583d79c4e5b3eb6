"""Reads the files of this folder, strictly.

A key or a kind of value that is not described there is refused: a fact that is silently ignored is
worse than none.
"""

import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from smtp_admin.providers.provider import OF_PRESETS, Knowledge, Provider
from smtp_admin.translation import known

_GENERAL = "general.toml"
#: The keys with texts for people, which pages show in their own language.
TEXTS = frozenset(
    {"label", "login", "password", "from_address", "steps", "dns", "message", "text", "who", "help"}
)
_T = TypeVar("_T")


def read_folder(folder: Path) -> Knowledge:
    """What the files of *folder* say: one for each provider, and one for all of them.

    Raises:
        ValueError: which key or value cannot be used.
    """
    general = read_general((folder / _GENERAL).read_text("utf-8"))
    read = [
        read_provider(file.stem, file.read_text("utf-8"))
        for file in folder.glob("*.toml")
        if file.name != _GENERAL
    ]
    read.sort(key=lambda one: (one.order, one.label.casefold()))
    return replace(general, known=tuple(read))


def read_general(text: str) -> Knowledge:
    """What ``general.toml`` says, without any provider.

    Raises:
        ValueError: which key or value cannot be used.
    """
    table = tomllib.loads(text)
    if "known" in table:
        raise ValueError(f"{_GENERAL}: unknown key: known.")
    return _read(Knowledge, table, _GENERAL)


def read_provider(key: str, text: str) -> Provider:
    """The provider that ``<key>.toml`` describes.

    Raises:
        ValueError: which key or value cannot be used.
    """
    where = f"{key}.toml"
    table = tomllib.loads(text)
    if "key" in table:
        raise ValueError(f"{where}: the key of a provider is the name of its file.")
    if table.get("kind") != "known":
        missing = ", ".join(sorted(set(OF_PRESETS) - table.keys()))
        if missing:
            raise ValueError(f"{where}: missing key: {missing}.")
    return _read(Provider, {"key": key, **table}, where)


def _read(kind: type[_T], table: Any, where: str) -> _T:
    """*table* as a *kind*, strictly."""
    if not is_dataclass(kind) or not isinstance(table, dict):
        raise ValueError(f"{where}: this must be a table.")
    hints = get_type_hints(kind)
    unknown = ", ".join(sorted(table.keys() - hints.keys()))
    if unknown:
        raise ValueError(f"{where}: unknown key: {unknown}.")
    needed = {
        one.name
        for one in fields(kind)
        if one.default is MISSING and one.default_factory is MISSING
    }
    missing = ", ".join(sorted(needed - table.keys()))
    if missing:
        raise ValueError(f"{where}: missing key: {missing}.")
    read = {name: _value(hints[name], it, f"{where}.{name}") for name, it in table.items()}
    return kind(**{name: _text(it) if name in TEXTS else it for name, it in read.items()})


def _text(value: Any) -> Any:
    return tuple(map(known, value)) if isinstance(value, tuple) else known(value)


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in {types.UnionType, Union}:
        return _value(inner[0], value, where)  # TOML has no None: the key is left out
    if origin is tuple and isinstance(value, list):
        return tuple(_value(inner[0], one, f"{where}[{n}]") for n, one in enumerate(value, 1))
    if origin is Literal and value in inner:
        return value
    if origin is Mapping and isinstance(value, dict):
        return {
            _value(inner[0], name, where): _value(inner[1], one, f"{where}.{name}")
            for name, one in value.items()
        }
    if is_dataclass(hint) and isinstance(hint, type):
        return _read(hint, value, where)
    if origin is not None or type(value) is not hint:
        raise ValueError(f"{where}: {value!r} is not allowed here.")
    return value
