"""The connection test made just before its settings were saved counts for the revision.

Whoever tests settings has not saved them yet, so there is no revision to keep the result with. A
note of it, good or bad, is carried until then by whoever asked: it names no secret, and it cannot
be made up, because it is signed with a key of the installation over everything that was tested
and what came of it. What a worker found out stays in its own row; the note says which.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smtp_admin.connection.from_worker import count_worker_test
from smtp_admin.connection.probe import TestResult
from smtp_admin.errors import InvalidInput, SecretError
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.senders.history import find_revision
from smtp_admin.senders.models import RevisionTest
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.values import SenderValues

#: So long a test says something of what is saved after it.
_COUNTS_FOR = timedelta(hours=1)
#: A browser keeps 4 KB of a session.
_LONGEST = 300
_SAID = ("at", "code", "message", "reply", "worker")
_PURPOSE = "connection tests before saving"
Note = dict[str, str]


def note_of(
    result: TestResult,
    partner_id: str,
    key: str,
    actor: Actor,
    moment: datetime,
    worker_test: str = "",
) -> Note | None:
    """What to keep until the settings are saved; ``None`` where there is nothing to keep.

    Args:
        worker_test: the public id of the same test by a worker, if one was asked.
    """
    if not installation().keyring:
        return None
    failure, request = result.failure, result.request
    said = {
        "at": moment.astimezone(UTC).isoformat(),
        "code": failure.code if failure else "",
        "message": failure.message[:_LONGEST] if failure else "",
        "reply": str(failure.reply)[:_LONGEST] if failure and failure.reply else "",
        "worker": worker_test,
    }
    marks = _marks(partner_id, key, actor, said, request.values, request.secrets)
    return {**said, "mark": marks[0]}


def worked_before(
    note: Any,
    sender: ResolvedSender,
    values: SenderValues,
    typed: Mapping[str, str],
    actor: Actor,
    moment: datetime,
) -> bool:
    """Whether the last test was of *values* with what was typed, and succeeded.

    Args:
        note: what :func:`note_of` said, or anything that somebody sent in its place.
    """
    at, said = _said_of(note, sender, values, typed, actor, moment)
    return at is not None and not said["code"]


def count_for_revision(
    session: Session, note: Any, saved: ResolvedSender, actor: Actor, moment: datetime
) -> bool:
    """Keep the result with the revision just saved, if it is of it; the caller commits.

    Args:
        note: as :func:`worked_before`.
    """
    at, said = _said_of(note, saved, saved.values, {}, actor, moment)
    if at is None:
        return False
    revision = find_revision(session, saved.partner_id, saved.revision, saved.key)
    if revision is None or session.get(RevisionTest, (revision.id, "web")) is not None:
        return False
    found = RevisionTest(
        revision_id=revision.id,
        place="web",
        ok=not said["code"],
        code=said["code"],
        message=said["message"],
        reply=said["reply"],
        at=at,
        tested_by=actor.name or actor.email,
    )
    try:
        with session.begin_nested():
            session.add(found)
    except IntegrityError:  # another test of the same revision was first, or a second click
        return False
    count_worker_test(session, said["worker"], revision)
    return True


def _said_of(
    note: Any,
    sender: ResolvedSender,
    values: SenderValues,
    typed: Mapping[str, str],
    actor: Actor,
    moment: datetime,
) -> tuple[datetime | None, Note]:
    """When *values* were tested and what came of it; ``None`` if *note* is not of them."""
    at, said, mark = _read(note)
    if at is None or not timedelta() <= moment - at <= _COUNTS_FOR:
        return None, {}
    try:
        secrets = sender.secrets_for(values, installation().keyring, typed)
    except (InvalidInput, SecretError):
        return None, {}
    marks = _marks(sender.partner_id, sender.key, actor, said, values, secrets)
    if not any(hmac.compare_digest(one, mark) for one in marks):
        return None, {}
    return at, said


def _read(note: Any) -> tuple[datetime | None, Note, str]:
    """When it was, what it says and its mark; ``None`` if that is no note."""
    if not isinstance(note, Mapping):
        return None, {}, ""
    said = {name: str(note.get(name, "")) for name in _SAID}
    mark = str(note.get("mark"))
    try:
        at = datetime.fromisoformat(said["at"])
    except ValueError:
        return None, {}, ""
    return (at, said, mark) if at.tzinfo is not None and mark.isascii() else (None, {}, "")


def _marks(
    partner_id: str,
    key: str,
    actor: Actor,
    said: Note,
    values: SenderValues,
    secrets: Mapping[str, str],
) -> list[str]:
    """A signature over all that a test depends on, by each key, the present one first."""
    if "username" in values and not values.username:
        secrets = {**secrets, "password": ""}
    setup = values.kind.read(values, dict(secrets))
    what = [
        partner_id, key, actor.id, said, repr(values.destination), values.from_email,
        values.envelope_from, setup.driver, repr(setup.settings), dict(secrets),
    ]  # fmt: skip
    text = json.dumps(what, sort_keys=True).encode()
    return [
        hmac.digest(one, text, hashlib.sha256).hex()
        for one in installation().keyring.derived(_PURPOSE)
    ]
