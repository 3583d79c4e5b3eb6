"""What recipients and programs lift leaves the lists of providers too; nobody waits for that."""

from datetime import timedelta
from typing import Any

import pytest

from smtp_admin.clock import shifted
from smtp_admin.delivery.maintenance import provider_lists
from smtp_admin.suppression.provider_lists import reading, removing
from smtp_admin.suppression.reasons import Reason
from tests.mail.newsletter import NAME
from tests.servers.provider_api import Response
from tests.suppression.conftest import Opened
from tests.suppression.lifting import (
    MIA,
    PAGE,
    TOM,
    imported,
    imported_by_worker,
    lift,
    reader,
    reasons,
    stop,
    waiting,
    work,
)
from tests.suppression.providers import Mailgun, Provider

HTML = {"Accept": "text/html"}
WHILE = "It may take a while until the first one arrives."


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
