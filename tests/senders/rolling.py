"""Rolling back, as the tests ask for it."""

from dataclasses import replace
from typing import Any

from sqlalchemy import select
from werkzeug.test import TestResponse

from smtp_admin.encryption import Keyring
from smtp_admin.senders.models import SenderRevision
from smtp_admin.senders.resolve import load_sender
from tests.app import HostApp

__all__ = ["HTML", "JSON", "PAGE", "SYSTEM", "back", "password", "reconfigure", "rows"]

PAGE = "/smtp-admin/partners/acme"
SYSTEM = "/smtp-admin/system"
HTML = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}


def back(
    site: HostApp, number: Any, revision: Any = None, page: str = PAGE, **headers: str
) -> TestResponse:
    """Ask to roll back, as a script does."""
    if revision is None:
        site.db.session.rollback()
        revision = load_sender(site.db.session(), "acme" if page == PAGE else "").revision
    return site.client.post(
        f"{page}/rollback",
        data={"number": number, "revision": revision},
        headers=headers or JSON,
    )


def password(site: HostApp, partner_id: str = "acme", key: str = "") -> str:
    """What would be logged in with now."""
    session = site.db.session()
    session.rollback()
    sender = load_sender(session, partner_id, key)
    return sender.secrets_for(sender.values, site.installation.keyring)["password"]


def rows(site: HostApp) -> list[tuple[Any, ...]]:
    """Every revision as it is stored."""
    session = site.db.session()
    session.rollback()
    table = SenderRevision.__table__
    return [tuple(row) for row in session.execute(select(table).order_by(table.c.id))]


def reconfigure(site: HostApp, **changes: Any) -> None:
    """The same app, started with another configuration; `site` puts the old one back."""
    here = site.installation
    site.app.extensions["smtp_admin"] = replace(
        here,
        config=replace(here.config, **changes),
        keyring=Keyring(changes.get("secret_keys", here.config.secret_keys)),
    )
