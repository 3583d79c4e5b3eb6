"""The table of replies: read and checked once, then asked by whoever was refused something.

Rows are asked in their order, and the first that knows a reply decides; a reply that none knows is
treated by its class. Providers' own rows come before the others, because they know more.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from smtp_admin.replies.classes import by_class, is_for_good
from smtp_admin.replies.identities import without_names
from smtp_admin.replies.meaning import (
    NOTHING_KNOWN,
    STEPS,
    Context,
    Judgement,
    SenderHealth,
    Step,
    Verdict,
)
from smtp_admin.replies.patience import seconds_in
from smtp_admin.replies.row import WORDS, BadRow, Row, row_of
from smtp_admin.smtp.reply import Reply
from smtp_admin.translation import known

FILE = Path(__file__).with_name("replies.toml")
#: Longer words are looked at no further: nobody says so much, and patterns must stay quick.
_MOST_WORDS = 2000


class Table:
    """What servers say, and what it means.

    Args:
        rows: in the order in which they are asked.
        reasons: code → the sentence of rows that have none of their own.
        extra: providers' own rows, asked before the others.
    """

    def __init__(
        self, rows: Iterable[Row], reasons: Mapping[str, str], extra: Iterable[Row] = ()
    ) -> None:
        self.rows: tuple[Row, ...] = (*extra, *rows)
        self._reasons = reasons
        self._of: dict[Step, list[Row]] = {step: [] for step in STEPS}
        keys = set[str]()
        for row in self.rows:
            if row.key in keys:
                raise BadRow(f"There are two rows {row.key}.")
            if row.verdict is not None and not (row.reason or row.code in reasons):
                raise BadRow(f"{row.key}: there is no reason for {row.code}.")
            keys.add(row.key)
            for step in row.steps:
                self._of[step].append(row)

    @property
    def recipient_causes(self) -> frozenset[str]:
        """The causes of refusals that are the recipient's alone: a wrong address, a full mailbox.

        They say nothing about a sender whose other mail is accepted.
        """
        return frozenset(
            row.cause for row in self.rows if row.cause and (row.bad_address or row.recipients_own)
        )

    def judge(self, step: Step, reply: Reply, context: Context = NOTHING_KNOWN) -> Judgement:
        """What *reply*, a refusal (4xx or 5xx), means at *step*."""
        code, enhanced, words = reply.code, reply.enhanced or "", words_of(reply)
        seen = without_names(words, context.recipient, context.sender, context.host)
        for row in self._of[step]:
            facts = row.facts(code, enhanced, words, seen, context)
            if facts is not None:
                return self._of_row(row, step, reply, seen, facts)
        return by_class(step, reply)

    def _of_row(
        self, row: Row, step: Step, reply: Reply, words: str, facts: Mapping[str, str]
    ) -> Judgement:
        pause = seconds_in(words) if row.pause == WORDS else row.pause
        # For good is only what the server's number says is for good.
        passing = row.verdict is Verdict.PERMANENT and not is_for_good(step, reply)
        if row.verdict is None or passing:
            found = by_class(step, reply)
            return replace(found, cause=row.cause, row=row.key, pause=pause, facts=facts)
        # What the server wants later is no fault of the settings, so the test only warns of it.
        later = reply.temporary and step in ("mail", "rcpt")
        return Judgement(
            code=row.code,
            verdict=row.verdict,
            health=row.health,
            test="warning" if later and row.health is not SenderHealth.MISCONFIGURED else row.test,
            reason=known(row.reason or self._reasons[row.code]),
            pause=pause,
            cause=row.cause,
            row=row.key,
            bad_address=row.bad_address,
            worn=row.worn,
            facts=facts,
        )


def words_of(reply: Reply) -> str:
    """The words of a reply in one line, without the enhanced code; not cut off as on a page."""
    enhanced = reply.enhanced
    lines = (one.removeprefix(enhanced) if enhanced else one for one in reply.lines)
    return " ".join(" ".join(lines).split())[:_MOST_WORDS]


def rows_of(
    tables: Sequence[Mapping[str, Any]], where: str, *, provider: str = ""
) -> tuple[Row, ...]:
    """The rows that TOML tables describe.

    Raises:
        BadRow: which of them cannot be used, and why.
    """
    return tuple(row_of(one, where, provider=provider) for one in tables)


def read_table(text: str, extra: Iterable[Row] = ()) -> Table:
    """The table that a file like ``replies.toml`` holds.

    Raises:
        BadRow: which row cannot be used, and why.
    """
    raw = tomllib.loads(text)
    return Table(rows_of(raw["replies"], FILE.name), raw["reasons"], extra)


@cache
def shipped(extra: tuple[Row, ...] = ()) -> Table:
    """The table that this package comes with; *extra* are providers' own rows.

    Raises:
        BadRow: which row cannot be used, and why.
    """
    return read_table(FILE.read_text("utf-8"), extra)
