"""Take a password out of text before anybody reads it.

A hostile or chatty server may echo the login line; a library may put it into an exception. Every
text that came from a server, or that goes to a log, passes through here.
"""

import base64
import re
from collections.abc import Iterable

MASK = "*****"
_SHORTEST = 3
_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3} ")


class Redactor:
    """Replaces the given secrets, and the forms in which AUTH sends them, by ``*****``.

    Args:
        secrets: empty ones are passed over.
        username: needed to recognise AUTH PLAIN's form.
    """

    def __init__(self, secrets: Iterable[str] = (), username: str = "") -> None:
        self._forms = {form for secret in secrets for form in _forms(secret, username)}
        self._compile()

    def __bool__(self) -> bool:
        return self._pattern is not None

    def __call__(self, text: str) -> str:
        """*text* without the secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def hide(self, said: str) -> None:
        """Replace *said* too from now on: each kind of login writes a secret in its own way."""
        if len(said) >= _SHORTEST and said not in self._forms:
            self._forms |= {said, said.rstrip("=")}
            self._compile()

    def lines(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        """The lines of one reply without the secrets, also of those that go over several lines.

        What a server repeats before each line's own words, and how it breaks them, does not count.
        """
        if self._pattern is None:
            return lines
        if len(lines) > 1:
            lines = self._without_spread(lines)
        return tuple(map(self, lines))

    def _without_spread(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        places = [
            (number, column)
            for number, line in enumerate(lines)
            for column in range(_own_words(line), len(line))
            if not line[column].isspace()
        ]
        joined = "".join(lines[number][column] for number, column in places)
        masked = list(lines)
        for found in reversed([*self._spread.finditer(joined)] if self._spread else []):
            covered = places[found.start() : found.end()]
            first, last = covered[0][0], covered[-1][0]
            if first == last:
                continue  # in one line it is recognised with its spaces
            for number in range(first, last + 1):
                columns = [column for line, column in covered if line == number]
                if columns:
                    line = masked[number]
                    masked[number] = line[: columns[0]] + MASK + line[columns[-1] + 1 :]
        return tuple(masked)

    def _compile(self) -> None:
        self._pattern = _any_of(self._forms)
        self._spread = _any_of(form for form in map(_in_one, self._forms) if len(form) >= _SHORTEST)


def printable(text: str) -> str:
    """*text* with a mark in place of everything that is not to be shown; a tab is a space."""
    if text.isprintable():
        return text
    text = text.replace("\t", " ")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _any_of(forms: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def _in_one(form: str) -> str:
    return "".join(form.split())


def _own_words(line: str) -> int:
    found = _ENHANCED.match(line)
    return found.end() if found else 0


def _forms(password: str, username: str) -> Iterable[str]:
    if not password:
        return
    raw = password.encode("utf-8")
    if len(password) >= _SHORTEST:  # one letter of a word is no secret worth hiding in prose
        yield password
        # As it looks after unprintable letters were replaced in what a server said.
        yield printable(password)
    login = username.encode("utf-8")
    for secret in (raw, b"\0" + login + b"\0" + raw, login + b"\0" + login + b"\0" + raw):
        encoded = base64.b64encode(secret).decode("ascii")
        yield encoded
        yield encoded.rstrip("=")
