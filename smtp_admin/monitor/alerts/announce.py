"""Tell of alerts: each notice was written down with its alert, and is done when that is noted.

A worker that dies in between leaves a notice that another one takes up two minutes later. Mail is
queued in the transaction that notes it, so it is sent once; a signal or a call of the webhook may
be repeated then, the call with the same ``webhook-id``.
"""

import logging
from datetime import timedelta

from flask import Flask, current_app
from sqlalchemy import Engine, exists, select
from sqlalchemy.orm import Session, aliased

from smtp_admin import signals
from smtp_admin.database import SYSTEM, database_now, transaction
from smtp_admin.delivery.announcements import tell
from smtp_admin.delivery.doorbell import listen
from smtp_admin.errors import SMTPAdminError
from smtp_admin.http.caller import Caller, CallFailed
from smtp_admin.installation import installation
from smtp_admin.mail import service
from smtp_admin.mail.compose import Order
from smtp_admin.monitor.alerts import recipients, webhook
from smtp_admin.monitor.alerts.carriers import owners_for, working_sender
from smtp_admin.monitor.alerts.models import AGAIN, Alert, AlertNotice
from smtp_admin.monitor.alerts.told import BETWEEN, NOBODY
from smtp_admin.monitor.alerts.wording import values_of
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.translation import gettext, language_of_app, ngettext, number, spoken

log = logging.getLogger(__name__)

#: How often a worker looks whether somebody is to be told.
ANNOUNCE_SECONDS = 10.0
TYPE = "alert"
#: Whoever has not finished by then is taken for dead.
_LEASE = timedelta(minutes=2)
_FIRST_RETRY, _LONGEST_RETRY = timedelta(seconds=30), timedelta(hours=1)
_GIVES_UP = timedelta(hours=24)
#: Most in one round, so that what else is due has its turn.
_MOST = 100


def announce(engine: Engine, caller: Caller | None = None) -> int:
    """Tell everybody who is to be told now; how many notices. Needs an app context."""
    count = 0
    while count < _MOST:
        notice_id = _claim(engine)
        if notice_id is None:
            break
        _tell_one(engine, notice_id, caller or own_caller())
        count += 1
    return count


def own_caller() -> Caller:
    """What calls are made with, as the app is configured."""
    config = installation().config
    # Its port is the operator's own choice, and no mail server's.
    return Caller(DiallingPolicy(frozenset(), config.allowed_networks), config.ca_file)


