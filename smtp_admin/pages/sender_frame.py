"""What stands around every page of a sender: whose it is, its neighbours, and where they are."""

from dataclasses import dataclass
from typing import Any

from flask import request

from smtp_admin import web
from smtp_admin.database import SYSTEM, session
from smtp_admin.pages.sender_routes import owner_url, page_url, sender_urls
from smtp_admin.sender_state.facts import states_of
from smtp_admin.sender_state.state import State
from smtp_admin.senders.resolve import DEFAULT_KEY, ResolvedSender, load_sender
from smtp_admin.senders.routing import choose_sender, senders_of
from smtp_admin.translation import gettext
from smtp_admin.transports.registry import drivers

OWNER_OF_SYSTEM = gettext("System e-mail")

_MOST_OWNERS = 100


@dataclass(frozen=True, slots=True)
class OwnerLinks:
    """Names and addresses of one page of whom one looks after; *more* are not among them."""

    links: tuple[tuple[str, str], ...]
    more: int


def owner_links(name: str) -> OwnerLinks:
    """The pages *name* of whom one looks after."""
    found = [(OWNER_OF_SYSTEM, SYSTEM)] if web.signed_in().is_admin else []
    partners = web.visible_partners()
    found += [(one.name, one.id) for one in partners[:_MOST_OWNERS]]
    links = tuple((words, owner_url(partner_id, name)) for words, partner_id in found)
    return OwnerLinks(links, max(0, len(partners) - _MOST_OWNERS))


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A sender in the bar of senders."""

    name: str
    url: str
    state: State
    here: bool


def frame(partner_id: str, key: str = DEFAULT_KEY) -> dict[str, Any]:
    """The values that the template of every page of a sender needs."""
    partner = web.current_partner() if partner_id != SYSTEM else None
    own = senders_of(session(), partner_id)
    mine = next((one for one in own if one.key == key), None)
    absent = mine is None and key != DEFAULT_KEY
    several = len(own) > 1 or key != DEFAULT_KEY
    owner = partner.name if partner else OWNER_OF_SYSTEM
    name = sender_name(key, mine.label if mine else _label_of_absent(partner_id, key))
    return {
        "partner": partner,
        "partner_id": partner_id,
        "key": key,
        "owner": owner,
        "name": name,
        "heading": owner + " · " + name if several else owner,
        "neighbours": _neighbours(partner_id, key, name, own) if several else (),
        "is_new": absent,
        "urls": sender_urls(partner_id, key, new=absent),
        "tab_name": gettext("Settings") if mine and mine.values.driver != "smtp" else "SMTP",
        "step_names": {step: label for one in drivers() for step, label in one.steps.items()},
    }


def _label_of_absent(partner_id: str, key: str) -> str:
    """What a sender is called that is about to be added, or was deleted."""
    return request.args.get("label", "")[:80] or load_sender(session(), partner_id, key).label


def sender_name(key: str, label: str = "") -> str:
    """What people read: the label, else the key, else that it is the default one."""
    return label or key or gettext("Default")


def is_last_resort(sender: ResolvedSender) -> bool:
    """Whether mail without another sender ends at this one, so that it cannot be deleted."""
    return sender.partner_id == SYSTEM and sender.key == DEFAULT_KEY


def has_heir(sender: ResolvedSender) -> bool:
    """Whether somebody that is set up would send the mail of *sender* if it were deleted."""
    without = sender.sender_id
    heir = choose_sender(session(), sender.partner_id, "", "normal", without=without).sender
    return heir.configured


def _neighbours(
    partner_id: str, key: str, name: str, own: list[ResolvedSender]
) -> tuple[Neighbour, ...]:
    """All senders, the default first even while it has no settings, and the one looked at."""
    shown = {one.key: (sender_name(one.key, one.label), one) for one in own}
    for each, called in ((DEFAULT_KEY, sender_name(DEFAULT_KEY)), (key, name)):
        if each not in shown:
            shown[each] = (called, load_sender(session(), partner_id, each))
    ordered = sorted(shown.items(), key=lambda one: one[0] != DEFAULT_KEY)
    states = states_of(session(), [sender for _, (_, sender) in ordered])
    return tuple(
        Neighbour(called, page_url(partner_id, one, "tab"), state, here=one == key)
        for (one, (called, _)), state in zip(ordered, states, strict=True)
    )
