"""A web server that forks: the app is made, perhaps has sent already, and then the processes are.

So does ``gunicorn --preload``. No two processes may talk over one socket, nor wait for a lock whose
owner stayed behind.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from smtp_admin.delivery.models import Delivery
from tests.servers.redis_server import RedisServer
from tests.worker.running import APP, Site

FORKS, MAILS = 3, 15

SHOP = (
    APP.replace("SMTPAdmin(host=Host()).", "plugin = SMTPAdmin(host=Host())\nplugin.")
    + '''
import os
import signal
import sys
import threading

from smtp_admin import Message
from smtp_admin.delivery import shared_redis

shared_redis.PATIENCE_SECONDS = 40.0  # it is there, and may be busy


def send(name, count):
    """What a request does, so many times."""
    for number in range(count):
        with app.app_context():
            mail = Message("Hello", [f"{name}.{number}@example.org"], "Good morning.")
            plugin.send_message(mail, partner_id="acme")
            db.session.commit()


def live(name, count):
    """What a forked process does; it has a minute."""
    signal.alarm(60)
    with app.app_context():
        db.engine.dispose(close=False)
    threads = [threading.Thread(target=send, args=(f"{name}.{one}", count)) for one in (0, 1)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    os._exit(0)


if __name__ == "__main__":
    forks, mails, first = map(int, sys.argv[1:])
    send("first", first)
    print(json.dumps([one.name for one in threading.enumerate()]))
    sys.stdout.flush()
    children = []
    for number in range(forks):
        children.append(os.fork())
        if children[-1] == 0:
            live(f"child{number}", mails)
    send("parent", mails)
    print(json.dumps([os.waitpid(child, 0)[1] for child in children]))
'''
)


@pytest.mark.parametrize("first", [0, 1], ids=["made", "has sent"])
@pytest.mark.parametrize("kind", ["postgresql", pytest.param("mariadb", marks=pytest.mark.long)])
def test_forked_processes_send_side_by_side(
    request: pytest.FixtureRequest, tmp_path: Path, redis: RedisServer, kind: str, first: int
) -> None:
    uri = request.getfixturevalue(kind).create_database()
    site = Site(tmp_path / "site", redis.url, uri=uri)
    (site.folder / "app.py").write_text(SHOP)
    with site.opened() as host:
        host.save_sender()
        numbers = map(str, (FORKS, MAILS, first))
        done = subprocess.run(
            [sys.executable, "app.py", *numbers],
            cwd=site.folder,
            env={name: text for name, text in os.environ.items() if name[:6] != "FLASK_"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        threads, ends = map(json.loads, done.stdout.splitlines())
        assert threads == ["MainThread"], "a thread of the plugin's own would not be forked"
        assert ends == [0] * FORKS, done.stderr
        assert done.stderr == "", "no bell was missed, and nobody complained"
        host.db.session.rollback()
        recipients = list(host.db.session.scalars(select(Delivery.recipient)))
        assert len(recipients) == len(set(recipients)) == (2 * FORKS + 1) * MAILS + first
