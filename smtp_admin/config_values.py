"""What a key of the configuration is, and how values that many keys have are read.

A reader raises ``ValueError`` with the end of a sentence that begins with the key's name.
"""

import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its name without the prefix, its default, what it is read with, what it means.

    Attributes:
        secret: whether it is never shown, and may be given as a file: ``<name>_FILE``.
    """

    name: str
    default: Any
    read: Callable[[Any], Any]
    help: str
    secret: bool = False


def read_text(value: Any) -> str:
    """*value*, which must be text."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def read_words(value: Any) -> tuple[str, ...]:
    """The texts of a list, or of one text with commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, Sequence) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise ValueError("must be a list of texts, or one text with commas")


def read_whole(least: int, most: int) -> Callable[[Any], int]:
    """Reads a whole number in these bounds."""

    def read(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value.strip()):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return value

    return read


def read_flag(value: Any) -> bool:
    """Whether *value* says yes, also as a text of the environment."""
    if isinstance(value, str) and value.strip().lower() in _FLAGS:
        return _FLAGS[value.strip().lower()]
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


def read_ports(value: Any) -> frozenset[int]:
    """Numbers of ports, of a list or of one text with commas."""
    if isinstance(value, int):
        value = [value]  # one number from the environment
    parts = read_words(value) if isinstance(value, str) else value
    if isinstance(parts, bytes) or not isinstance(parts, Sequence | Set):
        raise ValueError("must be a list of port numbers")
    read = read_whole(1, 65535)
    if isinstance(parts, range) and parts:
        read(parts[0])
        read(parts[-1])  # the others lie between
        return _every(parts)
    return frozenset(read(part) for part in parts)


@cache
def _every(ports: range) -> frozenset[int]:
    """All of them: where that is tens of thousands, one set serves every app of a process."""
    return frozenset(ports)
