"""What a mail server's answer means for the message, and for the sender.

The table of every worker's decisions. A failure of the *sender* leaves the mail
unharmed in the queue, and the sender pauses. A *temporary* one is this message's: it waits and is
tried again. A *permanent* one makes a dead letter. *Uncertain* means that the reply after the final
dot was lost: the server may have the mail or not (RFC 1047).
"""

import re

from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.reply import Reply
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict

_MISCONFIGURED_CODES = {
    "auth_failed",
    "auth_not_offered",
    "certificate_error",
    "destination_not_allowed",
    "password_required",
    "tls_not_offered",
}
# Replies that speak of the sender's rate, not of this message.
_RATE_WORDS = re.compile(
    r"rate limit|rate-limit|too many (?:messages|mails|emails)|sending limit|quota exceeded for"
    r"|exceeded (?:the|your|its)? ?(?:max|hourly|daily|sending)|throttl|max emails per hour"
    r"|maximum credits exceeded|messages? limit reached"
    r"|too many connections|too much mail from|too many recipients from",
    re.IGNORECASE,
)
_OTHERS = re.compile(r"[45]\.(?:1\.|2\.|3\.4)")
_RATE_CODES = {(421, "4.7.0"), (432, "4.3.2"), (450, "4.2.1"), (550, "5.4.5")}
# Refusals of the From domain as a whole: authentication records are missing.
_SENDER_POLICY = {"5.7.26", "5.7.27", "5.7.509", "5.7.515"}
# Refusals of the account or its address as a whole, also where they come after the dot: the next
# mail would be refused as well (docs/providers.md has whose they are).
_SENDER_STOPPED = {"5.2.252", "5.7.30", "5.7.60"}
_SENDER_WORDS = re.compile(
    r"verified sender identity|address(?:es)? (?:is|are) not verified|unconfigured sending domain"
    r"|sending (?:is )?paused|not authori[sz]ed to perform .?ses:|sendasdenied"
    r"|permissions? to send as|send as this sender|sandbox subdomains?|domain (?:is )?not verified"
    r"|requires all senders to authenticate|storedrv\.submission"
    r"|bad outbound sender",
    re.IGNORECASE,
)
# Postfix keeps a refusal of MAIL back until RCPT, where it looks like the recipient's fault.
_SENDER_AT_RCPT = re.compile(r"sender address rejected", re.IGNORECASE)
# Nor is it the recipient's fault that the server passes nothing on for us: mostly it wants a login.
NO_RELAY = re.compile(
    r"relay(?:ing)? (?:access )?(?:is )?(?:denied|disallowed|prohibited|not (?:permitted|allowed))"
    r"|(?:unable|not (?:permitted|allowed|authori[sz]ed)) to relay",
    re.IGNORECASE,
)
_CLOSING, _TOO_MUCH = 421, 552
_THIS_CONNECTION = re.compile(
    r"\b(?:per|this|one|single) (?:session|connection)|too many errors", re.IGNORECASE
)
_AUTH_REQUIRED = {530, 534, 535}


def of_opening(failure: SMTPFailure) -> Outcome:
    """A failure before ``MAIL FROM``: always the sender's, never the message's."""
    if failure.reply is not None and is_rate(failure.reply):
        health = SenderHealth.LIMITED
    elif failure.code in _MISCONFIGURED_CODES:
        health = SenderHealth.MISCONFIGURED
    else:
        health = SenderHealth.DOWN
    return Outcome(
        Verdict.RELEASED, health, failure.message, failure.reply, failure.code, opening=True
    )


def of_broken_conversation(failure: SMTPFailure, *, after_dot: bool) -> Outcome:
    """Connection lost, silence or nonsense while a message was under way.

    Before the final dot the server has nothing (RFC 5321 section 3.8); after it, nobody knows.
    """
    verdict = Verdict.UNCERTAIN if after_dot else Verdict.RELEASED
    return Outcome(verdict, SenderHealth.DOWN, failure.message, failure.reply, failure.code)


def of_mail(reply: Reply) -> Outcome:
    """A refusal of ``MAIL FROM``."""
    general = _general(reply)
    if general is not None:
        return general
    if reply.permanent and _is_about_size(reply):
        return _message_refused(reply)
    if reply.permanent:
        return Outcome(
            Verdict.PERMANENT,
            reason="The server refused the sender address.",
            reply=reply,
            code="sender_refused",
        )
    return _temporary(reply)


