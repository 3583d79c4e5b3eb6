"""What suppressions make of mail that is being queued.

A mail that an address does not get is kept, with the reason, and never sent: whoever asks why finds
it in the log.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin.delivery import states
from smtp_admin.delivery.models import TEST_TYPE
from smtp_admin.delivery.outgoing import OutgoingMail
from smtp_admin.delivery.recipient_limits import NOT_LIMITED
from smtp_admin.senders.lookups import once
from smtp_admin.suppression.reading import Found, Suppressed, has_any
from smtp_admin.suppression.reasons import CODE, sentence_of

_LONGEST_ERROR = 500


def suppressed_of(session: Session, mails: Sequence[OutgoingMail]) -> Suppressed:
    """The suppressions of those whom *mails* are for.

    A test mail goes out all the same: whoever sends one wants to see what happens. Whether a
    partner has any suppression is asked once in a transaction.
    """
    concerned = [mail for mail in mails if not _exempt(mail)]
    some = {
        one
        for one in {mail.partner_id for mail in concerned}
        if once(session, ("suppressions", one), partial(has_any, session, one))
    }
    wanted = [
        (mail.partner_id, address)
        for mail in concerned
        if mail.partner_id in some
        for address in mail.intended or mail.recipients
    ]
    return Suppressed(session, wanted)


def kept_back_by(
    suppressed: Suppressed, mail: OutgoingMail, address: str, moment: datetime
) -> dict[str, Any] | None:
    """The columns of a delivery that is kept back; ``None`` for one that may go.

    What the sandbox sends elsewhere is judged by whom it was for: it is kept back if none of them
    may have it.
    """
    if not suppressed or _exempt(mail):
        return None
    found = [
        suppressed.stops(mail.partner_id, one, mail.type_name, notice=mail.notice)
        for one in mail.intended or (address,)
    ]
    first = found[0]
    if first is None or not all(found):
        return None
    return {
        **NOT_LIMITED,
        "state": states.check("queued", "suppressed"),
        "finished_at": moment,
        "last_code": CODE,
        "last_error": words_of(first),
    }


def words_of(found: Found) -> str:
    """Why a mail was not sent."""
    why = sentence_of(found.reason)
    return (f"{why} ({found.detail})" if found.detail else why)[:_LONGEST_ERROR]


def _exempt(mail: OutgoingMail) -> bool:
    return mail.is_test or mail.type_name == TEST_TYPE
