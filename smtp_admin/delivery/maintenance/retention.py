"""How long the mail of each partner is kept: as the host says, else as the configuration does."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement

from smtp_admin.config import Config
from smtp_admin.host import has_own
from smtp_admin.installation import installation
from smtp_admin.repeated import host_raised

log = logging.getLogger(__name__)

_LONGEST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Retention:
    """Some partners, and how long their mail is kept.

    Attributes:
        partner_ids: whose it is; where ``others``, whose it is not.
    """

    keep: timedelta
    partner_ids: Sequence[str]
    others: bool = False

    def concerns(self, partner_id: Any) -> ColumnElement[bool]:
        """Whether a row with this column is one of theirs."""
        found: ColumnElement[bool] = partner_id.in_(self.partner_ids)
        return ~found if self.others else found


def retentions(config: Config) -> list[Retention]:
    """For each length of time the partners whose mail is kept so long; all others at last.

    Empty where the host's own code failed: nothing is forgotten before it answers.
    """
    own: dict[int, list[str]] = defaultdict(list)
    host = installation().host
    if has_own(host, "keep_days"):
        try:
            for partner in host.partners():
                days = host.keep_days(partner.id)
                if days is not None:
                    own[_usable(days)].append(partner.id)
        except Exception as error:  # noqa: BLE001 - the host's code may raise anything
            so = "Nothing is forgotten this time."
            host_raised(log, "keep_days() or partners", error, so)
            return []
    everybody = sorted(one for some in own.values() for one in some)
    return [
        *(Retention(timedelta(days=days), sorted(some)) for days, some in sorted(own.items())),
        Retention(timedelta(days=config.keep_days), everybody, others=True),
    ]


def _usable(days: object) -> int:
    """*days* as a whole number of them.

    Raises:
        ValueError: it is none, or out of bounds.
    """
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= _LONGEST_DAYS:
        raise ValueError(f"keep_days() answers a whole number from 1 to {_LONGEST_DAYS}, or None")
    return days
