"""The state of a sender, decided from facts alone: nothing is looked up here.

Every place that shows a state shows this one, so that a page, a badge and a command cannot say
different things. The table of states is in docs/operations.md; its order is the order here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from smtp_admin.senders.pauses import BY_HAND
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import day, gettext, joined, known, ngettext

Key = Literal[
    "problem", "unconfigured", "system", "system_waits", "paused_by_hand", "stopped",
    "rate_limited", "paused", "keeping", "no_worker", "limit", "late", "retrying", "failing",
    "held", "delivering", "ready",
]  # fmt: skip
#: What a state means for people: all is well, well but unproven, look at it, act, switched off.
Tone = Literal["good", "ready", "warn", "bad", "off"]
KEYS: tuple[Key, ...] = get_args(Key)
#: What a list of states calls each, where there is no room for its reason.
NAMES: dict[Key, str] = {
    "problem": gettext("Not usable"),
    "stopped": gettext("Stopped"),
    "paused": gettext("Paused"),
    "failing": gettext("Failing"),
    "no_worker": gettext("Waiting for a worker"),
    "late": gettext("Late"),
    "system_waits": gettext("Waiting for the system's sender"),
    "rate_limited": gettext("Paused, rate limit"),
    "limit": gettext("Limit reached"),
    "retrying": gettext("Tries again"),
    "held": gettext("Held"),
    "unconfigured": gettext("Not set up"),
    "paused_by_hand": gettext("Paused by hand"),
    "keeping": gettext("Keeping mail"),
    "delivering": gettext("Delivering"),
    "ready": gettext("Ready"),
    "system": gettext("Using the system's sender"),
}
#: Lists begin with what needs somebody most: by tone first, for a state may be bad or less so.
_WORST_FIRST: tuple[Key, ...] = tuple(NAMES)
_TONES: tuple[Tone, ...] = ("bad", "warn", "off", "good", "ready")
#: A pause that is longer waits for a person, and its end is no time to name.
FOR_GOOD = timedelta(days=365)
#: The states of a pause, whoever began it.
PAUSED: frozenset[Key] = frozenset({"paused_by_hand", "stopped", "rate_limited", "paused"})
#: Mail that has been due for longer than this is late; for longer than that, much too late.
LATE, TOO_LATE = timedelta(seconds=60), timedelta(minutes=10)
_JUST_NOW = timedelta(seconds=60)
_SEVERAL = 2
#: In these, mail goes out or would.
_GOES: frozenset[Key] = frozenset({"delivering", "ready", "keeping", "retrying", "held", "system"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What the state of a sender follows from, beside the sender itself.

    Attributes:
        trouble: why one of its secrets cannot be used, and what to do; empty where all can.
        workers: how many run; ``None`` if nobody can say.
        at_work: whether one is sending for it right now.
        waiting: mails in its queue; of these *due* may go now, since *due_since*, and *held* are
            kept by the sandbox. Of the rest, the next is due at *next_at*.
        limited: whether its limit is used up, *limit_until* when it goes on, and *urgent_goes*
            if the part that is kept for urgent mail is not. *used_hour* and *used_day* say how
            much of a limit is used, where there is one.
        failed: mails that failed with these settings since one was last accepted, and *refused* if
            the server itself refused them all; *last_error* is of the last one.
    """

    moment: datetime
    trouble: tuple[str, str] = ("", "")
    workers: int | None = None
    at_work: bool = False
    waiting: int = 0
    due: int = 0
    due_since: datetime | None = None
    held: int = 0
    next_at: datetime | None = None
    limited: bool = False
    limit_until: datetime | None = None
    urgent_goes: bool = False
    used_hour: int | None = None
    used_day: int | None = None
    failed: int = 0
    refused: bool = False
    last_error: str = ""

    @property
    def no_worker(self) -> bool:
        """Whether it is certain that nobody sends."""
        return self.workers == 0 and not self.at_work


@dataclass(frozen=True, slots=True)
class State:
    """In what state a sender is.

    Attributes:
        key: for programs; the words may change.
        headline: a few words.
        detail: a sentence or two, with the reason; may be empty.
        since: from when on, where that is known, and *until* when, where it ends by itself.
        waiting: mails in its queue, and *due* of them that could go now.
        used_hour: mails that count for its hourly limit, if it has one; *used_day* of the daily.
    """

    key: Key
    headline: str
    detail: str
    tone: Tone
    since: datetime | None = None
    until: datetime | None = None
    waiting: int = 0
    due: int = 0
    used_hour: int | None = None
    used_day: int | None = None

    @property
    def urgency(self) -> tuple[int, int]:
        """The lower, the sooner somebody should look: what it means, then how far it reaches."""
        return _TONES.index(self.tone), _WORST_FIRST.index(self.key)

    @property
    def sentence(self) -> str:
        """Everything in one line."""
        return joined((known(self.headline) + ".", self.detail))

    @property
    def goes(self) -> bool:
        """Whether mail goes out, or would."""
        return self.key in _GOES

    def as_json(self) -> dict[str, Any]:
        """For a script."""
        return {
            "state": self.key,
            "headline": self.headline,
            "message": self.detail,
            "tone": self.tone,
            "since": _iso(self.since),
            "until": _iso(self.until),
        }


