"""The host's database object: of Flask-SQLAlchemy, of Flask-SQLAlchemy-Lite, or one like these.

Here alone is known how they differ. Flask-SQLAlchemy's ``session`` is a registry that hands out
sessions, Lite's is the session itself, and only inside an app context; and each has its own name
for the default engine.
"""

from collections.abc import Mapping
from typing import Any, cast

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.orm import Session, scoped_session

from smtp_admin.errors import ConfigError, SetupError


class HostDatabase:
    """What we ask of the host's database object.

    Args:
        given: the object, as the host passed it to ``init_app``.

    Raises:
        ConfigError: it is something else, or ``init_app`` of Lite was not called for *app* yet.
    """

    def __init__(self, app: Flask, given: Any) -> None:
        self._given = given
        # Looked up in the class: outside an app context Lite's properties cannot be read.
        self._lite = hasattr(type(given), "sessionmaker")
        #: What makes the host's sessions; events of all of them are listened to here.
        self.sessions: Any = self._lites_factory(app) if self._lite else _registry(given)
        #: What the host passes to its driver, such as certificates.
        self.connect_args: Mapping[str, Any] = self._options(app).get("connect_args") or {}

    def session(self) -> Session:
        """The host's session of the present app context."""
        found = self._given.session if self._lite else self.sessions()
        return cast("Session", found)

    @property
    def engine(self) -> Engine:
        """The engine of the host's default database.

        Raises:
            SetupError: the host has others only.
        """
        if not hasattr(type(self._given), "engines"):
            return cast("Engine", self._given.engine)
        engines: Mapping[str | None, Engine] = self._given.engines
        name = "default" if self._lite else None
        if name not in engines:
            raise SetupError(
                "The app has no default database, and there the tables of smtp_admin belong.",
                hint=_LITES_HINT if self._lite else _HINT,
            )
        return engines[name]

    def _lites_factory(self, app: Flask) -> Any:
        try:
            with app.app_context():
                return self._given.sessionmaker
        except RuntimeError as error:
            raise ConfigError(
                "Call db.init_app(app) first, and SMTPAdmin.init_app(app, db) after it: "
                "Flask-SQLAlchemy-Lite has no sessions for this app yet."
            ) from error

    def _options(self, app: Flask) -> Mapping[str, Any]:
        if not self._lite:
            return app.config.get("SQLALCHEMY_ENGINE_OPTIONS") or {}
        found = (app.config.get("SQLALCHEMY_ENGINES") or {}).get("default")
        return found if isinstance(found, Mapping) else {}


_HINT = "Set SQLALCHEMY_DATABASE_URI; SQLALCHEMY_BINDS alone is not enough."
_LITES_HINT = (
    'Set SQLALCHEMY_ENGINES["default"]. Engines of other names, or of SQLALCHEMY_ASYNC_ENGINES, '
    "are not enough."
)


def _registry(given: Any) -> Any:
    found = getattr(given, "session", None)
    has_engine = hasattr(type(given), "engines") or hasattr(given, "engine")
    if isinstance(found, scoped_session) and has_engine:
        return found
    kind = type(given)
    raise ConfigError(
        "SMTPAdmin.init_app(app, db) takes the database object of Flask-SQLAlchemy or "
        f"Flask-SQLAlchemy-Lite, and was given a {kind.__module__}.{kind.__qualname__}. "
        "Pass db itself, not db.session and not an engine."
    )
