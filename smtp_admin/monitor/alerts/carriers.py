"""By which sender mail about alerts goes: one that works, and never the one it is about."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM
from smtp_admin.sender_state.facts import states_of
from smtp_admin.sender_state.state import Key
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.routing import senders_of

#: In these, a mail that is queued now goes out.
WORKING: frozenset[Key] = frozenset({"delivering", "ready", "retrying"})


def working_sender(
    session: Session, owners: Sequence[str], without: int = 0
) -> ResolvedSender | None:
    """The first sender of *owners*, in their order, that works; ``None`` if none does.

    Args:
        without: the id of the one that is ill.
    """
    found = [
        one
        for owner in owners
        for one in senders_of(session, owner)
        if one.configured and one.sender_id and one.sender_id != without
    ]
    states = zip(found, states_of(session, found), strict=True)
    # Where the environment holds all of the system's sender, it has the id of its row all the same.
    return next((one for one, state in states if state.key in WORKING), None)


def owners_for(partner_id: str) -> tuple[str, ...]:
    """Whose senders may carry a mail to this partner's own admins."""
    return (SYSTEM,) if partner_id == SYSTEM else (SYSTEM, partner_id)
