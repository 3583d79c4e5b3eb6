"""Everything that ends, the worst first: what page, command, doctor and alerts share."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

from sqlalchemy.orm import Session

from smtp_admin.database import database_now
from smtp_admin.expiry.kinds import BY_NAME, KINDS
from smtp_admin.expiry.things import Around, Condition, Ending, Needed
from smtp_admin.installation import installation
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import day, gettext, joined

_RANK = {name: place for place, name in enumerate(get_args(Condition))}
_NEVER = datetime.max.replace(tzinfo=UTC)


def watch(
    session: Session,
    senders: Sequence[ResolvedSender],
    partner_ids: frozenset[str] | None = None,
    *,
    needed_keys: Callable[[Session], Needed],
    for_alerts: bool = False,
) -> list[Ending]:
    """What ends of *senders* and their owners, the worst first; needs an app context.

    Args:
        partner_ids: whose they are; ``None`` for everybody's, and the installation's own.
        needed_keys: finds which keys stored secrets need.
        for_alerts: only what opens an alert.
    """
    around = Around(
        session, senders, installation().keyring, database_now(session), needed_keys, partner_ids
    )
    found = [
        one
        for kind in KINDS
        if kind.ends or not for_alerts
        for one in kind.read(around)
        if not for_alerts or (one.told and one.condition in {"over", "soon"})
    ]
    return sorted(found, key=_order)


def _order(one: Ending) -> tuple[Any, ...]:
    key = one.sender.key if one.sender else ""
    return (_RANK[one.condition], one.ends or _NEVER, one.partner_id, key, one.kind, one.subject)


def headline(one: Ending) -> str:
    """What it is and when it ends, as half a sentence."""
    what = name_of(one)
    if one.ends is None:
        return what
    at = day(one.ends, year=True)
    if one.condition == "over":
        return gettext("%(what)s: ended on %(day)s", what=what, day=at)
    return gettext("%(what)s: ends on %(day)s", what=what, day=at)


def name_of(one: Ending) -> str:
    """What it is: its kind, and its own name where it has one."""
    kind = BY_NAME[one.kind]
    if kind.alone:
        return one.what
    label = kind.label
    return gettext("%(kind)s “%(name)s”", kind=label, name=one.what) if one.what else label


def advice_on(one: Ending) -> str:
    """What is known beside its end, and what to do where something is to be done."""
    to_do = BY_NAME[one.kind].do if one.condition in {"over", "soon", "attention"} else ""
    return joined((one.detail, to_do))


def as_json(one: Ending) -> dict[str, Any]:
    """For a script."""
    return {
        "kind": one.kind,
        "label": name_of(one),
        "partner_id": one.partner_id,
        "sender": one.sender.key if one.sender else None,
        "condition": one.condition,
        "ends_at": _time(one.ends),
        "since": _time(one.begins),
        "message": advice_on(one),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
