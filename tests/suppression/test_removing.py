"""An address that is removed here is removed at the provider, if the key may; ours goes anyway."""

import base64
import logging
import threading
import time
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.sandbox import site
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.provider_lists import removing
from smtp_admin.suppression.reasons import Reason
from tests.patience import SECONDS
from tests.servers.provider_api import Call, Response
from tests.servers.ses import error
from tests.suppression.conftest import Opened
from tests.suppression.lifting import JSON, MIA, PAGE, TOM, ZOE, lift, ours, stop
from tests.suppression.providers import SES, WRONG_KEY, Mailgun, Postmark, Provider, SendGrid


def test_it_is_removed_there_too(opened: Opened, provider: Provider) -> None:
    host = opened(provider)
    for one in (MIA, TOM):
        stop(host, one)
        provider.put(one)
    (told,) = lift(host, MIA)
    assert told == {
        "sender": "default", "provider": provider.label, "status": "removed", "removed": 1,
        "message": f"Also removed at {provider.label}.", "page": None,
    }  # fmt: skip
    assert provider.listed() == {TOM}
    assert ours(host) == [(TOM, "all")]
    stop(host, ZOE)
    provider.put(ZOE)
    (told,) = lift(host, TOM, ZOE)
    assert told["message"] == f"Also removed at {provider.label}: 2 addresses."
    assert provider.listed() == set()
    assert provider.api.server.connections == 2, "one for each time"


def test_it_is_removed_from_whichever_list_it_is_on(opened: Opened, provider: Provider) -> None:
    host = opened(provider)
    reasons: tuple[Reason, ...] = {
        "ses": ("bounce", "complaint"),
        "postmark": ("bounce", "unsubscribe"),  # a complaint is removed by its support alone
    }.get(provider.name, ("bounce", "complaint", "unsubscribe"))  # type: ignore[assignment]  # texts
    for reason in reasons:
        address = f"{reason}@example.org"
        provider.put(address, reason)
        stop(host, address, reason, category="notices" if reason == "unsubscribe" else "")
    (told,) = lift(host, *(f"{reason}@example.org" for reason in reasons))
    assert (told["status"], told["removed"]) == ("removed", len(reasons))
    assert provider.listed() == set()


@pytest.mark.parametrize("kind", [Mailgun, Postmark])
def test_a_list_that_is_not_there_says_nothing_of_the_address(opened: Opened, kind: Any) -> None:
    """They tell both by the same status."""
    provider = kind()
    with provider.api.server:
        host = opened(provider)
        stop(host, MIA)
        words = {"message": "Domain not found: acme.example", "Message": "There is no such stream"}
        provider.api.answer = lambda _: Response.of(words, 404)
        (told,) = lift(host, MIA)
    assert told["status"] == "refused"


def test_an_address_that_is_not_on_the_list(opened: Opened, provider: Provider) -> None:
    host = opened(provider)
    stop(host, MIA)
    (told,) = lift(host, MIA)
    # Postmark says the same of an address that it does not know.
    if provider.name == "postmark":
        assert told["status"] == "removed"
    else:
        assert (told["status"], told["page"]) == ("absent", None)
        assert told["message"] == f"Not on the list at {provider.label}."


