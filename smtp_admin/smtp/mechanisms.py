"""The ways to log in: one function for each SASL mechanism (RFC 4954).

Another one, such as XOAUTH2 with a token in the password's place, is a function here and its name
in the table; nothing else asks how a login is made.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from smtp_admin.smtp.reply import Reply

_GO_AHEAD = 334


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in, and with what; never shown."""

    username: str
    secret: str = field(repr=False)


#: Says one line of the login and returns the server's answer; nothing of it is logged.
Say = Callable[[str], Reply]
Mechanism = Callable[[Say, Credentials], Reply]


def plain(say: Say, who: Credentials) -> Reply:
    """PLAIN (RFC 4616): both at once, as UTF-8."""
    token = b"\0" + who.username.encode("utf-8") + b"\0" + who.secret.encode("utf-8")
    return say(f"AUTH PLAIN {_base64(token)}")


def login(say: Say, who: Credentials) -> Reply:
    """LOGIN, which was never standardized: one after the other."""
    reply = say("AUTH LOGIN")
    for answer in (who.username, who.secret):
        if reply.code != _GO_AHEAD:
            break
        reply = say(_base64(answer.encode("utf-8")))
    return reply


def cram_md5(say: Say, who: Credentials) -> Reply:
    """CRAM-MD5 (RFC 2195): the password itself is not sent."""
    reply = say("AUTH CRAM-MD5")
    if reply.code != _GO_AHEAD:
        return reply
    challenge = "".join(reply.lines)
    try:
        nonce = base64.b64decode(challenge, validate=True)
    except ValueError:
        nonce = challenge.encode("utf-8")
    digest = hmac.new(who.secret.encode("utf-8"), nonce, hashlib.md5).hexdigest()
    return say(_base64(f"{who.username} {digest}".encode()))


MECHANISMS: Mapping[str, Mechanism] = {"PLAIN": plain, "LOGIN": login, "CRAM-MD5": cram_md5}


def choose(offered: Sequence[str], *, encrypted: bool) -> str:
    """The one of *offered* to log in with, or ``""`` if we have none of them.

    On a connection that anybody can read, the one that does not show the password comes first.
    """
    order = list(MECHANISMS) if encrypted else ["CRAM-MD5", "PLAIN", "LOGIN"]
    return next((one for one in order if one in offered), "")


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
