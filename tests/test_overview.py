"""The overview: one table of all senders, worst first, that costs the same for any number."""

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, update

from smtp_admin import Actor, Partner
from smtp_admin.clock import now
from smtp_admin.delivery.models import Counter, Delivery
from smtp_admin.monitor.sender_order import SORTS
from smtp_admin.monitor.sender_table import PER_PAGE, Asked
from smtp_admin.sender_state.basis import Facts
from smtp_admin.sender_state.state import KEYS, NAMES, Key, State, Tone
from smtp_admin.senders import pauses
from smtp_admin.senders.models import Sender, SenderRevision
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import delete_sender
from tests.app import ACME_ADMIN, ADMIN, HostApp, make_app
from tests.delivery.workbench import queue, sender_row
from tests.sender_state.scenes import a_worker
from tests.servers.redis_server import RedisServer

HTML = {"Accept": "text/html"}
PREFIX = "/smtp-admin"


def have_partners(host: HostApp, count: int) -> list[Partner]:
    """Let the host have so many partners, named by number."""
    found = [Partner(f"p{number}", f"Partner {number:03}") for number in range(count)]
    vars(host.host)["partners"] = lambda: found
    return found


def page(host: HostApp, query: str = "", path: str = "/") -> str:
    answer = host.client.get(f"{PREFIX}{path}{query}", headers=HTML)
    assert answer.status_code == 200
    return answer.text


def rows(text: str) -> list[str]:
    """The rows of the table, as words."""
    return [
        " ".join(html.unescape(re.sub(r"<[^>]+>", " ", one)).split())
        for one in re.findall(r'<tr role="row">\s*<th scope="row".*?</tr>', text, re.DOTALL)
    ]


def owners(text: str) -> list[str]:
    """Whose the rows are, in their order."""
    found = re.findall(r'<th scope="row"[^>]*><a href="[^"]*">(.*?)</a>', text)
    return [html.unescape(re.sub("<[^>]+>", "", one)) for one in found]


def pause(host: HostApp, partner_id: str, **values: Any) -> None:
    """Let a sender have paused itself."""
    usual = {"paused_until": now() + timedelta(hours=1), "pause_code": "unreachable",
             "pause_reason": "The server does not answer."}  # fmt: skip
    session = host.db.session()
    session.execute(update(Sender).where(Sender.partner_id == partner_id).values(usual | values))
    session.commit()


def sent(host: HostApp, partner_id: str, count: int, failed: int = 0, seconds: float = 1) -> None:
    """Let a partner's sender have sent."""
    session = host.db.session()
    session.add(
        Counter(sender_id=sender_row(host, partner_id).id, partner_id=partner_id, span=1,
                minute=now() - timedelta(minutes=30), sent=count, failed=failed,
                seconds=seconds * count)
    )  # fmt: skip
    session.commit()


def made_dead(host: HostApp, partner_id: str, count: int) -> None:
    queue(host, *(f"{n}@else.example" for n in range(count)), partner_id=partner_id)
    session = host.db.session()
    session.execute(update(Delivery).where(Delivery.partner_id == partner_id).values(state="dead"))
    session.commit()


