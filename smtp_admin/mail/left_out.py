"""Who of a list gets no mail although their line can be used: said before the mail is queued."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smtp_admin.mail.addresses import address_of
from smtp_admin.mail.bad_lines import Complaint
from smtp_admin.mail.batches import Recipient
from smtp_admin.mail.types import EmailType
from smtp_admin.suppression.reading import Suppressed
from smtp_admin.suppression.reasons import REASONS
from smtp_admin.translation import gettext


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Lines whose address is suppressed for this mail, each address once."""

    lines: tuple[Complaint, ...]

    @property
    def suppressed(self) -> int:
        """How many."""
        return len(self.lines)


def left_out_of(
    session: Session,
    partner_id: str,
    type_: EmailType,
    rows: Iterable[tuple[int, Recipient | Complaint]],
    again: Sequence[Complaint],
) -> LeftOut:
    """Who of *rows* is suppressed for a mail of *type_*: one query.

    Args:
        again: lines whose address stands before, which count once.
    """
    repeated = {one.line for one in again}
    asked = {
        line: address_of(one.address)[1]
        for line, one in rows
        if not isinstance(one, Complaint) and line not in repeated
    }
    suppressed = Suppressed(session, [(partner_id, one) for one in asked.values()])
    found = []
    for line, address in asked.items() if suppressed else ():
        why = suppressed.stops(partner_id, address, type_.name, notice=type_.notice)
        if why is not None:
            words = next((one.label for name, one in REASONS.items() if name == why.reason), "")
            found.append(
                Complaint(
                    line,
                    gettext("%(address)s: %(reason)s", address=address, reason=words or why.reason),
                )
            )
    return LeftOut(tuple(found))
