"""Writes what is generated of ``docs/troubleshooting.md``: ``python -m tests.troubleshooting``."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from smtp_admin.diagnosis.causes import ALL_CODES, Facts, Row
from smtp_admin.diagnosis.table import causes
from smtp_admin.providers.catalogue import knowledge, replies
from smtp_admin.replies.row import Row as ReplyRow

PAGE = Path(__file__).resolve().parent.parent / "docs" / "troubleshooting.md"
_LONGEST_REPLY = 110
_KINDS = {"mailbox": "mailboxes", "own": "one's own server", "known": "", "-": "others"}
_SECURITY = {"tls": "STARTTLS", "ssl": "SSL/TLS", "none": "No encryption"}
MEANINGS: dict[str, str] = {
    "missing_host": "No mail server was named.",
    "invalid_input": "A field cannot be used.",
    "destination_not_allowed": "This platform does not connect there.",
    "password_required": "There is no password that may be sent there.",
    "dns_failed": "DNS has no such host name.",
    "connection_refused": "The server refused the connection.",
    "unreachable": "There is no network route to the server.",
    "timeout": "No answer came in time.",
    "not_smtp": "The answer did not come from a mail server, or the server is broken.",
    "tls_not_offered": "The server does not offer the encryption that was chosen.",
    "tls_failed": "The encryption could not be started.",
    "certificate_error": "The server's certificate cannot be trusted.",
    "auth_not_offered": "The server offers no login that can be used.",
    "auth_failed": "The login was refused, or is missing.",
    "token_refused": "There is no access token that can be used.",
    "token_unavailable": "The token server does not answer now.",
    "sender_refused": "The server does not accept mail from this address.",
    "server_refused": "The server refuses connections or mail, perhaps only now.",
    "connection_lost": "The server closed the connection.",
    "rate_limited": "Too much in too short a time.",
    "program_missing": "The mail program, or a library, is not on this machine.",
    "program_refused": "The mail program does not let this platform send.",
    "program_failed": "The mail program ended without having taken the mail.",
    "not_api": "The answer did not come from the provider's API.",
    "recipient_refused": "The server does not accept mail for this recipient.",
    "message_refused": "The server does not accept this mail.",
    "too_large": "The mail is larger than the server allows.",
    "unavailable": "A paused sender: its stored password cannot be opened.",
    "worker_lost": "The worker ended in the middle of the mail.",
    "uncertain": "It is unknown whether the server has the mail.",
    "expired": "The mail waited until it was too old.",
    "cancelled": "The mail was cancelled.",
    "suppressed": "The recipient's address is suppressed.",
    "bounced": "The mail came back.",
    "complained": "The recipient complained.",
    "queued": "The mail still waits, longer than it should.",
    "sent": "The server accepted the mail, but the recipient does not see it.",
    "driver_failed": "The driver of the sender has a fault.",
    "sandbox_held": "A sandbox holds the mail.",
    "sandbox_dropped": "The mail was dropped from a sandbox, or from a copy of the database.",
}


def parts() -> dict[str, str]:
    """What stands between the markers of each name."""
    return {
        "symptoms": "".join(_symptoms()),
        "replies": "".join(_replies()),
        "codes": "".join(_codes()),
    }


def begin(name: str) -> str:
    """The marker before a part."""
    return f"<!-- {name}; tests/troubleshooting.py writes it. -->\n"


def end(name: str) -> str:
    """The marker after it."""
    return f"<!-- end of {name} -->\n"


def between_markers(text: str, name: str) -> str:
    """A part as it stands on the page."""
    return text.partition(begin(name))[2].partition(end(name))[0]


def _symptoms() -> Iterator[str]:
    for one in causes().symptoms:
        yield f"\n### {one.title}\n\n{one.means} {one.first}\n\n"
        rows = (row for row in causes().rows if one.key in row.symptoms)
        yield from _table(("possible cause", "what to do"), (_texts(row) for row in rows))


def _replies() -> Iterator[str]:
    for group, title in _groups():
        rows = [row for row in causes().rows if row.group == group and _examples(row)]
        if rows:
            yield f"\n### {title}\n\n"
            yield from _table(("it said", "cause", "what to do"), _said(rows))


def _codes() -> Iterator[str]:
    for code in ALL_CODES:
        yield f"\n### `{code}`\n\n{MEANINGS[code]}\n\n"
        rows = [row for row in causes().rows if code in row.codes]
        yield from _table(
            ("when", "cause", "what to do"), ((when(row), *_texts(row)) for row in rows)
        )


def _name(provider: str) -> str:
    known = {one.key: one.label.partition(" (")[0] for one in knowledge().known}
    return known.get(provider, "other providers")


def _groups() -> Iterator[tuple[str, str]]:
    yield from ((one.key, _name(one.key)) for one in knowledge().known)
    yield from ((group, f"Any server: {title}") for group, title in causes().groups.items())


def _examples(row: Row) -> list[ReplyRow]:
    return [one for one in replies().rows if one.cause == row.key]


def _said(rows: Iterable[Row]) -> Iterator[tuple[str, str, str]]:
    for row in rows:
        text = _examples(row)[0].example.partition(" ")[2].partition("\n")[0]
        if len(text) > _LONGEST_REPLY:
            text = text[:_LONGEST_REPLY].rpartition(" ")[0] + " …"
        yield f"`{text.replace('`', chr(39))}`", *_texts(row)


def _texts(row: Row) -> tuple[str, str]:
    facts = Facts("", named={name: _NAMED[name] for name in row.needs})
    cause = row.cause(facts)
    return cause.what, re.sub(r"“(flask [^”]+)”", r"`\1`", cause.do)


#: What stands on the page for what is known of one case only.
_NAMED = {
    "owner": "a provider", "outgoing": "smtp.office365.com, port 587, for example",
    "meant": "smtp.gmail.com", "tried": "198.51.100.7: no answer; 2001:db8::7: unreachable",
    "variable": "SMTP_SECURE", "none_variable": "SMTP_SECURITY", "names": "*.mailgun.org",
    "fitting": "smtp.mailgun.org", "revision": "3", "odd_letters": "yes", "login_offered": "yes",
    "port_2525": "2525",
}  # fmt: skip


def when(row: Row) -> str:
    """What else must be known, in words."""
    found = []
    if row.providers:
        found.append(", ".join(_name(one) for one in row.providers))
    if row.kinds:
        found.append(", ".join(_KINDS[one] for one in row.kinds if _KINDS[one]))
    if row.steps:
        found.append(" or ".join(f"at `{one}`" for one in row.steps if one != "-"))
    if row.ports:
        found.append("port " + ", ".join(row.ports))
    if row.security:
        found.append(" or ".join(_SECURITY[one] for one in row.security))
    if row.when:
        found.append(row.when)
    if row.quiet:
        found.append("the server said nothing")
    if row.told:
        found.append("the failure itself says so")
    return "; ".join(one for one in found if one)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n"


def _written(text: str) -> str:
    for name, content in parts().items():
        before, _, rest = text.partition(begin(name))
        text = f"{before}{begin(name)}{content}{end(name)}{rest.partition(end(name))[2]}"
    return text


if __name__ == "__main__":
    PAGE.write_text(_written(PAGE.read_text("utf-8")), "utf-8")
