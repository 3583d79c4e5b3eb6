"""The tables of webhooks and of what came by them."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.clock import sql_now
from smtp_admin.database import Base, BigId, UTCDateTime
from smtp_admin.oauth.models import Sealed
from smtp_admin.senders.models import Sender

LONGEST_WHY = 500
_TURNED = "kind IN ('bounced', 'complained')"


class Webhook(Base):
    """Where the provider of one sender tells what became of its mail."""

    __tablename__ = "smtp_admin_webhook"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sender_id: Mapped[int] = mapped_column(BigId, ForeignKey(Sender.id), unique=True)
    #: One of :data:`smtp_admin.events.sources.SOURCES`.
    source: Mapped[str] = mapped_column(String(20))
    #: The secret part of the address: a hash to find it by, and sealed, to show it.
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    key: Mapped[str] = mapped_column(Sealed)
    #: The part that it had before, which counts for a while.
    former_key_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    former_key_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: What signatures are checked with, sealed; empty where there is none.
    secret: Mapped[str] = mapped_column(Sealed, default="")
    former_secret: Mapped[str] = mapped_column(Sealed, default="")
    former_secret_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: The only topic of Amazon SNS that counts, and when its subscription was confirmed.
    topic: Mapped[str] = mapped_column(String(400), default="")
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    created_by: Mapped[str] = mapped_column(String(320))
    #: The last genuine event; written once in some seconds.
    last_event_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_sample_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Requests that were refused, and why the last one was.
    bad: Mapped[int] = mapped_column(Integer, default=0)
    last_bad_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_bad_code: Mapped[str] = mapped_column(String(20), default="")
    #: Genuine requests that could not be read, and why the last one could not.
    unreadable: Mapped[int] = mapped_column(Integer, default=0)
    last_unreadable_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_unreadable_why: Mapped[str] = mapped_column(String(LONGEST_WHY), default="")
    #: Which limit was reached last, ``rate`` or ``day``, and until when nothing more is taken.
    limited_by: Mapped[str] = mapped_column(String(10), default="", server_default="")
    limited_until: Mapped[datetime | None] = mapped_column(UTCDateTime)


class WebhookNonce(Base):
    """What may come once only at a webhook, and what came with it."""

    __tablename__ = "smtp_admin_webhook_nonce"

    webhook_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    nonce: Mapped[str] = mapped_column(String(64), primary_key=True)
    #: Of the body: the same again is a repetition, another one a forgery.
    digest: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now(), index=True)


class MailEvent(Base):
    """Something that became of a mail, as it was told; applied to its delivery by a worker."""

    __tablename__ = "smtp_admin_event"
    __table_args__ = (
        # The same is often told several times.
        UniqueConstraint("origin", "identity"),
        Index(
            "ix_smtp_admin_event_waiting",
            "state",
            "next_try_at",
            postgresql_where=text("state = 'waiting'"),
            sqlite_where=text("state = 'waiting'"),
        ),
        Index(
            "ix_smtp_admin_event_turns",
            "state",
            "partner_id",
            "next_try_at",
            postgresql_where=text("state = 'waiting'"),
            sqlite_where=text("state = 'waiting'"),
        ),
        # What came back within a day, however much did before.
        Index(
            "ix_smtp_admin_event_turned",
            "kind",
            "applied_at",
            "delivery_id",
            postgresql_where=text(_TURNED),
            sqlite_where=text(_TURNED),
        ),
        Index("ix_smtp_admin_event_origin", "origin", "id"),
        Index(
            "ix_smtp_admin_event_delivery",
            "delivery_id",
            postgresql_where=text("delivery_id IS NOT NULL"),
            sqlite_where=text("delivery_id IS NOT NULL"),
        ),
        Index("ix_smtp_admin_event_received", "received_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    #: ``sender <id>`` where a webhook told it, or another way by which events come.
    origin: Mapped[str] = mapped_column(String(40))
    identity: Mapped[str] = mapped_column(String(64))
    #: Whose mail it may be about: the owner of the sender that it came for; ``''`` is the system.
    partner_id: Mapped[str] = mapped_column(String(100))
    sender_id: Mapped[int] = mapped_column(BigId)
    kind: Mapped[str] = mapped_column(String(12))
    bounce: Mapped[str] = mapped_column(String(6), default="")
    recipient: Mapped[str] = mapped_column(String(254), default="")
    message_id: Mapped[str] = mapped_column(String(255), default="")
    provider_id: Mapped[str] = mapped_column(String(255), default="")
    code: Mapped[str] = mapped_column(String(12), default="")
    words: Mapped[str] = mapped_column(String(500), default="")
    #: When it happened, as its source says, and when it came here.
    at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    received_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    #: ``waiting``, ``applied``, or ``unknown`` where it is about no mail that is known here.
    state: Mapped[str] = mapped_column(String(8), default="waiting")
    tries: Mapped[int] = mapped_column(SmallInteger, default=0)
    #: While it waits: not before.
    next_try_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    #: When it was applied, by which numbers and lists tell when it happened here; else NULL.
    applied_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Which delivery it is about, once that is known. Without a foreign key: mail is forgotten
    #: sooner, and a worker that records a result waits for nobody who writes here.
    delivery_id: Mapped[int | None] = mapped_column(BigId)


#: In the words of the index: with parameters, a partial one may not be used.
HAS_TURNED = MailEvent.kind.in_([literal_column("'bounced'"), literal_column("'complained'")])


class BounceMailbox(Base):
    """The mailbox to which mail of one sender comes back; workers read it over IMAP."""

    __tablename__ = "smtp_admin_bounce_mailbox"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sender_id: Mapped[int] = mapped_column(BigId, ForeignKey(Sender.id), unique=True)
    host: Mapped[str] = mapped_column(String(253))
    port: Mapped[int] = mapped_column(Integer)
    #: ``ssl`` is encrypted from the first byte, ``tls`` after STARTTLS.
    security: Mapped[str] = mapped_column(String(4))
    username: Mapped[str] = mapped_column(String(320))
    #: Sealed for this sender and for the four columns above; empty where its sign-in is used.
    password: Mapped[str] = mapped_column(Sealed)
    folder: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    created_by: Mapped[str] = mapped_column(String(320))
    #: The last mail that was read, in the numbering that the server had then.
    validity: Mapped[int] = mapped_column(BigInteger, default=0)
    last_uid: Mapped[int] = mapped_column(BigInteger, default=0)
    #: One worker at a time: until then, whoever has the lease reads.
    next_read_at: Mapped[datetime] = mapped_column(UTCDateTime, default=sql_now())
    lease: Mapped[str] = mapped_column(String(32), default="")
    last_read_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    mails: Mapped[int] = mapped_column(BigInteger, default=0)
    events: Mapped[int] = mapped_column(BigInteger, default=0)
    #: Why the last reading failed; no failures in a row is none.
    failures: Mapped[int] = mapped_column(Integer, default=0)
    failed_step: Mapped[str] = mapped_column(String(20), default="")
    failed_code: Mapped[str] = mapped_column(String(40), default="")
    failed_words: Mapped[str] = mapped_column(String(500), default="")
