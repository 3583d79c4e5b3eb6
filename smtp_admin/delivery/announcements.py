"""Tell the log and the host what became of mail, after it was committed."""

import logging

from flask import Flask

from smtp_admin import signals
from smtp_admin.delivery.record import Recorded
from smtp_admin.settings.sender import ResolvedSender
from smtp_admin.smtp.classes import Outcome

log = logging.getLogger(__name__)


def announce(app: Flask, sender: ResolvedSender, recorded: Recorded) -> None:
    """Send a signal for each mail that reached its end, and for a sender that paused."""
    for result, decision in recorded.entries:
        one, outcome = result.delivery, result.outcome
        if decision.state == "sent":
            signals.delivery_sent.send(
                app,
                message_id=one.public_id,
                recipient=one.recipient,
                partner_id=one.partner_id,
            )
            continue
        log.info("mail %s: %s, %s", one.public_id, decision.state, outcome.code)
        if decision.state == "dead":
            signals.delivery_dead.send(
                app,
                message_id=one.public_id,
                recipient=one.recipient,
                partner_id=one.partner_id,
                reason=outcome.reason,
            )
    if recorded.paused:
        announce_pause(app, sender, recorded.entries[-1][0].outcome)


def announce_pause(app: Flask, sender: ResolvedSender, outcome: Outcome) -> None:
    """The sender paused, for the reason that *outcome* gives."""
    log.error(
        "the sender of partner %r paused: %s %s [%s]",
        sender.partner_id,
        outcome.reason,
        outcome.reply or "",
        outcome.code,
    )
    signals.sender_paused.send(
        app,
        sender_id=sender.sender_id,
        partner_id=sender.partner_id,
        code=outcome.code,
        reason=outcome.reason,
    )
