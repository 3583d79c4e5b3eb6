"""What to do where a mailbox cannot be reached: in the words of IMAP, not of a mail server.

The dialling and the encryption are the same for both, and what they advise names SMTP's ports.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.translation import gettext

CONNECT = gettext(
    "Check server and port: 993 for SSL/TLS, 143 for STARTTLS. If they are right, the server "
    "is down, or a firewall is in the way. Ask its operator."
)
GREETING = gettext(
    "Check server, port and security: 993 goes with SSL/TLS, 143 with STARTTLS. If they are "
    "right, the server may be overloaded."
)
TLS = gettext("Check port and security: 993 goes with SSL/TLS, 143 with STARTTLS.")
_NAME = gettext(
    "Check the spelling of the server. Your provider's help page names it, often as “incoming "
    "server (IMAP)”."
)
#: By step and code; what is not here is the same for every server.
_HINTS: Mapping[tuple[str, str], str] = {
    ("dns", "dns_failed"): _NAME,
    ("connect", "connection_refused"): CONNECT,
    ("connect", "timeout"): CONNECT,
    ("greeting", "timeout"): GREETING,
    ("greeting", "connection_lost"): GREETING,
    ("tls", "timeout"): TLS,
    ("tls", "connection_lost"): TLS,
}


@contextmanager
def in_words_of_imap() -> Iterator[None]:
    """Give a failure of the block the advice that fits a mailbox."""
    try:
        yield
    except SMTPFailure as failure:
        failure.hint = _hint_on(failure)
        raise


def _hint_on(failure: SMTPFailure) -> str:
    if failure.cause == "speaks_plain":
        return TLS
    if failure.cause:  # what is known better than by its code, such as a name server that is away
        return failure.hint
    return _HINTS.get((failure.step, failure.code), failure.hint)
