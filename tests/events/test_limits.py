"""How much one webhook takes, and that a noisy owner leaves room for all others."""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy import event as sql_event
from sqlalchemy import select
from werkzeug.test import TestResponse

from smtp_admin.clock import shifted
from smtp_admin.database import database_now, transaction
from smtp_admin.events import turns, webhooks
from smtp_admin.events.applying import apply_waiting
from smtp_admin.events.event import Event
from smtp_admin.events.models import MailEvent
from smtp_admin.monitor.alerts.models import Alert
from smtp_admin.senders.resolve import load_sender
from tests.alerts.watching import alerts, look
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.delivery.conftest import NewHost
from tests.events.conftest import Hook
from tests.events.hooking import STANDARD_SECRET, Hooked, generic, standard_headers
from tests.events.test_applying import event, tell
from tests.servers.redis_server import RedisServer


def post(site: Hooked, path: str, *, count: int = 1, secret: str = STANDARD_SECRET) -> TestResponse:
    """Post so many new events at once."""
    told = [generic("delivered", recipient=f"{uuid4().hex}@example.org") for _ in range(count)]
    body = json.dumps(told).encode()
    return site.post(path, body, standard_headers(body, secret=secret))


def test_a_noisy_webhook_is_told_to_wait(opened: NewHost, hook: Hook, redis: RedisServer) -> None:
    site = hook(opened(EVENT_LIMIT="100 per minute"))
    mine = site.turn_on("generic", secret=STANDARD_SECRET)
    theirs = site.turn_on("generic", "globex", secret=STANDARD_SECRET)
    assert post(site, mine, count=60).status_code == 200
    # A batch that is larger than what is left comes in as a whole.
    assert post(site, mine, count=60).status_code == 200
    body = json.dumps(generic("delivered", recipient="late@example.org")).encode()
    for _ in range(3):
        over = site.post(mine, body, standard_headers(body))
        assert (over.status_code, over.json and over.json["error"]["code"]) == (429, "rate_limited")
        assert 1 <= int(over.headers["Retry-After"]) <= 60
    assert len(site.events()) == 120
    # It is shown, and not written for each.
    assert (site.webhook().bad, site.webhook().last_bad_code) == (1, "too_many")
    page = site.client.get("/smtp-admin/partners/acme/webhook", headers={"Accept": "text/html"})
    assert "More events arrived than are accepted at a time." in page.text
    assert post(site, theirs).status_code == 200
    with Redis.from_url(redis.url) as client:
        keys: Any = client.keys("*:events:*")
        assert len(keys) == 4, "a minute and a day of each"
        client.delete(*keys)  # as its minute ends
    assert site.post(mine, body, standard_headers(body)).status_code == 200
    assert [one.recipient for one in site.events()].count("late@example.org") == 1


def _second_sender(site: Hooked) -> str:
    """The address of a webhook of another sender of acme's."""
    site.host.save_sender("acme", key="news")
    session = site.host.db.session()
    news = load_sender(session, "acme", "news")
    row, _ = webhooks.turn_on(session, news, "generic", ADMIN)
    webhooks.change(session, news, row, ADMIN, secret=STANDARD_SECRET, topic=None)
    session.commit()
    return f"/hooks/email/generic/{webhooks.key_of(row, news)}"


def test_more_senders_are_no_more_room(opened: NewHost, hook: Hook) -> None:
    """A partner shares its limit among them; the system's webhooks have one each."""
    site = hook(opened(EVENT_LIMIT="2 per minute"))
    paths = [site.turn_on("generic", owner, secret=STANDARD_SECRET) for owner in ("acme", "")]
    other = _second_sender(site)
    wanted = {paths[0]: [200, 200, 429], other: [429], paths[1]: [200, 200, 429]}
    for path, statuses in wanted.items():
        assert [post(site, path).status_code for _ in statuses] == statuses


def test_a_day_has_an_end(opened: NewHost, hook: Hook) -> None:
    """What is kept fills the table of all; the system's own provider is believed."""
    site = hook(opened(EVENT_DAY_LIMIT=100))
    for owner, last in (("acme", 429), ("", 200), ("globex", 200)):
        path = site.turn_on("generic", owner, secret=STANDARD_SECRET)
        assert post(site, path, count=70).status_code == 200
        assert owner == "globex" or post(site, path, count=70).status_code == 200
        answer = post(site, path)
        assert answer.status_code == last, owner
        if last != 200:
            assert 3600 < int(answer.headers["Retry-After"]) <= 24 * 3600
    assert site.webhook().last_bad_code == "too_many"


def over_limit(host: HostApp) -> list[Alert]:
    return [one for one in alerts(host) if one.kind == "events_over_limit"]


