"""The folder of mails behind the test inbox: one .eml file each, the newest five hundred."""

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.errors import MessageError
from email.message import EmailMessage
from email.parser import BytesParser
from functools import cached_property
from pathlib import Path

from smtp_admin.embedded.files import private_folder, write_private

KEPT_MAILS = 500
_LONGEST_HEADERS = 256 * 1024
_TIME = "%Y%m%dT%H%M%S%fZ"
# Ids come from addresses of pages; one that is not exactly like this never becomes a path.
_ID = re.compile(r"[0-9]{8}T[0-9]{12}Z-[0-9a-f]{8}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
# What the standard parser is known to raise on mails that break the rules.
_PARSER_ERRORS = (MessageError, LookupError, ValueError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class StoredMail:
    """One mail as it arrived; nothing is read from its file before somebody asks for it."""

    id: str
    path: Path

    @property
    def received_at(self) -> datetime:
        """When it was accepted, in UTC."""
        return datetime.strptime(self.id.partition("-")[0], _TIME).replace(tzinfo=UTC)

    @property
    def size(self) -> int:
        """The size of the mail in bytes, without the envelope's lines."""
        return self.path.stat().st_size - self._front[1]

    @property
    def subject(self) -> str:
        """The subject, decoded."""
        return self._header("Subject")

    @property
    def from_(self) -> str:
        """The From header, decoded."""
        return self._header("From")

    @property
    def to(self) -> str:
        """The To header, decoded; who really got it is ``envelope_to``."""
        return self._header("To")

    @property
    def envelope_from(self) -> str:
        """Whom the server was told it comes from; empty for a bounce."""
        return next(iter(self._front[0].get("From", ())), "")

    @property
    def envelope_to(self) -> tuple[str, ...]:
        """Whom the server was told to deliver it to."""
        return tuple(self._front[0].get("To", ()))

    @cached_property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """All headers of the mail in their order, decoded as far as they can be."""
        return tuple((name, self._header(name, at)) for at, name in enumerate(self._head.keys()))

    @property
    def text(self) -> str:
        """The plain text, empty if there is none."""
        return self._body("plain")

    @property
    def html(self) -> str:
        """The HTML, empty if there is none. It is a stranger's: show it in a sandbox only."""
        return self._body("html")

    @property
    def source(self) -> bytes:
        """The bytes exactly as they arrived."""
        return self.path.read_bytes()[self._front[1] :]

    @cached_property
    def _beginning(self) -> bytes:
        with self.path.open("rb") as stream:
            return stream.read(_LONGEST_HEADERS)

    @cached_property
    def _front(self) -> tuple[dict[str, list[str]], int]:
        return _read_front(self._beginning)

    @cached_property
    def _head(self) -> EmailMessage:
        content = self._beginning[self._front[1] :]
        return BytesParser(policy=policy.default).parsebytes(content, headersonly=True)

    @cached_property
    def _message(self) -> EmailMessage:
        return BytesParser(policy=policy.default).parsebytes(self.source)

    def _header(self, name: str, at: int | None = None) -> str:
        try:
            value = self._head.get(name, "") if at is None else self._head.values()[at]
            return _one_line(str(value))
        except _PARSER_ERRORS:
            raw = [value for key, value in self._head.raw_items() if key.lower() == name.lower()]
            return _one_line(str(raw[0])) if raw else ""

    def _body(self, kind: str) -> str:
        try:
            part = self._message.get_body((kind,))
            return "" if part is None else str(part.get_content()).replace("\r\n", "\n")
        except _PARSER_ERRORS:
            return "" if kind == "html" else self.source.decode("utf-8", "replace")


def list_mails(folder: Path) -> list[StoredMail]:
    """All mails, the newest first."""
    ids = sorted((path.stem for path in (folder / "mails").glob("*.eml")), reverse=True)
    return [found for mail_id in ids if (found := read_mail(folder, mail_id))]


def read_mail(folder: Path, mail_id: str) -> StoredMail | None:
    """One mail, or ``None`` if there is none of that id."""
    if not _ID.fullmatch(mail_id):
        return None
    path = folder / "mails" / f"{mail_id}.eml"
    return StoredMail(mail_id, path) if path.is_file() else None


def store_mail(
    folder: Path, content: bytes, *, envelope_from: str, envelope_to: Sequence[str]
) -> StoredMail:
    """Write one mail and forget the oldest beyond those that are kept."""
    mails = private_folder(folder / "mails")
    now = datetime.now(UTC)
    mail_id = f"{now.strftime(_TIME)}-{secrets.token_hex(4)}"
    path = mails / f"{mail_id}.eml"
    write_private(path, _front(envelope_from, envelope_to, now) + content)
    for old in sorted(mails.glob("*.eml"))[:-KEPT_MAILS]:
        old.unlink(missing_ok=True)
    return StoredMail(mail_id, path)


def _front(envelope_from: str, envelope_to: Iterable[str], now: datetime) -> bytes:
    lines = [f"X-Envelope-From: {_one_line(envelope_from)}"]
    lines += [f"X-Envelope-To: {_one_line(address)}" for address in envelope_to]
    # The last line ends the block: what follows is the sender's own and cannot add to it.
    lines += [f"X-Envelope-Received: {now.isoformat()}", ""]
    return "\r\n".join(lines).encode("utf-8", "replace")


def _read_front(content: bytes) -> tuple[dict[str, list[str]], int]:
    found: dict[str, list[str]] = {}
    end = 0
    for line in content.splitlines(keepends=True):
        name, separator, value = line.decode("utf-8", "replace").partition(": ")
        if not separator or not name.startswith("X-Envelope-"):
            return {}, 0
        end += len(line)
        if name == "X-Envelope-Received":
            return found, end
        found.setdefault(name.removeprefix("X-Envelope-"), []).append(value.strip())
    return {}, 0


def _one_line(text: str) -> str:
    return _CONTROLS.sub(" ", text).strip()
