"""A worker's looks at what is wrong, whenever a test says so."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from smtp_admin.clock import now, shifted
from smtp_admin.database import worker_engine
from smtp_admin.monitor.alerts.announce import announce
from smtp_admin.monitor.alerts.incidents import Settled, evaluate
from smtp_admin.monitor.alerts.models import Alert, AlertNotice
from smtp_admin.senders.models import Sender
from tests.app import HostApp
from tests.sender_state.scenes import a_worker

__all__ = ["a_worker", "alerts", "break_sender", "look", "mend_sender", "notices", "tell"]

MINUTE = timedelta(minutes=1)
SECRET = "whsec_bm9ydGh3aW5kIHNpZ25zIGl0cyBhbGVydHMgMTIz"


@contextmanager
def own_engine(host: HostApp) -> Iterator[Any]:
    """A worker's engine."""
    engine = worker_engine(host.db.engine, pool_size=4)
    try:
        yield engine
    finally:
        if engine is not host.db.engine:
            engine.dispose()


def look(host: HostApp, later: timedelta = timedelta(), *, for_workers: bool = False) -> Settled:
    """What a worker finds, *later* than now; or somebody else, where none runs."""
    host.db.session.rollback()
    with ExitStack() as until:
        if not for_workers:
            until.enter_context(a_worker(host.app))
        until.enter_context(shifted(later))
        return evaluate(until.enter_context(own_engine(host)), for_workers=for_workers)


def tell(host: HostApp, later: timedelta = timedelta(), **keywords: Any) -> int:
    """Tell whoever is to be told by then; how many notices."""
    host.db.session.rollback()
    with shifted(later), own_engine(host) as engine:
        return announce(engine, **keywords)


def alerts(host: HostApp, *, opened: bool = True) -> list[Alert]:
    """Every alert, oldest first."""
    session = host.db.session()
    session.rollback()
    wanted = select(Alert).order_by(Alert.id)
    return list(session.scalars(wanted.where(Alert.opened_at.is_not(None)) if opened else wanted))


def notices(host: HostApp, channel: str = "") -> list[AlertNotice]:
    """Every notice, oldest first."""
    session = host.db.session()
    session.rollback()
    wanted = select(AlertNotice).order_by(AlertNotice.id)
    return list(
        session.scalars(wanted.where(AlertNotice.channel == channel) if channel else wanted)
    )


def break_sender(host: HostApp, partner_id: str = "acme", key: str = "", words: str = "") -> None:
    """What a refused login does to a sender."""
    _set(
        host, partner_id, key,
        paused_until=now() + timedelta(days=3650),
        pause_code="auth_failed",
        pause_reason=words or "The server refused the user name or password.",
        pause_reply="535 5.7.8 no",
    )  # fmt: skip


def mend_sender(host: HostApp, partner_id: str = "acme", key: str = "") -> None:
    """What saving the right password does."""
    _set(host, partner_id, key, paused_until=None, pause_code="", pause_reason="", pause_reply="")


def _set(host: HostApp, partner_id: str, key: str, **values: Any) -> None:
    session = host.db.session()
    mine = update(Sender).where(Sender.partner_id == partner_id, Sender.key == key)
    session.execute(mine.values(**values))
    session.commit()
