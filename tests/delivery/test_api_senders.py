"""Senders that call an API, from the queue to the mail's page; and a worker that dies."""

import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.clock import now
from smtp_admin.delivery.maintenance.rescue import rescue
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import Workbench
from tests.endurance.mortal import Mortal
from tests.endurance.sites import AnySite, lose_leases, queue_each, states
from tests.servers.databases import sqlite_url
from tests.servers.mailgun import DOMAIN, KEY, MailgunAPI, Posted, refusal
from tests.servers.provider_api import Response
from tests.servers.redis_server import RedisServer
from tests.servers.ses import KEY_ID, REGION, SECRET, SESAPI, error

LATER = timedelta(minutes=2)


@pytest.fixture
def api() -> Iterator[MailgunAPI]:
    api = MailgunAPI()
    with api.server:
        yield api


def save(host: HostApp, **more: Any) -> ResolvedSender:
    """Acme's sender, which posts to Mailgun."""
    values = {"driver": "mailgun", "mailgun_region": "eu", "mailgun_domain": DOMAIN}
    return host.save_sender(**(values | more), secrets={"mailgun_key": KEY})


def ids(host: HostApp) -> dict[str, str]:
    """Recipient → what Mailgun calls the mail."""
    host.db.session.rollback()
    rows = host.db.session.execute(select(Delivery.recipient, Delivery.provider_message_id))
    return {row[0]: row[1] for row in rows}


@pytest.fixture
def new_host(opened: Callable[..., HostApp], database: str, api: MailgunAPI) -> HostApp:
    return opened(uri=database, API_ENDPOINTS={"mailgun": api.server.url})


def test_mail_goes_out_and_its_names_are_kept(
    new_host: HostApp, bench_of: Callable[..., Workbench], api: MailgunAPI
) -> None:
    """Our Message-ID stays, and each mail has the id that Mailgun gave to it."""
    host = new_host
    save(host)
    queue_each(host, ("mia@example.org", "tom@example.org", "sam@example.org"))
    bench_of(host).work()
    assert states(host) == {"sent": 3}
    assert set(ids(host)) == {one.recipient for one in api.posted}
    assert len(set(ids(host).values())) == 3
    assert all(name.endswith(f"@{DOMAIN}") for name in ids(host).values())
    ours = set(host.db.session.scalars(select(Message.message_id)))
    assert {message_from_bytes(one.content)["Message-ID"] for one in api.posted} == ours
    host.actor = ADMIN
    public_id = host.db.session.scalars(select(Message.public_id)).first()
    page = host.client.get(f"/smtp-admin/mail/{public_id}", headers={"Accept": "text/html"}).text
    assert DOMAIN in page.partition("The provider’s id")[2][:300]


@pytest.fixture
def on_sqlite(opened: Callable[..., HostApp], tmp_path: Path, api: MailgunAPI) -> HostApp:
    return opened(uri=sqlite_url(tmp_path), API_ENDPOINTS={"mailgun": api.server.url})


def test_what_the_provider_says_pauses_the_sender(
    on_sqlite: HostApp, bench_of: Callable[..., Workbench], api: MailgunAPI
) -> None:
    """As long as it asks for, and no attempt is counted."""
    host = on_sqlite
    save(host)
    queue_each(host, ("mia@example.org",))
    api.at = lambda _: refusal(429, "slow down", Retry_After="40")
    bench = bench_of(host)
    bench.work()
    sender = load_sender(host.db.session(), "acme")
    assert (sender.pause_code, states(host)) == ("rate_limited", {"queued": 1})
    assert host.db.session.scalar(select(Delivery.attempts)) == 0
    api.at = lambda _: None
    bench.tick(timedelta(seconds=41))
    bench.work()
    assert states(host) == {"sent": 1}


def test_a_key_for_another_domain_is_asked_for(on_sqlite: HostApp) -> None:
    """A stored key is posted to the region and domain that it was entered for, and nowhere else."""
    host = on_sqlite
    save(host)
    host.actor = ADMIN
    for change in ({"mailgun_domain": "mg.other.example"}, {"mailgun_region": "us"}):
        form = {"driver": "mailgun", "mailgun_region": "eu", "mailgun_domain": DOMAIN,
                "from_email": "a@acme.example", "revision": "1", **change}  # fmt: skip
        path = "/smtp-admin/partners/acme"
        answer = host.client.post(
            f"{path}/test-connection", json=form, headers={"Accept": "application/json"}
        )
        assert answer.get_json()["error"]["code"] == "password_required"
        assert host.client.post(path, data=form).status_code == 400


def test_amazon_ses_too(
    opened: Callable[..., HostApp], tmp_path: Path, bench_of: Callable[..., Workbench]
) -> None:
    """Each mail with its id; a daily quota that is used up rests the sender for hours."""
    ses = SESAPI()
    with ses.server:
        host = opened(uri=sqlite_url(tmp_path), API_ENDPOINTS={"ses": ses.server.url})
        host.save_sender(
            driver="ses", ses_region=REGION, ses_key_id=KEY_ID, secrets={"ses_secret": SECRET}
        )
        queue_each(host, ("mia@example.org", "tom@example.org"))
        bench = bench_of(host)
        bench.work()
        assert states(host) == {"sent": 2}
        assert len(set(ids(host).values())) == 2
        assert all(name.startswith("0107") for name in ids(host).values())
        full = error("TooManyRequestsException", "Daily message quota exceeded.", 429)
        ses.at = lambda _: full
        queue_each(host, ("sam@example.org",))
        bench.work()
        sender = load_sender(host.db.session(), "acme")
        assert sender.pause_code == "rate_limited"
        assert sender.paused_until is not None
        assert (sender.paused_until - now()).total_seconds() > 3 * 3600


# --- A worker that dies ---------------------------------------------------------------------------


def test_a_killed_worker_repeats_one_mail(
    tmp_path: Path,
    redis_server: RedisServer,
    bench_of: Callable[..., Workbench],
    api: MailgunAPI,
) -> None:
    """It dies while Mailgun has the third mail and has not answered."""
    redis_server.start()
    redis_server.flush()
    site = AnySite(
        tmp_path, redis_server.url, sqlite_url(tmp_path),
        API_ENDPOINTS={"mailgun": api.server.url},
    )  # fmt: skip

    def hang_at_the_third(mail: Posted) -> Response | None:
        return Response(hang=True) if mail.recipient.startswith("r2@") else None

    api.at = hang_at_the_third
    with site.opened() as host:
        save(host, max_connections=1)
        queue_each(host, (f"r{number}@example.org" for number in range(6)))
        with Mortal(site.folder, "--burst", "--concurrency", "1") as worker:
            assert api.server.hangs.wait(60), worker.output
            worker.signal(signal.SIGKILL)
        api.at = lambda _: None
        assert lose_leases(host) == 1
        bench = bench_of(host)
        rescue(host.db.engine, bench.redis)
        assert states(host) == {"sent": 2, "uncertain": 1, "queued": 3}
        named = {one for one, name in ids(host).items() if name}
        assert named == {"r0@example.org", "r1@example.org"}, "the journal knows the names too"
        bench.tick(LATER)
        bench.work()
        assert states(host) == {"sent": 6}
        assert all(ids(host).values())
    posted = [one.recipient for one in api.posted]
    assert sorted(posted) == sorted([*(f"r{number}@example.org" for number in range(6)),
                                     "r2@example.org"])  # fmt: skip
    again = [one.content for one in api.posted if one.recipient.startswith("r2@")]
    assert again[0] == again[1]
