"""One reply of a mail server (RFC 5321 section 4.2)."""

import re
from dataclasses import dataclass

_ENHANCED = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?: |$)")
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply: its code and the text of each of its lines."""

    code: int
    lines: tuple[str, ...]

    @property
    def positive(self) -> bool:
        """Whether it is a 2xx: done."""
        return 200 <= self.code <= 299  # noqa: PLR2004 - the code's first digit

    @property
    def temporary(self) -> bool:
        """Whether it is a 4xx: try again later."""
        return 400 <= self.code <= 499  # noqa: PLR2004

    @property
    def permanent(self) -> bool:
        """Whether it is a 5xx: the same again will be refused again."""
        return 500 <= self.code <= 599  # noqa: PLR2004

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code (RFC 3463), if it starts the first line and fits the code.

        A server that answers ``250`` with ``5.1.1`` contradicts itself; the reply code counts.
        """
        found = _ENHANCED.match(self.lines[0]) if self.lines else None
        if found is None or found[1] != str(self.code)[0]:
            return None
        return found[0].strip()

    @property
    def text(self) -> str:
        """The words, without the enhanced code, in one line of at most 200 characters."""
        enhanced = self.enhanced
        parts = []
        for number, line in enumerate(self.lines):
            words = line
            if enhanced is not None and (number == 0 or line.startswith(enhanced)):
                words = line.removeprefix(enhanced)
            parts.append(words.strip())
        joined = " ".join(part for part in parts if part)
        return joined if len(joined) <= _SHOWN else joined[: _SHOWN - 1] + "…"

    def __str__(self) -> str:
        return " ".join(part for part in (str(self.code), self.enhanced, self.text) if part)

    def as_json(self) -> dict[str, int | str | None]:
        """As the connection test's answer shows it."""
        return {"code": self.code, "enhanced": self.enhanced, "text": self.text}