def _claim(engine: Engine) -> int | None:
    """The next notice that is due, which nobody else takes up meanwhile."""
    earlier = aliased(AlertNotice)
    with transaction(engine) as session:
        moment = database_now(session)
        row = session.scalar(
            select(AlertNotice)
            .where(
                AlertNotice.done_at.is_(None),
                AlertNotice.next_attempt_at <= moment,
                # That it ended is said after that it opened.
                ~exists().where(
                    earlier.alert_id == AlertNotice.alert_id,
                    earlier.channel == AlertNotice.channel,
                    earlier.id < AlertNotice.id,
                    earlier.done_at.is_(None),
                ),
            )
            .order_by(AlertNotice.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if row is None:
            return None
        row.attempts += 1
        row.next_attempt_at = moment + _LEASE
        return row.id


def _tell_one(engine: Engine, notice_id: int, caller: Caller) -> None:
    with transaction(engine) as session:
        listen(session)
        notice, alert = _load(session, notice_id)
        if notice.done_at is not None:
            return
        if notice.channel == "mail":
            _done(session, notice, _queue_mail(session, alert, notice.event))
            return
        # Signals and the webhook are the platform's, whoever's the alert is.
        if alert.reaction_of("platform").is_muted(database_now(session)):
            _done(session, notice, "muted")
            return
    # No transaction is open while somebody else's code or server is waited for.
    if notice.channel == "signal":
        _signal(alert, notice.event)
        _note(engine, notice_id, "sent")
    else:
        _call(engine, alert, notice, caller)


def _load(session: Session, notice_id: int) -> tuple[AlertNotice, Alert]:
    notice = session.get_one(AlertNotice, notice_id, with_for_update=True)
    return notice, session.get_one(Alert, notice.alert_id)


def _done(session: Session, notice: AlertNotice, outcome: str) -> None:
    notice.done_at = database_now(session)
    notice.outcome = outcome[:300]


def _note(engine: Engine, notice_id: int, outcome: str) -> None:
    with transaction(engine) as session:
        notice, _ = _load(session, notice_id)
        _done(session, notice, outcome)


def _signal(alert: Alert, event: str) -> None:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # werkzeug's LocalProxy
    tell(
        app,
        signals.alert_opened if event == "opened" else signals.alert_ended,
        alert_id=alert.public_id,
        kind=alert.kind,
        severity=alert.severity,
        partner_id=alert.partner_id,
        sender_id=alert.sender_id,
        headline=alert.headline,
        detail=alert.detail,
    )


def _queue_mail(session: Session, alert: Alert, event: str) -> str:
    """Queue the mails of one notice, one for each address; what came of it.

    Each side may have muted it for itself, or acknowledged what goes out again. Who is on both is
    on the platform's.
    """
    moment = database_now(session)
    platform = recipients.of_platform()
    partners = [one for one in recipients.of_partner(alert.partner_id) if one not in platform]
    said = []
    for addresses, owners, reaction in (
        (platform, (SYSTEM,), alert.reaction_of("platform")),
        (partners, owners_for(alert.partner_id), alert.reaction_of("owner")),
    ):
        if not addresses:
            continue
        if reaction.is_muted(moment):
            said.append(gettext("muted for %(addresses)s", addresses=_count(addresses)))
            continue
        if event.startswith(AGAIN) and reaction.keeps_quiet(moment):
            said.append(gettext("acknowledged for %(addresses)s", addresses=_count(addresses)))
            continue
        carrier = working_sender(session, owners, without=alert.sender_id)
        if carrier is None:
            log.warning("alert %s: no other sender works, so nobody gets mail", alert.public_id)
            said.append(
                gettext(
                    "skipped for %(addresses)s, because no other sender works",
                    addresses=_count(addresses),
                )
            )
            continue
        failed = 0
        for one in addresses:
            order = Order(
                partner_id=carrier.partner_id,
                sender=carrier.key,
                idempotency_key=f"alert-{alert.public_id}-{event}-{one}"[:200],
            )
            try:
                service.send(
                    session,
                    TYPE,
                    to=one,
                    context=values_of(alert, event),
                    language=recipients.language_of(one),
                    order=order,
                )
            except SMTPAdminError as error:
                failed += 1
                log.warning("alert %s: no mail was queued: %s", alert.public_id, error.message)
        queued = len(addresses) - failed
        said.append(
            gettext(
                "queued for %(queued)s of %(addresses)s",
                queued=number(queued),
                addresses=_count(addresses),
            )
        )
    return BETWEEN.join(said) or NOBODY


def _count(addresses: tuple[str, ...] | list[str]) -> str:
    return ngettext("%(number)s address", "%(number)s addresses", len(addresses))


def _call(engine: Engine, alert: Alert, notice: AlertNotice, caller: Caller) -> None:
    config = installation().config
    if not config.alert_webhook:
        _note(engine, notice.id, gettext("skipped, because none is configured any more"))
        return
    with transaction(engine) as session:
        moment = database_now(session)
    message_id = f"msg_{alert.public_id}_{notice.event}"
    try:
        values = spoken(values_of(alert, notice.event), language_of_app())
        body = webhook.body_of(config, values, moment)
        headers = webhook.headers_of(config, message_id, body, moment)
        status = caller.post(config.alert_webhook, body, headers).status
        refused = gettext("it answered with status %(status)s", status=status)
        why = "" if status // 100 == 2 else refused  # noqa: PLR2004
    except CallFailed as error:
        why = str(error)
    except ValueError:
        why = gettext("SMTP_ADMIN_ALERT_WEBHOOK_BODY makes no JSON of this alert")
    if not why:
        _note(engine, notice.id, "delivered")
    elif moment - notice.created_at >= _GIVES_UP:
        log.error("the webhook for alerts failed for a day and is given up: %s", why)
        _note(engine, notice.id, gettext("given up: %(why)s", why=why))
    else:
        if notice.attempts == 1:
            log.warning("the webhook for alerts failed and is tried again: %s", why)
        _try_again(engine, notice.id, why)


def _try_again(engine: Engine, notice_id: int, why: str) -> None:
    with transaction(engine) as session:
        notice, _ = _load(session, notice_id)
        doubled: timedelta = _FIRST_RETRY * 2 ** min(notice.attempts - 1, 10)
        notice.next_attempt_at = database_now(session) + min(doubled, _LONGEST_RETRY)
        notice.outcome = ngettext(
            "tried once: %(why)s", "tried %(number)s times: %(why)s", notice.attempts, why=why
        )[:300]
