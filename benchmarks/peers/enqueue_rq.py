"""Flask-Mail's message in a job of RQ, as both document it: how fast that queues."""

from typing import Any

from flask_mail import Message
from redis import Redis
from rq import Queue

from benchmarks.peers.script import facts, tell_speeds, timed

_JOB = "benchmarks.peers.flask_mail_rq.send_one"


def main() -> None:
    """Queue one after the other."""
    task: dict[str, Any] = facts()
    queue = Queue("bench", connection=Redis.from_url(task["redis"]))

    def enqueue(number: int) -> None:
        message = Message(f"x {number}", [task["to"]], task["body"], sender=task["from"])
        queue.enqueue(_JOB, message, result_ttl=0)

    tell_speeds({"enqueue": timed(enqueue, task["count"])})


if __name__ == "__main__":
    main()
