"""Write down who did what, and refuse what somebody does too often."""

import re
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.orm import Session

from smtp_admin.access import TokenActor
from smtp_admin.audit.models import Audit
from smtp_admin.config import Rate
from smtp_admin.database import VERSION_TABLE, database_now
from smtp_admin.errors import RateLimited
from smtp_admin.host import OPERATOR, Actor
from smtp_admin.identifiers import storable
from smtp_admin.installation import installation
from smtp_admin.translation import gettext


def name_of(actor: Actor) -> str:
    """What *actor* is called wherever it is kept who did something: one line, read as it stands.

    People choose their names, and others read them in a terminal too.
    """
    return storable(_STEERING.sub(" ", actor.email or actor.name).strip()[:320])


#: Controls, ends of lines, and marks that turn what follows around.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def record(session: Session, actor: Actor, partner_id: str, action: str, detail: str = "") -> Audit:
    """Write down who did what; the caller commits."""
    row = Audit(
        actor_id=actor.id,
        actor_email=name_of(actor),
        partner_id=partner_id,
        action=action,
        detail=storable(detail[:500]),
    )
    session.add(row)
    return row


#: What asks name servers or dials, for a person who waits: they share one limit.
NETWORK = (
    "connection.tested", "bounces.tested", "settings.searched", "dns.checked",
    "settings.rolled_back", "settings.rollback_tried",
)  # fmt: skip
#: What changes something, and may go wrong in a loop.
CHANGES = (
    "settings.saved", "settings.rolled_back", "sender.deleted", "sender.paused", "sender.resumed",
    "routes.saved", "renewals.saved", "renewals.run", "mail.retried", "mail.hurried",
    "mail.cancelled", "mail.discarded", "mail.settled", "mail.given_up", "mail.corrected",
    "mail.undone", "mail.released", "suppression.added", "suppression.removed",
    "suppression.imported", "address.exported", "address.erased",
    "batch.queued", "batch.tried", "batch.cancelled", "batch.resumed",
    "oauth.signed_in", "webhook.saved", "webhook.rotated", "webhook.removed",
    "bounces.saved", "bounces.removed",
    "alert.acknowledged", "alert.muted", "alert.unmuted", "token.created", "token.revoked",
    "template.saved", "template.reset", "branding.saved",
)  # fmt: skip


def record_change(
    session: Session, actor: Actor, partner_id: str, action: str, detail: str = ""
) -> Audit:
    """Write down one of :data:`CHANGES`; the caller commits.

    Every one leaves a row for good, so nobody makes them by the thousand but by commands.

    Raises:
        RateLimited: this person changes too much; the caller rolls back.
    """
    refuse_many_changes(session, actor)
    return record(session, actor, partner_id, action, detail)


def refuse_many_changes(session: Session, actor: Actor) -> None:
    """Return if *actor* may make one more change.

    Raises:
        RateLimited: this person changes too much.
    """
    # What a token does is bounded by its own limit of requests.
    if actor is not OPERATOR and not isinstance(actor, TokenActor):
        mine = (Audit.actor_id == actor.id, Audit.action.in_(CHANGES))
        _refuse_more(session, mine, installation().config.change_limit, 1, "")


def record_within(
    session: Session,
    actor: Actor,
    partner_id: str,
    action: str,
    *details: str,
    limit: Rate,
    for_partner: Rate | None = None,
    of: Sequence[str] = (),
) -> tuple[int, ...]:
    """Write down that *actor* does *action*, once for each of *details*, and commit; or refuse it.

    Looking and writing are one step, one person after the other: requests side by side would else
    all see that there is room. It is counted from the audit log by the database's clock, so that
    several web processes share one count.

    Args:
        limit: of this person.
        for_partner: of everybody together who does it for this partner.
        of: the actions that share these limits, if there are others.

    Returns:
        The id of each entry, for :func:`~smtp_admin.audit.outcomes.note_outcome`.

    Raises:
        RateLimited: it knows when it will be possible again; nothing was written down.
    """
    session.commit()  # what was read before must not decide
    session.execute(_TURN)
    actions = of or (action,)
    limits = [(Audit.actor_id == actor.id, limit, "")]
    if for_partner is not None:
        limits.append((Audit.partner_id == partner_id, for_partner, gettext(" for this partner")))
    try:
        for whose, rate, name in limits:
            _refuse_more(session, (whose, Audit.action.in_(actions)), rate, len(details), name)
    except RateLimited:
        session.rollback()
        raise
    entries = [record(session, actor, partner_id, action, detail) for detail in details]
    session.flush()
    ids = tuple(one.id for one in entries)
    session.commit()
    return ids


#: Whoever looks holds this one row until what it decides is written: the only one that is always
#: there, and that nobody else needs.
_TURN = text(f"UPDATE {VERSION_TABLE} SET version_num = version_num")  # noqa: S608 - our own name


def _refuse_more(
    session: Session, which: tuple[ColumnElement[bool], ...], rate: Rate, more: int, name: str
) -> None:
    since = database_now(session) - timedelta(seconds=rate.seconds)
    mine = (*which, Audit.at > since)
    if (session.scalar(select(func.count()).where(*mine)) or 0) + more <= rate.count:
        return
    nth = max(0, rate.count - more)
    oldest = session.scalar(
        select(Audit.at).where(*mine).order_by(Audit.at.desc()).offset(nth).limit(1)
    )
    wait = rate.seconds if oldest is None else (oldest - since).total_seconds()
    raise RateLimited(
        gettext(
            "That was more than %(rate)s%(name)s. Wait a moment and try again.",
            rate=rate,
            name=name,
        ),
        retry_after=max(1, int(wait) + 1),
    )
