"""Send a signed sample through the real way: its address, the network, the host's own checks.

What came of it is told by the webhook itself. Where this machine cannot reach its own public
address, which is usual behind some proxies, the sample takes the way inside the app at least.
"""

import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import current_app
from sqlalchemy.orm import Session
from werkzeug.test import Client

from smtp_admin.audit.outcomes import SUCCEEDED, note_outcome
from smtp_admin.audit.service import record_within
from smtp_admin.clock import now
from smtp_admin.errors import Conflict
from smtp_admin.events.examples import Example, Headers
from smtp_admin.events.models import Webhook
from smtp_admin.events.receiving import SAMPLE_HEADER, sign_sample
from smtp_admin.events.sources import SOURCES, Source
from smtp_admin.events.webhooks import signing_secret
from smtp_admin.host import Actor
from smtp_admin.http.caller import Caller, CallFailed
from smtp_admin.installation import installation
from smtp_admin.sandbox import site
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.smtp.session import Dialler
from smtp_admin.translation import gettext

_SECONDS = 5.0
_OK = 200
_RECIPIENT = "sample@example.com"


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a sample.

    Attributes:
        status: the HTTP status that was answered.
        outside: whether it took the way over the network.
        why: why it did not, for a person; empty where it did, or where no address is configured.
    """

    status: int
    outside: bool
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether the webhook took it."""
        return self.status == _OK


def send_sample(
    session: Session, sender: ResolvedSender, webhook: Webhook, actor: Actor, base: str, path: str
) -> Tried:
    """Post a delivered mail that never was to a webhook; commits.

    Args:
        base: the public address of the app, and *path* the webhook's below it.

    Raises:
        Conflict: something is missing that would be needed.
        RateLimited: this person tries too much.
        SecretError: its secret cannot be opened.
    """
    site.require(session)
    source = SOURCES[webhook.source]
    secret = signing_secret(webhook, sender)
    _refuse_incomplete(source, webhook, secret)
    headers, body = source.example(
        Example(secrets.token_hex(16), now(), _RECIPIENT, secret, webhook.topic)
    )
    headers = {**headers, SAMPLE_HEADER: sign_sample(webhook.id, body)}
    config = installation().config
    detail = f"{sender.name}: {source.label}"
    entry, *_ = record_within(session, actor, sender.partner_id, "webhook.tried", detail,
                              limit=config.test_limit)  # fmt: skip
    tried = _send(base, path, headers, body)
    note_outcome(session, entry, SUCCEEDED if tried.ok else f"answered {tried.status}")
    return tried


def _send(base: str, path: str, headers: Headers, body: bytes) -> Tried:
    config = installation().config
    if not config.public_url:
        return Tried(_inside(base, path, headers, body), outside=False)
    dialler = Dialler.from_config(config)
    caller = Caller(dialler.policy, dialler.ca_file, seconds=_SECONDS)
    try:
        answer = caller.post(base + path, body, headers)
    except CallFailed as error:
        return Tried(_inside(base, path, headers, body), outside=False, why=str(error))
    return Tried(answer.status, outside=True)


def _refuse_incomplete(source: Source, webhook: Webhook, secret: str) -> None:
    if source.has_topic and not webhook.topic:
        raise Conflict(gettext("Enter the ARN of the topic first."))
    if source.secret is not None and not secret:
        raise Conflict(gettext("Enter the signing secret first."))


def _inside(base: str, path: str, headers: Headers, body: bytes) -> int:
    """The same within this process, through everything that the host has put around its app."""
    parts = urlsplit(base)
    answer = Client(current_app.wsgi_app).post(
        path,
        base_url=f"{parts.scheme}://{parts.netloc}{parts.path}/",
        headers=dict(headers),
        data=body,
    )
    return answer.status_code
