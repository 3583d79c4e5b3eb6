"""What is known of one thing that ends, and when that is soon."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.database import among
from smtp_admin.encryption import Keyring
from smtp_admin.expiry.models import ServerCertificate
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.senders.resolve import ResolvedSender

Name = Literal[
    "client_secret", "sign_in", "app_certificate", "client_certificate", "ca_certificate",
    "server_certificate", "api_token", "encryption_key", "api_key", "password",
]  # fmt: skip
#: From the worst to the best; *attention* is something to do that no day says.
Condition = Literal["over", "soon", "attention", "fine", "endless"]
#: So long before the end somebody is told, but never before a fifth of its life is left: what
#: lives for a week is renewed in its last days, and nothing is wrong with that.
AHEAD = timedelta(days=28)
_PARTS_OF_LIFE = 5


def condition_of(ends: datetime, begins: datetime | None, moment: datetime) -> Condition:
    """How near the end is."""
    if ends <= moment:
        return "over"
    ahead = AHEAD
    if begins is not None and begins < ends:
        ahead = min(ahead, (ends - begins) / _PARTS_OF_LIFE)
    return "soon" if ends - moment <= ahead else "fine"


@dataclass(frozen=True, slots=True)
class Ending:
    """One thing that ends.

    Attributes:
        sender: whose it is; ``None`` where it is no sender's.
        what: its own name, where several of a kind are told apart by it.
        begins: when it began to count, or was entered; *ends* ``None`` where no end is known.
        detail: what else is worth knowing, as sentences.
        subject: which of several of its kind it is, for programs.
        told: whether an end that is near, or over, opens an alert.
    """

    kind: Name
    partner_id: str
    condition: Condition
    sender: ResolvedSender | None = None
    what: str = ""
    ends: datetime | None = None
    begins: datetime | None = None
    detail: str = ""
    subject: str = ""
    told: bool = True


@dataclass(frozen=True, slots=True)
class Grant:
    """What the table says of a sender's sign-in; no token is in it."""

    purpose: str
    granted: bool
    issued_at: datetime | None
    refresh_until: datetime | None
    refresh_from: datetime | None
    dead_at: datetime | None
    dead_reason: str


@dataclass(frozen=True, slots=True)
class Needed:
    """How many stored secrets need each key, by its name.

    Attributes:
        used: without those of old revisions, which only rolling back would need.
    """

    all: Counter[str] = field(default_factory=Counter)
    used: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Around:
    """What is read from, for all things at once.

    Attributes:
        needed_keys: which keys stored secrets need: they lie in rooms above this one too.
        partner_ids: whose things are meant; ``None`` for everybody's and the installation's own.
    """

    session: Session
    senders: Sequence[ResolvedSender]
    keyring: Keyring
    moment: datetime
    needed_keys: Callable[[Session], Needed]
    partner_ids: frozenset[str] | None = None

    @cached_property
    def grants(self) -> Mapping[int, Grant]:
        """What is known of each sender's tokens."""
        one = OAuthGrant
        rows = self.session.execute(
            select(
                one.sender_id,
                one.purpose,
                one.refresh_token != "",
                one.issued_at,
                one.refresh_until,
                one.refresh_from,
                one.dead_at,
                one.dead_reason,
            ).where(*self._of_these(one.sender_id))
        )
        return {
            sender_id: Grant(purpose, bool(granted), issued, until, since, dead, why)
            for sender_id, purpose, granted, issued, until, since, dead, why in rows
        }

    @cached_property
    def certificates(self) -> Mapping[int, ServerCertificate]:
        """What each sender's server last showed."""
        wanted = select(ServerCertificate).where(*self._of_these(ServerCertificate.sender_id))
        return {one.sender_id: one for one in self.session.scalars(wanted)}

    def _of_these(self, column: Any) -> tuple[Any, ...]:
        if self.partner_ids is None:
            return ()
        ids = [one.sender_id for one in self.senders if one.sender_id]
        return (among(self.session, column, ids),)