@contextmanager
def statements(host: HostApp) -> Iterator[list[str]]:
    found: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    event.listen(host.db.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(host.db.engine, "before_cursor_execute", note)


@pytest.mark.usefixtures("nothing_by_the_clock")
@pytest.mark.parametrize("actor", ["platform", "partners"])
def test_the_number_of_queries_does_not_grow(host: HostApp, actor: str) -> None:
    def count(partners: int) -> dict[str, int]:
        have_partners(host, partners)
        if actor == "partners":
            ids = frozenset(f"p{number}" for number in range(partners))
            host.actor = Actor(id="9", email="a@b.example", partner_ids=ids)
        page(host)  # what was saved since is made once
        counts = {}
        for sort in SORTS:
            host.db.session.remove()
            with statements(host) as found:
                page(host, f"?sort={sort}")
            counts[sort] = len(found)
        return counts

    host.save_sender("")
    for number in range(60):
        host.save_sender(f"p{number}", max_per_hour=50, max_per_day=50)
        if number % 7 == 0:
            host.save_sender(f"p{number}", key="news")
            sent(host, f"p{number}", 5, 1)
            made_dead(host, f"p{number}", 2)
            pause(host, f"p{number}")
        elif number % 5 == 0:
            queue(host, partner_id=f"p{number}")
    few, many = count(3), count(60)
    assert few == many
    assert max(few.values()) < 25


def test_the_order_of_states_is_whole_and_named() -> None:
    assert set(NAMES) == set(KEYS)

    def urgency(key: Key, tone: Tone) -> tuple[int, int]:
        return State(key, tone, Facts(now(), waiting=1), lambda: ("", "")).urgency

    tones: tuple[Tone, ...] = ("bad", "warn", "off", "good", "ready")
    assert len({urgency(key, tone) for key in KEYS for tone in tones}) == len(KEYS) * len(tones)
    assert urgency("stopped", "bad") < urgency("limit", "warn") < urgency("delivering", "good")


@pytest.fixture
def busy(host: HostApp) -> Iterator[HostApp]:
    """Five partners: two are in trouble, one is paused by hand, one is well, one has no sender."""
    have_partners(host, 5)
    for partner_id in ("", "p0", "p1", "p2", "p3"):
        host.save_sender(partner_id, host=f"mail.{partner_id or 'platform'}.example")
    session = host.db.session()
    for partner_id in ("p0", "p3"):
        pause(host, partner_id)
    pause(host, "p3", paused_until=now() + timedelta(days=3650), pause_code="auth_failed",
          pause_reason="The login is refused.")  # fmt: skip
    pauses.pause(session, load_sender(session, "p1"), ADMIN)
    session.execute(update(Sender).where(Sender.partner_id == "p2").values(last_accepted_at=now()))
    session.commit()
    with a_worker(host.app):
        yield host


def test_the_worst_comes_first(busy: HostApp) -> None:
    wanted = ["Partner 003", "Partner 000", "Partner 001", "Partner 002", "System e-mail",
              "Partner 004"]  # fmt: skip
    text = page(busy)
    assert owners(text) == wanted
    assert owners(page(busy, "?sort=-state")) == [
        "Partner 004", "System e-mail", "Partner 002", "Partner 001", "Partner 000", "Partner 003",
    ]  # fmt: skip
    shown = rows(text)
    assert "Stopped until the login is corrected The login is refused. Troubleshooting" in shown[0]
    assert "Troubleshooting" not in shown[3]
    assert "Using the system's sender" in shown[5]
    assert "mail.p3.example" in shown[0]


def test_more_waiting_mail_is_worse_and_names_decide_at_last(busy: HostApp) -> None:
    for partner_id in ("p0", "p1", "p2"):
        pause(busy, partner_id, pause_code="unreachable")
    queue(busy, "a@else.example", "b@else.example", partner_id="p2")
    assert owners(page(busy))[:4] == ["Partner 003", "Partner 002", "Partner 000", "Partner 001"]


def test_what_somebody_has_to_do_decides(host: HostApp) -> None:
    """Not set up is no trouble before mail waits; dead letters are, at a sender that is well."""
    have_partners(host, 6)
    for partner_id in ("p1", "p2", "p3", "p4"):
        host.save_sender(partner_id)
    session = host.db.session()
    for partner_id in ("p1", "p2"):
        pauses.pause(session, load_sender(session, partner_id), ADMIN)
    session.commit()
    made_dead(host, "p3", 2)
    queue(host, partner_id="p2")
    queue(host, partner_id="p5")
    with a_worker(host.app):
        assert owners(page(host)) == [
            "System e-mail", "Partner 005", "Partner 003", "Partner 002", "Partner 001",
            "Partner 000", "Partner 004",
        ]  # fmt: skip


NUMBERS = {
    "queued": ("p1", "1"), "sent": ("p2", "7"), "failed": ("p0", "4"), "dead": ("p3", "3"),
    "limit": ("p2", "0 of 50"), "average": ("p0", "9.0 s"),
}  # fmt: skip


@pytest.mark.parametrize("sort", NUMBERS)
def test_the_most_comes_first(busy: HostApp, sort: str) -> None:
    sent(busy, "p2", 7)
    sent(busy, "p0", 2, 4, seconds=9)
    queue(busy, partner_id="p1")
    made_dead(busy, "p3", 3)
    busy.save_sender("p2", max_per_hour=50)
    partner_id, number = NUMBERS[sort]
    text = page(busy, f"?sort={sort}")
    assert owners(text)[0] == f"Partner 00{partner_id[1:]}"
    assert number in rows(text)[0]
    assert text.count('aria-sort="descending"') == 1
    assert text.count("aria-sort=") == 1
    assert f"?sort=-{sort}" in text, "a click turns it round"
    turned = page(busy, f"?sort=-{sort}")
    assert owners(turned)[-1] == f"Partner 00{partner_id[1:]}"
    assert 'aria-sort="ascending"' in turned


def test_by_name(busy: HostApp) -> None:
    wanted = ["System e-mail", *(f"Partner 00{number}" for number in range(5))]
    assert owners(page(busy, "?sort=name")) == wanted
    assert owners(page(busy, "?sort=-name")) == wanted[::-1]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("partner 003", ["Partner 003"]), ("P2.EXAMPLE", ["Partner 002"]),
        ("mail.platform", ["System e-mail"]), ("noreply@p1", ["Partner 001"]),
        ("campaigns", ["Partner 002"]), ("news letters", ["Partner 002"]), ("%", []),
        ("' or 1=1", []),
    ],
)  # fmt: skip
def test_search(busy: HostApp, words: str, found: list[str]) -> None:
    busy.save_sender("p2", key="campaigns", host="other.example", from_email="a@else.example")
    session = busy.db.session()
    session.execute(update(Sender).where(Sender.key == "campaigns").values(label="News letters"))
    session.commit()
    answer = busy.client.get(f"{PREFIX}/", query_string={"q": words}, headers=HTML)
    assert owners(answer.text)[: len(found) or 9] in (
        found,
        [f"{one}, Default" for one in found],
        [f"{one}, News letters" for one in found],
    )
    if not found:
        assert "No sender matches." in answer.text
        assert words in html.unescape(answer.text)


