"""The example app for the browser: its web server in a thread, a scripted mail server behind it."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from flask import Flask
from sqlalchemy import delete, select
from werkzeug.serving import make_server

import hosting
import wsgi
from smtp_admin import Actor, schema
from smtp_admin.mail.message import Attachment, Message
from smtp_admin.renewals import scheduler, service
from smtp_admin.renewals.models import RenewalCustomer, RenewalNotice
from smtp_admin.renewals.values import RenewalValues
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import delete_sender, save_settings
from smtp_admin.senders.values import SenderValues
from smtp_admin.worker.process import WorkerProcess
from tests.mail.newsletter import add_newsletter_to
from tests.servers.scripted import ScriptedServer

__all__ = ["LOGIN", "MAIL_PASSWORD", "Site", "running_site"]

LOGIN = "acme"
MAIL_PASSWORD = "a mail password"
RUSH = 1000
OLGA = Actor(id="99", email="olga@northwind.example", name="Olga Other", is_admin=True)


@dataclass(frozen=True)
class Site:
    """The running app and what the tests do behind its back."""

    app: Flask
    url: str
    smtp: ScriptedServer
    instance: Path

    def save(self, partner_id: str, key: str = "", label: str = "", **values: Any) -> int:
        """Save settings that lead to the mail server, as somebody else; return the revision."""
        with self.app.app_context():
            seen = load_sender(hosting.db.session(), partner_id, key).revision
        usual: dict[str, Any] = {
            "host": "localhost",
            "port": self.smtp.port,
            "security": "tls",
            "username": LOGIN,
            "from_email": f"noreply@{partner_id or 'northwind'}.example",
            # Others each time: what is saved already makes no revision.
            "from_name": f"The sender with a name, {seen}",
            "max_per_hour": RUSH,
        }
        with self.app.app_context():
            session = hosting.db.session()
            saved = save_settings(
                session,
                partner_id,
                SenderValues(**(usual | values)),
                secrets={"password": MAIL_PASSWORD},
                expected_revision=seen,
                actor=OLGA,
                key=key,
                label=label,
            )
            session.commit()
            return saved.revision

    def delete(self, partner_id: str, key: str = "") -> None:
        """Delete a sender, if it is there."""
        with self.app.app_context():
            session = hosting.db.session()
            sender = load_sender(session, partner_id, key)
            if sender.revision and not sender.deleted:
                delete_sender(session, sender, OLGA)
                session.commit()

    def send(self, partner_id: str, count: int = 1, *, to: str = "customer") -> None:
        """Queue mails, to *to* and a number."""
        with self.app.app_context():
            for number in range(count):
                wsgi.smtp_admin.send(
                    "password_reset",
                    to=f"{to}{number}@customer.example",
                    partner_id=partner_id,
                    context={"name": "Sam", "reset_url": "https://x.example", "expires_minutes": 5},
                )
            hosting.db.session.commit()

    def keep_notice(self, partner_id: str, product: str) -> str:
        """Keep a notice for a digest; its id."""
        with self.app.app_context():
            public_id = wsgi.smtp_admin.send(
                "licence_expiring",
                to="customer@customer.example",
                partner_id=partner_id,
                digest="day",
                context={
                    "name": "Sam",
                    "product": product,
                    "expires_on": "31 January 2027",
                    "renew_url": f"https://shop.example/renew?what={product.replace(' ', '-')}",
                },
            )
            hosting.db.session.commit()
            return public_id

    def send_letters(self, partner_id: str, count: int = 1) -> None:
        """Queue mails that carry no secrets, with HTML and a file."""
        letter = Message(
            "Your invoice",
            ("gone@customer.example",),
            body="Hello, here is your invoice.",
            html="<h1>Hello</h1><p style='color: #222'>Here is <b>your invoice</b>.</p>",
            attachments=(Attachment("invoice.pdf", "application/pdf", b"%PDF-1.4"),),
        )
        with self.app.app_context():
            for _ in range(count):
                wsgi.smtp_admin.send_message(letter, partner_id=partner_id)
            hosting.db.session.commit()

    def remind(
        self, partner_id: str = "acme", *, last: timedelta | None = None, **values: Any
    ) -> str:
        """Save renewal settings as somebody else; the link of the partner's first customer.

        Args:
            last: how long ago that customer had a notice; ``None`` for never.
        """
        with self.app.app_context():
            session = hosting.db.session()
            seen = service.load(session, partner_id).revision
            service.save(
                session,
                partner_id,
                RenewalValues(**values),
                own=True,
                expected_revision=seen,
                actor=OLGA,
            )
            session.execute(delete(RenewalNotice))
            session.execute(delete(RenewalCustomer))
            row = RenewalCustomer(
                partner_id=partner_id,
                customer_id="1",
                token=token_urlsafe(24),
                last_at=datetime.now(UTC) - last if last is not None else None,
            )
            session.add(row)
            session.commit()
            return row.token

    def run_renewals(self, partner_id: str = "acme") -> None:
        """As a worker does every quarter of an hour."""
        with self.app.app_context():
            scheduler.run_now(hosting.db.engine, partner_id)

    def work(self) -> None:
        """Send what is due, as a worker does."""
        with self.app.app_context():
            WorkerProcess(self.app, 2).run_burst()

    def reset_token(self) -> str:
        """A link to a new password for the customer: its token."""
        token = token_urlsafe()
        with self.app.app_context():
            user = hosting.db.session.scalar(
                select(hosting.User).filter_by(email="carl@customer.example")
            )
            assert user is not None
            hosting.db.session.add(
                hosting.PasswordReset(
                    token_hash=sha256(token.encode()).hexdigest(),
                    user_id=user.id,
                    expires_at=datetime.now(UTC) + wsgi.RESET_TIME,
                )
            )
            hosting.db.session.commit()
        return token


@contextmanager
def running_site(instance: Path, smtp: ScriptedServer, config: dict[str, Any]) -> Iterator[Site]:
    """Serve the example from an empty folder."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = wsgi.create_app(
        str(instance),
        {
            "SMTP_ADMIN_ALLOWED_PORTS": range(1, 65536),
            "SMTP_ADMIN_TEST_LIMIT": f"{RUSH} per 10 minutes",
            "SMTP_ADMIN_TEST_MAIL_LIMIT": f"{RUSH} per 10 minutes",
            "SMTP_ADMIN_PARTNER_TEST_LIMIT": f"{RUSH} per 10 minutes",
            "SMTP_ADMIN_CHANGE_LIMIT": f"{RUSH} per 10 minutes",
            "SMTP_ADMIN_RECIPIENT_LIMITS": {"password_reset": f"{RUSH} per 10 minutes"},
            "SMTP_ADMIN_RETRY_ATTEMPTS": 0,
            "SMTP_ADMIN_MEMORY_DRIVER": True,
        }
        | config,
    )
    with app.app_context():
        hosting.db.create_all()
        schema.upgrade(hosting.db.engine)
        wsgi.add_demo_data()
        add_newsletter_to(app)
        # One whose settings no page here shows, for the test that fills in an empty tab.
        hosting.db.session.add(
            hosting.Partner(id="umbrella", name="Umbrella", domain="umbrella.example")
        )
        # And one for tests that need a partner of their own with settings: Globex has none.
        hosting.db.session.add(hosting.Partner(id="hooli", name="Hooli", domain="hooli.example"))
        hosting.db.session.commit()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="web")
    thread.start()
    try:
        yield Site(app, f"http://127.0.0.1:{server.server_port}", smtp, instance)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        with app.app_context():
            hosting.db.engine.dispose()
