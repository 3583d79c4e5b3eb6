"""``…/webhook``: where a sender's provider tells what became of its mail, and whether it does."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.database import session
from smtp_admin.errors import InvalidInput, NotFound, RequestError
from smtp_admin.events import queries, samples, webhooks
from smtp_admin.events.models import MailEvent, Webhook
from smtp_admin.events.sources import SOURCES, Source, source_of_sender
from smtp_admin.installation import installation
from smtp_admin.pages import lists
from smtp_admin.pages.driver_choice import refuse_read_only
from smtp_admin.pages.event_words import event_words
from smtp_admin.pages.hooks import PREFIX
from smtp_admin.pages.sender_frame import frame
from smtp_admin.pages.sender_routes import add_sender_page, page_url
from smtp_admin.providers.catalogue import provider_of_host
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.translation import gettext

#: What a message calls the fields of the forms.
_LABELS = {
    "source": gettext("Provider"),
    "topic": gettext("Topic ARN"),
}
#: An event in our own words, for those who write what posts them; see ``docs/webhooks.md``.
_TO_POST = """{"type": "bounced", "id": "9f1c-1",
 "recipient": "mia@example.org",
 "message_id": "0f3a@acme.example",
 "bounce": "hard", "code": "5.1.1",
 "reason": "550 5.1.1 No such user",
 "at": "2026-11-28T10:00:00Z"}"""


def add_to(blueprint: Blueprint) -> None:
    """Register the route."""
    add_sender_page(blueprint, "webhook", _webhook)


@dataclass(slots=True)
class _Outcome:
    """What a form came to.

    Attributes:
        notice: what the next page says.
        made: a secret that is shown this once.
        tried: what came of a sample.
    """

    notice: str = ""
    made: str = ""
    tried: samples.Tried | None = None
    error: RequestError | None = None


def _webhook(partner_id: str, key: str) -> ResponseReturnValue:
    """The webhook of a sender; POST does what its field ``do`` says."""
    sender = load_sender(session(), partner_id, key)
    if request.method != "POST":
        return _show(sender)
    try:
        refuse_read_only(sender, web.signed_in())
        outcome = _act(sender, lists.word("do", 10))
        session().commit()
    except RequestError as error:
        session().rollback()
        if web.wants_json():
            raise
        error.call_fields(_labels(sender))
        return _show(load_sender(session(), partner_id, key), _Outcome(error=error))
    if web.wants_json():
        return web.answer_json(_json(sender, outcome))
    if outcome.made or outcome.tried is not None:
        return _show(sender, outcome)
    web.notify(outcome.notice)
    return redirect(page_url(partner_id, key, "webhook"), code=303)


def _labels(sender: ResolvedSender) -> dict[str, str]:
    """What the fields are called where a message names them; a secret as its provider calls it."""
    row = webhooks.webhook_of(session(), sender.sender_id)
    secret = SOURCES[row.source].secret if row is not None else None
    return {**_LABELS, "secret": secret.label} if secret is not None else _LABELS


def _act(sender: ResolvedSender, do: str) -> _Outcome:
    actor = web.signed_in()
    if do == "on":
        _, made = webhooks.turn_on(session(), sender, lists.word("source", 20), actor)
        return _Outcome(gettext("Turned on. Now enter the address at the provider."), made)
    # A sample is taken in by another request, which must not wait for this one.
    row = webhooks.webhook_of(session(), sender.sender_id, to_change=do != "sample")
    if row is None:
        raise NotFound
    if do == "save":
        webhooks.change(
            session(), sender, row, actor, secret=lists.word("secret", 2000),
            topic=lists.word("topic", 500) if "topic" in request.values else None,
        )  # fmt: skip
        return _Outcome(gettext("Saved."))
    if do == "secret":
        made = webhooks.make_secret(session(), sender, row, actor)
        return _Outcome(gettext("There is a new secret."), made)
    if do == "rotate":
        webhooks.rotate(session(), sender, row, actor)
        return _Outcome(gettext("There is a new address. The old one works for 24 hours more."))
    if do == "off":
        webhooks.turn_off(session(), sender, row, actor)
        return _Outcome(gettext("Turned off. The address leads nowhere now."))
    if do == "sample":
        base, path = _base(), _path(row, sender)
        return _Outcome(tried=samples.send_sample(session(), sender, row, actor, base, path))
    raise InvalidInput(fields={"do": [gettext("This is not known.")]})


def _show(sender: ResolvedSender, outcome: _Outcome | None = None) -> ResponseReturnValue:
    outcome = outcome or _Outcome()
    row = webhooks.webhook_of(session(), sender.sender_id) if sender.sender_id else None
    if web.wants_json():
        return web.answer_json(_json(sender, outcome, row))
    values: dict[str, Any] = {}
    if row is not None:
        values = {
            "source": SOURCES[row.source],
            "address": _base() + _path(row, sender),
            "counts": [
                (event_words(kind), count) for kind, count in queries.counts(session(), row).items()
            ],
            "latest": [
                (one, event_words(one.event.kind, one.event.bounce))
                for one in queries.latest(session(), row)
            ],
            "refused": SOURCES[row.source].refusal(row.last_bad_code),
            "to_post": _TO_POST if SOURCES[row.source].makes_secret else "",
            "silence": queries.silences(session(), [row]).get(row.sender_id),
        }
    page = render_template(
        "smtp_admin/webhook.html",
        webhook=row,
        sources=SOURCES.values(),
        suggested=_suggested(sender),
        public=bool(installation().config.public_url),
        made=outcome.made,
        tried=outcome.tried,
        error=outcome.error,
        **values,
        **frame(sender.partner_id, sender.key),
    )
    return page, outcome.error.status if outcome.error else 200


def _suggested(sender: ResolvedSender) -> Source | None:
    """The source that this sender's provider has."""
    host = str(sender.values.get("host", ""))
    preset = provider_of_host(host) if host else None
    return source_of_sender(sender.values.kind.provider, preset.key if preset else "", host)


def _base() -> str:
    return installation().config.public_url or request.url_root.rstrip("/")


def _path(row: Webhook, sender: ResolvedSender) -> str:
    return f"{PREFIX}/{row.source}/{webhooks.key_of(row, sender)}"


def _json(sender: ResolvedSender, outcome: _Outcome, row: Webhook | None = None) -> dict[str, Any]:
    if row is None and sender.sender_id:
        row = webhooks.webhook_of(session(), sender.sender_id)
    body: dict[str, Any] = {"ok": True, "webhook": None if row is None else _row(row, sender)}
    if outcome.made:
        body["secret"] = outcome.made
    if outcome.tried is not None:
        tried = outcome.tried
        body["sample"] = {"ok": tried.ok, "status": tried.status, "outside": tried.outside}
    return body


def _row(row: Webhook, sender: ResolvedSender) -> dict[str, Any]:
    return {
        "source": row.source,
        "address": _base() + _path(row, sender),
        "has_secret": bool(row.secret),
        "topic": row.topic,
        "last_event_at": _written(row.last_event_at),
        "bad_signatures": row.bad,
        "last_bad": row.last_bad_code,
        "unreadable": row.unreadable,
        "last_unreadable_at": _written(row.last_unreadable_at),
        "events": [_event(one.event) for one in queries.latest(session(), row)],
    }


def _written(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _event(one: MailEvent) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "bounce": one.bounce,
        "recipient": one.recipient,
        "at": (one.at or one.received_at).isoformat(),
        "state": one.state,
    }
