"""``SMTPAdmin``: wire the plugin into an app. Nothing but wiring happens here."""

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flask import Flask

from smtp_admin import beside_host, commits, schema, template_texts
from smtp_admin.api.views import answer_unrouted
from smtp_admin.cli.group import commands
from smtp_admin.config import PROTECTED, Config, read_config
from smtp_admin.database import SYSTEM, begin_before_savepoints, host_engine, session
from smtp_admin.delivery import actions, checks, doorbell
from smtp_admin.delivery import suppressions as suppressions_of_mail
from smtp_admin.delivery.digest_items import Period
from smtp_admin.delivery.maintenance import reassign
from smtp_admin.encryption import Keyring
from smtp_admin.errors import ConfigError
from smtp_admin.events import patience
from smtp_admin.events.bounces.mailboxes import MAILBOXES
from smtp_admin.host import Host
from smtp_admin.host_calls import calls_of
from smtp_admin.host_database import HostDatabase
from smtp_admin.installation import NAME, Installation
from smtp_admin.mail import batches, digests, security_types, service
from smtp_admin.mail.addresses import address_of
from smtp_admin.mail.compose import Order
from smtp_admin.mail.mail_slot import SLOT, state_of
from smtp_admin.mail.types import SHIPPED, TYPES, EmailType, Registry
from smtp_admin.monitor.alerts.webhook import check_body
from smtp_admin.oauth.forgetting import TOKENS
from smtp_admin.pages import embedding, reminders
from smtp_admin.pages.every import blueprints
from smtp_admin.renewals import notices, recheck
from smtp_admin.senders import lookups
from smtp_admin.suppression.reasons import clean_reason
from smtp_admin.suppression.writing import clean_category

if TYPE_CHECKING:
    from smtp_admin.mail.mailer import Mail


