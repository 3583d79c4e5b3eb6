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
#: A long secret, such as a token or a key, is looked for by so many letters of its beginning, and
#: then followed as far as the text goes with it: servers repeat only what fits into their reply.
_LONG, _BEGINNING = 64, 32
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
        if not self._is_in((text,)):
            return text
        for start, end in reversed(self._found(text, self._patterns[0])):
            text = text[:start] + MASK + text[end:]
        return text

    def hide(self, said: str) -> None:
        """Replace *said* too from now on: each kind of login writes a secret in its own way."""
        if len(said) >= _SHORTEST and said not in self._forms:
            self._forms |= {said, said.rstrip("=")}
            for known in ("_patterns", "_without_spaces", "_long"):
                self.__dict__.pop(known, None)

    def lines(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        """The lines of one reply without the secrets, also of those that go over several lines.

        What a server repeats before each line's own words, and how it breaks them, does not count.
        """
        if not self._is_in(lines):
            return lines
        if len(lines) > 1 and (self._without_spaces[0] or self._long):
            lines = self._without_spread(lines)
        return tuple(map(self, lines))

    def _is_in(self, lines: tuple[str, ...]) -> bool:
        """Whether there is anything to replace: in nearly all replies there is nothing."""
        whole, spaced = self._without_spaces
        looked_for = (*whole, *self._long)
        for texts in (lines, [line[_own_words(line) :] for line in lines]):
            joined = _in_one(" ".join(texts))
            if any(form in joined for form in looked_for):
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
        for start, end in reversed(self._found(joined, self._patterns[1])):
            covered = places[start:end]
            first, last = covered[0][0], covered[-1][0]
            if first == last:
                continue  # that is for the search in one line
            for number in range(first, last + 1):
                columns = [column for line, column in covered if line == number]
                if columns:
                    line = masked[number]
                    masked[number] = line[: columns[0]] + MASK + line[columns[-1] + 1 :]
        return tuple(masked)

    def _found(self, text: str, pattern: re.Pattern[str] | None) -> list[tuple[int, int]]:
        """Where secrets stand in *text*, in order; what overlaps is one place."""
        spans = [found.span() for found in pattern.finditer(text)] if pattern else []
        for beginning, forms in self._long.items():
            spans += [
                (found.start(), max(_goes_on(text, found, one) for one in forms))
                for found in re.finditer(_spaced(beginning), text)
            ]
        merged: list[tuple[int, int]] = []
        for start, end in sorted(spans):
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    @cached_property
    def _without_spaces(self) -> tuple[set[str], set[str]]:
        """Forms that are not long, without their spaces; as they are where too little is left."""
        whole = {form for form in map(_in_one, self._forms) if _SHORTEST <= len(form) < _LONG}
        return whole, {form for form in self._forms if len(_in_one(form)) < _SHORTEST}

    @cached_property
    def _long(self) -> dict[str, list[str]]:
        """The beginning of long forms → those that begin so, all without their spaces."""
        found: dict[str, list[str]] = {}
        for form in map(_in_one, self._forms):
            if len(form) >= _LONG:
                found.setdefault(form[:_BEGINNING], []).append(form)
        return found

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
        """What to search for in a line, and in lines that were joined without spaces, if anything.

        White space is allowed between letters and never looked for: a search for it would be slow
        where a server says nothing but spaces.
        """
        whole, spaced = self._without_spaces
        return (
            _any_of({*map(_spaced, whole), *map(re.escape, spaced)}),
            _any_of(map(re.escape, whole)),
        )


def printable(text: str) -> str:
    """*text* with a mark in place of everything that is not to be shown; a tab is a space."""
    if text.isprintable():
        return text
    text = text.replace("\t", " ")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _any_of(patterns: Iterable[str]) -> re.Pattern[str] | None:
    text = "|".join(sorted(patterns, key=lambda one: (-len(one), one)))
    return re.compile(text) if text else None  # an empty one would be found everywhere


def _spaced(form: str) -> str:
    return r"\s*".join(map(re.escape, form))


def _goes_on(text: str, found: re.Match[str], form: str) -> int:
    """The end of what *text* has of *form*, whose beginning was found."""
    end, place = found.end(), _BEGINNING
    for at in range(found.end(), len(text)):
        if place == len(form):
            break
        if text[at] == form[place]:
            end, place = at + 1, place + 1
        elif not text[at].isspace():
            break
    return end


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
