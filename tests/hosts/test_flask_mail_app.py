"""An app that uses Flask-Mail changes one line: what arrives is what arrived before."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from smtp_admin.encryption import generate_key
from tests.app import migrate
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import Received, ScriptedServer

APPS = Path(__file__).with_name("apps")
THEIRS = "from flask_mail import Attachment, Mail, Message"
#: The one line that changes.
OURS = "from smtp_admin.flask_mail import Attachment, Mail, Message"
POST = "from {module} import app; print(app.test_client().post('/letters').get_json())"
RECORDED = 10


def arrived(received: Sequence[Received]) -> dict[str, dict[str, Any]]:
    """By subject, what a recipient sees, and who got it."""
    found: dict[str, dict[str, Any]] = {}
    got: dict[str, set[str]] = defaultdict(set)
    for one in received:
        mail = message_from_bytes(one.data, _class=EmailMessage, policy=SMTP)
        subject = str(mail["Subject"])
        got[subject] |= set(one.recipients)
        found[subject] = {
            "to": addresses(mail, "To"),
            "cc": addresses(mail, "Cc"),
            "bcc": mail["Bcc"],
            "from": addresses(mail, "From")[0][1],
            "reply_to": addresses(mail, "Reply-To"),
            "campaign": mail["X-Campaign"],
            "date": mail["Date"].datetime if subject.startswith("Everything") else None,
            "texts": {
                part.get_content_type(): part.get_content().replace("\r\n", "\n").strip()
                for part in mail.walk()
                if part.get_content_maintype() == "text" and not part.get_filename()
            },
            "files": {
                (one.get_filename(), one.get_content_type(), one["Content-ID"]): one.get_content()
                for one in mail.walk()
                if one.get_filename()
            },
        }
    return {subject: {**one, "got": got[subject]} for subject, one in found.items()}


def addresses(mail: EmailMessage, name: str) -> list[tuple[str, str]]:
    if mail[name] is None:
        return []
    return sorted((one.display_name, one.addr_spec) for one in mail[name].addresses)


def put(folder: Path, line: str, **config: Any) -> None:
    """The app in *folder*, with *line* in place of Flask-Mail's."""
    source = (APPS / "letters.py").read_text("utf-8")
    assert source.count(f"\n{THEIRS}\n") == 1
    folder.mkdir()
    (folder / "letters.py").write_text(source.replace(THEIRS, line), "utf-8")
    (folder / "letters_mounted.py").write_text((APPS / "letters_mounted.py").read_text("utf-8"))
    (folder / "letters.json").write_text(json.dumps(config))


def run(folder: Path, *arguments: str, **environment: str) -> str:
    """Python in *folder*; what it printed."""
    kept = {name: one for name, one in os.environ.items() if not name.startswith("SMTP_")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=kept | environment, text=True, timeout=60,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What arrives from the app as it is, by Flask-Mail."""
    folder = tmp_path_factory.mktemp("before") / "app"
    with ScriptedServer() as server:
        put(folder, THEIRS, MAIL_SERVER=server.host, MAIL_PORT=server.port,
            MAIL_DEFAULT_SENDER="shop@shop.example")  # fmt: skip
        printed = run(folder, "-c", "from letters import create_app; app = create_app(); "
                      "print(app.test_client().post('/letters').get_json())")  # fmt: skip
        assert f"'recorded': {RECORDED}" in printed
        return arrived(server.messages)


def test_one_line_is_changed_and_the_same_arrives(
    tmp_path: Path, redis: RedisServer, before: dict[str, dict[str, Any]]
) -> None:
    assert len(before) == RECORDED  # so each has a subject of its own
    folder = tmp_path / "app"
    with ScriptedServer() as server:
        put(
            folder, OURS,
            # Left from before; nobody is there.
            MAIL_SERVER="127.0.0.1", MAIL_PORT=1,
            MAIL_DEFAULT_SENDER="shop@shop.example",
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'letters.db'}",
            SMTP_ADMIN_REDIS_URL=redis.url,
            SMTP_ADMIN_SECRET_KEYS=[generate_key()],
            SMTP_ADMIN_ALLOWED_NETWORKS=["127.0.0.0/8"],
            SMTP_ADMIN_ALLOWED_PORTS=[server.port],
        )  # fmt: skip
        settings = {"SMTP_HOST": server.host, "SMTP_PORT": str(server.port),
                    "SMTP_SECURITY": "none", "SMTP_FROM_EMAIL": "shop@shop.example"}  # fmt: skip
        command = ("-m", "flask", "--app", "letters_mounted", "smtp-admin")
        engine = create_engine(f"sqlite:///{folder / 'letters.db'}")
        migrate(engine)
        engine.dispose()
        printed = run(folder, "-c", POST.format(module="letters_mounted"), **settings)
        assert f"'recorded': {RECORDED}" in printed
        assert "orders@shop.example as its sender" in printed  # and why it comes from another
        assert server.messages == []
        run(folder, *command, "worker", "--burst", **settings)
        after = arrived(server.messages)
    everything = "Everything – Grüße"
    assert before[everything]["from"] == "orders@shop.example"
    before = {**before, everything: before[everything] | {"from": "shop@shop.example"}}
    assert after == before
