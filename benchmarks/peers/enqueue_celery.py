"""A mail's parts as the arguments of a Celery task: how fast ``delay`` queues."""

from typing import Any

from celery import Celery  # type: ignore[import-not-found]  # in the peers' environment

from benchmarks.peers.script import facts, tell_speeds, timed


def send_one(subject: str, sender: str, recipients: list[str], body: str) -> None:
    """The task; nobody runs it here."""


def main() -> None:
    """Queue one after the other."""
    task: dict[str, Any] = facts()
    app = Celery("bench", broker=task["redis"])
    app.conf.update(task_ignore_result=True)
    queued = app.task(name="send_one")(send_one)

    def delay(number: int) -> None:
        queued.delay(f"x {number}", task["from"], [task["to"]], task["body"])

    tell_speeds({"delay": timed(delay, task["count"])})


if __name__ == "__main__":
    main()
