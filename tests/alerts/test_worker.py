"""A worker process looks and tells by itself, in the language of its app."""

import json
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

from tests.alerts.receiver import Receiver
from tests.alerts.watching import SECRET, break_sender
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import PROMPTLY, Site, Worker, until


def test_a_worker_tells_by_itself(
    tmp_path: Path, redis: RedisServer, server: ScriptedServer, receiver: Receiver
) -> None:
    site = Site(
        tmp_path / "site",
        redis.url,
        ALERT_EMAILS=["ops@platform.example"],
        ALERT_WEBHOOK=f"{receiver.url}a-secret-path",
        ALERT_WEBHOOK_SECRET=SECRET,
    )
    with site.opened() as host:
        host.save_sender("", port=server.port)
        host.save_sender("acme")
        break_sender(host)
    with (site.folder / "app.py").open("a") as app:
        app.write("from flask_babel import Babel\nBabel(app, default_locale='de')\n")
    with Worker(site.folder) as worker:
        worker.ready()
        (mail,) = server.wait_for_messages(1)
        assert mail.recipients == ["ops@platform.example"]
        whole = BytesParser(EmailMessage, policy=default).parsebytes(mail.data)
        assert whole["Subject"] == "Northwind: Problem mit Absender, Partner acme"
        assert until(lambda: bool(receiver.told)), worker.output
        assert worker.stop() < PROMPTLY
    (call,) = receiver.told
    told = json.loads(call.body)["data"]
    assert told["kind"] == "sender_stopped"
    assert told["headline"] == "Gestoppt, bis die Anmeldung berichtigt ist"
    assert "a-secret-path" not in worker.output
    assert SECRET not in worker.output
