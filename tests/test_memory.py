"""Apps that are gone: nothing in the process remembers them, and nothing misses them."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from smtp_admin import SMTPAdmin, schema
from smtp_admin.delivery.shared_redis import redis_client
from smtp_admin.encryption import generate_key
from tests.app import ADMIN, HostApp, TestHost
from tests.delivery.workbench import queue
from tests.servers.databases import sqlite_url
from tests.servers.redis_server import RedisServer


def test_an_app_that_is_gone_is_not_remembered(new_app: Callable[..., HostApp]) -> None:
    """SQLAlchemy keeps event listeners for good, and whatever these hold: megabytes an app."""
    host = new_app()
    host.actor = ADMIN
    with host.app.app_context():
        host.save_sender("acme")
        host.plugin.send(
            "password_reset",
            to="carl@customer.example",
            partner_id="acme",
            context={"name": "Carl", "reset_url": "https://acme.example/", "expires_minutes": 60},
        )
        host.db.session.commit()
        assert host.client.get("/smtp-admin/partners/acme").status_code == 200
    remembered: dict[str, ref[Any]] = {"app": ref(host.app), "db": ref(host.db)}
    del host
    collect()
    assert [name for name, one in remembered.items() if one() is not None] == []


def test_apps_that_share_a_database_object_ring_their_own_bells(
    tmp_path: Path, redis: RedisServer
) -> None:
    """One ``db`` of a module, and an app for each test: the usual way to test a Flask app."""
    db = SQLAlchemy()
    for count in (1, 2):
        app = Flask("shared")
        app.config.update(
            SECRET_KEY="a test's secret",
            SQLALCHEMY_DATABASE_URI=sqlite_url(tmp_path),
            SMTP_ADMIN_SECRET_KEYS=[generate_key()],
            SMTP_ADMIN_REDIS_URL=redis.url,
        )
        db.init_app(app)
        plugin = SMTPAdmin(host=TestHost())
        plugin.init_app(app, db)
        host = HostApp(app, db, plugin, TestHost(), "")
        with app.app_context():
            schema.upgrade(db.engine)
            host.save_sender("acme")
            queue(host)
        client = redis_client(redis.url)
        assert len(list(client.scan_iter("smtp_admin:*:named:*"))) == count
        client.close()
        del app, plugin, host
        collect()


def collect() -> None:
    """Collect what is gone, the oldest first.

    In one step Python begins with the youngest: a socket would end before the connection that was
    to close it.
    """
    gc.collect(1)
    gc.collect()