def test_an_alert_when_the_day_is_used_up(opened: NewHost, hook: Hook) -> None:
    """One for all webhooks of a partner, until there is room again; a rate adds nothing to it."""
    site = hook(opened(EVENT_DAY_LIMIT=2, EVENT_LIMIT="4 per minute"))
    paths = [_second_sender(site), site.turn_on("generic", secret=STANDARD_SECRET)]
    statuses = [post(site, path).status_code for path in paths * 3]
    assert statuses == [200, 200, 429, 429, 429, 429]
    with shifted(timedelta(minutes=2)):  # they are over the limit of a minute too by now
        assert [post(site, path).status_code for path in paths] == [429, 429]
    look(site.host)
    (alert,) = over_limit(site.host)
    assert (alert.partner_id, alert.sender_id, alert.whose) == ("acme", 0, "partner Acme GmbH")
    assert alert.detail.startswith("2 events came in a day, and no more are accepted until ")
    for host_actor in (ADMIN, ACME_ADMIN):
        site.host.actor = host_actor
        page = site.client.get("/smtp-admin/alerts", headers={"Accept": "text/html"}).text
        assert "More events arrive at webhooks than are accepted" in page
        assert re.search(r'href="/smtp-admin/partners/acme/(senders/news/)?webhook"', page)
    look(site.host, timedelta(hours=23))
    assert over_limit(site.host)[0].cleared_at is None
    look(site.host, timedelta(hours=25))
    look(site.host, timedelta(hours=25, minutes=6))
    assert over_limit(site.host)[0].ended_at is not None


def test_an_alert_about_a_day_ends_where_the_limit_is_raised(opened: NewHost, hook: Hook) -> None:
    """Of all webhooks of its owner, by what any of them takes."""
    site = hook(opened(EVENT_DAY_LIMIT=1))
    paths = [_second_sender(site), site.turn_on("generic", secret=STANDARD_SECRET)]
    assert [post(site, path).status_code for path in paths * 2] == [200, 429, 429, 429]
    look(site.host)
    object.__setattr__(site.host.installation.config, "event_day_limit", 50)
    for minutes in (2, 10):
        with shifted(timedelta(minutes=minutes)):
            assert post(site, paths[0]).status_code == 200
        look(site.host, timedelta(minutes=minutes))
    (alert,) = over_limit(site.host)
    assert alert.ended_at is not None


def test_an_alert_when_events_come_too_fast_for_some_time(opened: NewHost, hook: Hook) -> None:
    """A burst is told again by its provider, and no alert; who forges cannot hide it."""
    site = hook(opened(EVENT_LIMIT="2 per minute"))
    paths = [site.turn_on("generic", owner, secret=STANDARD_SECRET) for owner in ("acme", "")]
    other = "whsec_" + "QUJD" * 8
    for minutes in (0, 2, 4, 6):
        with shifted(timedelta(minutes=minutes)):
            statuses = [post(site, path).status_code for path in paths * 3]
            assert statuses[-2:] == [429, 429]
            assert post(site, paths[0], secret=other).status_code == 403
        look(site.host, timedelta(minutes=minutes))
        assert len(over_limit(site.host)) == (2 if minutes == 6 else 0)
    found = {one.partner_id: one for one in over_limit(site.host)}
    assert (found[""].whose, found[""].sender_id != 0) == ("the system", True)
    assert "SMTP_ADMIN_EVENT_LIMIT" in found["acme"].detail
    for minutes in (10, 16):
        look(site.host, timedelta(minutes=minutes))
    assert all(one.ended_at is not None for one in over_limit(site.host))


def test_who_forges_takes_nothing_from_who_does_not(
    hooked: Hooked, caplog: pytest.LogCaptureFixture
) -> None:
    path = hooked.turn_on("generic", secret=STANDARD_SECRET)
    other = "whsec_" + "QUJD" * 8
    statuses = [post(hooked, path, secret=other).status_code for _ in range(64)]
    assert statuses == [403] * 60 + [429] * 4
    assert hooked.webhook().bad == 60
    assert caplog.text.count("was refused: signature") == 60
    assert post(hooked, path).status_code == 200


