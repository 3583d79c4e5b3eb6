"""What a mail server's answer means for the message, and for the sender.

A failure of the *sender* leaves the mail unharmed in the queue, and the sender pauses. A
*temporary* one is this message's: it waits and is tried again. A *permanent* one makes a dead
letter. *Uncertain* means that the reply after the final dot was lost: the server may have the mail
or not (RFC 1047). Refusals are judged by the table of :mod:`smtp_admin.replies`; what stands here
is what no reply decides.
"""

from dataclasses import replace

from smtp_admin.credentials.token_failure import TokenFailure
from smtp_admin.http.connection import BrokenBy
from smtp_admin.replies.meaning import NOTHING_KNOWN, OPENING, Context, Judgement, Step
from smtp_admin.replies.row import SETTINGS
from smtp_admin.replies.table import Table
from smtp_admin.smtp.failure import Code, SMTPFailure
from smtp_admin.smtp.reply import Reply
from smtp_admin.translation import gettext
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict

_MISCONFIGURED_CODES = {
    "auth_failed",
    "auth_not_offered",
    "certificate_error",
    "destination_not_allowed",
    "password_required",
    "tls_not_offered",
    "token_refused",
}
_GATEWAY_TIMEOUT = 504
_NO_ANSWER = gettext("The provider did not answer in time.")
STRANGE = gettext("The answer is not one that the provider's API gives.")
_BROKEN = {
    "timeout": _NO_ANSWER,
    "connection_lost": gettext("The provider closed the connection."),
    "not_api": STRANGE,
}
_OUT_OF_TURN = gettext("The server's answer does not match the command.")


def recognise(
    failure: SMTPFailure, replies: Table, context: Context = NOTHING_KNOWN
) -> Judgement | None:
    """Give a failure before ``MAIL FROM`` the code and cause that the table has for its reply.

    Returns:
        What the table said, if it was a refusal that failed.
    """
    step: Step | None = next((one for one in OPENING if one == failure.step), None)
    reply = failure.reply
    if step is None or reply is None or not (reply.temporary or reply.permanent):
        return None
    found = replies.judge(step, reply, context)
    if found.code != failure.code:
        failure.code = code_of(found)
        failure.message = found.reason
    failure.cause, failure.facts = found.cause, found.facts
    return found


def of_opening(failure: SMTPFailure, replies: Table, context: Context = NOTHING_KNOWN) -> Outcome:
    """A failure before ``MAIL FROM``: always the sender's, never the message's."""
    judged = recognise(failure, replies, context)
    if judged is not None:
        return _outcome(judged, failure.reply, reason=failure.message, opening=True)
    misconfigured = failure.code in _MISCONFIGURED_CODES
    health = SenderHealth.MISCONFIGURED if misconfigured else SenderHealth.DOWN
    return Outcome(
        Verdict.RELEASED,
        health,
        failure.message,
        failure.reply,
        failure.code,
        opening=True,
        cause=failure.cause,
        pause=_pause_of_token(failure),
        facts=failure.facts,
    )


def _pause_of_token(failure: SMTPFailure) -> float | None:
    """How long no token is asked for; ``None`` for what is usual."""
    if not isinstance(failure, TokenFailure):
        return None
    return SETTINGS if failure.dead else failure.retry_after


def of_broken_conversation(failure: SMTPFailure, *, after_dot: bool) -> Outcome:
    """Connection lost, silence or nonsense while a message was under way.

    Before the final dot the server has nothing (RFC 5321 section 3.8); after it, nobody knows.
    """
    verdict = Verdict.UNCERTAIN if after_dot else Verdict.RELEASED
    return Outcome(verdict, SenderHealth.DOWN, failure.message, failure.reply, failure.code)


def of_reply(step: Step, reply: Reply, replies: Table, context: Context = NOTHING_KNOWN) -> Outcome:
    """What a reply at *step* means that is not the go-ahead; at ``dot`` any reply."""
    if reply.temporary or reply.permanent:
        return _outcome(replies.judge(step, reply, context), reply)
    if step != "dot":
        return out_of_turn(reply)
    if reply.positive:
        return Outcome(Verdict.ACCEPTED, reply=reply)
    # It has the mail, and did not say what becomes of it.
    return Outcome(Verdict.UNCERTAIN, SenderHealth.DOWN, _OUT_OF_TURN, reply, "not_smtp")


def of_answer(
    reply: Reply, replies: Table, context: Context = NOTHING_KNOWN, *, pause: float | None = None
) -> Outcome:
    """What it means that an API refused a mail.

    Args:
        reply: the status, and the provider's words.
        pause: how many seconds the provider asks to wait, if it does.
    """
    if reply.code == _GATEWAY_TIMEOUT:
        # A machine in between heard no answer; whoever was behind it may have taken the mail.
        return Outcome(
            Verdict.UNCERTAIN, SenderHealth.DOWN, _NO_ANSWER, reply, "timeout", cause="api_silent"
        )
    if not (reply.temporary or reply.permanent):
        return Outcome(Verdict.RELEASED, SenderHealth.DOWN, STRANGE, reply, "not_api")
    outcome = _outcome(replies.judge("api", reply, context), reply)
    waits = pause is not None and outcome.verdict is not Verdict.PERMANENT
    return replace(outcome, pause=pause) if waits else outcome


def of_broken_call(code: BrokenBy, *, sent: bool) -> Outcome:
    """A call of an API broke off.

    Args:
        sent: whether all of the mail had left.
    """
    verdict = Verdict.UNCERTAIN if sent else Verdict.RELEASED
    cause = "" if code == "not_api" else "api_silent"
    return Outcome(verdict, SenderHealth.DOWN, _BROKEN[code], code=code, cause=cause)


def strange_answer(reply: Reply) -> Outcome:
    """The whole mail was sent, and what was answered says neither yes nor no."""
    return Outcome(Verdict.UNCERTAIN, SenderHealth.DOWN, STRANGE, reply, "not_api")


def out_of_turn(reply: Reply | None = None) -> Outcome:
    """Replies and commands no longer belong together; nothing of the message was sent."""
    return Outcome(Verdict.RELEASED, SenderHealth.DOWN, _OUT_OF_TURN, reply, "not_smtp")


def code_of(judged: Judgement) -> Code:
    """The code that a connection test has for what the table says."""
    code: Code
    if judged.code in {"recipient_refused", "message_refused"}:
        return "sender_refused"
    code = judged.code  # type: ignore[assignment]  # the table's reader has checked it
    return code


def _outcome(
    judged: Judgement, reply: Reply | None, *, reason: str = "", opening: bool = False
) -> Outcome:
    return Outcome(
        judged.verdict,
        judged.health,
        reason or judged.reason,
        reply,
        judged.code,
        judged.bad_address,
        opening,
        judged.cause,
        judged.pause,
        judged.recognised,
        judged.worn,
        judged.facts,
    )
