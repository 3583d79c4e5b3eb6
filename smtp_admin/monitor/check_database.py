"""The database: whether it answers, its tables, its clock, the file of SQLite, and the keys."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy import text

from smtp_admin import clock, schema
from smtp_admin.database import database_now, host_engine, session
from smtp_admin.errors import SetupError
from smtp_admin.installation import installation
from smtp_admin.monitor.health import Check
from smtp_admin.monitor.stored_secrets import check_all
from smtp_admin.senders.keys import KeyReport, Unreadable

_SLOW_SECONDS = 1.0
_LITTLE_SPACE, _NO_SPACE = 500 * 1024**2, 50 * 1024**2
#: Seconds that two clocks may differ.
_CLOCKS_DIFFER, _CLOCKS_WRONG = 2.0, 60.0
_MOST_NAMED = 10
#: Secrets that no mail is sent with.
_BESIDE = frozenset({"webhook", "bounces"})


def database() -> Iterator[Check]:
    """Whether it answers, and how fast."""
    engine = host_engine()
    began = time.monotonic()
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        version = ".".join(str(part) for part in engine.dialect.server_version_info or ())
    took = time.monotonic() - began
    name = f"{engine.dialect.name} {version}".strip()
    if took > _SLOW_SECONDS:
        yield Check("database", "warning", f"{name} took {took:.1f} s for the simplest query.",
                    "It is busy or far away. Sending is slow too.")  # fmt: skip
    else:
        yield Check("database", "ok", f"{name} answers in {took * 1000:.0f} ms.")


def tables() -> Iterator[Check]:
    """Whether our tables are the newest."""
    try:
        schema.check(host_engine())
    except SetupError as error:
        hint = f"{error.hint} Until then pages, workers and queueing do not work."
        yield Check("tables", "failed", error.message, hint)
    else:
        yield Check("tables", "ok", f"At {schema.head()}, the newest revision.")


def storage() -> Iterator[Check]:
    """The file of SQLite; other databases look after their own disks."""
    engine = host_engine()
    if engine.dialect.name != "sqlite" or engine.url.database in {None, "", ":memory:"}:
        return
    path = Path(str(engine.url.database)).absolute()
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        hint = "Run this command, the web processes and the workers as the owner of the file."
        yield Check(
            "storage", "failed", f"{path} or its folder is not writable for this process.", hint
        )
        return
    free = shutil.disk_usage(path.parent).free
    words = f"{free / 1024**3:.1f} GB are free at {path.name}."
    if free < _LITTLE_SPACE:
        hint = "Free disk space, or no mail can be queued. Lower SMTP_ADMIN_KEEP_DAYS and prune."
        yield Check("storage", "failed" if free < _NO_SPACE else "warning", words, hint)
        return
    with engine.connect() as connection:
        mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
    if mode != "wal":
        yield Check("storage", "warning", f"SQLite's journal mode is {mode}: readers and the "
                    "writer block each other.", "Run `flask smtp-admin db upgrade`, which sets "
                    "WAL.")  # fmt: skip
        return
    yield Check("storage", "ok", words)


def database_clock(now: Callable[[], datetime] = clock.now) -> Iterator[Check]:
    """How far this machine's clock is from the database's.

    Args:
        now: this machine's clock.
    """
    before = now()
    theirs = database_now(session())
    middle = before + (now() - before) / 2
    yield compare_clocks("the database", (theirs - middle).total_seconds())


def compare_clocks(whose: str, ahead: float) -> Check:
    """What it means that *whose* clock is so many seconds *ahead* of this machine's."""
    seconds = abs(ahead)
    if seconds <= _CLOCKS_DIFFER:
        return Check("clock", "ok", f"This machine and {whose} agree on the time.")
    way = "ahead of" if ahead > 0 else "behind"
    return Check(
        "clock",
        "failed" if seconds > _CLOCKS_WRONG else "warning",
        f"The clock of {whose} is {seconds:,.0f} s {way} this machine's.",
        "Synchronise the clocks of all machines (chrony, systemd-timesyncd). Limits and leases "
        "use the database's clock. Certificates and the Date of mails use this machine's.",
    )


def keys() -> Iterator[Check]:
    """Whether every stored secret opens."""
    keyring = installation().keyring
    report = check_all(session(), keyring)
    if report.unreadable:
        yield from _unreadable(report)
    elif not keyring:
        yield Check("keys", "warning", "SMTP_ADMIN_SECRET_KEYS is empty: no password can be saved.",
                    "Run `flask smtp-admin keys generate` and put the key there.")  # fmt: skip
    elif report.older:
        yield Check("keys", "warning", f"{report.older} of {report.total} stored secrets still "
                    "have an older key.", "Run `flask smtp-admin keys rotate`; then you can remove "
                    "the older key.")  # fmt: skip
    elif not report.total:
        yield Check("keys", "ok", "There is a key. No secret is stored yet.")
    else:
        yield Check("keys", "ok", f"All stored secrets ({report.total}) open, with the newest "
                    "key.")  # fmt: skip


def _unreadable(report: KeyReport) -> Iterator[Check]:
    beside = [one for one in report.unreadable if one.place in _BESIDE]
    used = [one for one in report.unreadable if one.current and one not in beside]
    old = [one for one in report.unreadable if not one.current]
    if used:
        yield Check("keys", "failed", f"The passwords of {_named(used)} cannot be decrypted. "
                    f"{used[0].reason} These senders pause, and their mail waits.",
                    "Add the missing key at the end of SMTP_ADMIN_SECRET_KEYS and restart the "
                    "workers. Or enter the passwords again.")  # fmt: skip
    if beside:
        yield Check("keys", "warning", f"The secrets of {_named(beside)} for webhooks or mailboxes "
                    f"for bounces cannot be decrypted. {beside[0].reason} Their mail is sent, but "
                    "what becomes of it is not seen.",
                    "Add the missing key at the end of SMTP_ADMIN_SECRET_KEYS and restart the "
                    "workers. Or enter the secrets again.")  # fmt: skip
    if old:
        yield Check("keys", "warning", f"Passwords of old revisions ({len(old)}) cannot "
            "be decrypted: "
                    f"{_named(old)}. Rolling back to them needs the password again.",
                    "If you still have their key, add it after the others.")  # fmt: skip


def _named(some: list[Unreadable]) -> str:
    names = sorted({f"partner {one.partner_id}" if one.partner_id else "the system"
                    for one in some})  # fmt: skip
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
