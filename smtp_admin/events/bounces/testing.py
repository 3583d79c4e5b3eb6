"""Test a bounce mailbox while somebody waits: every step, and what stopped it."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from smtp_admin.audit.in_flight import in_flight
from smtp_admin.audit.outcomes import note_outcome, outcome_of
from smtp_admin.audit.service import NETWORK, record_within
from smtp_admin.database import host_engine
from smtp_admin.events.bounces.imap import Account
from smtp_admin.events.bounces.signing_in import open_for
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.sandbox import site
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report

#: How long a person waits.
OVERALL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it.

    Attributes:
        failure: what stopped it; ``None`` where the folder was opened.
        count: how many mails are in it.
    """

    report: Report
    failure: SMTPFailure | None = None
    count: int = 0


def try_mailbox(session: Session, sender: ResolvedSender, account: Account, actor: Actor) -> Tried:
    """Open the folder of *account* and close it again; nothing in it is changed.

    Raises:
        Unavailable: this process may not act for the database.
        RateLimited: this person tests too often, or enough tests run already.
        SecretError: a stored secret of the sender cannot be opened.
    """
    site.require(session)
    here, report = installation(), Report()
    config = here.config
    with in_flight(sender.partner_id):
        entry, *_ = record_within(
            session, actor, sender.partner_id, "bounces.tested",
            f"{account.username}, {account.host}:{account.port}",
            limit=config.test_limit, for_partner=config.partner_test_limit, of=NETWORK,
        )  # fmt: skip
        try:
            mailbox = open_for(
                host_engine(), here, sender, account, Deadline(OVERALL_SECONDS), report,
                trying=True,
            )  # fmt: skip
        except SMTPFailure as failure:
            note_outcome(session, entry, outcome_of(failure))
            return Tried(report, failure)
        mailbox.close()
        note_outcome(session, entry, outcome_of(None))
        return Tried(report, count=mailbox.count)
