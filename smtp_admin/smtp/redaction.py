"""Take a password out of text before anybody reads it.

A hostile or chatty server may echo the login line; a library may put it into an exception. Every
text that came from a server, or that goes to a log, passes through here.
"""

import base64
import re
from collections.abc import Iterable

MASK = "*****"
_SHORTEST = 3


class Redactor:
    """Replaces the given secrets, and the forms in which AUTH sends them, by ``*****``.

    Args:
        password: the secret; nothing is replaced while it is empty.
        username: needed to recognise AUTH PLAIN's form.
    """

    def __init__(self, password: str = "", username: str = "") -> None:
        forms = sorted(set(_forms(password, username)), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, forms))) if forms else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def __call__(self, text: str) -> str:
        """*text* without the secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text


def printable(text: str) -> str:
    """*text* with a mark in place of everything that is not to be shown."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


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