def test_filter_by_state(busy: HostApp) -> None:
    text = page(busy)
    for words in ("All 6", "Stopped 1", "Paused 1", "Paused by hand 1", "Delivering 1", "Ready 1"):
        assert re.search(rf"<option[^>]*>{words}</option>", text), words
    assert "Failing" not in text
    text = page(busy, "?state=paused")
    assert owners(text) == ["Partner 000"]
    assert '<option value="paused" selected>' in text
    assert "All 6" in text
    assert owners(page(busy, "?state=paused&q=002")) == []
    assert "show all 6" in page(busy, "?state=paused&q=002")


def test_further_senders_have_rows_and_numbers_of_their_own(busy: HostApp) -> None:
    busy.save_sender("p2", key="news", host="bulk.example")
    queue(busy, "a@else.example", "b@else.example", partner_id="p2", sender="news")
    queue(busy, partner_id="p2")
    shown = [one for one in rows(page(busy, "?sort=name")) if "Partner 002" in one]
    assert [re.findall(r"(?:Default|news) · \S+", one) for one in shown] == [
        ["Default · mail.p2.example"], ["news · bulk.example"],
    ]  # fmt: skip
    assert [re.search(r"(\d+) 0 0 0 – – ?$", one).group(1) for one in shown] == ["1", "2"]  # type: ignore[union-attr]
    assert f'href="{PREFIX}/partners/p2/senders/news"' in page(busy)


def test_a_partners_admin_sees_own_rows_and_counts(host: HostApp) -> None:
    for partner_id in ("", "acme", "globex"):
        host.save_sender(partner_id, max_per_hour=50)
        pause(host, partner_id)
        queue(host, partner_id=partner_id)
    host.actor = ACME_ADMIN
    text = page(host)
    assert owners(text) == ["Acme GmbH"]
    assert "All 1" in text
    assert "1–1 of 1" in text
    for sort in SORTS:
        assert owners(page(host, f"?sort={sort}")) == ["Acme GmbH"]
    assert owners(page(host, "?q=globex")) == []
    assert "Globex" not in page(host, "?q=globex")
    assert "of platform" not in text
    assert host.client.get(f"{PREFIX}/partners", headers=HTML).status_code == 403


def test_by_the_systems_sender_a_partner_learns_nothing_of_others(host: HostApp) -> None:
    host.save_sender("", max_per_hour=50)
    queue(host, partner_id="acme")
    queue(host, "a@else.example", "b@else.example", partner_id="globex")
    host.actor = ACME_ADMIN
    with a_worker(host.app):
        (shown,) = rows(page(host))
    assert "Using the system's sender" in shown
    assert "of 50" not in shown
    assert shown.endswith("1 0 0 0 – –")


def test_the_last_page(host: HostApp) -> None:
    have_partners(host, 2 * PER_PAGE + 3)
    first = page(host, "?sort=name")
    assert len(rows(first)) == PER_PAGE
    assert "1–50 of 104" in first
    assert 'rel="prev"' not in first
    assert "?sort=name&amp;page=2" in first or "page=2&amp;sort=name" in first
    last = page(host, "?sort=name&page=3")
    assert owners(last) == ["Partner 099", "Partner 100", "Partner 101", "Partner 102"]
    assert "101–104 of 104" in last
    assert 'rel="next"' not in last
    assert page(host, "?sort=name&page=999").count('<th scope="row"') == 4


