"""Pages beside a million mails and a thousand partners: time at the server, and queries.

To measure another page, add a line to :data:`PAGES`.
"""

import re
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Engine, String, cast, event, func, insert, select, text, update

from benchmarks.bulk import RARE_TYPE, add_senders, count_up, fill, partner_ids
from benchmarks.report import Section, Table, goal
from benchmarks.rounds import Tell
from benchmarks.site import Site
from benchmarks.stage import Stage
from smtp_admin import Actor, Partner
from smtp_admin.clock import now
from smtp_admin.delivery.models import Attempt, Delivery, Message
from smtp_admin.events.models import MailEvent
from smtp_admin.monitor.kept_order import keep_order
from smtp_admin.senders.models import Sender
from tests.app import ADMIN
from tests.sender_state.scenes import a_worker
from tests.servers import Unavailable
from tests.servers.databases import MariaDB


@dataclass(frozen=True)
class Page:
    """An address to ask for, and by whom.

    Attributes:
        has_goal: whether a person waits for it.
    """

    name: str
    path: str
    actor: Actor = ADMIN
    has_goal: bool = True


_OF_PARTNER = Actor(id="2", email="mia@p7.example", name="Mia", partner_ids=frozenset({"p7"}))
PAGES = (
    Page("overview", "/smtp-admin/"),
    Page("overview, last page", "/smtp-admin/?page=1000"),
    Page("overview, search", "/smtp-admin/?q=partner+99"),
    Page("overview, one state", "/smtp-admin/?state=limit"),
    Page("overview by queue", "/smtp-admin/?sort=queued"),
    Page("overview by dead letters", "/smtp-admin/?sort=dead"),
    Page("overview by limit", "/smtp-admin/?sort=limit"),
    Page("overview by sent, 24 h", "/smtp-admin/?sort=sent"),
    Page("overview of one partner's admin", "/smtp-admin/", _OF_PARTNER),
    Page("mail log", "/smtp-admin/mail"),
    Page("mail log, its oldest", "/smtp-admin/mail?oldest=1"),
    Page("mail log, dead letters", "/smtp-admin/mail?state=failed"),
    Page("mail log, sent", "/smtp-admin/mail?state=sent"),
    Page("mail log, the oldest that waits", "/smtp-admin/mail?state=waiting&oldest=1"),
    Page("mail log, last hour", "/smtp-admin/mail?period=1h"),
    Page("mail log, last hour, its oldest", "/smtp-admin/mail?period=1h&oldest=1"),
    Page("mail log, last 7 days", "/smtp-admin/mail?period=7d"),
    Page("mail log, a frequent type", "/smtp-admin/mail?type=renewal"),
    Page("mail log, a rare type", f"/smtp-admin/mail?type={RARE_TYPE}"),
    Page("mail log, an error code", "/smtp-admin/mail?code=recipient_refused"),
    Page("mail log, an address", "/smtp-admin/mail?q=P1001%40D1.example"),
    Page("mail log, a large domain", "/smtp-admin/mail?q=%40dbig.example"),
    Page("mail log, a small domain", "/smtp-admin/mail?q=%40d17.example"),
    Page("mail log, a Message-ID", "/smtp-admin/mail?q=%3C4711%40bench.example%3E"),
    Page("mail log, words", "/smtp-admin/mail?q=nothing+like+it"),
    Page("mail log, accepted in 24 h", "/smtp-admin/mail?accepted=24h"),
    Page("mail log, accepted in 24 h, its oldest", "/smtp-admin/mail?accepted=24h&oldest=1"),
    Page("mail log, failed in 24 h", "/smtp-admin/mail?failed=24h"),
    Page("mail log, bounced in 24 h", "/smtp-admin/mail?bounced=24h"),
    Page("mail log, marked as spam in 24 h", "/smtp-admin/mail?complained=24h"),
    Page("mail log of one partner", "/smtp-admin/partners/p7/mail"),
    Page("mail log of one partner, accepted in 24 h", "/smtp-admin/partners/p7/mail?accepted=24h"),
    Page("mail log of one partner, failed in 24 h", "/smtp-admin/partners/p7/mail?failed=24h"),
    Page("mail log of one partner, bounced in 24 h", "/smtp-admin/partners/p7/mail?bounced=24h"),
    Page("mail log of one partner, oldest", "/smtp-admin/partners/p7/mail?oldest=1"),
    Page("mail log of one partner, words", "/smtp-admin/partners/p7/mail?q=7+x"),
    Page("mail log of its admin", "/smtp-admin/mail?state=failed", _OF_PARTNER),
    Page("audit", "/smtp-admin/audit"),
    Page("batches", "/smtp-admin/batches"),
    Page("templates", "/smtp-admin/templates/"),
    Page("renewals", "/smtp-admin/renewals/"),
    Page("troubleshooting", "/smtp-admin/symptoms"),
    Page("status of the system", "/api/email/status?partner_id="),
    Page("status of a partner", "/api/email/status?partner_id=p7"),
    Page("metrics, for Prometheus", "/smtp-admin/metrics", has_goal=False),
)
_NO_GOAL = frozenset(page.name for page in PAGES if not page.has_goal)
Kind = Literal["SQLite", "PostgreSQL", "MariaDB"]
_KINDS: tuple[Kind, ...] = ("SQLite", "PostgreSQL", "MariaDB")
_PARTNERS, _WAITING = 1000, 10_000
#: What each partner sends in an hour, each in a minute of its own, and for how long it has.
_AN_HOUR, _HOURS = 8, 48
#: Counters stand for a minute at first, and for an hour when they are older than this.
_MINUTES_KEPT_HOURS = 3
_WARM, _ROUNDS, _FEWER_ROUNDS = 3, 20, 10
#: All pages are measured so often, one pass after the other: a busy minute is in one pass.
_PASSES = 3
_GOAL_MS = 100.0
_ONE_MAIL = "smtp_admin.one_mail"
_WRITE_BACK_SECONDS, _DIRTY_PAGES = 60.0, 100
#: Much as a small server has it; what the tests give theirs holds no million rows.
_MARIADB = (
    "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin",
    "--character-set-server=utf8mb4", "--innodb-buffer-pool-size=512M",
    "--innodb-flush-log-at-trx-commit=2", "--max-recursive-iterations=100000",
)  # fmt: skip


