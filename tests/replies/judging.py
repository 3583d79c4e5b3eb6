"""Rows of the table and of the corpus as tests want them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from smtp_admin.replies.meaning import NOTHING_KNOWN, Context, Step
from smtp_admin.replies.row import Row
from smtp_admin.smtp.reply import Reply

FILE = Path(__file__).with_name("corpus.toml")


@dataclass(frozen=True, slots=True)
class Said:
    """A real reply, and what is right about it."""

    at: Step
    said: str
    source: str
    right: str
    pause: int | None = None
    cause: str | None = None
    worn: bool = False
    bad_address: bool = False
    given: Context = NOTHING_KNOWN


def corpus() -> list[Said]:
    """All of them."""
    rows: list[dict[str, Any]] = tomllib.loads(FILE.read_text("utf-8"))["reply"]
    return [Said(**row | {"given": Context(**row.get("given", {}))}) for row in rows]


def reply_of(text: str) -> Reply:
    """The reply that is written like this, in one line or several."""
    lines = text.split("\n")
    return Reply(int(lines[0][:3]), tuple(line[4:] for line in lines))


def example_of(row: Row) -> tuple[Step, str]:
    """Step and text of a row's example."""
    step, _, text = row.example.partition(" ")
    return cast(Step, step), text
