"""Mail programs of the tests' own, and transports through them."""

from pathlib import Path
from typing import Protocol

from smtp_admin.providers.catalogue import replies
from smtp_admin.smtp.client import Timeouts
from smtp_admin.transports.outcome import Outcome
from smtp_admin.transports.sendmail.transport import SendmailTransport
from tests.transports.sending import BODY, deliver, mail

PATIENT = Timeouts(command=30, final_dot=30)
#: Long enough for a shell to start on a busy machine.
SHORT = Timeouts(command=1.5, body_rate=10_000_000, final_dot=1.5)
#: Read the mail, as every mail program does first.
READ = "cat > /dev/null\n"


class MakeProgram(Protocol):
    """Makes a program of a shell script's text; its path."""

    def __call__(self, text: str, name: str = "sendmail") -> Path: ...


def through(path: Path | str, *arguments: str, timeouts: Timeouts = PATIENT) -> SendmailTransport:
    """A transport through the program at *path*."""
    return SendmailTransport((str(path), *arguments), timeouts, replies())


def one(transport: SendmailTransport, content: bytes = BODY) -> Outcome:
    """What becomes of one mail."""
    return deliver(transport, [mail(0, content)])[0]
