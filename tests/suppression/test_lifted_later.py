"""What recipients and programs lift leaves the lists of providers too; nobody waits for that."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event as sql_event
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from smtp_admin.audit import in_flight
from smtp_admin.clock import shifted
from smtp_admin.database import host_engine, worker_engine
from smtp_admin.delivery.maintenance import provider_lists, provider_removals
from smtp_admin.delivery.maintenance.provider_lists import import_lists
from smtp_admin.delivery.maintenance.provider_removals import remove_waiting
from smtp_admin.mail.service import registry
from smtp_admin.mail.unsubscribing import Reader, token_for
from smtp_admin.suppression.models import ProviderRemoval
from smtp_admin.suppression.provider_lists import reading, removing
from smtp_admin.suppression.provider_lists.lifted import Lifted, remove_later
from smtp_admin.suppression.reading import suppressions_of
from smtp_admin.suppression.reasons import Reason
from tests.app import HostApp
from tests.mail.newsletter import NAME, add_newsletter
from tests.servers.provider_api import Call, Response
from tests.suppression.conftest import Opened
from tests.suppression.lifting import JSON, MIA, PAGE, TOM, lift, stop
from tests.suppression.providers import Mailgun, Provider

HTML = {"Accept": "text/html"}
WHILE = "It may take a while until the first one arrives."


def work(stopping: Callable[[], bool] = lambda: False) -> int:
    """What a worker does."""
    engine = worker_engine(host_engine(), pool_size=2)
    try:
        return remove_waiting(engine, stopping)
    finally:
        engine.dispose()


def reader(host: HostApp, address: str = MIA) -> str:
    if all(one.name != NAME for one in registry()):
        add_newsletter(host, notice=True)
    return f"/unsubscribe/{token_for(Reader('acme', address, NAME))}"


def reasons(host: HostApp, address: str = MIA) -> list[str]:
    host.db.session.rollback()
    return [one.reason for one in suppressions_of(host.db.session(), "acme", address)]


def waiting(host: HostApp) -> list[ProviderRemoval]:
    host.db.session.rollback()
    host.db.session.expire_all()
    return [*host.db.session.scalars(select(ProviderRemoval).order_by(ProviderRemoval.id))]


def imported(host: HostApp, provider: Provider) -> int:
    """How many entries an import by hand takes over."""
    answer = host.client.post(f"{PAGE}/sync", json={"sender": "default"}, headers=JSON)
    assert answer.json, provider.name
    return int(answer.json["rows"])


@pytest.mark.parametrize("of_all", [False, True], ids=["a kind", "preferences"])
def test_who_subscribes_again(opened: Opened, provider: Provider, of_all: bool) -> None:
    """By a worker, a moment later; meanwhile nobody says more than is known."""
    host = opened(provider)
    reason: Reason = "complaint" if provider.name == "ses" else "unsubscribe"
    stop(host, MIA, reason, "notices")
    provider.put(MIA, reason)
    path = reader(host)
    if of_all:
        path = path.replace("/unsubscribe", "/smtp-admin/preferences")
    sent = {"save": "1", "kinds": [NAME]} if of_all else {"notices": "on"}
    answer = host.client.post(path, data=sent)
    assert answer.status_code == 200
    assert (WHILE in answer.text) is not of_all
    assert provider.label not in answer.text
    assert "gets “" not in answer.text, "nobody knows that yet"
    assert provider.api.server.calls == []
    assert reasons(host) == []
    # Whoever reads the list now brings nothing back.
    assert imported(host, provider) == 0
    assert reasons(host) == []
    assert work() == 1
    assert provider.listed() == set()
    assert work() == 0
    host.client.post(path, data={"notices": "off"} if not of_all else {"save": "none"})
    host.client.post(path, data={"notices": "on"} if not of_all else sent)
    assert work() == 0, "nobody is asked about the same address twice a minute"
    with shifted(timedelta(seconds=70)):
        assert work() == 1, "each time anew"
    with shifted(timedelta(hours=2)):
        assert work() == 0
    assert waiting(host) == [], "the address is kept no longer than it is needed"


def test_a_list_that_was_read_before(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that is under way while the address leaves the list does not bring it back."""
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        stop(host, MIA, "unsubscribe", "notices")
        provider.put(MIA, "unsubscribe")
        path, read = reader(host), reading.read_lists

        def slowly(*given: Any) -> Any:
            found = read(*given)
            host.client.post(path, data={"notices": "on"})
            assert work() == 1
            assert [one.address for one in found.listed] == [MIA]
            return found

        monkeypatch.setattr(provider_lists, "read_lists", slowly)
        assert imported_by_worker() == 1
        assert (reasons(host), provider.listed()) == ([], set())


