"""A type of mail to send to many, and people to send it to."""

from collections.abc import Iterator
from typing import Any

from flask import Flask
from jinja2 import ChoiceLoader, DictLoader

from smtp_admin import Recipient
from smtp_admin.mail.types import TYPES, EmailType
from tests.app import HostApp

NAME = "newsletter"
TEMPLATES = {
    "subject.liquid": "News for {{ name }}",
    "text.liquid": "Hello {{ name }}, your code is {{ code }}.",
    "html.liquid": "<p>Hello {{ name }}, your code is <b>{{ code }}</b>.</p>",
}


def add_newsletter(host: HostApp, **more: Any) -> None:
    """Make the type known to *host*, with templates as its own."""
    add_newsletter_to(host.app, **more)


def add_newsletter_to(app: Flask, **more: Any) -> None:
    """The same for an app."""
    names = ("name", "code")
    usual = {
        "name": NAME,
        "label": "Newsletter",
        "variables": dict.fromkeys(names, "something"),
        "sample": dict.fromkeys(names, "x"),
    }
    type_ = EmailType(**{**usual, **more})
    TYPES.of(app.extensions["smtp_admin"]).add(type_)
    texts = {f"smtp_admin/email/{type_.name}/{part}": text for part, text in TEMPLATES.items()}
    before = app.jinja_loader
    app.jinja_loader = ChoiceLoader([DictLoader(texts), *([before] if before else [])])


def people(count: int, first: int = 0) -> Iterator[Recipient]:
    """So many, each with an address and a name of their own."""
    for number in range(first, first + count):
        yield Recipient(f"p{number}@example.org", {"name": f"P{number}", "code": number})
