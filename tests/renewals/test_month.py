"""Thirty days on a real database: two schedulers, killed at random, while everything fails.

Whatever happens, no customer has two mails within the minimum, and nothing expires unannounced.
"""

import itertools
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin import Actor
from smtp_admin.clock import now
from smtp_admin.delivery.models import Message
from smtp_admin.renewals.models import RenewalNotice
from smtp_admin.renewals.report import Report
from tests.app import ADMIN, HostApp, make_app
from tests.delivery.workbench import Workbench, deliveries
from tests.renewals.lives import Scheduler, write_services
from tests.renewals.office import DAY, HOUR, Office
from tests.servers.databases import MariaDB, PostgreSQL, sqlite_url
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import Close, Reply, ScriptedServer

WINDOW, AUTOMATIC, ON_DEMAND = 7 * DAY, 48 * HOUR, 24 * HOUR
#: Between a mail's acceptance and our noticing it the clock goes on, on a slow machine for long.
SLACK = timedelta(minutes=5)
URL = "/smtp-admin/renewals/remind-me"


@dataclass
class Arrival:
    """A mail that a customer may have got."""

    message_id: str
    text: str
    at: datetime


@dataclass
class World:
    """Customers, what happens to them, and what they got."""

    office: Office
    folder: Path
    config: dict[str, Any]
    luck: random.Random
    restart_database: Callable[[], None] | None
    arrivals: dict[str, dict[str, Arrival]] = field(default_factory=lambda: defaultdict(dict))
    #: What expired, and when.
    ended: list[tuple[str, str, datetime]] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    #: How long a scheduler that nobody kills lived last, in seconds.
    lifetime: float = 0.3
    _seen: int = 0

    @property
    def clock(self) -> datetime:
        """The present time of this world."""
        return now() + self.office.later

    def populate(self, count: int) -> None:
        """Mostly customers with one service, some with five, some that cannot be mailed."""
        for number in range(count):
            kind = "mute" if number % 8 == 7 else "c"
            values = {"customer_email": "nobody"} if kind == "mute" else {}
            services = 5 if number % 6 == 5 else 1
            self.office.have(
                *(self.luck.uniform(0.5, 20) for _ in range(services)),
                customer_id=f"{kind}{number:02}",
                **values,
            )

    def step(self, redis: RedisServer) -> None:
        """Some hours: services come and go, schedulers run, mail is sent, customers ask."""
        self._live()
        write_services(self.folder, self.office.host.host.services)
        with self._outages(redis):
            self._schedule()
            if self.luck.random() < 0.3:
                self._ask()
            self.office.bench.tick(self.office.later)
        self._collect()

    def _live(self) -> None:
        services = self.office.host.host.services
        for position, one in enumerate(services):
            told = any(
                one.service_id in arrival.text and arrival.at > one.expires_at - WINDOW
                for arrival in self.arrivals[one.customer_id].values()
            )
            if one.expires_at <= self.clock:
                self.ended.append((one.customer_id, one.service_id, one.expires_at))
                later = one.expires_at + self.luck.choice((8, 30)) * DAY
                services[position] = replace(one, expires_at=later)
            elif told and self.luck.random() < 0.05:
                services[position] = replace(one, expires_at=one.expires_at + 30 * DAY)
                self.tally["renewed"] += 1

    @contextmanager
    def _outages(self, redis: RedisServer) -> Iterator[None]:
        redis_away = self.luck.random() < 0.1
        trouble = self.luck.choice((None, None, None, "greeting", "dot", "rcpt"))
        behaviours: dict[str, Any] = {"greeting": Reply("421 4.3.2 down"), "dot": Close(),
                                      "rcpt": Reply("451 4.3.0 later")}  # fmt: skip
        if redis_away:
            redis.stop()
            self.tally["Redis away"] += 1
        if trouble is not None:
            self.office.server.behave(trouble, behaviours[trouble])  # type: ignore[arg-type]  # stages
            self.tally[trouble] += 1
        yield
        if trouble is not None:
            self.office.server.behave(trouble, None)  # type: ignore[arg-type]  # the same
        if redis_away:
            redis.start()

    def _schedule(self) -> None:
        both = [Scheduler(self.folder, self.config, self.office.later) for _ in range(2)]
        restart = None
        if self.restart_database is not None and self.luck.random() < 0.1:
            restart = threading.Timer(self.luck.uniform(0.1, 0.6), self.restart_database)
            restart.start()
            self.tally["database restarted"] += 1
        for one in both:
            # On its way, however fast the machine is just now.
            doomed = self.luck.random() < 0.4
            lived = one.end(self.luck.uniform(0.2, 0.9) * self.lifetime if doomed else None)
            if lived is None:
                self.tally["killed"] += 1
            else:
                self.lifetime = min(self.lifetime, lived) if doomed else lived
        if restart is not None:
            restart.join()
            self.office.bench.engine.dispose()
            self.office.host.db.session.remove()
            self.office.host.db.engine.dispose()

    def _ask(self) -> None:
        near = [one for one in self.office.host.host.services
                if one.expires_at - WINDOW < self.clock < one.expires_at]  # fmt: skip
        one = self.luck.choice(near or self.office.host.host.services)
        self.office.host.actor = Actor("9", "x@x.example", customer_id=one.customer_id)
        with self.office.in_time():
            answer = self.office.host.client.post(URL, headers={"Accept": "application/json"})
        assert answer.status_code in {202, 409, 429, 503}, answer.text
        self.tally[f"asked: {answer.status_code}"] += 1
        self.office.host.actor = ADMIN

    def _collect(self) -> None:
        # Also what was taken without an answer: it may have arrived.
        bodies = [body for session in self.office.server.sessions for body in session.bodies]
        for body in bodies[self._seen :]:
            mail = message_from_bytes(body.data, policy=default)
            part = mail.get_body(("plain",))
            assert part is not None
            arrival = Arrival(mail["Message-ID"], part.get_content(), self.clock)
            customer_id = body.recipients[0].partition("@")[0]
            self.arrivals[customer_id].setdefault(arrival.message_id, arrival)
        self._seen = len(bodies)


