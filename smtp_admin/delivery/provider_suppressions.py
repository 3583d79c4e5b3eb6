"""Take over what providers suppress already: mail to such an address is only refused there."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin.audit.in_flight import in_flight
from smtp_admin.audit.service import record, refuse_many_changes
from smtp_admin.database import database_now
from smtp_admin.database_errors import begin_again
from smtp_admin.delivery.suppressions import suppress_all
from smtp_admin.errors import InvalidInput, Unavailable
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.sandbox.site import require
from smtp_admin.senders.cleaning import DEFAULT
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.session import Dialler
from smtp_admin.suppression.provider_lists.lifted import Awaited
from smtp_admin.suppression.provider_lists.reading import Reading, read_lists
from smtp_admin.suppression.provider_lists.shape import Account
from smtp_admin.suppression.provider_lists.table import OfSender, accounts_of
from smtp_admin.suppression.writing import row_of
from smtp_admin.translation import gettext

#: How long a person waits for a page; a command may take longer.
PAGE_SECONDS, COMMAND_SECONDS = 20.0, 300.0


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What came of it.

    Attributes:
        sender: the key of the sender whose account it is.
        rows: addresses on the provider's lists.
        new: of these, those that were not suppressed here.
        unusable: further ones that are no addresses.
        trouble: why these are not all, in one sentence; empty where they are.
    """

    sender: str
    provider: str
    rows: int
    new: int
    unusable: int = 0
    trouble: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same for a script."""
        return {
            "sender": self.sender or DEFAULT,
            "provider": self.provider,
            "rows": self.rows,
            "new": self.new,
            "unusable": self.unusable,
            "trouble": self.trouble or None,
        }


def account_to_read(session: Session, partner_id: str, key: str) -> OfSender:
    """The account of the partner's sender with this key.

    Raises:
        InvalidInput: it has no list that its key could read.
    """
    for one in accounts_of(session, partner_id):
        if one.sender.key == key:
            return one
    raise InvalidInput(
        gettext("This sender has no suppression list that can be read."),
        hint=gettext(
            "There is one for the sending methods Amazon SES and Mailgun, and for SMTP with an API "
            "key of SendGrid or a server token of Postmark."
        ),
        fields={"sender": [gettext("Choose one of the senders on the page.")]},
    )


def take_over(
    session: Session, partner_id: str, of: OfSender, actor: Actor, *, seconds: float
) -> TakenOver:
    """Suppress what one provider suppresses, and commit. No transaction is open while it is read.

    What was read before a trouble is kept: the next time reads from the beginning.

    Raises:
        RateLimited: this person changes too much, or enough runs already.
        Unavailable: this is a sandbox, or the provider told nothing.
    """
    here = installation()
    require(session)
    if here.config.sandbox is not None:
        raise Unavailable(
            gettext("This installation is a sandbox, which calls no provider."),
            hint=gettext("Import in the original installation, or from a file."),
        )
    refuse_many_changes(session, actor)
    begun = database_now(session)
    session.rollback()
    account = of.account
    with in_flight(partner_id):
        found = read_lists(account, Dialler.from_config(here.config), Deadline(seconds))
    if found.trouble and not found.listed:
        raise Unavailable(found.trouble, hint=account.right)
    listed = rows_of(partner_id, account, found)

    def write() -> tuple[int, int]:
        awaited = Awaited(session, partner_id, begun)
        rows = [one for one in listed if not awaited.has(one)]
        new = suppress_all(session, partner_id, rows)
        detail = f"{account.provider}: {new} new of {len(rows)}"
        record(session, actor, partner_id, "suppression.imported", detail)
        session.commit()
        return len(rows), new

    count, new = begin_again(write, session.rollback)
    return TakenOver(of.sender.key, account.provider, count, new, found.unusable, found.trouble)


def rows_of(partner_id: str, account: Account, found: Reading) -> list[dict[str, Any]]:
    """The rows that what was read becomes in a partner's list, each once."""
    rows = [
        row_of(
            partner_id, one.address, one.reason, category=one.category, detail=one.detail,
            by=account.provider,
        )
        for one in found.listed
    ]  # fmt: skip
    each = {(row["address_hash"], row["category"], row["reason"]): row for row in reversed(rows)}
    return list(each.values())
