"""Erasing goes in rounds: whoever is killed between two of them leaves nothing half done."""

import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, select, update
from sqlalchemy.exc import OperationalError

from smtp_admin.audit.models import Audit
from smtp_admin.clock import now, shifted
from smtp_admin.database import beside_workers
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.suppressions import suppress
from smtp_admin.erasure import erasing, finding
from smtp_admin.erasure.finding import Search
from smtp_admin.erasure.models import Erasure
from smtp_admin.erasure.working import erase_rest, open_erasures
from smtp_admin.suppression.reading import address_hash
from smtp_admin.suppression.writing import keep_language
from tests.app import HostApp
from tests.delivery.conftest import NewHost
from tests.delivery.workbench import deliveries, erase_now, queue
from tests.endurance.mortal import Fate, Mortal
from tests.erasure.test_erasing import MIA, named
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import PROMPTLY, Site, Worker, until

TOM = "tom@example.org"
#: Longer than the lease of whoever was killed.
LATER = timedelta(minutes=3)


class Killed(BaseException):
    """Nothing that is committed is lost, and nothing else is kept, as with ``kill -9``."""


def fill(host: HostApp) -> None:
    """Mail to her in some states, mail to another, and what else names her."""
    for number in range(3):
        queue(host, MIA, idempotency_key=f"{MIA}-{number}")
        queue(host, TOM)
    session = host.db.session()
    ids = [one.id for one in deliveries(host) if one.recipient == MIA]
    for one, state in zip(ids, ("sent", "dead", "queued"), strict=True):
        session.execute(update(Delivery).where(Delivery.id == one).values(state=state))
    suppress(session, "acme", MIA, "complaint", detail=f"{MIA} asked")
    keep_language(session, "acme", MIA, "de")
    for number in range(3):
        session.add(Audit(actor_id="1", actor_email="a@example.org", partner_id="acme",
                          action="settings.saved", detail=f"sent to {MIA}, {number}"))  # fmt: skip
    session.commit()


def rest(host: HostApp, later: timedelta = LATER) -> int:
    """What a worker does about it, *later*; how many erasures are over."""
    host.db.session.commit()
    with beside_workers() as engine, shifted(later):
        return erase_rest(engine)


def details(host: HostApp) -> list[str]:
    """What the audit log says about erasing."""
    session = host.db.session()
    session.rollback()
    mine = select(Audit.detail).where(Audit.action == "address.erased").order_by(Audit.id)
    return [*session.scalars(mine)]


@contextmanager
def killed_at(number: int) -> Iterator[list[int]]:
    """The process ends just before its commit of this number, the first is 1; those that it did."""
    done: list[int] = []

    def before_commit(connection: Connection) -> None:
        # Of those that write: a look at the database changes nothing.
        if connection.info.get("smtp_admin_reads"):
            return
        if len(done) + 1 == number:
            raise Killed
        done.append(number)

    event.listen(Engine, "commit", before_commit)
    try:
        yield done
    finally:
        event.remove(Engine, "commit", before_commit)


