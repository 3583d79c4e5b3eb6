"""An app that has used Flask-Mail for years: every form of a message, every way to send it.

Where things are is in ``letters.json``. Nothing in here knows of smtp_admin.
"""

import json
import threading
from pathlib import Path
from typing import Any

from flask import Flask, current_app
from flask_mail import Attachment, Mail, Message

mail = Mail()


class Library:
    """Somebody else's extension, which takes whatever sends in this app."""

    def notify(self, text: str) -> None:
        """As such libraries do it."""
        message = Message("By a library", recipients=["admin@shop.example"], body=text)
        current_app.extensions["mail"].send(message)


class Signed(Message):
    """A message of the app's own, which does more when it is sent."""

    def send(self, connection: Any) -> None:
        """With a line under it."""
        self.body = f"{self.body}\n--\nThe shop"
        super().send(connection)


def plain() -> None:
    """One address, and the default sender."""
    mail.send(Message("Plain", recipients=["kim@customer.example"], body="Hello Kim"))


def everything() -> None:
    """All that a message can have."""
    message = Message(
        "Everything – Grüße",
        recipients=["kim@customer.example", ("Käte Ö.", "kaete@customer.example")],
        body="Text ü",
        html='<p>HTML ü <img src="cid:logo"></p>',
        sender=("The Shop", "orders@shop.example"),
        cc=["cc@customer.example"],
        bcc=["bcc@customer.example"],
        reply_to=("Help", "help@shop.example"),
        date=1_700_000_000,
        charset="iso-8859-1",
        extra_headers={"X-Campaign": "spring"},
        alts={"calendar": "BEGIN:VCALENDAR\nEND:VCALENDAR"},
        attachments=[Attachment("a.csv", "text/csv", "a;b\r\n")],
        mail_options=["BODY=8BITMIME"],
    )
    message.attach("Übersicht 2026.pdf", "application/pdf", b"%PDF\0\xff")
    message.attach("logo.png", "image/png", b"png", "inline", {"Content-ID": "<logo>"})
    mail.send(message)


def arguments() -> None:
    """Without a message."""
    mail.send_message("Arguments", recipients=["kim@customer.example"], body="1", html="<b>1</b>")


def bulk() -> None:
    """Over one connection, by each of its ways."""
    with mail.connect() as connection:
        for number in range(3):
            to = f"reader{number}@customer.example"
            connection.send(Message(f"Issue {number}", recipients=[to], body="News"))
        connection.send_message("Issue 3", recipients=["reader3@customer.example"], body="News")
        Signed("Signed", recipients=["kim@customer.example"], body="Yours").send(connection)


def in_a_thread() -> None:
    """As many tutorials do it, so that a request need not wait."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]

    def send() -> None:
        with app.app_context():
            mail.send(Message("Thread", recipients=[], bcc=["kim@customer.example"], body="Later"))

    thread = threading.Thread(target=send)
    thread.start()
    thread.join()


def create_app() -> Flask:
    """The app."""
    app = Flask(__name__)
    app.config.from_file(str(Path(__file__).with_name("letters.json")), load=json.load)
    mail.init_app(app)

    @app.post("/letters")
    def letters() -> dict[str, int]:
        ways = (plain, everything, arguments, bulk, in_a_thread)
        with mail.record_messages() as outbox:
            for way in ways:
                way()
            Library().notify("Somebody bought something")
        return {"recorded": len(outbox)}

    return app
