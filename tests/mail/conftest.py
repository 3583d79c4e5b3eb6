"""A host app with a template folder of its own and e-mail types of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask_sqlalchemy import SQLAlchemy

from smtp_admin import Host, SMTPAdmin
from smtp_admin.mail.types import EmailType
from tests.app import KnownRules, migrate
from tests.delivery.conftest import bench_of, database, each, opened, server, shared_database
from tests.servers.databases import sqlite_url
from tests.servers.redis_server import RedisServer

__all__ = ["bench_of", "database", "each", "opened", "server", "shared_database"]

Write = Callable[..., str]


def own_type(name: str, *variables: str, **more: Any) -> EmailType:
    """A small type with these variables."""
    return EmailType(
        name=name,
        label=name,
        variables=dict.fromkeys(variables, "something"),
        sample=dict.fromkeys(variables, "x"),
        **more,
    )


#: What the host adds to the types that are shipped.
OWN_TYPES = (
    own_type("greeting", "who"),
    own_type("listing", "things"),
    own_type("held", on_uncertain="hold", sensitive=True, priority="bulk", expires_hours=2),
)


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """The host's template folder."""
    folder = tmp_path / "templates"
    folder.mkdir()
    return folder


@pytest.fixture
def plugin(templates: Path, tmp_path: Path, redis: RedisServer) -> Iterator[SMTPAdmin]:
    """The plugin in such a host, within its app context."""
    app = KnownRules(__name__, template_folder=str(templates))
    app.config.update(
        SQLALCHEMY_DATABASE_URI=sqlite_url(tmp_path),
        SMTP_ADMIN_APP_NAME="Northwind",
        SMTP_ADMIN_REDIS_URL=redis.url,
        MAIL_DEFAULT_SENDER="somebody@else.example",
        MAIL_SUPPRESS_SEND=False,
        TESTING=True,
    )
    db = SQLAlchemy(app)
    made = SMTPAdmin(host=Host())
    for type_ in OWN_TYPES:
        made.register_type(type_)
    made.init_app(app, db)
    with app.app_context():
        migrate(db.engine)
        yield made
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def write(templates: Path, plugin: SMTPAdmin) -> Callable[..., None]:
    """Writes templates of one type: ``write("greeting", subject="…", text="…", html="…")``."""

    def put(name: str, **parts: str) -> None:
        folder = templates / "smtp_admin" / "email" / name
        folder.mkdir(parents=True, exist_ok=True)
        for part, source in parts.items():
            (folder / f"{part}.liquid").write_text(source)

    return put
