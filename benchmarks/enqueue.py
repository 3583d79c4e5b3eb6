"""How fast a host puts mail into the outbox."""

import time
from collections.abc import Callable
from typing import Any

from benchmarks.mail import BODY, RECIPIENT
from benchmarks.report import Section, Table, spread
from benchmarks.rounds import Tell
from benchmarks.site import Site
from benchmarks.stage import KINDS, Kind, Stage
from smtp_admin import Message
from smtp_admin.mail.types import TYPES
from tests.servers import Unavailable

_TYPE = "renewal"
_TOGETHER = 100
_SINGLY_SHARE = 0.2


def run(stage: Stage, mails: int, rounds: int, tell: Tell) -> Section:
    """Measure both databases, one mail a transaction and a hundred."""
    speeds: dict[str, list[float]] = {}
    missing: list[list[str]] = []
    sites: dict[Kind, Site] = {}
    for kind in KINDS:
        try:
            uri = stage.new_database(kind)
        except Unavailable as why:
            missing.append([f"{kind}: not measured: {why}", *["–"] * 3])
            continue
        sites[kind] = Site(stage.new_folder(), uri, stage.redis.url)
        with sites[kind].opened():
            sites[kind].host.save_sender("acme", port=stage.sink.port)
    for number in range(1, rounds + 1):
        for on, site in sites.items():
            for name, send in _ways(site).items():
                for together in (1, _TOGETHER):
                    count = mails if together > 1 else max(100, round(mails * _SINGLY_SHARE))
                    row = f"{on}, {name}, {together} a transaction"
                    with site.opened():
                        found = _rate(site, send, count, together)
                    speeds.setdefault(row, []).append(found)
                    tell(f"round {number}: {row}: {found:,.0f} mails/s")
    rows = [[name, *spread(found)] for name, found in speeds.items()]
    notes = [
        (
            f"{rounds} rounds in turn, one process, from `send()` to committed, the bell included; "
            f"no worker is running. `send()` renders the type “{_TYPE}” (text and HTML), "
            "`send_message()` takes 2 kB of ready text."
        )
    ]
    columns = ["", "mails/s, median", "lowest", "highest"]
    data = {"mails": mails, "rounds": rounds, "mails_per_second": speeds}
    return Section(notes, [Table(columns, rows + missing)], data)


def _ways(site: Site) -> dict[str, Callable[[int], Any]]:
    plugin = site.host.plugin
    types: Any = TYPES.of(site.host.installation)
    sample = types.get(_TYPE).sample
    return {
        "send()": lambda _: plugin.send(_TYPE, to=RECIPIENT, partner_id="acme", context=sample),
        "send_message()": lambda number: plugin.send_message(
            Message(f"x {number}", [RECIPIENT], BODY), partner_id="acme"
        ),
    }


def _rate(site: Site, send: Callable[[int], Any], count: int, together: int) -> float:
    session = site.host.db.session()
    began = time.perf_counter()
    for number in range(1, count + 1):
        send(number)
        if number % together == 0:
            session.commit()
    session.commit()
    return count / (time.perf_counter() - began)
