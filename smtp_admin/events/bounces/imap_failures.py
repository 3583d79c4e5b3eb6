"""What it means that a conversation over IMAP fails, in the words of a test of the connection.

A hostile or chatty server may repeat the login. Its words are shown, kept and mailed, so secrets
are taken out of them here.
"""

import imaplib
from typing import Any

from smtp_admin.smtp import explain
from smtp_admin.smtp.failure import Code, SMTPFailure
from smtp_admin.smtp.redaction import Redactor, printable
from smtp_admin.smtp.wire import WireClosed, WireGarbage, WireTimeout
from smtp_admin.translation import gettext

#: Whatever Python's client and the wire raise.
ANY = (imaplib.IMAP4.error, WireClosed, WireTimeout, WireGarbage, OSError, ValueError)


def failure(step: str, error: Exception, redact: Redactor) -> SMTPFailure:
    """What *error* at *step* comes to."""
    if isinstance(error, imaplib.IMAP4.abort | WireClosed):
        return explain.of_wire(step, WireClosed())
    if isinstance(error, WireTimeout):
        return explain.of_wire(step, error)
    if isinstance(error, WireGarbage | ValueError):
        return SMTPFailure(
            "not_smtp",
            step,
            gettext("The answer does not come from an IMAP server, or the server is broken."),
            hint=gettext("Check host and port: 993 with SSL or 143 with STARTTLS are usual."),
        )
    if isinstance(error, imaplib.IMAP4.error):
        if step == "tls":
            return SMTPFailure("tls_not_offered", step, gettext("The server offers no STARTTLS."))
        words = gettext("The server refused it.")
        return refused("server_refused", step, words, error.args, redact)
    return explain.of_wire(step, WireClosed())


def refused(
    code: Code, step: str, message: str, said: Any, redact: Redactor, *, hint: str = ""
) -> SMTPFailure:
    """*message*, and what the server *said*, without secrets."""
    words = b" ".join(as_bytes(one) for one in said if one).decode("utf-8", "replace")
    facts = {"said": redact(printable(words))[:300]} if words else {}
    if words:
        message = gettext("%(message)s It said: %(said)s", message=message, said=facts["said"])
    return SMTPFailure(code, step, message, hint=hint, facts=facts)


def as_bytes(one: Any) -> bytes:
    """What Python's client has of an answer, which may be text, or nothing."""
    return one if isinstance(one, bytes) else str(one or "").encode("utf-8", "replace")
