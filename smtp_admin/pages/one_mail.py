"""``/mail/<id>``: the life of one mail, what it says, and what can be done with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from smtp_admin import web
from smtp_admin.access import Action, allowed, guarded
from smtp_admin.database import SYSTEM, database_now, session
from smtp_admin.delivery import seen_mail
from smtp_admin.delivery.acts import acts_on
from smtp_admin.delivery.held import CODE as HELD
from smtp_admin.delivery.hops import THE_SYSTEMS, HopSeen, hops_seen
from smtp_admin.delivery.logged_mail import LoggedMail, rows_of
from smtp_admin.delivery.mail_actions import MAIL_ACTIONS, ActionName
from smtp_admin.delivery.models import TEST_TYPE, Act, ActKind, Attempt, Message
from smtp_admin.delivery.queries import next_try
from smtp_admin.delivery.suppressed_mail import stopped_by
from smtp_admin.delivery.tries import ACCEPTED
from smtp_admin.diagnosis.explanation import Explanation, explain_delivery
from smtp_admin.errors import NotFound
from smtp_admin.events.models import MailEvent
from smtp_admin.events.queries import events_of
from smtp_admin.mail.corrected import READDRESSED
from smtp_admin.mail.preview import preview_of
from smtp_admin.pages import lists
from smtp_admin.pages.digest_item import seen_item, show_item
from smtp_admin.pages.event_words import event_words
from smtp_admin.pages.mail_concerned import can_be_sent
from smtp_admin.pages.mail_filters import log_url, seen_by_actor
from smtp_admin.pages.mail_frame import framed
from smtp_admin.pages.mail_log import as_json, mail_url, may_open, owner_name, types, waits_for
from smtp_admin.pages.mail_words import state_words
from smtp_admin.pages.sender_frame import sender_name
from smtp_admin.pages.sender_routes import owner_url, page_url
from smtp_admin.read_back import read_back
from smtp_admin.senders.resolve import ResolvedSender, load_sender_by_id
from smtp_admin.suppression.reading import Found, suppressions_of
from smtp_admin.suppression.reasons import BOUNCED, label_of
from smtp_admin.suppression.reasons import CODE as SUPPRESSED
from smtp_admin.translation import gettext, joined, known

#: Recipients that are listed; a mail with more is found in the log.
_MOST_RECIPIENTS = 100
_MOST_ATTEMPTS = 100


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.get("/mail/<public_id>")(one_mail)
    blueprint.get("/mail/<public_id>/preview")(mail_preview)
    blueprint.get("/mail/<public_id>/raw")(mail_raw)


@dataclass(frozen=True, slots=True)
class Happened:
    """One entry of a mail's life.

    Attributes:
        tone: ``good``, ``bad``, ``warn``, ``ready`` or ``off``.
        title: in bold, and ``words`` after it.
        reply: the server's own words.
    """

    at: datetime
    tone: str
    title: str
    words: str = ""
    reply: str = ""


_VERDICTS = {
    "accepted": ("good", gettext("Accepted")),
    "temporary": ("warn", gettext("Not taken yet")),
    "permanent": ("bad", gettext("Refused for good")),
    "uncertain": ("warn", gettext("No answer after the last line")),
}
_ACTS: dict[ActKind, tuple[str, str]] = {
    "retry": ("ready", gettext("Sent again")),
    "hurry": ("ready", gettext("To be tried at once")),
    "cancel": ("off", gettext("Cancelled")),
    "discard": ("off", gettext("Discarded")),
    "arrived": ("good", gettext("Marked as sent")),
    "lost": ("bad", gettext("Given up")),
    "release": ("ready", gettext("Sent after all")),
    "undo": ("ready", gettext("Undone")),
    "corrected": ("off", gettext("Sent to a corrected address")),
    "batch_cancel": ("off", gettext("Cancelled with its batch")),
    "batch_resume": ("ready", gettext("Queued again with its batch")),
}
_OTHER_VERDICT = ("warn", gettext("Not sent"))


def mails_of(public_id: str) -> tuple[LoggedMail, ...]:
    """The deliveries of a mail that the present person may see, in the order of its recipients.

    Raises:
        NotFound: there is no such mail, or it is somebody else's.
    """
    ids = ids_of_mail(public_id)
    wanted = lists.number("delivery")
    shown = ids[:_MOST_RECIPIENTS]
    if wanted in ids and wanted not in shown:
        shown = [*shown, wanted]
    return tuple(reversed(rows_of(session(), shown)))


def one_of(found: Sequence[LoggedMail]) -> LoggedMail:
    """The delivery that the request names; the first one where it names none of these."""
    wanted = lists.number("delivery")
    return next((each for each in found if each.id == wanted), found[0])


def ids_of_mail(public_id: str) -> list[int]:
    """The ids of all deliveries of a mail that the present person may see.

    Raises:
        NotFound: there is no such mail, or it is somebody else's.
    """
    found = seen_mail.ids_of_mail(session(), public_id, seen_by_actor())
    if not found:
        raise NotFound
    return found


@guarded(Action.SEE_MAIL)
def one_mail(public_id: str) -> ResponseReturnValue:
    """One mail, and one of its recipients in detail; or a notice that becomes a mail."""
    item = seen_item(session(), public_id)
    return show(public_id) if item is None else show_item(session(), item)


def show(public_id: str, *, error: Any = None, status: int = 200) -> ResponseReturnValue:
    """The page of one mail, with what an action on it was refused for."""
    found = mails_of(public_id)
    one = one_of(found)
    sender = load_sender_by_id(session(), one.sender_id)
    hops = hops_seen(session(), [one.id]).get(one.id, ())
    attempts = _attempts(one.id)
    moment = database_now(session())
    opens = sender is not None and may_open(sender)
    waits = waits_for(sender, moment)
    stopped = None
    if not one.archive:
        stopped = stopped_by(session(), one.public_id, one.partner_id, one.recipient)
    # What was suppressed then, and may be sent now, is no riddle.
    lifted = one.state == "suppressed" and one.code == SUPPRESSED and not stopped
    explanation = None if lifted else explain_delivery(
        session(), one.state, one.code, cause=one.cause, reply=one.reply,
        sender=sender if opens else None, uncertains=one.uncertains,
    )  # fmt: skip
    told = events_of(session(), one.id)
    life = list(_life(one, attempts, hops, acts_on(session(), one.id), told, sender, moment))
    if web.wants_json():
        return web.answer_json(_json(one, found, life, explanation), status)
    content = session().scalar(select(Message.content).where(Message.id == one.message_pk)) or b""
    preview = preview_of(content, with_body=not one.sensitive) if content else None
    page = render_template(
        "smtp_admin/mail/one.html",
        mail=one,
        words=state_words(one, moment, paused=waits),
        recipients=[(each, state_words(each, moment), mail_url(each)) for each in found],
        life=life,
        explanation=explanation,
        waits=waits,
        next_try=next_try(one.state, one.code, one.next_attempt_at, moment),
        preview=preview,
        size=len(content),
        owner=owner_name(one.partner_id),
        owner_log=log_url(one.partner_id),
        type_label=dict(types()).get(one.type_name, one.type_name),
        sender_name=_sender_words(sender),
        sender_url=page_url(sender.partner_id, sender.key, "tab") if opens and sender else "",
        symptoms_url=page_url(sender.partner_id, sender.key, "symptoms")
        if opens and sender
        else url_for("smtp_admin.symptoms"),
        actions=_actions(one, stopped=bool(stopped)),
        stopped=stopped,
        lifted=lifted,
        kept_secret=one.state == "suppressed" and one.sensitive and not one.has_text,
        is_test=one.type_name == TEST_TYPE,
        suppressed=_suppressed(one),
        suppressions_url=owner_url(one.partner_id, "suppressions", q=one.recipient),
        may_correct=_may_correct(one, stopped),
        error=error,
    )  # fmt: skip
    return page, status


def _may_correct(one: LoggedMail, stopped: Found | None) -> bool:
    """Whether another address may help: whoever wants no such mail has one that works."""
    if one.state == "suppressed" and (stopped is None or stopped.reason not in BOUNCED):
        return False
    return one.state in READDRESSED and one.has_text and not one.archive and not one.sensitive


def _actions(one: LoggedMail, *, stopped: bool) -> list[ActionName]:
    """What can be done with it: what would be kept back is not offered to be sent."""
    found = [
        name
        for name, each in MAIL_ACTIONS.items()
        if one.state in each.states and can_be_sent(each, one)
    ]
    left_out = {"release", "retry"} if stopped else set()
    if not (one.tries or one.code) or one.code == HELD:
        left_out.add("hurry")
    return [name for name in found if name not in left_out]


def _suppressed(one: LoggedMail) -> str:
    """Why its recipient is suppressed just now, in words; empty where it is not."""
    found = suppressions_of(session(), one.partner_id, one.recipient)
    return joined([*dict.fromkeys(label_of(each.reason) for each in found)], ", ")


@guarded(Action.SEE_MAIL)
def mail_preview(public_id: str) -> ResponseReturnValue:
    """The HTML of a mail, for a frame."""
    content = _content(public_id)
    found = preview_of(content)
    if not found.html:
        raise NotFound
    return framed(found.html)


@guarded(Action.SEE_MAIL)
def mail_raw(public_id: str) -> ResponseReturnValue:
    """The bytes of a mail, as they are sent."""
    answer = Response(_content(public_id), mimetype="message/rfc822")
    answer.headers["Content-Disposition"] = f'attachment; filename="{public_id}.eml"'
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer


def _content(public_id: str) -> bytes:
    """What a mail says, where people other than its recipient may read it."""
    found = mails_of(public_id)
    one = one_of(found)
    if one.sensitive:
        raise NotFound(
            gettext("Only its recipient may read this mail."),
            hint=gettext("Mail of this type contains secrets, such as login links."),
        )
    content = session().scalar(select(Message.content).where(Message.id == one.message_pk))
    if not content:
        raise NotFound(gettext("The text of this mail was erased."))
    return content


def _attempts(delivery_id: int) -> Sequence[Attempt]:
    newest = (
        select(Attempt)
        .where(Attempt.delivery_id == delivery_id)
        .order_by(Attempt.id.desc())
        .limit(_MOST_ATTEMPTS)
    )
    return list(reversed(session().scalars(newest).all()))


def _life(
    one: LoggedMail,
    attempts: Sequence[Attempt],
    hops: Sequence[HopSeen],
    acts: Sequence[Act],
    told: Sequence[MailEvent],
    sender: ResolvedSender | None,
    moment: datetime,
) -> Iterator[Happened]:
    """What happened to a delivery, in the order in which it did."""
    tried = (_attempt(each, sender) for each in attempts)
    found = [*map(_hop, hops), *map(_act, acts), *tried]
    yield Happened(
        one.created_at,
        "ready",
        gettext("Queued"),
        gettext("for %(recipient)s", recipient=one.recipient),
    )
    yield from sorted(found, key=lambda each: each.at)
    words = state_words(one, moment)
    ended = one.finished_at
    if one.state in ACCEPTED and ended is not None:
        if not attempts or attempts[-1].verdict != "accepted":
            shown = sender is not None and sender.configured and may_open(sender)
            place = gettext("by %(place)s", place=sender.values.place()) if sender and shown else ""
            # Of what came back, the last reply is what was said then.
            reply = one.reply if one.state in {"sent", "delivered"} else ""
            yield Happened(ended, "good", gettext("Accepted"), place, reply)
    elif one.state == "dead" and ended is not None:
        yield Happened(
            ended,
            "bad",
            gettext("Not delivered."),
            joined((_used_up(attempts), gettext("It will not be retried automatically."))),
        )
    elif one.state == "queued" and one.next_attempt_at > moment and words.label != "Held":
        title = gettext("Next try") if attempts else gettext("To be sent")
        yield Happened(one.next_attempt_at, "off", title)
    elif ended is not None and not (acts and acts[-1].at == ended):
        yield Happened(ended, words.tone, f"{words.label}.", read_back(one.error) or words.note)
    elif words.note:
        yield Happened(moment, words.tone, f"{words.label}.", words.note)
    yield from map(_event, told)


def _used_up(attempts: Sequence[Attempt]) -> str:
    """How often it was tried, where the server never said no for good."""
    tries = sum(one.verdict == "temporary" for one in attempts)
    if tries <= 1 or attempts[-1].verdict != "temporary":
        return ""
    return gettext("It was tried %(number)s times, as often as it may be.", number=tries)


def _event(one: MailEvent) -> Happened:
    words = event_words(one.kind, one.bounce)
    said = one.words if one.code in one.words else f"{one.code} {one.words}".strip()
    return Happened(one.at or one.received_at, words.tone, words.label, reply=said)


def _hop(hop: HopSeen) -> Happened:
    if not allowed(web.current_actor(), Action.EDIT_SYSTEM_SENDER):
        hop = hop.for_partner()
    reason = read_back(hop.reason)
    return Happened(
        hop.at,
        "warn",
        gettext("Handed over"),
        gettext(
            "to %(after)s instead of %(before)s%(why)s",
            after=known(hop.to_sender),
            before=known(hop.from_sender),
            why=gettext(", because: %(reason)s", reason=reason) if hop.reason else "",
        ),
    )


def _act(act: Act) -> Happened:
    tone, title = _ACTS[act.kind]
    who = act.actor_name or act.actor_id
    return Happened(act.at, tone, title, gettext("by %(who)s", who=who) if who else "")


def _attempt(attempt: Attempt, sender: ResolvedSender | None) -> Happened:
    tone, title = _VERDICTS.get(attempt.verdict, _OTHER_VERDICT)
    # How the platform runs its own sender is its own affair.
    about = []
    if sender is not None and may_open(sender):
        about = (
            [gettext("revision %(revision)s", revision=attempt.revision)]
            if attempt.revision
            else []
        )
        if web.signed_in().is_admin and attempt.worker:
            about.append(gettext("worker %(worker)s", worker=attempt.worker))
    where = joined(("(", joined(about, " · "), ")"), "") if about else ""
    words = joined((read_back(attempt.error), where))
    return Happened(attempt.at, tone, title, words, attempt.reply)


def _sender_words(sender: ResolvedSender | None) -> str:
    if sender is None:
        return gettext("none yet")
    name = sender_name(sender.key, sender.label)
    if sender.partner_id != SYSTEM:
        return name
    return THE_SYSTEMS + " (" + name + ")" if may_open(sender) else THE_SYSTEMS


def _json(
    one: LoggedMail,
    found: Sequence[LoggedMail],
    life: Sequence[Happened],
    explanation: Explanation | None,
) -> dict[str, Any]:
    return {
        "ok": True,
        **as_json(one),
        "recipients": [as_json(each) for each in found],
        "happened": [
            {
                "at": each.at.isoformat(),
                "what": each.title,
                "words": each.words,
                "reply": each.reply,
            }
            for each in life
        ],
        "causes": explanation.as_json() if explanation else [],
    }
