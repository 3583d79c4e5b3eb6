"""English sentences that were written down, said in another language: what ``known()`` cannot find.

An alert, and what somebody was told, stand in the database as whole English sentences, with their
values filled in. For a page or a mail in another language such a sentence is taken apart again: by
the texts of the catalogue, with anything in the place of their values. What is not found so stays
as it is, and so do names, addresses and what servers said.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from heapq import merge
from typing import NamedTuple

from smtp_admin.catalogues import ENGLISH, Catalogue
from smtp_admin.moments import marked
from smtp_admin.translation import Text

_PLACE = re.compile(r"%\((\w+)\)s|\{(\w+)\}")
_SENTENCES = re.compile(r"(?<=[.!?]) (?=\S)")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})*", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY = re.compile(rf"\b(\d{{1,2}}) ({'|'.join(_MONTHS)})\b(?: (\d{{4}})\b)?", re.ASCII)
#: Values that are somebody's own words: never translated, though they may look like ours.
_OF_SERVERS = frozenset({"reply", "said"})
_OWN_WORDS = _OF_SERVERS | {
    "address", "domain", "email", "host", "mailbox", "name", "place", "recipient", "sender", "url",
    "user",
}  # fmt: skip
#: With fewer letters of its own a frame fits anything, so all of its values must be known.
_LEAST_LETTERS = 6
_DEEPEST, _MOST_SENTENCES, _LONGEST, _MOST_PLACES = 4, 12, 1500, 6
#: So many sentences are kept ready.
_MOST_KEPT = 1000
#: So many frames are held against one text, which takes ten milliseconds. Ours need half of them;
#: what a mail server says may be made so that each part of it fits many.
_MOST_TRIED = 10_000


class _ReadBack(Text):
    """A sentence of the database."""

    def into(self, chosen: Catalogue) -> str:
        text = marked(str(self))
        return text if chosen is ENGLISH else _index(chosen).said(text)


def read_back(english: str) -> str:
    """*english* as a text that knows how to say the same in another language."""
    return english if isinstance(english, Text) else _ReadBack(english)


class _Kept(Text):
    """Somebody's own words, in which only the moments are ours."""

    def into(self, chosen: Catalogue) -> str:
        del chosen
        return marked(str(self))


def kept(words: str) -> str:
    """*words* as they are, but for their whole moments: those are the viewer's on pages."""
    return words if isinstance(words, Text) else _Kept(words)


class _Frame:
    """A text of a catalogue that has values.

    Attributes:
        english: what it is found by; *shape* is its singular or plural.
        pieces: what stands between its values.
    """

    def __init__(self, english: str, shape: str, *, counted: bool) -> None:
        self.english = english
        self.counted = counted
        parts = _PLACE.split(shape.replace("%%", "%"))
        self.names = [
            first or second for first, second in zip(parts[1::3], parts[2::3], strict=True)
        ]
        self.pieces = parts[::3]
        self.letters = sum(map(str.isalpha, "".join(self.pieces)))

    @property
    def takes_all(self) -> bool:
        """Whether a server's words are at its end: they may be several sentences."""
        return not self.pieces[-1] and self.names[-1] in _OF_SERVERS

    @property
    def place(self) -> tuple[str, int]:
        """Where it stands in the index."""
        first, between, _ = self.pieces[0].partition(" ")
        several = 0 if self.takes_all else len(_SENTENCES.split(self.english))
        return first if between else "", several

    def values_in(self, text: str) -> dict[str, str] | None:
        """Its values, if *text* is this sentence; each as short as can be, found in one go."""
        first, *others = self.pieces
        if not text.startswith(first) or not text.endswith(self.pieces[-1]):
            return None
        at, end = len(first), len(text) - len(self.pieces[-1])
        values: dict[str, str] = {}
        for place, (name, piece) in enumerate(zip(self.names, others, strict=True), 1):
            stop = end if place == len(self.names) else text.find(piece, at + 1, end)
            value = text[at : max(stop, at)]
            if not value or values.setdefault(name, value) != value:
                return None
            at = stop + len(piece)
        return values if self.names or text == first else None


class _Said(NamedTuple):
    """A text in another language.

    Attributes:
        letters: how many of the English ones are known.
        takes_all: whether what follows belongs to it too.
    """

    text: str
    letters: int = 0
    takes_all: bool = False


