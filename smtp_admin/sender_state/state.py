"""The state of a sender, decided from facts alone: nothing is looked up here.

Every place that shows a state shows this one, so that a page, a badge and a command cannot say
different things. The table of states is in docs/operations.md; its order is the order here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from smtp_admin.senders.pauses import BY_HAND
from smtp_admin.senders.resolve import ResolvedSender

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
    "problem": "Not usable",
    "stopped": "Stopped",
    "paused": "Paused",
    "failing": "Failing",
    "no_worker": "Waiting for a worker",
    "late": "Late",
    "system_waits": "Waiting for the system's sender",
    "rate_limited": "Paused, rate limit",
    "limit": "Limit reached",
    "retrying": "Tries again",
    "held": "Held",
    "unconfigured": "Not set up",
    "paused_by_hand": "Paused by hand",
    "keeping": "Keeping mail",
    "delivering": "Delivering",
    "ready": "Ready",
    "system": "Using the system's sender",
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
        return f"{self.headline}. {self.detail}" if self.detail else f"{self.headline}."

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
    wrong = " ".join(sender.problems or facts.trouble).strip()
    if wrong:
        return _say(facts, "problem", "Not usable", wrong, "bad")
    if not sender.configured:
        return _without_settings(facts) if carrier is None else _carried(*carrier)
    paused = sender.paused_until is not None and sender.paused_until > facts.moment
    if paused and sender.pause_code == BY_HAND:
        words = f"{sender.pause_reason} Mail waits until someone resumes it."
        return _say(facts, "paused_by_hand", "Paused by hand", words.strip(), "off")
    if paused:
        return _pause(sender, facts)
    if sender.values.kind.keeps_mail:
        words = "Mail is kept in the worker's memory and not sent."
        return _say(facts, "keeping", "Keeping mail", words, "ready")
    return _sending(sender, facts)


def _without_settings(facts: Facts) -> State:
    waits = f" {_mails(facts.waiting)} now." if facts.waiting else ""
    return _say(
        facts, "unconfigured", "Not set up", f"Mail waits until a sender is set up.{waits}", "warn"
    )


def _carried(sender: ResolvedSender, facts: Facts) -> State:
    """The state for a partner whose mail goes by the system's sender; its reasons stay there."""
    found = decide(sender, facts)
    if found.key == "no_worker" and facts.waiting:
        return found
    if not found.goes and found.key != "no_worker":
        waits = f" {_mails(facts.waiting)}." if facts.waiting else ""
        words = "It cannot send mail right now. Ask the platform's operator."
        return _say(facts, "system_waits", "Waiting for the system's sender", words + waits, "warn")
    words = f"Mail is sent from {sender.values.from_email} until you fill in this tab."
    if found.key == "no_worker":
        return _say(
            facts, "system", "Using the system's sender", f"{words} {found.sentence}", "warn"
        )
    return _say(facts, "system", "Using the system's sender", words, "ready")


def _pause(sender: ResolvedSender, facts: Facts) -> State:
    """What a pause is called that the sender began by itself."""
    until = sender.paused_until
    if until is None or until - facts.moment > FOR_GOOD:
        what = "login is corrected" if sender.pause_code == "auth_failed" else "settings change"
        return _say(facts, "stopped", f"Stopped until the {what}", sender.pause_text, "bad")
    at = clock_time(until, facts.moment)
    if sender.pause_code == "rate_limited":
        return _say(
            facts, "rate_limited", f"Paused until {at}, rate limit", sender.pause_text, "warn",
            until=until,
        )  # fmt: skip
    return _say(facts, "paused", f"Paused until {at}", sender.pause_text, "bad", until=until)


