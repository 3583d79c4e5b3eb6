"""Tell the log and the host what became of mail, after it was committed."""

import logging
from dataclasses import dataclass
from typing import Any

from blinker import NamedSignal
from flask import Flask

from smtp_admin import signals
from smtp_admin.delivery.record import Recorded
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.transports.outcome import Outcome

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A mail to one recipient that will not be tried again by itself.

    Attributes:
        code: what went wrong, as everywhere.
        reason: a sentence.
    """

    public_id: str
    recipient: str
    partner_id: str
    code: str
    reason: str


def announce(app: Flask, sender: ResolvedSender, recorded: Recorded) -> None:
    """Send a signal for each mail that reached its end, and for a sender that paused."""
    somebody_hears = bool(signals.delivery_sent.receivers)
    for result, decision in recorded.entries:
        if decision.state == "sent" and not somebody_hears:
            continue
        one, outcome = result.delivery, result.outcome
        if decision.state == "sent":
            tell(
                app,
                signals.delivery_sent,
                public_id=one.public_id,
                recipient=one.recipient,
                partner_id=one.partner_id,
            )
            continue
        if decision.state == "dead":
            announce_dead(
                app,
                DeadLetter(
                    one.public_id, one.recipient, one.partner_id, outcome.code, outcome.reason
                ),
            )
            continue
        log.info("mail %s: %s, %s", one.public_id, decision.state, outcome.code)
    if recorded.paused:
        announce_pause(app, sender, recorded.entries[-1][0].outcome)


def announce_dead(app: Flask, letter: DeadLetter) -> None:
    """A mail ended as a dead letter."""
    log.info("mail %s: dead, %s", letter.public_id, letter.code)
    tell(
        app,
        signals.delivery_dead,
        public_id=letter.public_id,
        recipient=letter.recipient,
        partner_id=letter.partner_id,
        reason=letter.reason,
    )


def announce_pause(app: Flask, sender: ResolvedSender, outcome: Outcome) -> None:
    """The sender paused, for the reason that *outcome* gives."""
    log.error(
        "the sender %s of partner %r paused: %s %s [%s]",
        sender.name,
        sender.partner_id,
        outcome.reason,
        outcome.reply or "",
        outcome.code,
    )
    tell(
        app,
        signals.sender_paused,
        sender_id=sender.sender_id,
        partner_id=sender.partner_id,
        code=outcome.code,
        reason=outcome.reason,
    )


def tell(app: Flask, signal: NamedSignal, **about: Any) -> None:
    """Send *signal*; no mail waits for the mistakes of whoever hears it."""
    if not signal.receivers:
        return
    try:
        # A context of its own: a transaction that is left open in it ends with it.
        with app.app_context():
            signal.send(app, **about)
    except Exception:
        log.exception("a receiver of the signal %s failed", signal.name)
