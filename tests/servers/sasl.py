"""The server's half of SMTP AUTH: PLAIN, LOGIN, CRAM-MD5 and XOAUTH2."""

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable, Sequence

from .session import Session

__all__ = ["authenticate"]

ACCEPTED = "235 2.7.0 Authentication successful"
REFUSED = "535 5.7.8 Authentication credentials invalid"

Account = tuple[str, str]
Exchange = Callable[[Session, str | None, Account], bool]


def authenticate(session: Session, line: str, methods: Sequence[str], account: Account) -> str:
    """Carry out one AUTH command to its end and return the verdict.

    Each attempt is recorded before the verdict is known, so that a test can also see the
    credentials of an attempt that the script refuses. CRAM-MD5 never sends the password: there
    the digest stands in its place.
    """
    words = line.split()
    mechanism = words[1].upper() if len(words) > 1 else ""
    exchange = EXCHANGES.get(mechanism)
    if exchange is None or mechanism not in {each.upper() for each in methods}:
        return "504 5.5.4 Unrecognized authentication type"
    try:
        right = exchange(session, words[2] if len(words) > 2 else None, account)
    except ValueError as error:
        return f"501 5.5.2 {error}"
    return ACCEPTED if right else REFUSED


def _plain(session: Session, initial: str | None, account: Account) -> bool:
    fields = (_decode(initial) if initial else _ask(session, "")).split("\0")
    if len(fields) != 3:
        raise ValueError("Malformed PLAIN response")
    session.auth_attempts.append(("PLAIN", fields[1], fields[2]))
    return (fields[1], fields[2]) == account


def _login(session: Session, initial: str | None, account: Account) -> bool:
    username = _decode(initial) if initial else _ask(session, "Username:")
    password = _ask(session, "Password:")
    session.auth_attempts.append(("LOGIN", username, password))
    return (username, password) == account


def _cram_md5(session: Session, initial: str | None, account: Account) -> bool:
    if initial:
        raise ValueError("CRAM-MD5 has no initial response")
    challenge = f"<{secrets.token_hex(8)}@localhost>"
    username, _, digest = _ask(session, challenge).rpartition(" ")
    session.auth_attempts.append(("CRAM-MD5", username, digest))
    expected = hmac.new(account[1].encode(), challenge.encode(), "md5").hexdigest()
    return username == account[0] and hmac.compare_digest(digest.encode(), expected.encode())


def _xoauth2(session: Session, initial: str | None, account: Account) -> bool:
    """An access token stands in the place of the password."""
    fields = (_decode(initial) if initial else _ask(session, "")).split("\1")
    username = fields[0].removeprefix("user=")
    token = fields[1].removeprefix("auth=Bearer ") if len(fields) > 1 else ""
    session.auth_attempts.append(("XOAUTH2", username, token))
    return (username, token) == account


EXCHANGES: dict[str, Exchange] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
    "XOAUTH2": _xoauth2,
}


def _ask(session: Session, challenge: str) -> str:
    session.write(b"334 " + base64.b64encode(challenge.encode()) + b"\r\n")
    answer = session.read_line().decode("ascii", "replace").strip()
    if answer == "*":
        raise ValueError("Authentication cancelled")
    return _decode(answer)


def _decode(text: str) -> str:
    if text == "=":  # how an empty initial response is written
        return ""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("Malformed authentication data") from error
