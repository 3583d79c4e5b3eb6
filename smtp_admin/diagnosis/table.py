"""The table of causes: ``causes.toml`` and what the providers' files add, read and checked once."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from smtp_admin.diagnosis.causes import ALL_CODES, BadCause, Cause, Facts, Row, row_of
from smtp_admin.providers.catalogue import knowledge
from smtp_admin.translation import gettext, known

FILE = Path(__file__).with_name("causes.toml")
#: More only makes people read less.
_MOST = 4
_UNKNOWN = Row(
    "unknown",
    gettext("The cause is not known."),
    gettext("Read the server's reply, test the connection, and show both to your provider."),
)


#: What is known of a sender, of which a symptom may want some beside it.
EVIDENCE = ("queue", "pause", "limits", "connections", "dns")


@dataclass(frozen=True, slots=True)
class Symptom:
    """What a person may notice, before they know of any error.

    Attributes:
        key: by which causes refer to it.
        title: how people say it.
        means: what it usually is.
        first: what to look at first.
        look: which :data:`EVIDENCE` stands beside it.
        codes: of failures that show it, whatever is behind them.
    """

    key: str
    title: str
    means: str
    first: str
    look: tuple[str, ...]
    codes: tuple[str, ...]


class Causes:
    """What can be behind a failure.

    Args:
        rows: in the order in which they are looked at.
        groups: group → its title.
        symptoms: in the order of the page.

    Raises:
        BadCause: which row cannot be used, and why.
    """

    def __init__(
        self, rows: Iterable[Row], groups: Mapping[str, str], symptoms: Iterable[Symptom]
    ) -> None:
        self.rows = tuple(rows)
        self.groups = groups
        self.symptoms = tuple(symptoms)
        self.by_key: dict[str, Row] = {}
        known = {one.key for one in self.symptoms}
        for row in self.rows:
            if row.key in self.by_key:
                raise BadCause(f"There are two causes {row.key}.")
            if strange := set(row.symptoms) - known:
                raise BadCause(f"{row.key}: there is no symptom {', '.join(sorted(strange))}.")
            self.by_key[row.key] = row

    def of(self, facts: Facts) -> tuple[Cause, ...]:
        """The likely causes of *facts*, most likely first; there is always one."""
        found: dict[str, Row] = {}
        for row in self._in_order(facts):
            found.setdefault(row.key, row)
            if row.sure or len(found) == _MOST:
                break
        return tuple(row.cause(facts) for row in found.values() or (_UNKNOWN,))

    def _in_order(self, facts: Facts) -> Iterator[Row]:
        yield from (row for row in self.rows if row.leads(facts))
        named = self.by_key.get(facts.cause)
        if named is not None and all(facts.named.get(one) for one in named.needs):
            yield named
        yield from (row for row in self.rows if row.fits(facts))


def read_causes(
    text: str, extra: Mapping[str, Iterable[Mapping[str, Any]]] | None = None
) -> Causes:
    """The table that a file like ``causes.toml`` holds.

    Args:
        extra: provider → the rows of its own file, which are looked at first.

    Raises:
        BadCause: which row cannot be used, and why.
    """
    raw = tomllib.loads(text)
    groups: dict[str, str] = {key: known(title) for key, title in raw.pop("groups").items()}
    symptoms = [_symptom(one) for one in raw.pop("symptoms")]
    rows = [
        row_of(one, f"{provider}.toml", group=provider, provider=provider)
        for provider, some in (extra or {}).items()
        for one in some
    ]
    for group, some in raw.items():
        if group not in groups:
            raise BadCause(f"{FILE.name}: there is no group {group}.")
        rows += [row_of(one, FILE.name, group=group) for one in some]
    return Causes(rows, groups, symptoms)


def _symptom(raw: Mapping[str, str]) -> Symptom:
    words = {name: tuple(raw.get(name, "").split()) for name in ("look", "codes")}
    strange = {*words["look"]} - {*EVIDENCE} | {*words["codes"]} - {*ALL_CODES}
    if strange:
        raise BadCause(f"{raw.get('key')}: there is no {', '.join(sorted(strange))}.")
    try:
        texts = {name: known(raw[name]) for name in ("title", "means", "first") if name in raw}
        return Symptom(**{**raw, **texts, **words})  # type: ignore[arg-type]  # mypy joins both kinds
    except TypeError as error:
        raise BadCause(f"{raw.get('key')}: {error}.") from error


@cache
def causes() -> Causes:
    """The table that this package comes with; it is read once."""
    extra = {one.key: one.causes for one in knowledge().known if one.causes}
    return read_causes(FILE.read_text("utf-8"), extra)
