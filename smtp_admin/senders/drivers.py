"""Who may choose which driver.

A partner's admin is half trusted: a driver that sends by rights of this machine, or that keeps mail
instead of sending it, would let them use the platform's own mail server or make mail vanish.
"""

from smtp_admin.errors import InvalidInput
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.senders.resolve import ResolvedSender, may_keep_mail
from smtp_admin.translation import gettext
from smtp_admin.transports.driver import Driver
from smtp_admin.transports.registry import drivers, is_shipped


def available_drivers() -> tuple[Driver, ...]:
    """The drivers that this installation has at all.

    Those that keep mail exist where the app is tested or debugged, or the config says so.
    """
    keeps = may_keep_mail()
    return tuple(one for one in drivers() if keeps or not one.keeps_mail)


def drivers_for(actor: Actor | None) -> tuple[Driver, ...]:
    """The drivers that *actor* may choose; nobody may choose any."""
    if actor is None:
        return ()
    there = available_drivers()
    if actor.is_admin:
        return there
    allowed = installation().config.partner_drivers
    return tuple(
        one
        for one in there
        if one.name in allowed
        and is_shipped(one.name)
        and not one.borrows_rights
        and not one.keeps_mail
    )


def check_change(actor: Actor | None, current: ResolvedSender) -> None:
    """Return if *actor* may change or delete this sender, whatever it is to become.

    One that the platform's admins set up with a driver of theirs is theirs to change.

    Raises:
        InvalidInput: its driver is not for this person.
    """
    if not current.revision or current.deleted or (actor is not None and actor.is_admin):
        return
    if current.missing_driver:  # one of the host's: what comes along is never missing
        raise _not_yours()
    check_driver(actor, current.values.driver)


def check_driver(actor: Actor | None, name: str) -> None:
    """Return if *actor* may save, test or bring back settings with this driver.

    Raises:
        InvalidInput: it is not for this person, or not here.
    """
    if name in {one.name for one in drivers_for(actor)}:
        return
    if name in {one.name for one in available_drivers()}:
        raise _not_yours()
    raise InvalidInput(
        fields={
            "driver": [
                gettext("There is no sending method called %(name)s here.", name=repr(name[:40]))
            ]
        },
    )


def _not_yours() -> InvalidInput:
    return InvalidInput(
        gettext("Only the platform's administrators may use this sending method."),
        code="forbidden",
        hint=gettext("Choose SMTP, or ask an administrator."),
        fields={"driver": [gettext("You may not choose this one.")]},
    )
