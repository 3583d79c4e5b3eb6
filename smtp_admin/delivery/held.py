"""Mail that the sandbox holds: it stays queued, without a time at which it would be tried.

It ends as too old like any other, so nobody finds last month's link when a sandbox is opened.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, case

from smtp_admin.delivery.models import IS_QUEUED, Delivery
from smtp_admin.translation import gettext

CODE = "sandbox_held"
_REASON = gettext("The sandbox (SMTP_ADMIN_SANDBOX) does not send mail to this address.")
#: Later than anybody waits, and yet a time that every database can store.
_NOT_BY_ITSELF = datetime(9000, 1, 1, tzinfo=UTC)

IS_HELD = and_(IS_QUEUED, Delivery.last_code == CODE)


#: What it has where nothing is held, in the columns that tell it.
AS_USUAL = {"last_code": "", "last_error": ""}


def as_before_the_end() -> dict[str, Any]:
    """The same of a delivery that had ended and is queued again: what was held is held."""
    held = Delivery.next_attempt_at >= _NOT_BY_ITSELF
    return {
        "last_code": case((held, CODE), else_=""),
        "last_error": case((held, _REASON), else_=""),
    }


def as_held() -> dict[str, Any]:
    """What a queued delivery is given so that it is held."""
    return {"next_attempt_at": _NOT_BY_ITSELF, "last_code": CODE, "last_error": _REASON}
