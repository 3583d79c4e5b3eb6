"""Forget the tokens of a sender that is deleted.

They are not revoked at the vendor: Google ends all that a person granted to the client then, other
senders' sign-ins with it. Whoever wants that does it in their account there.
"""

from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.senders.belongings import Belongings

TOKENS = Belongings(OAuthGrant.id, OAuthGrant.sender_id)
