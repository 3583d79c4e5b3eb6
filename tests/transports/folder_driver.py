"""A driver that writes each mail into a folder, with a stamp that proves who wrote it."""

import hmac
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from smtp_admin.credentials.none import NoLogin
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.reply import Reply
from smtp_admin.transports.base import More, Outgoing, Sequel, no_more
from smtp_admin.transports.driver import Driver, Setup, Surroundings, Trial
from smtp_admin.transports.fields import Field
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict


def clean_folder(text: str) -> str:
    """The whole path of a folder; empty while none is entered."""
    path = text.strip()
    if path and not Path(path).is_absolute():
        raise ValueError("Enter the whole path, beginning with a slash.")
    return path


FIELDS = (
    Field(
        "folder",
        "Folder",
        clean_folder,
        help="Where the mails are written.",
        required="Enter a folder.",
        destination=True,
        placeholder="/var/mail/outgoing",
        option="--folder",
    ),
    Field(
        "stamp_key",
        "Key of the stamp",
        str,
        help="Stored encrypted, never shown again.",
        kind="secret",
    ),
)


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """Where to, and with what."""

    folder: str
    stamp_key: str = field(repr=False)


class FolderTransport:
    """Writes each mail into a file, named by its key: a second attempt replaces the first."""

    def __init__(self, settings: FolderSettings) -> None:
        self._settings = settings
        self._aborted = False

    def deliver(
        self, mails: Iterable[Outgoing], more: More = no_more
    ) -> Iterator[tuple[int, Outcome]]:
        self._aborted = False
        sequel = Sequel(mails, more)
        while not self._aborted and (mail := sequel.first()) is not None:
            outcome = self._write(mail)
            sequel.done()
            yield mail.key, outcome
            if outcome.ends_stream:
                return

    def close(self) -> None:
        pass

    def abort(self) -> None:
        self._aborted = True

    def _write(self, mail: Outgoing) -> Outcome:
        folder = Path(self._settings.folder)
        stamp = hmac.digest(self._settings.stamp_key.encode(), mail.content, "sha256").hex()
        try:
            (folder / f"{mail.key}.eml").write_bytes(mail.content)
            with (folder / "index").open("a", encoding="utf-8") as index:
                index.write(f"{mail.key}\t{mail.mail_from}\t{mail.recipient}\t{stamp}\n")
        except OSError as error:
            reason = f"The folder cannot be written to: {error.strerror}."
            return Outcome(Verdict.RELEASED, SenderHealth.DOWN, reason, code="unreachable")
        return Outcome(Verdict.ACCEPTED)


def read(values: Mapping[str, Any], secrets: Mapping[str, str]) -> Setup:
    settings = FolderSettings(values["folder"], secrets.get("stamp_key", ""))
    return Setup("folder", settings, NoLogin(), place=settings.folder)


def test(trial: Trial) -> None:
    folder = cast(FolderSettings, trial.setup.settings).folder

    def look() -> tuple[str, Reply | None]:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SMTPFailure("unreachable", "connect", f"{folder} cannot be written to.")
        return f"{folder} can be written to", None

    trial.report.run("connect", look)


def open_transport(setup: Setup, _surroundings: Surroundings) -> FolderTransport:
    return FolderTransport(cast(FolderSettings, setup.settings))


DRIVER = Driver(
    name="folder",
    label="Folder",
    comparison="Writes mails into a folder of this machine.",
    fields=FIELDS,
    steps={"connect": "Folder"},
    read=read,
    open=open_transport,
    test=test,
    most_connections=1,
    borrows_rights=True,
)
