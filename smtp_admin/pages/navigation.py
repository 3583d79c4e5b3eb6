"""The pages that are about everything one looks after: one registry, for bars of links."""

from dataclasses import dataclass

from flask import request, url_for

from smtp_admin import web
from smtp_admin.access import Action, allowed


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the bar.

    Attributes:
        endpoint: of the blueprint; *beside* are others at which it is the present one too.
    """

    label: str
    endpoint: str
    action: Action
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """An entry as one person sees it."""

    label: str
    url: str
    here: bool


ENTRIES: tuple[Entry, ...] = (
    Entry("Senders", "overview", Action.SEE_OVERVIEW),
    Entry("All mail", "mail_log", Action.SEE_MAIL, ("one_mail",)),
    Entry("Batches", "batches", Action.SEE_MAIL, ("one_batch",)),
    Entry("Alerts", "alerts", Action.SEE_ALERTS),
    Entry("Renewals", "renewals", Action.SEE_RENEWALS),
    Entry("Troubleshooting", "symptoms", Action.SEE_OVERVIEW),
    Entry("Audit", "audit_log", Action.SEE_AUDIT),
    Entry("System sender", "system", Action.EDIT_SYSTEM_SENDER),
)


def navigation() -> list[Link]:
    """The pages that the present person may open."""
    actor = web.current_actor()
    at = (request.endpoint or "").partition(".")[2]
    return [
        Link(one.label, url_for(f"smtp_admin.{one.endpoint}"), at in (one.endpoint, *one.beside))
        for one in ENTRIES
        if actor is not None and allowed(actor, one.action)
    ]
