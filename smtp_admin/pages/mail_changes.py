"""What is done with mail: of one mail at once, of many after a look at how many."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action, guarded
from smtp_admin.audit.service import record_change
from smtp_admin.database import beside_workers, database_now, session
from smtp_admin.delivery.acts import doer
from smtp_admin.delivery.bulk_actions import (
    NOT_POSSIBLE,
    Done,
    act_on_filtered,
    act_on_selected,
    take_back,
)
from smtp_admin.delivery.logged_mail import rows_of
from smtp_admin.delivery.mail_actions import MAIL_ACTIONS, ActionName, MailAction, hurried_among
from smtp_admin.delivery.mail_log import COUNTED_ONCE, MailFilter, ids_of
from smtp_admin.delivery.suppressed_mail import suppressed_among
from smtp_admin.errors import Conflict, InvalidInput, NotFound, RequestError
from smtp_admin.mail.corrected import send_corrected
from smtp_admin.pages import lists
from smtp_admin.pages.digest_item import seen_item, take_out
from smtp_admin.pages.mail_concerned import SENDS, concerned
from smtp_admin.pages.mail_filters import MailView, owner_of_form, read_view, seen_by_actor
from smtp_admin.pages.mail_log import owner_name, show_log
from smtp_admin.pages.one_mail import ids_of_mail, mails_of, show
from smtp_admin.pages.sender_routes import owner_url
from smtp_admin.translation import gettext, joined, known, ngettext, number

#: A page has fifty.
_MOST_TICKED = 500
#: So many are named before one says yes.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class ActionWords:
    """How an action is offered, asked about, and told.

    Attributes:
        button: the imperative; *question* and *done* have ``{mails}`` for the number of mails.
        warning: what to know before.
    """

    button: str
    question: str
    done: str
    warning: str = ""
    bad: bool = False


WORDS: dict[ActionName, ActionWords] = {
    "retry": ActionWords(
        gettext("Send again"),
        gettext("Send {mails} again?"),
        gettext("Queued again: {mails}."),
        gettext(
            "Each gets all its attempts again. If the outcome is unknown, the recipient "
            "may get it twice."
        ),
    ),
    "hurry": ActionWords(
        gettext("Try now"),
        gettext("Try {mails} now?"),
        gettext("Trying now: {mails}."),
        gettext(
            "Mail that failed before does not wait for its next attempt. A paused sender "
            "stays paused."
        ),
    ),
    "cancel": ActionWords(
        gettext("Cancel"),
        gettext("Cancel {mails}?"),
        gettext("Cancelled: {mails}."),
        gettext("They are not sent. You can undo this, except for mail that contains secrets."),
        bad=True,
    ),
    "discard": ActionWords(
        gettext("Discard"),
        gettext("Discard {mails}?"),
        gettext("Discarded: {mails}."),
        gettext("They no longer count as “not delivered”. You can undo this."),
        bad=True,
    ),
    "arrived": ActionWords(
        gettext("It arrived"),
        gettext("Mark {mails} as sent?"),
        gettext("Marked as sent: {mails}."),
        gettext("Do this if the recipient has it. This cannot be undone."),
    ),
    "lost": ActionWords(
        gettext("Give it up"),
        gettext("Give {mails} up?"),
        gettext("Marked as not delivered: {mails}."),
        gettext("They become dead letters, which you can send again."),
        bad=True,
    ),
    "release": ActionWords(
        gettext("Send after all"),
        gettext("Send {mails} after all?"),
        gettext("Queued: {mails}."),
        gettext(
            "What a limit kept back is sent. What goes to a suppressed address is kept back "
            "again: remove the suppression first."
        ),
    ),
}


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    blueprint.post("/mail/actions")(mail_actions)
    blueprint.post("/mail/undo")(mail_undo)
    blueprint.post("/mail/<public_id>/correct")(mail_correct)
    for name in MAIL_ACTIONS:
        blueprint.add_url_rule(
            f"/mail/<public_id>/{name}", f"mail_{name}", _view_of(name), methods=["POST"]
        )


def _view_of(name: ActionName) -> Callable[..., ResponseReturnValue]:
    @guarded(Action.CHANGE_MAIL)
    def view(public_id: str) -> ResponseReturnValue:
        return _act_on_one(public_id, MAIL_ACTIONS[name])

    return view


@guarded(Action.CHANGE_MAIL)
def mail_actions() -> ResponseReturnValue:
    """Show how many mails an action is about, and do it once that was confirmed."""
    view = read_view(session(), owner_of_form())
    try:
        return _ask_or_act(view)
    except RequestError as error:
        session().rollback()
        if web.wants_json():
            raise
        return show_log(view, error=error, status=error.status)


def _ask_or_act(view: MailView) -> ResponseReturnValue:
    action = _action(lists.word("action", 12))
    ticked = _ticked()
    by_filter = lists.flag("all")
    if not ticked and not by_filter:
        raise InvalidInput(
            gettext("No mail is selected."),
            hint=gettext("Select some, or select all that the filter finds."),
        )
    scope = replace(seen_by_actor(), partner_ids=view.which.partner_ids)
    if not lists.flag("confirmed"):
        return _ask(view, action, scope, ticked, by_filter=by_filter)
    session().rollback()
    with beside_workers() as engine:
        if by_filter:
            done = act_on_filtered(engine, web.signed_in(), action, view.which)
        else:
            done = act_on_selected(engine, web.signed_in(), action, scope, ticked)
    return _told(view.url, action, done)


@guarded(Action.CHANGE_MAIL)
def mail_undo() -> ResponseReturnValue:
    """Take back what was cancelled or discarded at one moment."""
    try:
        at = datetime.fromisoformat(lists.word("at", 40)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise NotFound from error
    session().rollback()
    with beside_workers() as engine:
        done = take_back(engine, web.signed_in(), seen_by_actor(), at)
    if web.wants_json():
        return web.answer_json({"ok": True, "count": done.count, "left": done.left})
    words = gettext("Undone: %(mails)s.", mails=mails(done.count))
    if done.left:
        left = ngettext("%(number)s mail is left.", "%(number)s mails are left.", done.left)
        web.notify(
            joined((words, left)), undo=at.isoformat(), undo_words=gettext("Undo the rest"),
            tone="warn",
        )  # fmt: skip
    else:
        web.notify(words)
    return redirect(_back(url_for("smtp_admin.mail_log")), code=303)


@guarded(Action.CHANGE_MAIL)
def mail_correct(public_id: str) -> ResponseReturnValue:
    """Send what was not delivered to another address."""
    found = mails_of(public_id)
    wanted = lists.number("delivery")
    one = next((each for each in found if each.id == wanted), None)
    if one is None:
        raise NotFound
    address = lists.word("address", 320)
    try:
        new = send_corrected(session(), one.id, address, doer(web.signed_in()))
        if new.new:
            words = f"{one.recipient} → {address}"
            record_change(session(), web.signed_in(), one.partner_id, "mail.corrected", words)
        session().commit()
    except RequestError as error:
        session().rollback()
        if web.wants_json():
            raise
        return show(public_id, error=error, status=error.status)
    if web.wants_json():
        return web.answer_json({"ok": True, "id": new.public_id}, 202)
    told = gettext("A new mail is sent to %(address)s.", address=address)
    if one.state != "bounced":
        told = gettext(
            "A new mail is sent to %(address)s. The one to %(recipient)s was discarded.",
            address=address,
            recipient=one.recipient,
        )
    web.notify(told)
    return redirect(url_for("smtp_admin.one_mail", public_id=new.public_id), code=303)


def mails(count: int, *, more: bool = False) -> str:
    """So many mails, in words."""
    if more:
        return gettext("%(number)s+ mails", number=number(count))
    return ngettext("%(number)s mail", "%(number)s mails", count)


def _act_on_one(public_id: str, action: MailAction) -> ResponseReturnValue:
    item = seen_item(session(), public_id) if action.name == "cancel" else None
    if item is not None:
        return take_out(session(), item)
    wanted = lists.number("delivery")
    ids = [one for one in ids_of_mail(public_id) if wanted in (0, one)]
    back = url_for("smtp_admin.one_mail", public_id=public_id, delivery=wanted or None)
    session().rollback()
    try:
        with beside_workers() as engine:
            done = act_on_selected(engine, web.signed_in(), action, seen_by_actor(), ids)
    except RequestError as error:
        if web.wants_json():
            raise
        return show(public_id, error=error, status=error.status)
    return _told(back, action, done)


def _ask(
    view: MailView, action: MailAction, scope: MailFilter, ticked: list[int], *, by_filter: bool
) -> ResponseReturnValue:
    which, others = view.which, ""
    if by_filter:
        states = tuple(one for one in action.states if not which.states or one in which.states)
        which = replace(which, states=states)
        ids: Sequence[int] = ids_of(session(), which, most=COUNTED_ONCE + 1) if states else ()
        if action.name == "hurry":
            ids = hurried_among(session(), ids, database_now(session()))
    else:
        ids, selected, others = concerned(action, ticked, scope)
    count = len(ids)
    if web.wants_json():
        return web.answer_json({"ok": True, "count": count, "action": action.name})
    if not count:
        raise Conflict(NOT_POSSIBLE, hint=others)
    if others:
        others = gettext(
            "This concerns %(count)s of the %(all)s selected mails. The others: %(others)s.",
            count=number(count),
            all=number(selected),
            others=others,
        )
    kept = suppressed_among(session(), ids) if action.name in SENDS else 0
    if kept == count:
        raise Conflict(
            gettext("Nothing would be sent: mail to suppressed addresses is kept back."),
            hint=gettext(
                "Remove them on the page Suppressions first. Or open a mail, and send it to "
                "another address."
            ),
        )
    words = WORDS[action.name]
    return render_template(
        "smtp_admin/mail/confirm.html",
        view=view,
        action=action,
        words=words,
        others=others,
        kept=kept,
        suppressions_url=_suppressions_url(view),
        examples=rows_of(session(), ids[:_NAMED]),
        more=count - _NAMED,
        owner="" if view.owner is None else owner_name(view.owner),
        question=known(
            words.question,
            mails=mails(min(count, COUNTED_ONCE), more=count > COUNTED_ONCE),
        ),
        ticked=ticked,
        by_filter=by_filter,
    )


def _suppressions_url(view: MailView) -> str:
    if view.owner is None:
        return url_for("smtp_admin.suppressions")
    return owner_url(view.owner, "suppressions")


def _told(back: str, action: MailAction, done: Done) -> ResponseReturnValue:
    at = done.at.isoformat() if done.can_be_undone else ""
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "count": done.count,
                "kept_back": done.kept_back,
                "more": done.more,
                "undo": at or None,
            }
        )
    words = known(WORDS[action.name].done, mails=mails(done.count)) if done.count else ""
    kept = ""
    if done.kept_back:
        kept = ngettext(
            "Kept back: %(number)s mail, because its address is suppressed. Remove it on "
            "the page Suppressions first.",
            "Kept back: %(number)s mails, because their addresses are suppressed. Remove "
            "them on the page Suppressions first.",
            done.kept_back,
        )
    more = gettext("More mail is left. Repeat the action for the rest.") if done.more else ""
    web.notify(joined((words, kept, more)), undo=at, tone="warn" if kept else "good")
    return redirect(back, code=303)


def _action(name: str) -> MailAction:
    found = next((one for one in MAIL_ACTIONS.values() if one.name == name), None)
    if found is None:
        raise InvalidInput(
            gettext("Choose what to do."), fields={"action": [gettext("Choose an action.")]}
        )
    return found


def _ticked() -> list[int]:
    texts: list[object] = [*request.form.getlist("ids")]
    given = request.get_json(silent=True) if request.is_json else None
    if isinstance(given, dict) and isinstance(given.get("ids"), list):
        texts = given["ids"]
    found = lists.numbers(texts)
    if len(found) > _MOST_TICKED:
        raise InvalidInput(
            gettext("Select at most %(most)s mails, or use a filter.", most=_MOST_TICKED)
        )
    return sorted(set(found))


def _back(otherwise: str) -> str:
    """Where a form came from, if that is one of our own pages."""
    text = lists.word("back", 2000)
    start = url_for("smtp_admin.overview")
    odd = not text.isprintable() or any(one in text for one in ("\\", "//", ".."))
    return otherwise if odd or not text.startswith(start) else text