def test_the_banner_costs_nothing_for_each_partner(host: HostApp) -> None:
    have_partners(host, 300)
    text = page(host)
    (banner,) = re.findall(r'id="no-sender">.*?</div>', text, re.DOTALL)
    assert banner.count("<a ") == 5
    assert "and 296 more" in " ".join(banner.split())


@pytest.mark.parametrize(
    "query",
    [
        "?page=x", "?page=-1", "?page=0", "?page=99999999999999999999", "?page=²", "?page=1e9",
        "?page=123456789x", "?sort=drop", "?sort=-", "?sort=--sent", "?state=drop", "?state=",
        "?q=%00", "?q=%ff", "?page=1&page=2&sort=&q=", "?q=" + "x" * 5000, "?sort=" + "sent" * 900,
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/partners"])
def test_hostile_addresses(host: HostApp, path: str, query: str) -> None:
    text = page(host, query, path)
    assert "style=" not in text
    assert "x" * 200 not in text


def test_a_search_is_shown_as_text(host: HostApp) -> None:
    text = page(host, "?q=%22%3E%3Cscript%3E")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_asked_is_clean() -> None:
    assert Asked.read("  a \n b ", "drop", "-sent", "3") == Asked("a b", None, "sent", True, 3)
    assert Asked.read("x" * 900, "late", "drop", "3x").words == "x" * 100
    assert Asked.read("", "late", "-drop", "") == Asked(state="late")


def test_without_partners_it_says_what_to_do(host: HostApp) -> None:
    have_partners(host, 0)
    assert "Partners are added in the app" in page(host, path="/partners")
    assert owners(page(host)) == ["System e-mail"]
    host.actor = Actor(id="7", email="a@b.example", partner_ids=frozenset({"gone"}))
    assert "You do not manage a partner yet." in page(host)


def test_a_chart_only_where_there_is_mail(busy: HostApp) -> None:
    sent(busy, "p2", 7, 2)
    text = page(busy)
    assert text.count("<svg") == 1
    assert 'aria-label="Last 24 hours: 7 accepted, 2 refused"' in text


def test_partners_without_the_systems_sender(busy: HostApp) -> None:
    text = page(busy, path="/partners")
    assert "<h1>Partners</h1>" in text
    assert owners(text) == ["Partner 003", "Partner 000", "Partner 001", "Partner 002",
                            "Partner 004"]  # fmt: skip
    assert f'action="{PREFIX}/partners"' in text


def test_what_is_kept_of_a_sender_follows_it(host: HostApp) -> None:
    """Settings, names, pauses and secrets that change between two looks."""
    host.save_sender("acme", username="login", password="one")
    assert "127.0.0.1" in page(host)
    host.save_sender("acme", host="other.example", username="login", password="two")
    assert "other.example" in page(host)
    pause(host, "acme")
    assert "Paused until" in page(host)
    pause(host, "acme", paused_until=None)
    assert "Paused until" not in page(host)
    session = host.db.session()
    revision = session.scalars(select(SenderRevision).order_by(SenderRevision.id.desc())).first()
    assert revision is not None
    revision.secrets = {"password": {"sealed": "v2.00000000.AAAA", "set_at": None}}
    session.commit()
    assert "Not usable" in page(host)
    delete_sender(session, load_sender(session, "acme"), ADMIN)
    session.commit()
    assert "Not usable" not in page(host)
    assert "other.example" not in page(host)


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_other_databases(request: pytest.FixtureRequest, redis: RedisServer, kind: str) -> None:
    made = make_app(request.getfixturevalue(kind).create_database(), {"REDIS_URL": redis.url})
    made.actor = ADMIN
    with made.app.app_context():
        have_partners(made, 3)
        made.save_sender("")
        made.save_sender("p1", max_per_hour=50, username="login", password="one")
        sent(made, "p1", 7, 2, seconds=3)
        queue(made, partner_id="p1")
        queue(made, partner_id="p2")
        (mine,) = [one for one in rows(page(made)) if "Partner 001" in one]
        assert mine.endswith("1 7 2 0 0 of 50 in the hour 3.0 s")
        for sort in SORTS:
            assert len(rows(page(made, f"?sort={sort}"))) == 4
        status = made.client.get("/api/email/status?partner_id=").get_json()
        assert status["senders"][0]["pending"] == 1
        made.db.session.remove()
        made.db.engine.dispose()
