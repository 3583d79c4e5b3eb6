"""The ledger of notices: who got one, when, about what; and the right to write the next.

A notice is entered in the transaction that puts its mail into the outbox, after moving the
customer's version from the number that the decision was made with. Of several schedulers,
clicks or re-runs that decided the same, one moves it and the others find it moved.
"""

import json
import secrets
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, bindparam, delete, insert, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from smtp_admin.database import changed, transaction
from smtp_admin.delivery.checks import NOT_NEEDED
from smtp_admin.delivery.limits import COUNTED
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.recipient_limits import CODE as RECIPIENT_LIMIT
from smtp_admin.host import ExpiringService
from smtp_admin.providers.catalogue import replies
from smtp_admin.renewals.models import IS_WAITING, RenewalCustomer, RenewalNotice, RenewalRun
from smtp_admin.renewals.schedule import Facts
from smtp_admin.smtp.reply import Reply
from smtp_admin.suppression.reasons import CODE as SUPPRESSED

_CUSTOMERS: Any = RenewalCustomer.__table__
_AT_ONCE = 500
_OPEN = ("queued", "sending", "uncertain")


@dataclass(frozen=True, slots=True)
class Known:
    """A customer's place in the ledger: what is known, and what a writer must name to go on.

    Attributes:
        token: for the link that ends reminders.
    """

    facts: Facts
    version: int
    token: str


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A short transaction on the host's engine that waits for others instead of failing.

    SQLite refuses at once to write in a transaction that has read what another changed since.
    """
    with transaction(engine) as session:
        connection = session.connection()
        if connection.dialect.name == "sqlite":
            driver: Any = connection.connection.dbapi_connection
            if not driver.in_transaction:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield session


def known(session: Session, partner_id: str, customer_ids: Sequence[str]) -> dict[str, Known]:
    """What the ledger says about these customers; nothing about those that it does not know."""
    rows = session.execute(
        select(
            RenewalCustomer.customer_id,
            RenewalCustomer.version,
            RenewalCustomer.last_at,
            RenewalCustomer.announced,
            RenewalCustomer.refused_address,
            RenewalCustomer.token,
            RenewalCustomer.unsubscribed_at,
            RenewalNotice.state,
        )
        .outerjoin(RenewalNotice, RenewalNotice.key == RenewalCustomer.notice)
        .where(
            RenewalCustomer.partner_id == partner_id,
            RenewalCustomer.customer_id.in_(customer_ids),
        )
    )
    return {
        row.customer_id: Known(
            Facts(
                last_at=row.last_at,
                announced=services_of(row.announced),
                waiting=row.state == "waiting",
                unsubscribed=row.unsubscribed_at is not None,
                refused_address=row.refused_address,
            ),
            row.version,
            row.token,
        )
        for row in rows
    }


def introduce(session: Session, partner_id: str, customer_ids: Sequence[str]) -> None:
    """Give each of these customers a row, where it has none; nobody else's insert is in the way."""
    rows = [
        {
            "partner_id": partner_id,
            "customer_id": one,
            "version": 0,
            "notice": "",
            "announced": "{}",
            "refused_address": "",
            "token": secrets.token_urlsafe(24),
        }
        for one in sorted(customer_ids)
    ]
    if not rows:
        return
    dialect = session.connection().dialect.name
    if dialect == "postgresql":
        session.execute(postgresql.insert(_CUSTOMERS).on_conflict_do_nothing(), rows)
    elif dialect == "sqlite":
        session.execute(sqlite.insert(_CUSTOMERS).on_conflict_do_nothing(), rows)
    else:
        session.execute(mysql.insert(_CUSTOMERS).prefix_with("IGNORE"), rows)


def move(session: Session, partner_id: str, customer_id: str, version: int) -> str:
    """Take the customer's next notice for oneself; its key, or ``""`` if somebody was faster.

    The row stays locked until the transaction ends, so it comes before the mail is queued.
    """
    key = uuid.uuid4().hex
    moved = changed(
        session,
        update(RenewalCustomer)
        .where(*_is(partner_id, customer_id), RenewalCustomer.version == version)
        .values(version=version + 1, notice=key),
    )
    return key if moved == 1 else ""


def move_all(session: Session, partner_id: str, versions: Mapping[str, int]) -> dict[str, str]:
    """Take the next notice of several customers, by id; the keys of those that one got.

    As :func:`move` for each, in two statements.
    """
    keys = {customer_id: uuid.uuid4().hex for customer_id in sorted(versions)}
    rows = [
        {
            "partner": partner_id,
            "customer": customer_id,
            "before": versions[customer_id],
            "after": versions[customer_id] + 1,
            "new_key": key,
        }
        for customer_id, key in keys.items()
    ]
    session.connection().execute(_MOVE, rows)
    mine = select(_CUSTOMERS.c.customer_id).where(
        _CUSTOMERS.c.partner_id == partner_id, _CUSTOMERS.c.notice.in_(list(keys.values()))
    )
    return {customer_id: keys[customer_id] for customer_id in session.scalars(mine)}


_MOVE = (
    update(_CUSTOMERS)
    .where(
        _CUSTOMERS.c.partner_id == bindparam("partner"),
        _CUSTOMERS.c.customer_id == bindparam("customer"),
        _CUSTOMERS.c.version == bindparam("before"),
    )
    .values(version=bindparam("after"), notice=bindparam("new_key"))
)


