"""What somebody means who types into the search of the mail log, and how it is looked for.

What has an index is found among any number of mails: an address, a domain, an id, a Message-ID.
Other words are looked for among the newest few thousand only.
"""

import re
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from smtp_admin.delivery.digest_items import find_item
from smtp_admin.delivery.models import Delivery, Message, address_parts
from smtp_admin.delivery.public_ids import is_public_id

Kind = Literal["nothing", "id", "message_id", "address", "domain", "words"]

LONGEST_SEARCH = 300
_MOST_WORDS = 8
#: Mails with one Message-ID: copies for some recipients have the same.
_MOST_MESSAGES = 1000
_DOMAIN = re.compile(r"@?(?P<name>[^\s@<>]+\.[^\s@<>.]{2,})")
_ADDRESS = re.compile(r"[^\s<>]+@[^\s@<>]+")


@dataclass(frozen=True, slots=True)
class Search:
    """A text and what it was taken for.

    Attributes:
        message_pks: of which mails, where it names some by an id.
    """

    kind: Kind = "nothing"
    text: str = ""
    message_pks: tuple[int, ...] = ()

    @property
    def condition(self) -> ColumnElement[bool] | None:
        """What a delivery must be to be found; ``None`` for all, and for words."""
        if self.kind in {"id", "message_id"}:
            return Delivery.message_pk.in_(self.message_pks)
        domain, mailbox = address_parts(self.text)
        if self.kind == "address":
            return and_(Delivery.domain == domain, Delivery.mailbox == mailbox)
        if self.kind == "domain":
            return Delivery.domain == domain
        return None

    @property
    def words(self) -> tuple[str, ...]:
        """What each must be found in a subject or an address."""
        return tuple(self.text.split()[:_MOST_WORDS]) if self.kind == "words" else ()


def has_words(words: tuple[str, ...], *texts: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether every one of *words* is in one of *texts*."""
    return and_(*(or_(*(text.icontains(one, autoescape=True) for text in texts)) for one in words))


def understand(session: Session, text: str, partner_ids: frozenset[str] | None = None) -> Search:
    """What *text* is: the first of the kinds that fits, looked up where that must be known.

    Args:
        partner_ids: in whose mail; ``None`` for everybody's. What is not theirs must not show.
    """
    text = text.strip()[:LONGEST_SEARCH]
    if not text:
        return Search()
    if is_public_id(text.lower()):
        found = _messages(session, Message.public_id == text.lower(), partner_ids)
        if not found:
            item = find_item(session, text.lower(), partner_ids)
            if item is not None and item.message_id is not None:
                told = Message.public_id == item.message_id
                found = _messages(session, told, partner_ids)
        return Search("id", text, found)
    # Mail programs show a Message-ID with its brackets, logs often without.
    bare = text.removeprefix("<").removesuffix(">")
    if _ADDRESS.fullmatch(bare):
        found = _messages(session, Message.message_id == f"<{bare}>", partner_ids)
        if found or bare != text:
            return Search("message_id", text, found)
        return Search("address", text)
    domain = _DOMAIN.fullmatch(text)
    if domain is not None:
        name = domain["name"].lower()
        there = select(Delivery.id).where(Delivery.domain == name)
        if partner_ids is not None:
            there = there.where(Delivery.partner_id.in_(sorted(partner_ids)))
        if text.startswith("@") or session.scalar(there.limit(1)):
            return Search("domain", f"@{name}")
    return Search("words", text)


def _messages(
    session: Session, which: ColumnElement[bool], partner_ids: frozenset[str] | None
) -> tuple[int, ...]:
    found = select(Message.id).where(which)
    if partner_ids is not None:
        found = found.where(Message.partner_id.in_(sorted(partner_ids)))
    return tuple(session.scalars(found.limit(_MOST_MESSAGES)))
