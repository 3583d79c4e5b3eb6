"""The pages that are about everything one looks after: one registry, for bars and menus."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flask import request, url_for

from smtp_admin import web
from smtp_admin.access import Action, allowed
from smtp_admin.translation import gettext


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in a bar.

    Attributes:
        endpoint: of the blueprint; *beside* are others at which it is the present one too.
        folded: whether a bar shows it under "More": all of them are wider than a page.
    """

    text: str
    endpoint: str
    action: Action
    beside: tuple[str, ...] = ()
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """An entry as one person sees it.

    Attributes:
        here: whether this is the page that is shown.
        around: whether the page that is shown belongs to it, and has no entry of its own.
    """

    text: str
    url: str
    here: bool
    folded: bool = False
    around: bool = False


_MAIL = Entry(gettext("All mail"), "mail_log", Action.SEE_MAIL, ("one_mail",))
_BATCHES = Entry(gettext("Batches"), "batches", Action.SEE_MAIL, ("one_batch",))
_ALERTS = Entry(gettext("Alerts"), "alerts", Action.SEE_ALERTS)
_RENEWALS = Entry(gettext("Renewals"), "renewals", Action.SEE_RENEWALS)
_TEMPLATES = Entry(gettext("Templates"), "email_templates", Action.SEE_TEMPLATES)
#: On our own pages.
BAR: tuple[Entry, ...] = (
    Entry(gettext("Senders"), "overview", Action.SEE_OVERVIEW, ("partners",)),
    _MAIL,
    _BATCHES,
    _ALERTS,
    _RENEWALS,
    _TEMPLATES,
    Entry(gettext("Troubleshooting"), "symptoms", Action.SEE_OVERVIEW),
    Entry(gettext("Suppressions"), "suppressions", Action.MANAGE_SUPPRESSIONS),
    Entry(gettext("System sender"), "system", Action.EDIT_SYSTEM_SENDER, folded=True),
    Entry(gettext("Expiry"), "expiry", Action.SEE_EXPIRY, folded=True),
    Entry(gettext("One person"), "erase_address", Action.ERASE_ADDRESS, folded=True),
    Entry(gettext("API tokens"), "tokens", Action.MANAGE_TOKENS, ("revoke_token",), folded=True),
    Entry(gettext("Audit"), "audit_log", Action.SEE_AUDIT, folded=True),
)
#: The pages of one sender: the word that each calls itself, what it is called, whether it is there
#: before the sender is saved, and whether it is folded.
_OF_SENDER: tuple[tuple[str, str, bool, bool], ...] = (
    ("log", gettext("Mail"), True, False),
    ("batches", gettext("Batches"), True, False),
    ("history", gettext("History"), False, False),
    ("deliverability", gettext("Deliverability"), False, False),
    ("symptoms", gettext("Troubleshooting"), False, False),
    ("renewals", gettext("Renewals"), True, False),
    ("templates", gettext("Templates"), True, False),
    ("suppressions", gettext("Suppressions"), True, False),
    ("explain", gettext("Explain"), False, True),
    ("webhook", gettext("Webhook"), False, True),
    ("bounces", gettext("Bounces"), False, True),
    ("tokens", gettext("API tokens"), True, True),
    ("audit", gettext("Audit"), True, True),
)
#: In the menu of a host.
MENU: tuple[Entry, ...] = (
    Entry(gettext("Mail"), "overview", Action.SEE_OVERVIEW),
    Entry(gettext("Partners"), "partners", Action.LIST_PARTNERS),
    _MAIL,
    _ALERTS,
    Entry(gettext("System e-mail"), "system", Action.EDIT_SYSTEM_SENDER),
    _RENEWALS,
)


def navigation() -> tuple[Link, ...]:
    """The bar of our own pages, for the present person."""
    return _links(BAR)


def sender_pages(
    urls: Mapping[str, str], here: str, tab: str, is_new: bool = False
) -> tuple[Link, ...]:
    """The bar of the pages of one sender.

    Args:
        urls: by the word of each; *here* is the one that is shown.
        tab: what the first, its settings, is called.
        is_new: whether nothing is saved of it yet.
    """
    rest = (
        Link(text, urls[word], word == here, folded)
        for word, text, always, folded in _OF_SENDER
        if always or not is_new or word == here
    )
    around = here in {"senders", "routes"}
    return (Link(tab, urls["tab"], here == "tab", around=around), *rest)


def menu() -> tuple[Link, ...]:
    """The menu for a host's pages, for the present person."""
    return _links(MENU)


def _links(entries: Iterable[Entry]) -> tuple[Link, ...]:
    actor = web.current_actor()
    asked = request.endpoint or ""
    return tuple(
        Link(
            one.text,
            url_for(f"smtp_admin.{one.endpoint}"),
            asked in {f"smtp_admin.{name}" for name in (one.endpoint, *one.beside)},
            one.folded,
        )
        for one in entries
        if allowed(actor, one.action)
    )
