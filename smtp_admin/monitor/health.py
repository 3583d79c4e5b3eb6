"""Is this installation well? Every part is looked at, none is waited for long, nothing is raised.

Each check lives in a module beside this one, as a function without arguments that returns what it
found. Here they are run: each in a thread of its own, because a database that was frozen, say,
never answers and cannot be interrupted.
"""

import importlib.metadata
import platform
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any, Literal

from flask import Flask, current_app
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from smtp_admin import clock
from smtp_admin.database import host_engine
from smtp_admin.errors import SMTPAdminError

Status = Literal["ok", "warning", "failed", "skipped"]
#: Seconds for one check; a busy database answers in much less.
PATIENCE_SECONDS = 10.0
_PACKAGES = ("smtp_admin", "flask", "sqlalchemy", "rq", "redis")


@dataclass(frozen=True, slots=True)
class Check:
    """What one look found out.

    Attributes:
        name: which part of the installation; several checks may share one.
        message: one sentence or two, for a person.
        hint: what to do about it.
        subject: what exactly was looked at, where there are several: ``partner acme``.
    """

    name: str
    status: Status
    message: str
    hint: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One function to run.

    Attributes:
        needs: parts without which it makes no sense; if one of them failed, it is skipped.
    """

    name: str
    look: Callable[[], Iterable[Check]]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """What all of them found out."""

    checks: tuple[Check, ...]
    checked_at: datetime
    versions: dict[str, str] = field(default_factory=dict)

    def count(self, status: Status) -> int:
        """How many checks ended so."""
        return sum(one.status == status for one in self.checks)

    @property
    def status(self) -> Status:
        """The worst of all."""
        return "failed" if self.count("failed") else "warning" if self.count("warning") else "ok"

    def as_json(self) -> dict[str, Any]:
        """For a script, or a page."""
        return {
            "status": self.status,
            "checked_at": f"{self.checked_at:%Y-%m-%dT%H:%M:%SZ}",
            "versions": self.versions,
            "checks": [asdict(one) for one in self.checks],
        }


def examine(parts: Iterable[Part], patience: float = PATIENCE_SECONDS) -> Health:
    """Run all *parts*, in order; needs an app context, and raises nothing.

    Args:
        patience: seconds after which a part counts as failed.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # werkzeug's LocalProxy
    found: list[Check] = []
    bad: set[str] = set()
    for part in parts:
        missing = [name for name in part.needs if name in bad]
        if missing:
            words = f"Skipped, because the check “{missing[0]}” failed."
            checks = [Check(part.name, "skipped", words)]
        else:
            checks = _look(app, part, patience)
        if any(one.status in {"failed", "skipped"} for one in checks):
            bad.add(part.name)
        found += checks
    return Health(tuple(found), clock.now(), versions())


def versions() -> dict[str, str]:
    """What runs here, by name."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # it runs from a folder
            found[name] = "unknown"
    return found


def _look(app: Flask, part: Part, patience: float) -> list[Check]:
    box: SimpleQueue[list[Check]] = SimpleQueue()

    def act() -> None:
        found: list[Check] = []
        # What the host does at the end of a context may fail where its database is away.
        with suppress(Exception), app.app_context():
            found = _guarded(part)
        box.put(found)  # its connections are given back by now

    # A daemon: if it never ends, it must not keep the process from ending.
    threading.Thread(target=act, name=f"check-{part.name}", daemon=True).start()
    try:
        return box.get(timeout=patience)
    except Empty:
        words = f"No answer in {patience:g} seconds."
        hint = "It hangs or is very busy. Check that it runs and can be reached."
        return [Check(part.name, "failed", words, hint)]


def _guarded(part: Part) -> list[Check]:
    """What *part* found, or why it could not look, as a check."""
    try:
        return list(part.look())
    except SMTPAdminError as error:
        return [Check(part.name, "failed", error.message, error.hint)]
    except DBAPIError as error:
        words = f"The database ({_database()}) cannot be used: {_kind(error.orig or error)}."
        hint = "Check SQLALCHEMY_DATABASE_URI, and that the database runs."
        return [Check(part.name, "failed", words, hint)]
    except (SQLAlchemyError, RedisError, OSError) as error:
        return [Check(part.name, "failed", f"It cannot be used ({_kind(error)}).")]
    except Exception as error:  # noqa: BLE001 - a check that fails must not hide the others
        words = f"This check itself failed ({_kind(error)})."
        return [Check(part.name, "failed", words, "This is a bug. Please report it.")]


def _database() -> str:
    """Which database is meant, without login and options, which may be secret."""
    url = host_engine().url
    port = f":{url.port}" if url.port else ""
    place = f"{url.host or ''}{port}/{url.database or ''}".removeprefix("/")
    return f"{url.get_backend_name()}, {place}"


def _kind(error: BaseException) -> str:
    return type(error).__name__
