"""The log of mail: what there is, found by filters, a page at a time, newest first.

Nothing here counts or sorts all mail: a page is read along an index, numbers stop at
:data:`COUNTED`, and a time is first turned into the place where the mail of that time begins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true
from sqlalchemy.orm import Session, aliased

from smtp_admin.database import among
from smtp_admin.delivery.copies import no_foreign_copy
from smtp_admin.delivery.counted import Counted, conditions_of, failed_attempts, looked_up
from smtp_admin.delivery.limits import used_by
from smtp_admin.delivery.logged_mail import LoggedMail, rows_of
from smtp_admin.delivery.mail_search import Search, has_words
from smtp_admin.delivery.models import HAS_CODE, IS_OPEN, Delivery, Message, in_states
from smtp_admin.delivery.queued_since import queued_since
from smtp_admin.delivery.states import STATES, State

#: The numbers beside states stop here: six of them are counted for each look at the log.
COUNTED = 1_000
#: What is counted once stops here: before something is done with it, and of what failed alike.
COUNTED_ONCE = 10_000
#: Words are looked for in so many of the newest mails that the other filters leave.
SEARCHED = 10_000
_EXPORTED_AT_ONCE = 1000
#: Instead of an id after which to go on: the page of the oldest.
OLDEST = -1

Group = Literal["waiting", "sent", "failed", "unknown", "ended"]
#: States as people tell them apart.
GROUPS: dict[Group, tuple[State, ...]] = {
    "waiting": ("queued", "sending"),
    "sent": ("sent", "delivered"),
    "failed": ("dead", "bounced", "complained"),
    "unknown": ("uncertain",),
    "ended": ("cancelled", "expired", "suppressed"),
}
_OPEN: frozenset[State] = frozenset({"queued", "sending", "uncertain", "dead"})


@dataclass(frozen=True, slots=True)
class MailFilter:
    """Which mail is asked for.

    Attributes:
        partner_ids: whose; ``None`` for everybody's, ``""`` among them for the system's own.
        states: none for any.
        code, cause: with which failure, as it was written down.
        since: when it was queued (aware).
        counted: which a number with a period counts, whatever became of it since.
        looked_up: these, where they were looked up already.
        own_copies: leave out copies to the archive of somebody else's sender.
    """

    partner_ids: frozenset[str] | None
    states: tuple[State, ...] = ()
    type_name: str = ""
    sender_id: int = 0
    batch_id: int = 0
    code: str = ""
    cause: str | None = None
    since: datetime | None = None
    counted: Counted | None = None
    looked_up: tuple[int, ...] | None = None
    own_copies: bool = False
    search: Search = field(default_factory=Search)

    @property
    def is_recent(self) -> bool:
        """Whether it leaves little of what is old: mail ends within days."""
        return self.counted is not None or (bool(self.states) and _OPEN.issuperset(self.states))

    @property
    def counts_accepted(self) -> bool:
        """Whether it is what a number counts as accepted, by whichever sender."""
        counted = self.counted is not None and self.counted.kind == "accepted"
        return counted and not self.sender_id

    @property
    def is_cheap(self) -> bool:
        """Whether what it leaves can be counted along an index."""
        return not (self.type_name or self.code or self.counted or self.search.text)


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some deliveries, newest first.

    Attributes:
        older, newer: the ids to go on from; 0 where there is nothing more that way.
        older_mail, newer_mail: the mails of these, by which those of one type are in order: when
            somebody goes on, they may be of another mail, or gone.
    """

    rows: tuple[LoggedMail, ...]
    older: int = 0
    newer: int = 0
    older_mail: int = 0
    newer_mail: int = 0


def states_named(name: str) -> tuple[State, ...]:
    """The states of a group or of one state; none for anything else."""
    for group, found in GROUPS.items():
        if name == group:
            return found
    return tuple(one for one in STATES if one == name)


def look_up(session: Session, which: MailFilter) -> MailFilter:
    """*which* with the mails that a number counts, for whoever asks for them more than once."""
    if which.counted is None:
        return which
    ids = looked_up(session, which.counted, which.partner_ids, which.sender_id)
    return replace(which, looked_up=ids)


def page_of(
    session: Session,
    which: MailFilter,
    *,
    before: int = 0,
    after: int = 0,
    mail: int = 0,
    size: int = 50,
) -> LogPage:
    """A page of the log.

    Args:
        before: older than this id; *after*: newer than that one, the nearest first. Of both, 0 is
            the newest page.
        mail: the mail of that one, as the page that leads here said.
        size: rows of a page.
    """
    backwards = bool(after)
    ids = ids_of(session, which, before=before, after=after, mail=mail, most=size + 1)
    more = len(ids) > size
    ids = ids[size - 1 :: -1] if backwards else ids[:size]
    rows = rows_of(session, ids)
    if not rows:
        return LogPage(())
    has_newer = more if backwards else bool(before)
    has_older = True if backwards else more
    if after == OLDEST:
        has_older = False
    older, newer = ids[-1] if has_older else 0, ids[0] if has_newer else 0
    mails = {one.id: one.message_pk for one in rows}
    return LogPage(rows, older, newer, mails.get(older, 0), mails.get(newer, 0))


