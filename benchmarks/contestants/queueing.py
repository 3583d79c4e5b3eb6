"""Who puts mail into a queue, and how fast: others by a script each, we in this process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import tools
from benchmarks.mail import BODY, RECIPIENT, SENDER
from benchmarks.site import Site
from benchmarks.stage import Kind, Stage
from smtp_admin import Message, Recipient
from smtp_admin.mail.types import SHIPPED

_TYPE = "renewal"
_SAMPLE = next(one.sample for one in SHIPPED if one.name == _TYPE)
_TOGETHER, _MANY = 100, 500
_FEWEST, _SINGLY = 100, 0.2
_LONGEST_SECONDS = 1800
#: django-post_office doing what ours does at each commit.
WAKING = "send in a transaction that wakes Celery"


@dataclass(frozen=True)
class Others:
    """A script of ``benchmarks/peers`` that measures itself and says so in JSON.

    Attributes:
        share: the part of the mails that is enough to know a slow one's speed.
        database: whether it needs one.
    """

    name: str
    script: str
    program: Callable[[], Path]
    share: float = 1.0
    database: Kind | None = None

    def speeds(self, stage: Stage, count: int) -> dict[str, float]:
        """Way → mails a second.

        Raises:
            Unavailable: it cannot be had.
            RuntimeError: it failed.
        """
        folder = stage.new_folder()
        task = {
            "count": max(_FEWEST, round(count * self.share)),
            "redis": stage.redis.url,
            "database": stage.new_database(self.database) if self.database else "",
            "folder": str(folder),
            "port": stage.sink.port,
            "connections": 1,
            "from": SENDER,
            "to": RECIPIENT,
            "body": BODY,
            "context": _SAMPLE,
        }
        if self.script.endswith(".mjs"):
            words = [str(tools.ROOT / "benchmarks" / "peers" / self.script)]
        else:
            words = ["-m", f"benchmarks.peers.{self.script}"]
        done = subprocess.run(
            [str(self.program()), *words, json.dumps(task)],
            cwd=tools.ROOT,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
            env=os.environ | {"BENCH_NODE": str(tools.NODE_FOLDER)},
        )
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["it failed"])[-1][:200])
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return {f"{self.name}, {way}": speed for way, speed in found.items()}


def _this_python() -> Path:
    return Path(sys.executable)


OTHERS: Sequence[Others] = (
    Others("Flask-Mail + RQ", "enqueue_rq", _this_python, share=0.2),
    Others("Celery", "enqueue_celery", tools.python_of_peers, share=0.2),
    Others("BullMQ", "enqueue_bullmq.mjs", tools.node),
    Others(
        "django-post_office on SQLite", "enqueue_post_office", tools.python_of_peers,
        share=0.4, database="SQLite",
    ),
    Others(
        "django-post_office on PostgreSQL", "enqueue_post_office", tools.python_of_peers,
        share=0.4, database="PostgreSQL",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Ours:
    """Our own calls on one database; no worker is running, and every commit rings."""

    kind: Kind
    site: Site

    @property
    def name(self) -> str:
        """What its rows begin with."""
        return f"smtp_admin on {self.kind}"

    def speeds(self, stage: Stage, count: int) -> dict[str, float]:
        """Way → mails a second."""
        stage.redis.flush()
        found = {}
        with self.site.opened():
            for way, (call, each, together) in self._ways().items():
                singly = each == together == 1
                calls = max(_FEWEST, round(count * _SINGLY)) if singly else max(1, count // each)
                found[f"{self.name}, {way}"] = self._rate(call, calls, together) * each
        return found

    def _ways(self) -> dict[str, tuple[Callable[[int], Any], int, int]]:
        """What is called, how many mails it queues, and how many calls are one transaction."""
        plugin = self.site.host.plugin

        def message(number: int) -> Message:
            return Message(f"x {number}", [RECIPIENT], BODY)

        def send_message(number: int) -> None:
            plugin.send_message(message(number), partner_id="acme")

        def send(_number: int) -> None:
            plugin.send(_TYPE, to=RECIPIENT, partner_id="acme", context=_SAMPLE)

        def send_messages(number: int) -> None:
            some = (message(number * _MANY + more) for more in range(_MANY))
            plugin.send_messages(some, partner_id="acme")

        def send_many(_number: int) -> None:
            some = (Recipient(f"p{more}@example.org", _SAMPLE) for more in range(_MANY))
            plugin.send_many(_TYPE, some, partner_id="acme")

        return {
            "send_message, 1 a transaction": (send_message, 1, 1),
            "send_message, 100 a transaction": (send_message, 1, _TOGETHER),
            "send_messages, 500 a transaction": (send_messages, _MANY, 1),
            "send of HTML, 1 a transaction": (send, 1, 1),
            "send of HTML, 100 a transaction": (send, 1, _TOGETHER),
            "send_many of HTML, 500 a transaction": (send_many, _MANY, 1),
        }

    def _rate(self, call: Callable[[int], Any], calls: int, together: int) -> float:
        session = self.site.host.db.session()
        call(0)  # what is made once is made before
        session.commit()
        began = time.perf_counter()
        for number in range(1, calls + 1):
            call(number)
            if number % together == 0:
                session.commit()
        session.commit()
        return calls / (time.perf_counter() - began)


def opened(stage: Stage, kind: Kind) -> Ours:
    """Our app on a new database of this kind, with acme's sender.

    Raises:
        Unavailable: there is no such database here.
    """
    ours = Ours(kind, Site(stage.new_folder(), stage.new_database(kind), stage.redis.url))
    with ours.site.opened():
        ours.site.host.save_sender("acme", port=stage.sink.port)
    return ours
