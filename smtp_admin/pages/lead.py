"""What to do next on a tab that no mail went out from yet: four steps, and how far one is."""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from smtp_admin.monitor.overview import Card
from smtp_admin.pages.sender_form import SenderForm
from smtp_admin.senders.history import find_revision, tests_of
from smtp_admin.senders.models import RevisionTest
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext


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
    sender: ResolvedSender,
    card: Card,
    form: SenderForm,
    *,
    unsaved: bool,
    works: bool,
    last: tuple[RevisionTest, ...],
) -> tuple[LeadStep, ...]:
    """The steps from an empty tab to the first mail; none where mail went out before.

    Args:
        unsaved: whether something else is on the screen than what is saved.
        works: whether what is on the screen was tested just now, and works.
        last: the last tests of what is saved.
    """
    if sender.last_accepted_at is not None or card.numbers.sent or card.numbers.sent_24h:
        return ()
    has_host = "host" in form
    tested = works or (not unsaved and bool(last) and all(one.ok for one in last))
    todo = (
        (gettext("Choose your provider") if has_host else gettext("Fill in the settings"),
         "preset" if has_host else "sender-form",
         bool(form["host"].data) if has_host else sender.configured),
        (gettext("Test the connection"), "connection-test", tested),
        (gettext("Save"), "sender-form", sender.configured and not unsaved),
        (gettext("Send a test mail"), "test-mail", False),
    )  # fmt: skip
    now = next(place for place, (_, _, done) in enumerate(todo) if not done)
    return tuple(
        LeadStep(words, target, "done" if done else "now" if place == now else "later")
        for place, (words, target, done) in enumerate(todo)
    )


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
