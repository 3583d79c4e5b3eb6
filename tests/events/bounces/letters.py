"""Builds mails that came back, as mail servers write them."""

from collections.abc import Mapping
from dataclasses import dataclass

from smtp_admin.events.bounces.report import Told
from smtp_admin.events.event import Bounce

#: Of the mail that came back; the tests that look for a delivery put their own in its place.
OURS = "0f3a4c1b2d5e6f708192a3b4c5d6e7f8@acme.example"
#: Told each recipient's report says: what happened, how bad, and the code.
Verdict = tuple[Told, Bounce, str]
MIA = "mia@example.org"


@dataclass(frozen=True)
class Letter:
    """A mail, and what must be read in it.

    Attributes:
        text: the mail itself.
        says: recipient → verdict; empty where it is about no mail.
        judge: what flufl.bounce says where that is something else, and why it is right to differ.
    """

    name: str
    text: str
    says: Mapping[str, Verdict]
    judge: str = ""

    @property
    def content(self) -> bytes:
        """Its bytes."""
        return self.text.encode("utf-8")


def head(author: str, subject: str, *more: str, own_id: str = "report-1@mx.example.net") -> str:
    """The headers of a report."""
    lines = [
        "Return-Path: <>",
        "Received: from mx.example.net by mail.acme.example; Sun, 29 Nov 2026 10:00:00 +0000",
        f"From: {author}",
        "To: bounce@acme.example",
        f"Subject: {subject}",
        "Date: Sun, 29 Nov 2026 10:00:00 +0000",
        f"Message-ID: <{own_id}>",
        "MIME-Version: 1.0",
        *more,
    ]
    return "\n".join(lines) + "\n"


def returned_head(to: str = MIA, message_id: str = OURS) -> str:
    """The headers of our mail, as they come back."""
    return (
        f"From: Acme <noreply@acme.example>\nTo: {to}\nSubject: Your order\n"
        f"Date: Sun, 29 Nov 2026 09:58:00 +0000\nMessage-ID: <{message_id}>\n"
    )


def report(
    groups: str,
    *,
    notice: str = "This is the mail system. I am sorry to inform you of a problem.",
    author: str = "MAILER-DAEMON@mx.example.net (Mail Delivery System)",
    subject: str = "Undelivered Mail Returned to Sender",
    about: str = "Reporting-MTA: dns; mx.example.net",
    kind: str = "message/delivery-status",
    returned: str = "message/rfc822",
    message_id: str = OURS,
    more: str = "",
) -> str:
    """A report with a delivery status (RFC 3464)."""
    body = "\n\nThe text.\n" if returned == "message/rfc822" else ""
    last = (
        f"--b1\nContent-Type: {returned}\n\n{returned_head(message_id=message_id)}{body}\n"
        if returned
        else ""
    )
    return (
        head(
            author, subject, *([more] if more else []),
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b1"',
        )
        + f"\n--b1\nContent-Type: text/plain; charset=utf-8\n\n{notice}\n\n"
        f"--b1\nContent-Type: {kind}\n\n{about}\n\n{groups.strip()}\n\n{last}--b1--\n"
    )  # fmt: skip


def group(
    action: str,
    status: str = "",
    diagnostic: str = "",
    *,
    to: str = MIA,
    original: str = "",
    more: str = "",
) -> str:
    """The fields about one recipient."""
    lines = [f"Original-Recipient: rfc822;{original}"] if original else []
    lines += [f"Final-Recipient: rfc822; {to}"]
    lines += [f"Action: {action}"] if action else []
    lines += [f"Status: {status}"] if status else []
    lines += [more] if more else []
    lines += [f"Diagnostic-Code: {diagnostic}"] if diagnostic else []
    return "\n".join(lines) + "\n\n"


def plain(
    author: str,
    subject: str,
    notice: str,
    *more: str,
    returned: str = "",
    kind: str = "text/plain; charset=utf-8",
) -> str:
    """A mail of one part."""
    return head(author, subject, *more, f"Content-Type: {kind}") + f"\n{notice}\n{returned}"
