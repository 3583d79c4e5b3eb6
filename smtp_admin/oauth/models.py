"""The table of what is kept of OAuth2: a sender's tokens, and who is renewing them just now."""

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from smtp_admin.database import Base, BigId, UTCDateTime
from smtp_admin.senders.models import Sender

#: Tokens of some vendors have thousands of letters, and one that is cut off looks revoked.
Sealed = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


class OAuthGrant(Base):
    """The tokens of one sender, for the settings that they were issued for.

    What was granted for other settings counts as nothing, and is written over.
    """

    __tablename__ = "smtp_admin_oauth_grant"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sender_id: Mapped[int] = mapped_column(BigId, ForeignKey(Sender.id), unique=True)
    #: What they are for; see :attr:`smtp_admin.credentials.oauth.OAuthLogin.purpose`.
    purpose: Mapped[str] = mapped_column(String(64))
    #: One more with each token that is written: who read an older one writes nothing.
    version: Mapped[int] = mapped_column(Integer, default=0)
    #: Sealed; empty where there is none.
    refresh_token: Mapped[str] = mapped_column(Sealed, default="")
    access_token: Mapped[str] = mapped_column(Sealed, default="")
    #: When the access token ends, and when it is time to ask for the next one.
    access_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    renew_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    issued_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: When what was granted ends, where its server said so, and when that was last put off: what
    #: is renewed moves on with each use, and what a vendor grants for a week does not.
    refresh_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    refresh_from: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: When a person signed in, who that was here, and which account the token names.
    granted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    granted_by: Mapped[str] = mapped_column(String(320), default="")
    account: Mapped[str] = mapped_column(String(320), default="")
    #: Set where a person must sign in again, with the key of the cause, and our sentence.
    dead_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    dead_cause: Mapped[str] = mapped_column(String(60), default="")
    dead_reason: Mapped[str] = mapped_column(String(500), default="")
    #: Who asks for a token now; one that ran out without being given back was killed while asking.
    lease: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Not before, because the token server has just failed.
    retry_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
