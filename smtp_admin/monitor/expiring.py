"""What ends, for people: of everybody or of some partners, for page, command and doctor."""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from smtp_admin.database import SYSTEM, session
from smtp_admin.expiry.things import AHEAD, Ending
from smtp_admin.expiry.watch import advice_on, headline, watch
from smtp_admin.monitor.alerts.rules import senders_that_send
from smtp_admin.monitor.health import Check
from smtp_admin.monitor.stored_secrets import needed_keys
from smtp_admin.translation import sentence

_MOST_NAMED = 10


def endings(with_session: Session, partner_ids: frozenset[str] | None = None) -> list[Ending]:
    """Everything that ends of these partners, or of everybody, the worst first."""
    senders = senders_that_send(with_session, partner_ids)
    return watch(with_session, senders, partner_ids, needed_keys=needed_keys)


def expiry() -> Iterator[Check]:
    """What has ended or ends soon."""
    found = endings(session())
    bad = [one for one in found if one.told and one.condition in {"over", "soon"}]
    for one in bad[:_MOST_NAMED]:
        yield Check(
            "expiry",
            "failed" if one.condition == "over" else "warning",
            sentence(headline(one)),
            advice_on(one),
            subject=_whose(one),
        )
    if len(bad) > _MOST_NAMED:
        yield Check("expiry", "warning", f"{len(bad) - _MOST_NAMED} more have ended or end soon.",
                    "See all: flask smtp-admin expiry.")  # fmt: skip
    undated = sum(one.condition == "attention" and one.kind == "client_secret" for one in found)
    if undated:
        yield Check("expiry", "warning", f"Client secrets without a last day: {undated}.",
                    "Enter it on the tab of these senders: flask smtp-admin expiry.")  # fmt: skip
    if not bad and not undated:
        yield Check("expiry", "ok", f"Nothing that is watched ends within {AHEAD.days} days.")


def _whose(one: Ending) -> str:
    owner = f"partner {one.partner_id}" if one.partner_id != SYSTEM else "the system"
    return f"{owner}, sender {one.sender.key}" if one.sender and one.sender.key else owner