def _sending(sender: ResolvedSender, facts: Facts) -> State:
    """The state of a sender that nothing keeps from sending, but perhaps its server or a worker."""
    if facts.no_worker:
        if not facts.waiting:
            return _say(
                facts, "no_worker", "No worker runs", "Mail waits until a worker runs.", "warn"
            )
        words = f"None runs; {_mails(facts.waiting, capital=False)}."
        since = None if facts.limited else facts.due_since
        return _say(facts, "no_worker", "Waiting for a worker", words, "bad", since=since)
    if facts.limited:
        return _limit(facts)
    if found := _late(sender, facts) or _failing(sender, facts):
        return found
    if facts.waiting and facts.held == facts.waiting:
        words = "The sandbox does not send any of it."
        return _say(facts, "held", f"Held: {_mails(facts.held, capital=False)}", words, "warn")
    later = _later(facts)
    if sender.last_accepted_at is None:
        words = f"No mail has been sent yet.{later}"
        return _say(facts, "ready", "Ready", words, "ready")
    when = ago(sender.last_accepted_at, facts.moment)
    if not _proven(sender):
        words = (
            "No mail has been sent with these settings yet. With earlier settings, "
            f"last accepted {when}."
        )
        return _say(facts, "ready", "Ready", words + later, "ready")
    words = f"Last accepted {when} by {sender.values.place()}."
    if facts.failed:
        words += f" The mail after it failed: {facts.last_error}"
    return _say(
        facts, "delivering", "Delivering", words + later, "good", since=sender.last_accepted_at
    )


def _limit(facts: Facts) -> State:
    until = facts.limit_until
    goes_on = f", resumes at {clock_time(until, facts.moment)}" if until else ""
    waits = f"{_mails(facts.waiting)}." if facts.waiting else "No mail is waiting."
    words = f"{waits} Urgent mail is still sent." if facts.urgent_goes else waits
    return _say(facts, "limit", f"Limit reached{goes_on}", words, "warn", until=until)


def _failing(sender: ResolvedSender, facts: Facts) -> State | None:
    """Failures since the last success; one alone is no pattern, where mail went out before."""
    never = not _proven(sender)
    if not facts.failed:
        return None
    how = "refused" if facts.refused else "not taken"
    if facts.failed == 1 and facts.waiting and (never or not facts.due):
        when = facts.next_at if not facts.due else None
        again = f"Tries again at {clock_time(when, facts.moment)}" if when else "Trying again"
        words = f"The last mail was {how}: {facts.last_error}"
        return _say(facts, "retrying", again, words, "warn", until=when)
    if facts.failed >= _SEVERAL:
        last = f"Failing: the last {facts.failed:,} were {how}"
    elif never:
        last = f"Failing: the last mail was {how}"
    else:
        return None
    return _say(facts, "failing", last, f"{facts.last_error}{_later(facts)}", "bad")


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
    words = f"Mail has been due for {span_words(span)}, but no worker sends it."
    tone: Tone = "bad" if span > TOO_LATE else "warn"
    return _say(facts, "late", f"Late: {_mails(facts.due, capital=False)}", words, tone,
                since=since)  # fmt: skip


def _later(facts: Facts) -> str:
    """That nothing of what waits may go yet."""
    if facts.due or facts.next_at is None or not facts.waiting:
        return ""
    return f" {_mails(facts.waiting)}, the next until {clock_time(facts.next_at, facts.moment)}."


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
    words = "mail waits" if count == 1 else "mails wait"
    return f"{count:,} {words}" if count != 1 or not capital else f"One {words}"


def clock_time(at: datetime, moment: datetime) -> str:
    """When something happens, seen from *moment*: the day is named if it is another one."""
    if at.date() == moment.date():
        return f"{at:%H:%M} UTC"
    year = f" {at.year}" if at.year != moment.year else ""
    return f"{at.day} {at:%b}{year} {at:%H:%M} UTC"


def ago(at: datetime, moment: datetime) -> str:
    """How long before *moment* that was, in words."""
    seconds = max(0, int((moment - at).total_seconds()))
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        count = seconds // size
        if count:
            return f"{count} {word}{'' if count == 1 else 's'} ago"
    return "just now"


def span_words(time: timedelta) -> str:
    """How long something lasts, in two units at most."""
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
