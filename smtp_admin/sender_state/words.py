"""What the states of senders are called: a headline, and a sentence or two with the reason.

Nothing is decided here, but for what is worth saying: ``state`` decides, and asks for the words
only where somebody reads them.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from smtp_admin.delivery.limits import kept_for_urgent
from smtp_admin.read_back import read_back
from smtp_admin.sender_state.basis import Facts
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import clock_time, gettext, joined, known, ngettext, number

#: The headline and the detail.
Words = tuple[str, str]


def not_usable(wrong: Sequence[str]) -> Words:
    """A problem of the settings, or of a secret."""
    return gettext("Not usable"), joined(wrong)


def not_set_up(waiting: int) -> Words:
    """No settings, and nobody else to send."""
    waits = gettext("%(mails)s now.", mails=_mails(waiting)) if waiting else ""
    return gettext("Not set up"), joined((gettext("Mail waits until a sender is set up."), waits))


def system_waits(waiting: int) -> Words:
    """No settings of its own, and the system's sender does not send."""
    words = gettext("It cannot send mail right now. Ask the platform's operator.")
    waits = _mails(waiting) + "." if waiting else ""
    return gettext("Waiting for the system's sender"), joined((words, waits))


def by_system(from_email: str, also: Callable[[], Words] | None = None) -> Words:
    """No settings of its own; the system's sender sends, as *also* says."""
    words = gettext("Mail is sent from %(address)s until you fill in this tab.", address=from_email)
    headline = gettext("Using the system's sender")
    if also is None:
        return headline, words
    what, why = also()
    return headline, joined((words, joined((known(what) + ".", why))))


def by_hand(sender: ResolvedSender) -> Words:
    """A pause that somebody began."""
    waits = gettext("Mail waits until someone resumes it.")
    return gettext("Paused by hand"), joined((read_back(sender.pause_reason), waits))


def stopped(sender: ResolvedSender) -> Words:
    """A pause that somebody must end."""
    headline = (
        gettext("Stopped until the login is corrected")
        if sender.pause_code == "auth_failed"
        else gettext("Stopped until the settings change")
    )
    return headline, sender.pause_text


def paused(sender: ResolvedSender, until: datetime, moment: datetime) -> Words:
    """A pause that ends by itself."""
    at = clock_time(until, moment)
    headline = (
        gettext("Paused until %(at)s, rate limit", at=at)
        if sender.pause_code == "rate_limited"
        else gettext("Paused until %(at)s", at=at)
    )
    return headline, sender.pause_text


def keeping() -> Words:
    """A driver that sends nothing."""
    words = gettext("Mail is kept in the worker's memory and not sent.")
    return gettext("Keeping mail"), words


def no_worker(waiting: int) -> Words:
    """Nobody sends."""
    if not waiting:
        return gettext("No worker runs"), gettext("Mail waits until a worker runs.")
    words = gettext("None runs; %(mails)s.", mails=_mails(waiting, capital=False))
    return gettext("Waiting for a worker"), words


def limit(sender: ResolvedSender, facts: Facts) -> Words:
    """A limit is used up, or all of it that is not kept for urgent mail."""
    headline = gettext("Limit reached")
    if facts.limit_until:
        at = clock_time(facts.limit_until, facts.moment)
        headline = gettext("Limit reached, resumes at %(at)s", at=at)
    waits = _mails(facts.waiting) + "." if facts.waiting else gettext("No mail is waiting.")
    urgent = gettext("Urgent mail is still sent.") if facts.urgent_goes else ""
    values = sender.values
    spent = (
        _spent(facts.used_hour, values.max_per_hour, gettext("in the hour")),
        _spent(facts.used_day, values.max_per_day, gettext("in the day")),
    )
    return headline, joined((*spent, waits, urgent))


def _spent(used: int | None, most: int | None, span: str) -> str:
    """How much of a limit is used, where that is all that not only urgent mail may use."""
    if used is None or most is None or used < most - kept_for_urgent(most):
        return ""
    left = most - used
    values = {"used": number(used), "most": number(most), "span": span}
    if left <= 0:
        return gettext("%(used)s of %(most)s %(span)s.", **values)
    return ngettext(
        "%(used)s of %(most)s %(span)s; the last one is kept for urgent mail.",
        "%(used)s of %(most)s %(span)s; the last %(number)s are kept for urgent mail.",
        left,
        **values,
    )