def test_of_a_flood_that_nobody_can_read_a_few_are_written(
    each: Hooked, caplog: pytest.LogCaptureFixture
) -> None:
    """Side by side none of them is lost, and beyond the limit there is not a write for each."""
    path = each.turn_on("generic", secret=STANDARD_SECRET)
    application = each.host.app

    def flood(_number: int) -> list[int]:
        client = application.test_client()
        return [
            client.post(path, data=b"{", headers=standard_headers(b"{")).status_code
            for _ in range(16)
        ]

    with ThreadPoolExecutor(4) as threads:
        statuses = [one for some in threads.map(flood, range(4)) for one in some]
    assert statuses == [400] * 64
    row = each.webhook()
    assert (row.unreadable, row.bad) == (60, 0)
    assert row.last_unreadable_why.startswith("This is not JSON")
    assert row.last_unreadable_at is not None
    assert caplog.text.count("could not be read: This is not JSON") == 60
    # It takes nothing from those that can be read, nor from the count of those that are forged.
    assert post(each, path).status_code == 200
    assert post(each, path, secret="whsec_" + "QUJD" * 8).status_code == 403
    assert (each.webhook().unreadable, each.webhook().bad) == (60, 1)


def test_while_redis_is_away_each_process_counts(
    opened: NewHost, hook: Hook, closed_port: int
) -> None:
    url = f"redis://127.0.0.1:{closed_port}/0"
    site = hook(opened(EVENT_LIMIT="2 per minute", REDIS_URL=url))
    path = site.turn_on("generic", secret=STANDARD_SECRET)
    assert [post(site, path).status_code for _ in range(3)] == [200, 200, 429]
    assert len(site.events()) == 2


def _in_handfuls(monkeypatch: pytest.MonkeyPatch, events: int, owners: int) -> None:
    monkeypatch.setattr(turns, "AT_ONCE", events)
    monkeypatch.setattr(turns, "_OWNERS_AT_ONCE", owners)


def _until(site: Hooked, reached: Callable[[], bool]) -> int:
    """How many transactions it took until *reached*; all events are applied in the end."""
    found: list[int] = []
    steps = 0

    def look() -> bool:
        nonlocal steps
        if not found and reached():
            found.append(steps)
        steps += 1
        return False

    site.host.db.session.rollback()
    apply_waiting(site.engine, stopping=look)
    assert found
    return found[0]


def test_owners_take_turns(each: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with a thousand events does not keep the one event of another waiting."""
    each.host.save_sender("acme")
    each.host.save_sender("globex")
    (mine,) = each.sent("me@example.org", provider_id="mine")
    (quiet,) = each.sent("you@example.org", partner_id="globex", provider_id="quiet")
    noise = [Event("opened", f"{number}", provider_id="mine") for number in range(1000)]
    tell(each, *noise, event("bounced", mine))
    tell(each, event("delivered", quiet), partner_id="globex", name="sender 2")
    _in_handfuls(monkeypatch, 50, 10)
    assert _until(each, lambda: each.state(quiet) == "delivered") == 1
    assert {one.state for one in each.events()} == {"applied"}
    assert each.state(mine) == "bounced"


def test_who_comes_meanwhile_has_a_turn(each: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody makes a list of all who wait, which would cost the more the more waits."""
    for owner in ("b", "d"):
        tell(each, *(Event("opened", f"{owner}{one}") for one in range(200)),
             partner_id=owner, name=f"sender {owner}")  # fmt: skip
    _in_handfuls(monkeypatch, 20, 2)
    chosen, seen = turns.Turns(), []
    for number in range(4):
        if number == 2:
            tell(each, Event("opened", "late"), partner_id="c", name="sender c")
        with transaction(each.engine) as session:
            ids = chosen.next_ids(session, database_now(session))
            owners = select(MailEvent.partner_id).where(MailEvent.id.in_(ids)).distinct()
            seen.append({*session.scalars(owners)})
        assert len(ids) == 20
    assert seen[:2] == [{"b", "d"}] * 2
    assert "c" in seen[2] | seen[3]


def test_a_flood_about_unknown_mail_costs_few_statements(
    each: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for all that are looked at again at the same time."""
    tell(each, *(Event("opened", f"{one}", provider_id=f"no{one}") for one in range(120)))
    statements: list[str] = []
    sql_event.listen(each.engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    assert each.apply() == 120
    assert sum(one.startswith("UPDATE smtp_admin_event") for one in statements) == 1
    assert {(one.tries, one.state) for one in each.events()} == {(1, "waiting")}


def test_many_owners_with_few_events_each(each: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are applied, in as many steps as their events need."""
    for number in range(12):
        tell(each, *(Event("opened", f"{number} {one}") for one in range(3)),
             partner_id=f"p{number}", name=f"sender {number}")  # fmt: skip
    _in_handfuls(monkeypatch, 5, 2)
    each.host.db.session.rollback()
    assert apply_waiting(each.engine) == 36
    # They are about no mail, and are looked at again later.
    assert apply_waiting(each.engine) == 0
    with shifted(timedelta(seconds=3)):
        assert apply_waiting(each.engine) == 36
