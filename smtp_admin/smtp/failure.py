"""How talking to a mail server can fail: a stable code, the step, the server's words."""

from collections.abc import Mapping
from typing import Literal, get_args

from smtp_admin.errors import SMTPAdminError
from smtp_admin.smtp.reply import Reply

Code = Literal[
    "missing_host",
    "invalid_input",
    "destination_not_allowed",
    "password_required",
    "dns_failed",
    "connection_refused",
    "unreachable",
    "timeout",
    "not_smtp",
    "tls_not_offered",
    "tls_failed",
    "certificate_error",
    "auth_not_offered",
    "auth_failed",
    "token_refused",
    "token_unavailable",
    "sender_refused",
    "server_refused",
    "connection_lost",
    "rate_limited",
    "program_missing",
    "program_refused",
    "program_failed",
    "not_api",
]
CODES: tuple[str, ...] = get_args(Code)


class SMTPFailure(SMTPAdminError):
    """A conversation with a mail server failed.

    Args:
        code: what went wrong, stable over versions.
        step: where in the conversation, by a name of the driver's test.
        message: one sentence for a person.
        hint: what to do about it.
        reply: the server's reply, if one caused it. Secrets in it are already redacted.
        cause: the key of what is behind it, where that is known beyond the code.
        facts: what belongs to it by name, for texts: the names in a certificate, a limit.
    """

    def __init__(
        self,
        code: Code,
        step: str,
        message: str,
        *,
        hint: str = "",
        reply: Reply | None = None,
        cause: str = "",
        facts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code: Code = code
        self.step = step
        self.reply = reply
        self.cause = cause
        self.facts: Mapping[str, str] = facts or {}

    def __str__(self) -> str:
        words = f"{self.message} ({self.reply})" if self.reply else self.message
        return f"{words} [{self.code} at {self.step}]"