class SMTPAdmin:
    """The plugin. One instance may serve several apps.

    ::

        smtp_admin = SMTPAdmin(host=MyHost())
        smtp_admin.init_app(app, db)

    Args:
        host: what the plugin asks of the app that it lives in.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self._own_types: list[EmailType] = []

    @cached_property
    def mail(self) -> "Mail":
        """Takes Flask-Mail's place; a :class:`smtp_admin.Mail` for whatever app is current."""
        from smtp_admin.mail.mailer import Mail

        return Mail()

    def init_app(self, app: Flask, db: Any) -> None:
        """Mount the plugin into *app*, on the host's database object *db*.

        That is the one of Flask-SQLAlchemy or of Flask-SQLAlchemy-Lite.

        Reads every ``SMTP_ADMIN_*`` key of ``app.config`` (see the reference of settings) and the
        environment, once; later changes have no effect. Never touches the database.

        Raises:
            ConfigError: a key is unknown or wrong, or the app was already given a plugin.
        """
        if NAME in app.extensions:
            raise ConfigError("This app already has smtp_admin. Call init_app once for each app.")
        config = read_config(app.config, app_name=app.name)
        types = Registry()
        for type_ in (*SHIPPED, *self._own_types):
            types.add(type_)
        if security_types.are_wanted(app):
            security_types.add_to(types)
        _check_limits(config, types)
        check_body(config)
        here = Installation(
            config=config,
            host=calls_of(app, self.host),
            db=HostDatabase(app, db),
            keyring=Keyring(config.secret_keys),
            environment=dict(os.environ),
        )
        TYPES.put(here, types)
        checks.register(here, notices.TYPE, recheck.not_needed)
        app.extensions[NAME] = here
        # Flask-Mail's messages look here for their default sender.
        app.extensions.setdefault(SLOT, state_of(app))
        begin_before_savepoints(here.db.sessions)
        commits.listen(here.db.sessions)
        doorbell.listen(here.db.sessions)
        reassign.listen()
        lookups.listen()
        patience.listen()
        TOKENS.listen()
        MAILBOXES.listen()
        ours = blueprints(config.url_prefix)
        for blueprint in ours:
            app.register_blueprint(blueprint)
        # Each looks itself at what the host's check would: a token is no session's form.
        for blueprint in (ours.links, ours.arrivals, ours.api, ours.events):
            beside_host.exempt(app, blueprint)
        answer_unrouted(app)
        beside_host.guard_frames(app)
        template_texts.add_globals(app)
        reminders.add_global(app)
        embedding.add_globals(app)
        app.cli.add_command(commands)
        if app.config.get("SECURITY_MAIL_UTIL_CLS"):
            from smtp_admin.flask_security.setting import follow

            follow(app)

    def register_type(self, type_: EmailType) -> None:
        """Add an e-mail type of the host's own; call it before :meth:`init_app`.

        One with the name of a shipped type takes its place, and its texts are not used. Its
        templates lie in the host's template folder, under ``smtp_admin/email/<name>/``:
        ``subject.liquid``, ``text.liquid`` and, if wanted, ``html.liquid``.
        """
        self._own_types.append(type_)

    def send(
        self,
        type_name: str,
        *,
        to: str | list[str],
        partner_id: str = SYSTEM,
        context: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        send_at: datetime | None = None,
        expires_at: datetime | None = None,
        reply_to: str | None = None,
        sender: str | None = None,
        language: str = "",
        digest: Period | None = None,
    ) -> str:
        """Queue a mail of a known type in the caller's transaction, and return its public id.

        It goes out if and only if the transaction commits. Nothing is flushed or committed here.

        Args:
            to: one address or several; each gets the mail.
            partner_id: whose mail it is; ``""`` for the system's.
            context: a value for each variable of the type.
            idempotency_key: the same key again queues nothing and returns the first mail's id.
            send_at: not before this time (aware).
            expires_at: not after this time (aware).
            sender: the key of a sender, ``""`` for the default; else the routes decide.
            language: of the text, such as ``de`` or ``pt-BR``; English where there is none of it.
            digest: ``"hour"`` or ``"day"``: the notice waits at most so long for others to the
                same recipient, and all of them become one mail. The id is that of the notice.

        Raises:
            MessageError: an address, value or template cannot be used, there is no such sender,
                or a digest cannot collect such mail.
            QueueFull: the partner has too much waiting.
            SetupError: the tables are missing; it names the command that makes them.
        """
        order = Order(partner_id, sender, idempotency_key, send_at, expires_at)
        if digest is not None:
            return digests.keep_for_digest(
                session(),
                type_name,
                digest,
                to=to,
                context=context,
                language=language,
                reply_to=reply_to,
                order=order,
            ).public_id
        return service.send(
            session(),
            type_name,
            to=to,
            context=context,
            language=language,
            reply_to=reply_to,
            order=order,
        )

    def send_message(
        self,
        message: Any,
        *,
        partner_id: str = SYSTEM,
        idempotency_key: str | None = None,
        send_at: datetime | None = None,
        expires_at: datetime | None = None,
        sender: str | None = None,
    ) -> str:
        """Queue a ready message (ours or Flask-Mail's) in the caller's transaction.

        Arguments, result and errors as for :meth:`send`.
        """
        order = Order(partner_id, sender, idempotency_key, send_at, expires_at)
        return service.send_message(session(), message, order)

    def send_many(
        self,
        type_name: str,
        recipients: Iterable[Any],
        *,
        partner_id: str = SYSTEM,
        batch_key: str | None = None,
        label: str = "",
        sender: str | None = None,
        send_at: datetime | None = None,
        expires_at: datetime | None = None,
        resume: bool = False,
    ) -> str:
        """Queue mail of a type to many in the caller's transaction; the id of their batch.

        Recipients are read one after the other, so there may be any number. The same address
        again, in another case too, is nobody new. Batches overtake nothing, and stand outside the
        limit of the queue.

        Args:
            recipients: each a :class:`smtp_admin.Recipient`, or a pair of address and context.
            batch_key: what the caller calls the batch. With the key again those are queued that
                it does not have yet, so that a run that broke off is simply repeated.
            label: what people call it.
            expires_at: not after this time (aware); by default the time that the limits of the
                sender need is added to the usual one.
            resume: queue the rest of a batch that was cancelled.

        Raises:
            MessageError: an argument or one of the recipients cannot be used; then roll back.
            Conflict: the batch was cancelled, or is of another type.
            TooLarge: there are more than ``SMTP_ADMIN_BATCH_LIMIT``.
            SetupError: as for :meth:`send`.
        """
        return batches.send_many(
            session(),
            type_name,
            recipients,
            partner_id=partner_id,
            batch_key=batch_key,
            label=label,
            sender=sender,
            send_at=send_at,
            expires_at=expires_at,
            resume=resume,
        )

    def send_messages(
        self,
        messages: Iterable[Any],
        *,
        partner_id: str = SYSTEM,
        send_at: datetime | None = None,
        expires_at: datetime | None = None,
        sender: str | None = None,
    ) -> list[str]:
        """Queue ready messages in the caller's transaction; the public id of each.

        It is :meth:`send_message` for each of them, in far fewer statements. After an error some
        of them may be in the transaction: roll back.
        """
        order = Order(partner_id, sender, send_at=send_at, expires_at=expires_at)
        return batches.send_messages(session(), messages, order)

    def suppress(
        self, address: str, *, partner_id: str = SYSTEM, category: str = "all", detail: str = ""
    ) -> bool:
        """Send *address* no more of a partner's mail; whether that is new. The caller commits.

        What waits for it is kept back.

        Args:
            category: ``all``, ``notices``, or the name of one type of notice.
            detail: why, for the list.

        Raises:
            MessageError: it is no address.
            InvalidInput: there is no such category.
        """
        found = address_of(address)[1]
        wanted = clean_category(category)
        done = suppressions_of_mail.suppress(
            session(), partner_id, found, "manual", category=wanted, detail=detail
        )
        return done.new

    def unsuppress(
        self, address: str, *, partner_id: str = SYSTEM, category: str = "", reason: str = ""
    ) -> int:
        """Let *address* have its mail again; how many suppressions there were. The caller commits.

        Args:
            category: only this one.
            reason: only what came for this reason.

        Raises:
            MessageError: it is no address.
            InvalidInput: there is no such reason.
        """
        found = address_of(address)[1]
        categories = [category] if category else []
        reasons = [clean_reason(reason)] if reason else []
        return suppressions_of_mail.lift(
            session(), partner_id, found, categories=categories, reasons=reasons
        )

    def cancel(self, public_id: str) -> int:
        """Do not send what of a mail is still queued; how many deliveries. The caller commits.

        The id of a notice takes it out of its digest while it waits for that.

        Raises:
            NotFound: there is no such mail or notice.
            Conflict: nothing of it is queued any more, or the notice waits no more.
            SetupError: as for :meth:`send`.
        """
        with schema.explained(host_engine()):
            return actions.cancel(session(), public_id)

    def retry(self, *public_ids: str) -> int:
        """Queue dead letters once more; how many deliveries. The caller commits.

        Mail to a suppressed address is kept back, and not counted.

        Raises:
            NotFound: one of the mails does not exist.
            Conflict: none of them is a dead letter.
            SetupError: as for :meth:`send`.
        """
        with schema.explained(host_engine()):
            return actions.retry(session(), public_ids).changed


def _check_limits(config: Config, types: Registry) -> None:
    known = {one.name for one in types} | {service.READY.name} | set(PROTECTED)
    known |= set(security_types.names())  # Flask-Security may come later
    for name in sorted(config.recipient_limits.keys() - known):
        raise ConfigError(
            f"SMTP_ADMIN_RECIPIENT_LIMITS names {name!r}, which is not an e-mail type of this app."
        )
