"""How a token is written: a prefix by which it is recognised, what is secret, and check digits.

The prefix lets scanners of source code find one that was published by mistake. The check digits
tell a mistyped or shortened one from one that is unknown, without asking the database.
"""

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "smtpadmin_"
_LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LETTERS, _CHECK_DIGITS = 32, 6
_SHAPE = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{_SECRET_LETTERS}}})([0-9A-Za-z]{{{_CHECK_DIGITS}}})")


def new_token() -> str:
    """A new token, of 190 random bits."""
    secret = "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LETTERS))
    return f"{PREFIX}{secret}{_check_digits(secret)}"


def is_whole(text: str) -> bool:
    """Whether *text* is written as a token is, with check digits that fit."""
    found = _SHAPE.fullmatch(text)
    return found is not None and found[2] == _check_digits(found[1])


def hash_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _check_digits(secret: str) -> str:
    number, found = zlib.crc32(secret.encode()), ""
    for _ in range(_CHECK_DIGITS):
        number, digit = divmod(number, len(_LETTERS))
        found = _LETTERS[digit] + found
    return found
