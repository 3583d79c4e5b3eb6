"""Writes the table of sender fields into the docs: ``python tests/sender_fields.py``."""

from collections.abc import Iterator
from pathlib import Path

from smtp_admin.cli.field_options import option_name
from smtp_admin.senders.fields import all_fields, drivers_with
from smtp_admin.transports.fields import Field
from smtp_admin.transports.registry import drivers, is_shipped

__all__ = ["BEGIN", "END", "PAGE", "between_markers", "render"]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
BEGIN = "<!-- The table of sender fields; tests/sender_fields.py writes it. -->\n"
END = "<!-- Its end. -->\n"
_HEAD = ("field", "what it is", "of", "destination", "secret", "variables", "option")


def render() -> str:
    """The table as Markdown, a row for each field of the drivers that come along."""
    head, *rows = (f"| {' | '.join(cells)} |\n" for cells in _cells())
    return "".join((head, "|---" * len(_HEAD), "|\n", *rows))


def _cells() -> Iterator[tuple[str, ...]]:
    yield _HEAD
    yield from (_row(one) for one in all_fields() if _of(one))


def between_markers(text: str) -> str:
    """What stands between the markers of a page."""
    return text.partition(BEGIN)[2].partition(END)[0]


def _row(one: Field) -> tuple[str, ...]:
    option = option_name(one)
    if one.kind == "flag":
        option += f"`, `--no-{option.removeprefix('--')}"
    if one.name == "password":
        option += "`, `--password-stdin"
    return (
        f"`{one.name}`",
        f"**{one.label}**. {one.help}".strip(),
        _of(one),
        "yes" if one.destination else "",
        "yes" if one.secret else "",
        ", ".join(f"`{variable.name}`" for variable in one.variables),
        f"`{option}`" if option else "",
    )


def _of(one: Field) -> str:
    """Which drivers have it."""
    shipped = [each.name for each in drivers() if is_shipped(each.name)]
    having = [name for name in drivers_with(one.name) if name in shipped]
    return "all" if having == shipped else ", ".join(f"`{name}`" for name in having)


def _written(text: str) -> Iterator[str]:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    yield from (before, begin, render(), end, after)


if __name__ == "__main__":
    PAGE.write_text("".join(_written(PAGE.read_text("utf-8"))), "utf-8")