@pytest.mark.parametrize("wrong", [True, False], ids=["another key", "a key that only sends"])
def test_a_key_that_may_not(
    opened: Opened, provider: Provider, wrong: bool, caplog: pytest.LogCaptureFixture
) -> None:
    host = opened(provider)
    provider.put(MIA)
    if wrong:
        provider.save(host, key_there=WRONG_KEY[provider.name])
    else:
        provider.only_send()
    stop(host, MIA)
    (told,) = lift(host, MIA)
    assert ours(host) == [], "ours is gone whatever the provider says"
    assert told["status"] == "refused"
    assert told["message"].startswith(f"{provider.label} refused (40")
    assert told["message"].endswith(f"Remove it on its page: {told['page']}")
    assert "were not all removed" in caplog.text


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Response(hang=True), "it did not answer in time"),
        (Response(cut=10), "the conversation broke off"),
        (Response.of({"message": "x" * 300}, 500), "500"),
        (Response(drip=0.2, body=b"{}"), "it did not answer in time"),
    ],
    ids=["silent", "cut", "fault", "slow"],
)
def test_a_provider_in_trouble(
    opened: Opened,
    provider: Provider,
    answer: Response,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(removing, "EACH_SECONDS", 0.6)
    host = opened(provider)
    provider.put(MIA)
    stop(host, MIA)
    provider.api.answer = lambda _: answer
    begun = time.monotonic()
    (told,) = lift(host, MIA)
    assert time.monotonic() - begun < 10
    assert ours(host) == []
    assert (told["status"], told["removed"]) == ("failed", 0)
    words = f"At {provider.label} it may still be on the list: {why}"
    assert told["message"].startswith(words)
    assert told["page"] in told["message"]


def test_all_of_them_share_one_time(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "EACH_SECONDS", 0.5)
    monkeypatch.setattr(removing, "ALL_SECONDS", 0.7)
    silent, slow, last = Mailgun(), SendGrid(), Postmark()
    with silent.api.server, slow.api.server, last.api.server:
        host = opened(silent, slow, last)
        for one in (silent, slow):
            one.api.answer = lambda _: Response(hang=True)
        stop(host, MIA)
        begun = time.monotonic()
        told = lift(host, MIA)
        assert time.monotonic() - begun < 10
        assert [one["status"] for one in told] == ["failed", "failed", "failed"]
        assert last.api.server.calls == []


def test_many_addresses_take_no_longer(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sixth is slow, and by its answer the time is over."""
    monkeypatch.setattr(removing, "EACH_SECONDS", 2.0)
    provider, over, calls = Postmark(), threading.Event(), count()
    with provider.api.server:
        host = opened(provider)
        readers = [f"reader{number:02}@example.org" for number in range(40)]
        for one in readers:
            stop(host, one)
            provider.put(one)

        def slowly(_: Call) -> None:
            if next(calls) >= 5:
                over.wait(SECONDS)

        provider.api.answer = slowly
        begun = time.monotonic()
        (told,) = lift(host, *readers)
        assert time.monotonic() - begun < 20
        over.set()
        assert ours(host) == []
        assert (told["status"], 0 < told["removed"] < 40) == ("failed", True)
        left = 40 - len(provider.listed())
        assert told["removed"] in {left, left - 1}, "one may have been under way"
        assert told["message"].startswith("Also removed at Postmark: ")


def test_a_provider_that_is_asked_too_often_is_asked_again(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = SES()
    with provider.api.server:
        host = opened(provider)
        provider.put(MIA)
        refused: set[str] = set()

        def once(call: Call) -> Response | None:
            if call.method in refused:
                return None
            refused.add(call.method)
            return error("TooManyRequestsException", "Rate exceeded", 429)

        provider.api.answer = once
        answer = host.client.post(f"{PAGE}/sync", json={"sender": "default"}, headers=JSON)
        assert answer.status_code == 200, answer.text
        assert ours(host) == [(MIA, "all")]
        (told,) = lift(host, MIA)
        assert told["message"] == "Also removed at Amazon SES."
        assert refused == {"GET", "DELETE"}
        provider.api.answer = lambda _: error("TooManyRequestsException", "Rate exceeded", 429)
        monkeypatch.setattr(removing, "EACH_SECONDS", 0.5)
        stop(host, MIA)
        (told,) = lift(host, MIA)
        assert told["status"] == "failed"
        assert ": 429 TooManyRequestsException" in told["message"]


def test_what_went_well_before_the_trouble_is_told(opened: Opened) -> None:
    provider = Postmark()
    with provider.api.server:
        host = opened(provider)
        for one, reason in ((MIA, "bounce"), (TOM, "complaint"), (ZOE, "bounce")):
            stop(host, one)
            provider.put(one, reason)  # type: ignore[arg-type]
        (told,) = lift(host, MIA, TOM, ZOE)
        assert (told["status"], told["removed"]) == ("refused", 2)
        assert "Also removed at Postmark: 2 addresses." in told["message"]
        assert "do not have the required authority" in told["message"]
        assert provider.listed() == {TOM}


# --- What is taken off which list ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "lifted", "gone"),
    [
        # Ours of all mail goes: so does everything of theirs.
        ([("bounce", "")], "all", {"bounces", "complaints", "unsubscribes"}),
        ([("manual", "all")], "all", {"bounces", "complaints", "unsubscribes"}),
        # A list is never emptier than ours.
        ([("bounce", ""), ("complaint", "")], "notices", set()),
        ([("bounce", ""), ("complaint", "")], "all", {"bounces"}),
        ([("complaint", "")], "notices", {"complaints", "unsubscribes"}),
        ([("unsubscribe", "news")], "news", {"unsubscribes"}),
        ([("unsubscribe", "news"), ("complaint", "")], "news", set()),
        ([("manual", "news")], "news", set()),
    ],
)
def test_only_what_ours_stopped(
    opened: Opened, there: list[tuple[Reason, str]], lifted: str, gone: set[str]
) -> None:
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        for reason, category in there:
            stop(host, MIA, reason, category)
        told = lift(host, MIA, category=lifted)
        asked = {one.path.split("/")[3] for one in provider.api.server.calls}
        assert asked == gone
        assert bool(told) == bool(gone)


def test_an_erased_address_is_removed_here_alone(opened: Opened) -> None:
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        stop(host, MIA)
        row = host.db.session.scalars(select(Suppression)).one()
        row.address = ""
        host.db.session.commit()
        assert lift(host, "") == []
        assert ours(host) == []
        assert provider.api.server.calls == []


# --- Where nothing goes out ----------------------------------------------------------------------


def test_a_sandbox_asks_nobody(opened: Opened, provider: Provider) -> None:
    host = opened(provider, SANDBOX="redirect:dev@example.com")
    provider.put(MIA)
    stop(host, MIA)
    (told,) = lift(host, MIA)
    assert (told["status"], ours(host)) == ("skipped", [])
    assert "sandbox" in told["message"]
    assert provider.api.server.connections == 0


def test_a_copy_of_the_database_asks_nobody(opened: Opened) -> None:
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider, PUBLIC_URL="https://laptop.example")
        site.add(host.db.session(), "mail.example.com")
        host.db.session.commit()
        site.forget()
        stop(host, MIA)
        (told,) = lift(host, MIA)
        assert told["status"] == "skipped"
        answer = host.client.post(f"{PAGE}/sync", json={"sender": "default"}, headers=JSON)
        assert answer.status_code == 503
        assert provider.api.server.connections == 0


# --- The other doors, and what is told -----------------------------------------------------------


def test_by_api_command_and_form(opened: Opened) -> None:
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        for address in (MIA, TOM, ZOE):
            stop(host, address)
            provider.put(address)
        query = {"partner_id": "acme", "address": MIA}
        answer = host.client.delete("/api/email/suppressions", query_string=query)
        assert answer.status_code == 200, answer.text
        assert answer.json is not None
        assert [one["message"] for one in answer.json["providers"]] == ["Also removed at Mailgun."]
        words = ["smtp-admin", "suppressions", "remove", TOM, "--partner", "acme"]
        result = host.app.test_cli_runner().invoke(args=words)
        assert result.output == f"{TOM} gets mail again.\nAlso removed at Mailgun.\n"
        (row,) = host.db.session.scalars(select(Suppression.id))
        host.db.session.rollback()
        client = host.client
        chosen = {"ids": str(row)}
        asked = client.post(f"{PAGE}/remove", data=chosen, headers={"Accept": "text/html"})
        assert "Remove 1 suppression?" in asked.text
        assert ZOE in asked.text
        assert "removed from the list of Mailgun too" in asked.text
        assert provider.listed() == {ZOE}, "nothing is removed before that was confirmed"
        chosen["confirmed"] = "1"
        client.post(f"{PAGE}/remove", data=chosen, headers={"Accept": "text/html"})
        assert "Also removed at Mailgun." in client.get(PAGE, headers={"Accept": "text/html"}).text
        assert provider.listed() == set()


def test_no_key_is_logged_or_shown(
    opened: Opened, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    host = opened(provider)
    said: list[str] = []

    def repeat(call: Call) -> Response:
        """A refusal with everything that it was told."""
        said.append(call.headers.get("authorization", ""))
        words = f"you said {provider.secret} and {said[-1]}"
        if provider.name == "sendgrid":
            return Response.of({"errors": [{"message": words}]}, 403)
        return Response.of({"message": words, "Message": words}, 403)

    provider.api.answer = repeat
    stop(host, MIA)
    told = str(lift(host, MIA))
    imported = host.client.post(f"{PAGE}/sync", json={"sender": "default"}, headers=JSON)
    assert imported.status_code == 503
    assert "*****" in told
    assert "*****" in imported.text
    coded = base64.b64encode(f"api:{provider.secret}".encode()).decode().rstrip("=")
    for text in (told, imported.text, caplog.text):
        assert provider.secret not in text
        assert coded not in text
