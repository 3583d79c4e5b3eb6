"""The webhook of a sender: making it, changing its secrets, and finding it by its address."""

import secrets
from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.orm import Session

from smtp_admin.audit.service import record_change
from smtp_admin.database import changed, database_now
from smtp_admin.errors import Conflict, InvalidInput, SecretError
from smtp_admin.events.arrived import Known
from smtp_admin.events.models import Webhook
from smtp_admin.events.of_sender import of_sender
from smtp_admin.events.sealing import SealedFor
from smtp_admin.events.sources import SOURCES, Source, clean_topic
from smtp_admin.host import Actor
from smtp_admin.identifiers import is_storable
from smtp_admin.installation import installation
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext, said_by

#: How long what was replaced still counts, so that nothing is lost while the provider is told.
OVERLAP = timedelta(hours=24)
#: What one may enter, in characters.
LONGEST_SECRET = 1000
_KEY_BYTES, _SECRET_BYTES = 24, 32
_LONGEST_KEY = 100


@dataclass(frozen=True, slots=True)
class Found:
    """A webhook, whose it is, and what its requests are checked with."""

    webhook: Webhook
    sender: Sender
    source: Source
    known: Known


def webhook_of(session: Session, sender_id: int, *, to_change: bool = False) -> Webhook | None:
    """The webhook of this sender, if it has one; *to_change* as :func:`of_sender` says."""
    return of_sender(session, Webhook, sender_id, to_change=to_change)


def key_of(webhook: Webhook, sender: ResolvedSender) -> str:
    """The secret part of a webhook's address; empty where it cannot be opened any more."""
    try:
        return _bound(sender, webhook.source).open("key", webhook.key)
    except SecretError:
        return ""


def turn_on(
    session: Session, sender: ResolvedSender, source_key: str, actor: Actor
) -> tuple[Webhook, str]:
    """Give a sender a webhook; the caller commits.

    Returns:
        It, and a signing secret that was made for it, which is told this once; else empty.

    Raises:
        InvalidInput: there is no such source.
        Conflict: it has a webhook, or no settings yet, or was deleted.
        KeyMissing: nothing can be encrypted here.
    """
    source = SOURCES.get(source_key)
    if source is None:
        raise InvalidInput(fields={"source": [gettext("Choose who sends the events.")]})
    if not sender.sender_id or sender.deleted:
        raise Conflict(gettext("Save the settings of this sender first."))
    if webhook_of(session, sender.sender_id, to_change=True) is not None:
        raise Conflict(gettext("This sender has a webhook already. Turn it off first."))
    bound = _bound(sender, source_key)
    key, made = secrets.token_urlsafe(_KEY_BYTES), _made_secret(source)
    webhook = Webhook(
        sender_id=sender.sender_id,
        source=source_key,
        key_hash=hash_of(key),
        key=bound.seal("key", key),
        secret=bound.seal("secret", made),
        created_by=(actor.email or actor.name)[:320],
    )
    session.add(webhook)
    _record(session, actor, sender, "webhook.saved", source.label)
    session.flush()
    return webhook, made


def change(
    session: Session,
    sender: ResolvedSender,
    webhook: Webhook,
    actor: Actor,
    *,
    secret: str = "",
    topic: str | None = None,
) -> None:
    """Save another signing secret or topic; what is empty stays. The caller commits.

    Raises:
        InvalidInput: one of them cannot be used.
    """
    source = SOURCES[webhook.source]
    wrong: dict[str, list[str]] = {}
    cleaned = ""
    if source.secret is not None and secret.strip():
        try:
            cleaned = source.secret.clean(secret)
        except ValueError as error:
            wrong["secret"] = [said_by(error)]
        if len(secret) > LONGEST_SECRET or not is_storable(secret):
            wrong["secret"] = [gettext("This is not a signing secret.")]
    elif source.makes_secret:
        wrong["secret"] = [gettext("Enter the new secret, or have one made.")]
    if source.has_topic and topic is not None:
        try:
            arn = clean_topic(topic)
        except ValueError as error:
            wrong["topic"] = [said_by(error)]
        else:
            if arn != webhook.topic:
                webhook.topic, webhook.confirmed_at = arn, None
    if wrong:
        raise InvalidInput(fields=wrong)
    if cleaned:
        _replace_secret(session, sender, webhook, cleaned)
    _record(session, actor, sender, "webhook.saved", source.label)


