"""The keys of senders that call an API are found nowhere, although the provider repeats them."""

import base64
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smtp_admin.delivery.shared_redis import redis_client
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import queue
from tests.servers.databases import sqlite_url
from tests.servers.mailgun import DOMAIN, KEY, MailgunAPI, refusal
from tests.servers.provider_api import Call, Response
from tests.servers.redis_server import RedisServer
from tests.servers.ses import KEY_ID, REGION, SECRET, SESAPI, error

PAGE = "/smtp-admin/partners/acme"
JSON, HTML = {"Accept": "application/json"}, {"Accept": "text/html"}


class _Case:
    """One driver: its API, what is filled in, and its secret."""

    def __init__(self, name: str) -> None:
        self.api: Any = MailgunAPI() if name == "mailgun" else SESAPI()
        self.name = name
        self.secret = KEY if name == "mailgun" else SECRET
        self.form = {
            "mailgun": {"mailgun_region": "us", "mailgun_domain": DOMAIN, "mailgun_key": KEY},
            "ses": {"ses_region": REGION, "ses_key_id": KEY_ID, "ses_secret": SECRET},
        }[name] | {"driver": name, "from_email": "noreply@acme.example"}

    def repeat(self, call: Call) -> Response:
        """A refusal that says everything that it was told."""
        words = f"you said {self.secret} and {call.headers['authorization']}, that is {self.coded}"
        if self.name == "mailgun":
            return refusal(403, words)
        return error("MessageRejected", words, 403)

    @property
    def coded(self) -> str:
        return base64.b64encode(self.secret.encode()).decode().rstrip("=")

    @property
    def needles(self) -> tuple[bytes, ...]:
        header = base64.b64encode(f"api:{self.secret}".encode()).rstrip(b"=")
        return self.secret.encode(), self.coded.encode(), header


@pytest.fixture(params=["mailgun", "ses"])
def case(request: pytest.FixtureRequest) -> Iterator[_Case]:
    made = _Case(request.param)
    with made.api.server:
        yield made


def test_no_key_is_kept_or_shown(
    case: _Case,
    new_app: Callable[..., HostApp],
    tmp_path: Path,
    redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    host = new_app(
        uri=sqlite_url(tmp_path),
        REDIS_URL=redis.url,
        API_ENDPOINTS={case.name: case.api.server.url},
    )
    host.actor = ADMIN
    searched: dict[str, bytes] = {}
    with host.app.app_context():
        saved = host.client.post(PAGE, data=case.form | {"revision": "0"}, headers=HTML)
        assert saved.status_code == 303, saved.text
        case.api.answer = case.repeat
        tested = host.client.post(f"{PAGE}/test-connection", json=case.form, headers=JSON)
        assert tested.status_code == 400
        assert "*****" in tested.text, "it was repeated, and taken out"
        searched["test"] = tested.data
        queue(host)
        host.work()
        for path in ("", "/history", "/explain", "/symptoms"):
            searched[f"page {path}"] = host.client.get(f"{PAGE}{path}", headers=HTML).data
        searched["mail"] = host.client.get("/smtp-admin/mail", headers=JSON).data
        host.db.session.remove()
        host.db.engine.dispose()
    searched["database"] = b"".join(
        file.read_bytes() for file in tmp_path.iterdir() if file.is_file()
    )
    client = redis_client(redis.url)
    searched["redis"] = b"".join(key + (client.dump(key) or b"") for key in client.scan_iter("*"))
    client.close()
    searched["log"] = caplog.text.encode()
    assert b"paused" in searched["log"]
    found = [
        (where, needle) for where, what in searched.items() for needle in case.needles
        if needle in what
    ]  # fmt: skip
    assert found == []