def run(stage: Stage, rows: int, tell: Tell) -> Section:
    """Measure every page on every database."""
    found: dict[str, dict[str, dict[str, float]] | str] = {}
    for kind in _KINDS:
        try:
            with ExitStack() as stack:
                site = Site(stage.new_folder(), _database(stack, stage, kind), stage.redis.url)
                with site.opened():
                    began = time.monotonic()
                    build(site, rows)
                    tell(f"{kind}: {rows:,} rows written in {time.monotonic() - began:.0f} s")
                found[kind] = measure(site)
        except Unavailable as why:
            found[kind] = f"not measured: {why}"
    return report(found, rows)


def report(found: dict[str, dict[str, dict[str, float]] | str], rows: int) -> Section:
    """What was measured on each database, or why nothing was."""
    table: list[list[str]] = []
    for kind, measured in found.items():
        if isinstance(measured, str):
            table.append([f"{kind}: {measured}", *["–"] * 6])
            continue
        for name, page in measured.items():
            times = ("lowest_ms", "p50_ms", "p95_ms", "slowest_pass_ms")
            cells = [f"{page[each]:.0f}" for each in times]
            met = "–" if name in _NO_GOAL else goal(page["p95_ms"], _GOAL_MS, most=True, unit=" ms")
            table.append([f"{kind}: {name}", *cells, met, f"{page['queries']:.0f}"])
    notes = [
        (
            f"{_PARTNERS:,} partners with a sender and a password each, one in ten with a second "
            f"one, beside {rows:,} finished mails of five days (one in a hundred dead), "
            f"{_WAITING:,} that wait, and counters of two days with {_AN_HOUR} mails an hour. "
            "Every sender has an hourly limit, one in ten a daily one too; some are paused, some "
            "failing. A worker is there, and leaves the order of senders as it does each minute."
        ),
        (
            "Milliseconds from request to answer in Flask's test client, one at a time, and the "
            f"statements of one request. {_PASSES} passes over all pages, {_ROUNDS} times each and "
            f"{_WARM} times before, not counted; other pages {_FEWER_ROUNDS} times. p50 and p95 "
            "are the median of the passes; beside them stands the p95 of the slowest pass."
        ),
    ]
    columns = ["", "lowest, ms", "p50, ms", "p95, ms", "slowest pass", "goal", "queries"]
    data = {"rows": rows, "partners": _PARTNERS, **found}
    return Section(notes, [Table(columns, table)], data)


