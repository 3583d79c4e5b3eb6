"""A refusal as one text, to paste into a provider's support form or a report about this software.

There is no secret in it: a server's words were redacted before they were written down, and of the
settings only those are shown that the page shows too.
"""

from collections.abc import Iterator
from datetime import UTC
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from smtp_admin.clock import now
from smtp_admin.senders.fields import fields_of
from smtp_admin.senders.values import SenderValues

#: Fields of the settings that say nothing to whoever runs the server.
NOT_SHOWN = {"max_per_hour", "max_per_day", "max_connections", "fallbacks", "archive_to"}


def refusal_text(code: str, said: str, values: SenderValues | None) -> str:
    """What a server said that is not recognised, and what it was said to."""
    lines = [
        f"A reply that is not recognised, {now().astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        program(),
        "",
        *(settings_lines(values) if values else ()),
        "",
        f"The server said: {said}",
        f"Taken for: {code}",
    ]
    return "\n".join(lines) + "\n"


@cache  # a page shows many refusals, and to look it up takes a millisecond
def program() -> str:
    """Which version of this software it is."""
    try:
        return f"smtp_admin {version('smtp_admin')}"
    except PackageNotFoundError:  # pragma: no cover - run from a folder that was never installed
        return "smtp_admin of a source folder"


def settings_lines(values: SenderValues) -> Iterator[str]:
    """The settings that matter to whoever runs the server, a line for each."""
    yield "Settings:"
    for one in fields_of(values.driver):
        if one.secret or one.name in NOT_SHOWN:
            continue
        value = values[one.name]
        if value not in ("", None, ()):
            yield f"  {one.title}: {one.words(value)}"