def check_distances(world: World) -> None:
    """No two notices to one customer within the minimum; a repetition is the same notice."""
    rows = world.office.host.db.session.execute(
        select(Message.message_id, RenewalNotice.on_demand).join(
            RenewalNotice, RenewalNotice.mail_id == Message.public_id
        )
    )
    on_demand = {row.message_id: row.on_demand for row in rows}
    for customer_id, mails in world.arrivals.items():
        order = sorted(mails.values(), key=lambda one: one.at)
        for before, after in itertools.pairwise(order):
            least = ON_DEMAND if on_demand[after.message_id] else AUTOMATIC
            assert after.at - before.at >= least - SLACK, (customer_id, before, after)


def check_announced(world: World) -> None:
    """Whatever expired was announced in its window; who cannot be mailed has a reason."""
    for customer_id, service_id, end in world.ended:
        told = [one for one in world.arrivals[customer_id].values()
                if service_id in one.text and end - WINDOW - SLACK <= one.at < end]  # fmt: skip
        if customer_id.startswith("mute"):
            assert not told
        else:
            assert told, (customer_id, service_id, end)


def check_explained(world: World) -> None:
    """Every report accounts for every customer, and names the reasons."""
    reports = [Report.from_json(run.report) for run in world.office.runs() if run.finished_at]
    assert reports
    for one in reports:
        assert one.customers == one.due + one.failed + one.skipped.total()
    assert any("no_address" in one.skipped for one in reports)
    states = {one.state for one in world.office.notices()}
    assert states <= {"accepted", "waiting", "refused", "dropped"}
    notices = {one.mail_id for one in world.office.notices()}
    assert len(notices) == len(deliveries(world.office.host))


def play(
    folder: Path,
    uri: str,
    redis: RedisServer,
    server: ScriptedServer,
    *,
    customers: int,
    days: int,
    hours: float,
    seed: int,
    restart: Callable[[], None] | None = None,
) -> World:
    """The whole story."""
    host: HostApp = make_app(uri, {"REDIS_URL": redis.url, "RETRY_DELAY": 30})
    host.actor = ADMIN
    names = ("SECRET_KEY", "SQLALCHEMY_DATABASE_URI", "TESTING")
    config = {name: value for name, value in host.app.config.items()
              if name.startswith("SMTP_ADMIN_") or name in names}  # fmt: skip
    config["SMTP_ADMIN_ALLOWED_PORTS"] = "25"  # schedulers dial nobody
    luck = random.Random(seed)  # noqa: S311 - a story that can be told again
    with host.app.app_context():
        bench = Workbench(host)
        try:
            office = Office(host, bench, server)
            world = World(office, folder, config, luck, restart)
            world.populate(customers)
            for number in range(int(days * 24 / hours)):
                office.later = number * hours * HOUR
                world.step(redis)
            office.send()
            check_distances(world)
            check_announced(world)
            check_explained(world)
        finally:
            bench.close()
            host.db.session.remove()
            host.db.engine.dispose()
    return world


@pytest.mark.timeout(300)
@pytest.mark.long
def test_ten_days(tmp_path: Path, redis: RedisServer, server: ScriptedServer) -> None:
    world = play(tmp_path, sqlite_url(tmp_path), redis, server,
                 customers=16, days=10, hours=12, seed=4)  # fmt: skip
    assert world.tally["killed"] >= 3, world.tally
    assert len(world.ended) > 5
    assert sum(len(mails) for mails in world.arrivals.values()) > 20


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_thirty_days(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    redis: RedisServer,
    server: ScriptedServer,
    kind: str,
) -> None:
    uri, restart = sqlite_url(tmp_path), None
    if kind != "sqlite":
        database: PostgreSQL | MariaDB = request.getfixturevalue(kind)
        uri, restart = database.create_database(), database.restart_immediately
    world = play(tmp_path, uri, redis, server, customers=60, days=30, hours=3, seed=30,
                 restart=restart)  # fmt: skip
    print(world.tally)  # noqa: T201 - what was seen, with -s
    assert world.tally["killed"] >= 40, world.tally
    assert world.tally["asked: 202"] > 5
    assert len(world.ended) > 30
