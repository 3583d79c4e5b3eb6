"""What pages ask about senders."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from smtp_admin.host import Partner
from smtp_admin.senders.resolve import ResolvedSender, load_sender


@dataclass(frozen=True, slots=True)
class PartnerSender:
    """A partner with its own sender, configured or not."""

    partner: Partner
    sender: ResolvedSender


def senders_of(session: Session, partners: list[Partner]) -> list[PartnerSender]:
    """Each of *partners* with its sender."""
    return [PartnerSender(partner, load_sender(session, partner.id)) for partner in partners]