def of_recipient(reply: Reply) -> Outcome:
    """A refusal of ``RCPT TO``."""
    general = _general(reply)
    if general is not None:
        return general
    if reply.permanent and _SENDER_AT_RCPT.search(reply.text):
        return of_mail(reply)
    if reply.permanent and NO_RELAY.search(reply.text):
        return Outcome(
            Verdict.PERMANENT,
            reason="The server does not pass mail on for this sender.",
            reply=reply,
            code="sender_refused",
        )
    if reply.permanent:
        enhanced = reply.enhanced or ""
        # 5.1.7 and 5.1.8 speak of the sender's address (RFC 3463 section 3.2).
        bad_address = enhanced.startswith("5.1.") and enhanced not in {"5.1.7", "5.1.8"}
        return Outcome(
            Verdict.PERMANENT,
            reason="The server refused the recipient.",
            reply=reply,
            code="recipient_refused",
            bad_address=bad_address,
        )
    return _temporary(reply)


def of_data(reply: Reply) -> Outcome:
    """A reply to ``DATA`` that is not the go-ahead: nothing of the message was sent."""
    general = _general(reply)
    if general is not None:
        return general
    if reply.permanent:
        return _message_refused(reply)
    return _temporary(reply)


def of_message(reply: Reply) -> Outcome:
    """The reply after the final dot."""
    if reply.positive:
        return Outcome(Verdict.ACCEPTED, reply=reply)
    if not (reply.temporary or reply.permanent):
        # It has the mail, and did not say what becomes of it.
        return Outcome(Verdict.UNCERTAIN, SenderHealth.DOWN, _OUT_OF_TURN, reply, "not_smtp")
    general = _general(reply)
    if general is not None:
        return general
    return _message_refused(reply) if reply.permanent else _temporary(reply)


def out_of_turn(reply: Reply | None = None) -> Outcome:
    """Replies and commands no longer belong together; nothing of the message was sent."""
    return Outcome(Verdict.RELEASED, SenderHealth.DOWN, _OUT_OF_TURN, reply, "not_smtp")


_OUT_OF_TURN = "The server answered out of turn."


def _message_refused(reply: Reply) -> Outcome:
    return Outcome(
        Verdict.PERMANENT,
        reason="The server refused the message.",
        reply=reply,
        code="message_refused",
    )


def _is_about_size(reply: Reply) -> bool:
    """Whether *reply* says that the mail is too large (RFC 1870 section 6)."""
    if reply.enhanced is not None:
        return reply.enhanced in {"5.2.3", "5.3.4"}
    return reply.code == _TOO_MUCH and "size" in reply.text.lower()


def is_rate(reply: Reply) -> bool:
    """Whether *reply* says that the sender sends too fast or too much."""
    if reply.positive:
        return False
    if (reply.code, reply.enhanced) in _RATE_CODES:
        return True
    if "SubmissionQuotaExceeded" in reply.text:
        return True
    # A full mailbox and a mail that is too large "exceed" something too.
    about_others = reply.enhanced is not None and bool(_OTHERS.match(reply.enhanced))
    return not about_others and bool(_RATE_WORDS.search(reply.text))


def is_end_of_connection(reply: Reply) -> bool:
    """Whether *reply* ends this connection and says nothing against the next."""
    if reply.code != _CLOSING:
        return False
    return not is_rate(reply) or bool(_THIS_CONNECTION.search(reply.text))


def _general(reply: Reply) -> Outcome | None:
    """What a reply means wherever it comes, or ``None``."""
    if is_rate(reply):
        return Outcome(
            Verdict.RELEASED,
            SenderHealth.LIMITED,
            "The provider says that this sender sends too fast.",
            reply,
            "rate_limited",
        )
    if reply.code == _CLOSING:
        return Outcome(
            Verdict.RELEASED,
            SenderHealth.DOWN,
            "The server is closing down or overloaded.",
            reply,
            "server_refused",
        )
    if reply.code in _AUTH_REQUIRED:
        return Outcome(
            Verdict.RELEASED,
            SenderHealth.MISCONFIGURED,
            "The server wants a login for this.",
            reply,
            "auth_failed",
        )
    if reply.enhanced in _SENDER_POLICY:
        return Outcome(
            Verdict.RELEASED,
            SenderHealth.MISCONFIGURED,
            "The receiving side does not accept mail from this domain without SPF and DKIM.",
            reply,
            "sender_refused",
        )
    if reply.permanent and (reply.enhanced in _SENDER_STOPPED or _SENDER_WORDS.search(reply.text)):
        return Outcome(
            Verdict.RELEASED,
            SenderHealth.MISCONFIGURED,
            "The provider does not let this sender send: its address, domain or account is not "
            "allowed to.",
            reply,
            "sender_refused",
        )
    if not (reply.temporary or reply.permanent):
        return out_of_turn(reply)
    return None


def _temporary(reply: Reply) -> Outcome:
    return Outcome(
        Verdict.TEMPORARY,
        reason="The server asked to try again later.",
        reply=reply,
        code="server_refused",
    )
