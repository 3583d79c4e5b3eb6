"""The metrics, read by Prometheus's own parser, and the dashboard that shows them."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from smtp_admin.clock import now
from smtp_admin.delivery.models import Counter
from smtp_admin.monitor import metrics
from tests.alerts.watching import a_worker, break_sender, look
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.delivery.workbench import queue
from tests.servers.scripted import Reply, ScriptedServer
from tests.test_docs import coded, rows, section

ROOT = Path(__file__).parents[2]
URL = "/smtp-admin/metrics"
TOKEN = "a-token-for-prometheus"

Sample = tuple[str, tuple[tuple[str, str], ...]]


def read(host: HostApp) -> dict[Sample, float]:
    host.db.session.rollback()
    answer = host.client.get(URL)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[Sample, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for one in family.samples:
            key = (one.name, tuple(sorted(one.labels.items())))
            assert key not in found, key
            found[key] = one.value
    return found


def value(found: dict[Sample, float], name: str, **labels: str) -> float:
    return found[f"smtp_admin_{name}", tuple(sorted(labels.items()))]


def test_the_numbers(each: HostApp, server: ScriptedServer) -> None:
    each.save_sender("", port=server.port)
    each.save_sender("acme", port=server.port, max_per_hour=10, max_per_day=100)
    each.save_sender("globex")
    break_sender(each, "globex")
    for _ in range(3):
        queue(each)
    queue(each, partner_id="initech")  # goes by the system's
    each.work()
    server.behave("rcpt", Reply("550 5.1.1 no such user"))
    queue(each)
    each.work()
    queue(each, partner_id="globex")
    look(each)
    with a_worker(each.app):
        found = read(each)
    acme = {"partner": "acme", "sender": "acme/default"}
    assert value(found, "mails_sent_total", **acme) == 3
    assert value(found, "mails_failed_total", **acme) == 1
    assert value(found, "mails_dead_total", **acme) == 1
    assert value(found, "mails_sent_total", partner="initech", sender="/default") == 1
    assert value(found, "queue_mails", state="queued") == 1
    assert value(found, "queue_mails", state="dead") == 1
    assert value(found, "queue_mails", state="sending") == 0
    assert 0 <= value(found, "oldest_pending_seconds") < 60
    assert value(found, "limit_max", window="hour", **acme) == 10
    assert value(found, "limit_used", window="hour", **acme) == 3
    assert value(found, "limit_used", window="day", **acme) == 3
    assert value(found, "workers") == 1
    assert value(found, "alerts_open", kind="sender_stopped") == 1
    assert value(found, "alerts_open", kind="no_worker") == 0
    globex = {"partner": "globex", "sender": "globex/default"}
    assert value(found, "sender_state", state="stopped", tone="bad", **globex) == 1
    assert value(found, "sender_waiting_mails", **globex) == 1
    assert value(found, "sender_state", state="delivering", tone="good", **acme) == 1


def test_without_anything(host: HostApp) -> None:
    found = read(host)
    assert value(found, "queue_mails", state="queued") == 0
    assert value(found, "oldest_pending_seconds") == 0
    assert value(found, "workers") == 0


def test_while_redis_is_away_nothing_is_said_of_workers(
    new_app: Callable[..., HostApp], closed_port: int
) -> None:
    made = new_app(REDIS_URL=f"redis://127.0.0.1:{closed_port}/0")
    made.actor = ADMIN
    with made.app.app_context():
        assert ("smtp_admin_workers", ()) not in read(made)


def test_odd_names_stay_labels(host: HostApp) -> None:
    host.db.session.add(
        Counter(sender_id=1, partner_id='a"b\\c\nd{}', span=1, minute=now(), sent=7)
    )
    host.db.session.commit()
    found = read(host)
    assert value(found, "mails_sent_total", partner='a"b\\c\nd{}', sender="/default") == 7


def test_what_is_beyond_is_told_together(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MOST_SERIES", 3)
    for number in range(5):
        host.save_sender(key=f"sender-{number}", max_per_hour=10)
        host.db.session.add(
            Counter(sender_id=1, partner_id=f"p{number}", span=1, minute=now(), sent=1)
        )
    host.db.session.commit()
    found = read(host)
    sent = [labels for name, labels in found if name == "smtp_admin_mails_sent_total"]
    assert len(sent) == 4
    others = {"partner": "/others", "sender": "/others"}
    assert value(found, "mails_sent_total", **others) == 2
    for name in ("sender_state", "limit_max"):
        assert len([one for one in found if one[0] == f"smtp_admin_{name}"]) == 3


@pytest.mark.usefixtures("nothing_by_the_clock")
def test_the_number_of_queries_does_not_grow(host: HostApp) -> None:
    counts = []
    asked: list[str] = []
    event.listen(host.db.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    for number in range(3):
        for one in range(number * 5, number * 5 + 5):
            host.save_sender(key=f"sender-{one}", max_per_hour=10)
        read(host)
        asked.clear()
        read(host)
        counts.append(len(asked))
    assert counts[0] == counts[1] == counts[2]


@pytest.fixture
def with_token(new_app: Callable[..., HostApp]) -> Iterator[HostApp]:
    made = new_app(METRICS_TOKEN=TOKEN)
    with made.app.app_context():
        yield made


@pytest.mark.parametrize(
    ("header", "status"),
    [(f"Bearer {TOKEN}", 200), (f"bearer {TOKEN}", 200), (None, 401), ("", 401), ("Bearer", 401),
     ("Bearer ", 401), (f"Bearer {TOKEN}x", 401), (f"Bearer {TOKEN[:-1]}", 401), (TOKEN, 401),
     (f"Basic {TOKEN}", 401), ("Bearer ü", 401)],
)  # fmt: skip
def test_the_token(with_token: HostApp, header: str | None, status: int) -> None:
    headers = {"Authorization": header} if header is not None else {}
    assert with_token.client.get(URL, headers=headers).status_code == status


def test_without_a_token_in_the_configuration_none_fits(host: HostApp) -> None:
    host.actor = None
    for header in ("Bearer ", "Bearer", "Bearer None"):
        assert host.client.get(URL, headers={"Authorization": header}).status_code == 401


def test_a_partners_admin_does_not_read_them(host: HostApp) -> None:
    host.actor = ACME_ADMIN
    assert host.client.get(URL).status_code == 403


# --- Documentation -------------------------------------------------------------------------------


def families(host: HostApp) -> dict[str, set[str]]:
    """Every name of a sample, with its labels."""
    host.save_sender(max_per_hour=10)
    host.db.session.add(Counter(sender_id=1, partner_id="acme", span=1, minute=now(), sent=1))
    host.db.session.commit()
    return {name: {one for one, _ in labels} for name, labels in read(host)}


def test_the_table_of_families_is_complete(host: HostApp) -> None:
    documented = {
        name: set(coded(row[1]))
        for row in rows(section("docs/alerts.md", "Metrics"))
        for name in coded(row[0])
    }
    assert documented == families(host)


def test_the_dashboard_asks_for_what_exists(host: HostApp) -> None:
    known = families(host)
    board: Any = json.loads((ROOT / "docs/grafana-dashboard.json").read_text("utf-8"))
    asked = [one["expr"] for panel in board["panels"] for one in panel["targets"]]
    assert len(asked) > 10
    used = set()
    for expression in asked:
        names = re.findall(r"smtp_admin_\w+", expression)
        assert names, expression
        used |= set(names)
        labels = set().union(*(known[name] for name in names))
        for listed in re.findall(r"by \(([^)]*)\)", expression):
            assert set(listed.split(", ")) <= labels, expression
        assert set(re.findall(r"(\w+)=~?\"", expression)) <= labels, expression
    assert used == set(known)
