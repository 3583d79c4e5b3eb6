"""What stands around every page of a sender: whose it is, its neighbours, and where they are."""

from dataclasses import dataclass
from typing import Any

from flask import request

from smtp_admin import web
from smtp_admin.database import SYSTEM, session
from smtp_admin.monitor.overview import Health, is_paused
from smtp_admin.pages.sender_routes import page_url, sender_urls
from smtp_admin.senders.resolve import (
    DEFAULT_KEY,
    ResolvedSender,
    load_sender,
    password_trouble,
)
from smtp_admin.senders.routing import senders_of
from smtp_admin.transports.registry import drivers

WORDS: dict[Health, str] = {
    "unconfigured": "no settings yet",
    "problem": "not usable",
    "paused": "paused",
    "ready": "ready",
    "delivering": "delivering",
}
OWNER_OF_SYSTEM = "System e-mail"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A sender in the bar of senders.

    Attributes:
        words: its state, for who does not see the shape.
    """

    name: str
    url: str
    health: Health
    words: str
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
        "heading": f"{owner} · {name}" if several else owner,
        "neighbours": _neighbours(partner_id, key, name, own) if several else (),
        "is_new": absent,
        "urls": sender_urls(partner_id, key, new=absent),
        "tab_name": "Settings" if mine and mine.values.driver != "smtp" else "SMTP",
        "step_names": {step: label for one in drivers() for step, label in one.steps.items()},
    }


def _label_of_absent(partner_id: str, key: str) -> str:
    """What a sender is called that is about to be added, or was deleted."""
    return request.args.get("label", "")[:80] or load_sender(session(), partner_id, key).label


def sender_name(key: str, label: str = "") -> str:
    """What people read: the label, else the key, else that it is the default one."""
    return label or key or "Default"


def is_last_resort(sender: ResolvedSender) -> bool:
    """Whether mail without another sender ends at this one, so that it cannot be deleted."""
    return sender.partner_id == SYSTEM and sender.key == DEFAULT_KEY


def health_of(sender: ResolvedSender) -> Health:
    """A sender's state in one word, without looking at its mail."""
    if sender.problems:
        return "problem"
    if not sender.configured:
        return "unconfigured"
    if is_paused(sender):
        return "paused"
    if password_trouble(sender)[0]:
        return "problem"
    return "delivering" if sender.last_accepted_at else "ready"


def _neighbours(
    partner_id: str, key: str, name: str, own: list[ResolvedSender]
) -> tuple[Neighbour, ...]:
    """All senders, the default first even while it has no settings, and the one looked at."""
    shown: dict[str, tuple[str, Health]] = {DEFAULT_KEY: (sender_name(""), "unconfigured")}
    shown |= {one.key: (sender_name(one.key, one.label), health_of(one)) for one in own}
    shown.setdefault(key, (name, "unconfigured"))
    return tuple(
        Neighbour(
            name=called,
            url=page_url(partner_id, one, "tab"),
            health=health,
            words=WORDS[health],
            here=one == key,
        )
        for one, (called, health) in shown.items()
    )
