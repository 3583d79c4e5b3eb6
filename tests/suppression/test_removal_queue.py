"""The queue of what is to leave the lists of providers: nothing is lost in it, and nobody waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy import event as sql_event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from smtp_admin.audit import in_flight
from smtp_admin.clock import shifted
from smtp_admin.delivery import suppressions
from smtp_admin.delivery.maintenance import provider_lists, provider_removals
from smtp_admin.steps import step
from smtp_admin.suppression.provider_lists import reading, removing
from smtp_admin.suppression.provider_lists.lifted import Lifted, remove_later
from smtp_admin.suppression.reading import address_hash
from tests.app import HostApp
from tests.mail.newsletter import NAME, add_newsletter
from tests.servers.provider_api import Call, Response
from tests.suppression.conftest import Opened
from tests.suppression.lifting import (
    JSON,
    MIA,
    TOM,
    imported,
    imported_by_worker,
    lift,
    ours,
    reader,
    reasons,
    stop,
    work,
)
from tests.suppression.providers import Mailgun


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


def test_what_is_removed_between_two_steps_of_an_import(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long list is taken over for as long as others change theirs."""
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        both = sorted((MIA, TOM), key=address_hash)
        for one in both:
            provider.put(one)
        stop(host, both[1])

        @contextmanager
        def one_after_the_other(engine: Engine) -> Iterator[Session]:
            with step(engine) as session:
                yield session
            if both[1:]:
                lift(host, both.pop())

        monkeypatch.setattr(suppressions, "step", one_after_the_other)
        monkeypatch.setattr(suppressions, "_STEP", 1)
        assert imported_by_worker() == 1
        host.db.session.rollback()
        assert [address for address, _ in ours(host)] == both


class Killed(BaseException):
    """The end of a web process."""


def test_a_web_process_that_dies_while_it_asks(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    """A worker does it, once nobody can be asking any more; no import comes before it."""
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider, uri=database)
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


class Deadlock(Exception):
    """Two transactions waited for each other."""

    sqlstate = "40P01"


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
