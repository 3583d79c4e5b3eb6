"""One action on many deliveries, in small steps, each audited in its own transaction."""

import time
from collections import Counter as Tally
from collections.abc import Collection, Iterator, Sequence, Set
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from smtp_admin.audit.models import Audit
from smtp_admin.audit.service import record, refuse_many_changes
from smtp_admin.database import changed, database_now, reading
from smtp_admin.delivery.acts import doer
from smtp_admin.delivery.doorbell import listen
from smtp_admin.delivery.mail_actions import MAIL_ACTIONS, MailAction, undo, undoable
from smtp_admin.delivery.mail_log import MailFilter, conditions, ids_of, look_up, mail_of
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.errors import Conflict
from smtp_admin.host import Actor
from smtp_admin.steps import in_step
from smtp_admin.translation import gettext

#: Others who write wait for one step, at most; see :mod:`smtp_admin.steps`.
_STEP = 100
#: A person waits for the answer.
_LONGEST_SECONDS = 15.0
NOT_POSSIBLE = gettext("This action is not possible for any of these mails.")
UNDONE = "mail.undone"


@dataclass(slots=True)
class Done:
    """What came of it.

    Attributes:
        count: deliveries that were changed.
        kept_back: deliveries that were to be sent, and are kept back: their address is suppressed.
        at: the moment by which :func:`take_back` finds them again.
        more: whether time was up before all had their turn.
        can_be_undone: whether any of it can be: what carried secrets is erased by then.
    """

    at: datetime
    count: int = 0
    kept_back: int = 0
    more: bool = False
    can_be_undone: bool = False
    #: For each partner, the row of the audit log.
    _audits: dict[str, int] = field(default_factory=dict)
    _counts: Tally[str] = field(default_factory=Tally)
    _kept: Tally[str] = field(default_factory=Tally)


def act_on_selected(
    engine: Engine, actor: Actor, action: MailAction, scope: MailFilter, ids: Collection[int]
) -> Done:
    """Do *action* with these deliveries, as far as *scope* has them.

    Raises:
        Conflict: its state allows it with none of them.
        RateLimited: this person changes too much.
    """
    steps = _in_steps(sorted(ids, reverse=True))
    return _act(engine, actor, action, scope, steps)


def act_on_filtered(engine: Engine, actor: Actor, action: MailAction, which: MailFilter) -> Done:
    """Do *action* with everything that *which* finds and whose state allows it.

    Raises:
        Conflict: there is nothing like that.
        RateLimited: this person changes too much.
    """
    states = tuple(one for one in action.states if not which.states or one in which.states)
    if not states:
        raise Conflict(NOT_POSSIBLE)
    which = replace(which, states=states)
    return _act(engine, actor, action, which, _found_in_steps(engine, which))


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What came of undoing.

    Attributes:
        count: deliveries that are as they were before.
        left: those that time was up for; asking again goes on with them.
    """

    count: int
    left: int = 0


def take_back(engine: Engine, actor: Actor, scope: MailFilter, at: datetime) -> TakenBack:
    """Undo what was done at this moment, as far as a person waits for it.

    Raises:
        Conflict: there is nothing left of it that could be undone.
        RateLimited: this person changes too much.
    """
    with reading(engine) as session:
        names = [one.audited for one in MAIL_ACTIONS.values() if one.can_be_undone]
        mine = select(Audit.partner_id).where(Audit.at == at, Audit.action.in_(names))
        if scope.partner_ids is not None:
            mine = mine.where(Audit.partner_id.in_(sorted(scope.partner_ids)))
        owners = sorted(set(session.scalars(mine)))
        refuse_many_changes(session, actor)
    ends = time.monotonic() + _LONGEST_SECONDS
    found: list[TakenBack] = []
    for owner in owners:
        begun = any(one.count for one in found)
        found.append(_take_back_of(engine, actor, scope, owner, at, ends, begun=begun))
    count = sum(one.count for one in found)
    if not count:
        raise Conflict(gettext("This can no longer be undone."))
    return TakenBack(count, sum(one.left for one in found))


def _take_back_of(
    engine: Engine,
    actor: Actor,
    scope: MailFilter,
    owner: str,
    at: datetime,
    ends: float,
    *,
    begun: bool,
) -> TakenBack:
    """Undo what was done to this owner's mail; one step at least where nothing is *begun*."""
    with reading(engine) as session:
        # Copies after what they are copies of: they come back with it, and never alone before it.
        mine = _undoable_of(session, scope, owner, at).order_by(Delivery.id)
        left = dict.fromkeys(session.scalars(mine))
    count = 0
    audit_id = 0
    for some in _in_steps(list(left)):
        if (begun or count) and time.monotonic() > ends:
            break
        once = partial(
            _undo_step, actor=actor, owner=owner, ids=some, left=left.keys(), at=at, count=count,
            audit_id=audit_id,
        )  # fmt: skip
        done, audit_id = in_step(engine, once)
        for one in {*some, *done}:
            left.pop(one, None)
        count += len(done)
    return TakenBack(count, len(left))