@dataclass(slots=True)
class _Index:
    """The frames of one catalogue by their first word, and by how many sentences they are.

    The word is ``""`` for what begins with a value, the number 0 for what may end with any. Those
    with most letters of their own come first: they say most exactly what a sentence is.
    """

    chosen: Catalogue
    frames: dict[tuple[str, int], list[_Frame]]
    kept: dict[str, str] = field(default_factory=dict)
    #: What was found on the way, which comes again and again.
    parts: dict[str, _Said] = field(default_factory=dict)
    #: Frames that may still be held against the present text.
    left: int = 0

    def said(self, text: str) -> str:
        """*text* in the language of the catalogue."""
        if text not in self.kept:
            if len(self.kept) >= _MOST_KEPT:
                self.kept.clear()
            self.left = _MOST_TRIED
            found = self._say(text).text
            self.kept[text] = found if self.left > 0 else text
            self.parts.clear()
        return self.kept[text]

    def _say(self, text: str, depth: int = 0) -> _Said:
        if len(text) > _LONGEST or depth > _DEEPEST:
            return _Said(text)
        if text not in self.parts:
            whole, several = self._whole(text, depth), self._several(text, depth)
            better = whole is not None and whole.letters > several.letters
            self.parts[text] = whole if whole is not None and better else several
        return self.parts[text]

    def _whole(self, text: str, depth: int) -> _Said | None:
        """*text* as one text of the catalogue; ``None`` if it is none."""
        best: _Said | None = None
        for end in ("", "."):  # a headline may have become a sentence
            part = text.removesuffix(end)
            if not text.endswith(end):
                continue
            if exact := self.chosen.texts.get(part):
                return _Said(f"{exact}{end}", sum(map(str.isalpha, part)))
            found = self._framed(part, depth)
            if found is not None and (best is None or found.letters > best.letters):
                best = found._replace(text=f"{found.text}{end}")
        return best or (self._plain(text) if depth else None)

    def _plain(self, text: str) -> _Said | None:
        """A number, or what has a day in it."""
        if _NUMBER.fullmatch(text):
            return _Said(self.chosen.number(int(text.replace(",", ""))), len(text))
        said = _DAY.sub(self._day, text)
        return _Said(said, _LEAST_LETTERS) if said != text else None

    def _day(self, found: re.Match[str]) -> str:
        skeleton = "yMMMd" if found[3] else "MMMd"
        try:
            at = date(int(found[3] or 2000), _MONTHS.index(found[2]) + 1, int(found[1]))
        except ValueError:
            return found[0]
        return self.chosen.day(at, skeleton)

    def _framed(self, text: str, depth: int) -> _Said | None:
        """*text* by the frame that fits it best."""
        words = {text.partition(" ")[0], ""}
        several = len(_SENTENCES.split(text))
        lists = [self.frames.get((one, many), ()) for one in words for many in (0, several)]
        for frame in merge(*lists, key=lambda one: -one.letters):
            self.left -= 1
            if self.left <= 0:
                return None
            values = frame.values_in(text)
            if values is None:
                continue
            told = {
                name: self._say(value, depth + 1)
                for name, value in values.items()
                if name not in _OWN_WORDS
            }
            known = [one.letters for one in told.values()]
            if frame.letters < _LEAST_LETTERS and not (known and all(known)):
                continue
            said = values | {name: one.text for name, one in told.items()}
            if filled := self._filled(frame, values, said):
                return _Said(filled, frame.letters + sum(known), frame.takes_all)
        return None

    def _filled(self, frame: _Frame, values: dict[str, str], said: dict[str, str]) -> str:
        if not frame.counted:
            text = self.chosen.texts[frame.english]
            return text % said if "%(" in frame.english else text.format(**said)
        count = values.get("number", "1").replace(",", "")
        forms = self.chosen.plurals[frame.english]
        if not count.isdecimal():
            return ""
        form = self.chosen.form(int(count))
        return forms[form] % {"number": count, **said} if form < len(forms) else ""

    def _several(self, text: str, depth: int) -> _Said:
        """Sentence by sentence; two are one where they are one text of the catalogue."""
        parts = _SENTENCES.split(text)
        if not 1 < len(parts) <= _MOST_SENTENCES:
            return _Said(text)
        said, letters = [], 0
        while parts:
            size, found = 1, _Said(parts[0])
            for many in range(1, len(parts) + 1):
                if whole := self._whole(" ".join(parts[:many]), depth + 1):
                    size, found = many, whole
                    break
            letters += found.letters
            said.append(found.text)
            del parts[:size]
            if found.takes_all:
                said += parts
                break
        return _Said(" ".join(said), letters)


class _Latest:
    """The index that was used last: whoever asks, asks for one language many times."""

    of: _Index | None = None


def _index(chosen: Catalogue) -> _Index:
    kept = _Latest.of
    if kept is not None and kept.chosen is chosen:
        return kept
    frames: dict[tuple[str, int], list[_Frame]] = {}
    for frame in sorted(_frames(chosen), key=lambda one: -one.letters):
        frames.setdefault(frame.place, []).append(frame)
    made = _Latest.of = _Index(chosen, frames)
    return made


def _frames(chosen: Catalogue) -> Iterator[_Frame]:
    for english in chosen.texts:
        if _PLACE.search(english) and "<" not in english:
            frame = _Frame(english, english, counted=False)
            if len(frame.names) <= _MOST_PLACES:
                yield frame
    for english in chosen.plurals:
        yield _Frame(english, english, counted=True)
    for plural, english in chosen.singulars.items():
        yield _Frame(english, plural, counted=True)
