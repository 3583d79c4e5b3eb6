"""Take in what came to the address of a webhook: prove it, keep it, and call a worker.

Nothing is applied here. Who sent it is answered as soon as it is kept, for providers wait some
seconds only, and send again what was not answered.
"""

import hmac
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

from sqlalchemy import and_, false, func, not_, or_, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from smtp_admin.clock import now
from smtp_admin.database import changed, database_now
from smtp_admin.database_errors import begin_again
from smtp_admin.delivery.doorbell import doorbell
from smtp_admin.errors import Forbidden, InvalidInput, NotFound, Unavailable
from smtp_admin.events import amazon, budget
from smtp_admin.events.arrived import (
    Arrived,
    NotUnderstood,
    Proof,
    Refused,
    Unreachable,
    document_of,
)
from smtp_admin.events.event import Event, identity_of
from smtp_admin.events.models import LONGEST_WHY, Webhook, WebhookNonce
from smtp_admin.events.readers.values import text
from smtp_admin.events.sns import Topic
from smtp_admin.events.storing import Origin, keep
from smtp_admin.events.webhooks import Found, found_by
from smtp_admin.installation import installation
from smtp_admin.sandbox import site
from smtp_admin.senders.models import Sender
from smtp_admin.translation import gettext

log = logging.getLogger(__name__)

#: What proves a sample of this app's own; see :mod:`smtp_admin.events.samples`.
SAMPLE_HEADER = "x-smtp-admin-sample"
_PURPOSE = "webhook sample"
#: The time of the last event is written no more often; that too many came, neither.
_NOTED_EVERY, _LIMIT_NOTED_EVERY = timedelta(seconds=5), timedelta(minutes=1)
_TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Taken:
    """What was kept.

    Attributes:
        events: how many were told, those that are known already included.
    """

    events: int


def receive(session: Session, source_key: str, key: str, arrived: Arrived) -> Taken:
    """Take in a request; commits.

    Raises:
        NotFound: no webhook has this address.
        Forbidden: the request is not genuine; it was counted.
        RateLimited: this webhook gets too much; it must be sent again later.
        InvalidInput: it is genuine and cannot be read.
        Unavailable: it must be sent again later.
    """
    site.require(session)
    # Requests side by side that keep the same events may get in each other's way.
    return begin_again(partial(_receive, session, source_key, key, arrived), undo=session.rollback)


def _receive(session: Session, source_key: str, key: str, arrived: Arrived) -> Taken:
    found = found_by(session, source_key, key)
    if found is None:
        raise NotFound
    webhook_id = found.webhook.id
    arrived = replace(arrived, is_sample=_is_sample(webhook_id, arrived))
    proof: Proof | None = None
    try:
        proof = _proven(found, arrived)
        _within_limit(session, webhook_id, found.sender.partner_id)
        events = found.source.read(arrived)
        _refuse_repeated(session, webhook_id, proof, arrived)
    except Refused as error:
        session.rollback()
        budget.count_forged(webhook_id)
        _note_refused(session, webhook_id, error.code)
        raise Forbidden(
            gettext("This request was refused. %(why)s", why=found.source.refusal(error.code))
        ) from error
    except NotUnderstood as error:
        if proof is not None:
            session.rollback()
            _note_unreadable(session, webhook_id, error.why)
        raise InvalidInput(error.why) from error
    except Unreachable as error:
        raise Unavailable(
            gettext("Amazon cannot be reached right now to check the signature. Send it again.")
        ) from error
    if arrived.is_sample:
        events = [replace(one, kind="sample") for one in events]
    if found.source.has_topic and not arrived.is_sample:
        _answer_subscription(session, found, arrived)
    budget.count_more(webhook_id, found.sender.partner_id, len(events) - 1)
    keep(session, origin_of(found.sender), events)
    _note_events(session, webhook_id, found.sender.partner_id, events)
    session.commit()
    if events:
        doorbell().call_for_events()
    return Taken(len(events))


