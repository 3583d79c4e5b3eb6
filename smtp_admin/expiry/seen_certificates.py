"""The certificates that mail servers show: noted while mail is sent, and written down later.

No mail server waits for the database. What a killed worker had noted is seen again soon.
"""

import threading
from datetime import datetime

from sqlalchemy import Engine, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smtp_admin.database import changed, database_now, transaction
from smtp_admin.expiry.models import ServerCertificate
from smtp_admin.smtp.tls import TLSDescription

#: How often a worker writes down what it has noted.
WRITE_SECONDS = 60.0
_LONGEST_PLACE, _LONGEST_SUBJECT = 300, 200


class SeenCertificates:
    """What a worker has seen since it last wrote it down, by sender."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[int, tuple[str, TLSDescription]] = {}

    def note(self, sender_id: int, place: str, seen: TLSDescription) -> None:
        """Keep what the server at *place* showed; from any thread."""
        with self._lock:
            self._noted[sender_id] = (place, seen)

    def write(self, engine: Engine) -> int:
        """Write down what was noted; of how many senders."""
        with self._lock:
            noted, self._noted = self._noted, {}
        if noted:
            with transaction(engine) as session:
                moment = database_now(session)
                for sender_id, (place, seen) in sorted(noted.items()):
                    keep_certificate(session, sender_id, place, seen, moment)
        return len(noted)


def keep_certificate(
    session: Session, sender_id: int, place: str, seen: TLSDescription, moment: datetime
) -> None:
    """Make *seen* what the server of a sender last showed; the caller commits."""
    if seen.expires is None:
        return
    values = {
        "place": place[:_LONGEST_PLACE],
        "subject": seen.subject[:_LONGEST_SUBJECT],
        "begins": seen.begins,
        "ends": seen.expires,
        "seen_at": moment,
    }
    newest = update(ServerCertificate).where(ServerCertificate.sender_id == sender_id)
    if changed(session, newest.values(values)):
        return
    try:
        with session.begin_nested():
            session.add(ServerCertificate(sender_id=sender_id, **values))
    except IntegrityError:  # another worker was first
        changed(session, newest.values(values))
