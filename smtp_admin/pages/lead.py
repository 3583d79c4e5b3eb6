"""What to do next on the tab of a sender that is being set up: four steps, and how far one is."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy.orm import Session

from smtp_admin.clock import now
from smtp_admin.mail.last_test_mail import TestMail
from smtp_admin.monitor.overview import Card
from smtp_admin.pages.sender_form import SenderForm
from smtp_admin.senders.history import find_revision, tests_of
from smtp_admin.senders.models import RevisionTest
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext

#: Mail that waited goes out as soon as there are settings; nobody has sent a test mail by then.
_SETTING_UP = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class LeadStep:
    """One thing to do.

    Attributes:
        target: the id of the part of the page where it is done.
    """

    words: str
    target: str
    state: Literal["done", "now", "later"]


def lead(
    session: Session,
    sender: ResolvedSender,
    card: Card,
    form: SenderForm,
    *,
    unsaved: bool,
    works: bool,
    last: tuple[RevisionTest, ...],
    test_mail: TestMail | None,
    sent: bool,
) -> tuple[LeadStep, ...]:
    """The steps from an empty tab to the first mail; none where mail went out before.

    Args:
        unsaved: whether something else is on the screen than what is saved.
        works: whether what is on the screen was tested just now, and works.
        last: the last tests of what is saved.
        test_mail: the last one through the queue.
        sent: whether a test mail went out just now with what is on the screen.
    """
    accepted = test_mail if test_mail is not None and test_mail.accepted else None
    went_out = sender.last_accepted_at or card.numbers.sent or card.numbers.sent_24h
    if went_out and not (_is_set_up_now(session, sender) and (accepted is None or accepted.recent)):
        return ()
    has_host = "host" in form
    # A server that took a mail was reached.
    proven = (bool(last) and all(one.ok for one in last)) or accepted is not None
    tested = works or sent or (not unsaved and proven)
    todo = (
        (gettext("Choose your provider") if has_host else gettext("Fill in the settings"),
         "preset" if has_host else "sender-form",
         bool(form["host"].data) if has_host else sender.configured),
        (gettext("Test the connection"), "connection-test", tested),
        (gettext("Save"), "sender-form", sender.configured and not unsaved),
        (gettext("Send a test mail"), "test-mail", sent or accepted is not None),
    )  # fmt: skip
    next_one = next((place for place, (_, _, done) in enumerate(todo) if not done), None)
    return tuple(
        LeadStep(words, target, "done" if done else "now" if place == next_one else "later")
        for place, (words, target, done) in enumerate(todo)
    )


def _is_set_up_now(session: Session, sender: ResolvedSender) -> bool:
    """Whether its first settings were saved within the last hour."""
    since = now() - _SETTING_UP
    if not sender.configured or sender.saved_at is None or sender.saved_at < since:
        return False
    first = find_revision(session, sender.partner_id, 1, sender.key)
    return first is not None and first.created_at >= since


def has_mail(card: Card) -> bool:
    """Whether there is anything to count."""
    seen = card.numbers
    counts = (seen.pending, seen.sending, seen.uncertain, seen.dead, seen.sent, seen.failed_24h)
    return any(counts)


def works(test: Any, both: Any) -> bool:
    """Whether a connection test just now succeeded, from everywhere it was made."""
    results = (both.web, both.remote) if both else (test,)
    return all(one is not None and one.ok for one in results)


def last_tests(session: Session, sender: ResolvedSender) -> tuple[RevisionTest, ...]:
    """The last test of what is saved from each place."""
    saved = find_revision(session, sender.partner_id, sender.revision, sender.key)
    return tests_of(session, [saved]).get(saved.id, ()) if saved else ()
