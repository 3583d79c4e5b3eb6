"""The table of places where an address may stand: each column with text of any table is in it.

A test compares it with the tables: a column is looked through here, or has a reason not to be.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute

from smtp_admin.api.models import ApiToken
from smtp_admin.audit.models import Audit
from smtp_admin.connection.models import WorkerTest
from smtp_admin.database import Base
from smtp_admin.delivery.batch_models import Batch
from smtp_admin.delivery.digest_models import DigestItem
from smtp_admin.delivery.models import Act, Attempt, Delivery, Hop, Message
from smtp_admin.events.models import BounceMailbox, MailEvent, Webhook
from smtp_admin.mail.template_models import Branding, EmailTemplate, EmailTemplateRevision
from smtp_admin.monitor.alerts.models import Alert, AlertNotice
from smtp_admin.oauth.models import OAuthGrant
from smtp_admin.renewals.models import (
    RenewalCustomer,
    RenewalNotice,
    RenewalRun,
    RenewalSettings,
)
from smtp_admin.senders.models import RevisionTest, Sender, SenderRevision
from smtp_admin.suppression.models import Preference, ProviderList, ProviderRemoval, Suppression
from smtp_admin.translation import gettext

#: Ids of partners → whether a row is one of theirs.
Within = Callable[[Sequence[str]], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Place:
    """One table, as far as people's addresses may stand in it.

    Attributes:
        label: what people call its rows.
        columns: those that are looked through; what is found there is replaced.
        whole: those of them that hold one address and nothing else: a part of it is another's.
        of_platform: columns that are not a partner's to look through, to change or to have.
        not_told: further ones that are not a partner's to have: how the platform sends.
        within: whose a row is.
    """

    model: type[Base]
    label: str
    columns: tuple[str, ...]
    within: Within
    whole: frozenset[str] = frozenset()
    of_platform: frozenset[str] = frozenset()
    not_told: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """Its name in JSON."""
        return str(self.model.__tablename__).removeprefix("smtp_admin_")

    def column(self, name: str) -> InstrumentedAttribute[Any]:
        """The column of this name."""
        found: InstrumentedAttribute[Any] = getattr(self.model, name)
        return found


_RECIPIENT = frozenset({"recipient"})


def _own(model: type[Any]) -> Within:
    return lambda ids: model.partner_id.in_(ids)


def _of_sender(column: Any) -> Within:
    return lambda ids: column.in_(select(Sender.id).where(Sender.partner_id.in_(ids)))


def _of_delivery(column: Any) -> Within:
    return lambda ids: column.in_(select(Delivery.id).where(Delivery.partner_id.in_(ids)))


def _of_revision(column: Any) -> Within:
    mine = select(SenderRevision.id).join(Sender, Sender.id == SenderRevision.sender_id)
    return lambda ids: column.in_(mine.where(Sender.partner_id.in_(ids)))


PLACES: tuple[Place, ...] = (
    # Before the recipients, by which its texts are found.
    Place(Message, gettext("Texts of mail"), ("subject", "idempotency_key", "envelope_from"),
          _own(Message), frozenset({"envelope_from"})),
    Place(Delivery, gettext("Mail"), ("recipient", "last_error", "last_reply"), _own(Delivery),
          _RECIPIENT),
    Place(Attempt, gettext("Attempts to send"), ("error", "reply"),
          _of_delivery(Attempt.delivery_id), not_told=frozenset({"worker", "revision"})),
    Place(Hop, gettext("Changes of sender"), ("reason",), _of_delivery(Hop.delivery_id),
          not_told=frozenset({"reason"})),
    Place(DigestItem, gettext("Notices for digests"),
          ("recipient", "recipient_key", "name", "title", "text", "url", "idempotency_key",
           "last_error"), _own(DigestItem), _RECIPIENT | {"recipient_key"}),
    # Before the acts: a worker that goes on with cancelling notes who cancelled it with each mail.
    Place(Batch, gettext("Batches"),
          ("created_by", "label", "key", "cancelled_by_id", "cancelled_by"), _own(Batch),
          of_platform=frozenset({"cancelled_by_id", "cancelled_by"})),
    # Who acted is evidence, as in the audit log below.
    Place(Act, gettext("What people did with mail"), ("actor_id", "actor_name"),
          _of_delivery(Act.delivery_id), of_platform=frozenset({"actor_id", "actor_name"})),
    Place(RenewalNotice, gettext("Renewal notices"), ("recipient",), _own(RenewalNotice),
          _RECIPIENT),
    Place(RenewalCustomer, gettext("Customers with renewals"), ("refused_address",),
          _own(RenewalCustomer), whole=frozenset({"refused_address"})),
    Place(RenewalRun, gettext("Reports of renewals"), ("report",), _own(RenewalRun)),
    Place(RenewalSettings, gettext("Settings of renewals"), ("saved_by",), _own(RenewalSettings)),
    Place(Suppression, gettext("Suppressions"), ("address", "detail", "created_by"),
          _own(Suppression), frozenset({"address"})),
    Place(Preference, gettext("Preferences"), (), _own(Preference)),
    # Who acted is evidence, of what a partner's admin did too.
    Place(Audit, gettext("Audit"), ("actor_email", "actor_id", "detail"), _own(Audit),
          of_platform=frozenset({"actor_email", "actor_id"})),
    Place(ApiToken, gettext("API tokens"), ("created_by", "revoked_by", "name"), _own(ApiToken)),
    Place(Alert, gettext("Alerts"),
          ("whose", "headline", "detail", "acknowledged_by", "owner_acknowledged_by"),
          _own(Alert),
          of_platform=frozenset({"acknowledged_at", "acknowledged_by", "muted_until"})),
    # Whom the platform tells is its own affair.
    Place(AlertNotice, gettext("Mails about alerts"), ("outcome",),
          lambda ids: AlertNotice.alert_id.in_(select(Alert.id).where(Alert.partner_id.in_(ids))),
          of_platform=frozenset({"outcome"})),
    Place(EmailTemplateRevision, gettext("Revisions of templates"), ("saved_by",),
          lambda ids: EmailTemplateRevision.template_id.in_(
              select(EmailTemplate.id).where(EmailTemplate.partner_id.in_(ids)))),
    Place(Branding, gettext("Branding"), ("saved_by",), _own(Branding)),
    Place(SenderRevision, gettext("Revisions of senders"), ("created_by",),
          _of_sender(SenderRevision.sender_id)),
    Place(RevisionTest, gettext("Connection tests"), ("tested_by", "message", "reply"),
          _of_revision(RevisionTest.revision_id)),
    Place(WorkerTest, gettext("Connection tests from workers"),
          ("asked_by", "problem", "web_result", "worker_result"), _own(WorkerTest)),
    Place(Sender, gettext("Senders"), ("pause_reason", "pause_reply"), _own(Sender)),
    Place(OAuthGrant, gettext("Sign-ins to mailboxes"), ("granted_by", "dead_reason"),
          _of_sender(OAuthGrant.sender_id)),
    Place(MailEvent, gettext("What became of mail"),
          ("recipient", "words", "message_id", "provider_id"), _own(MailEvent), _RECIPIENT),
    Place(Webhook, gettext("Webhooks"), ("created_by",), _of_sender(Webhook.sender_id)),
    Place(BounceMailbox, gettext("Mailboxes for bounces"), ("created_by", "failed_words"),
          _of_sender(BounceMailbox.sender_id)),
    Place(ProviderList, gettext("Suppression lists of providers"), ("trouble",),
          _of_sender(ProviderList.sender_id)),
    Place(ProviderRemoval, gettext("Removals at providers"), ("address", "trouble"),
          _own(ProviderRemoval), frozenset({"address"})),
)  # fmt: skip
#: Columns with text that are not looked through, by table, and why.
KEPT: Mapping[str, str] = {
    "smtp_admin_delivery.domain": "the recipient's, set together with it",
    "smtp_admin_delivery.mailbox": "the recipient's, set together with it",
    "smtp_admin_delivery.recipient_key": "a keyed hash; emptied together with the recipient",
    "smtp_admin_message.batch_recipient": "a hash; emptied together with the recipient",
    "smtp_admin_message.from_email": "an address of the sender's settings",
    "smtp_admin_sender_revision.from_email": "settings of the sender: change them on its page",
    "smtp_admin_sender_revision.from_name": "settings of the sender: change them on its page",
    "smtp_admin_sender_revision.reply_to": "settings of the sender: change them on its page",
    "smtp_admin_sender_revision.envelope_from": "settings of the sender: change them on its page",
    "smtp_admin_bounce_mailbox.host": "settings of the sender: change them on its page",
    "smtp_admin_bounce_mailbox.username": "settings of the sender: change them on its page",
    "smtp_admin_bounce_mailbox.folder": "settings of the sender: change them on its page",
    "smtp_admin_oauth_grant.account": "the mailbox that the sender sends with",
    "smtp_admin_email_template_revision.subject": "a text that its owner wrote",
    "smtp_admin_email_template_revision.text": "a text that its owner wrote",
    "smtp_admin_email_template_revision.html": "a text that its owner wrote",
    "smtp_admin_branding.footer": "a text that its owner wrote",
    "smtp_admin_branding.logo_url": "an address of a picture",
    "smtp_admin_erasure.address": "what is being erased; its row goes when that is over",
    "smtp_admin_suppression.address_hash": "what keeps an erased address from getting mail",
}
