"""What a field of a sender is: every driver lists its own, and pages and commands follow them.

Everything that comes in, from a form, JSON, a command line, the environment or a file, is text for
the field's one cleaner. What is shown goes the other way, through ``text`` and ``words``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from smtp_admin.translation import gettext

#: ``lines`` is text of several lines; ``senders`` a list of the partner's senders.
Kind = Literal["text", "email", "number", "choice", "flag", "secret", "lines", "senders", "date"]
Place = Literal["main", "more", "oauth"]

YES = ("true", "1", "yes", "on", "y")
NO = ("false", "0", "no", "off", "n", "")


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that may hold a field of the system's sender.

    Attributes:
        name: without the prefix that the host may have configured.
        clean: where it is written in another way than in the form; else the field's own cleaner.
    """

    name: str
    clean: Callable[[str], Any] | None = None


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _as_words(value: Any) -> str:
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    return _as_text(value) or gettext("empty")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a sender's settings.

    Attributes:
        name: in forms, JSON, revisions and signals.
        label: what the page calls it.
        clean: turns what somebody wrote into the value, or raises :class:`ValueError` with a
            sentence. Called with an empty text too: that is how a default comes about.
        help: one sentence beside the field.
        default: the value where nothing was ever entered.
        kind: how it is entered.
        choices: value → label, for the kind ``choice``.
        required: what to say where it is empty; empty if it may be.
        place: ``main``, ``more`` for what most people leave alone, ``oauth`` for how to sign in
            otherwise than by a password.
        destination: whether a stored password belongs to one value of it only: with another value
            the password must be entered again.
        bound: for secrets, what they are bound to beside partner, sender and name: all destination
            fields, or nothing more.
        needed: for secrets, whether the other values call for one.
        used: for secrets, whether one is used although none is called for.
        variables: the environment variables that may hold it, the first one that is set counts.
        option: of the command line; empty where there is none.
        short: its name in history and comparisons, where the label is a sentence.
        text: the value as a form shows it, which cleans to the same value again.
        words: the value as history and explanations show it.
        placeholder: what an empty field shows.
        rows: lines of its box on the page, where one line is not enough.
        untold: what a request for a test means that leaves the field out; else the default.
        column: whether a revision stores it as a column, because queries and limits read it.
    """

    name: str
    label: str
    clean: Callable[[str], Any]
    help: str = ""
    default: Any = ""
    kind: Kind = "text"
    choices: Mapping[str, str] = field(default_factory=dict)
    required: str = ""
    place: Place = "main"
    destination: bool = False
    bound: Literal["destination", "sender"] = "destination"
    needed: Callable[[Mapping[str, Any]], bool] = field(default=lambda _: True)
    used: Callable[[Mapping[str, Any]], bool] = field(default=lambda _: False)
    variables: tuple[Variable, ...] = ()
    option: str = ""
    short: str = ""
    text: Callable[[Any], str] = field(default=_as_text)
    words: Callable[[Any], str] = field(default=_as_words)
    placeholder: str = ""
    rows: int = 1
    untold: str = ""
    column: bool = False

    @property
    def secret(self) -> bool:
        """Whether it is sealed, and never shown."""
        return self.kind == "secret"

    @property
    def title(self) -> str:
        """Its name where there is little room."""
        return self.short or self.label


def clean_flag(text: str) -> bool:
    """Yes or no, in the ways that forms, scripts and environments write it."""
    word = text.strip().lower()
    if word not in YES + NO:
        raise ValueError(gettext("This must be true or false."))
    return word in YES


def one_of(choices: Mapping[str, str], default: str) -> Callable[[str], str]:
    """A cleaner for one of *choices*; *default* for an empty text."""

    def clean(text: str) -> str:
        word = text.strip().lower() or default
        if word not in choices:
            raise ValueError(gettext("Use one of: %(choices)s.", choices=", ".join(choices)))
        return word

    return clean


def whole_number(
    least: int, most: int, *, empty: int | None, sentence: str
) -> Callable[[str], int | None]:
    """A cleaner for a whole number; *empty* stands for an empty text.

    Only ASCII digits count: ``int()`` would also take ``٢٥``, ``2_5`` and ``+25``.
    """

    def clean(text: str) -> int | None:
        digits = text.strip(" ")
        if not digits:
            return empty
        if not re.fullmatch(r"[0-9]{1,12}", digits) or not least <= int(digits) <= most:
            raise ValueError(sentence)
        return int(digits)

    return clean