def origin_of(sender: Sender) -> Origin:
    """By which way the events of a sender's webhook come, whichever webhook it has just now."""
    return Origin(f"sender {sender.id}", sender.partner_id, sender.id)


def sign_sample(webhook_id: int, body: bytes) -> str:
    """The proof that a sample comes from this app, for the header."""
    timestamp = str(int(now().timestamp()))
    (key, *_) = installation().keyring.derived(_PURPOSE)
    return f"{timestamp}.{_sample_digest(key, webhook_id, timestamp, body)}"


def _is_sample(webhook_id: int, arrived: Arrived) -> bool:
    timestamp, _, digest = arrived.headers.get(SAMPLE_HEADER, "").partition(".")
    keyring = installation().keyring
    if not digest or not keyring or not _SECONDS_OF_SAMPLE.fullmatch(timestamp):
        return False
    if abs(arrived.at.timestamp() - int(timestamp)) > _SAMPLE_SECONDS:
        return False
    said = digest.encode("utf-8", "replace")
    return any(
        hmac.compare_digest(
            said, _sample_digest(key, webhook_id, timestamp, arrived.body).encode("ascii")
        )
        for key in keyring.derived(_PURPOSE)
    )


#: Digits that :func:`int` reads: ``isdigit`` takes ``²`` for one too.
_SECONDS_OF_SAMPLE, _SAMPLE_SECONDS = re.compile("[0-9]{1,12}"), 60


def _sample_digest(key: bytes, webhook_id: int, timestamp: str, body: bytes) -> str:
    return hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, sha256).hex()


def _proven(found: Found, arrived: Arrived) -> Proof:
    if found.source.secret is None:
        return found.source.verify(arrived, found.known)
    if not found.known.secrets:
        raise Refused("no_secret")
    if arrived.is_sample and not found.source.signs_here:
        return Proof()  # only the provider has the key that signs
    return found.source.verify(arrived, found.known)


def _within_limit(session: Session, webhook_id: int, owner: str) -> None:
    """Return if there is room for one more genuine request.

    Raises:
        RateLimited: there is none; the page of the webhook says so.
    """
    try:
        budget.begin(webhook_id, owner)
    except budget.OverLimit as error:
        _note_too_many(session, webhook_id, error)
        raise


def _note_too_many(session: Session, webhook_id: int, error: budget.OverLimit) -> None:
    moment = database_now(session)
    noted = and_(
        Webhook.last_bad_code == _TOO_MANY, Webhook.last_bad_at > moment - _LIMIT_NOTED_EVERY
    )
    values = {"bad": Webhook.bad + 1, "last_bad_at": moment, "last_bad_code": _TOO_MANY}
    this = Webhook.id == webhook_id
    if changed(session, update(Webhook).where(this, not_(noted)).values(values)):
        log.warning("webhook %s gets more events than it may", webhook_id)
        # The day is what holds longer, whatever comes too fast meanwhile.
        holds = and_(Webhook.limited_by == "day", Webhook.limited_until > moment)
        until = moment + timedelta(seconds=error.seconds)
        reached = {"limited_by": error.limit, "limited_until": until}
        unless = not_(func.coalesce(holds, false()))
        changed(session, update(Webhook).where(this, unless).values(reached))
    session.commit()


def _refuse_repeated(session: Session, webhook_id: int, proof: Proof, arrived: Arrived) -> None:
    """Remember what may come only once.

    Raises:
        Refused: it came before, with another body.
    """
    if not proof.nonce:
        return
    nonce = identity_of(proof.nonce)
    digest = sha256(arrived.body).hexdigest()
    row = {
        "webhook_id": webhook_id,
        "nonce": nonce,
        "digest": digest,
        "at": database_now(session),
    }
    session.execute(_insert_nonce(session.get_bind().dialect.name), [row])
    kept = session.scalar(
        # With a lock, for MariaDB shows its newest state only to who asks for one.
        select(WebhookNonce.digest)
        .where(WebhookNonce.webhook_id == webhook_id, WebhookNonce.nonce == nonce)
        .with_for_update()
    )
    if kept != digest:
        raise Refused("replayed")