def imported_by_worker() -> int:
    """How many lists a worker imports."""
    engine = worker_engine(host_engine(), pool_size=2)
    try:
        return import_lists(engine, lambda: False)
    finally:
        engine.dispose()


def by_page(host: HostApp) -> None:
    (told,) = lift(host, MIA)
    assert told["status"] == "removed"


def by_api(host: HostApp) -> None:
    asked = {"partner_id": "acme", "address": MIA}
    answer = host.client.delete("/api/email/suppressions", query_string=asked, headers=JSON)
    assert answer.json is not None
    assert [one["status"] for one in answer.json["providers"]] == ["removed"]


def by_command(host: HostApp) -> None:
    words = ["smtp-admin", "suppressions", "remove", MIA, "--partner", "acme"]
    assert "Also removed at Mailgun." in host.app.test_cli_runner().invoke(args=words).output


@pytest.mark.parametrize("how", [by_page, by_api, by_command])
def test_what_an_admin_removes_while_a_list_is_imported(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, how: Callable[[HostApp], None]
) -> None:
    """What was read before it left the list does not bring it back."""
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        stop(host, MIA)
        provider.put(MIA)
        read = reading.read_lists

        def slowly(*given: Any) -> Any:
            found = read(*given)
            how(host)
            return found

        monkeypatch.setattr(provider_lists, "read_lists", slowly)
        assert imported_by_worker() == 1
        assert (reasons(host), provider.listed(), work()) == ([], set(), 0)
        stop(host, MIA)
        assert reasons(host) == ["bounce"], "it may be stopped again"


class Killed(BaseException):
    """The end of a web process."""


