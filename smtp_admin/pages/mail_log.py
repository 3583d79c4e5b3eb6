"""``/mail`` and ``…/mail``: the mail of everybody whom one looks after, or of one owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from smtp_admin import web
from smtp_admin.access import Action, allowed, guarded
from smtp_admin.database import SYSTEM, database_now, session
from smtp_admin.delivery.dead_letters import GROUPED, DeadGroup, dead_groups
from smtp_admin.delivery.digest_items import find_item
from smtp_admin.delivery.hops import THE_SYSTEMS
from smtp_admin.delivery.logged_mail import LoggedMail
from smtp_admin.delivery.mail_log import (
    COUNTED,
    GROUPS,
    SEARCHED,
    counts_of,
    exported,
    look_up,
    page_of,
    sends_of,
)
from smtp_admin.delivery.tries import ACCEPTED
from smtp_admin.diagnosis.explanation import Explanation, explain
from smtp_admin.installation import installation
from smtp_admin.mail.service import sent_types
from smtp_admin.pages import lists
from smtp_admin.pages.mail_filters import MailView, read_view
from smtp_admin.pages.mail_words import (
    FAILED_LABELS,
    GROUP_LABELS,
    StateWords,
    next_try,
    state_words,
    took,
)
from smtp_admin.pages.sender_frame import frame, sender_name
from smtp_admin.pages.sender_routes import add_owner_page, page_url
from smtp_admin.senders.models import Sender
from smtp_admin.senders.queries import senders_by_id
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import as_shown, gettext

#: More in one file is for a database, not for a spreadsheet.
MOST_EXPORTED = 100_000
_MOST_SENDERS = 100
_FEW_NAMES = 3
_TITLES = (
    "id", "queued", "state", "partner", "recipient", "subject", "type", "finished", "tries",
    "code", "error", "reply",
)  # fmt: skip


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/mail")(mail_log)
    add_owner_page(blueprint, "log", _log)


@dataclass(frozen=True, slots=True)
class ShownMail:
    """A row of the list."""

    mail: LoggedMail
    words: StateWords
    tries_again: datetime | None
    took: str
    was_accepted: bool
    type: str
    owner: str
    url: str


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """Dead letters that failed alike, with what to do about it."""

    group: DeadGroup
    explanation: Explanation
    sender: str
    sender_url: str
    url: str


@guarded(Action.SEE_MAIL)
def mail_log() -> ResponseReturnValue:
    """The mail of all whom one looks after."""
    return _log(None)


def _log(owner: str | None) -> ResponseReturnValue:
    return show_log(read_view(session(), owner))


def show_log(view: MailView, *, error: Any = None, status: int = 200) -> ResponseReturnValue:
    """The log, with what an action on its mail was refused for."""
    owner = view.owner
    if request.args.get("export") == "csv":
        rows = exported(session(), view.which, MOST_EXPORTED)
        return lists.csv_answer("mail", _TITLES, map(_cells, rows))
    place = lists.place()
    mail = lists.number("mail")
    which = look_up(session(), view.which)
    page = page_of(session(), which, **place, mail=mail, size=lists.PAGE_SIZE)
    mails = {}
    if view.which.type_name:
        mails = {"older_mail": page.older_mail, "newer_mail": page.newer_mail}
    pager = lists.pager(view.base, view.chosen, older=page.older, newer=page.newer, **mails)
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "mails": [as_json(one) for one in page.rows],
                "older": pager.older or None,
                "newer": pager.newer or None,
            }
        )
    first = not any(place.values()) and _concerns_dead(view)
    groups = dead_groups(session(), which) if first else []
    page_text = render_template(
        "smtp_admin/mail/log.html",
        here="log",
        all_=owner is None,
        view=view,
        rows=shown(page.rows),
        pager=pager,
        counts=counts_of(session(), view.which) if view.which.is_cheap else {},
        sends=sends_of(session(), view.which),
        counted=COUNTED,
        grouped=GROUPED,
        searched=SEARCHED,
        notice_url=_notice_url(view) if not page.rows else "",
        groups=shown_groups(groups, view),
        group_labels=GROUP_LABELS,
        failed_labels=FAILED_LABELS,
        states_of_group=GROUPS,
        types=types(),
        periods={name: label for name, (_, label) in lists.PERIODS.items()},
        senders=_senders(owner) if owner is not None else (),
        error=error,
        **(frame(owner) if owner is not None else {}),
    )
    return page_text, status


def _notice_url(view: MailView) -> str:
    """The page of the notice whose id is looked for, if it is one."""
    search = view.which.search
    if search.kind != "id":
        return ""
    item = find_item(session(), search.text.lower(), view.which.partner_ids)
    return url_for("smtp_admin.one_mail", public_id=item.public_id) if item else ""


def _concerns_dead(view: MailView) -> bool:
    """Whether dead letters are among what is asked for, and not asked for one by one."""
    states = view.which.states
    return (not states or "dead" in states) and not view.which.search.text


def shown(rows: Sequence[LoggedMail]) -> list[ShownMail]:
    """*rows* as the list shows them."""
    moment = database_now(session())
    labels = dict(types())
    senders = senders_by_id(session(), {one.sender_id for one in rows if one.state == "queued"})
    paused = {one for one, sender in senders.items() if waits_for(sender, moment)}
    return [
        ShownMail(
            one,
            state_words(one, moment, paused=one.sender_id in paused),
            None if one.sender_id in paused else next_try(one, moment),
            took(one),
            one.state in ACCEPTED,
            labels.get(one.type_name, one.type_name),
            owner_name(one.partner_id),
            mail_url(one),
        )
        for one in rows
    ]


def shown_groups(groups: Sequence[DeadGroup], view: MailView) -> list[ShownGroup]:
    """*groups*, each with its causes."""
    found = []
    senders = senders_by_id(session(), {one.sender_id for one in groups})
    for one in groups:
        sender = senders.get(one.sender_id)
        known = sender is not None and sender.configured and may_open(sender)
        values = sender.values if sender and known else None
        name, url = "", ""
        if sender is not None and may_open(sender):
            owner = owner_name(sender.partner_id)
            name = owner + " · " + sender_name(sender.key, sender.label) if sender.key else owner
            url = page_url(sender.partner_id, sender.key, "tab")
        elif sender is not None:
            name = THE_SYSTEMS
        found.append(
            ShownGroup(
                one,
                explain(one.code, one.cause, one.reply, values),
                name,
                url,
                view.address(state="dead", sender=one.sender_id, code=one.code, cause=one.cause),
            )
        )
    return found


def waits_for(sender: ResolvedSender | None, moment: datetime) -> bool:
    """Whether its mail waits until it sends again, as far as the present person may know."""
    if sender is None or not may_open(sender):
        return False
    return sender.paused_until is not None and sender.paused_until > moment


def may_open(sender: ResolvedSender) -> bool:
    """Whether the present person may know more of *sender* than that it is there."""
    actor = web.current_actor()
    if sender.partner_id == SYSTEM:
        return allowed(actor, Action.EDIT_SYSTEM_SENDER)
    return allowed(actor, Action.EDIT_PARTNER_SENDER, sender.partner_id)


def types() -> list[tuple[str, str]]:
    """Names and labels of all that mail can be, ready messages among them."""
    known = {one.name: one.label for one in sent_types()}
    return sorted(known.items(), key=lambda one: as_shown(one[1]).casefold())


def owner_name(partner_id: str) -> str:
    """What people call the owner of mail; of more than a few, the host is asked at once."""
    if partner_id == SYSTEM:
        return gettext("System")
    known: dict[str, str] = request.environ.setdefault("smtp_admin.names", {})
    if partner_id not in known:
        if len(known) >= _FEW_NAMES:
            known |= {one.id: one.name for one in installation().host.partners()}
        else:
            partner = installation().host.partner(partner_id)
            known[partner_id] = partner.name if partner else partner_id
    return known.setdefault(partner_id, partner_id)


def mail_url(one: LoggedMail) -> str:
    """The page of one mail, at this recipient."""
    return url_for("smtp_admin.one_mail", public_id=one.public_id, delivery=one.id)


def as_json(one: LoggedMail) -> dict[str, Any]:
    """One row for a script."""
    return {
        "id": one.public_id,
        "delivery": one.id,
        "partner_id": one.partner_id,
        "type": one.type_name,
        "subject": one.subject,
        "recipient": one.recipient,
        "state": one.state,
        "tries": one.tries,
        "queued_at": one.created_at.isoformat(),
        "next_attempt_at": one.next_attempt_at.isoformat() if one.state == "queued" else None,
        "finished_at": one.finished_at.isoformat() if one.finished_at else None,
        "code": one.code,
        "cause": one.cause,
        "error": one.error,
        "reply": one.reply,
        "provider_message_id": one.provider_id,
    }


def _cells(one: LoggedMail) -> Sequence[object]:
    return (
        one.public_id, one.created_at.isoformat(), one.state, one.partner_id, one.recipient,
        one.subject, one.type_name, one.finished_at.isoformat() if one.finished_at else "",
        one.tries, one.code, one.error, one.reply,
    )  # fmt: skip


def _senders(owner: str) -> list[tuple[int, str]]:
    """The senders that mail of *owner* may have gone by, as far as one may know them.

    How many the system has, and what they are called, is the platform's own affair.
    """
    shown = {owner, SYSTEM} if allowed(web.current_actor(), Action.EDIT_SYSTEM_SENDER) else {owner}
    rows = session().execute(
        select(Sender.id, Sender.partner_id, Sender.key, Sender.label)
        .where(Sender.partner_id.in_(shown))
        .order_by(Sender.partner_id.desc(), Sender.key)
        .limit(_MOST_SENDERS)
    )
    return [
        (
            row.id,
            sender_name(row.key, row.label)
            if row.partner_id == owner
            else gettext("The system's: %(sender)s", sender=sender_name(row.key, row.label)),
        )
        for row in rows
    ]
