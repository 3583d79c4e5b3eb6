"""Flask-Mail in jobs of RQ's SimpleWorker, as the documentation of both shows it."""

from typing import Any

from flask import Flask
from flask_mail import Mail, Message
from redis import Redis
from rq import Queue, SimpleWorker

from benchmarks.peers.script import facts, ready, wait_for_word

_JOB = "benchmarks.peers.flask_mail_rq.send_one"
mail = Mail()
app = Flask("bench")
task: dict[str, Any] = facts()
app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=task["port"], MAIL_DEBUG=False)
mail.init_app(app)


def send_one(number: int) -> None:
    """The job: one mail."""
    with app.app_context():
        mail.send(Message(f"x {number}", [task["to"]], task["body"], sender=task["from"]))


def main() -> None:
    """Queue, wait, work."""
    connection = Redis.from_url(task["redis"])
    queue = Queue("bench", connection=connection)
    for number in range(task["count"]):
        queue.enqueue(_JOB, number, result_ttl=0)
    worker = SimpleWorker([queue], connection=connection)
    ready()
    wait_for_word()
    worker.work(burst=True, logging_level="ERROR")


if __name__ == "__main__":
    main()
