"""A mail as it goes to one server: what is said of it, how it travels, and when it cannot."""

from smtp_admin.smtp.client import SMTPClient
from smtp_admin.translation import gettext
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.outcome import Outcome, Verdict


def parameters_for(client: SMTPClient, mail: Outgoing) -> str:
    """What follows the address in ``MAIL FROM``."""
    parameters = f" SIZE={len(mail.content)}" if "SIZE" in client.extensions else ""
    if not mail.recipient.isascii():
        parameters += " SMTPUTF8"
    return parameters


def unsendable(client: SMTPClient, mail: Outgoing) -> Outcome | None:
    """Why this server need not even be asked, or ``None``."""
    limit = client.extensions.get("SIZE", "")
    if limit.isascii() and limit.isdigit() and 0 < int(limit) < len(mail.content):
        return Outcome(
            Verdict.PERMANENT,
            reason=gettext(
                "The mail has %(content)s bytes. The server accepts at most %(limit)s.",
                content=len(mail.content),
                limit=limit,
            ),
            code="too_large",
            cause="larger_than_allowed",
        )
    if not mail.recipient.isascii() and "SMTPUTF8" not in client.extensions:
        return Outcome(
            Verdict.PERMANENT,
            reason=gettext("The server does not support addresses with international characters."),
            code="recipient_refused",
            cause="letters_in_address",
        )
    return None


def stuffed(content: bytes) -> bytes:
    """*content* as it follows DATA: dots doubled, with the final one (RFC 5321 section 4.5.2)."""
    body = content.replace(b"\r\n.", b"\r\n..")
    if body.startswith(b"."):
        body = b"." + body
    return body + (b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n")
