"""A worker dies while it gives up an address, or keeps back mail to one that is given up."""

from collections.abc import Iterable
from datetime import timedelta
from signal import SIGKILL
from typing import Any

import pytest
from sqlalchemy import func, select, update

from smtp_admin.clock import now
from smtp_admin.senders.models import Sender
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.writing import row_of
from tests.delivery.workbench import deliveries, queue
from tests.endurance.mortal import Fate, Mortal
from tests.endurance.points import MakeBench
from tests.endurance.sites import AnySite
from tests.servers.scripted import ScriptedServer, Session

RECORD, LOOK = "smtp_admin.delivery.record", "smtp_admin.delivery.suppressed_claims"
MIA, TOM = "mia@example.org", "tom@example.org"
_REFUSES = {
    "refused, nothing written": Fate("smtp_admin.delivery.lane_database:record"),
    "given up, not committed": Fate(f"{RECORD}:suppress_refused", "after"),
    "committed": Fate("smtp_admin.delivery.lane_database:record", "after"),
}
_KEEPS_BACK = {
    "claimed, not looked at": Fate(f"{LOOK}:Suppressed"),
    "given back, not kept": Fate(f"{LOOK}:suppress_again"),
    "kept back, not committed": Fate(f"{LOOK}:suppress_again", "after"),
}


def _some_long(names: Iterable[str]) -> list[Any]:
    """The second is the hardest; the others are for the long run."""
    first, second, third = names
    long = pytest.mark.long
    return [pytest.param(first, marks=long), second, pytest.param(third, marks=long)]


def _refuse_mia(server: ScriptedServer) -> None:
    def answer(_server: ScriptedServer, _session: Session, line: str) -> bytes:
        return b"550 5.1.1 no such user\r\n" if "mia@" in line else b"250 ok\r\n"

    server.behave("rcpt", answer)


def _killed(site: AnySite, fate: Fate) -> None:
    with Mortal(site.folder, "--burst", fate=fate) as mortal:
        assert mortal.wait() == -SIGKILL, mortal.output


@pytest.mark.parametrize("where", _some_long(_REFUSES))
def test_who_dies_giving_up_an_address(
    site: AnySite, server: ScriptedServer, bench_of: MakeBench, where: str
) -> None:
    with site.opened() as host:
        host.save_sender(port=server.port)
        session = host.db.session()
        session.execute(update(Sender).values(last_accepted_at=now()))
        session.commit()
        _refuse_mia(server)
        queue(host, MIA)
        _killed(site, _REFUSES[where])
        bench = bench_of(host)
        bench.lose_lease()
        for minutes in (0, 30):
            bench.tick(timedelta(minutes=minutes))
        assert [one.state for one in deliveries(host)] == ["dead"]
        assert session.scalar(select(func.count(Suppression.id))) == 1
        assert not server.messages


@pytest.mark.parametrize("where", _some_long(_KEEPS_BACK))
def test_who_dies_keeping_back(
    site: AnySite, server: ScriptedServer, bench_of: MakeBench, where: str
) -> None:
    """Whoever comes after looks once more; nobody sends it."""
    with site.opened() as host:
        host.save_sender(port=server.port)
        queue(host, MIA)
        queue(host, TOM)
        session = host.db.session()
        # As if both had been open at once: what waits was not kept back.
        session.add(Suppression(**row_of("acme", MIA, "bounce")))
        session.commit()
        _killed(site, _KEEPS_BACK[where])
        bench = bench_of(host)
        bench.lose_lease()
        for minutes in (0, 30):
            bench.tick(timedelta(minutes=minutes))
        assert [one.state for one in deliveries(host)] == ["suppressed", "sent"]
        assert [one.recipients for one in server.messages] == [[TOM]]