def notice_row(
    key: str,
    partner_id: str,
    customer_id: str,
    *,
    mail_id: str,
    recipient: str,
    services: Iterable[ExpiringService],
    on_demand: bool,
) -> dict[str, Any]:
    """A notice as :func:`enter` takes it."""
    return {
        "key": key,
        "partner_id": partner_id,
        "customer_id": customer_id,
        "mail_id": mail_id,
        "recipient": recipient,
        "on_demand": on_demand,
        "services": json.dumps({one.service_id: one.expires_at.isoformat() for one in services}),
        "state": "waiting",
    }


def enter(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write notices down, in the transaction that moved their customers and queued their mails."""
    if rows:
        session.execute(insert(RenewalNotice), list(rows))


def settle(session: Session, partner_id: str | None = None, customer_id: str | None = None) -> int:
    """Note what became of notices that were on their way; how many, up to a few hundred.

    A mail whose outcome stayed unknown counts as arrived: a second one must not follow too soon.
    One that was cancelled, or too old, before any server saw it counts for nothing.
    """
    waiting = (
        select(
            RenewalNotice,
            Delivery.state.label("became"),
            Delivery.finished_at,
            Delivery.uncertains,
            Delivery.last_code,
            Delivery.last_reply,
        )
        # The copy to an archive says nothing; the customer's mail may have left for another sender
        # without it.
        .outerjoin(Message, Message.public_id == RenewalNotice.mail_id)
        .outerjoin(Delivery, (Delivery.message_pk == Message.id) & Delivery.archive.is_(False))
        .where(
            IS_WAITING,
            Delivery.state.is_(None) | Delivery.state.not_in(_OPEN),
            Message.id.is_(None) | Delivery.id.is_not(None),
        )
        .order_by(RenewalNotice.id)
        .limit(_AT_ONCE)
    )
    if partner_id is not None:
        waiting = waiting.where(RenewalNotice.partner_id == partner_id)
    if customer_id is not None:
        waiting = waiting.where(RenewalNotice.customer_id == customer_id)
    rows = session.execute(waiting).all()
    for row in rows:
        _settle(session, row)
    session.expunge_all()
    return len(rows)


def revive(session: Session, notice: RenewalNotice) -> bool:
    """Whether a mail that a person sends again is still its customer's newest notice.

    It is on its way once more then, and nobody writes another one meanwhile.
    """
    moved = changed(
        session,
        update(RenewalCustomer)
        .where(
            *_is(notice.partner_id, notice.customer_id),
            RenewalCustomer.notice == notice.key,
            RenewalCustomer.unsubscribed_at.is_(None),
        )
        .values(version=RenewalCustomer.version + 1, refused_address=""),
    )
    if moved == 1:
        changed(
            session,
            update(RenewalNotice).where(RenewalNotice.id == notice.id).values(state="waiting"),
        )
    return moved == 1


def prune(session: Session, reports_before: datetime, notices_before: datetime) -> None:
    """Forget old reports, and notices and customers that nothing can depend on any more."""
    changed(session, delete(RenewalRun).where(RenewalRun.started_at < reports_before))
    old = select(RenewalNotice.id).where(
        RenewalNotice.state != "waiting", RenewalNotice.created_at < notices_before
    )
    ids = list(session.scalars(old.limit(_AT_ONCE)))
    changed(session, delete(RenewalNotice).where(RenewalNotice.id.in_(ids)))


def services_of(text: str) -> dict[str, datetime]:
    """Service id → expiry, from a column."""
    return {name: datetime.fromisoformat(moment) for name, moment in json.loads(text).items()}


def _settle(session: Session, row: Any) -> None:
    notice: RenewalNotice = row[0]
    became: str | None = row.became
    at = row.finished_at or notice.created_at
    # One whose mail was forgotten was finished long ago.
    accepted = became is None or became in COUNTED or bool(row.uncertains)
    # Both may be over when the next notice is due.
    kept_back = became == "suppressed" and row.last_code in {RECIPIENT_LIMIT, SUPPRESSED}
    refused = not accepted and became in {"dead", "suppressed"} and not kept_back
    state = "accepted" if accepted else "refused" if refused else "dropped"
    done = changed(
        session,
        update(RenewalNotice)
        .where(RenewalNotice.id == notice.id, RenewalNotice.state == "waiting")
        .values(state=state, settled_at=at),
    )
    values: dict[str, Any] = {}
    if accepted:
        values = {"last_at": at, "announced": notice.services, "refused_address": ""}
    elif refused:
        # Tried again no sooner than a notice would follow, and an address that does not exist
        # (RFC 3463, class X.1) not at all.
        gone = became == "suppressed" or _no_such_address(row.last_reply)
        values = {"last_at": at, "refused_address": notice.recipient if gone else ""}
    elif kept_back or (became == "cancelled" and row.last_code != NOT_NEEDED):
        values = {"last_at": at}  # enough for now, or a person did not want it to go out
    if done and values:
        changed(
            session,
            update(RenewalCustomer)
            .where(
                *_is(notice.partner_id, notice.customer_id), RenewalCustomer.notice == notice.key
            )
            .values(**values),
        )


def _no_such_address(said: str) -> bool:
    """Whether the table of replies says that the address is wrong, of what a server has *said*."""
    code, _, words = said.partition(" ")
    return code.isdecimal() and replies().judge("rcpt", Reply(int(code), (words,))).bad_address


def _is(partner_id: str, customer_id: str) -> tuple[Any, ...]:
    return (
        RenewalCustomer.partner_id == partner_id,
        RenewalCustomer.customer_id == customer_id,
    )
