"""A connection test that succeeded just before its settings were saved counts for the revision.

Whoever tests settings has not saved them yet, so there is no revision to keep the result with. A
note of the success is carried until then by whoever asked: it names no secret, and it cannot be
made up, because it is signed with a key of the installation over everything that was tested.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

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
_PURPOSE = "connection tests before saving"
Note = dict[str, str]


def note_of(
    result: TestResult, partner_id: str, key: str, actor: Actor, moment: datetime
) -> Note | None:
    """What to keep until the settings are saved; ``None`` where there is nothing to keep."""
    if not result.ok or not installation().keyring:
        return None
    at = moment.astimezone(UTC).isoformat()
    request = result.request
    return {
        "at": at,
        "mark": _marks(partner_id, key, actor, at, request.values, request.secrets)[0],
    }


def count_for_revision(
    session: Session, note: Any, saved: ResolvedSender, actor: Actor, moment: datetime
) -> bool:
    """Keep the success with the revision just saved, if it is of it; the caller commits.

    Args:
        note: what :func:`note_of` said, or anything that somebody sent in its place.
    """
    at, mark = _read(note)
    if at is None or not timedelta() <= moment - at <= _COUNTS_FOR:
        return False
    try:
        secrets = saved.secrets_for(saved.values, installation().keyring)
    except (InvalidInput, SecretError):
        return False
    marks = _marks(saved.partner_id, saved.key, actor, at.isoformat(), saved.values, secrets)
    if not any(hmac.compare_digest(one, mark) for one in marks):
        return False
    revision = find_revision(session, saved.partner_id, saved.revision, saved.key)
    if revision is None or session.get(RevisionTest, (revision.id, "web")) is not None:
        return False
    session.add(
        RevisionTest(
            revision_id=revision.id,
            place="web",
            ok=True,
            code="",
            message="",
            reply="",
            at=at,
            tested_by=actor.name or actor.email,
        )
    )
    return True


def _read(note: Any) -> tuple[datetime | None, str]:
    """When it was and its mark; ``None`` if that is no note."""
    if not isinstance(note, Mapping):
        return None, ""
    try:
        at = datetime.fromisoformat(str(note.get("at")))
    except ValueError:
        return None, ""
    mark = str(note.get("mark"))
    return (at, mark) if at.tzinfo is not None and mark.isascii() else (None, "")


def _marks(
    partner_id: str,
    key: str,
    actor: Actor,
    at: str,
    values: SenderValues,
    secrets: Mapping[str, str],
) -> list[str]:
    """A signature over all that a test depends on, by each key, the present one first."""
    if "username" in values and not values.username:
        secrets = {**secrets, "password": ""}
    setup = values.kind.read(values, dict(secrets))
    what = [
        partner_id, key, actor.id, at, repr(values.destination), values.from_email,
        values.envelope_from, setup.driver, repr(setup.settings), dict(secrets),
    ]  # fmt: skip
    text = json.dumps(what, sort_keys=True).encode()
    return [
        hmac.digest(one, text, hashlib.sha256).hex()
        for one in installation().keyring.derived(_PURPOSE)
    ]
