"""``make bench``: every contestant in turn, several rounds, medians and ratios."""

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.contestants import (
    bare_smtplib,
    flask_mail_and_rq,
    ours,
    ours_on_sqlite,
    sink,
)
from tests.servers.databases import PostgreSQL
from tests.servers.redis_server import RedisServer

Contestant = Callable[[int, int, str], float]
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Measure, print a table, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer(Path(folder) / "redis") as redis,
        PostgreSQL(Path(folder) / "postgresql") as postgresql,
        sink() as port,
    ):
        # RQ's jobs take five milliseconds each: fewer of them say the same.
        contestants: dict[str, tuple[Contestant, int]] = {
            "bare smtplib loop": (bare_smtplib, asked.mails),
            "Flask-Mail + RQ SimpleWorker": (flask_mail_and_rq, max(200, asked.mails // 10)),
            "smtp_admin on SQLite": (ours_on_sqlite, asked.mails),
            "smtp_admin on PostgreSQL": (
                lambda at, count, url: ours(postgresql.create_database(), at, count, url),
                asked.mails,
            ),
        }
        speeds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(asked.rounds):
            for name, (contestant, count) in contestants.items():
                redis.flush()
                speeds[name].append(contestant(port, count, redis.url))
    report(speeds, asked.mails, asked.rounds)


def report(speeds: dict[str, list[float]], mails: int, rounds: int) -> None:
    """The table, on the screen and in files."""
    medians = {name: statistics.median(found) for name, found in speeds.items()}
    base = medians["bare smtplib loop"]
    lines = [
        "| | mails/s, median | lowest | highest | × bare smtplib |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {name} | {medians[name]:,.0f} | {min(found):,.0f} | {max(found):,.0f} "
            f"| {medians[name] / base:.2f} |"
            for name, found in speeds.items()
        ),
    ]
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    text = (
        "# Benchmark\n\n"
        f"{rounds} rounds in turn, {mails:,} mails of 2 kB, one connection, loopback, Postfix's "
        f"smtp-sink. {machine}.\n"
        "Ours: from committed row to committed result. Bare smtplib stores nothing.\n\n"
        + "\n".join(lines)
        + "\n"
    )
    (ROOT / "benchmarks" / "results.md").write_text(text)
    (ROOT / "build").mkdir(exist_ok=True)
    data = {"machine": machine, "mails": mails, "rounds": rounds, "speeds": speeds}
    (ROOT / "build" / "bench.json").write_text(json.dumps(data, indent=2))
    print(text)  # noqa: T201 - what the command is for


if __name__ == "__main__":
    main()