def _insert_nonce(dialect: str) -> Any:
    table: Any = WebhookNonce.__table__
    if dialect in {"mysql", "mariadb"}:
        row = mysql.insert(table)
        return row.on_duplicate_key_update(nonce=table.c.nonce)
    new: Any = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return new.on_conflict_do_nothing(index_elements=["webhook_id", "nonce"])


def _answer_subscription(session: Session, found: Found, arrived: Arrived) -> None:
    """Confirm the subscription of the saved topic, or note that it was ended."""
    message = document_of(arrived.body)
    kind = text(message, "Type")
    mine = update(Webhook).where(Webhook.id == found.webhook.id)
    if kind == "SubscriptionConfirmation":
        try:
            amazon.confirm(Topic.of(found.known.topic), text(message, "Token", most=1000))
        except Refused as error:
            raise InvalidInput(gettext("This subscription cannot be confirmed.")) from error
        except Unreachable as error:
            raise Unavailable(
                gettext("Amazon cannot be reached right now to confirm the subscription.")
            ) from error
        log.info("the subscription of webhook %s was confirmed", found.webhook.id)
        changed(session, mine.values(confirmed_at=database_now(session)))
    elif kind == "UnsubscribeConfirmation":
        log.warning("the subscription of webhook %s was ended at Amazon", found.webhook.id)
        changed(session, mine.values(confirmed_at=None))


def _note_events(session: Session, webhook_id: int, owner: str, events: Sequence[Event]) -> None:
    if not events:
        return
    moment = database_now(session)
    sample = events[0].kind == "sample"
    column = Webhook.last_sample_at if sample else Webhook.last_event_at
    mine = (Webhook.id == webhook_id, or_(column.is_(None), column < moment - _NOTED_EVERY))
    if changed(session, update(Webhook).where(*mine).values({column.key: moment})):
        _note_room(session, owner, moment)


def _note_room(session: Session, owner: str, moment: datetime) -> None:
    """The day of *owner* is not used up, for this was taken: its limit may have been raised.

    What was refused within the last minute may have come after it.
    """
    over = select(Webhook.id).where(
        Webhook.sender_id.in_(select(Sender.id).where(Sender.partner_id == owner)),
        Webhook.limited_by == "day",
        Webhook.limited_until > moment,
        or_(
            Webhook.last_bad_code != _TOO_MANY,
            Webhook.last_bad_at < moment - _LIMIT_NOTED_EVERY,
        ),
    )
    if ids := session.scalars(over).all():
        ended = {"limited_by": "", "limited_until": None}
        changed(session, update(Webhook).where(Webhook.id.in_(ids)).values(ended))


def _note_refused(session: Session, webhook_id: int, code: str) -> None:
    log.warning("a request to webhook %s was refused: %s", webhook_id, code)
    changed(
        session,
        update(Webhook)
        .where(Webhook.id == webhook_id)
        .values(bad=Webhook.bad + 1, last_bad_at=database_now(session), last_bad_code=code),
    )
    session.commit()


def _note_unreadable(session: Session, webhook_id: int, why: str) -> None:
    """Who writes events wrongly does so each time: of a flood not every one is written down."""
    if not budget.unreadable_is_noted(webhook_id):
        return
    log.warning("a request to webhook %s could not be read: %s", webhook_id, why)
    values = {
        "unreadable": Webhook.unreadable + 1,
        "last_unreadable_at": database_now(session),
        "last_unreadable_why": why[:LONGEST_WHY],
    }
    changed(session, update(Webhook).where(Webhook.id == webhook_id).values(values))
    session.commit()
