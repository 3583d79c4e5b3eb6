"""Replies that no row knows: treated by their class, the first digit, and by what was asked."""

from smtp_admin.replies.meaning import Judgement, SenderHealth, Step, Verdict
from smtp_admin.smtp.reply import Reply
from smtp_admin.translation import gettext

#: Statuses of HTTP (RFC 9110, RFC 6585) with a meaning of their own here.
_UNAUTHORIZED, _FORBIDDEN, _TIMEOUT, _TOO_EARLY, _TOO_MANY = 401, 403, 408, 425, 429
_SERVER_ERROR = 500
_LATER = gettext("The server asked to try again later.")
_MESSAGE = gettext("The server refused the message.")


def by_class(step: Step, reply: Reply) -> Judgement:
    """What a refusal means of which only its first digit is known: safe for mail and sender.

    Before there is a mail it is the sender's affair, and soon tried again; only a refused login
    is not, because each try brings a lock-out nearer.
    """
    if step == "api":
        return _by_status(reply.code)
    if step in _OPENING:
        return _OPENING[step] if reply.permanent or step != "auth" else _LOGINS_AWAY
    return _FOR_GOOD[step] if reply.permanent else _FOR_NOW


def is_for_good(step: Step, reply: Reply) -> bool:
    """Whether the same will be refused again: by SMTP's first digit, or by HTTP's status."""
    if step != "api":
        return reply.permanent
    return reply.temporary and reply.code not in {_TIMEOUT, _TOO_EARLY, _TOO_MANY}


def _by_status(status: int) -> Judgement:
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return _opening("auth_failed", "The provider refused the key.", SenderHealth.MISCONFIGURED)
    if status == _TOO_MANY:
        return _opening(
            "rate_limited",
            "The provider says that this sender sends too fast.",
            SenderHealth.LIMITED,
        )
    if status == _SERVER_ERROR:
        # It may be this mail that it cannot digest.
        return Judgement(
            "server_refused",
            Verdict.TEMPORARY,
            SenderHealth.FINE,
            "failed",
            "The provider reports a fault of its own.",
        )
    if status > _SERVER_ERROR or status in {_TIMEOUT, _TOO_EARLY}:
        return _opening("server_refused", "The provider does not answer calls right now.")
    return Judgement(
        "message_refused",
        Verdict.PERMANENT,
        SenderHealth.FINE,
        "failed",
        "The provider refused the message.",
    )


def _opening(code: str, reason: str, health: SenderHealth = SenderHealth.DOWN) -> Judgement:
    return Judgement(code, Verdict.RELEASED, health, "failed", reason)


_OPENING: dict[Step, Judgement] = {
    "greeting": _opening(
        "server_refused", gettext("The server does not accept connections from here right now.")
    ),
    "ehlo": _opening("server_refused", gettext("The server refused our name in EHLO.")),
    "starttls": _opening(
        "tls_failed", gettext("The server offers encryption but did not start it.")
    ),
    "auth": _opening(
        "auth_failed",
        gettext("The server refused the user name or password."),
        SenderHealth.MISCONFIGURED,
    ),
}
_LOGINS_AWAY = _opening("server_refused", gettext("The server cannot check logins right now."))
_FOR_NOW = Judgement("server_refused", Verdict.TEMPORARY, SenderHealth.FINE, "warning", _LATER)
_FOR_GOOD: dict[Step, Judgement] = {
    "mail": Judgement(
        "sender_refused",
        Verdict.PERMANENT,
        SenderHealth.FINE,
        "failed",
        gettext("The server refused the sender address."),
    ),
    "rcpt": Judgement(
        "recipient_refused",
        Verdict.PERMANENT,
        SenderHealth.FINE,
        "warning",
        gettext("The server refused the recipient."),
    ),
    "data": Judgement("message_refused", Verdict.PERMANENT, SenderHealth.FINE, "failed", _MESSAGE),
    "dot": Judgement("message_refused", Verdict.PERMANENT, SenderHealth.FINE, "failed", _MESSAGE),
    # It did not forget the mail before: a new connection has none to forget.
    "rset": Judgement(
        "server_refused", Verdict.RELEASED, SenderHealth.DOWN, "warning", _LATER, worn=True
    ),
}
