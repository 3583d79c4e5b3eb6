"""Each way of sending the same mails to the same server; each returns mails per second."""

import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from flask_mail import Mail
from flask_mail import Message as FlaskMailMessage
from redis import Redis
from rq import Queue, SimpleWorker
from sqlalchemy import func, select

from smtp_admin import Message
from smtp_admin.delivery.models import Delivery
from tests.app import make_app
from tests.servers import find_program, free_port

BODY = ("x" * 70 + "\n") * 28  # 2 kB
SENDER, RECIPIENT = "noreply@acme.example", "you@example.org"


@contextmanager
def sink() -> Iterator[int]:
    """Postfix's ``smtp-sink``, which takes everything; its port."""
    port = free_port()
    program = find_program("smtp-sink")
    if program is None:
        sys.exit("smtp-sink is missing: install Postfix (Debian: apt install postfix)")
    process = subprocess.Popen([program, "-u", "nobody", f"127.0.0.1:{port}", "200"])
    time.sleep(0.5)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def bare_smtplib(port: int, count: int, redis_url: str) -> float:
    """The standard library's client in a loop, on one connection; nothing is stored anywhere."""
    del redis_url
    head = f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nSubject: x\r\n\r\n"
    raw = (head + BODY.replace("\n", "\r\n")).encode()
    client = smtplib.SMTP("127.0.0.1", port)
    began = time.perf_counter()
    for _ in range(count):
        client.sendmail(SENDER, [RECIPIENT], raw)
    seconds = time.perf_counter() - began
    client.quit()
    return count / seconds


_flask_mail = Mail()
_app = Flask("bench")


def send_one(number: int) -> None:
    """The job of Flask-Mail with RQ: one mail, as its documentation shows."""
    with _app.app_context():
        _flask_mail.send(FlaskMailMessage(f"x {number}", [RECIPIENT], BODY, sender=SENDER))


def flask_mail_and_rq(port: int, count: int, redis_url: str) -> float:
    """Flask-Mail in jobs of RQ's SimpleWorker: from queued to gone."""
    _app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=port, MAIL_DEBUG=False)
    _flask_mail.init_app(_app)
    connection = Redis.from_url(redis_url)
    queue = Queue("bench", connection=connection)
    for number in range(count):
        queue.enqueue(send_one, number, result_ttl=0)
    worker = SimpleWorker([queue], connection=connection)
    began = time.perf_counter()
    worker.work(burst=True, logging_level="ERROR")
    return count / (time.perf_counter() - began)


def ours(uri: str, port: int, count: int, redis_url: str) -> float:
    """From a committed row to a committed result, by one worker with one connection."""
    made = make_app(uri, {"REDIS_URL": redis_url, "QUEUE_LIMIT": 10_000_000})
    with made.app.app_context():
        made.save_sender("acme", port=port, max_connections=1)
        for number in range(count):
            made.plugin.send_message(Message(f"x {number}", [RECIPIENT], BODY), partner_id="acme")
            if number % 100 == 99:  # noqa: PLR2004 - a transaction of the host's
                made.db.session.commit()
        made.db.session.commit()
        began = time.perf_counter()
        made.work(concurrency=1)
        seconds = time.perf_counter() - began
        sent = made.db.session.scalar(
            select(func.count()).select_from(Delivery).where(Delivery.state == "sent")
        )
        if sent != count:
            sys.exit(f"only {sent} of {count} mails were sent")
        made.db.engine.dispose()
    return count / seconds


def ours_on_sqlite(port: int, count: int, redis_url: str) -> float:
    """:func:`ours` on a new SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        return ours(f"sqlite:///{Path(folder) / 'bench.db'}", port, count, redis_url)
