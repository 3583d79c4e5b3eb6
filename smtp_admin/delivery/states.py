"""The states of a delivery, and the one table of how it may get from one to another.

::

    queued → sending → sent
       ↑        ├→ queued      try again later, or given back unharmed
       │        ├→ dead        refused for good, or tried often enough
       │        └→ uncertain   the reply after the final dot was lost
       └─ dead, uncertain      a person, or the policy for unknown outcomes, tries again
    queued → suppressed | cancelled | expired
    dead → cancelled            a person puts it aside
    suppressed → queued         a person sends it after all
    cancelled → queued, dead    a batch that was cancelled goes on, or a person takes it back
    queued → uncertain          its sender was deleted before it could be sent a second time
    sent → delivered → bounced → complained
                                what providers tell afterwards; only up this ladder, in any order
"""

from typing import Literal, get_args

State = Literal[
    "queued",
    "sending",
    "sent",
    "delivered",
    "bounced",
    "complained",
    "dead",
    "uncertain",
    "suppressed",
    "cancelled",
    "expired",
]
STATES: tuple[State, ...] = get_args(State)

TRANSITIONS: dict[State, frozenset[State]] = {
    # Back to uncertain where it was to go out once more, and the sender of its bytes was deleted.
    "queued": frozenset({"sending", "suppressed", "cancelled", "expired", "uncertain"}),
    "sending": frozenset({"sent", "queued", "dead", "uncertain"}),
    # Providers report these afterwards. A complaint or a late bounce may follow a delivery. They
    # come in any order, and the end must not depend on it.
    "sent": frozenset({"delivered", "bounced", "complained"}),
    "delivered": frozenset({"bounced", "complained"}),
    # An event may settle what the lost reply left open; else it is sent again, or given up.
    "uncertain": frozenset({"sent", "queued", "dead", "delivered", "bounced", "complained"}),
    # An admin looked at it and tries again, or puts it aside. What was given up because its outcome
    # was unknown may be told of later.
    "dead": frozenset({"queued", "cancelled", "delivered", "bounced", "complained"}),
    "bounced": frozenset({"complained"}),
    "complained": frozenset(),
    # A person sends it after all, when the address was taken off the list.
    "suppressed": frozenset({"queued"}),
    # A batch that was cancelled is resumed; what a person did is undone.
    "cancelled": frozenset({"queued", "dead"}),
    "expired": frozenset(),
}


def may(before: State, after: State) -> bool:
    """Whether a delivery may go from *before* to *after*."""
    return after in TRANSITIONS[before]


def before(after: State) -> tuple[State, ...]:
    """The states from which a delivery may come to *after*."""
    return tuple(one for one in STATES if after in TRANSITIONS[one])


def check(before: State, after: State) -> State:
    """*after*, if it may follow *before*.

    Raises:
        ValueError: it may not; a programming error, never a person's.
    """
    if not may(before, after):
        raise ValueError(f"a delivery cannot go from {before} to {after}")
    return after