def _database(stack: ExitStack, stage: Stage, kind: Kind) -> str:
    if kind != "MariaDB":
        return stage.new_database(kind)
    return stack.enter_context(MariaDB(stage.new_folder(), *_MARIADB)).create_database()


def crowd(site: Site) -> list[Partner]:
    """Let the host of *site* have a thousand partners."""
    found = [Partner(one, f"Partner {one[1:]}") for one in partner_ids(_PARTNERS)]
    vars(site.host.host)["partners"] = lambda: found
    return found


def build(site: Site, rows: int) -> None:
    """A platform in the middle of a working day; needs the app's context."""
    crowd(site)
    host, engine = site.host, site.host.db.engine
    ids = partner_ids(_PARTNERS)
    usual: dict[str, Any] = {"username": "login", "password": "a password", "max_per_hour": 500}
    add_senders(host, ["", *ids[_PARTNERS // 10 :]], 2525, **usual)
    add_senders(host, ids[: _PARTNERS // 10], 2525, **usual, max_per_day=5000)
    add_senders(host, ids[::10], 2525, **usual, key="news")
    fill(engine, rows, _PARTNERS, finished=True, content=b"Subject: x\r\n\r\nx\r\n")
    fill(engine, _WAITING, _PARTNERS, finished=False, content=b"Subject: x\r\n\r\nx\r\n")
    moment = now()
    hour = moment.replace(minute=0, second=0, microsecond=0)
    minutes = timedelta(hours=1) / _AN_HOUR
    recent = [
        (moment - minutes * n).replace(second=0, microsecond=0)
        for n in range(_AN_HOUR * _MINUTES_KEPT_HOURS)
    ]
    older = [hour - timedelta(hours=n) for n in range(_MINUTES_KEPT_HOURS + 1, _HOURS)]
    count_up(engine, recent)
    count_up(engine, older, span=60, sent=_AN_HOUR)
    with engine.begin() as connection:
        connection.execute(
            update(Sender)
            .where(Sender.id % 5 > 0)
            .values(last_accepted_at=moment - timedelta(minutes=3))
        )
        connection.execute(
            update(Sender)
            .where(Sender.id % 50 == 1)
            .values(
                paused_until=moment + timedelta(hours=1),
                pause_code="unreachable",
                pause_reason="The server does not answer.",
            )
        )
        values: dict[str, Any] = {
            "delivery_id": Delivery.id, "sender_id": Delivery.sender_id, "at": Delivery.created_at,
            "verdict": text("'permanent'"), "code": text("'recipient_refused'"),
            "error": text("'The server refused the recipient.'"),
            "reply": text("'550 5.1.1 No such user'"), "revision": text("1"),
            "worker": text("'bench'"),
        }  # fmt: skip
        dead = select(*values.values()).where(Delivery.state == "dead")
        connection.execute(insert(Attempt).from_select(list(values), dead))
        _bring_back(connection)
    _analyse(site)


def _bring_back(connection: Connection) -> None:
    """Of every hundred mails one bounced, and of every thousand one was marked as spam."""
    sent = (Delivery.state == "sent",)
    for kind, one_of in (("complained", 1000), ("bounced", 100)):
        mine = (*sent, Delivery.id % one_of == 3)  # noqa: PLR2004 - any will do
        values: dict[str, Any] = {
            "origin": text("'sender 1'"), "identity": cast(Delivery.id, String(64)),
            "partner_id": Delivery.partner_id, "sender_id": Delivery.sender_id,
            "kind": text(f"'{kind}'"), "bounce": text("'hard'"), "recipient": Delivery.recipient,
            "message_id": text("''"), "provider_id": text("''"), "code": text("'5.1.1'"),
            "words": text("'no such user'"), "at": Delivery.finished_at,
            "received_at": Delivery.finished_at, "state": text("'applied'"), "tries": text("1"),
            "next_try_at": Delivery.finished_at, "applied_at": Delivery.finished_at,
            "delivery_id": Delivery.id,
        }  # fmt: skip
        told = select(*values.values()).where(*mine)
        connection.execute(insert(MailEvent).from_select(list(values), told))
        connection.execute(update(Delivery).where(*mine).values(state=kind))


def _analyse(site: Site) -> None:
    """What a database in use has done by itself long ago."""
    engine = site.host.db.engine
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("VACUUM ANALYZE")
        elif engine.dialect.name == "mysql":
            for name in ("sender", "delivery", "message", "attempt", "counter", "event"):
                connection.exec_driver_sql(f"ANALYZE TABLE smtp_admin_{name}").all()
            _write_back(connection)


def _write_back(connection: Connection) -> None:
    """Let MariaDB write a million rows to the disk before anything is measured."""
    connection.exec_driver_sql("SET GLOBAL innodb_max_dirty_pages_pct = 0")
    ends = time.monotonic() + _WRITE_BACK_SECONDS
    while time.monotonic() < ends:
        dirty = connection.exec_driver_sql(
            "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'"
        ).one()
        if int(dirty[1]) < _DIRTY_PAGES:
            break
        time.sleep(0.5)
    connection.exec_driver_sql("SET GLOBAL innodb_max_dirty_pages_pct = DEFAULT")


def measure(site: Site) -> dict[str, dict[str, float]]:
    """Each page's times in milliseconds, and its number of queries."""
    with site.host.app.app_context():
        engine = site.host.db.engine
    others = [*_others(site)]
    passes: dict[str, list[dict[str, float]]] = {page.name: [] for page in (*PAGES, *others)}
    with a_worker(site.host.app):
        for _ in range(_PASSES):
            for page in PAGES:
                passes[page.name].append(_measure(site, engine, page))
            for page in others:
                passes[page.name].append(_measure(site, engine, page, _FEWER_ROUNDS))
    engine.dispose()
    found = {name: _together(each) for name, each in passes.items()}
    slowest = max((one.name for one in others), key=lambda name: found[name]["p95_ms"])
    return {page.name: found[page.name] for page in PAGES} | {
        f"{len(others)} other pages, the slowest: {slowest}": found[slowest]
    }


def _others(site: Site) -> Iterator[Page]:
    """Every other page that an address without a form leads to, one mail among them."""
    with site.host.app.app_context():
        mail = site.host.db.session.scalar(select(func.max(Message.public_id)))
    known = {page.path for page in PAGES}
    values = {"partner_id": "p7", "public_id": str(mail)}
    for rule in site.host.app.url_map.iter_rules():
        ours = rule.endpoint.startswith("smtp_admin.") and "GET" in (rule.methods or ())
        named = rule.arguments - ({"public_id"} if rule.endpoint == _ONE_MAIL else set())
        if not ours or not named <= {"partner_id"}:
            continue
        path = re.sub(r"<(\w+)>", lambda name: values[name[1]], rule.rule)
        site.host.actor = ADMIN
        answer = site.host.client.get(path, headers={"Accept": "text/html"})
        if path not in known and answer.status_code == 200:  # noqa: PLR2004
            yield Page(rule.rule, path)


def _together(passes: list[dict[str, float]]) -> dict[str, float]:
    """What all passes say of one page."""
    return {
        "first_ms": passes[0]["first_ms"],
        "lowest_ms": min(one["lowest_ms"] for one in passes),
        "p50_ms": statistics.median(one["p50_ms"] for one in passes),
        "p95_ms": statistics.median(one["p95_ms"] for one in passes),
        "slowest_pass_ms": max(one["p95_ms"] for one in passes),
        "queries": passes[-1]["queries"],
    }


def _measure(site: Site, engine: Engine, page: Page, rounds: int = _ROUNDS) -> dict[str, float]:
    """One page in one pass."""
    with site.host.app.app_context():
        keep_order(engine)  # as a worker does once a minute
    site.host.actor = page.actor
    times = []
    for _ in range(_WARM + rounds):
        with _counted(engine) as statements:
            began = time.perf_counter()
            answer = site.host.client.get(page.path, headers={"Accept": "text/html"})
            times.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:  # noqa: PLR2004
            raise RuntimeError(f"{page.path}: {answer.status}")
    cuts = statistics.quantiles(times[_WARM:], n=20, method="inclusive")
    return {
        "first_ms": times[0],
        "lowest_ms": min(times[_WARM:]),
        "p50_ms": cuts[9],
        "p95_ms": cuts[18],
        "queries": len(statements),
    }


@contextmanager
def _counted(engine: Engine) -> Iterator[list[str]]:
    found: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)