def _undo_step(
    session: Session,
    *,
    actor: Actor,
    owner: str,
    ids: Sequence[int],
    left: Set[int],
    at: datetime,
    count: int,
    audit_id: int,
) -> tuple[Set[int], int]:
    """Undo it for *ids*: what is done of what is *left*, and the row of the audit log by now."""
    listen(session)
    moment = database_now(session)
    done = left & undo(session, ids, at, moment, doer(actor))
    if not done:
        return done, audit_id
    words = _words(count + len(done))
    return done, _write_down(session, actor, owner, UNDONE, words, audit_id, moment)


def _undoable_of(session: Session, scope: MailFilter, owner: str, at: datetime) -> Any:
    seen = MailFilter(frozenset({owner}), own_copies=scope.own_copies)
    return undoable(at).where(*conditions(session, seen))


def _act(
    engine: Engine,
    actor: Actor,
    action: MailAction,
    scope: MailFilter,
    steps: Iterator[list[int]],
) -> Done:
    with reading(engine) as session:
        refuse_many_changes(session, actor)  # once for all of it: half of it would be worse
        done = Done(database_now(session))
    ends = time.monotonic() + _LONGEST_SECONDS
    for some in steps:
        once = partial(_step, actor=actor, action=action, scope=scope, ids=some, before=done)
        done = in_step(engine, once)
        if time.monotonic() > ends:
            done.more = next(steps, None) is not None
            break
    if not done.count and not done.kept_back:
        raise Conflict(NOT_POSSIBLE)
    return done


def _step(
    session: Session,
    *,
    actor: Actor,
    action: MailAction,
    scope: MailFilter,
    ids: Sequence[int],
    before: Done,
) -> Done:
    """Do it with *ids*: what came of all of it by now."""
    listen(session)
    done = deepcopy(before)  # this step may begin again
    mine = select(Delivery.partner_id, Delivery.id).where(
        Delivery.id.in_(ids),
        Delivery.state.in_(action.states),
        *conditions(session, MailFilter(scope.partner_ids, own_copies=scope.own_copies)),
    )
    owned: dict[str, list[int]] = {}
    for partner_id, delivery_id in session.execute(mine):
        owned.setdefault(partner_id, []).append(delivery_id)
    for partner_id, some in sorted(owned.items()):
        acted = action.act(session, some, done.at, doer(actor))
        if not any(acted):
            continue
        done.count += acted.changed
        done.kept_back += acted.kept_back
        if action.can_be_undone and not done.can_be_undone:
            done.can_be_undone = _has_text(session, some, done.at)
        done._counts[partner_id] += acted.changed
        done._kept[partner_id] += acted.kept_back
        done._audits[partner_id] = _write_down(
            session, actor, partner_id, action.audited,
            _words(done._counts[partner_id], done._kept[partner_id]),
            done._audits.get(partner_id, 0), done.at,
        )  # fmt: skip
    return done


def _has_text(session: Session, ids: Sequence[int], at: datetime) -> bool:
    """Whether any of these, which ended at this moment, could be sent after all."""
    found = (
        select(Delivery.id)
        .join(Message, Message.id == Delivery.message_pk)
        .where(Delivery.id.in_(ids), Delivery.finished_at == at, Message.content != b"")
    )
    return session.scalar(found.limit(1)) is not None


def _write_down(
    session: Session,
    actor: Actor,
    partner_id: str,
    action: str,
    words: str,
    audit_id: int,
    at: datetime,
) -> int:
    """Note how many by now, in the row that the first step wrote; the row's id."""
    if audit_id:
        changed(session, update(Audit).where(Audit.id == audit_id).values(detail=words))
        return audit_id
    row = record(session, actor, partner_id, action, words)
    row.at = at
    session.flush()
    return row.id


def _words(count: int, kept_back: int = 0) -> str:
    words = f"{count:,} mail{'' if count == 1 else 's'}"
    return f"{words}, {kept_back:,} kept back" if kept_back else words


def _in_steps(ids: Sequence[int]) -> Iterator[list[int]]:
    for first in range(0, len(ids), _STEP):
        yield list(ids[first : first + _STEP])


def _found_in_steps(engine: Engine, which: MailFilter) -> Iterator[list[int]]:
    with reading(engine) as session:
        which = look_up(session, which)
    before = mail = 0
    while True:
        with reading(engine) as session:
            ids = ids_of(session, which, before=before, mail=mail, most=_STEP)
            if not ids:
                return
            before, mail = ids[-1], mail_of(session, which, ids[-1])
        yield ids
