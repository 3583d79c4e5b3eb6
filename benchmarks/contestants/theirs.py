"""What others use, each as a script that queues, says it is ready, and waits for the word."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import tools
from benchmarks.contestants import Task
from benchmarks.mail import BODY, RECIPIENT, SENDER
from tests.servers import stop_process, tail

_READY_SECONDS = 120.0
_SCRIPTS = tools.ROOT / "benchmarks" / "peers"


class Peer:
    """A script of ``benchmarks/peers`` in a process of its own.

    Args:
        program: finds or installs what runs it; raises ``Unavailable``.
        versions: names what was found.
        database: whether it needs a PostgreSQL database.
        alone: whether one process does all of it, and stays until it is stopped.
    """

    def __init__(
        self,
        name: str,
        script: str,
        program: Callable[[], Path],
        versions: Callable[[Path], str],
        *,
        share: float = 1.0,
        database: bool = False,
        alone: bool = False,
    ) -> None:
        self.name = name
        self.share = share
        self._script = script
        self._program = program
        self._versions = versions
        self._database = database
        self._alone = alone

    def install(self) -> str:
        """Install it into ``build/bench`` if it is not there."""
        return self._versions(self._program())

    @contextmanager
    def ready(self, task: Task) -> Iterator["_Waiting"]:
        """Start the script and wait until it has queued everything."""
        stage = task.stage
        folder = stage.new_folder()
        facts = {
            "port": task.port,
            "connections": task.connections,
            "count": task.count,
            "redis": stage.redis.url,
            "database": stage.new_database("PostgreSQL") if self._database else "",
            "folder": str(folder),
            "from": SENDER,
            "to": RECIPIENT,
            "body": BODY,
        }
        if self._script.endswith(".mjs"):
            command = [str(self._program()), str(_SCRIPTS / self._script)]
        else:
            command = [str(self._program()), "-m", f"benchmarks.peers.{self._script}"]
        log = folder / "log.txt"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [*command, json.dumps(facts)],
                cwd=tools.ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                env=os.environ | {"BENCH_NODE": str(tools.NODE_FOLDER)},
            )
        try:
            waiting = _Waiting(process, log, alone=self._alone)
            waiting.wait_until_ready()
            yield waiting
        finally:
            stop_process(process)
            for end in (process.stdin, process.stdout):
                if end is not None:
                    end.close()


class _Waiting:
    """A script that has said it is ready."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, *, alone: bool) -> None:
        self._process = process
        self._log = log
        self._alone = alone

    def wait_until_ready(self) -> None:
        """Wait for the line that says so."""
        output = self._process.stdout
        while output is not None and select.select([output], [], [], _READY_SECONDS)[0]:
            line = output.readline()
            if line == b"ready\n":
                return
            if not line:
                break
        raise RuntimeError(f"it did not start:\n{tail(self._log)}")

    def go(self) -> None:
        """Give the word."""
        if self._process.stdin is not None:
            self._process.stdin.write(b"go\n")

    def check(self) -> None:
        """Whether it ended badly; at its end it may be gone before the last look."""
        if self._process.poll():
            raise RuntimeError(f"it died:\n{tail(self._log)}")

    def settle(self) -> None:
        """Nothing: what it has to write down after the last mail is not counted."""

    def processor(self) -> float | None:
        """The script's, if it is alone and still there."""
        return tools.processor_seconds_of(self._process.pid) if self._alone else None


def _ours() -> Path:
    return Path(sys.executable)


BARE = Peer(
    "bare smtplib loop, nothing stored",
    "bare_smtplib",
    _ours,
    lambda _: "standard library",
    alone=True,
)
NODE = Peer(
    "nodemailer (pool) + BullMQ",
    "nodemailer_bullmq.mjs",
    tools.node,
    lambda program: tools.node_versions(("nodemailer", "bullmq"), program),
)
#: RQ's jobs take five milliseconds each: fewer of them say the same.
PEERS = (
    BARE,
    Peer(
        "Flask-Mail + RQ SimpleWorker",
        "flask_mail_rq",
        _ours,
        lambda python: tools.versions(("flask-mail", "rq"), python),
        share=0.1,
    ),
    Peer(
        "Flask-Mail + Celery (solo)",
        "flask_mail_celery",
        tools.python_of_peers,
        lambda python: tools.versions(("flask-mail", "celery"), python),
        share=0.4,
    ),
    Peer(
        "django-post_office on PostgreSQL",
        "post_office_command",
        tools.python_of_peers,
        lambda python: tools.versions(("django-post_office", "django"), python),
        share=0.6,
        database=True,
    ),
    NODE,
)
