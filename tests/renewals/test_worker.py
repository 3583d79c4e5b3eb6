"""A worker process writes and sends reminders by itself."""

from pathlib import Path

from smtp_admin.clock import now
from smtp_admin.renewals import service
from smtp_admin.renewals.models import RenewalNotice
from smtp_admin.renewals.values import RenewalValues
from tests.app import ADMIN
from tests.renewals.lives import write_services
from tests.renewals.things import a_service
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import PROMPTLY, Site, Worker

ROOT = Path(__file__).parents[2]
APP = f'''
"""The host app that the worker runs in."""

import json
import sys
from pathlib import Path

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from smtp_admin import SMTPAdmin

sys.path.insert(0, {str(ROOT)!r})
from tests.renewals.lives import FileHost

app = Flask(__name__)
app.config["SMTP_ADMIN_ALLOWED_PORTS"] = range(1, 65536)
app.config.from_file("config.json", load=json.load)
db = SQLAlchemy(app)
SMTPAdmin(host=FileHost(Path(__file__).parent)).init_app(app, db)
'''


def test_a_worker_reminds_by_itself(
    tmp_path: Path, redis: RedisServer, server: ScriptedServer
) -> None:
    site = Site(tmp_path / "site", redis.url)
    (site.folder / "app.py").write_text(APP)
    write_services(site.folder, [a_service(3, now=now()), a_service(9, now=now())])
    with site.opened() as host:
        host.save_sender(port=server.port)
        service.save(host.db.session(), "acme", RenewalValues(enabled=True), own=True,
                     expected_revision=0, actor=ADMIN)  # fmt: skip
        host.db.session.commit()
    with Worker(site.folder) as worker:
        worker.ready()
        (mail,) = server.wait_for_messages(1)
        assert mail.recipients == ["c1@customer.example"]
        assert worker.stop() < PROMPTLY
    with site.opened() as host:
        assert host.db.session.query(RenewalNotice).count() == 1
