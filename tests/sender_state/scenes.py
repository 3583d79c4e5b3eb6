"""Every state of a sender, brought about by what brings it about in life."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Flask
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from rq.utils import utcformat

from smtp_admin.clock import now
from smtp_admin.database import host_engine
from smtp_admin.delivery.doorbell import queue_name
from smtp_admin.delivery.shared_redis import redis_client
from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.installation import installation
from smtp_admin.sandbox_rule import Sandbox
from smtp_admin.sender_state.state import Key
from smtp_admin.senders import pauses
from smtp_admin.senders.resolve import load_sender
from tests.app import ADMIN, HostApp, started_with
from tests.delivery.workbench import queue
from tests.servers.scripted import Reply, ScriptedServer

__all__ = ["SCENES", "Scene", "a_worker", "start_again"]

LOGIN, PASSWORD = "mia@acme.example", "the mailbox's password"


@contextmanager
def a_worker(app: Flask) -> Iterator[None]:
    """A worker that is there, as RQ knows it, says so for a day, and takes nothing up."""
    with app.app_context():
        client = redis_client(installation().config.redis_url)
        queues = [queue_name(host_engine())]
    one = SimpleWorker(queues, connection=client, serializer=JSONSerializer)
    one.register_birth()  # type: ignore[no-untyped-call]  # RQ's own
    client.hset(one.key, "last_heartbeat", utcformat(now() + timedelta(days=1)))
    try:
        yield
    finally:
        one.register_death()  # type: ignore[no-untyped-call]  # RQ's own
        client.close()


class Scene:
    """The sender of acme, a mail server, and what is the case when one looks.

    Attributes:
        worker: whether one runs by then.
        later: how much later that is.
    """

    def __init__(self, host: HostApp, server: ScriptedServer) -> None:
        self.host = host
        self.server = server
        self.worker = True
        self.later = timedelta()

    def save(self, partner_id: str = "acme", **values: Any) -> None:
        """Settings that lead to the server."""
        self.host.save_sender(partner_id, **({"port": self.server.port} | values))

    def send(self, count: int = 1, *, work: bool = True, partner_id: str = "acme") -> None:
        """Queue mail, and let a worker send what is due, once."""
        for _ in range(count):
            queue(self.host, partner_id=partner_id)
        if work:
            self.host.work()

    def refuse(self, reply: str) -> None:
        """From now on the server refuses the recipient so."""
        self.server.behave("rcpt", Reply(reply))


def start_again(host: HostApp, **changes: Any) -> None:
    """As if the app had been started with another configuration."""
    here = host.installation
    config = replace(here.config, **{k: v for k, v in changes.items() if k != "keyring"})
    keyring = changes.get("keyring", here.keyring)
    host.app.extensions["smtp_admin"] = started_with(here, config=config, keyring=keyring)


def _problem(scene: Scene) -> None:
    scene.save(username=LOGIN, password=PASSWORD)
    start_again(scene.host, keyring=Keyring([generate_key()]))  # the other one is lost


def _unconfigured(scene: Scene) -> None:
    scene.send(work=False)


def _system(scene: Scene) -> None:
    scene.save("")


def _system_waits(scene: Scene) -> None:
    scene.save("")
    session = scene.host.db.session()
    pauses.pause(session, load_sender(session, ""), ADMIN)
    session.commit()
    scene.send(work=False)


def _paused_by_hand(scene: Scene) -> None:
    scene.save()
    session = scene.host.db.session()
    pauses.pause(session, load_sender(session, "acme"), ADMIN)
    session.commit()


def _stopped(scene: Scene) -> None:
    with ScriptedServer(auth=(LOGIN, "another")) as other:
        scene.save(port=other.port, username=LOGIN, password=PASSWORD)
        scene.send()


def _rate_limited(scene: Scene) -> None:
    scene.save()
    scene.refuse("450 4.7.0 rate limit exceeded")
    scene.send()


def _paused(scene: Scene) -> None:
    scene.save(port=1)  # nobody listens there
    scene.send()


def _keeping(scene: Scene) -> None:
    scene.save(driver="memory")


def _no_worker(scene: Scene) -> None:
    scene.worker = False
    scene.save()
    scene.send(12, work=False)


def _limit(scene: Scene) -> None:
    scene.save(max_per_hour=3)
    scene.send(5)


def _late(scene: Scene) -> None:
    scene.save()
    scene.send(work=False)
    scene.later = timedelta(minutes=12)


def _retrying(scene: Scene) -> None:
    scene.save()
    scene.refuse("450 4.2.0 greylisted, come back later")
    scene.send(work=False)
    start_again(scene.host, retry_delay=600.0)
    scene.host.work()


def _failing(scene: Scene) -> None:
    scene.save()
    scene.refuse("554 5.6.0 We do not like this text")
    scene.send(2)


def _held(scene: Scene) -> None:
    scene.save()
    start_again(scene.host, sandbox=Sandbox(allow=("me@else.example",)))
    scene.send(work=False)


def _test_failed(scene: Scene) -> None:
    scene.save(port=1)  # nobody listens there
    scene.host.app.test_cli_runner().invoke(
        args=["smtp-admin", "test-connection", "--partner", "acme"]
    )


def _delivering(scene: Scene) -> None:
    scene.save()
    scene.send()


def _ready(scene: Scene) -> None:
    scene.save()


SCENES: dict[Key, Callable[[Scene], None]] = {
    "problem": _problem,
    "unconfigured": _unconfigured,
    "system": _system,
    "system_waits": _system_waits,
    "paused_by_hand": _paused_by_hand,
    "stopped": _stopped,
    "rate_limited": _rate_limited,
    "paused": _paused,
    "keeping": _keeping,
    "no_worker": _no_worker,
    "limit": _limit,
    "late": _late,
    "retrying": _retrying,
    "failing": _failing,
    "held": _held,
    "test_failed": _test_failed,
    "delivering": _delivering,
    "ready": _ready,
}
