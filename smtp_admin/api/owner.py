"""Whose mail or senders a request is about, and whether it may be."""

from smtp_admin import web
from smtp_admin.access import Action, allowed, require
from smtp_admin.api.refusals import no_partner
from smtp_admin.database import SYSTEM
from smtp_admin.errors import InvalidInput, NotFound
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.translation import gettext


def owner_of(given: str | None, action: Action) -> str:
    """The partner that is meant, ``""`` for the system, if the present actor may do this for it.

    Who looks after one partner need not name it; for the platform, nothing means the system.

    Raises:
        Forbidden, NotFound: as :func:`smtp_admin.access.require`; also for a partner that does not
            exist.
        InvalidInput: several partners may be meant.
    """
    actor = web.signed_in()
    partner_id = _meant_by(actor, action) if given is None else given
    try:
        require(actor, action, partner_id)
    except NotFound as error:
        raise no_partner() from error
    if partner_id != SYSTEM and installation().host.partner(partner_id) is None:
        raise no_partner()
    return partner_id


def _meant_by(actor: Actor, action: Action) -> str:
    mine = sorted(actor.partner_ids - {SYSTEM})
    if allowed(actor, action, SYSTEM):
        return SYSTEM
    if len(mine) != 1:
        raise InvalidInput(
            gettext("Say which partner is meant."),
            fields={"partner_id": [gettext("You look after several partners. Name one.")]},
        )
    return mine[0]


def status_owner(given: str | None) -> str | None:
    """The same for numbers: ``None`` for all mail together.

    Raises:
        Forbidden, NotFound: as :func:`owner_of`; several partners' numbers are in no sum.
    """
    actor = web.signed_in()
    if given is None:
        mine = actor.partner_ids - {SYSTEM}
        if actor.is_admin or len(mine) != 1:
            require(actor, Action.SEE_SYSTEM_STATUS)
            return None
        (given,) = mine
    if given == SYSTEM:
        require(actor, Action.SEE_SYSTEM_STATUS)
        return SYSTEM
    return owner_of(given, Action.SEE_PARTNER_STATUS)
