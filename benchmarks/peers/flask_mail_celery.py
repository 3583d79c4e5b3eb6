"""Flask-Mail in Celery's tasks: one worker process (solo), Redis as the broker."""

from typing import Any

from celery import Celery  # type: ignore[import-not-found]  # in the peers' environment
from flask import Flask
from flask_mail import Mail, Message

from benchmarks.peers.script import facts, ready, wait_for_word

task: dict[str, Any] = facts()
flask = Flask("bench")
flask.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=task["port"], MAIL_DEBUG=False)
mail = Mail(flask)
app = Celery("bench", broker=task["redis"])
app.conf.update(
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    worker_redirect_stdouts=False,  # what is said there is for the bench
)


def gate() -> None:
    """The first task: hold the worker, which is up and has the next tasks already."""
    ready()
    wait_for_word()


def send_one(number: int) -> None:
    """The task: one mail."""
    with flask.app_context():
        mail.send(Message(f"x {number}", [task["to"]], task["body"], sender=task["from"]))


def main() -> None:
    """Queue, wait, work."""
    app.task(name="gate")(gate).delay()
    queued = app.task(name="send_one")(send_one)
    for number in range(task["count"]):
        queued.delay(number)
    app.worker_main(["worker", "--pool", "solo", "--loglevel", "ERROR", "--without-mingle"])


if __name__ == "__main__":
    main()
