"""How often a token may be used, and where it is never found."""

import logging
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from redis import Redis
from sqlalchemy import select

from smtp_admin.api.authentication import COUNTS
from smtp_admin.api.operations import OPERATIONS
from smtp_admin.audit.models import Audit
from smtp_admin.clock import shifted
from tests.app import ADMIN, HostApp
from tests.dumps import dump
from tests.servers.redis_server import RedisServer

from .conftest import ALL, API, HOW, Program, a_token

# --- How often -----------------------------------------------------------------------------------


def test_each_token_has_its_limit(new_app: Callable[..., HostApp], redis: RedisServer) -> None:
    made = new_app(API_LIMIT="3 per minute")
    with made.app.app_context():
        first, second = (Program(made, a_token(made, "acme", name=name)) for name in "ab")
    for left in (2, 1, 0):
        answer = first("GET", "/status")
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == '"requests";q=3;w=60'
        found = re.fullmatch(r'"requests";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
        assert found
        assert int(found[1]) == left
        assert 1 <= int(found[2]) <= 60
    over = first("GET", "/status")
    assert (over.status_code, over.get_json()["error"]["code"]) == (429, "rate_limited")
    assert 1 <= int(over.headers["Retry-After"]) <= 60
    assert second("GET", "/status").status_code == 200
    # Another web process of the same app counts with it.
    twin = new_app(
        uri=made.app.config["SQLALCHEMY_DATABASE_URI"], SECRET_KEYS=[made.secret_key],
        API_LIMIT="3 per minute",
    )  # fmt: skip
    assert Program(twin, first.token)("GET", "/status").status_code == 429
    made.actor = ADMIN
    assert made.client.get(f"{API}/status").headers["RateLimit"].startswith('"requests";r=2;')
    # The window ends by itself: nothing has to be cleared.
    with Redis.from_url(redis.url) as client:
        keys: Any = client.keys("*:api:*")
        assert len(keys) == 3
        times: list[Any] = [client.ttl(key) for key in keys]
        assert all(1 <= one <= 60 for one in times)
        client.delete(*keys)
        assert first("GET", "/status").status_code == 200
        # One without an end is none of ours; it is refused once, and not for good.
        (key,) = client.keys("*:api:*")
        client.set(key, 1000)
    assert [first("GET", "/status").status_code for _ in range(2)] == [429, 200]


def test_while_redis_is_away_each_process_counts(
    new_app: Callable[..., HostApp], closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    made = new_app(API_LIMIT="2 per minute", REDIS_URL=f"redis://127.0.0.1:{closed_port}/0")
    with made.app.app_context():
        ask = Program(made, a_token(made))
    assert [ask("GET", "/senders").status_code for _ in range(3)] == [200, 200, 429]
    assert caplog.text.count("each process counts requests itself") == 1
    counts = COUNTS.of(made.installation)
    with patch("smtp_admin.delivery.request_counts.time.monotonic", lambda: 1e9):  # much later
        assert not counts.take("x", made.installation.config.api_limit).over


# --- Where it never is ---------------------------------------------------------------------------


def test_found_nowhere(
    site: HostApp,
    redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Made on the page and by command, used well and badly: then all that is kept is searched."""
    caplog.set_level(logging.DEBUG)
    site.actor = ADMIN
    form = {"name": "CRM", "scopes": [*ALL], "expires": "30d"}
    page = site.client.post(
        "/smtp-admin/partners/acme/tokens", data=form, headers={"Accept": "text/html"}
    )
    tokens = re.findall(r"smtpadmin_\w+", page.text)
    assert len(set(tokens)) == 1
    made = site.app.test_cli_runner().invoke(
        args=["smtp-admin", "tokens", "create", "Shop", "--scope", "send"]
    )
    tokens += re.findall(r"smtpadmin_\w+", made.stdout)
    secrets = {*tokens, tokens[0][10:42]}
    searched = [made.stderr]
    for token in set(tokens):
        ask = Program(site, token)
        for operation in OPERATIONS:
            path = operation.path.replace("<public_id>", "0" * 32)
            for how in ({}, HOW.get(operation.name, {}), {"json": {"to": token[:5]}}):
                answer = ask(operation.method, path, **how)
                searched += [answer.text, str(answer.headers)]
        with shifted(timedelta(days=400)):
            searched.append(ask("GET", "/status").text)
    site.app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)

    def broken(_partner_id: str) -> None:
        raise RuntimeError("the host broke")

    with patch.object(site.host, "partner", broken):
        crashed = Program(site, tokens[0])("GET", "/status")
    assert crashed.status_code == 500
    assert "Traceback" in caplog.text
    for path in ("/tokens", "/partners/acme/tokens", "/system/tokens", "/audit"):
        for kind in ("text/html", "application/json"):
            answer = site.client.get(f"/smtp-admin{path}", headers={"Accept": kind})
            assert "CRM" in answer.text or path.startswith("/system")
            searched.append(answer.text)
    for arguments in (["list", "--all"], ["list", "--all", "--json"]):
        done = site.app.test_cli_runner().invoke(args=["smtp-admin", "tokens", *arguments])
        searched.append(done.output)
    kept = "".join(str(cells) for rows in dump(site).values() for cells in rows)
    in_redis = redis.dump_text().decode("utf-8", "backslashreplace")
    searched += [crashed.text, kept, in_redis, caplog.text, *capfd.readouterr()]
    searched += [f"{one.msg!r} {one.args!r}" for one in caplog.records]
    whole = "\n".join(searched)
    assert "CRM" in whole
    assert [one for one in secrets if one in whole] == []
    assert {one.action for one in site.db.session.scalars(select(Audit))} >= {"token.created"}
