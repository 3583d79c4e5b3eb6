"""An app whose Host is ``async def`` throughout, and whose views are too."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, current_app, g, request
from flask_sqlalchemy import SQLAlchemy

from smtp_admin import (
    Actor,
    ExpiringService,
    Host,
    LoginHost,
    Message,
    Partner,
    SetupError,
    SMTPAdmin,
)
from smtp_admin.encryption import generate_key
from smtp_admin.renewals import service as reminders
from smtp_admin.renewals.values import RenewalValues
from smtp_admin.worker.process import WorkerProcess
from tests.app import ADMIN, migrate
from tests.servers.databases import sqlite_url
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer

#: More than are read at once.
CUSTOMERS = 230
EXPIRES = datetime.now(UTC) + timedelta(days=3)


class SlowHost(Host):
    """Asks somebody else for everything."""

    async def current_actor(self) -> Actor | None:
        await asyncio.sleep(0)
        name = request.headers.get("X-Person")
        return Actor(id=name, email=f"{name}@shop.example", is_admin=True) if name else None

    async def partners(self) -> AsyncIterator[Partner]:
        for name in ("acme", "globex"):
            await asyncio.sleep(0)
            yield Partner(name, name.title())

    async def expiring_services(
        self, until: datetime, partner_id: str
    ) -> AsyncIterator[ExpiringService]:
        assert until > EXPIRES
        for number in range(CUSTOMERS if partner_id == "acme" else 0):
            if number % 100 == 0:
                await asyncio.sleep(0)
            yield service(number)

    async def customer_services(self, customer_id: str) -> list[ExpiringService]:
        await asyncio.sleep(0)
        return [service(int(customer_id[1:]))]

    async def sign_in_url(self, next_url: str) -> str | None:
        return f"/sign-in?next={next_url}"


def service(number: int) -> ExpiringService:
    return ExpiringService(
        partner_id="acme", customer_id=f"c{number}", service_id=f"s{number}",
        customer_email=f"c{number}@customer.example", customer_name="", language="en",
        time_zone="UTC", service_name=f"hosting {number}", expires_at=EXPIRES, price="5",
        currency="EUR", payment_url="https://shop.example/pay",
    )  # fmt: skip


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def app(tmp_path: Path, redis: RedisServer, server: ScriptedServer) -> Iterator[Flask]:
    """The app, inside its context."""
    made = Flask("tests.slow")
    made.config.update(
        SECRET_KEY="a secret",
        SQLALCHEMY_DATABASE_URI=sqlite_url(tmp_path),
        WTF_CSRF_ENABLED=False,
        SMTP_ADMIN_REDIS_URL=redis.url,
        SMTP_ADMIN_SECRET_KEYS=[generate_key()],
        SMTP_ADMIN_ALLOWED_NETWORKS=["127.0.0.0/8"],
        SMTP_ADMIN_ALLOWED_PORTS=[server.port],
    )
    db = SQLAlchemy(made)
    plugin = SMTPAdmin(host=SlowHost())
    plugin.init_app(made, db)

    @made.post("/orders/<partner_id>")
    async def order(partner_id: str) -> dict[str, str]:
        """Queues from within a running loop: the partner has no sender, so Host is asked."""
        await asyncio.sleep(0)
        mail = Message("Your order", ["kim@customer.example"], "Thank you.")
        public_id = plugin.send_message(mail, partner_id=partner_id)
        db.session.commit()
        return {"id": public_id}

    with made.app_context():
        migrate(db.engine)
        yield made
        db.session.remove()
        db.engine.dispose()


def test_pages_and_async_views(app: Flask) -> None:
    client = app.test_client()
    signed_out = client.get("/smtp-admin/partners", headers={"Accept": "text/html"})
    assert signed_out.headers["Location"] == "/sign-in?next=/smtp-admin/partners"
    me = {"X-Person": "mia"}
    page = client.get("/smtp-admin/partners", headers=me, follow_redirects=True)
    assert "Acme" in page.text
    assert "Globex" in page.text
    for path in ("", "partners/acme", "system", "mail", "renewals"):
        answer = client.get(f"/smtp-admin/{path}", headers=me, follow_redirects=True)
        assert answer.status_code == 200, path
    assert client.get("/smtp-admin/partners/nobody", headers=me).status_code == 404
    assert client.post("/orders/globex").get_json()["id"]
    missing = client.post("/orders/nobody")
    assert missing.status_code == 500  # the view's own affair: send() raised MessageError


def test_commands_and_a_worker_send_what_a_stream_brings(
    app: Flask, server: ScriptedServer
) -> None:
    client = app.test_client()
    me = {"X-Person": "mia"}
    entered = {"host": server.host, "port": str(server.port), "security": "none", "revision": "0",
               "from_email": "orders@acme.example"}  # fmt: skip
    saved = client.post(
        "/smtp-admin/partners/acme", data=entered, headers=me, follow_redirects=True
    )
    assert "Saved as revision 1" in saved.text
    run = app.test_cli_runner()
    listed = run.invoke(args=["smtp-admin", "senders", "list"])
    assert "acme" in listed.output
    doctor = run.invoke(args=["smtp-admin", "doctor"])
    assert "2 partners, each with an id that can be used" in doctor.output
    preview = run.invoke(args=["smtp-admin", "renewals", "preview", "--partner", "acme"])
    assert preview.exit_code == 0, preview.output
    client.post("/orders/acme")
    WorkerProcess(app, 2).run_burst()
    assert [one.recipients for one in server.messages] == [["kim@customer.example"]]
    server.messages.clear()
    session = app.extensions["smtp_admin"].db.session()
    reminders.save(session, "acme", RenewalValues(enabled=True), own=True, expected_revision=0,
                   actor=ADMIN)  # fmt: skip
    session.commit()
    ran = run.invoke(args=["smtp-admin", "renewals", "run"])
    assert ran.exit_code == 0, ran.output
    WorkerProcess(app, 4).run_burst()  # which asks for each customer once more
    reminded = {one.recipients[0] for one in server.messages}
    assert reminded == {f"c{number}@customer.example" for number in range(CUSTOMERS)}


def test_a_ready_host_takes_async_functions(redis: RedisServer) -> None:
    """Each of them, with Flask-Login's user."""
    made = Flask("tests.ready")
    made.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SMTP_ADMIN_REDIS_URL=redis.url)

    async def partners() -> AsyncIterator[Partner]:
        yield Partner("7", "Seven")

    async def is_admin(user: Any) -> bool:
        await asyncio.sleep(0)
        return bool(user.staff)

    async def partner_ids(user: Any) -> AsyncIterator[int]:
        yield user.company

    plugin = SMTPAdmin(
        host=LoginHost(partners=partners, is_admin=is_admin, partner_ids=partner_ids)
    )
    plugin.init_app(made, SQLAlchemy(made))
    with made.test_request_context():
        with pytest.raises(SetupError, match="no LoginManager"):
            made.extensions["smtp_admin"].host.current_actor()
        g._login_user = User()
        current_app.login_manager = object()  # type: ignore[attr-defined]
        host = made.extensions["smtp_admin"].host
        assert host.current_actor() == Actor(
            id="3", email="mia@seven.example", name="mia", partner_ids=frozenset({"7"})
        )
        assert [one.name for one in host.partners()] == ["Seven"]
        assert host.partner("7") == Partner("7", "Seven")
        assert host.sign_in_url("/") is None


class User:
    """As Flask-Login's are."""

    id, email, username, staff, company = 3, "mia@seven.example", "mia", False, 7
    is_authenticated = True
