"""A host app with senders, and programs with tokens that ask its API."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from werkzeug.test import TestResponse

from smtp_admin.api.scopes import SCOPES
from smtp_admin.api.tokens import create_token
from tests.app import ADMIN, HostApp
from tests.mail.newsletter import add_newsletter

API = "/api/email"
ALL = tuple(SCOPES)


def a_token(
    host: HostApp,
    partner_id: str = "acme",
    scopes: Any = ALL,
    lifetime: str = "90d",
    name: str = "",
) -> str:
    """A new token; needs an app context."""
    session = host.db.session()
    called = name or f"{partner_id or 'platform'} {' '.join(scopes)} {lifetime}"
    made = create_token(
        session, ADMIN, partner_id, name=called[:80], scopes=scopes, lifetime=lifetime
    )
    session.commit()
    return made.text


@dataclass(frozen=True)
class Program:
    """Somebody's script with a token."""

    host: HostApp
    token: str

    def __call__(self, method: str, path: str, **how: Any) -> TestResponse:
        """One request."""
        headers = {"Authorization": f"Bearer {self.token}", **how.pop("headers", {})}
        return self.host.app.test_client().open(
            f"{API}{path}", method=method, headers=headers, **how
        )


@pytest.fixture
def site(host: HostApp) -> HostApp:
    """Senders of the system and two partners, and nobody signed in."""
    add_newsletter(host)
    for partner_id in ("", "acme", "globex"):
        host.save_sender(partner_id)
    host.actor = None
    return host


@pytest.fixture
def program(site: HostApp) -> Callable[..., Program]:
    """Makes programs with tokens: ``program("acme", ["send"])``."""
    return lambda *args, **how: Program(site, a_token(site, *args, **how))


READY = {"to": "mia@example.com", "subject": "Hello", "text": "Hello."}
OF_TYPE = {
    "to": ["mia@example.com"],
    "type": "newsletter",
    "context": {"name": "Mia", "code": 7},
}
#: How each operation is asked so that it succeeds for Acme; ids are put in.
HOW: dict[str, dict[str, Any]] = {
    "status": {"query_string": {"partner_id": "acme"}},
    "queue": {"json": READY | {"partner_id": "acme"}},
    "batch": {"json": {"partner_id": "acme", "type": "newsletter", "recipients": [
        {"address": "a@example.com", "context": OF_TYPE["context"]}]}},
    "senders": {"query_string": {"partner_id": "acme"}},
    "connection_test": {"json": {"partner_id": "acme"}},
    "suppressions": {"query_string": {"partner_id": "acme"}},
    "suppress": {"json": {"partner_id": "acme", "address": "gone@example.com"}},
    "unsuppress": {"query_string": {"partner_id": "acme", "address": "gone@example.com"}},
}  # fmt: skip