def counts_of(session: Session, which: MailFilter) -> dict[str, int]:
    """How many deliveries each group has, and all together under ``all``, up to COUNTED + 1."""
    columns = []
    for name in ("all", *GROUPS):
        parts = _by_index(states_named(name))
        for number, states in enumerate(parts):
            some = newest_of(session, replace(which, states=states), COUNTED + 1)
            counted = select(func.count()).select_from(some.subquery()).scalar_subquery()
            columns.append(counted.label(f"{name}_{number}"))
    found = dict.fromkeys(("all", *GROUPS), 0)
    for label, count in session.execute(select(*columns)).one()._mapping.items():
        name = label.rpartition("_")[0]
        found[name] = min(found[name] + int(count), COUNTED + 1)
    return found


def sends_of(session: Session, which: MailFilter) -> int:
    """How many sends a number counts that *which* is about: one mail may have several; else 0."""
    counted = which.counted
    if counted is not None and counted.kind == "used":
        return used_by(session, {which.sender_id}, counted.since).get(which.sender_id, 0)
    if counted is None or counted.kind != "failed":
        return 0
    others = conditions(session, replace(which, counted=None, looked_up=None, sender_id=0))
    return failed_attempts(session, counted, which.partner_ids, which.sender_id, others)


def newest_of(session: Session, which: MailFilter, most: int, *columns: Any) -> Select[Any]:
    """*columns* of up to *most* deliveries; the newest, where columns or a time are asked for.

    Their ids alone stand in indexes, and a time is the end of what is sorted by them: so mails are
    looked at only as far as they are wanted.
    """
    # Of one owner, an index leads to the time.
    since = which.since if which.partner_ids is None else None
    if since is not None:
        which = replace(which, since=None)
    ids = select(Delivery.id).where(*conditions(session, which))
    if not columns and since is None:
        return ids.limit(most)
    some = ids.order_by(Delivery.id.desc()).limit(most).subquery()
    found = select(*(columns or (Delivery.id,))).join(some, some.c.id == Delivery.id)
    return found if since is None else found.where(Delivery.created_at >= since)


def _by_index(states: tuple[State, ...]) -> list[tuple[State, ...]]:
    """*states* apart where no one index has them all."""
    is_open = tuple(one for one in states if one in _OPEN)
    others = tuple(one for one in states if one not in _OPEN)
    return [one for one in (is_open, others) if one] or [()]


def exported(session: Session, which: MailFilter, most: int) -> Iterator[LoggedMail]:
    """Up to *most* deliveries, read in steps; what is read stays no longer than its step."""
    which = look_up(session, which)
    before, mail, left = 0, 0, most
    while left > 0:
        ids = ids_of(session, which, before=before, mail=mail, most=min(left, _EXPORTED_AT_ONCE))
        if not ids:
            return
        before, mail, left = ids[-1], mail_of(session, which, ids[-1]), left - len(ids)
        yield from rows_of(session, ids)
        session.rollback()  # an export may take minutes, and no snapshot should


def ids_of(
    session: Session,
    which: MailFilter,
    *,
    before: int = 0,
    after: int = 0,
    mail: int = 0,
    most: int,
) -> list[int]:
    """The ids of deliveries, the newest first; with *after*, the nearest to it first.

    Of one type, the newest are those of the newest mails: so an index leads from one to the next.
    There *mail* says where *before* or *after* stood when it was read; see :func:`mail_of`.
    """
    if which.type_name:
        return _of_type(session, which, before=before, after=after, was_of=mail, most=most)
    found: ColumnElement[int] = Delivery.id.expression
    statement: Select[Any] = select(found)
    # Words are not asked for there: what has none of them would fill the page.
    if after and which.counts_accepted and not which.search.words:
        statement = statement.where(_up_to(session, which, after=after, most=most))
    statement = statement.where(*conditions(session, which))
    if words := which.search.words:
        near = _with_subjects(statement).order_by(Delivery.id.desc()).limit(SEARCHED).subquery()
        found = near.c.id
        statement = select(found).where(has_words(words, near.c.subject, near.c.recipient))
    if after:
        return _nearest(session, which, statement, found, after=after, most=most)
    if before:
        statement = statement.where(found < before)
    return list(session.scalars(statement.order_by(found.desc()).limit(most)))


def _nearest(
    session: Session,
    which: MailFilter,
    statement: Select[Any],
    found: ColumnElement[int],
    *,
    after: int,
    most: int,
) -> list[int]:
    if after != OLDEST:
        statement = statement.where(found > after)
    # By what no index has, where the oldest of all mail is hardly what is asked for.
    statement = statement.order_by(found + 0 if which.is_recent else found)
    return list(session.scalars(statement.limit(most)))


