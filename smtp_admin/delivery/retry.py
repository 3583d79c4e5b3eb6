"""What an outcome means for a delivery and for its sender: the decisions, without any I/O."""

from dataclasses import dataclass
from datetime import timedelta

from smtp_admin.config import Config
from smtp_admin.delivery.states import State
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict

#: A conversation that breaks off again and again over one message is that message's fault.
MOST_RELEASES = 5
#: How long an unknown outcome rests before the mail is sent again.
UNCERTAIN_REST = timedelta(seconds=60)
#: A sender that is down: after one, two, three … pauses in a row.
_DOWN_PAUSES = (timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=5))
_DOWN_LONGEST = timedelta(minutes=15)
_MISCONFIGURED_PAUSE = timedelta(hours=1)
_LIMITED_PAUSE = timedelta(minutes=5)
#: Until somebody changes the settings: each try with a wrong password brings a lock-out nearer.
UNTIL_CHANGED = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a delivery goes from ``sending``.

    Attributes:
        delay: when it is next due, from now.
    """

    state: State
    attempts: int
    releases: int
    uncertains: int
    delay: timedelta = timedelta()


def decide(
    outcome: Outcome,
    *,
    attempts: int,
    releases: int,
    uncertains: int,
    on_uncertain: str,
    config: Config,
) -> Decision:
    """What becomes of a delivery, given its *outcome* and how often it was tried before."""
    verdict = outcome.verdict
    if verdict is Verdict.ACCEPTED:
        return Decision("sent", attempts, releases, uncertains)
    if verdict is Verdict.RELEASED:
        # Only what broke off during this very message can be its fault.
        blamed = outcome.health is SenderHealth.DOWN and not outcome.opening
        if not (blamed and releases + 1 > MOST_RELEASES):
            return Decision("queued", attempts, releases + int(blamed), uncertains)
        verdict = Verdict.TEMPORARY
    if verdict is Verdict.UNCERTAIN:
        again = on_uncertain == "resend"
        if again and uncertains >= 1:
            # Sent twice, confirmed never: a person must decide whether it arrived.
            return Decision("dead", attempts, releases, uncertains + 1)
        rest = UNCERTAIN_REST if again else timedelta()
        return Decision("uncertain", attempts, releases, uncertains + 1, rest)
    if verdict is Verdict.PERMANENT or attempts + 1 > config.retry_attempts:
        return Decision("dead", attempts + 1, releases, uncertains)
    # A server that says when to come again is not asked before.
    asked = timedelta(seconds=outcome.pause or 0)
    delay = max(asked, backoff(attempts + 1, config))
    return Decision("queued", attempts + 1, releases, uncertains, delay)


def backoff(attempts: int, config: Config) -> timedelta:
    """How long to wait after the *attempts*-th failed send."""
    seconds = config.retry_delay * config.retry_factor ** (attempts - 1)
    return timedelta(seconds=min(seconds, 7 * 24 * 3600))


def pause_for(outcome: Outcome, pauses: int) -> timedelta | None:
    """How long the sender rests after *outcome*, having paused *pauses* times in a row before."""
    if outcome.health is SenderHealth.FINE:
        return None
    if outcome.pause is not None:
        return timedelta(seconds=outcome.pause)
    if outcome.health is SenderHealth.LIMITED:
        return _LIMITED_PAUSE
    if outcome.health is SenderHealth.MISCONFIGURED:
        return UNTIL_CHANGED if outcome.code == "auth_failed" else _MISCONFIGURED_PAUSE
    return _DOWN_PAUSES[pauses] if pauses < len(_DOWN_PAUSES) else _DOWN_LONGEST