def test_a_web_process_that_dies_while_it_asks(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker does it, once nobody can be asking any more; no import comes before it."""
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        stop(host, MIA)
        provider.put(MIA)

        def killed(*_: object) -> None:
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(removing, "_remove", killed)
            with pytest.raises(Killed):
                lift(host, MIA)
        assert (reasons(host), provider.listed(), work()) == ([], {MIA}, 0)
        assert imported(host, provider) == 0
        with shifted(timedelta(minutes=3)):
            assert (work(), provider.listed(), reasons(host)) == (1, set(), [])


def test_too_many_calls_at_once_are_made_later(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        stop(host, MIA)
        provider.put(MIA)
        with monkeypatch.context() as patched:
            patched.setattr(in_flight, "MOST_FOR_PARTNER", 0)
            (told,) = lift(host, MIA)
        assert told["status"] == "skipped"
        assert told["message"].endswith("It is tried again automatically.")
        assert (work(), provider.listed()) == (1, set())


def test_one_in_trouble_is_asked_again(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Ever later, and at last people are told; what else waits there is left alone meanwhile."""
    monkeypatch.setattr(removing, "EACH_SECONDS", 0.3)
    away = Mailgun()
    with away.api.server:
        host = opened(away)
        stop(host, MIA, "unsubscribe", "notices")
        stop(host, TOM, "unsubscribe", "notices")
        away.put(MIA, "unsubscribe")
        away.api.answer = lambda _: Response(hang=True)
        for one in (MIA, TOM):
            host.client.post(reader(host, one), data={"notices": "on"})
        assert work() == 1, "the other waits until its provider may be back"
        assert [one.tries for one in waiting(host)] == [1, 0]
        shown = host.client.get(PAGE, headers=HTML).text
        assert "Removed here, but perhaps still on the list of the provider:" in shown
        assert "it did not answer in time" in shown
        assert "Next try:" in shown
        away.api.answer = lambda _: None
        with shifted(timedelta(minutes=2)):
            assert work() == 2
        assert away.listed() == set()
        assert "perhaps still on the list" not in host.client.get(PAGE, headers=HTML).text
        # One that never answers.
        stop(host, MIA, "unsubscribe", "notices")
        host.client.post(reader(host), data={"notices": "on"})
        away.put(MIA, "unsubscribe")
        away.api.answer = lambda _: Response.of({"message": "boom"}, 500)
        for hours in (0.05, 0.1, 1, 5, 20, 50, 90):
            with shifted(timedelta(hours=hours)):
                assert work() == 1, hours
        with shifted(timedelta(hours=120)):
            assert work() == 0
        shown = host.client.get(PAGE, headers=HTML).text
        assert "It is not tried again." in shown
        assert "stays at its provider" in caplog.text
        with shifted(timedelta(days=8)):
            work()
        assert waiting(host) == []


def test_partners_take_turns(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with much keeps nobody waiting, also where a round ends before all is done."""
    host = opened()
    session = host.db.session()
    much = [Lifted(f"a{number}@example.org", "all", "bounce") for number in range(8)]
    remove_later(session, "acme", much)
    session.commit()
    for partner_id in ("globex", "initech"):
        remove_later(
            session, partner_id, [Lifted(MIA, "all", "bounce"), Lifted(TOM, "all", "bounce")]
        )
        session.commit()
    asked: list[str] = []

    def ask(_: object, partner_id: str, __: object) -> tuple[()]:
        asked.append(partner_id)
        return ()

    monkeypatch.setattr(provider_removals, "ask_providers", ask)
    monkeypatch.setattr(provider_removals, "MOST_AT_ONCE", 2)
    assert work() == 2
    assert asked == ["acme", "globex"]
    monkeypatch.setattr(provider_removals, "MOST_AT_ONCE", 100)
    assert work() == 10
    assert asked == ["acme", "globex", "initech"] * 2 + ["acme"] * 6


@pytest.mark.parametrize("away", [False, True], ids=["answers", "in trouble"])
def test_one_link_costs_a_call_a_minute(opened: Opened, *, away: bool) -> None:
    """However often it ends mail and begins again, by which kind, and whatever came of the call."""
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        if away:
            provider.api.answer = lambda _: Response.of({"message": "boom"}, 500)
        path, calls = reader(host), provider.api.server.calls
        for minute in range(3):
            with shifted(timedelta(seconds=61 * minute)):
                before, made = len(calls), []
                for category in ("notices", NAME) * 2:
                    stop(host, MIA, "unsubscribe", category)
                    host.client.post(path, data={"notices": "on"})
                    work()
                    made.append(len(calls) - before)
                assert made == made[:1] * 4, minute
                assert made[0] > 0
        assert reasons(host) == []


def test_kinds_are_written_in_one_order(opened: Opened) -> None:
    """Else two who lift the same ones would wait for each other; who has to begins again."""
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        names = [f"kind_{letter}" for letter in "zma"]
        for name in names:
            add_newsletter(host, name=name, notice=True)
            stop(host, MIA, "unsubscribe", name)
        path = reader(host).replace("/unsubscribe", "/smtp-admin/preferences")
        written: list[list[str]] = []
        failures = [OperationalError("…", None, Deadlock())]

        def look(*said: Any) -> None:
            if said[2].startswith("INSERT INTO smtp_admin_provider_removal"):
                written.append([one[3] for one in said[3]])
                if failures:
                    raise failures.pop()

        sql_event.listen(host.db.engine, "before_cursor_execute", look)
        assert (
            host.client.post(path, data={"save": "1", "kinds": [*names, NAME]}).status_code == 200
        )
        assert written == [sorted(names)] * 2
        assert reasons(host) == []


class Deadlock(Exception):
    """Two transactions waited for each other."""

    sqlstate = "40P01"


def test_who_changed_their_mind(opened: Opened) -> None:
    """What stands at the provider stays, for it is what they want now."""
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        stop(host, MIA, "unsubscribe", NAME)
        provider.put(MIA, "unsubscribe")
        path = reader(host)
        host.client.post(path, data={"notices": "on"})
        host.client.post(path, data={"notices": "off"})
        assert work() == 1
        assert provider.listed() == {MIA}
        assert reasons(host) == ["unsubscribe"]


def test_nobody_is_asked_where_there_is_no_list(opened: Opened) -> None:
    host = opened()
    host.save_sender("acme")
    stop(host, MIA, "unsubscribe", NAME)
    answer = host.client.post(reader(host), data={"notices": "on"})
    assert WHILE not in answer.text
    assert waiting(host) == []


def test_a_program_waits_for_nobody_either(opened: Opened) -> None:
    """In its own transaction: with a rollback nothing leaves any list."""
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        stop(host, MIA)
        provider.put(MIA)
        host.plugin.unsuppress(MIA, partner_id="acme")
        host.db.session.rollback()
        assert (work(), provider.listed(), reasons(host)) == (0, {MIA}, ["bounce"])
        host.plugin.unsuppress(MIA, partner_id="acme")
        host.db.session.commit()
        assert provider.api.server.calls == []
        assert (work(), provider.listed(), reasons(host)) == (1, set(), [])


def test_what_an_admin_removes_is_tried_again(
    opened: Opened, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "EACH_SECONDS", 0.3)
    host = opened(provider)
    stop(host, MIA)
    provider.put(MIA)
    provider.api.answer = lambda _: Response(hang=True)
    (told,) = lift(host, MIA)
    assert told["message"].endswith("It is tried again automatically.")
    provider.api.answer = lambda _: None
    assert work() == 1
    assert provider.listed() == set()


def test_two_workers_ask_once(opened: Opened) -> None:
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        stop(host, MIA, "unsubscribe", NAME)
        provider.put(MIA, "unsubscribe")
        host.client.post(reader(host), data={"notices": "on"})
        others: list[int] = []

        def other_worker(_: Call) -> None:
            with host.app.app_context():
                others.append(work())

        provider.api.answer = other_worker
        assert work() == 1
        assert {*others} == {0}
