"""The filters of the mail log, from an address or a form to what the service looks for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin import web
from smtp_admin.access import Action, require
from smtp_admin.database import SYSTEM, database_now
from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.counted import DAY, Counted, day_begins
from smtp_admin.delivery.mail_log import GROUPS, MailFilter, states_named
from smtp_admin.delivery.mail_search import LONGEST_SEARCH, understand
from smtp_admin.delivery.models import Delivery, address_parts
from smtp_admin.delivery.public_ids import is_public_id
from smtp_admin.delivery.seen_mail import seen_by
from smtp_admin.delivery.tallies import Scope
from smtp_admin.errors import NotFound
from smtp_admin.events.queries import turned
from smtp_admin.installation import installation
from smtp_admin.pages import lists
from smtp_admin.pages.sender_routes import owner_url
from smtp_admin.senders.resolve import ResolvedSender

#: What stands in a form for whose log it was: everybody's, the system's, or a partner's.
_ALL, _SYSTEM, _PARTNER = "all", "system", "partner:"
_NO_BATCH = -1
#: Names in an address of what a number with a period counts; the value is the period.
#: A cause that nobody knows is written as :data:`NO_CAUSE`.
COUNTED = ("accepted", "failed", "bounced", "complained", "used")
NO_CAUSE = "-"


@dataclass(frozen=True, slots=True)
class MailView:
    """A log with its filters.

    Attributes:
        owner: whose: ``None`` for all that one sees, ``""`` for the system's.
        chosen: the filters as the address has them.
    """

    owner: str | None
    chosen: Mapping[str, str]
    which: MailFilter

    @property
    def base(self) -> str:
        """The address of the log without filters."""
        return log_url(self.owner)

    @property
    def url(self) -> str:
        """The same with them."""
        return self.address()

    def address(self, **changes: str | int) -> str:
        """The same with other filters in place of some."""
        return lists.address(self.base, self.chosen, **changes)

    @property
    def owner_word(self) -> str:
        """What a form sends back for *owner*."""
        if self.owner is None:
            return _ALL
        return _SYSTEM if self.owner == SYSTEM else f"{_PARTNER}{self.owner}"


def seen_by_actor() -> MailFilter:
    """All mail that the present person may see."""
    return seen_by(web.signed_in())


def log_url(owner: str | None, **query: Any) -> str:
    """The address of a log."""
    if owner is None:
        return url_for("smtp_admin.mail_log", **query)
    return owner_url(owner, "log", **query)


def kept_back_url(session: Session, owner: str, addresses: Collection[str]) -> str:
    """The log of what was kept back because of these addresses; ``""`` where there is none."""
    mine = [Delivery.partner_id == owner, Delivery.state == "suppressed"]
    one = next(iter(addresses)) if len(addresses) == 1 else ""
    if one:
        domain, mailbox = address_parts(one)
        mine += [Delivery.domain == domain, Delivery.mailbox == mailbox]
    if session.scalar(select(Delivery.id).where(*mine).limit(1)) is None:
        return ""
    return log_url(owner, state="suppressed", q=one or None)


def numbers_url(scope: Scope) -> str:
    """The log that has what numbers of *scope* count."""
    return log_url(scope.partner_id, sender=scope.sender_id or None)


def sender_url(sender: ResolvedSender) -> str:
    """The log of what went by *sender*, whoever's mail it is."""
    owner = None if sender.partner_id == SYSTEM else sender.partner_id
    return log_url(owner, sender=sender.sender_id or None)


def read_view(session: Session, owner: str | None) -> MailView:
    """The log that the request asks for."""
    chosen = {
        "q": lists.word("q", LONGEST_SEARCH),
        "state": _state(),
        "type": lists.word("type", 64),
        "period": lists.word("period", 4),
        "sender": str(lists.number("sender") or ""),
        "batch": lists.word("batch", 32),
        "code": lists.word("code", 40),
        "why": lists.word("why", 40),
        "because": lists.word("because", 60),
        **{name: lists.word(name, 4) for name in COUNTED},
    }
    if lists.given("cause") and chosen["code"]:
        chosen["cause"] = lists.word("cause", 60)
    seen = seen_by_actor()
    whose = seen.partner_ids if owner is None else frozenset({owner})
    which = replace(
        seen,
        partner_ids=whose,
        own_copies=whose is not None,
        states=states_named(chosen["state"]),
        type_name=chosen["type"],
        sender_id=lists.number("sender"),
        batch_id=_batch(session, chosen["batch"]),
        code=chosen["code"],
        cause=chosen.get("cause"),
        since=lists.since(database_now(session)) if chosen["period"] else None,
        counted=_counted(session, chosen),
        search=understand(session, chosen["q"], whose),
    )
    return MailView(owner, chosen, which)


def _counted(session: Session, chosen: Mapping[str, str]) -> Counted | None:
    """What of all mail a number counts that led here, if one did."""
    name = next((one for one in COUNTED if chosen[one] in lists.PERIODS), "")
    if not name:
        return None
    moment, span = database_now(session), lists.PERIODS[chosen[name]][0]
    since = day_begins(moment) if span == DAY else moment - span
    if name == "failed":
        because = "" if chosen["because"] == NO_CAUSE else chosen["because"] or None
        return Counted("failed", since, chosen["why"], because)
    if name == "used":
        return Counted("used", since)
    if name == "accepted":
        return Counted("accepted", since)
    told = turned("bounced" if name == "bounced" else "complained", since)
    return Counted("told", since, told=told)


def owner_of_form() -> str | None:
    """Whose log a form was sent from.

    Raises:
        NotFound: no such partner, or none that this person may know of.
    """
    text = lists.word("owner", 200)
    if text in ("", _ALL):
        return None
    if text == _SYSTEM:
        require(web.current_actor(), Action.EDIT_SYSTEM_SENDER)
        return SYSTEM
    partner_id = text.removeprefix(_PARTNER)
    require(web.current_actor(), Action.EDIT_PARTNER_SENDER, partner_id)
    partner = installation().host.partner(partner_id) if text.startswith(_PARTNER) else None
    if partner is None:
        raise NotFound
    # Where the action is refused, the page is that partner's log once more.
    web.look_at(partner)
    return partner_id


def _state() -> str:
    text = lists.word("state", 12)
    return text if text in GROUPS or states_named(text) else ""


def _batch(session: Session, public_id: str) -> int:
    if not public_id:
        return 0
    if not is_public_id(public_id):
        return _NO_BATCH
    return session.scalar(select(Batch.id).where(Batch.public_id == public_id)) or _NO_BATCH
