"""The real servers and the browser do what the other tests rely on."""

import contextlib
import time
import zlib
from base64 import b64encode
from pathlib import Path

import pytest
import redis
import sqlalchemy

from .chromium import axe_violations, browser
from .databases import MariaDB, PostgreSQL, sqlite_url
from .redis_server import RedisServer
from .skipping import skipped_if_unavailable


def test_redis_restarts_on_its_port_and_shows_everything(tmp_path: Path) -> None:
    with skipped_if_unavailable():
        server = RedisServer(tmp_path)
    with server:
        url = server.url
        with contextlib.closing(redis.Redis.from_url(url)) as client:
            client.set("string", b"canary-1")
            client.hset("hash", "canary-2", zlib.compress(b"canary-3"))
            client.rpush("list", b64encode(zlib.compress(b"canary-4")))
            client.sadd("set", "canary-5")
            client.zadd("canary-6", {"canary-7": 1.5})
            client.xadd("stream", {"canary-8": "canary-9"})
            dump = server.dump_text()
            assert [number for number in range(1, 10) if b"canary-%d" % number not in dump] == []
            server.flush()
            assert server.dump_text() == b""
        server.stop()
        with contextlib.closing(redis.Redis.from_url(url)) as client:
            with pytest.raises(redis.ConnectionError):
                client.ping()
            server.start()
            assert server.url == url
            assert client.ping()


def test_redis_pause_is_silence(tmp_path: Path) -> None:
    with skipped_if_unavailable():
        server = RedisServer(tmp_path)
    with server:
        with contextlib.closing(redis.Redis.from_url(server.url, socket_timeout=0.3)) as client:
            server.pause()
            with pytest.raises(redis.TimeoutError):
                client.ping()
            server.resume()
            assert client.ping()
            server.pause()  # stopping a paused process must not hang
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5


def select_one(url: str) -> object:
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.begin() as connection:
            assert sqlalchemy.inspect(connection).get_table_names() == []
            connection.execute(sqlalchemy.text("CREATE TABLE one (text VARCHAR(9))"))
            connection.execute(sqlalchemy.text("INSERT INTO one VALUES ('é😀')"))
        with engine.connect() as connection:
            assert connection.scalar(sqlalchemy.text("SELECT text FROM one")) == "é😀"
            return connection.scalar(sqlalchemy.text("SELECT 1"))
    finally:
        engine.dispose()


def test_sqlite(tmp_path: Path) -> None:
    assert select_one(sqlite_url(tmp_path)) == 1
    assert select_one(sqlite_url(tmp_path)) == 1


def test_postgresql(tmp_path: Path) -> None:
    with skipped_if_unavailable():
        server = PostgreSQL(tmp_path)
    with server:
        assert select_one(server.create_database()) == 1
        url = server.create_database()
        assert select_one(url) == 1
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            server.restart_immediately()
            with pytest.raises(sqlalchemy.exc.OperationalError):
                connection.scalar(sqlalchemy.text("SELECT 1"))
        engine.dispose()
        with engine.connect() as connection:
            assert connection.scalar(sqlalchemy.text("SELECT count(*) FROM one")) == 1
        engine.dispose()
    server.stop()


def test_mariadb(tmp_path: Path) -> None:
    with skipped_if_unavailable():
        server = MariaDB(tmp_path)
    with server:
        assert select_one(server.create_database()) == 1
        assert select_one(server.create_database()) == 1
    server.stop()


@pytest.mark.browser
def test_browser_and_accessibility() -> None:
    strict = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">"
    page_text = f"<html lang=en><head>{strict}<title>T</title></head><main><h1>T</h1>%s</main>"
    with skipped_if_unavailable(), browser() as chromium:
        page = chromium.new_page()
        page.goto("data:text/html," + page_text % "<img src=x alt=Tree>")
        assert page.title() == "T"
        assert axe_violations(page) == []
        page.goto("data:text/html," + page_text % "<img src=x>")
        (violation,) = axe_violations(page)
        assert violation.startswith("image-alt (")
        assert violation.endswith("– img")
        assert page.evaluate("typeof axe") == "undefined"