def test_killed_at_each_point(opened: NewHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker ends it, nothing is counted twice, and the audit log says it once."""
    monkeypatch.setattr(finding, "_STEP", 2)
    monkeypatch.setattr(erasing, "_STEP", 1)
    host = opened()
    host.save_sender()
    said = f"11 records of {address_hash(MIA)}"
    for number in range(1, 100):
        fill(host)
        before = len(details(host))
        host.db.session.rollback()  # or the end of our own look would be the first commit
        with killed_at(number):
            try:
                whole = erase_now(host, Search(MIA)).complete
            except Killed:
                whole = False
        if number == 1:  # before anything was written down: nobody asked for it
            assert len(details(host)) == before
            assert named(host)
            whole = erase_now(host, Search(MIA)).complete
        elif not whole:
            assert rest(host, timedelta()) == 0, "whoever began may be alive"
            assert rest(host) == 1
        assert named(host) == []
        assert [one.state for one in deliveries(host)][-6::2] == ["sent", "cancelled", "cancelled"]
        assert details(host)[before:] == [said]
        assert open_erasures(host.db.session(), None) == []
        if whole and number > 1:
            break
    assert number > 10, "it goes in rounds"


def test_each_database_goes_on_where_it_was(each: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "_STEP", 2)
    each.save_sender()
    fill(each)
    with killed_at(6), pytest.raises(Killed):
        erase_now(each, Search(MIA))
    assert len(open_erasures(each.db.session(), None)) == 1
    assert named(each)
    # Whoever asks again goes on at once, and says so in a line of their own.
    assert erase_now(each, Search(MIA)).complete
    assert named(each) == []
    assert len(details(each)) == 2
    assert rest(each) == 0


def test_a_round_that_others_get_in_the_way_of(
    opened: NewHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins again from its own beginning, and nothing is counted twice."""
    monkeypatch.setattr(finding, "_STEP", 2)
    monkeypatch.setattr(erasing, "_STEP", 1)
    host = opened()
    host.save_sender()
    fill(host)
    host.db.session.rollback()
    quarrels: list[bool] = []

    def before_commit(connection: Connection) -> None:
        # What is asked for is written down, and closed, in a transaction that nobody shares.
        rounds = any(one.function == "in_step" for one in inspect.stack(0))
        if rounds and not connection.info.get("smtp_admin_reads"):
            quarrels.append(not quarrels or not quarrels[-1])
            if quarrels[-1]:
                raise OperationalError("UPDATE", {}, Exception(1213, "Deadlock found"))

    event.listen(Engine, "commit", before_commit)
    try:
        assert erase_now(host, Search(MIA)).complete
    finally:
        event.remove(Engine, "commit", before_commit)
    assert quarrels.count(True) == quarrels.count(False) > 9
    assert details(host) == [f"11 records of {address_hash(MIA)}"]
    assert named(host) == []


def test_a_worker_does_what_takes_too_long(each: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "_STEP", 2)
    each.save_sender()
    fill(each)
    told: list[int] = []
    done = erase_now(each, Search(MIA), seconds=0, tell=lambda one: told.append(one.count))
    assert (done.over, done.complete, len(told)) == (False, False, 1)
    assert rest(each, timedelta()) == 1, "it need not wait for anybody"
    assert named(each) == []
    assert len(details(each)) == 1


def test_mail_that_comes_meanwhile_goes_out(each: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asked for that: perhaps it says that everything was erased."""
    monkeypatch.setattr(finding, "_STEP", 2)
    each.save_sender()
    fill(each)
    erase_now(each, Search(MIA), seconds=0)
    queue(each, MIA)
    assert rest(each, timedelta()) == 1
    new = deliveries(each)[-1]
    assert (new.recipient, new.state) == (MIA, "queued")
    assert each.db.session.get_one(Message, new.message_pk).content
    assert [one.recipient for one in deliveries(each)].count(MIA) == 1
    # Asked for again, it is erased as well.
    assert erase_now(each, Search(MIA)).complete
    assert named(each) == []


def test_what_is_under_way_is_erased_when_that_is_over(each: HostApp) -> None:
    each.save_sender()
    queue(each, MIA)
    queue(each, MIA, TOM)
    session = each.db.session()
    first = deliveries(each)[0].id
    session.execute(update(Delivery).where(Delivery.id == first).values(state="sending"))
    done = erase_now(each, Search(MIA))
    assert (done.over, done.under_way, done.needed) == (True, 1, 1)
    assert rest(each) == 0
    assert [one.address for one in open_erasures(session, ["acme"])] == []
    assert [one.address for one in open_erasures(session, None)] == [MIA]
    session.execute(update(Delivery).where(Delivery.state != "cancelled").values(state="sent"))
    assert rest(each, timedelta(hours=1)) == 1
    assert named(each) == []
    assert len(details(each)) == 1


def test_whoever_was_slow_stops_when_another_took_over(opened: NewHost) -> None:
    host = opened()
    host.save_sender()
    fill(host)
    begun: list[Any] = []

    def take_over(_done: Any) -> None:
        if not begun:
            begun.append(1)
            begun.append(erase_now(host, Search(MIA)))

    slow = erase_now(host, Search(MIA), tell=take_over)
    assert not slow.over
    assert begun[1].complete
    assert named(host) == []


def test_people_see_their_own_that_are_not_over(opened: NewHost) -> None:
    host = opened()
    host.save_sender()
    fill(host)
    erase_now(host, Search(MIA, ["acme"]), seconds=0)
    session = host.db.session()
    for scope, found in ((None, 1), (["acme"], 1), (["acme", "globex"], 1), (["globex"], 0)):
        assert len(open_erasures(session, scope)) == found
    page = host.client.get("/smtp-admin/erase").text
    assert "Not finished yet" in page
    assert MIA in page


def test_a_worker_dies_at_it_and_another_goes_on(
    tmp_path: Path, redis: RedisServer, server: ScriptedServer, database: str
) -> None:
    site = Site(tmp_path / "site", redis.url, uri=database)
    with site.opened() as host:
        host.save_sender(port=server.port)
        fill(host)
        erase_now(host, Search(MIA), seconds=0)
        # A round is done, and not committed.
        fate = Fate("smtp_admin.erasure.working:_note", "after", call=4)
        steps = {"smtp_admin.erasure.finding:_STEP": 2}
        with Mortal(site.folder, fate=fate, constants=steps) as mortal:
            assert mortal.wait() == -SIGKILL, mortal.output
        assert named(host)
        session = host.db.session()
        session.execute(update(Erasure).values(next_at=now()))
        session.commit()
        with Worker(site.folder) as worker:
            worker.ready()
            assert until(lambda: not _open(host)), worker.output
            assert worker.stop() < PROMPTLY
        assert named(host) == []
        assert details(host) == [f"11 records of {address_hash(MIA)}"]


def _open(host: HostApp) -> bool:
    host.db.session.rollback()
    return bool(open_erasures(host.db.session(), None))


@pytest.mark.parametrize("seen", [True, False], ids=["terminal", "script"])
def test_the_command(opened: NewHost, monkeypatch: pytest.MonkeyPatch, seen: bool) -> None:
    """To the end, with a bar for whoever looks at it."""
    host = opened()
    host.save_sender()
    fill(host)
    host.db.session.commit()
    looked_at = "click.testing._NamedTextIOWrapper.isatty"
    monkeypatch.setattr(looked_at, lambda _stream: seen, raising=False)
    done = host.app.test_cli_runner().invoke(args=["smtp-admin", "erase", MIA, "--yes", "--json"])
    assert done.exit_code == 0, done.output
    assert ("Records" in done.stderr) is seen
    answer = json.loads(done.stdout)
    assert (sum(answer["erased"].values()), answer["complete"]) == (11, True)
    assert named(host) == []
