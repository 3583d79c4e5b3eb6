"""Who may do what: one table, the only place that decides it.

Whatever is not in the table is refused. Somebody who may not know of a partner is answered as
if that partner did not exist.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from smtp_admin.errors import Forbidden, NotFound, Unauthenticated
from smtp_admin.host import Actor

View = TypeVar("View", bound=Callable[..., Any])


class Role(Enum):
    """What somebody is, towards one partner or towards the platform."""

    ANYBODY = "anyone"
    CUSTOMER = "customer"
    PARTNER_ADMIN = "partner admin"
    PLATFORM_ADMIN = "platform admin"


class Action(Enum):
    """What can be done."""

    SEE_FILES = "fetch a stylesheet or script"
    SEE_OVERVIEW = "see the senders you are responsible for"
    SIGN_MAILBOX_IN = "sign in to the mailbox of a sender you are responsible for"
    LIST_PARTNERS = "list all partners"
    EDIT_SYSTEM_SENDER = "edit and test the system's sender"
    EDIT_PARTNER_SENDER = "edit and test a partner's sender"
    SEE_MAIL = "see the mail of senders you are responsible for"
    CHANGE_MAIL = "send again, cancel and settle that mail"
    SEE_AUDIT = "see the audit log of senders you are responsible for"
    SEE_SYSTEM_STATUS = "see the numbers of all mail"
    SEE_PARTNER_STATUS = "see the numbers of a partner's mail"
    SEE_RENEWALS = "see whose renewal reminders are on"
    EDIT_SYSTEM_RENEWALS = "edit the system's renewal reminders and see what they do"
    EDIT_PARTNER_RENEWALS = "edit a partner's renewal reminders and see what they do"
    SEE_TEMPLATES = "see whose e-mail templates there are"
    EDIT_SYSTEM_TEMPLATES = "write the system's e-mail templates"
    EDIT_PARTNER_TEMPLATES = "write a partner's e-mail templates"
    SEE_ALERTS = "see the alerts you are responsible for"
    SEE_EXPIRY = "see what ends of senders you are responsible for"
    HANDLE_ALERTS = "acknowledge and mute the alerts you are responsible for"
    READ_METRICS = "get the metrics, with their token or as a platform admin"
    MANAGE_SUPPRESSIONS = "see and change which addresses get no mail of senders you look after"
    ERASE_ADDRESS = "find, export and erase an address in the mail of senders you look after"
    ASK_FOR_REMINDER = "ask for a reminder of your own services"
    CONFIRM_ARRIVAL = "say that a test mail arrived, with the link in it"
    UNSUBSCRIBE = "end notices, and choose among them, with the link of a mail"
    SEE_API_DOCUMENT = "get the description of the API"
    SEND_MAIL = "queue mail and batches through the API"
    SEE_SENDERS = "list senders through the API"
    TEST_SENDER = "test connections through the API"
    RECEIVE_EVENTS = "tell what became of mail, with the address of a webhook"
    MANAGE_TOKENS = "create and revoke API tokens of senders you are responsible for"


_TABLE: dict[Action, frozenset[Role]] = {
    Action.SEE_FILES: frozenset(Role),
    Action.SEE_OVERVIEW: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    # The address names no partner: the view asks once more, for the sender that is meant.
    Action.SIGN_MAILBOX_IN: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.LIST_PARTNERS: frozenset({Role.PLATFORM_ADMIN}),
    Action.EDIT_SYSTEM_SENDER: frozenset({Role.PLATFORM_ADMIN}),
    Action.EDIT_PARTNER_SENDER: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.SEE_MAIL: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.CHANGE_MAIL: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.SEE_AUDIT: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.SEE_SYSTEM_STATUS: frozenset({Role.PLATFORM_ADMIN}),
    Action.SEE_PARTNER_STATUS: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.SEE_RENEWALS: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.EDIT_SYSTEM_RENEWALS: frozenset({Role.PLATFORM_ADMIN}),
    Action.EDIT_PARTNER_RENEWALS: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.SEE_TEMPLATES: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.EDIT_SYSTEM_TEMPLATES: frozenset({Role.PLATFORM_ADMIN}),
    Action.EDIT_PARTNER_TEMPLATES: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.SEE_ALERTS: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.SEE_EXPIRY: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.HANDLE_ALERTS: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    # Who has the token is nobody that the host knows; the view asks for it, or for an admin.
    Action.READ_METRICS: frozenset(Role),
    Action.MANAGE_SUPPRESSIONS: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.ERASE_ADDRESS: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.ASK_FOR_REMINDER: frozenset({Role.CUSTOMER}),
    # Who has the link has the mail, and need not be signed in.
    Action.CONFIRM_ARRIVAL: frozenset(Role),
    # Who has the link need not be signed in: mail programs use it by themselves (RFC 8058).
    Action.UNSUBSCRIBE: frozenset(Role),
    # Who has the address need not be signed in: providers post to it.
    Action.RECEIVE_EVENTS: frozenset(Role),
    # It says nothing of this installation.
    Action.SEE_API_DOCUMENT: frozenset(Role),
    Action.SEND_MAIL: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.SEE_SENDERS: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.TEST_SENDER: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
    Action.MANAGE_TOKENS: frozenset({Role.PARTNER_ADMIN, Role.PLATFORM_ADMIN}),
}


@dataclass(frozen=True, slots=True)
class TokenActor(Actor):
    """A program with an API token: towards partners like a person, but with few actions.

    Attributes:
        actions: what it may do, of what its role may; everything else is refused.
    """

    actions: frozenset[Action] = frozenset()


def roles(actor: Actor | None, partner_id: str | None = None) -> frozenset[Role]:
    """What *actor* is, towards *partner_id* if one is named, else towards any.

    An empty id stands for the system, which is nobody's but the platform's.
    """
    if actor is None:
        return _roles(platform=False, partner=False, customer=False)
    own = bool(actor.partner_ids - {""}) if partner_id is None else partner_id in actor.partner_ids
    return _roles(
        platform=actor.is_admin,
        partner=own and partner_id != "",
        customer=actor.customer_id is not None,
    )


@cache
def _roles(*, platform: bool, partner: bool, customer: bool) -> frozenset[Role]:
    """Kept, because a list asks for each of a thousand partners."""
    found = {Role.ANYBODY}
    if platform:
        found.add(Role.PLATFORM_ADMIN)
    if partner:
        found.add(Role.PARTNER_ADMIN)
    if customer:
        found.add(Role.CUSTOMER)
    return frozenset(found)


def allowed(actor: Actor | None, action: Action, partner_id: str | None = None) -> bool:
    """Whether *actor* may do *action*, for *partner_id* where the action concerns one."""
    roles_of_action = _TABLE[action]
    if isinstance(actor, TokenActor) and action not in actor.actions:
        return Role.ANYBODY in roles_of_action
    return not roles_of_action.isdisjoint(roles(actor, partner_id))


def scope(actor: Actor) -> frozenset[str] | None:
    """Whose rows *actor* may see: the ids of partners, or ``None`` for everybody's."""
    return None if actor.is_admin else actor.partner_ids - {""}