def decide(
    sender: ResolvedSender, facts: Facts, carrier: tuple[ResolvedSender, Facts] | None = None
) -> State:
    """The state of *sender*.

    Args:
        carrier: the system's sender, where that one carries the mail while there is none of its
            own. Its facts count this partner's mail only: the rest is nobody's business here.
    """
    wrong = joined(sender.problems or facts.trouble)
    if wrong:
        return _say(facts, "problem", gettext("Not usable"), wrong, "bad")
    if not sender.configured:
        return _without_settings(facts) if carrier is None else _carried(*carrier)
    paused = sender.paused_until is not None and sender.paused_until > facts.moment
    if paused and sender.pause_code == BY_HAND:
        waits = gettext("Mail waits until someone resumes it.")
        words = joined((known(sender.pause_reason), waits))
        return _say(facts, "paused_by_hand", gettext("Paused by hand"), words, "off")
    if paused:
        return _pause(sender, facts)
    if sender.values.kind.keeps_mail:
        words = gettext("Mail is kept in the worker's memory and not sent.")
        return _say(facts, "keeping", gettext("Keeping mail"), words, "ready")
    return _sending(sender, facts)


def _without_settings(facts: Facts) -> State:
    waits = gettext("%(mails)s now.", mails=_mails(facts.waiting)) if facts.waiting else ""
    words = joined((gettext("Mail waits until a sender is set up."), waits))
    return _say(facts, "unconfigured", gettext("Not set up"), words, "warn")


def _carried(sender: ResolvedSender, facts: Facts) -> State:
    """The state for a partner whose mail goes by the system's sender; its reasons stay there."""
    found = decide(sender, facts)
    if found.key == "no_worker" and facts.waiting:
        return found
    if not found.goes and found.key != "no_worker":
        words = gettext("It cannot send mail right now. Ask the platform's operator.")
        waits = _mails(facts.waiting) + "." if facts.waiting else ""
        headline = gettext("Waiting for the system's sender")
        return _say(facts, "system_waits", headline, joined((words, waits)), "warn")
    words = gettext(
        "Mail is sent from %(address)s until you fill in this tab.",
        address=sender.values.from_email,
    )
    headline = gettext("Using the system's sender")
    if found.key == "no_worker":
        return _say(facts, "system", headline, joined((words, found.sentence)), "warn")
    return _say(facts, "system", headline, words, "ready")


def _pause(sender: ResolvedSender, facts: Facts) -> State:
    """What a pause is called that the sender began by itself."""
    until, why = sender.paused_until, known(sender.pause_text)
    if until is None or until - facts.moment > FOR_GOOD:
        headline = (
            gettext("Stopped until the login is corrected")
            if sender.pause_code == "auth_failed"
            else gettext("Stopped until the settings change")
        )
        return _say(facts, "stopped", headline, why, "bad")
    at = clock_time(until, facts.moment)
    if sender.pause_code == "rate_limited":
        headline = gettext("Paused until %(at)s, rate limit", at=at)
        return _say(facts, "rate_limited", headline, why, "warn", until=until)
    return _say(facts, "paused", gettext("Paused until %(at)s", at=at), why, "bad", until=until)


