"""A template that somebody is writing: does it render, how does it look and arrive."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from html import unescape
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin import schema
from smtp_admin.audit.service import record_within
from smtp_admin.database import host_engine
from smtp_admin.delivery import outbox
from smtp_admin.errors import InvalidInput, MessageError, TemplateError
from smtp_admin.host import Actor
from smtp_admin.identifiers import is_storable
from smtp_admin.installation import installation
from smtp_admin.mail import templates
from smtp_admin.mail.common_values import COMMON
from smtp_admin.mail.compose import Order, compose
from smtp_admin.mail.liquid_source import MOST_SOURCE
from smtp_admin.mail.message import Message
from smtp_admin.mail.templates import Rendered, Voice
from smtp_admin.mail.types import EmailType
from smtp_admin.mail.wording import Texts
from smtp_admin.translation import gettext, joined, number

_FIELDS = ("subject", "text", "html")
#: How a template says that it has no value of a name, be it of a value's own.
_UNKNOWN = re.compile(r"'?([\w.]+)'? is undefined")

_TAG = re.compile(r"</?[A-Za-z][^<>]*>")


def sample_text(type_: EmailType) -> str:
    """The values of an example, as a person may change them."""
    shown = {name: one for name, one in type_.sample.items() if name not in {"words", "app_name"}}
    return json.dumps(shown, indent=2, ensure_ascii=False)


def read_sample(type_: EmailType, text: str) -> Mapping[str, Any]:
    """The values that somebody typed, with those of the example for what is missing.

    Raises:
        InvalidInput: it is no object in JSON.
    """
    try:
        found = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        words = (
            gettext("This is no JSON in line %(line)s.", line=error.lineno)
            if isinstance(error, json.JSONDecodeError)
            else gettext("This is no JSON.")
        )
        raise InvalidInput(fields={"sample": [words]}) from error
    if not isinstance(found, dict):
        raise InvalidInput(fields={"sample": [gettext("Enter an object: { … }.")]})
    return {**type_.sample, "app_name": installation().config.app_name, **found}


def render(type_: EmailType, texts: Texts, voice: Voice, values: Mapping[str, Any]) -> Rendered:
    """The mail that *texts* make of *values*.

    Raises:
        InvalidInput: a template is wrong; under its part stands where and why.
    """
    refused = {
        name: [gettext("At most %(most)s characters.", most=number(MOST_SOURCE))]
        for name in _FIELDS
        if len(getattr(texts, name)) > MOST_SOURCE
    }
    for name in _FIELDS:
        if not is_storable(getattr(texts, name)):
            refused[name] = [gettext("A character of it (NUL) cannot be stored.")]
    if not texts.subject.strip():
        refused["subject"] = [gettext("Enter a subject.")]
    if not texts.text.strip():
        refused["text"] = [gettext("Enter a text: some mail programs show nothing else.")]
    if refused:
        raise InvalidInput(fields=refused)
    chosen = templates.draft(texts, voice.language)
    try:
        return templates.fill(type_, chosen, templates.plain(values), voice)
    except TemplateError as error:
        part = error.part.removesuffix(".liquid") or "subject"
        meant = _meant(error, values)
        raise InvalidInput(fields={part: [error.told, *meant]}) from error
    except MessageError as error:
        raise InvalidInput(fields={"subject": [error.message]}) from error


def _meant(error: TemplateError, values: Mapping[str, Any]) -> list[str]:
    """What somebody may have meant who wrote a name that has no value."""
    found = _UNKNOWN.search(str(error.words))
    if found is None:
        return []
    known, name = sorted(_names_in({**COMMON, **values})), found[1]
    close = get_close_matches(name, known, 1) or get_close_matches(name.split(".")[-1], known, 1)
    return [gettext("Did you mean %(name)s?", name=one) for one in close]


def _names_in(values: Mapping[str, Any]) -> set[str]:
    """The names of *values*, and of what is in their lists."""
    names = set(values)
    for one in values.values():
        for part in one if isinstance(one, list) else [one]:
            if isinstance(part, Mapping):
                names |= {str(name) for name in part}
    return names


def check(type_: EmailType, texts: Texts, voice: Voice) -> None:
    """Return if *texts* work with the example, and where nothing is given that need not be.

    Raises:
        InvalidInput: they do not.
    """
    least = {**type_.sample, **type_.defaults}
    for values in (type_.sample, least):
        render(type_, texts, voice, {"app_name": installation().config.app_name, **values})


def warnings(type_: EmailType, texts: Texts, voice: Voice) -> list[str]:
    """What is odd about *texts* that work: they lack what such mail is for, or show tags.

    By the mail that they make of the example, so that it does not matter how a value gets there.
    None about texts that do not work: those are refused.
    """
    found = []
    if _TAG.search(texts.subject):
        found.append(gettext("Subject: HTML tags in it are shown as they stand."))
    try:
        values = {"app_name": installation().config.app_name, **type_.sample}
        mail = render(type_, texts, voice, values)
    except InvalidInput:
        return found
    told = {one for name in type_.point for one in _leaves(type_.sample[name])}
    for label, part in (("HTML", unescape(mail.html)), (gettext("Text"), mail.text)):
        if part and told and not any(one in part for one in told):
            found.append(_without_point(type_, label))
    return found


def _without_point(type_: EmailType, part: str) -> str:
    return gettext(
        "%(part)s: %(names)s is not used (%(means)s). Without it, this mail is of no use.",
        part=part,
        names=joined(type_.point, ", "),
        means=joined([type_.variables.get(one, one) for one in type_.point], "; "),
    )


def _leaves(value: Any) -> Iterator[str]:
    """The lines of text in a value of the example, however deep."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _leaves(one)
    else:
        yield from filter(None, map(str.strip, str(value).splitlines()))


def send_to(
    session: Session,
    type_: EmailType,
    mail: Rendered,
    partner_id: str,
    actor: Actor,
    once: str | None = None,
) -> str:
    """Queue *mail* to whoever writes it; the address. The caller commits.

    Args:
        once: an idempotency key; with a repeated one nothing is queued.

    Raises:
        RateLimited: this person sends too many.
        MessageError: it cannot be built, or nobody can have it.
    """
    if once and outbox.known_id(session, partner_id, once):
        return actor.email
    config = installation().config
    record_within(
        session, actor, partner_id, "testmail.self", actor.email,
        limit=config.test_limit, for_partner=config.partner_test_limit,
    )  # fmt: skip
    message = Message(
        subject=mail.subject, recipients=[actor.email], body=mail.text, html=mail.html or None
    )
    order = Order(partner_id, None, once, priority="normal", is_test=True)
    queued = compose(session, replace(type_, expires_hours=1), message, order)
    with schema.explained(host_engine()):
        outbox.add(session, queued)
    return actor.email
