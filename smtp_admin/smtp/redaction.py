"""Take a password out of text before anybody reads it.

A hostile or chatty server may echo the login line; a library may put it into an exception. Every
text that came from a server, or that goes to a log, passes through here.
"""

import base64
import html
import re
from collections.abc import Iterable
from functools import cached_property
from urllib.parse import quote, quote_plus

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

    def __bool__(self) -> bool:
        return bool(self._forms)

    def __call__(self, text: str) -> str:
        """*text* without the secrets."""
        return self._patterns[0].sub(MASK, text) if self._is_in((text,)) else text

    def hide(self, said: str) -> None:
        """Replace *said* too from now on: each kind of login writes a secret in its own way."""
        if len(said) >= _SHORTEST and said not in self._forms:
            self._forms |= {said, said.rstrip("=")}
            for known in ("_patterns", "_without_spaces"):
                self.__dict__.pop(known, None)

    def lines(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        """The lines of one reply without the secrets, also of those that go over several lines.

        What a server repeats before each line's own words, and how it breaks them, does not count.
        """
        if not self._is_in(lines):
            return lines
        if len(lines) > 1 and self._without_spaces[0]:
            lines = self._without_spread(lines)
        return tuple(map(self, lines))

    def _is_in(self, lines: tuple[str, ...]) -> bool:
        """Whether there is anything to replace: in nearly all replies there is nothing."""
        whole, spaced = self._without_spaces
        for texts in (lines, [line[_own_words(line) :] for line in lines]):
            joined = _in_one(" ".join(texts))
            if any(form in joined for form in whole):
                return True
        return any(form in line for form in spaced for line in lines)

    def _without_spread(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        places = [
            (number, column)
            for number, line in enumerate(lines)
            for column in range(_own_words(line), len(line))
            if not line[column].isspace()
        ]
        joined = "".join(lines[number][column] for number, column in places)
        masked = list(lines)
        for found in reversed([*self._patterns[1].finditer(joined)]):
            covered = places[found.start() : found.end()]
            first, last = covered[0][0], covered[-1][0]
            if first == last:
                continue  # that is for the search in one line
            for number in range(first, last + 1):
                columns = [column for line, column in covered if line == number]
                if columns:
                    line = masked[number]
                    masked[number] = line[: columns[0]] + MASK + line[columns[-1] + 1 :]
        return tuple(masked)

    @cached_property
    def _without_spaces(self) -> tuple[set[str], set[str]]:
        """All forms, without their spaces; as they are where too little is left of them."""
        whole = {form for form in map(_in_one, self._forms) if len(form) >= _SHORTEST}
        return whole, {form for form in self._forms if len(_in_one(form)) < _SHORTEST}

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        """What to search for in a line, and in lines that were joined without spaces.

        White space is allowed between letters and never looked for: a search for it would be slow
        where a server says nothing but spaces.
        """
        whole, spaced = self._without_spaces
        return (
            _any_of(
                {r"\s*".join(map(re.escape, form)) for form in whole} | {*map(re.escape, spaced)}
            ),
            _any_of(map(re.escape, whole)),
        )


def printable(text: str) -> str:
    """*text* with a mark in place of everything that is not to be shown; a tab is a space."""
    if text.isprintable():
        return text
    text = text.replace("\t", " ")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(sorted(patterns, key=lambda one: (-len(one), one))))


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
        # As programs behind a server write it: in an address, in a page.
        for escaped in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
            yield escaped
            yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), escaped)
        yield html.escape(password)
    login = username.encode("utf-8")
    for secret in (raw, b"\0" + login + b"\0" + raw, login + b"\0" + login + b"\0" + raw):
        encoded = base64.b64encode(secret).decode("ascii")
        yield encoded
        yield encoded.rstrip("=")
