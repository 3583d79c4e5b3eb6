"""Notices of a recipient, collected for an hour or a day, become one mail.

A notice is written by its own templates at once: what is wrong with them, or with a value, is told
to whoever keeps it, not found out later by nobody. The mail is queued, and its notices are marked,
in one transaction, with their rows locked: whichever worker dies, or does the same at the same
time, nothing is lost and nothing is told twice.
"""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from smtp_admin import schema
from smtp_admin.database import among, changed, database_now, host_engine, reading, transaction
from smtp_admin.database_errors import AWAY
from smtp_admin.delivery.digest_items import PERIODS, Group, Kept, Period, keep, known_id
from smtp_admin.delivery.digest_models import IS_WAITING, DigestItem
from smtp_admin.delivery.doorbell import listen
from smtp_admin.errors import MessageError, SMTPAdminError
from smtp_admin.mail import service, wording
from smtp_admin.mail.addresses import address_of
from smtp_admin.mail.compose import Order, message_from_type, sender_for
from smtp_admin.mail.passed import recipients_in, values_in
from smtp_admin.mail.templates import plain
from smtp_admin.mail.types import EmailType
from smtp_admin.suppression.reading import Suppressed
from smtp_admin.suppression.reasons import sentence_of
from smtp_admin.translation import gettext

log = logging.getLogger(__name__)

#: The type of the mail that notices become.
TYPE = "notification_digest"
#: Notices that one mail tells one by one; of the others it tells how many they are.
MOST_TOLD = 50
#: Notices that one mail is about at most.
_MOST_ITEMS = 10_000
#: Mails of one round, and how long it lasts at most: the worker's other duties wait meanwhile.
_MOST_MAILS = 500
_LONGEST_SECONDS = 2.0
#: When a mail that could not be queued is tried again, and until when.
_TRIES_AGAIN = timedelta(minutes=10)
_GIVES_UP = max(PERIODS.values()) + timedelta(days=3)
_LONGEST_TITLE, _LONGEST_TEXT, _LONGEST_URL, _LONGEST_NAME = 500, 1000, 2000, 200
_LINK = re.compile(r"https?://\S+")


def keep_for_digest(
    session: Session,
    type_name: str,
    period: Period,
    *,
    to: str | list[str],
    context: Mapping[str, Any] | None,
    language: str = "",
    reply_to: str | None = None,
    order: Order,
) -> Kept:
    """Keep a notice for its recipient's next digest; see :meth:`smtp_admin.SMTPAdmin.send`."""
    type_ = service.type_called(type_name)
    recipients, context = recipients_in(to), values_in(context)
    check(type_, period, order, to=recipients, reply_to=reply_to)
    name, address = address_of(recipients[0])
    digest = service.registry().get(TYPE)
    sender_for(session, digest, order)
    with schema.explained(host_engine()):
        if order.idempotency_key is not None:
            known = known_id(session, order.partner_id, order.idempotency_key)
            if known is not None:
                return Kept(known, new=False)
    voice = service.voice_for(session, type_, order.partner_id, language, address)
    # The link that ends such mail stands in the digest, once.
    context = {**context, "unsubscribe_url": ""}
    message = message_from_type(type_, address, context, voice=voice)
    called = plain(context.get("name"))
    name = called.strip() if isinstance(called, str) and called.strip() else name
    text, url = _told(message.body or "", message.subject, name)
    values = {
        "partner_id": order.partner_id,
        "recipient": address,
        "recipient_key": address.lower(),
        "name": name[:_LONGEST_NAME],
        "type_name": type_.name,
        "language": language,
        "title": _cut(message.subject, _LONGEST_TITLE),
        "text": _cut(text, _LONGEST_TEXT),
        "url": url,
        "sender_key": order.sender,
        "idempotency_key": order.idempotency_key,
    }
    with schema.explained(host_engine()):
        return keep(session, values, period)


def check(
    type_: EmailType, period: str, order: Order, *, to: str | list[str], reply_to: str | None
) -> None:
    """Return if a digest can tell such mail.

    Raises:
        MessageError: it cannot.
    """
    if not isinstance(period, str) or period not in PERIODS:
        raise MessageError('A digest is for an "hour" or for a "day".')
    if not type_.notice or type_.name == TYPE:
        raise MessageError(
            f"Mail of type {type_.name} is no notice, so no digest can collect it.",
            hint="Leave out digest, or register the type with notice=True.",
        )
    if type_.sensitive:
        raise MessageError(
            f"Mail of type {type_.name} is sensitive, so no digest can collect it.",
            hint="Its text would be stored until the digest is sent.",
        )
    if order.send_at or order.expires_at or reply_to:
        raise MessageError(
            "A digest collects several notices: leave out send_at, expires_at and reply_to."
        )
    if not isinstance(to, str) and len(to) != 1:
        raise MessageError("A digest is for one recipient: queue one notice for each address.")


def _told(text: str, title: str, name: str) -> tuple[str, str]:
    """What a notice's text adds to its title, as one paragraph, and the link that it is about."""
    url, kept = "", []
    paragraphs = re.split(r"\n\s*\n", text.strip())
    if paragraphs and paragraphs[0].strip() in _greetings(name):
        del paragraphs[0]
    for one in paragraphs:
        lines = one.split()
        last = lines[-1] if lines else ""
        alone = one.strip().split("\n")[-1].strip() == last
        if not url and alone and _LINK.fullmatch(last) and len(last) <= _LONGEST_URL:
            url = last  # the button, which the digest has of its own
        else:
            kept.append(" ".join(lines))
    whole = " ".join(kept).strip()
    rest = whole.removeprefix(title)
    if rest != whole and (not rest or rest[0] in ".:! "):
        whole = rest.lstrip(".:! ")
    return whole, url