def late(due: int, span: timedelta) -> Words:
    """Mail that nobody sends, for so long."""
    words = gettext(
        "Mail has been due for %(span)s, but no worker sends it.", span=span_words(span)
    )
    return gettext("Late: %(mails)s", mails=_mails(due, capital=False)), words


def retrying(facts: Facts, when: datetime | None) -> Words:
    """One failure, and another try."""
    again = gettext("Trying again")
    if when:
        again = gettext("Tries again at %(at)s", at=clock_time(when, facts.moment))
    error = read_back(facts.last_error)
    words = (
        gettext("The last mail was refused: %(error)s", error=error)
        if facts.refused
        else gettext("The last mail was not taken: %(error)s", error=error)
    )
    return again, words


def failing(facts: Facts) -> Words:
    """Several failures, or nothing else."""
    last = (
        ngettext(
            "Failing: the last mail was refused",
            "Failing: the last %(number)s were refused",
            facts.failed,
        )
        if facts.refused
        else ngettext(
            "Failing: the last mail was not taken",
            "Failing: the last %(number)s were not taken",
            facts.failed,
        )
    )
    return last, joined((read_back(facts.last_error), _later(facts)))


def held(count: int) -> Words:
    """All that waits is kept by the sandbox."""
    headline = gettext("Held: %(mails)s", mails=_mails(count, capital=False))
    return headline, gettext("The sandbox does not send any of it.")


def ready(sender: ResolvedSender, facts: Facts) -> Words:
    """Nothing is wrong, and nothing was sent with these settings."""
    if sender.last_accepted_at is None:
        words = gettext("This sender has sent no mail yet.")
    else:
        words = gettext(
            "No mail has been sent with these settings yet. With earlier settings, last accepted "
            "%(ago)s.",
            ago=ago(sender.last_accepted_at, facts.moment),
        )
    headline = gettext("Ready") if facts.tested else gettext("Ready, not tested")
    return headline, joined((words, _later(facts)))


def test_failed(facts: Facts) -> Words:
    """What would be sent has sent nothing yet, and its test says that it cannot."""
    words = gettext(
        "The connection test of these settings failed, and no mail has been sent with them yet: "
        "%(error)s",
        error=read_back(facts.test_error),
    )
    return gettext("Its test failed"), joined((words, _later(facts)))


def delivering(sender: ResolvedSender, facts: Facts) -> Words:
    """Mail was accepted, and nothing is wrong."""
    last = ""
    if sender.last_accepted_at is not None:
        last = gettext(
            "Last accepted %(ago)s by %(place)s.",
            ago=ago(sender.last_accepted_at, facts.moment),
            place=sender.values.place(),
        )
    failed = ""
    if facts.failed:
        error = read_back(facts.last_error)
        failed = gettext("The mail after it failed: %(error)s", error=error)
    return gettext("Delivering"), joined((last, failed, _later(facts)))


def _later(facts: Facts) -> str:
    """That nothing of what waits may go yet."""
    if facts.due or facts.next_at is None or not facts.waiting:
        return ""
    return gettext(
        "%(mails)s; the next is tried at %(at)s.",
        mails=_mails(facts.waiting),
        at=clock_time(facts.next_at, facts.moment),
    )


def _mails(count: int, *, capital: bool = True) -> str:
    if capital:
        return ngettext("One mail waits", "%(number)s mails wait", count)
    return ngettext("%(number)s mail waits", "%(number)s mails wait", count)


def ago(at: datetime, moment: datetime) -> str:
    """How long before *moment* that was, in words."""
    seconds = max(0, int((moment - at).total_seconds()))
    if days := seconds // 86400:
        return ngettext("%(number)s day ago", "%(number)s days ago", days)
    if hours := seconds // 3600:
        return ngettext("%(number)s hour ago", "%(number)s hours ago", hours)
    if minutes := seconds // 60:
        return ngettext("%(number)s minute ago", "%(number)s minutes ago", minutes)
    return gettext("just now")


def span_words(time: timedelta) -> str:
    """How long something lasts, in two units at most."""
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return gettext("%(hours)s h %(minutes)s min", hours=hours, minutes=minutes)
    if minutes:
        return gettext("%(minutes)s min", minutes=minutes)
    return gettext("%(seconds)s s", seconds=seconds)
