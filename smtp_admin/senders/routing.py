"""Which sender a mail goes by: the one that was named, a route, or the default."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from smtp_admin.audit.service import record_change
from smtp_admin.database import SYSTEM, changed
from smtp_admin.errors import InvalidInput, MessageError
from smtp_admin.host import Actor
from smtp_admin.senders.models import Route, Sender, SenderRevision
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, load_sender, resolve_with
from smtp_admin.signals import routes_changed
from smtp_admin.translation import gettext

Kind = Literal["type", "priority"]
Rule = Literal["named", "type", "priority", "default", "system"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A sender, and the rule that chose it.

    Attributes:
        rule: ``named`` by the caller, by a route of the mail's ``type`` or ``priority``, or the
            ``default``; ``system`` where nobody has settings, so that mail waits there.
        route_of: whose route it was, if it was one.
    """

    sender: ResolvedSender
    rule: Rule
    route_of: str | None = None


def choose_sender(
    session: Session,
    partner_id: str,
    type_name: str,
    priority: str,
    key: str | None = None,
    *,
    without: int = 0,
    senders: Callable[[Session, str], list[ResolvedSender]] | None = None,
) -> Choice:
    """Who sends a mail of this type and priority for *partner_id*.

    A partner without a sender of its own has the system's, by the system's routes.

    Args:
        key: of the sender that the caller wants; routes are not asked then.
        without: the id of a sender that is taken for deleted.
        senders: finds a partner's; :func:`senders_of` without it.

    Raises:
        MessageError: there is no sender with this key.
    """
    for owner in dict.fromkeys((partner_id, SYSTEM)):
        own = {
            one.key: one
            for one in (senders or senders_of)(session, owner)
            if one.configured and one.sender_id != without
        }
        if not own and owner != SYSTEM:
            continue
        if key is not None and (key in own or own):
            if key in own:
                return Choice(own[key], "named")
            break
        found = _by_route(session, owner, own.values(), type_name, priority)
        if found is not None:
            return found
        if DEFAULT_KEY in own:
            return Choice(own[DEFAULT_KEY], "default")
    if key is not None:
        raise MessageError(
            gettext(
                "There is no sender %(key)s for this mail, so it was not queued.",
                key=repr(key[:40]),
            ),
            hint=gettext(
                "Leave out the key for the default sender, or add a sender with this key."
            ),
        )
    return Choice(load_sender(session, SYSTEM), "system")


def sender_for_mail(
    session: Session, partner_id: str, type_name: str = "", priority: str = "normal"
) -> ResolvedSender:
    """Who sends a mail of *partner_id* where nobody names a sender."""
    return choose_sender(session, partner_id, type_name, priority).sender


def _by_route(
    session: Session,
    owner: str,
    senders: Iterable[ResolvedSender],
    type_name: str,
    priority: str,
) -> Choice | None:
    by_id = {one.sender_id: one for one in senders}
    if len(by_id) < 2 and DEFAULT_KEY in {one.key for one in by_id.values()}:  # noqa: PLR2004
        return None  # nothing to choose from, and no need to ask
    rows = session.scalars(
        select(Route).where(
            Route.partner_id == owner,
            or_(
                (Route.kind == "type") & (Route.name == type_name),
                (Route.kind == "priority") & (Route.name == priority),
            ),
        )
    ).all()
    rules: tuple[Kind, ...] = ("type", "priority")
    for rule in rules:
        for row in rows:
            if row.kind == rule and row.sender_id in by_id:
                return Choice(by_id[row.sender_id], rule, owner)
    return None


def senders_of(session: Session, partner_id: str) -> list[ResolvedSender]:
    """The senders of *partner_id* that were saved and not deleted, the default first.

    The system's default is there too where only the environment knows of it.
    """
    rows = session.execute(
        select(Sender, SenderRevision)
        .outerjoin(
            SenderRevision,
            (SenderRevision.sender_id == Sender.id)
            & (SenderRevision.number == Sender.current_revision),
        )
        .where(Sender.partner_id == partner_id, Sender.deleted_at.is_(None))
        .order_by(Sender.key)
    ).all()
    found = [resolve_with(row, saved, partner_id, row.key) for row, saved in rows]
    if partner_id == SYSTEM and not any(one.key == DEFAULT_KEY for one in found):
        found.insert(0, load_sender(session, SYSTEM))
    return found


def routes_of(
    session: Session, partner_id: str, *, to_change: bool = False
) -> dict[tuple[str, str], int]:
    """(kind, name) → sender id; those that lead to deleted senders lead nowhere.

    Args:
        to_change: as they are now, and not as this transaction saw them before.
    """
    found = (
        select(Route.kind, Route.name, Route.sender_id)
        .join(Sender, Sender.id == Route.sender_id)
        .where(Route.partner_id == partner_id, Sender.deleted_at.is_(None))
    )
    if to_change:
        found = found.with_for_update(of=Route)
    return {(kind, name): sender_id for kind, name, sender_id in session.execute(found)}


def save_routes(
    session: Session, partner_id: str, wanted: Mapping[tuple[Kind, str], str], actor: Actor
) -> None:
    """Make *wanted* all routes of *partner_id*; the caller commits.

    Mail that waits without a From address yet follows them; what has one goes as it is.

    Args:
        wanted: (kind, name) → key of a sender of this partner.

    Raises:
        InvalidInput: there is no such sender.
    """
    # One after the other: who is second has what the first left, to put others in its place.
    mine = select(Sender.id).where(Sender.partner_id == partner_id).order_by(Sender.id)
    session.execute(mine.with_for_update(key_share=True))
    own = {one.key: one.sender_id for one in senders_of(session, partner_id) if one.sender_id}
    fields = {
        f"{kind}-{name}": [
            gettext("There is no sender %(key)s here. Choose one of the list.", key=repr(key[:40]))
        ]
        for (kind, name), key in wanted.items()
        if key not in own
    }
    if fields:
        raise InvalidInput(fields=fields)
    before = routes_of(session, partner_id, to_change=True)
    after = {(str(kind), name): own[key] for (kind, name), key in wanted.items()}
    if before == after:
        return
    changed(session, delete(Route).where(Route.partner_id == partner_id))
    session.add_all(
        Route(partner_id=partner_id, kind=kind, name=name, sender_id=sender_id)
        for (kind, name), sender_id in after.items()
    )
    session.flush()
    words = ", ".join(f"{name} by {key or 'default'}" for (_, name), key in wanted.items())
    record_change(session, actor, partner_id, "routes.saved", words or "none")
    routes_changed.send(None, session=session, partner_id=partner_id)