def _up_to(session: Session, which: MailFilter, *, after: int, most: int) -> ColumnElement[bool]:
    """Where the nearest to *after* end at the latest: where those of a few senders do.

    What was accepted in a day is found by its time, of each sender. Most of it need not be looked
    at any closer, for it is beyond.
    """
    statement = select(Delivery.id).where(*conditions(session, which, by_few=True))
    ids = _nearest(session, which, statement, Delivery.id.expression, after=after, most=most)
    return Delivery.id + 0 <= ids[-1] if len(ids) == most else true()


def _with_subjects(statement: Select[Any]) -> Select[Any]:
    """What words are looked for in; each subject by itself, for a join would read those of all."""
    theirs = aliased(Message)
    subject = select(theirs.subject).where(theirs.id == Delivery.message_pk).scalar_subquery()
    return statement.add_columns(Delivery.recipient, subject.label("subject"))


def _of_type(
    session: Session, which: MailFilter, *, before: int, after: int, was_of: int, most: int
) -> list[int]:
    """As :func:`ids_of`, for the mail of one type."""
    other = was_of
    if not other and (place := before if after <= 0 else after):
        other = mail_of(session, which, place)
    mail, one, link = Message.id.expression, Delivery.id.expression, Delivery.message_pk.expression
    of_mails: Any = (
        select(mail.label("mail"), one.label("id"))
        .join_from(Message, Delivery, Message.id == Delivery.message_pk)
        .where(*conditions(session, which))
    )
    # MariaDB would rather sort all mail of a type.
    for dialect in ("mysql", "mariadb"):
        hint = "FORCE INDEX (ix_smtp_admin_message_type)"
        of_mails = of_mails.with_hint(Message, hint, dialect).prefix_with(
            "STRAIGHT_JOIN", dialect=dialect
        )
    if words := which.search.words:
        near = _with_subjects(of_mails).order_by(mail.desc()).limit(SEARCHED).subquery()
        mail, one, link = near.c.mail, near.c.id, near.c.mail
        of_mails = select(mail, one).where(has_words(words, near.c.subject, near.c.recipient))
    # Said of both, so that neither index is read from its end.
    beyond: Any = true()
    if after > 0:
        beyond = and_(mail >= other, link >= other, or_(mail > other, one > after))
    elif before and not after:
        beyond = and_(mail <= other, link <= other, or_(mail < other, one < before))
    # First along the index of mails alone. The last of these may have more recipients.
    along = of_mails.where(beyond).order_by(mail if after else mail.desc()).limit(most)
    last = along.subquery().c.mail
    last = select(func.max(last) if after else func.min(last)).scalar_subquery()
    within = of_mails.where(beyond, mail <= last if after else mail >= last)
    order = (mail, one) if after else (mail.desc(), one.desc())
    return [row.id for row in session.execute(within.order_by(*order).limit(most))]


def mail_of(session: Session, which: MailFilter, delivery_id: int) -> int:
    """The mail of a delivery, or of the next older one where it is not there any more.

    0 where no type is asked for: then a page goes on from the delivery alone.
    """
    if not which.type_name:
        return 0
    wanted = select(Delivery.message_pk).where(Delivery.id <= delivery_id)
    return session.scalar(wanted.order_by(Delivery.id.desc()).limit(1)) or 0


def conditions(
    session: Session, which: MailFilter, *, by_few: bool = False
) -> list[ColumnElement[bool]]:
    """What a delivery must be, but for words; with a type, its mail has to be joined."""
    found: list[ColumnElement[bool]] = []
    if which.partner_ids is not None:
        ids = sorted(which.partner_ids)
        found.append(
            Delivery.partner_id == ids[0] if len(ids) == 1 else Delivery.partner_id.in_(ids)
        )
    if which.states:
        found.append(_in_states(which.states))
    if which.type_name:
        found.append(Message.type_name == which.type_name)
    if which.sender_id and which.counted is None:
        found.append(Delivery.sender_id == which.sender_id)
    if which.batch_id:  # nobody sent a copy to an archive to anybody
        found += [Delivery.batch_id == which.batch_id, Delivery.archive.is_(False)]
    if which.code:
        found += [Delivery.last_code == which.code, HAS_CODE]
    if which.cause is not None:
        found.append(Delivery.last_cause == which.cause)
    if which.since is not None:
        found += queued_since(session, which.since, along_mails=bool(which.type_name))
    if which.looked_up is not None:
        found.append(among(session, Delivery.id, which.looked_up))
    elif which.counted is not None:
        owners = which.partner_ids
        found += conditions_of(session, which.counted, owners, which.sender_id, by_few=by_few)
    if which.own_copies:
        found.append(no_foreign_copy())
    if (condition := which.search.condition) is not None:
        found.append(condition)
    return found


def _in_states(states: Sequence[State]) -> ColumnElement[bool]:
    found = in_states(states)
    return found & IS_OPEN if _OPEN.issuperset(states) else found
