"""Once a day a worker imports the lists of all providers; one in trouble holds up no other."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from smtp_admin.audit.models import Audit
from smtp_admin.clock import shifted
from smtp_admin.database import host_engine, worker_engine
from smtp_admin.delivery.maintenance.provider_lists import import_lists
from smtp_admin.monitor.check_lists import lists
from smtp_admin.suppression.models import ProviderList, Suppression
from tests.app import HostApp
from tests.delivery.workbench import deliveries, queue
from tests.servers.provider_api import Response
from tests.servers.redis_server import RedisServer
from tests.suppression.conftest import Opened
from tests.suppression.lifting import PAGE
from tests.suppression.providers import ALL_PROVIDERS, Mailgun, Postmark, SendGrid
from tests.worker.running import PROMPTLY, Site, until

HTML = {"Accept": "text/html"}


def _never() -> bool:
    return False


@pytest.fixture
def worker(opened: Opened) -> Iterator[tuple[HostApp, Engine, list[Mailgun | SendGrid | Postmark]]]:
    """A host whose three senders have lists, and the engine of a worker."""
    mailgun, sendgrid, postmark = Mailgun(), SendGrid(), Postmark()
    with mailgun.api.server, sendgrid.api.server, postmark.api.server:
        host = opened(mailgun, sendgrid, postmark)
        engine = worker_engine(host_engine(), pool_size=2)
        yield host, engine, [mailgun, sendgrid, postmark]
        engine.dispose()


def _fail(*_: object) -> None:
    raise LookupError("nobody thought of this")


def rows_of(host: HostApp) -> dict[str, ProviderList]:
    host.db.session.rollback()
    host.db.session.expire_all()
    return {one.provider: one for one in host.db.session.scalars(select(ProviderList))}


def ours(host: HostApp) -> set[str]:
    host.db.session.rollback()
    return {*host.db.session.scalars(select(Suppression.address))}


def page(host: HostApp) -> str:
    return host.client.get(PAGE, headers=HTML).text


def test_every_day_all_of_them(worker: tuple[HostApp, Engine, list[Mailgun]]) -> None:
    host, engine, (mailgun, sendgrid, postmark) = worker
    for number, one in enumerate((mailgun, sendgrid, postmark)):
        one.put(f"{number}@example.org")
    queue(host, "2@example.org")
    assert "Imported automatically once a day." in page(host)
    assert import_lists(engine, _never) == 3
    assert ours(host) == {"0@example.org", "1@example.org", "2@example.org"}
    assert deliveries(host)[0].state == "suppressed"
    assert {one.new for one in rows_of(host).values()} == {1}
    assert "of which new: 1." in page(host)
    assert import_lists(engine, _never) == 0, "not again on the same day"
    done = host.db.session.scalars(select(Audit).where(Audit.action == "suppression.imported"))
    assert {(one.actor_id, one.detail) for one in done} == {
        ("operator", f"{one.label}: 1 new of 1") for one in (mailgun, sendgrid, postmark)
    }
    assert [one.status for one in lists()] == ["ok"]
    with shifted(timedelta(hours=25)):
        assert import_lists(engine, _never) == 3
    assert {one.new for one in rows_of(host).values()} == {0}


def test_one_in_trouble_holds_up_no_other(
    worker: tuple[HostApp, Engine, list[Mailgun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, engine, (mailgun, sendgrid, postmark) = worker
    mailgun.api.answer = lambda _: Response.of({"message": "boom"}, 500)
    sendgrid.only_send()
    postmark.put("mia@example.org")
    assert import_lists(engine, _never) == 3
    assert ours(host) == {"mia@example.org"}
    found = rows_of(host)
    failed, refused, fine = found["Mailgun"], found["SendGrid"], found["Postmark"]
    assert (failed.failures, failed.refused, failed.imported_at) == (1, False, None)
    assert failed.trouble == "Mailgun, list “bounces”: 500 boom."
    assert (refused.failures, refused.refused) == (0, True)
    assert (fine.failures, fine.trouble, fine.addresses) == (0, "", 1)
    shown = page(host)
    assert "The last import failed: Mailgun, list “bounces”: 500 boom." in shown
    assert "The key may not read it: SendGrid, list “bounces”: 40" in shown
    (check,) = lists()
    assert (check.status, check.subject) == ("warning", "partner acme")
    # What failed is tried again within the hour, and ever later; a key that may not, next day.
    for hours, tried in ((0.5, 0), (1.1, 1), (2.2, 0), (3.3, 1)):
        with shifted(timedelta(hours=hours)):
            assert import_lists(engine, _never) == tried, hours
    mailgun.api.answer = lambda _: None
    mailgun.put("tom@example.org")
    with shifted(timedelta(hours=12)):
        assert import_lists(engine, _never) == 1
    assert rows_of(host)["Mailgun"].trouble == ""
    # Even what nobody thought of.
    monkeypatch.setattr("smtp_admin.delivery.maintenance.provider_lists.rows_of", _fail)
    with shifted(timedelta(hours=48)):
        assert import_lists(engine, _never) == 3
    assert "LookupError" in rows_of(host)["Postmark"].trouble


def test_two_workers_ask_once(worker: tuple[HostApp, Engine, list[Mailgun]]) -> None:
    host, engine, senders = worker
    asked = 0

    def other_worker(_: object) -> None:
        nonlocal asked
        if not asked:
            asked += 1
            with host.app.app_context():
                asked += import_lists(engine, _never)

    senders[0].api.answer = other_worker  # it answers as usual
    # The other one takes the two that are not under way.
    assert (import_lists(engine, _never), asked) == (1, 3)
    assert [len(one.api.server.calls) for one in senders] == [3, 4, 1], "the pages of each"


@pytest.mark.parametrize("config", [{"IMPORT_SUPPRESSIONS": "no"}, {"SANDBOX": "redirect:me@x.de"}])
def test_nobody_is_asked(opened: Opened, config: dict[str, str]) -> None:
    provider = ALL_PROVIDERS[0]()
    with provider.api.server:
        opened(provider, **config)
        engine = worker_engine(host_engine(), pool_size=1)
        assert import_lists(engine, _never) == 0
        assert provider.api.server.calls == []
        engine.dispose()


def test_a_worker_does_it(tmp_path: Path, redis: RedisServer) -> None:
    provider = Mailgun()
    with provider.api.server:
        site = Site(tmp_path, redis.url, API_ENDPOINTS={"mailgun": provider.api.server.url})
        provider.put("mia@example.org")
        with site.opened() as host:
            provider.save(host)
            with site.worker() as worker:
                assert until(lambda: ours(host) == {"mia@example.org"}), worker.output
                assert until(lambda: rows_of(host)["Mailgun"].imported_at is not None), "noted"
                assert worker.stop() < PROMPTLY
