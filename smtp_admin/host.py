"""What the host app supplies: who is signed in, and which partners there are."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who is signed in to the host app; every permission follows from this alone.

    Attributes:
        id: the host's own id, as text.
        email: where this person's test mails go.
        name: shown in the history of changes.
        is_admin: an administrator of the whole platform.
        partner_ids: the partners whose settings this person administers.
        customer_id: set for a customer, who may ask for a renewal reminder and nothing else.
    """

    id: str
    email: str
    name: str = ""
    is_admin: bool = False
    partner_ids: frozenset[str] = field(default_factory=frozenset)
    customer_id: str | None = None

    def __post_init__(self) -> None:
        # A host may well pass a list: what decides permissions must not change afterwards.
        object.__setattr__(self, "partner_ids", frozenset(self.partner_ids))


@dataclass(frozen=True, slots=True)
class Partner:
    """One of the host's partners, who sends mail in its own name.

    Attributes:
        id: the host's own id, as text of 1 to 100 characters; appears in addresses of pages.
        name: what people call it.
        site_domain: the domain of the partner's web site, which its mail should come from.
    """

    id: str
    name: str
    site_domain: str = ""


class Host:
    """What the plugin asks of the app that it lives in; subclass it and pass an instance.

    The methods are called during requests, often once each; none of them is called by
    :meth:`smtp_admin.SMTPAdmin.init_app`.
    """

    def current_actor(self) -> Actor | None:
        """Who is signed in, or ``None`` for nobody."""
        return None

    def partners(self) -> Iterable[Partner]:
        """All partners; the plugin shows each person only those that are theirs."""
        return ()

    def partner(self, partner_id: str) -> Partner | None:
        """One partner, or ``None``. Override it where searching all of them would be slow."""
        return next((one for one in self.partners() if one.id == partner_id), None)

    def sign_in_url(self, next_url: str) -> str | None:
        """Where to send a visitor who must sign in first; ``None`` answers a plain 401 page."""
        del next_url
        return None