def make_secret(session: Session, sender: ResolvedSender, webhook: Webhook, actor: Actor) -> str:
    """Make another signing secret, which is told this once. The caller commits.

    Raises:
        InvalidInput: the provider makes its own.
    """
    source = SOURCES[webhook.source]
    made = _made_secret(source)
    if not made:
        raise InvalidInput(fields={"do": [gettext("Its provider makes the secret.")]})
    _replace_secret(session, sender, webhook, made)
    _record(session, actor, sender, "webhook.saved", source.label)
    return made


def _replace_secret(
    session: Session, sender: ResolvedSender, webhook: Webhook, secret: str
) -> None:
    webhook.former_secret = webhook.secret
    webhook.former_secret_until = database_now(session) + OVERLAP if webhook.secret else None
    webhook.secret = _bound(sender, webhook.source).seal("secret", secret)


def rotate(session: Session, sender: ResolvedSender, webhook: Webhook, actor: Actor) -> None:
    """Give a webhook another address; the one before counts for a day. The caller commits."""
    key = secrets.token_urlsafe(_KEY_BYTES)
    webhook.former_key_hash = webhook.key_hash
    webhook.former_key_until = database_now(session) + OVERLAP
    webhook.key_hash = hash_of(key)
    webhook.key = _bound(sender, webhook.source).seal("key", key)
    webhook.confirmed_at = None
    _record(session, actor, sender, "webhook.rotated", SOURCES[webhook.source].label)


def turn_off(session: Session, sender: ResolvedSender, webhook: Webhook, actor: Actor) -> None:
    """Forget a webhook; its address leads nowhere at once. The caller commits.

    Raises:
        Conflict: somebody else did.
    """
    label = SOURCES[webhook.source].label
    if not changed(session, delete(Webhook).where(Webhook.id == webhook.id)):
        raise Conflict
    session.expunge(webhook)
    _record(session, actor, sender, "webhook.removed", label)


def found_by(session: Session, source_key: str, key: str) -> Found | None:
    """The webhook with this address, or ``None``: who does not know it learns nothing.

    Raises:
        SecretError: its signing secret cannot be opened.
    """
    source = SOURCES.get(source_key)
    if source is None or len(key) > _LONGEST_KEY:
        return None
    hashed, moment = hash_of(key), database_now(session)
    row = session.execute(
        select(Webhook, Sender)
        .join(Sender, Sender.id == Webhook.sender_id)
        .where(
            Webhook.source == source_key,
            or_(
                Webhook.key_hash == hashed,
                and_(Webhook.former_key_hash == hashed, Webhook.former_key_until > moment),
            ),
        )
    ).one_or_none()
    if row is None:
        return None
    webhook, sender = row
    bound = SealedFor.of(installation().keyring, sender, webhook)
    known = [bound.open("secret", webhook.secret)]
    if webhook.former_secret_until is not None and webhook.former_secret_until > moment:
        known.append(bound.open("former_secret", webhook.former_secret))
    known_secrets = tuple(one for one in known if one)
    return Found(webhook, sender, source, Known(known_secrets, webhook.topic))


def signing_secret(webhook: Webhook, sender: ResolvedSender) -> str:
    """What the provider signs with, to try the way.

    Raises:
        SecretError: it cannot be opened.
    """
    return _bound(sender, webhook.source).open("secret", webhook.secret)


def hash_of(key: str) -> str:
    """What a webhook is found by: nobody measures how much of a guess is right."""
    return sha256(key.encode("utf-8", "replace")).hexdigest()


def _bound(sender: ResolvedSender, source_key: str) -> SealedFor:
    return SealedFor(installation().keyring, sender.partner_id, sender.sender_id, source_key)


def _made_secret(source: Source) -> str:
    if not source.makes_secret:
        return ""
    return "whsec_" + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def _record(
    session: Session, actor: Actor, sender: ResolvedSender, action: str, label: str
) -> None:
    record_change(session, actor, sender.partner_id, action, f"{sender.name}: {label}")
