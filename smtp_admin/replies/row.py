"""One row of the table of replies: which refusals it knows, and what they mean."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from smtp_admin.replies.identities import names
from smtp_admin.replies.meaning import (
    NO_FACTS,
    OPENING,
    SENDING,
    STEPS,
    Context,
    Login,
    SenderHealth,
    Step,
    TestSays,
    Verdict,
)
from smtp_admin.smtp.failure import CODES

Whose = Literal["", "recipient", "sender"]
#: A pause that the words suggest, and one that ends when the settings change.
WORDS, SETTINGS = -1.0, 3650 * 86400.0

_CODES = frozenset({*CODES, "recipient_refused", "message_refused"})
_GROUPS: Mapping[str, tuple[Step, ...]] = {
    "opening": OPENING,
    "sending": SENDING,
    "any": (*OPENING, *SENDING),
}
_PAUSES = {"words": WORDS, "settings": SETTINGS}
_CLASSES = {"4xx": range(400, 500), "5xx": range(500, 600)}
_SHAPE = re.compile(r"[45x]\.\d{1,3}\.(?:\d{1,3}|x)")


class BadRow(ValueError):
    """A row that cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of refusal. All conditions that are given must hold.

    Attributes:
        key: its own name.
        example: a step and a reply that this row must win; ``given`` is its context.
        codes: reply codes; ``None`` for any.
        enhanced: patterns of enhanced codes, ``x`` for any number.
        but_not: patterns of enhanced codes that it leaves to others.
        bare: only where there is no enhanced code.
        says: a pattern in the words; its named groups are the facts.
        names: whose identity the words must name; the group ``identities``, if there is one.
        login: only where it was given, or not.
        hosts: only of these hosts, or below these domains.
        verdict: and the other columns after it; all of them are left to the reply's class where
            it is ``None``.
        recipients_own: it is the recipient's trouble alone; that of a bad address always is.
        pause: seconds, :data:`WORDS`, :data:`SETTINGS`, or ``None`` for what is usual.
        provider: whose words these are, if only one speaks so.
    """

    key: str
    example: str
    steps: tuple[Step, ...] = SENDING
    codes: frozenset[int] | None = None
    enhanced: re.Pattern[str] | None = None
    but_not: re.Pattern[str] | None = None
    bare: bool = False
    says: re.Pattern[str] | None = None
    names: Whose = ""
    login: tuple[Login, ...] = ()
    hosts: tuple[str, ...] = ()
    cause: str = ""
    code: str = ""
    verdict: Verdict | None = None
    health: SenderHealth = SenderHealth.FINE
    test: TestSays = "failed"
    pause: float | None = None
    reason: str = ""
    worn: bool = False
    bad_address: bool = False
    recipients_own: bool = False
    provider: str = ""
    given: Context = field(default_factory=Context)

    def facts(
        self, code: int, enhanced: str, words: str, seen: str, context: Context
    ) -> Mapping[str, str] | None:
        """What the words name, if this row knows such a reply; else ``None``.

        Args:
            seen: the words as patterns see them, each letter in its place.
        """
        if self.codes is not None and code not in self.codes:
            return None
        if (self.bare and enhanced) or (self.enhanced and not self.enhanced.fullmatch(enhanced)):
            return None
        if self.but_not and self.but_not.fullmatch(enhanced):
            return None
        if (self.login and context.login not in self.login) or not _is_of(self.hosts, context.host):
            return None
        found = self.says.search(seen) if self.says else None
        if self.says and found is None:
            return None
        named = found.groupdict().items() if found else ()
        facts = {name: words[slice(*found.span(name))] for name, said in named if found and said}
        if self.names:
            address = context.recipient if self.names == "recipient" else context.sender
            if not names(facts.get("identities", words), address):
                return None
        return facts or NO_FACTS


def row_of(raw: Mapping[str, Any], where: str, *, provider: str = "") -> Row:
    """The row that a table of TOML describes.

    Args:
        provider: whose file it stands in.

    Raises:
        BadRow: which key or value cannot be used.
    """
    key = raw.get("key", "")
    where = f"{where}: {key or 'a row without a key'}"
    unknown = ", ".join(sorted(raw.keys() - _READERS.keys()))
    if unknown:
        raise BadRow(f"{where}: unknown column: {unknown}.")
    values: dict[str, Any] = {"provider": provider, "cause": key}
    for name, value in raw.items():
        reader = _READERS[name]
        try:
            values[name] = reader(value)
        except (KeyError, TypeError, ValueError, re.error) as error:
            raise BadRow(f"{where}: {name}: {value!r} is not allowed here ({error}).") from error
    if problem := _problem(raw, values):
        raise BadRow(f"{where}: {problem}")
    return Row(**values)


def _problem(raw: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    verdict, health = values.get("verdict"), values.get("health", SenderHealth.FINE)
    conditions = {"codes", "enhanced", "says", "names"}
    if not raw.get("key") or not raw.get("example"):
        return "key and example are needed."
    if not conditions & raw.keys():
        return "it has no condition."
    if verdict is None:
        if {"code", "health", "test", "reason", "bad_address", "worn"} & raw.keys():
            return "what it decides needs a verdict."
        return ""
    if not {"code", "test"} <= raw.keys():
        return "a verdict needs code and test."
    if (verdict is Verdict.RELEASED) is not (health is not SenderHealth.FINE):
        return "released means that the sender failed, and only then."
    if verdict is Verdict.PERMANENT and "pause" in raw:
        return "what is refused for good does not wait."
    return ""


def _steps(text: str) -> tuple[Step, ...]:
    found: list[Step] = []
    for word in text.split():
        if word not in STEPS and word not in _GROUPS:
            raise ValueError("no such step")
        found += _GROUPS.get(word, (cast(Step, word),))
    return tuple(dict.fromkeys(found))


def _codes(text: str) -> frozenset[int]:
    found: set[int] = set()
    for word in text.split():
        found |= set(_CLASSES.get(word, (int(word, 10),) if word not in _CLASSES else ()))
    if not all(400 <= one <= 599 for one in found):  # noqa: PLR2004 - only refusals are judged
        raise ValueError("no refusal")
    return frozenset(found)


def _enhanced(text: str) -> re.Pattern[str]:
    words = text.split()
    if not words or not all(_SHAPE.fullmatch(one) for one in words):
        raise ValueError("no enhanced codes")
    wild = (one.replace(".", r"\.").replace("x", r"\d+") for one in words)
    return re.compile("|".join(wild))


def _one_of(kind: Any) -> Any:
    def read(value: Any) -> Any:
        if value not in get_args(kind):
            raise ValueError("not one of its values")
        return value

    return read


def _pause(value: Any) -> float:
    if isinstance(value, str):
        return _PAUSES[value]
    if type(value) is not int or value <= 0:
        raise ValueError("no number of seconds")
    return float(value)


def _code(value: str) -> str:
    if value not in _CODES:
        raise ValueError("no such code")
    return value


def _verdict(value: str) -> Verdict:
    if value not in {"temporary", "permanent", "released"}:
        raise ValueError("nothing that a refusal can mean")
    return Verdict(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("no text")
    return value


def _true(value: Any) -> bool:
    if value is not True:
        raise ValueError("only true")
    return True


_READERS: Mapping[str, Any] = {
    "key": _text,
    "example": _text,
    "steps": _steps,
    "codes": _codes,
    "enhanced": _enhanced,
    "but_not": _enhanced,
    "bare": _true,
    "says": lambda text: re.compile(text, re.IGNORECASE),
    "names": _one_of(Whose),
    "login": lambda text: tuple(_one_of(Login)(one) for one in text.split()),
    "hosts": lambda text: tuple(text.split()),
    "cause": _text,
    "code": _code,
    "verdict": _verdict,
    "health": SenderHealth,
    "test": _one_of(TestSays),
    "pause": _pause,
    "reason": _text,
    "worn": _true,
    "bad_address": _true,
    "recipients_own": _true,
    "given": lambda given: Context(**given),
}


def _is_of(hosts: tuple[str, ...], host: str) -> bool:
    name = host.casefold()
    return not hosts or any(name == one or name.endswith(f".{one}") for one in hosts)
