"""What an event means for the next mail to the same address: less of it, or none.

A bounce for good suppresses the address, a complaint its notices, and who unsubscribes at a
provider has one kind of notice less. Of bounces that may pass, five in a row count; a full mailbox,
and a refusal because of the sender or the text, say nothing against an address.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.delivery.models import Delivery, Message, address_parts
from smtp_admin.delivery.suppressions import suppress_several
from smtp_admin.events.applied import Applied
from smtp_admin.events.models import MailEvent
from smtp_admin.events.severity import is_full
from smtp_admin.suppression.reading import Suppressed
from smtp_admin.suppression.reasons import BOUNCED, NOTICES, REASONS, Reason
from smtp_admin.suppression.writing import row_of

#: Bounces in a row, without a mail that arrived between, after which an address is given up.
IN_A_ROW = 5
#: So many of the newest mails to an address are looked at for that.
_MOST_LOOKED_AT = 50


def suppress_addresses(session: Session, applied: Sequence[Applied]) -> None:
    """Suppress what these events say to suppress, in the transaction that applies them."""
    wanted: dict[tuple[str, str, str, Reason], Applied] = {}
    for one in applied:
        reason = _reason(one.event)
        if reason is None or "@" not in one.recipient:  # whose address was erased meanwhile
            continue
        category = REASONS[reason].category or _kind_of(session, one)
        wanted.setdefault((one.partner_id, one.recipient.lower(), category, reason), one)
    known = Suppressed(session, [(partner_id, address) for partner_id, address, *_ in wanted])
    rows = []
    for (partner_id, address, category, reason), one in wanted.items():
        # Bounces that may pass say nothing more of an address that bounced for good.
        same = BOUNCED if reason in BOUNCED else {reason}
        if known.has(partner_id, address, category, same):
            continue
        if reason == "soft_bounces" and (
            (partner_id, address, category, "bounce") in wanted or not _too_many(session, one)
        ):
            continue
        said, mail = _said(one.event), one.public_id
        rows.append(
            row_of(partner_id, address, reason, category=category, detail=said, mail_id=mail)
        )
    suppress_several(session, rows)


def _reason(event: MailEvent) -> Reason | None:
    if event.kind == "bounced" and event.bounce == "hard":
        return "bounce"
    if event.kind == "bounced" and _counts(event):
        return "soft_bounces"
    if event.kind == "complained":
        return "complaint"
    return "unsubscribe" if event.kind == "unsubscribed" else None


def _said(event: MailEvent) -> str:
    if event.code and event.code in event.words:
        return event.words
    return f"{event.code} {event.words}".strip()


def _kind_of(session: Session, one: Applied) -> str:
    """The kind of notice that was unsubscribed from; all of them where the mail was none."""
    mine = select(Message.notice).join(Delivery, Delivery.message_pk == Message.id)
    notice = session.scalar(mine.where(Delivery.id == one.delivery_id))
    return one.type_name if notice else NOTICES


def _counts(event: MailEvent) -> bool:
    return event.bounce == "soft" and not is_full(event.words)


def _too_many(session: Session, one: Applied) -> bool:
    """Whether the last mails to the address all came back, as far as their end is known."""
    domain, mailbox = address_parts(one.recipient)
    newest = session.execute(
        select(Delivery.id, Delivery.state)
        .where(
            Delivery.domain == domain,
            Delivery.mailbox == mailbox,
            Delivery.partner_id == one.partner_id,
            Delivery.state.in_(("delivered", "bounced", "complained")),
        )
        .order_by(Delivery.id.desc())
        .limit(_MOST_LOOKED_AT)
    ).all()
    counted = _that_count(session, [row.id for row in newest if row.state == "bounced"])
    in_a_row = 0
    for row in newest:
        if row.state != "bounced":
            break
        in_a_row += row.id in counted
        if in_a_row >= IN_A_ROW:
            return True
    return False


def _that_count(session: Session, delivery_ids: Iterable[int]) -> set[int]:
    mine = select(MailEvent).where(
        MailEvent.delivery_id.in_([*delivery_ids]), MailEvent.kind == "bounced"
    )
    return {one.delivery_id for one in session.scalars(mine) if _counts(one) and one.delivery_id}
