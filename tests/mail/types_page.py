"""Writes the table in ``docs/email-types.md`` from the shipped types.

``python -m tests.mail.types_page`` after a change; a test compares the two.
"""

from collections.abc import Iterator
from pathlib import Path

from smtp_admin.delivery.outbox import default_lifetime
from smtp_admin.mail.templates import languages
from smtp_admin.mail.types import PRIORITIES, SHIPPED, EmailType

FILE = Path(__file__).resolve().parents[2] / "docs" / "email-types.md"
BEGIN, END = "<!-- types: begin -->", "<!-- types: end -->"


def written(before: str) -> str:
    """The page with the table of today."""
    head, rest = before.split(BEGIN)
    tail = rest.split(END)[1]
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"


def table() -> str:
    """All types: a summary, then each with its variables."""
    lines = [
        "| type | priority | lives | partners may write it | languages |",
        "|---|---|---|---|---|",
    ]
    lines += map(_row, SHIPPED)
    return "\n".join([*lines, *(line for type_ in SHIPPED for line in _described(type_))])


def _row(type_: EmailType) -> str:
    priority = type_.priority + (", sensitive" if type_.sensitive else "")
    may = "yes" if type_.customizable else "no"
    return (
        f"| `{type_.name}` | {priority} | {_hours(type_)} | {may} | {', '.join(languages(type_))} |"
    )


def _hours(type_: EmailType) -> str:
    hours = type_.expires_hours
    if hours is None:
        hours = default_lifetime(PRIORITIES[type_.priority]).total_seconds() / 3600
    return f"{hours:g} hour{'' if hours == 1 else 's'}"


def _described(type_: EmailType) -> Iterator[str]:
    must = "a notice, which recipients may end" if type_.notice else "must be delivered"
    yield ""
    yield f"### {type_.label}"
    yield ""
    yield (
        f"`{type_.name}` {type_.about}. It is {must}."
        if type_.notice
        else (f"`{type_.name}` {type_.about}. It {must}.")
    )
    yield ""
    yield "| variable | is | needed |"
    yield "|---|---|---|"
    for name, means in type_.variables.items():
        if name != "app_name":
            yield f"| `{name}` | {means} | {'no' if name in type_.defaults else 'yes'} |"


if __name__ == "__main__":
    FILE.write_text(written(FILE.read_text("utf-8")), "utf-8")
