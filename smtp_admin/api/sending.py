"""``POST /queue`` and ``POST /batch``: mail from a program, through the one path of all mail."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.access import Action
from smtp_admin.api import notices
from smtp_admin.api.body import read_body, refuse
from smtp_admin.api.operations import BATCH_FIELDS, KEY_HEADER, KEY_SHAPE, QUEUE_FIELDS
from smtp_admin.api.owner import owner_of
from smtp_admin.audit.service import record_change
from smtp_admin.database import session
from smtp_admin.delivery.outbox import known_id
from smtp_admin.delivery.queries import follow
from smtp_admin.errors import InvalidInput, MessageError, SMTPAdminError
from smtp_admin.mail import batches, digests, service
from smtp_admin.mail.compose import Order, message_from_type, sender_for
from smtp_admin.mail.message import Message
from smtp_admin.mail.types import EmailType
from smtp_admin.monitor.overview import OUR_OWN

#: What goes with a type, and what with a ready message.
_OF_TYPE, _OF_READY = ("context", "language", "digest"), ("subject", "text", "html")


@contextmanager
def _all_or_nothing() -> Iterator[None]:
    """Leave nothing of a request that is refused in the session, nor its locks to others."""
    try:
        yield
    except SMTPAdminError:
        session().rollback()
        raise


@_all_or_nothing()
def queue() -> ResponseReturnValue:
    """Queue one mail: of a type, or ready."""
    of_header = _key_of_header()
    given = read_body(QUEUE_FIELDS)
    _check_form(given)
    partner_id = owner_of(given["partner_id"], Action.SEND_MAIL)
    key = given["idempotency_key"] or of_header
    if given["digest"]:
        return _keep(given, partner_id, key)
    known = known_id(session(), partner_id, key) if key else None
    if known is None:
        order = _order(partner_id, given, idempotency_key=key)
        message = _message(given, partner_id)
        type_ = _type(given["type"]) if given["type"] else service.READY
        _check_sender(type_, order)
        try:
            made = service.put(session(), type_, message, order)
        except MessageError as error:
            raise InvalidInput(error.message, hint=error.hint) from error
        session().commit()
        if made.new:
            status = "suppressed" if made.kept_back else "queued"
            return web.answer_json({"ok": True, "id": made.public_id, "status": status}, 202)
        known = made.public_id
    there = follow(session(), known, partner_id)
    status = there.state if there else "queued"
    return web.answer_json({"ok": True, "id": known, "status": status})


def _keep(given: dict[str, Any], partner_id: str, key: str | None) -> ResponseReturnValue:
    """Keep a notice for its recipient's next digest."""
    type_, order = _type(given["type"]), _order(partner_id, given, idempotency_key=key)
    known = notices.known(session(), partner_id, key)
    if known is None:
        try:
            digests.check(type_, given["digest"], order, to=given["to"], reply_to=given["reply_to"])
        except MessageError as error:
            refuse("digest", error.message, hint=error.hint)
        _check_sender(service.registry().get(digests.TYPE), order)
        try:
            kept = digests.keep_for_digest(
                session(),
                type_.name,
                given["digest"],
                to=given["to"],
                context=given["context"] or {},
                language=given["language"] or "",
                order=order,
            )
        except MessageError as error:
            refuse("context", error.message, hint=error.hint)
        session().commit()
        if kept.new:
            body = {"ok": True, "id": kept.public_id, "status": "waiting"}
            return web.answer_json(body, 202)
        known = notices.known(session(), partner_id, key)
    return web.answer_json({"ok": True, **(known or {})})


