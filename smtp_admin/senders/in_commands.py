"""How a command names a sender: what is printed for somebody to run must run as it stands."""

import shlex
from typing import Protocol

from smtp_admin.senders.cleaning import DEFAULT


class _Named(Protocol):
    """What names a sender."""

    @property
    def partner_id(self) -> str: ...

    @property
    def key(self) -> str: ...


def options_of(sender: _Named) -> str:
    """The options that name *sender*, with a space before."""
    named = f" --sender {shlex.quote(sender.key)}" if sender.key else ""
    return f"{_partner(sender)}{named}"


def arguments_of(sender: _Named) -> str:
    """The words that name it for a command whose argument is the key."""
    return f"{shlex.quote(sender.key or DEFAULT)}{_partner(sender)}"


def _partner(sender: _Named) -> str:
    return f" --partner {shlex.quote(sender.partner_id)}" if sender.partner_id else ""