def require(actor: Actor | None, action: Action, partner_id: str | None = None) -> None:
    """Return if *actor* may do *action*, else raise.

    Raises:
        Unauthenticated: nobody is signed in.
        NotFound: the action is within this person's reach, but not for this partner. The answer
            is the same as for a partner that does not exist. That there is a system is no secret.
        Forbidden: the action is not for this person at all.
    """
    if allowed(actor, action, partner_id):
        return
    if actor is None:
        raise Unauthenticated
    if partner_id and allowed(actor, action):
        raise NotFound
    refused = Forbidden()
    refused.action = action
    raise refused


def guarded(action: Action, *, most_bytes: int | None = None) -> Callable[[View], View]:
    """Mark a view with the action that it is; a view without a mark is refused to everybody.

    Args:
        most_bytes: of a request to it, if that is more than usual.
    """

    def mark(view: View) -> View:
        view.smtp_admin_action = action  # type: ignore[attr-defined]  # functions take attributes
        view.smtp_admin_most_bytes = most_bytes  # type: ignore[attr-defined]  # as above
        return view

    return mark


def showing_again(view: View, show: Callable[..., Any] | None) -> View:
    """Mark *view* with what shows its page with what was typed, if its token was too old."""
    view.smtp_admin_shows_again = show  # type: ignore[attr-defined]  # as above
    return view


def shows_again(view: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """What :func:`showing_again` marked *view* with, or ``None``."""
    return getattr(view, "smtp_admin_shows_again", None)


def action_of(view: Callable[..., Any] | None) -> Action | None:
    """The action that a view was marked with, or ``None``."""
    return getattr(view, "smtp_admin_action", None)


def most_bytes_of(view: Callable[..., Any] | None) -> int | None:
    """What a view was marked to take, or ``None`` for the usual."""
    return getattr(view, "smtp_admin_most_bytes", None)
