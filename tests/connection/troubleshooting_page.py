"""Writes ``docs/troubleshooting.md`` from the table.

Run it with ``python -m tests.connection.troubleshooting_page`` after a change of the table.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from smtp_admin.diagnosis import provider_replies, server_replies
from smtp_admin.diagnosis.causes import Facts, Row
from smtp_admin.diagnosis.diagnose import ALL_CODES
from smtp_admin.diagnosis.refusals import REFUSALS
from smtp_admin.diagnosis.situations import SITUATIONS
from tests.connection.recorded import read_replies

FILE = Path(__file__).resolve().parents[2] / "docs" / "troubleshooting.md"
_LONGEST_REPLY = 110

_INTRO = """# Troubleshooting

Every failure has a code: on the connection test, on a paused sender and on each mail. Beside it
stand its likely causes, most likely first, and what to do about each. They come from one table, and
so does this page.

The server's own words know most, so look there first; then under the code. See also
[what a code means](settings.md#what-a-code-means), what a reply does to a mail
([Delivery](delivery.md#what-a-reply-does)), and the pages of the [providers](providers.md).
"""
_SAID = """
## What the server said

Shortened; a reply begins with its code, and often an enhanced code after it.
"""
_BY_CODE = """
## By code

“When” says what else must be known; without it the cause is possible wherever the code appears.
"""
SECTIONS: dict[str, tuple[Row, ...]] = {
    "Gmail and Google Workspace": provider_replies.GOOGLE,
    "Microsoft 365 and Outlook.com": provider_replies.MICROSOFT,
    "Yahoo and AOL": provider_replies.YAHOO,
    "SendGrid": provider_replies.SENDGRID,
    "Amazon SES": provider_replies.AMAZON,
    "Postmark": provider_replies.POSTMARK,
    "Mailgun": provider_replies.MAILGUN,
    "SparkPost, Mailtrap, cPanel": provider_replies.OTHERS,
    "Any server, about login and encryption": server_replies.LOGIN_AND_ENCRYPTION,
    "Any server, about the sender": server_replies.SENDER,
    "Any server, about rate and reputation": server_replies.REPUTATION,
    "Any server, about the recipient": server_replies.RECIPIENT,
    "Any server, about the mail": server_replies.CONTENT,
}
MEANINGS: dict[str, str] = {
    "missing_host": "No mail server was named.",
    "invalid_input": "A field cannot be used.",
    "destination_not_allowed": "This platform does not connect there.",
    "password_required": "There is no password that may be sent there.",
    "dns_failed": "The host's name leads nowhere.",
    "connection_refused": "The server refused the connection.",
    "unreachable": "No way leads to the server.",
    "timeout": "No answer came in time.",
    "not_smtp": "What answered is no mail server, or a broken one.",
    "tls_not_offered": "The server does not offer the encryption that was chosen.",
    "tls_failed": "The encryption did not come about.",
    "certificate_error": "The server's certificate does not prove who it is.",
    "auth_not_offered": "The server offers no login that can be used.",
    "auth_failed": "The login was refused, or is missing.",
    "sender_refused": "The server does not take mail from this address.",
    "server_refused": "The server does not want to talk, or not now.",
    "connection_lost": "The server hung up.",
    "rate_limited": "Too much in too short a time.",
    "program_missing": "The mail program of this machine cannot be started.",
    "program_refused": "The mail program does not let this platform send.",
    "program_failed": "The mail program ended without having taken the mail.",
    "recipient_refused": "The server does not take mail for this recipient.",
    "message_refused": "The server does not take this mail.",
    "too_large": "The mail is larger than the server says it takes.",
    "unavailable": "A paused sender: its stored password cannot be opened.",
    "worker_lost": "The worker ended in the middle of the mail.",
    "uncertain": "Nobody knows whether the server has the mail.",
    "expired": "The mail waited until it was too old.",
    "cancelled": "The mail was cancelled.",
    "suppressed": "The recipient's address gets no mail.",
    "bounced": "The mail came back.",
    "complained": "The recipient complained.",
    "queued": "The mail still waits, longer than it should.",
    "sent": "The server took the mail, and it is not there.",
    "sandbox_held": "A sandbox holds the mail.",
    "sandbox_dropped": "The mail was dropped from a sandbox, or from a copy of the database.",
}
_PROVIDERS = {
    "-": "other providers", "gmail": "Gmail", "microsoft365": "Microsoft 365", "yahoo": "Yahoo",
    "sendgrid": "SendGrid", "ses": "Amazon SES", "postmark": "Postmark", "mailgun": "Mailgun",
    "sparkpost": "SparkPost", "mailtrap": "Mailtrap", "gmx": "GMX", "icloud": "iCloud",
    "fastmail": "Fastmail", "zoho": "Zoho",
}  # fmt: skip
_SECURITY = {"tls": "STARTTLS", "ssl": "SSL/TLS", "none": "No encryption"}
_PATTERNS = {  # host, login and message, in words
    r"^$": "no login is entered",
    r"^[^@]+$": "the login has no @",
    r"^(?!apikey$)": "the login is not apikey",
    r"^[^.:]+$": "the host has no dot",
    r"^(imap|pop3?)\d?\.": "the host begins with imap or pop",
    r"^[\d.]+$|:": "the host is an IP address",
    r"(^|sandbox\.)smtp\.mailtrap\.io$": "the host is Mailtrap's sandbox",
    r"at once on this port": "the server speaks without encryption",
    r"unsupported.protocol|protocol.version|no.protocols|wrong.ssl.version|too.small|too.weak":
        "the technical reason names a version or a key",
    r"looked up just now": "it could not be looked up just now",
    r"slipped into": "bytes came before the handshake",
    r"how we prove who we are": "the server refuses us, not we the server",
    r"key does not belong|or its key cannot": "before the handshake, with a client certificate",
    r"authority of this sender": "before the handshake, with an authority of the sender",
    r"this platform trusts cannot": "before the handshake",
    r"has expired": "expired",
    r"not valid yet|not yet valid": "not valid yet",
    r"another name|mismatch": "for another name",
    r"self-signed": "self-signed",
    r"logins that we do not have": "others are offered",
    r"not set up properly": "the program says so",
}  # fmt: skip


def page() -> str:
    """The whole page."""
    parts = [_INTRO, _SAID]
    for title, rows in SECTIONS.items():
        parts += [f"\n### {title}\n\n", *_table(("it said", "cause", "what to do"), _said(rows))]
    parts.append(_BY_CODE)
    for code in ALL_CODES:
        parts += [
            f"\n### `{code}`\n\n{MEANINGS[code]}\n\n",
            *_table(("when", "cause", "what to do"), _behind(code)),
        ]
    return "".join(parts)


def _said(rows: Iterable[Row]) -> Iterator[tuple[str, str, str]]:
    replies = {one.key: str(one.reply) for one in reversed(read_replies())}
    for row in rows:
        text = replies[row.key]
        if len(text) > _LONGEST_REPLY:
            text = text[:_LONGEST_REPLY].rpartition(" ")[0] + " …"
        when = f"{_when(row)}: " if _when(row) else ""
        yield f"{when}`{text.replace('`', chr(39))}`", *_texts(row)


def _behind(code: str) -> Iterator[tuple[str, str, str]]:
    for row in (*SITUATIONS, *REFUSALS):
        if code in row.codes.split():
            yield _when(row), *_texts(row)


def _texts(row: Row) -> tuple[str, str]:
    cause = row.cause(Facts(""))
    return cause.what, re.sub(r"“(flask [^”]+)”", r"`\1`", cause.do)


def _when(row: Row) -> str:
    found = []
    if row.providers:
        found.append(", ".join(_PROVIDERS[one] for one in row.providers.split()))
    if row.steps:
        found.append(" or ".join(f"at `{one}`" for one in row.steps.split() if one != "-"))
    if row.ports:
        found.append("port " + ", ".join(row.ports.split()))
    if row.security:
        found.append(" or ".join(_SECURITY[one] for one in row.security.split()))
    found += [_PATTERNS[one] for one in (row.hosts, row.users, row.message) if one]
    if row.quiet:
        found.append("the server said nothing")
    return "; ".join(found)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n"


if __name__ == "__main__":
    FILE.write_text(page(), "utf-8")
