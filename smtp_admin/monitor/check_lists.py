"""The daily import of suppression lists of providers: whether it comes round, and what it says."""

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import select

from smtp_admin.database import SYSTEM, database_now, session
from smtp_admin.installation import installation
from smtp_admin.monitor.health import Check
from smtp_admin.senders.models import Sender
from smtp_admin.suppression.models import ProviderList

#: Troubles that are told one by one.
_MOST_NAMED = 10
#: Beyond its time by so much, no worker has asked for it.
_LATE = timedelta(hours=2)


def lists() -> Iterator[Check]:
    """What came of the last imports."""
    if not installation().config.import_suppressions:
        yield Check("lists", "ok", "SMTP_ADMIN_IMPORT_SUPPRESSIONS is off.")
        return
    rows = session().execute(
        select(ProviderList, Sender.partner_id, Sender.key)
        .join(Sender, Sender.id == ProviderList.sender_id)
        .where(Sender.deleted_at.is_(None))
        .order_by(Sender.partner_id, Sender.key)
    )
    found = [(one, _whose(partner_id, key)) for one, partner_id, key in rows]
    bad = [(one, whose) for one, whose in found if one.failures]
    for one, whose in bad[:_MOST_NAMED]:
        since = f"Last imported {one.imported_at:%Y-%m-%d}." if one.imported_at else ""
        yield Check("lists", "warning", f"{one.trouble} {since}".rstrip(),
                    "It is tried again automatically.", subject=whose)  # fmt: skip
    if len(bad) > _MOST_NAMED:
        yield Check("lists", "warning", f"{len(bad) - _MOST_NAMED} more were not imported.")
    moment = database_now(session())
    if late := sum(one.next_import_at < moment - _LATE for one, _ in found):
        yield Check("lists", "warning", f"Suppression lists that no worker asked for in time: "
                    f"{late}.", "Check that a worker runs, and check its log.")  # fmt: skip
    if not bad and not late:
        refused = sum(one.refused for one, _ in found)
        words = f"Suppression lists of providers that are imported daily: {len(found) - refused}."
        if refused:
            words += f" Senders whose key may not read theirs: {refused}."
        yield Check("lists", "ok", words)


def _whose(partner_id: str, key: str) -> str:
    owner = f"partner {partner_id}" if partner_id != SYSTEM else "the system"
    return f"{owner}, sender {key}" if key else owner
