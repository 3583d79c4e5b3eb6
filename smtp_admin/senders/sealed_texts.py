"""Secrets of a sender beside its settings, each sealed in a column of its own: tokens, passwords.

Whoever keeps such a column says which rows there are and what they are sealed for. Looking through
them and sealing them anew is the same for all.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from smtp_admin.database import Base
from smtp_admin.encryption import Keyring
from smtp_admin.errors import SecretError
from smtp_admin.senders.keys import KeyReport, StoredIn, Unreadable
from smtp_admin.senders.models import Sender


@dataclass(frozen=True, slots=True)
class SealedText:
    """One of them; it may be empty.

    Attributes:
        row, column: where it is.
        binding: what it is sealed for.
    """

    sender: Sender
    row: Base
    column: str
    binding: Sequence[object]
    place: StoredIn


def check_texts(found: Iterable[SealedText], keyring: Keyring, report: KeyReport) -> None:
    """Open them all, and count them in *report*; nothing is changed."""
    for _ in _older(found, keyring, report):
        pass


def rotate_texts(found: Iterable[SealedText], keyring: Keyring, report: KeyReport) -> None:
    """Seal them all with the first key; the caller has locked them, and commits.

    One that somebody stores meanwhile is sealed with the first key already.
    """
    for one, text in _older(found, keyring, report):
        setattr(one.row, one.column, keyring.seal(text, one.binding))
        report.older -= 1
        report.newest += 1


def _older(
    found: Iterable[SealedText], keyring: Keyring, report: KeyReport
) -> Iterator[tuple[SealedText, str]]:
    """Those that are sealed with an older key, opened; all are counted."""
    for one in found:
        sealed: str = getattr(one.row, one.column)
        if not sealed:
            continue
        try:
            text = keyring.open(sealed, one.binding)
        except SecretError as error:
            sender = one.sender
            lost = Unreadable(
                sender.partner_id, sender.key, sender.current_revision, True, error.message,
                one.place,
            )  # fmt: skip
            report.unreadable = (*report.unreadable, lost)
            continue
        if keyring.is_current(sealed):
            report.newest += 1
        else:
            report.older += 1
            yield one, text