@_all_or_nothing()
def batch() -> ResponseReturnValue:
    """Queue mail of a type to many, or more of it."""
    of_header = _key_of_header()
    given = read_body(BATCH_FIELDS)
    partner_id = owner_of(given["partner_id"], Action.SEND_MAIL)
    type_ = _type(given["type"])
    recipients = given["recipients"]
    order = _order(partner_id, given)
    _check_sender(type_, order)
    actor = web.signed_in()
    try:
        filling = batches.begin(
            session(),
            type_.name,
            partner_id=partner_id,
            batch_key=given["batch_key"] or of_header,
            label=given["label"] or "",
            sender=order.sender,
            send_at=order.send_at,
            expires_at=order.expires_at,
            created_by=actor.email or actor.name,
        )
        for some in batches.in_steps(recipients):
            filling.add(some)
    except batches.RecipientError as error:
        refuse("recipients", f"Recipient {error.position + 1}: {error.reason}")
    except MessageError as error:
        raise InvalidInput(error.message, hint=error.hint) from error
    filling.finish()
    if filling.queued:
        mails = f"{filling.queued:,} mail{'' if filling.queued == 1 else 's'}"
        words = f"{given['label'] or type_.label}: {mails}"
        record_change(session(), actor, partner_id, "batch.queued", words)
    session().commit()
    body = {
        "ok": True,
        "id": filling.batch.public_id,
        "queued": filling.queued,
        "known": filling.seen - filling.queued,
        "suppressed": filling.suppressed,
    }
    return web.answer_json(body, 202 if filling.queued else 200)


def _key_of_header() -> str | None:
    """The key that the header of draft-ietf-httpapi-idempotency-key-header carries, if any."""
    text = request.headers.get(KEY_HEADER)
    if text is None:
        return None
    found = KEY_SHAPE.fullmatch(text.strip())
    if found is None:
        words = "This must have 1 to 200 letters, digits or any of . _ : / + = -"
        refuse(KEY_HEADER, words)
    return found[1]


def _order(partner_id: str, given: dict[str, Any], *, idempotency_key: str | None = None) -> Order:
    """How the mail is to go out.

    Raises:
        InvalidInput: its times cannot be used.
    """
    try:
        return Order(
            partner_id,
            given["sender"],
            idempotency_key,
            given["send_at"],
            given["expires_at"],
        )
    except MessageError as error:
        names = [one for one in ("send_at", "expires_at") if given[one]]
        raise InvalidInput(fields={one: [error.message] for one in names}) from error


def _check_sender(type_: EmailType, order: Order) -> None:
    try:
        sender_for(session(), type_, order)
    except MessageError as error:
        if order.sender is None:
            raise InvalidInput(error.message, hint=error.hint) from error
        refuse("sender", error.message, hint=error.hint)


def _type(name: str) -> EmailType:
    """The type called *name*, unless it is one whose mail says what the plugin itself found."""
    known: dict[str, EmailType] = {
        one.name: one for one in service.registry() if one.name not in OUR_OWN
    }
    if name not in known:
        refuse("type", f"There is no e-mail type {name!r}. There are: {', '.join(known)}.")
    return known[name]


def _check_form(given: dict[str, Any]) -> None:
    """Return if it is either mail of a type or a ready one.

    Raises:
        InvalidInput: too little or too much says what it is.
    """
    wrong: dict[str, list[str]] = {}
    if given["type"]:
        for name in _OF_READY:
            if given[name] is not None:
                wrong[name] = ["The templates of the type write this. Leave it out."]
    else:
        if given["subject"] is None:
            wrong["subject"] = ["A mail needs a subject, or a type."]
        if given["text"] is None and given["html"] is None:
            wrong["text"] = ["A mail needs text or html, or a type."]
        for name in _OF_TYPE:
            if given[name] is not None:
                wrong[name] = ["This is for mail of a type. Leave it out, or name the type."]
    if wrong:
        raise InvalidInput(fields=wrong)


def _message(given: dict[str, Any], partner_id: str) -> Message:
    """The mail that was described, in the words of *partner_id*.

    Raises:
        InvalidInput: there is no such type, or a value for its templates is missing.
    """
    if not given["type"]:
        return Message(
            subject=given["subject"],
            recipients=given["to"],
            body=given["text"],
            html=given["html"],
            reply_to=given["reply_to"],
        )
    type_ = _type(given["type"])
    voice = service.voice_for(session(), type_, partner_id, given["language"] or "", given["to"])
    try:
        return message_from_type(
            type_, given["to"], given["context"] or {}, voice=voice, reply_to=given["reply_to"]
        )
    except MessageError as error:
        refuse("context", error.message, hint=error.hint)
