"""Passwords move from key to key, and what does not open is named and harms nobody else."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select, update

from smtp_admin.encryption import Keyring, generate_key
from smtp_admin.errors import KeyMissing
from smtp_admin.senders import keys
from smtp_admin.senders.keys import check_keys, count_passwords, rotate_keys
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.resolve import load_sender
from tests.app import HostApp, make_app
from tests.delivery.workbench import deliveries, queue, sender_row
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.worker.running import Site, until

OLD, NEW = generate_key(), generate_key()


@pytest.fixture
def made(new_app: Callable[..., HostApp]) -> Iterator[HostApp]:
    """A host app with the old key, and two passwords in three revisions."""
    host = new_app(SECRET_KEYS=[OLD])
    with host.app.app_context():
        host.save_sender("acme", username="u", password="first", host="one.example")
        host.save_sender("acme", username="u", password="second", host="two.example")
        host.save_sender("globex", username="u", password="third")
        host.save_sender("initech")  # without any
        yield host


def password(host: HostApp, keyring: Keyring, partner_id: str = "acme") -> str:
    session = host.db.session()
    session.expire_all()
    sender = load_sender(session, partner_id)
    return sender.secrets_for(sender.values, keyring)["password"]


def sealed(host: HostApp) -> list[str]:
    """Every sealed password."""
    session = host.db.session()
    session.expire_all()
    documents = session.scalars(select(SenderRevision.secrets).order_by(SenderRevision.id))
    return [str(one["password"]["sealed"]) for one in documents if one]


def test_every_password_gets_the_first_key(made: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_AT_ONCE", 2)
    session = made.db.session()
    both = Keyring([NEW, OLD])
    assert count_passwords(session) == 3
    before = check_keys(session, both)
    assert (before.newest, before.older, before.unreadable) == (0, 3, ())
    steps: list[int] = []
    after = rotate_keys(session, both, steps.append)
    assert (after.newest, after.older, after.unreadable) == (3, 0, ())
    assert steps == [2, 1]
    alone = Keyring([NEW])
    assert check_keys(session, alone).newest == 3
    assert password(made, alone) == "second"
    assert password(made, alone, "globex") == "third"
    # Again, and nothing is left to do.
    rotated = sealed(made)
    assert len(rotated) == 3
    assert rotate_keys(session, both).newest == 3
    assert sealed(made) == rotated


def test_what_does_not_open_is_named_and_the_rest_is_rotated(made: HostApp) -> None:
    session = made.db.session()
    stolen = session.scalar(
        select(SenderRevision.secrets)
        .join(Sender, Sender.id == SenderRevision.sender_id)
        .where(Sender.partner_id == "globex")
    )
    row = sender_row(made, "acme")
    session.execute(
        update(SenderRevision)
        .where(SenderRevision.sender_id == row.id, SenderRevision.number == 2)
        .values(secrets=stolen)
    )
    session.commit()
    report = rotate_keys(session, Keyring([NEW, OLD]))
    assert (report.newest, report.older, report.total) == (2, 0, 3)
    (one,) = report.unreadable
    assert (one.partner_id, one.revision, one.current) == ("acme", 2, True)
    assert "does not match" in one.reason


def test_without_a_key(made: HostApp) -> None:
    session = made.db.session()
    assert len(check_keys(session, Keyring([])).unreadable) == 3
    with pytest.raises(KeyMissing, match="SMTP_ADMIN_SECRET_KEYS"):
        rotate_keys(session, Keyring([]))


def run(host: HostApp, *words: str) -> Result:
    return host.app.test_cli_runner().invoke(args=["smtp-admin", "keys", *words])


def test_commands(new_app: Callable[..., HostApp], tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'keys.db'}"
    first = new_app(uri=uri, SECRET_KEYS=[OLD])
    with first.app.app_context():
        first.save_sender("", username="u", password="word")
    assert "1 stored secret: 1 with the first key" in run(first, "check").output

    def again(*secret_keys: str) -> HostApp:
        return make_app(uri, {"SECRET_KEYS": list(secret_keys)})

    both = again(NEW, OLD)
    assert "1 with an older one" in run(both, "check").output
    rotated = run(both, "rotate")
    assert rotated.exit_code == 0
    assert "1 with the first key" in rotated.stdout
    answer = json.loads(run(again(NEW), "check", "--json").stdout)
    assert answer == {"ok": True, "newest": 1, "older": 0, "unreadable": []}
    lost = again(OLD)
    for command in ("check", "rotate"):
        failed = run(lost, command)
        assert failed.exit_code == 1
        assert "the system, sender default, revision 1 (in use)" in failed.output
    none = run(again(), "rotate", "--json")
    assert none.exit_code == 1
    assert "SMTP_ADMIN_SECRET_KEYS" in json.loads(none.stdout)["error"]["message"]


def test_a_lost_key_pauses_its_senders_until_it_is_back(
    new_app: Callable[..., HostApp], tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path / 'keys.db'}"
    with ScriptedServer(auth=("u", "word")) as server:
        host = new_app(uri=uri, SECRET_KEYS=[OLD], ALLOWED_PORTS=[server.port])
        config: dict[str, Any] = {"ALLOWED_PORTS": [server.port]}
        with host.app.app_context():
            host.save_sender("acme", username="u", password="word", port=server.port)
            queue(host)
        lost = make_app(uri, config | {"SECRET_KEYS": [NEW]})
        with lost.app.app_context():
            lost.work()
            assert sender_row(lost).pause_code == "unavailable"
            assert [one.state for one in deliveries(lost)] == ["queued"]
        found = make_app(uri, config | {"SECRET_KEYS": [NEW, OLD]})
        with found.app.app_context():
            found.work()
            assert sender_row(found).pause_code == ""
            assert [one.state for one in deliveries(found)] == ["sent"]


def test_a_worker_sends_while_keys_are_rotated(tmp_path: Path, redis: RedisServer) -> None:
    site = Site(tmp_path, redis.url)
    with ScriptedServer(auth=("u", "word")) as server, site.opened() as host:
        host.save_sender("acme", username="u", password="word", port=server.port)
        (old,) = host.installation.config.secret_keys
        config = json.loads((tmp_path / "config.json").read_text())
        config["SMTP_ADMIN_SECRET_KEYS"] = [NEW, old]
        (tmp_path / "config.json").write_text(json.dumps(config))
        with site.worker() as worker:
            worker.ready()
            for number in range(200):
                queue(host, f"r{number}@example.org")
                if number % 50 == 25:
                    report = rotate_keys(host.db.session(), Keyring([NEW, old]))
                    assert report.newest == 1
            assert len(server.wait_for_messages(200)) == 200
            assert until(lambda: {one.state for one in deliveries(host)} == {"sent"})
            assert sender_row(host).pauses == 0
            assert "Traceback" not in worker.output
