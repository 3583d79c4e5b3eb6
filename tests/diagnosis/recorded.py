"""Reads ``replies.txt``: what real mail servers said."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from smtp_admin.smtp.reply import Reply

FILE = Path(__file__).parent / "replies.txt"


class Recorded(NamedTuple):
    """A reply, its code, and the cause that must be named first; ``known`` is what else counts."""

    key: str
    code: str
    known: dict[str, Any]
    reply: Reply


def _recorded(block: str) -> Recorded:
    head, *lines = block.splitlines()
    key, code, *facts = head.split()
    known = dict(fact.split("=", 1) for fact in facts)
    return Recorded(key, code, known, Reply(int(lines[0][:3]), tuple(line[4:] for line in lines)))


def read_replies() -> list[Recorded]:
    """All of them, in the order of the file."""
    text = "\n".join(
        line for line in FILE.read_text("utf-8").splitlines() if not line.startswith("#")
    )
    return [_recorded(block) for block in re.split(r"\n{2,}", text.strip())]
