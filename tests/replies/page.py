"""Writes the table in ``docs/replies.md`` from the table of replies.

Run it with ``python -m tests.replies.page`` after a change of the table.
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from smtp_admin.providers.catalogue import knowledge, replies
from smtp_admin.replies.meaning import OPENING, SENDING, SenderHealth, Step, Verdict
from smtp_admin.replies.row import SETTINGS, WORDS, Row
from tests.replies.judging import example_of

FILE = Path(__file__).resolve().parents[2] / "docs" / "replies.md"
BEGIN, END = "<!-- the table of replies -->\n", "<!-- the end of the table -->\n"
_LONGEST = 90
_MAIL = {
    Verdict.RELEASED: "kept",
    Verdict.TEMPORARY: "tried again",
    Verdict.PERMANENT: "dead",
}
_USUALLY = {
    SenderHealth.DOWN: "pauses 1, 2, 5, 15 min",
    SenderHealth.MISCONFIGURED: "pauses 1 h",
    SenderHealth.LIMITED: "pauses 5 min",
}


def _at(steps: tuple[Step, ...]) -> str:
    if steps == SENDING:
        return "sending"
    if steps == (*OPENING, *SENDING):
        return "anywhere"
    return "opening" if steps == OPENING else " ".join(steps)


def _seconds(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"


def _wait(row: Row) -> str:
    if row.pause == WORDS:
        return "as long as it says"
    if row.pause == SETTINGS:
        return "until the settings change"
    return "" if row.pause is None else _seconds(row.pause)


def _mail(row: Row) -> str:
    if row.verdict is None:
        waits = _wait(row)
        return f"by its class; waits {waits}" if waits else "by its class"
    said = _MAIL[row.verdict]
    if row.health is SenderHealth.FINE and row.pause is not None:
        said += f", in {_wait(row)}"
    return said


def _sender(row: Row) -> str:
    if row.verdict is None:
        return "by its class"
    if row.health is SenderHealth.FINE:
        return "continues"
    pause = f"pauses {_wait(row)}" if row.pause is not None else _USUALLY[row.health]
    return f"continues over a new connection; else {pause}" if row.worn else pause


def _test(row: Row) -> str:
    if not {"mail", "rcpt"} & set(row.steps):
        return "failed" if set(row.steps) & set(OPENING) else ""
    if row.verdict is None:
        return "by its class"
    later = row.codes is None or min(row.codes) < 500
    if row.test == "failed" and row.health is not SenderHealth.MISCONFIGURED and later:
        return "failed; 4xx: warning"
    return row.test


def _cells(row: Row) -> Iterator[str]:
    _, said = example_of(row)
    shown = said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"
    yield _at(row.steps)
    yield f"`{shown.replace('`', chr(39)).replace('|', '/')}`"
    yield f"`{row.code}`" if row.code else "by its class"
    yield _mail(row)
    yield _sender(row)
    yield _test(row)
    yield f"`{row.cause}`"


def table() -> str:
    """The rows in their order: each provider's own, and then those of all servers."""
    labels = {one.key: one.label.partition(" (")[0] for one in knowledge().known}
    lines = []
    for provider, rows in groupby(replies().rows, lambda row: row.provider):
        lines += [
            "",
            f"### {labels.get(provider, 'Any server')}",
            "",
            "| at | for example | code | the mail | the sender | the test | cause |",
            "|---|---|---|---|---|---|---|",
            *(f"| {' | '.join(_cells(row))} |" for row in rows),
        ]
    return "\n".join(lines) + "\n\n"


def page(text: str) -> str:
    """*text* with the table as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    FILE.write_text(page(FILE.read_text("utf-8")), "utf-8")
