"""A worker dies while it gives up an address, or keeps back mail to one that is given up."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from signal import SIGKILL

import pytest
from sqlalchemy import func, select, update

from smtp_admin.clock import now
from smtp_admin.senders.models import Sender
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.writing import row_of
from tests.app import HostApp
from tests.delivery.workbench import deliveries, queue
from tests.endurance.mortal import Fate, Mortal
from tests.endurance.points import MakeBench
from tests.endurance.sites import AnySite
from tests.servers.scripted import ScriptedServer, Session

RECORD, LOOK = "smtp_admin.delivery.record", "smtp_admin.delivery.suppressed_claims"
MIA, TOM = "mia@example.org", "tom@example.org"


def _refused(host: HostApp, server: ScriptedServer) -> None:
    """A sender that works, and a server that does not know Mia."""

    def answer(_server: ScriptedServer, _session: Session, line: str) -> bytes:
        return b"550 5.1.1 no such user\r\n" if "mia@" in line else b"250 ok\r\n"

    server.behave("rcpt", answer)
    session = host.db.session()
    session.execute(update(Sender).values(last_accepted_at=now()))
    session.commit()


def _suppressed(host: HostApp, _server: ScriptedServer) -> None:
    """As if both had been open at once: what waits to Mia was not kept back."""
    session = host.db.session()
    session.add(Suppression(**row_of("acme", MIA, "bounce")))
    session.commit()


@dataclass(frozen=True)
class Point:
    """Where the worker dies.

    Attributes:
        before: what is so when it begins.
        mia: what becomes of the mail to her.
    """

    name: str
    fate: Fate
    before: Callable[[HostApp, ScriptedServer], None]
    mia: str

    def __str__(self) -> str:
        return self.name


_ENGINE = "smtp_admin.delivery.lane_database:record"
POINTS = (
    Point("refused, nothing written", Fate(_ENGINE), _refused, "dead"),
    Point("given up, not committed", Fate(f"{RECORD}:suppress_refused", "after"), _refused, "dead"),
    Point("committed", Fate(_ENGINE, "after"), _refused, "dead"),
    Point("claimed, not looked at", Fate(f"{LOOK}:Suppressed"), _suppressed, "suppressed"),
    Point("given back, not kept", Fate(f"{LOOK}:suppress_again"), _suppressed, "suppressed"),
    Point("kept back, not committed", Fate(f"{LOOK}:suppress_again", "after"), _suppressed,
          "suppressed"),
)  # fmt: skip
#: The hardest of each kind; the others are for the long run.
_HARDEST = {"given up, not committed", "given back, not kept"}


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(one, id=one.name, marks=() if one.name in _HARDEST else pytest.mark.long)
        for one in POINTS
    ],
)
def test_who_dies_at_an_address_that_is_given_up(
    site: AnySite, server: ScriptedServer, bench_of: MakeBench, point: Point
) -> None:
    """Whoever comes after looks once more: nobody sends to Mia, and Tom has his mail once."""
    with site.opened() as host:
        host.save_sender(port=server.port)
        queue(host, MIA)
        queue(host, TOM)
        point.before(host, server)
        with Mortal(site.folder, "--burst", fate=point.fate) as mortal:
            assert mortal.wait() == -SIGKILL, mortal.output
        bench = bench_of(host)
        bench.lose_lease()
        for minutes in (0, 30):
            bench.tick(timedelta(minutes=minutes))
        assert [one.state for one in deliveries(host)] == [point.mia, "sent"]
        assert host.db.session.scalar(select(func.count(Suppression.id))) == 1
        assert [one.recipients for one in server.messages] == [[TOM]]