def _greetings(name: str) -> set[str]:
    """How the shipped mails greet, in every language."""
    found = set()
    for common in wording.wording("common").values():
        found |= {common["hello"].replace("{{ name }}", name), common["hello_nobody"]}
    return found


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def send_digests(engine: Engine) -> int:
    """Queue the mails of the notices that are due; how many mails. Needs an app context."""
    with reading(engine) as session:
        first = func.min(DigestItem.due_at)
        mine = (DigestItem.partner_id, DigestItem.recipient_key, DigestItem.sender_key)
        due = (
            select(*mine)
            .where(IS_WAITING, DigestItem.due_at <= database_now(session))
            .group_by(*mine)
            .order_by(first)
            .limit(_MOST_MAILS)
        )
        groups = [Group(*row) for row in session.execute(due)]
    ends = time.monotonic() + _LONGEST_SECONDS
    count = 0
    for group in groups:
        if time.monotonic() >= ends:
            break
        count += _send_one(engine, group)
    return count


def _send_one(engine: Engine, group: Group) -> bool:
    try:
        with transaction(engine) as session:
            listen(session)
            return _queue(session, group)
    except SMTPAdminError as error:
        why = error.message
        log.warning("a digest was not queued, and is tried again: %s", why)
    except AWAY:
        raise
    except Exception:  # the host's own code; other recipients must not wait for it
        why = gettext("The app's own code failed; its log says how.")
        log.exception("a digest was not queued, and is tried again")
    _put_off(engine, group, why)
    return False


def _queue(session: Session, group: Group) -> bool:
    """Queue one mail about what waits for a recipient, unless another worker is just doing that."""
    moment = database_now(session)
    rows = session.execute(
        select(DigestItem.id, DigestItem.due_at, DigestItem.type_name)
        .where(group.waits)
        .order_by(DigestItem.id)
        .limit(_MOST_ITEMS)
        .with_for_update(skip_locked=True)
    ).all()
    # The rest of what another worker has just taken waits for its own time.
    if not any(row.due_at <= moment for row in rows):
        return False
    ids = _wanted(session, group, rows, moment)
    if not ids:
        return False
    items = session.scalars(
        select(DigestItem).where(DigestItem.id.in_(ids[:MOST_TOLD])).order_by(DigestItem.id)
    ).all()
    newest = session.get_one(DigestItem, ids[-1])
    public_id = service.send(
        session,
        TYPE,
        to=newest.recipient,
        context=_context(items, newest, len(ids)),
        language=newest.language,
        order=_order(session, group, items[0]),
    )
    mine = update(DigestItem).where(among(session, DigestItem.id, ids), IS_WAITING)
    told = {"state": "sent", "message_id": public_id, "ended_at": moment, "last_error": ""}
    changed(session, mine.values(**told))
    return True


def _wanted(session: Session, group: Group, rows: Sequence[Any], moment: datetime) -> list[int]:
    """The notices that the recipient may have; the others end here, with the reason."""
    suppressed = Suppressed(session, [(group.partner_id, group.recipient_key)])
    ended: dict[str, list[int]] = {}
    for row in rows:
        found = suppressed.stops(group.partner_id, group.recipient_key, row.type_name, notice=True)
        if found is not None:
            ended.setdefault(sentence_of(found.reason), []).append(row.id)
    for why, some in ended.items():
        mine = update(DigestItem).where(among(session, DigestItem.id, some), IS_WAITING)
        changed(session, mine.values(state="cancelled", ended_at=moment, last_error=why))
    gone = {one for some in ended.values() for one in some}
    return [row.id for row in rows if row.id not in gone]


def _context(items: Sequence[DigestItem], newest: DigestItem, count: int) -> dict[str, Any]:
    return {
        "name": newest.name,
        "items": [{"title": one.title, "text": one.text, "url": one.url} for one in items],
        "count": count,
        "more": count - len(items),
    }


def _order(session: Session, group: Group, first: DigestItem) -> Order:
    order = Order(group.partner_id, group.sender_key, idempotency_key=f"digest-{first.public_id}")
    if group.sender_key is not None:
        try:
            sender_for(session, service.registry().get(TYPE), order)
        except MessageError:
            # It was deleted meanwhile: its mail goes to whoever sends such mail now, this too.
            return replace(order, sender=None)
    return order


def _put_off(engine: Engine, group: Group, why: str) -> None:
    """Try later what could not be queued now, and give up what has been tried for days."""
    with transaction(engine) as session:
        moment = database_now(session)
        due = (group.waits, DigestItem.due_at <= moment)
        error = str(why)[:500]
        old = update(DigestItem).where(*due, DigestItem.created_at <= moment - _GIVES_UP)
        changed(session, old.values(state="expired", ended_at=moment, last_error=error))
        later: datetime = moment + _TRIES_AGAIN
        changed(session, update(DigestItem).where(*due).values(due_at=later, last_error=error))
