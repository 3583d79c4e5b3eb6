"""Stored tokens, for those who look at all secrets and seal them anew."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.oauth.sealing import KINDS, binding_of
from smtp_admin.senders.models import Sender
from smtp_admin.senders.sealed_texts import SealedText


def sealed_tokens(session: Session, *, locked: bool = False) -> Iterator[SealedText]:
    """All of them."""
    found = select(OAuthGrant, Sender).join(Sender, Sender.id == OAuthGrant.sender_id)
    if locked:
        found = found.with_for_update(of=OAuthGrant)
    for grant, sender in session.execute(found.order_by(OAuthGrant.id)).all():
        for kind in KINDS:
            binding = binding_of(kind, sender.partner_id, sender.id, grant.purpose)
            yield SealedText(sender, grant, f"{kind}_token", binding, "sign_in")
