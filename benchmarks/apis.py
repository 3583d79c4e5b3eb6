"""Mail by a provider's API that takes its time: Mailgun's and Amazon's, on loopback."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks import tools
from benchmarks.contestants import Task
from benchmarks.contestants.theirs import Peer
from benchmarks.mail import RECIPIENT, SENDER
from benchmarks.report import Section, Table, goal, spread
from benchmarks.rounds import Tell
from benchmarks.site import Site, check_alive, wait_until_idle
from benchmarks.stage import Kind, Stage
from tests.servers import Unavailable
from tests.servers.mailgun import DOMAIN, KEY, MailgunAPI, Posted
from tests.servers.provider_api import Call, Response
from tests.servers.ses import KEY_ID, REGION, SECRET, SESAPI

_ANSWERS_AFTER_SECONDS, _CONNECTIONS, _MAILS = 0.030, 8, 400
#: How much of what the API could take on all connections is to be reached.
_SHARE = 0.8
_PATIENCE_SECONDS = 120.0
_MAILGUN = {"driver": "mailgun", "mailgun_region": "eu", "mailgun_domain": DOMAIN}
_SES = {"driver": "ses", "ses_region": REGION, "ses_key_id": KEY_ID}
_ANYMAIL = Peer(
    "django-anymail",
    "anymail_mailgun",
    tools.python_of_peers,
    lambda python: tools.versions(("django", "django-anymail"), python),
)
API = MailgunAPI | SESAPI


@dataclass
class _Entry:
    """One way of sending, and its mails a second in each round.

    Attributes:
        ready: everything is prepared inside of it; what it gives lets the mail go.
        connections: so many requests at a time.
    """

    name: str
    make: Callable[[], API]
    ready: Callable[[Stage, API], Any]
    connections: int = _CONNECTIONS
    ours: bool = False
    speeds: list[float] = field(default_factory=list)
    missing: str = ""


def run(stage: Stage, rounds: int, tell: Tell) -> Section:
    """Measure and compare."""
    try:
        versions = _ANYMAIL.install()
    except Unavailable as why:
        versions = str(why)
    entries = [
        _Entry("django-anymail, Mailgun, one thread", MailgunAPI, _anymail(1), 1),
        _Entry(f"django-anymail, Mailgun, {_CONNECTIONS} threads", MailgunAPI,
               _anymail(_CONNECTIONS)),
        *(
            _Entry(f"smtp_admin on {kind}, {name}", make, _ours(kind, values, secrets), ours=True)
            for kind in ("SQLite", "PostgreSQL")
            for name, make, values, secrets in (
                ("Mailgun", MailgunAPI, _MAILGUN, {"mailgun_key": KEY}),
                ("Amazon SES", SESAPI, _SES, {"ses_secret": SECRET}),
            )
        ),
    ]  # fmt: skip
    for number in range(1, rounds + 1):
        for entry in entries:
            if entry.missing:
                continue
            try:
                entry.speeds.append(_measure(stage, entry))
            except Unavailable as why:
                entry.missing = str(why)
                continue
            tell(f"round {number}: {entry.name} {entry.speeds[-1]:,.0f} mails/s")
    theirs = statistics.median(entries[0].speeds) if entries[0].speeds else None
    notes = [
        (
            f"{rounds} rounds in turn, {_MAILS} mails of 2 kB, an API on loopback that answers "
            f"after {_ANSWERS_AFTER_SECONDS * 1000:g} ms. Ours: one worker, {_CONNECTIONS} "
            "connections, from the queue to the committed result. django-anymail keeps no queue: "
            "its mails are in memory when the clock starts, and it stops with the last answer."
        ),
        f"Versions: {versions}.",
        "“Possible” is what that many connections could carry if nothing but the API took time.",
    ]
    columns = ["", "mails/s, median", "lowest", "highest", "of what is possible",
               "× one thread", "goal"]  # fmt: skip
    data = {"mails": _MAILS, "mails_per_second": {one.name: one.speeds for one in entries}}
    return Section(notes, [Table(columns, [_row(one, theirs) for one in entries])], data)


def _row(entry: _Entry, theirs: float | None) -> list[str]:
    if not entry.speeds:
        return [f"{entry.name}: not measured: {entry.missing}", *["–"] * 6]
    middle = statistics.median(entry.speeds)
    share = middle * _ANSWERS_AFTER_SECONDS / entry.connections
    return [
        entry.name,
        *spread(entry.speeds),
        f"{share:.0%}",
        f"{middle / theirs:.1f}" if theirs else "–",
        goal(share, _SHARE, most=False) if entry.ours else "–",
    ]


def _measure(stage: Stage, entry: _Entry) -> float:
    stage.redis.flush()
    api = entry.make()

    def slowly(_: object) -> None:
        time.sleep(_ANSWERS_AFTER_SECONDS)

    api.at = slowly
    with api.server, entry.ready(stage, api) as send:
        began = time.perf_counter()
        send()
        seconds = time.perf_counter() - began
        if len(api.posted) != _MAILS:
            raise RuntimeError(f"{entry.name}: {len(api.posted)} of {_MAILS} mails arrived")
    return _MAILS / seconds


def _ours(kind: Kind, values: dict[str, Any], secrets: dict[str, str]) -> Any:
    @contextmanager
    def ready(stage: Stage, api: API) -> Iterator[Callable[[], None]]:
        uri = stage.new_database(kind)
        endpoints = {values["driver"]: api.server.url}
        site = Site(stage.new_folder(), uri, stage.redis.url, API_ENDPOINTS=endpoints)
        with site.opened():
            site.host.save_sender(
                "acme", **values, secrets=secrets, max_connections=_CONNECTIONS, from_email=SENDER
            )
            site.hold()
            site.queue(_MAILS)
            with site.worker(_CONNECTIONS) as worker:
                wait_until_idle(worker)

                def send() -> None:
                    site.release()
                    site.settle()
                    check_alive(worker)

                yield send

    return ready


def _anymail(threads: int) -> Any:
    @contextmanager
    def ready(stage: Stage, api: API) -> Iterator[Callable[[], None]]:
        api.answer = _messages(api)
        task = Task(stage, api.server.port, threads, _MAILS)
        with _ANYMAIL.ready(task) as waiting:

            def send() -> None:
                waiting.go()
                ends = time.monotonic() + _PATIENCE_SECONDS
                while len(api.posted) < _MAILS and time.monotonic() < ends:
                    waiting.check()
                    time.sleep(0.002)

            yield send

    return ready


def _messages(api: API) -> Callable[[Call], Response]:
    """What takes mail by its parts, as Mailgun does too: ours posts each as it was composed."""

    def answer(call: Call) -> Response:
        time.sleep(_ANSWERS_AFTER_SECONDS)
        api.posted.append(Posted(RECIPIENT, call.body))  # type: ignore[arg-type]  # only Mailgun
        return Response.of({"id": f"<{len(api.posted)}@{DOMAIN}>", "message": "Queued."})

    return answer
