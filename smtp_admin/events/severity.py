"""How bad a bounce is: whether the address takes no mail, or only this one was not taken.

A provider's own verdict is believed but where the words of the recipient's server say otherwise: a
full mailbox and a refused text are called hard by some, and no address may be given up for them.
"""

import re

from smtp_admin.events.event import Bounce
from smtp_admin.providers.catalogue import replies
from smtp_admin.replies.meaning import SenderHealth
from smtp_admin.smtp.reply import Reply

_REPLY = re.compile(
    r"(?:^|[\s;:(])([45][0-9]{2})(?:[ -]|$)(?:(?P<enhanced>[45]\.[0-9]{1,3}\.[0-9]{1,3})\s)?"
)
_ENHANCED = re.compile(r"(?<![\w.])([45])\.([0-9]{1,3})\.([0-9]{1,3})(?![\w.])")
_HARD = {"recipient_unknown", "recipient_wrong", "recipient_domain", "mailbox_disabled"}
_FULL = re.compile(r"quota|mailbox (?:is )?full|over ?quota|out of storage", re.IGNORECASE)


def weighed(said_by_provider: Bounce, *said: str) -> Bounce:
    """How bad it is.

    Args:
        said_by_provider: its own verdict.
        said: the words of the recipient's server, and what the provider says of them.
    """
    words = " ".join(" ".join(said).split())
    if _FULL.search(words):
        return "soft"
    found = _ENHANCED.search(words)
    if found and found[1] == "5":
        if found[2] == "7" and not _is_unknown(words):
            return "policy"
        if found[2] == "1" and said_by_provider == "":
            return "hard"
    if found and found[1] == "4" and said_by_provider != "policy":
        return "soft"
    if said_by_provider:
        return said_by_provider
    return _by_table(words)


def is_full(words: str) -> bool:
    """Whether the mailbox was full, which says nothing against its address."""
    return bool(_FULL.search(words))


def cause_of(words: str) -> str:
    """The key of what is behind a bounce, as the table of replies knows the words; else empty."""
    reply = _reply_in(words)
    return "" if reply is None else replies().judge("rcpt", reply).cause


def _by_table(words: str) -> Bounce:
    reply = _reply_in(words)
    if reply is None:
        return ""
    found = replies().judge("rcpt", reply)
    if found.health is not SenderHealth.FINE:
        return "policy"
    if reply.temporary or found.cause == "mailbox_full":
        return "soft"
    if found.bad_address or found.cause in _HARD:
        return "hard"
    return "policy" if found.recognised else ""


def _is_unknown(words: str) -> bool:
    """Whether the words name an unknown recipient although the number says policy."""
    reply = _reply_in(words)
    return reply is not None and replies().judge("rcpt", reply).cause in _HARD


def _reply_in(words: str) -> Reply | None:
    found = _REPLY.search(words)
    return None if found is None else Reply(int(found[1]), (words[found.end(1) :].strip(" -"),))
