"""Which sender a command means: its options, and the look-up."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from smtp_admin.database import SYSTEM, session
from smtp_admin.errors import InvalidInput, NotFound
from smtp_admin.installation import installation
from smtp_admin.senders.cleaning import DEFAULT
from smtp_admin.senders.in_commands import options_of
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, load_sender
from smtp_admin.senders.routing import senders_of

_Command = TypeVar("_Command", bound=Callable[..., Any])


def sender_options(command: _Command) -> _Command:
    """``--partner`` and ``--sender`` for a command that concerns one sender."""
    return partner_option(
        _sender_option("The key of a sender. Default: the default sender.")(command)
    )


def partner_option(command: _Command) -> _Command:
    """``--partner`` for a command that concerns one partner or the system."""
    words = "The partner's id. Default: the system."
    return click.option("--partner", "partner_id", default=SYSTEM, help=words)(command)


def filter_options(command: _Command) -> _Command:
    """``--partner`` and ``--sender`` for a command that shows all mail without them."""
    command = _sender_option("Only mail of this sender (of the system without --partner).")(command)
    words = "Only mail of this partner."
    return click.option("--partner", "partner_id", default=None, help=words)(command)


def _sender_option(words: str) -> Callable[[_Command], _Command]:
    return click.option("--sender", "sender_word", default=None, metavar="KEY", help=words)


def known_partner(partner_id: str | None) -> None:
    """Return if there is such a partner: a mistyped one would look like one without mail.

    Raises:
        NotFound: there is none.
    """
    if partner_id and installation().host.partner(partner_id) is None:
        raise NotFound(f"There is no partner {partner_id[:100]!r}.")


def key_of(word: str | None) -> str:
    """The key that a person means: ``default`` is the one without a key."""
    key = (word or "").strip().lower()
    return DEFAULT_KEY if key == DEFAULT else key


def word_of(key: str) -> str:
    """What a person types for a key."""
    return key or DEFAULT


def whose(partner_id: str) -> str:
    """In words: ``partner acme``, or ``the system``."""
    return f"partner {partner_id}" if partner_id else "the system"


def find_sender(partner_id: str, word: str | None) -> ResolvedSender:
    """The sender of this partner, or of the system, that *word* names; the default for ``None``.

    The default may not be configured yet; any other is there.

    Raises:
        NotFound: there is no such partner or sender; it says which there are.
    """
    known_partner(partner_id)
    key = key_of(word)
    found = load_sender(session(), partner_id, key)
    if key == DEFAULT_KEY or (found.sender_id and not found.deleted):
        return found
    there = ", ".join(word_of(one.key) for one in senders_of(session(), partner_id))
    raise NotFound(
        f"There is no sender {key[:40]!r} of {whose(partner_id)}. "
        + (f"There are: {there}." if there else "It has no sender of its own yet."),
        hint="`flask smtp-admin senders list` shows them all.",
    )


def saved_sender(partner_id: str, word: str | None = None) -> ResolvedSender:
    """The same, if it can be used.

    Raises:
        NotFound: there is no such partner or sender.
        InvalidInput: nothing is saved for it.
    """
    found = find_sender(partner_id, word)
    if not found.configured:
        raise InvalidInput(
            "No settings are saved for this sender.",
            hint=f"Fill in its tab on the page, or run `flask smtp-admin wizard"
            f"{options_of(found)}`.",
        )
    return found
