"""The program curl, for the examples that call the API with it."""

from pathlib import Path

from . import Unavailable, find_program

__all__ = ["find_curl"]


def find_curl() -> Path:
    """Return the installed curl."""
    program = find_program("curl")
    if program is None:
        raise Unavailable("curl is missing: install Debian's curl.", "curl")
    return program
