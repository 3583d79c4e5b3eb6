"""The state of a sender, decided from facts alone: nothing is looked up here.

Every place that shows a state shows this one, so that a page, a badge and a command cannot say
different things. The table of states is in docs/operations.md; its order is the order here. What a
state is called is put into words when somebody reads it: a list sorts a thousand and shows fifty.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

from smtp_admin.sender_state import words
from smtp_admin.sender_state.basis import Facts
from smtp_admin.sender_state.words import Words
from smtp_admin.senders.pauses import BY_HAND
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext, joined, known

Key = Literal[
    "problem", "unconfigured", "system", "system_waits", "paused_by_hand", "stopped",
    "rate_limited", "paused", "keeping", "no_worker", "limit", "late", "retrying", "failing",
    "held", "test_failed", "delivering", "ready",
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
    "test_failed": gettext("Test failed"),
    "paused_by_hand": gettext("Paused by hand"),
    "unconfigured": gettext("Not set up"),
    "keeping": gettext("Keeping mail"),
    "delivering": gettext("Delivering"),
    "ready": gettext("Ready"),
    "system": gettext("Using the system's sender"),
}
#: Lists begin with what needs somebody most: by tone first, for a state may be bad or less so.
_WORST_FIRST: tuple[Key, ...] = tuple(NAMES)
_TONES: tuple[Tone, ...] = ("bad", "warn", "off", "good", "ready")
_URGENCY = {
    (tone, key): (place, number)
    for place, tone in enumerate(_TONES)
    for number, key in enumerate(_WORST_FIRST)
}
#: Where one stands that is well, but has dead letters: after all that need somebody now.
AFTER_TROUBLE = (_TONES.index("warn"), len(_WORST_FIRST))
#: A pause that is longer waits for a person, and its end is no time to name.
FOR_GOOD = timedelta(days=365)
#: The states of a pause, whoever began it.
PAUSED: frozenset[Key] = frozenset({"paused_by_hand", "stopped", "rate_limited", "paused"})
#: Mail that has been due for longer than this is late; for longer than that, much too late.
LATE, TOO_LATE = timedelta(seconds=60), timedelta(minutes=10)
_JUST_NOW = timedelta(seconds=60)
_SEVERAL = 2
#: In these, mail goes out or would.
_GOES: frozenset[Key] = frozenset(
    {"delivering", "ready", "keeping", "retrying", "held", "test_failed", "system"}
)


class State(NamedTuple):
    """In what state a sender is.

    Attributes:
        key: for programs; the words may change.
        facts: what it follows from. Of a sender that others use too, they are this owner's alone.
        said: makes its headline and its detail.
        since: from when on, where that is known, and *until* when, where it ends by itself.
    """

    key: Key
    tone: Tone
    facts: Facts
    said: Callable[[], Words]
    since: datetime | None = None
    until: datetime | None = None

    @property
    def headline(self) -> str:
        """A few words."""
        return self.said()[0]

    @property
    def detail(self) -> str:
        """A sentence or two, with the reason; may be empty."""
        return self.said()[1]

    @property
    def waiting(self) -> int:
        """Mails in its queue."""
        return self.facts.waiting

    @property
    def due(self) -> int:
        """How many of them could go now."""
        return self.facts.due

    @property
    def used_hour(self) -> int | None:
        """Mails that count for its hourly limit, if it has one."""
        return self.facts.used_hour

    @property
    def used_day(self) -> int | None:
        """The same of the daily one."""
        return self.facts.used_day

    @property
    def urgency(self) -> tuple[int, int]:
        """The lower, the sooner somebody should look: what it means, then how far it reaches.

        One that is not set up is no trouble until mail waits for it.
        """
        idle = self.key == "unconfigured" and not self.waiting
        return _URGENCY["off" if idle else self.tone, self.key]

    @property
    def sentence(self) -> str:
        """Everything in one line."""
        headline, detail = self.said()
        return joined((known(headline) + ".", detail))

    @property
    def goes(self) -> bool:
        """Whether mail goes out, or would."""
        return self.key in _GOES

    def as_json(self) -> dict[str, Any]:
        """For a script."""
        headline, detail = self.said()
        return {
            "state": self.key,
            "headline": headline,
            "message": detail,
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
    if sender.problems or any(facts.trouble):
        wrong = sender.problems or facts.trouble
        return State("problem", "bad", facts, partial(words.not_usable, wrong))
    if not sender.configured:
        if carrier is not None:
            return _carried(*carrier)
        return State("unconfigured", "warn", facts, partial(words.not_set_up, facts.waiting))
    if sender.paused_until is not None and sender.paused_until > facts.moment:
        return _pause(sender, facts, sender.paused_until)
    if sender.values.kind.keeps_mail:
        return State("keeping", "ready", facts, words.keeping)
    if facts.no_worker:
        return _without_worker(facts)
    if facts.limited:
        return _limit(sender, facts)
    return _late(sender, facts) or _failing(sender, facts) or _well(sender, facts)


def _carried(sender: ResolvedSender, facts: Facts) -> State:
    """The state for a partner whose mail goes by the system's sender; its reasons stay there."""
    found = decide(sender, facts)
    if found.key == "no_worker" and facts.waiting:
        return found
    if not found.goes and found.key != "no_worker":
        return State("system_waits", "warn", facts, partial(words.system_waits, facts.waiting))
    said = partial(words.by_system, sender.values.from_email)
    if found.key == "no_worker":
        return State("system", "warn", facts, partial(said, found.said))
    return State("system", "ready", facts, said)


