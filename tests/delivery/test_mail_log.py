"""The log of mail: what each filter and each kind of search finds, and in which pages."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, event, update

from smtp_admin.clock import now, shifted
from smtp_admin.delivery import counted, mail_log
from smtp_admin.delivery.counted import Counted
from smtp_admin.delivery.dead_letters import dead_groups
from smtp_admin.delivery.mail_actions import note_arrived
from smtp_admin.delivery.mail_log import (
    GROUPS,
    OLDEST,
    LogPage,
    MailFilter,
    counts_of,
    exported,
    page_of,
)
from smtp_admin.delivery.mail_search import understand
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.states import STATES
from tests.app import HostApp
from tests.delivery.workbench import (
    Workbench,
    deliveries,
    letter,
    queue,
    row_of,
    sender_row,
)
from tests.servers.scripted import Close, Reply, ScriptedServer

EVERYBODY = MailFilter(None)
ACME = MailFilter(frozenset({"acme"}))


def found(host: HostApp, which: MailFilter = EVERYBODY, **place: int) -> list[str]:
    """The recipients on a page."""
    session = host.db.session()
    session.rollback()
    return [one.recipient for one in page_of(session, which, **place).rows]


def searched(host: HostApp, text: str, partner_ids: frozenset[str] | None = None) -> list[str]:
    host.db.session.rollback()
    search = understand(host.db.session(), text)
    return found(host, MailFilter(partner_ids, search=search))


def change(host: HostApp, recipient: str, **values: Any) -> None:
    session = host.db.session()
    session.execute(update(Delivery).where(Delivery.recipient == recipient).values(**values))
    session.commit()


def test_every_state_is_in_one_group() -> None:
    assert sorted(one for some in GROUPS.values() for one in some) == sorted(STATES)


def test_search(each: HostApp) -> None:
    """By address however it is written, by domain, id, Message-ID, and by words."""
    each.save_sender()
    first = each.plugin.send_message(
        letter("Mia.Ott@Example.org", subject="Your invoice 100%"), partner_id="acme"
    )
    each.db.session.commit()
    queue(each, "tom@example.org")
    queue(each, "mia.ott@example.com")
    message_id = row_of(each, first).message_id
    assert searched(each, "mia.ott@example.org") == ["Mia.Ott@example.org"]
    assert searched(each, "MIA.OTT@EXAMPLE.ORG") == ["Mia.Ott@example.org"]
    assert searched(each, "@example.org") == ["tom@example.org", "Mia.Ott@example.org"]
    assert searched(each, "Example.ORG") == ["tom@example.org", "Mia.Ott@example.org"]
    assert searched(each, f" {first.upper()} ") == ["Mia.Ott@example.org"]
    assert searched(each, message_id) == ["Mia.Ott@example.org"]
    assert searched(each, message_id.strip("<>")) == ["Mia.Ott@example.org"]
    assert searched(each, "INVOICE your") == ["Mia.Ott@example.org"]
    assert searched(each, "100%") == ["Mia.Ott@example.org"]
    assert searched(each, "tom") == ["tom@example.org"]
    for nothing in ("nobody@example.org", "@none.example", "0" * 32, "<x@y.example>", "1_0", "%%"):
        assert searched(each, nothing) == [], nothing


@pytest.mark.parametrize(
    "text",
    ["'; DROP TABLE x; --", "\\", "<>", "@@", "a@b@c.example", "\ud800", "x" * 5000, "\x00"],
)
def test_odd_searches_find_nothing(each: HostApp, text: str) -> None:
    each.save_sender()
    queue(each)
    assert searched(each, text.replace("\ud800", "").replace("\x00", "") or "zzz") == []


def test_what_is_anothers_is_not_found(each: HostApp) -> None:
    each.save_sender()
    each.save_sender("globex")
    public_id = queue(each, "tom@example.org", partner_id="globex")
    message_id = row_of(each, public_id).message_id
    mine = frozenset({"acme"})
    for text in ("tom@example.org", "@example.org", public_id, message_id, "Hello", ""):
        assert searched(each, text, mine) == [], text
        assert searched(each, text, frozenset({"globex"})) == ["tom@example.org"], text
        assert searched(each, text, frozenset()) == [], text
    counts = counts_of(each.db.session(), MailFilter(mine))
    assert set(counts.values()) == {0}


def test_filters(each: HostApp) -> None:
    each.save_sender()
    each.save_sender(key="news")
    queue(each, "a@example.org")
    queue(each, "b@example.org", sender="news")
    queue(each, "c@example.org")
    change(each, "a@example.org", state="dead", last_code="recipient_refused", finished_at=now())
    change(each, "c@example.org", state="sent", created_at=now() - timedelta(days=3))
    news = sender_row(each, "acme", "news").id
    assert found(each, MailFilter(None, ("dead",))) == ["a@example.org"]
    assert found(each, MailFilter(None, GROUPS["waiting"])) == ["b@example.org"]
    assert found(each, MailFilter(None, sender_id=news)) == ["b@example.org"]
    assert found(each, MailFilter(None, code="recipient_refused")) == ["a@example.org"]
    assert found(each, MailFilter(None, code="recipient_refused", cause="x")) == []
    assert found(each, MailFilter(None, type_name="message")) == [
        "c@example.org", "b@example.org", "a@example.org",
    ]  # fmt: skip
    assert found(each, MailFilter(None, type_name="renewal")) == []
    assert found(each, MailFilter(None, batch_id=7)) == []
    recent = MailFilter(None, since=now() - timedelta(days=1))
    assert found(each, recent) == ["b@example.org", "a@example.org"]
    assert counts_of(each.db.session(), EVERYBODY) == {
        "all": 3, "waiting": 1, "sent": 1, "failed": 1, "unknown": 0, "ended": 0,
    }  # fmt: skip


def test_a_period_begins_where_its_mail_does(each: HostApp) -> None:
    """Older mail is not looked through for it: the ids of mails say when they were made."""
    each.save_sender()
    old = queue(each, "old@example.org")
    queue(each, "new@example.org")
    session = each.db.session()
    before = now() - timedelta(days=2)
    made = f"{int(before.timestamp() * 1000):012x}"
    session.execute(
        update(Message).where(Message.public_id == old).values(public_id=made + old[12:])
    )
    session.commit()
    change(each, "old@example.org", created_at=before)
    assert found(each, MailFilter(None, since=now() - timedelta(hours=24))) == ["new@example.org"]
    assert found(each, MailFilter(None, since=now() + timedelta(hours=24))) == []


def test_pages(each: HostApp) -> None:
    """Both ways and to either end, with what is added meanwhile in nobody's way."""
    each.save_sender()
    for number in range(7):
        queue(each, f"n{number}@example.org")
    session = each.db.session()

    def names(page: mail_log.LogPage) -> str:
        return "".join(one.recipient[1] for one in page.rows)

    first = page_of(session, ACME, size=3)
    assert (names(first), first.newer) == ("654", 0)
    second = page_of(session, ACME, before=first.older, size=3)
    assert names(second) == "321"
    queue(each, "n9@example.org")
    third = page_of(session, ACME, before=second.older, size=3)
    assert (names(third), third.older) == ("0", 0)
    assert names(page_of(session, ACME, after=third.newer, size=3)) == "321"
    back = page_of(session, ACME, after=second.newer, size=3)
    assert names(back) == "654"
    assert back.newer
    newest = page_of(session, ACME, after=back.newer, size=3)
    assert (names(newest), newest.newer) == ("9", 0)
    oldest = page_of(session, ACME, after=OLDEST, size=3)
    assert (names(oldest), oldest.older) == ("210", 0)
    assert names(page_of(session, ACME, after=oldest.newer, size=3)) == "543"
    assert page_of(session, ACME, before=1).rows == ()


