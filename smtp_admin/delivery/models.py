"""The tables of the outbox: messages, their deliveries, attempts, lanes and counters."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    false,
    literal_column,
    text,
)
from sqlalchemy.dialects.mysql import LONGBLOB
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime
from smtp_admin.delivery.states import State
from smtp_admin.senders.models import Sender

#: The e-mail type of test mails.
TEST_TYPE = "test"
URGENT, NORMAL, BULK = 0, 1, 2
#: As routes name them.
PRIORITY_NAMES = {URGENT: "urgent", NORMAL: "normal", BULK: "bulk"}


class Message(Base):
    """One mail as bytes, rendered once: every attempt sends the same ones."""

    __tablename__ = "smtp_admin_message"
    __table_args__ = (
        UniqueConstraint("partner_id", "idempotency_key"),
        # The few mails that wait for a sender, on which routes and new settings still act.
        Index(
            "ix_smtp_admin_message_unstamped",
            "from_email",
            postgresql_where=text("from_email IS NULL"),
            sqlite_where=text("from_email IS NULL"),
            mysql_length={"from_email": 1},
            mariadb_length={"from_email": 1},
        ),
        # What a log of mail looks for: what mail programs show of a mail, and the rarer types.
        Index("ix_smtp_admin_message_message_id", "message_id"),
        Index("ix_smtp_admin_message_type", "type_name", "id"),
        # One mail for each recipient of a batch, however often its run is repeated.
        Index(
            "ix_smtp_admin_message_once_in_batch",
            "batch_id",
            "batch_recipient",
            unique=True,
            postgresql_where=text("batch_id IS NOT NULL"),
            sqlite_where=text("batch_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    #: What callers know the mail by; copies for some of its recipients carry the same.
    public_id: Mapped[str] = mapped_column(String(32), index=True)
    partner_id: Mapped[str] = mapped_column(String(100))
    type_name: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(255))
    #: Without a From header while ``from_email`` is NULL: no sender was configured yet.
    content: Mapped[bytes] = mapped_column(
        LargeBinary().with_variant(LONGBLOB(), "mysql", "mariadb")
    )
    size: Mapped[int] = mapped_column(Integer)
    message_id: Mapped[str] = mapped_column(String(255))
    #: The From address, and the envelope sender where that is another; frozen with the bytes.
    from_email: Mapped[str | None] = mapped_column(String(254))
    envelope_from: Mapped[str | None] = mapped_column(String(254))
    #: How many bytes at the front of ``content`` are the sender's own headers; NULL where that was
    #: not written down, and where there are none yet.
    sender_head: Mapped[int | None] = mapped_column(Integer)
    #: The content is erased as soon as the mail is accepted.
    sensitive: Mapped[bool] = mapped_column(Boolean, default=False)
    #: Whether its recipients may unsubscribe from such mail.
    notice: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    #: Somebody wants to see it first: suppressions and limits leave it alone.
    is_test: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    #: ``resend`` or ``hold``: what happens when the outcome is unknown.
    on_uncertain: Mapped[str] = mapped_column(String(10), default="resend")
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    #: The mail whose recipients this one took over, some of them, with another sender's headers.
    copy_of: Mapped[int | None] = mapped_column(BigId, index=True)
    #: The batch that it is of, and a hash of its recipient; copies have the batch alone.
    batch_id: Mapped[int | None] = mapped_column(BigId)
    batch_recipient: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())


#: What stands in place of an erased address.
ERASED = "erased"


def address_parts(recipient: str) -> tuple[str, str]:
    """The domain and the mailbox of an address, as the columns of a delivery have them."""
    mailbox, _, domain = recipient.rpartition("@")
    return domain.lower()[:254], mailbox.lower()[:254]


def _domain(context: Any) -> str:
    return address_parts(context.get_current_parameters()["recipient"])[0]


def _mailbox(context: Any) -> str:
    return address_parts(context.get_current_parameters()["recipient"])[1]


#: States that no index of open mail has, and that are rare.
_ENDED = "state IN ('bounced', 'complained', 'suppressed', 'cancelled', 'expired')"


class Delivery(Base):
    """One message to one recipient, and how far it got."""

    __tablename__ = "smtp_admin_delivery"
    __table_args__ = (
        # What a claim looks for, in its order. Finished mail is not in these indexes on
        # PostgreSQL and SQLite, so that a million of it costs a claim nothing.
        Index(
            "ix_smtp_admin_delivery_due",
            "sender_id",
            "state",
            "priority",
            "next_attempt_at",
            postgresql_where=text("state = 'queued'"),
            sqlite_where=text("state = 'queued'"),
        ),
        # The same for one partner of the system's sender, so that partners can take turns.
        Index(
            "ix_smtp_admin_delivery_turns",
            "sender_id",
            "partner_id",
            "state",
            "priority",
            "next_attempt_at",
            postgresql_where=text("state = 'queued'"),
            sqlite_where=text("state = 'queued'"),
        ),
        Index(
            "ix_smtp_admin_delivery_lease",
            "lease",
            postgresql_where=text("lease IS NOT NULL"),
            sqlite_where=text("lease IS NOT NULL"),
        ),
        # What the hourly limit is counted from, without a look at each mail.
        Index(
            "ix_smtp_admin_delivery_finished",
            "sender_id",
            "finished_at",
            "state",
            "uncertains",
            postgresql_where=text("finished_at IS NOT NULL"),
            sqlite_where=text("finished_at IS NOT NULL"),
        ),
        Index(
            "ix_smtp_admin_delivery_open",
            "partner_id",
            "state",
            "batch_id",
            "sender_id",
            "id",
            postgresql_where=text("state IN ('queued', 'sending', 'uncertain', 'dead')"),
            sqlite_where=text("state IN ('queued', 'sending', 'uncertain', 'dead')"),
        ),
        # What a log of mail looks through: a partner's newest, one recipient's, and what ended
        # otherwise than most mail does.
        Index("ix_smtp_admin_delivery_partner", "partner_id", "created_at"),
        Index("ix_smtp_admin_delivery_address", "domain", "mailbox"),
        Index(
            "ix_smtp_admin_delivery_ended",
            "state",
            "partner_id",
            postgresql_where=text(_ENDED),
            sqlite_where=text(_ENDED),
        ),
        # Mail with a failure of one kind, newest first; most mail has none.
        Index(
            "ix_smtp_admin_delivery_code",
            "last_code",
            "id",
            postgresql_where=text("last_code <> ''"),
            sqlite_where=text("last_code <> ''"),
        ),
        # How a batch stands, answered from the index alone.
        Index(
            "ix_smtp_admin_delivery_batch",
            "batch_id",
            "archive",
            "state",
            postgresql_where=text("batch_id IS NOT NULL"),
            sqlite_where=text("batch_id IS NOT NULL"),
        ),
        # By what its provider calls it, which events name.
        Index(
            "ix_smtp_admin_delivery_provider_id",
            "provider_message_id",
            postgresql_where=text("provider_message_id <> ''"),
            sqlite_where=text("provider_message_id <> ''"),
        ),
        # What one recipient got of a type that has a limit.
        Index(
            "ix_smtp_admin_delivery_recipient_key",
            "recipient_key",
            "created_at",
            postgresql_where=text("recipient_key IS NOT NULL"),
            sqlite_where=text("recipient_key IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    message_pk: Mapped[int] = mapped_column(BigId, ForeignKey(Message.id), index=True)
    #: Without a foreign key: its check would lock the sender's row until the host's transaction
    #: ends, and workers with it.
    sender_id: Mapped[int] = mapped_column(BigId)
    partner_id: Mapped[str] = mapped_column(String(100))
    recipient: Mapped[str] = mapped_column(String(254))
    #: The recipient's two parts in small letters, to be found by, however they were written.
    domain: Mapped[str] = mapped_column(String(254), default=_domain, server_default="")
    mailbox: Mapped[str] = mapped_column(String(254), default=_mailbox, server_default="")
    state: Mapped[State] = mapped_column(String(12), default="queued")
    #: 0 urgent, 1 normal, 2 bulk.
    priority: Mapped[int] = mapped_column(SmallInteger, default=1)
    #: Sends that were this message's own failure; see ``states``.
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    next_attempt_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: How often it was given back because the conversation broke off, and how often its outcome
    #: stayed unknown.
    releases: Mapped[int] = mapped_column(Integer, default=0)
    uncertains: Mapped[int] = mapped_column(Integer, default=0)
    #: Whether it is the blind copy to the sender's archive, for which nobody asked in ``send``.
    archive: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    #: The batch that it is of, copies to an archive too.
    batch_id: Mapped[int | None] = mapped_column(BigId)
    #: Partner, type and recipient in one, where the type has a limit; see ``recipient_limits``.
    recipient_key: Mapped[str | None] = mapped_column(String(32))
    #: The lease of the lane that holds it while it is ``sending``.
    lease: Mapped[str | None] = mapped_column(String(32))
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Why it is where it is, for people; the server's last words.
    last_code: Mapped[str] = mapped_column(String(40), default="")
    last_cause: Mapped[str] = mapped_column(String(60), default="", server_default="")
    last_error: Mapped[str] = mapped_column(String(500), default="")
    last_reply: Mapped[str] = mapped_column(String(300), default="")
    #: What the provider that accepted it calls it; empty where it has no name of its own.
    provider_message_id: Mapped[str] = mapped_column(String(255), default="", server_default="")


# As the partial indexes say it, word for word: bound parameters in place of the words can keep
# SQLite, and PostgreSQL's prepared statements, from using them.
def in_states(states: Sequence[str]) -> ColumnElement[bool]:
    """Whether a delivery is in one of *states*, said so that partial indexes are used."""
    words: list[Any] = [literal_column(f"'{one}'") for one in states]
    return Delivery.state == words[0] if len(words) == 1 else Delivery.state.in_(words)


IS_QUEUED = in_states(["queued"])
IS_OPEN = in_states(["queued", "sending", "uncertain", "dead"])
#: As the index of providers' ids says it.
HAS_PROVIDER_ID = Delivery.provider_message_id != literal_column("''")
#: As the index of failures says it.
HAS_CODE = Delivery.last_code != literal_column("''")


class Attempt(Base):
    """One send that did not simply succeed at once: each failure, and the success after it."""

    __tablename__ = "smtp_admin_attempt"
    # A sender's last failures.
    __table_args__ = (Index("ix_smtp_admin_attempt_sender", "sender_id", "at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(BigId, ForeignKey(Delivery.id), index=True)
    #: By which sender it was made; the delivery may be with another one by now. 0 where that was
    #: not written down.
    sender_id: Mapped[int] = mapped_column(BigId, default=0, server_default="0")
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    verdict: Mapped[str] = mapped_column(String(12))
    code: Mapped[str] = mapped_column(String(40))
    #: The key of what is behind it; empty where that is not known.
    cause: Mapped[str] = mapped_column(String(60), default="", server_default="")
    error: Mapped[str] = mapped_column(String(500))
    reply: Mapped[str] = mapped_column(String(300))
    #: The settings' revision that was used, and the worker that used it.
    revision: Mapped[int] = mapped_column(Integer)
    worker: Mapped[str] = mapped_column(String(100))


class Hop(Base):
    """That a delivery went from one sender to another, and why: what failed stays visible."""

    __tablename__ = "smtp_admin_hop"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(BigId, ForeignKey(Delivery.id), index=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    from_sender_id: Mapped[int] = mapped_column(BigId)
    to_sender_id: Mapped[int] = mapped_column(BigId, index=True)
    reason: Mapped[str] = mapped_column(String(500))
    #: ``fallback`` for one that could not send, ``deleted`` for one that no longer exists.
    kind: Mapped[str] = mapped_column(String(10))


#: What people do with a delivery, by itself or with its whole batch.
ActKind = Literal[
    "retry", "hurry", "cancel", "discard", "arrived", "lost", "release", "undo", "corrected",
    "batch_cancel", "batch_resume",
]  # fmt: skip


class Act(Base):
    """That somebody did something with a delivery, so that its life tells the whole story.

    Who it was is kept as they were called then; both are empty where an app did it.
    """

    __tablename__ = "smtp_admin_act"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(BigId, ForeignKey(Delivery.id), index=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    kind: Mapped[ActKind] = mapped_column(String(20))
    actor_id: Mapped[str] = mapped_column(String(100))
    actor_name: Mapped[str] = mapped_column(String(320))


class Lane(Base):
    """The right to send for one sender on one connection, held by a lease."""

    __tablename__ = "smtp_admin_lane"
    __table_args__ = (UniqueConstraint("sender_id", "slot"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sender_id: Mapped[int] = mapped_column(BigId, ForeignKey(Sender.id))
    slot: Mapped[int] = mapped_column(SmallInteger)
    lease: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    holder: Mapped[str] = mapped_column(String(100), default="")
    #: A bell came while it was held: whoever gives it back looks once more.
    rung: Mapped[bool] = mapped_column(Boolean, default=False)


class Counter(Base):
    """What happened in a minute (later: hour, day), so that nobody counts mails."""

    __tablename__ = "smtp_admin_counter"

    sender_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    partner_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    #: Minutes that the row stands for: 1, 60 or 1440; ``minute`` is the first of them.
    span: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    minute: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    sent: Mapped[int] = mapped_column(Integer, default=0)
    #: Failed sends, also those that will be tried again.
    failed: Mapped[int] = mapped_column(Integer, default=0)
    dead: Mapped[int] = mapped_column(Integer, default=0)
    #: What came back after it was accepted, and what its recipient marked as spam.
    bounced: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    complained: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    #: Seconds from queued to accepted, summed over ``sent``.
    seconds: Mapped[float] = mapped_column(Float, default=0.0)
