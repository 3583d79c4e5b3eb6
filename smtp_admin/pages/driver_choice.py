"""Sending methods, to choose from on the tab of a sender."""

from dataclasses import dataclass

from flask import request

from smtp_admin.errors import Forbidden, InvalidInput
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.pages.entered import entered
from smtp_admin.pages.sender_form import SenderForm, sender_form
from smtp_admin.senders.drivers import available_drivers, drivers_for
from smtp_admin.senders.fields import DRIVER
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext, said_by
from smtp_admin.transports.driver import Driver
from smtp_admin.transports.registry import is_shipped


@dataclass(frozen=True, slots=True)
class Offered:
    """A sending method in the comparison."""

    driver: Driver
    who: str
    may_choose: bool


@dataclass(frozen=True, slots=True)
class DriverChoice:
    """What there is to choose.

    Attributes:
        chosen: the one whose fields are shown.
        offered: to compare; the chooser has those of them that this person may choose.
        gone: why the saved one cannot be used any more; empty where it can.
        locked: the environment variable that decides it, if one does.
        read_only: whether the saved one is for others to change.
    """

    chosen: str
    offered: tuple[Offered, ...]
    gone: str = ""
    locked: str = ""
    read_only: bool = False

    @property
    def choices(self) -> tuple[Driver, ...]:
        """What may be chosen; nothing where there is no choice."""
        may = tuple(one.driver for one in self.offered if one.may_choose)
        fixed = self.locked or self.read_only or (len(may) < 2 and not self.gone)  # noqa: PLR2004
        return () if fixed else may


def driver_choice(sender: ResolvedSender, actor: Actor, wanted: str = "") -> DriverChoice:
    """The choice for *actor*, who wants the driver *wanted* to be shown, or the saved one."""
    mine = tuple(one.name for one in drivers_for(actor))
    saved = sender.values.driver
    gone, locked = sender.missing_driver, sender.locked.get("driver", "")
    shown = available_drivers() if actor.is_admin else drivers_for(actor)
    offered = tuple(Offered(one, _who(one), one.name in mine) for one in shown)
    theirs = bool(gone) or saved not in mine
    there = bool(sender.revision) and not sender.deleted
    read_only = there and theirs and not locked and not actor.is_admin
    return DriverChoice(
        saved if locked or read_only else _first_of(mine, wanted, saved),
        offered,
        gone,
        locked,
        read_only,
    )


def _first_of(mine: tuple[str, ...], wanted: str, saved: str) -> str:
    """What is wanted, else what is saved, else anything, of what this person may choose."""
    return next((one for one in (wanted, saved, *mine) if one in mine), saved)


def refuse_read_only(sender: ResolvedSender, actor: Actor) -> None:
    """Return if *actor* may change or remove what is saved.

    Raises:
        Forbidden: its sending method is for the platform's administrators alone.
    """
    if driver_choice(sender, actor).read_only:
        raise Forbidden(
            gettext("Only the platform's administrators may change this sender."),
            hint=gettext("It sends by %(label)s.", label=sender.values.kind.label),
        )


def entered_form(sender: ResolvedSender) -> SenderForm:
    """The form that was sent, with the fields of the driver that it was sent for.

    Raises:
        InvalidInput: there is no such driver.
    """
    if "driver" in sender.locked:
        return sender_form(sender.values.driver, entered())
    try:
        name = str(DRIVER.clean(request.form.get("driver", "")))
    except ValueError as error:
        raise InvalidInput(fields={"driver": [said_by(error)]}) from error
    return sender_form(name, entered())


def _who(one: Driver) -> str:
    allowed = installation().config.partner_drivers
    for_all = is_shipped(one.name) and not one.borrows_rights and not one.keeps_mail
    if for_all and one.name in allowed:
        return gettext("Partners too")
    return gettext("Administrators only")