def test_pages_of_one_type_cut_no_mail_short(each: HostApp) -> None:
    """A page may end within a mail of several recipients."""
    each.save_sender()
    for number in range(4):
        queue(each, *(f"{number}{one}@example.org" for one in "abc"))
    queue(each, "z@example.org", partner_id="globex")
    session = each.db.session()
    session.execute(update(Message).where(Message.partner_id == "globex").values(type_name="other"))
    session.commit()
    whole = found(each, size=50)[1:]
    which = MailFilter(None, type_name="message")
    assert found(each, which) == whole
    for size in (1, 2, 5):
        seen: list[str] = []
        page = page_of(session, which, size=size)
        while True:
            seen += [one.recipient for one in page.rows]
            last = page
            if not page.older:
                break
            page = page_of(session, which, before=page.older, size=size)
        assert seen == whole
        back = [one.recipient for one in last.rows]
        while last.newer:
            last = page_of(session, which, after=last.newer, size=size)
            back = [one.recipient for one in last.rows] + back
        assert back == whole
        oldest = page_of(session, which, after=OLDEST, size=size)
        assert [one.recipient for one in oldest.rows] == whole[-size:]


def test_pages_of_one_type_go_on_where_they_ended(
    each: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after what was last on one went to another sender, as a newer mail, or was forgotten."""
    each.save_sender()
    for name in "abcdef":
        queue(each, f"{name}@example.org")
    session = each.db.session()
    newest = deliveries(each)[-1].message_pk
    which = MailFilter(None, type_name="message")

    def names(page: LogPage) -> set[str]:
        return {one.recipient[0] for one in page.rows}

    change(each, "b@example.org", message_pk=newest)
    first = page_of(session, which, size=2)
    assert names(first) == {"f", "b"}
    monkeypatch.setattr(mail_log, "_EXPORTED_AT_ONCE", 2)
    file = exported(session, which, 6)
    told = [next(file).recipient[0], next(file).recipient[0]]
    session.execute(delete(Delivery).where(Delivery.recipient == "b@example.org"))
    session.commit()
    second = page_of(session, which, before=first.older, mail=first.older_mail, size=2)
    assert names(second) == {"e", "d"}
    assert "".join(told + [one.recipient[0] for one in file]) == "fbedca"
    change(each, "e@example.org", message_pk=newest)
    third = page_of(session, which, before=second.older, mail=second.older_mail, size=2)
    assert names(third) == {"c", "a"}
    change(each, "c@example.org", message_pk=newest)
    newer = page_of(session, which, after=third.newer, mail=third.newer_mail, size=2)
    assert names(newer) == {"d", "c"}


def test_a_period_begins_before_what_was_made_at_the_same_moment(each: HostApp) -> None:
    """Two processes queue after a quiet night; the one that began later came first."""
    each.save_sender()
    ids = [queue(each, f"{name}@example.org") for name in ("old", "later", "first", "copied")]
    _, later, first, copied = ids
    session = each.db.session()
    changes: dict[str, dict[str, Any]] = {
        later: {"public_id": f"{first[:-1]}z"},
        copied: {"public_id": "0" * 32, "copy_of": row_of(each, ids[0]).id},
        ids[0]: {"public_id": "0" * 32},
    }
    for public_id, values in changes.items():
        session.execute(update(Message).where(Message.public_id == public_id).values(values))
    past = now() - timedelta(days=3)
    for name in ("old", "copied"):
        change(each, f"{name}@example.org", created_at=past)
    recent = MailFilter(None, since=now() - timedelta(hours=1))
    assert found(each, recent) == ["first@example.org", "later@example.org"]


def test_a_copy_that_came_late_hides_nothing(each: HostApp) -> None:
    """A mail that waited for days may get a copy to an archive when it is first sent."""
    each.save_sender()
    old = queue(each, "old@example.org")
    session = each.db.session()
    mail_id = row_of(each, old).id
    session.execute(update(Message).where(Message.id == mail_id).values(public_id="0" * 32))
    change(each, "old@example.org", created_at=now() - timedelta(days=2))
    queue(each, "new@example.org")
    queue(each, "copy@example.org")
    change(each, "copy@example.org", message_pk=mail_id, archive=True)
    for scope in (None, frozenset({"acme"})):
        which = MailFilter(scope, since=now() - timedelta(hours=1))
        assert found(each, which) == ["copy@example.org", "new@example.org"]


def test_pages_of_what_is_recent_from_either_end(each: HostApp) -> None:
    """Beside older mail, by each filter that has an order of its own for the oldest."""
    each.save_sender()
    old, recent = ([f"{name}{number}@example.org" for number in range(5)] for name in "or")
    with shifted(timedelta(days=-3)):
        queue(each, *old)
    queue(each, *recent)
    for name in old + recent[1:]:
        at = now() - timedelta(days=3 if name in old else 0)
        change(each, name, state="sent", finished_at=at, created_at=at)
    day = now() - timedelta(days=1)
    for which, expected in (
        (MailFilter(None, since=day), recent),
        (MailFilter(None, ("queued",)), recent[:1]),
        (MailFilter(None, counted=Counted("accepted", day)), recent[1:]),
        (replace(ACME, counted=Counted("accepted", day)), recent[1:]),
        (MailFilter(None, ("sent",)), old + recent[1:]),
    ):
        seen: list[str] = []
        page = page_of(each.db.session(), which, after=OLDEST, size=2)
        while page.rows:
            seen += [one.recipient for one in reversed(page.rows)]
            if not page.newer:
                break
            page = page_of(each.db.session(), which, after=page.newer, size=2)
        assert seen == expected
        assert found(each, which) == expected[::-1]


def test_what_few_senders_accepted_hides_nothing_of_the_others(
    each: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest page is looked for up to where a few senders' mails fill it."""
    monkeypatch.setattr(counted, "_FEW", 1)
    partners = ("acme", "globex", "initech")
    for partner_id in partners:
        each.save_sender(partner_id)
    names = [f"{number}@example.org" for number in range(12)]
    for number, name in enumerate(names):
        queue(each, name, partner_id=partners[number * 7 % 5 % 3])
        change(each, name, state="sent", finished_at=now())
    for busiest in partners:
        sender_row(each, busiest).last_accepted_at = now()
        each.db.session.commit()
        for size in (1, 2, 3, 5, 20):
            which = MailFilter(None, counted=Counted("accepted", now() - timedelta(days=1)))
            page = page_of(each.db.session(), which, after=OLDEST, size=size)
            seen = [one.recipient for one in reversed(page.rows)]
            while page.newer:
                page = page_of(each.db.session(), which, after=page.newer, size=size)
                seen += [one.recipient for one in reversed(page.rows)]
            assert seen == names
            words = understand(each.db.session(), "11")  # only the newest has them
            assert found(each, replace(which, search=words), after=OLDEST, size=size) == names[-1:]


def test_numbers_of_a_period(each: HostApp) -> None:
    each.save_sender()
    queue(each, *(f"{number}@example.org" for number in range(6)))
    states = ("sent", "dead", "bounced", "dead", "queued", "uncertain")
    for number, state in enumerate(states):
        change(each, f"{number}@example.org", state=state, last_code="x")
    change(each, "1@example.org", created_at=now() - timedelta(days=3))
    change(each, "4@example.org", created_at=now() - timedelta(days=3))
    recent = MailFilter(None, since=now() - timedelta(days=1))
    for which in (recent, replace(recent, partner_ids=frozenset({"acme"}))):
        assert counts_of(each.db.session(), which) == {
            "all": 4, "waiting": 0, "sent": 1, "failed": 2, "unknown": 1, "ended": 0,
        }  # fmt: skip
        (group,) = dead_groups(each.db.session(), which)
        assert group.count == 1


def test_numbers_stop_where_more_says_nothing(
    each: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_log, "COUNTED", 2)
    each.save_sender()
    for number in range(5):
        queue(each, f"n{number}@example.org")
    assert counts_of(each.db.session(), ACME)["waiting"] == 3


def test_words_are_looked_for_among_the_newest(
    each: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_log, "SEARCHED", 2)
    each.save_sender()
    for name in ("first", "second", "third"):
        each.plugin.send_message(letter(f"{name}@example.org", subject="Same"), partner_id="acme")
    each.db.session.commit()
    assert searched(each, "same") == ["third@example.org", "second@example.org"]


def test_dead_letters_by_what_they_failed_of(each: HostApp) -> None:
    each.save_sender()
    for number in range(5):
        queue(each, f"n{number}@example.org")
    at = now().replace(microsecond=0)
    for number in range(5):
        change(
            each, f"n{number}@example.org", state="dead", last_error=f"error {number}",
            last_code="recipient_refused" if number < 3 else "timeout",
            finished_at=at - timedelta(minutes=number),
        )  # fmt: skip
    groups = dead_groups(each.db.session(), ACME)
    assert [(one.code, one.count, one.error) for one in groups] == [
        ("recipient_refused", 3, "error 2"),
        ("timeout", 2, "error 4"),
    ]
    assert groups[0].since == at - timedelta(minutes=2)
    assert groups[0].last_at == at
    assert dead_groups(each.db.session(), MailFilter(frozenset({"globex"}))) == []


def test_exported_in_steps(each: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_log, "_EXPORTED_AT_ONCE", 2)
    each.save_sender()
    for number in range(5):
        queue(each, f"n{number}@example.org")
    session = each.db.session()
    rows = [one.recipient[1] for one in mail_log.exported(session, ACME, 10)]
    assert rows == ["4", "3", "2", "1", "0"]
    assert len(list(mail_log.exported(session, ACME, 3))) == 3


def test_a_page_is_as_many_questions_for_many_as_for_few(each: HostApp) -> None:
    each.save_sender()
    asked: list[str] = []

    def note(*about: Any) -> None:
        asked.append(str(about[2]))

    def questions() -> int:
        asked.clear()
        page_of(each.db.session(), ACME)
        counts_of(each.db.session(), ACME)
        return len(asked)

    queue(each)
    event.listen(each.db.engine, "before_cursor_execute", note)
    few = questions()
    for _ in range(60):
        queue(each)
    assert questions() == few
    assert len(deliveries(each)) == 61


def test_tries_are_all_sends_the_accepted_one_too(
    each: HostApp, server: ScriptedServer, bench_of: Callable[..., Workbench]
) -> None:
    each.save_sender(port=server.port)
    bench = bench_of(each)
    server.behave("rcpt", [None, Reply("451 4.7.1 Greylisted"), Reply("550 5.1.1 gone"), None])
    queue(each, "once@example.org", "grey@example.org", "gone@example.org")
    bench.tick()
    queue(each, "lost@example.org")
    server.behave("dot", [Close(), None])
    bench.tick()
    unknown = deliveries(each)[-1]
    assert unknown.state == "uncertain"
    note_arrived(each.db.session(), [unknown.id], now())
    each.db.session.commit()
    bench.tick(timedelta(minutes=3))
    queue(each, "waits@example.org")
    rows = page_of(each.db.session(), ACME).rows
    assert {one.recipient.partition("@")[0]: (one.state, one.tries) for one in rows} == {
        "once": ("sent", 1), "grey": ("sent", 2), "gone": ("dead", 1), "lost": ("sent", 1),
        "waits": ("queued", 0),
    }  # fmt: skip
    for which in (replace(ACME, counted=Counted("failed", now() - timedelta(hours=1))),
                  MailFilter(None, counted=Counted("failed", now() - timedelta(hours=1)),
                             sender_id=sender_row(each).id)):  # fmt: skip
        names = [one.partition("@")[0] for one in found(each, which)]
        assert names == ["lost", "gone", "grey"], "also what was sent since"
    assert found(each, replace(ACME, counted=Counted("failed", now() + timedelta(hours=1)))) == []
    change(each, "once@example.org", state="bounced")
    for which in (replace(ACME, counted=Counted("accepted", now() - timedelta(hours=1))),
                  MailFilter(None, counted=Counted("accepted", now() - timedelta(hours=1)),
                             sender_id=sender_row(each).id)):  # fmt: skip
        names = [one.partition("@")[0] for one in found(each, which)]
        assert names == ["lost", "grey", "once"], "also what came back since"
    assert found(each, replace(ACME, counted=Counted("accepted", now() + timedelta(hours=1)))) == []