def _sending(sender: ResolvedSender, facts: Facts) -> State:
    """The state of a sender that nothing keeps from sending, but perhaps its server or a worker."""
    if facts.no_worker:
        if not facts.waiting:
            words = gettext("Mail waits until a worker runs.")
            return _say(facts, "no_worker", gettext("No worker runs"), words, "warn")
        words = gettext("None runs; %(mails)s.", mails=_mails(facts.waiting, capital=False))
        since = None if facts.limited else facts.due_since
        return _say(facts, "no_worker", gettext("Waiting for a worker"), words, "bad", since=since)
    if facts.limited:
        return _limit(facts)
    if found := _late(sender, facts) or _failing(sender, facts):
        return found
    if facts.waiting and facts.held == facts.waiting:
        headline = gettext("Held: %(mails)s", mails=_mails(facts.held, capital=False))
        words = gettext("The sandbox does not send any of it.")
        return _say(facts, "held", headline, words, "warn")
    later = _later(facts)
    if sender.last_accepted_at is None:
        words = joined((gettext("No mail has been sent yet."), later))
        return _say(facts, "ready", gettext("Ready"), words, "ready")
    when = ago(sender.last_accepted_at, facts.moment)
    if not _proven(sender):
        words = gettext(
            "No mail has been sent with these settings yet. With earlier settings, last accepted "
            "%(ago)s.",
            ago=when,
        )
        return _say(facts, "ready", gettext("Ready"), joined((words, later)), "ready")
    parts = [
        gettext("Last accepted %(ago)s by %(place)s.", ago=when, place=sender.values.place()),
        later,
    ]
    if facts.failed:
        error = known(facts.last_error)
        parts.insert(1, gettext("The mail after it failed: %(error)s", error=error))
    return _say(
        facts, "delivering", gettext("Delivering"), joined(parts), "good",
        since=sender.last_accepted_at,
    )  # fmt: skip


def _limit(facts: Facts) -> State:
    until = facts.limit_until
    headline = gettext("Limit reached")
    if until:
        headline = gettext("Limit reached, resumes at %(at)s", at=clock_time(until, facts.moment))
    waits = gettext("No mail is waiting.")
    if facts.waiting:
        waits = _mails(facts.waiting) + "."
    urgent = gettext("Urgent mail is still sent.") if facts.urgent_goes else ""
    return _say(facts, "limit", headline, joined((waits, urgent)), "warn", until=until)


def _failing(sender: ResolvedSender, facts: Facts) -> State | None:
    """Failures since the last success; one alone is no pattern, where mail went out before."""
    never = not _proven(sender)
    if not facts.failed:
        return None
    error = known(facts.last_error)
    if facts.failed == 1 and facts.waiting and (never or not facts.due):
        when = facts.next_at if not facts.due else None
        again = gettext("Trying again")
        if when:
            again = gettext("Tries again at %(at)s", at=clock_time(when, facts.moment))
        words = (
            gettext("The last mail was refused: %(error)s", error=error)
            if facts.refused
            else gettext("The last mail was not taken: %(error)s", error=error)
        )
        return _say(facts, "retrying", again, words, "warn", until=when)
    if facts.failed < _SEVERAL and not never:
        return None
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
    return _say(facts, "failing", last, joined((error, _later(facts))), "bad")


def _proven(sender: ResolvedSender) -> bool:
    """Whether mail was accepted since its settings were saved."""
    accepted, saved = sender.last_accepted_at, sender.saved_at
    return accepted is not None and (saved is None or accepted >= saved)


def _late(sender: ResolvedSender, facts: Facts) -> State | None:
    """Mail that nothing holds up and that nobody sends."""
    since, accepted = facts.due_since, sender.last_accepted_at
    if since is None or facts.at_work or facts.moment - since <= LATE:
        return None
    if accepted is not None and facts.moment - accepted < _JUST_NOW:
        return None
    span = facts.moment - since
    words = gettext(
        "Mail has been due for %(span)s, but no worker sends it.", span=span_words(span)
    )
    headline = gettext("Late: %(mails)s", mails=_mails(facts.due, capital=False))
    tone: Tone = "bad" if span > TOO_LATE else "warn"
    return _say(facts, "late", headline, words, tone, since=since)


def _later(facts: Facts) -> str:
    """That nothing of what waits may go yet."""
    if facts.due or facts.next_at is None or not facts.waiting:
        return ""
    return gettext(
        "%(mails)s, the next until %(at)s.",
        mails=_mails(facts.waiting),
        at=clock_time(facts.next_at, facts.moment),
    )


def _say(
    facts: Facts,
    key: Key,
    headline: str,
    detail: str,
    tone: Tone,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> State:
    return State(
        key, headline, detail, tone, since, until, facts.waiting, facts.due,
        facts.used_hour, facts.used_day,
    )  # fmt: skip


def _mails(count: int, *, capital: bool = True) -> str:
    if capital:
        return ngettext("One mail waits", "%(number)s mails wait", count)
    return ngettext("%(number)s mail waits", "%(number)s mails wait", count)


def clock_time(at: datetime, moment: datetime) -> str:
    """When something happens, seen from *moment*: the day is named if it is another one."""
    clock = f"{at:%H:%M} UTC"
    if at.date() == moment.date():
        return known(clock)
    return joined((day(at, year=at.year != moment.year), clock))


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


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
