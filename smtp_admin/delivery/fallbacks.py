"""Who steps in for a sender that cannot send: its list, in its order."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM
from smtp_admin.delivery.claim import usable
from smtp_admin.senders.cleaning import DEFAULT, SYSTEMS
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender
from smtp_admin.senders.routing import choose_sender, senders_of

#: A sender that paused for this is well, and its mail waits for it.
_AT_ITS_LIMIT = "rate_limited"


@dataclass(frozen=True, slots=True)
class Fallback:
    """One entry of a sender's list.

    Attributes:
        name: as the list has it.
        sender: who that is; ``None`` where this sender no longer exists.
    """

    name: str
    sender: ResolvedSender | None


def fallbacks_of(
    session: Session, sender: ResolvedSender, type_name: str, priority: str
) -> list[Fallback]:
    """Those that may step in for *sender*, in its order, whatever their state.

    Args:
        type_name: of the mail: the system's sender is the one that the system's routes name.
    """
    names = sender.values.fallbacks
    if not names:
        return []
    own = {one.key: one for one in senders_of(session, sender.partner_id)}
    found = []
    for name in names:
        if name == SYSTEMS:
            one: ResolvedSender | None = choose_sender(session, SYSTEM, type_name, priority).sender
        else:
            one = own.get(DEFAULT_KEY if name == DEFAULT else name)
        found.append(Fallback(name, one))
    return found


def calls_for_help(sender: ResolvedSender, moment: datetime) -> bool:
    """Whether *sender* is paused, for something else than that it sends too much."""
    paused = sender.paused_until is not None and sender.paused_until > moment
    return paused and sender.pause_code != _AT_ITS_LIMIT


def first_usable(
    options: Collection[Fallback], moment: datetime, without: Collection[int] = ()
) -> ResolvedSender | None:
    """The first of *options* that can send now.

    Args:
        without: ids of senders that had the mail already.
    """
    senders = (one.sender for one in options if one.sender is not None)
    return next(
        (
            one
            for one in senders
            if one.sender_id and one.sender_id not in without and usable(one, moment)
        ),
        None,
    )


def gets_out(
    session: Session, sender: ResolvedSender, type_name: str, priority: str, moment: datetime
) -> bool:
    """Whether mail of *sender* goes out at *moment*, by itself or by one that steps in."""
    if usable(sender, moment):
        return True
    if not calls_for_help(sender, moment):
        return False
    options = fallbacks_of(session, sender, type_name, priority)
    return first_usable(options, moment, (sender.sender_id,)) is not None