def _pause(sender: ResolvedSender, facts: Facts, until: datetime) -> State:
    """What a pause is called, and whether somebody must end it."""
    if sender.pause_code == BY_HAND:
        return State("paused_by_hand", "off", facts, partial(words.by_hand, sender))
    if until - facts.moment > FOR_GOOD:
        return State("stopped", "bad", facts, partial(words.stopped, sender))
    said = partial(words.paused, sender, until, facts.moment)
    if sender.pause_code == "rate_limited":
        return State("rate_limited", "warn", facts, said, until=until)
    return State("paused", "bad", facts, said, until=until)


def _limit(sender: ResolvedSender, facts: Facts) -> State:
    said = partial(words.limit, sender, facts)
    return State("limit", "warn", facts, said, until=facts.limit_until)


def _without_worker(facts: Facts) -> State:
    said = partial(words.no_worker, facts.waiting)
    if not facts.waiting:
        return State("no_worker", "warn", facts, said)
    since = None if facts.limited else facts.due_since
    return State("no_worker", "bad", facts, said, since)


def _well(sender: ResolvedSender, facts: Facts) -> State:
    """The state of a sender that nothing keeps from sending."""
    if facts.waiting and facts.held == facts.waiting:
        return State("held", "warn", facts, partial(words.held, facts.held))
    if not is_proven(sender):
        if facts.tested is False:
            return State("test_failed", "bad", facts, partial(words.test_failed, facts))
        return State("ready", "ready", facts, partial(words.ready, sender, facts))
    said = partial(words.delivering, sender, facts)
    return State("delivering", "good", facts, said, sender.last_accepted_at)


def _failing(sender: ResolvedSender, facts: Facts) -> State | None:
    """Failures since the last success; one alone is no pattern, where mail went out before."""
    if not facts.failed:
        return None
    never = not is_proven(sender)
    if facts.failed == 1 and facts.waiting and (never or not facts.due):
        when = facts.next_at if not facts.due else None
        return State("retrying", "warn", facts, partial(words.retrying, facts, when), until=when)
    if facts.failed < _SEVERAL and not never:
        return None
    return State("failing", "bad", facts, partial(words.failing, facts))


def is_proven(sender: ResolvedSender) -> bool:
    """Whether mail was accepted since its settings were saved."""
    accepted, saved = sender.last_accepted_at, sender.saved_at
    return accepted is not None and (saved is None or accepted >= saved)


def _late(sender: ResolvedSender, facts: Facts) -> State | None:
    """Mail that nothing holds up and that nobody sends."""
    since, accepted = _could_go_since(sender, facts), sender.last_accepted_at
    if since is None or facts.at_work or facts.moment - since <= LATE:
        return None
    if accepted is not None and facts.moment - accepted < _JUST_NOW:
        return None
    span = facts.moment - since
    tone: Tone = "bad" if span > TOO_LATE else "warn"
    return State("late", tone, facts, partial(words.late, facts.due, span), since)


def _could_go_since(sender: ResolvedSender, facts: Facts) -> datetime | None:
    """Since when mail is due that nothing held up: not before the sender was set up and resumed.

    A pause that ended by itself is over since the time that it was to end.
    """
    if facts.due_since is None:
        return None
    held_up = (sender.saved_at, sender.resumed_at, sender.paused_until)
    return max([facts.due_since, *(one for one in held_up if one is not None)])


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
