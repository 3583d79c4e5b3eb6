"""Liquid with limits, and nothing else: a module of its own, so that it is imported late."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from liquid import BoundTemplate, Environment, StrictUndefined
from liquid.exceptions import LiquidError

from smtp_admin.errors import MessageError

_MOST_OUTPUT_BYTES = 500_000
_MOST_LOOPS = 10_000


class _Limited(Environment):
    """Liquid that cannot run for long, or write without end."""

    output_stream_limit = _MOST_OUTPUT_BYTES
    loop_iteration_limit = _MOST_LOOPS
    context_depth_limit = 30
    local_namespace_limit = 1_000_000


def fill(source: str, data: Mapping[str, Any], *, escape: bool) -> str:
    """The text of a template, with its values.

    Raises:
        MessageError: the template is wrong, lacks a value, or goes beyond a limit.
    """
    try:
        return str(_parsed(source, escape).render(**data))
    except LiquidError as error:
        raise MessageError(str(error)) from error


@lru_cache(maxsize=256)
def _parsed(source: str, escape: bool) -> BoundTemplate:
    """Reading a template takes longer than rendering it, and runs render the same very often."""
    return _environment(escape).from_string(source)


@lru_cache(maxsize=2)
def _environment(escape: bool) -> Environment:
    return _Limited(autoescape=escape, undefined=StrictUndefined)


def strict_environment() -> Environment:
    """A new one with the limits of mail, for text that is no HTML; the caller may add filters."""
    return _Limited(autoescape=False, undefined=StrictUndefined)
