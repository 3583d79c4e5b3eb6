"""Mail that is kept instead of sent: every page says whose."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from smtp_admin import web
from smtp_admin.access import Action, allowed
from smtp_admin.database import SYSTEM, session
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.pages.readers import is_for_readers
from smtp_admin.pages.sender_frame import sender_name
from smtp_admin.pages.sender_routes import page_url
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.routing import sender_for_mail
from smtp_admin.translation import gettext, known
from smtp_admin.transports.registry import drivers


@dataclass(frozen=True, slots=True)
class Kept:
    """A sender whose mail is kept; without an address where this person may not open it."""

    name: str
    url: str


def kept_mail() -> tuple[Kept, ...]:
    """The senders that keep the mail of those whom this person looks after.

    Error pages say it too, pages for those who get mail do not. Where the database is away, nothing
    is said.
    """
    keeping = [one.name for one in drivers() if one.keeps_mail]
    actor = web.current_actor()
    if not keeping or actor is None or not allowed(actor, Action.SEE_OVERVIEW) or is_for_readers():
        return ()
    wanted = (
        select(Sender.partner_id, Sender.key, Sender.label)
        .join(
            SenderRevision,
            (SenderRevision.sender_id == Sender.id)
            & (SenderRevision.number == Sender.current_revision),
        )
        .where(Sender.deleted_at.is_(None), SenderRevision.driver.in_(keeping))
        .order_by(Sender.partner_id, Sender.key)
    )
    if not actor.is_admin:
        wanted = wanted.where(Sender.partner_id.in_([SYSTEM, *actor.partner_ids]))
    try:
        rows = session().execute(wanted).all()
        return tuple(
            _kept(actor, partner_id, key, label)
            for partner_id, key, label in rows
            if partner_id != SYSTEM or _goes_by_the_system(actor)
        )
    except SQLAlchemyError:
        session().rollback()
        return ()


def _goes_by_the_system(actor: Actor) -> bool:
    """Whether mail of anybody that *actor* looks after goes by the system's senders."""
    return actor.is_admin or any(
        sender_for_mail(session(), one).partner_id == SYSTEM for one in actor.partner_ids
    )


def _kept(actor: Actor, partner_id: str, key: str, label: str) -> Kept:
    if partner_id == SYSTEM:
        owner, may_open = gettext("the system"), allowed(actor, Action.EDIT_SYSTEM_SENDER)
    else:
        partner = installation().host.partner(partner_id)
        owner = partner.name if partner else partner_id
        may_open = allowed(actor, Action.EDIT_PARTNER_SENDER, partner_id)
    name = known(owner) + " (" + sender_name(key, label) + ")" if key else owner
    return Kept(name, page_url(partner_id, key, "tab") if may_open else "")
