"""Headers of answers: what the host does not say about frames and types, the plugin says."""

from collections.abc import Callable

import pytest
from flask import Flask, Response
from flask_sqlalchemy import SQLAlchemy

from smtp_admin import SMTPAdmin
from smtp_admin.encryption import generate_key
from tests.app import ADMIN, HostApp, TestHost

POLICY = "Content-Security-Policy"
PATHS = (
    "/smtp-admin/partners/acme", "/smtp-admin/nowhere", "/smtp-admin/static/css/smtp_admin.css",
    "/api/email/status", "/unsubscribe/nobody", "/smtp-admin/test-mail/nobody",
)  # fmt: skip


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_without_a_word_of_the_host(host: HostApp, accept: str) -> None:
    for actor in (ADMIN, None):
        host.actor = actor
        for path in PATHS:
            answer = host.client.get(path, headers={"Accept": accept})
            found = answer.headers
            if path == "/smtp-admin/nowhere":
                continue  # the host's own 404
            assert found["X-Content-Type-Options"] == "nosniff", path
            assert found["X-Frame-Options"] == "SAMEORIGIN", path
            assert found[POLICY] == "frame-ancestors 'self'", path


def site_that(says: Callable[[Response], None], *, first: bool) -> HostApp:
    """A host with a hook of its own, registered before the plugin or after it."""
    app = Flask("speaking")
    app.config.update(
        SECRET_KEY="a test's secret",
        SQLALCHEMY_DATABASE_URI="sqlite://",
        SMTP_ADMIN_SECRET_KEYS=[generate_key()],
    )

    def hook(response: Response) -> Response:
        says(response)
        return response

    @app.get("/own")
    def own() -> str:
        return "the host's own page"

    db, host = SQLAlchemy(), TestHost()
    db.init_app(app)
    plugin = SMTPAdmin(host=host)
    if first:
        app.after_request(hook)
    plugin.init_app(app, db)
    if not first:
        app.after_request(hook)
    return HostApp(app, db, plugin, host, "")


def frames(response: Response) -> None:
    response.headers.setdefault(POLICY, "default-src 'self'; frame-ancestors https://x.example")


def old_frames(response: Response) -> None:
    response.headers["X-Frame-Options"] = "DENY"


def no_frames(response: Response) -> None:
    response.headers.setdefault(POLICY, "default-src 'self'")
    response.headers["X-Content-Type-Options"] = "nosniff"


@pytest.mark.parametrize("first", [True, False])
def test_what_the_host_says_wins(first: bool) -> None:
    path = "/smtp-admin/static/css/smtp_admin.css"
    found = site_that(frames, first=first).client.get(path).headers
    assert found.getlist(POLICY) == ["default-src 'self'; frame-ancestors https://x.example"]
    assert "X-Frame-Options" not in found
    found = site_that(old_frames, first=first).client.get(path).headers
    assert (found.getlist("X-Frame-Options"), POLICY in found) == (["DENY"], False)
    found = site_that(no_frames, first=first).client.get(path).headers
    assert found.getlist(POLICY) == ["default-src 'self'", "frame-ancestors 'self'"]
    assert found.getlist("X-Content-Type-Options") == ["nosniff"]


def test_the_hosts_own_pages_are_left_alone() -> None:
    found = site_that(lambda _: None, first=True).client.get("/own").headers
    assert not {POLICY, "X-Frame-Options", "X-Content-Type-Options"} & set(found.keys())
