"""What a provider suppresses is suppressed here: all pages, with our reasons, and once."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.audit.models import Audit
from smtp_admin.delivery import provider_suppressions
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.provider_lists import reading
from smtp_admin.suppression.reasons import Reason
from tests.app import HostApp
from tests.delivery.workbench import deliveries, queue
from tests.servers.provider_api import Call, Response
from tests.suppression.conftest import Opened
from tests.suppression.providers import (
    SES,
    WRONG_KEY,
    Mailgun,
    Postmark,
    Provider,
    SendGrid,
)

PAGE = "/smtp-admin/partners/acme/suppressions"
JSON, HTML = {"Accept": "application/json"}, {"Accept": "text/html"}


def sync(host: HostApp, status: int = 200, sender: str = "default") -> dict[str, Any]:
    answer = host.client.post(f"{PAGE}/sync", json={"sender": sender}, headers=JSON)
    assert answer.status_code == status, answer.text
    assert answer.json is not None
    found: dict[str, Any] = answer.json if status == 200 else answer.json["error"]
    return found


def ours(host: HostApp) -> dict[str, tuple[str, str]]:
    rows = host.db.session.scalars(select(Suppression).where(Suppression.partner_id == "acme"))
    return {one.address: (one.reason, one.category) for one in rows}


def command(host: HostApp, *words: str) -> tuple[int, str]:
    result = host.app.test_cli_runner().invoke(args=["smtp-admin", "suppressions", "sync", *words])
    return result.exit_code, result.output


def test_every_page_is_read(opened: Opened, provider: Provider) -> None:
    host = opened(provider)
    count = provider.page * 2 + 1 if provider.page else 7
    addresses = {f"reader{number:04}@example.org" for number in range(count)}
    for one in sorted(addresses):
        provider.put(one)
    provider.put("Not An Address@")
    told = sync(host)
    assert told == {
        "ok": True, "sender": "default", "provider": provider.label, "rows": count, "new": count,
        "unusable": 1, "trouble": None,
    }  # fmt: skip
    assert {*ours(host)} == addresses
    provider.put("one.more@example.org", "complaint")
    assert sync(host)["new"] == 1
    assert sync(host)["new"] == 0
    assert provider.api.server.connections == 3, "one for each time"


def test_their_reasons_become_ours(opened: Opened, provider: Provider) -> None:
    host = opened(provider)
    kept: dict[Reason, tuple[str, str]] = {
        "bounce": ("bounce", "all"),
        "complaint": ("complaint", "notices"),
        "unsubscribe": ("unsubscribe", "notices"),
    }
    if provider.name == "ses":
        del kept["unsubscribe"]  # it has no such reason
    for reason in kept:
        provider.put(f"{reason}@Example.org", reason)
    sync(host)
    assert ours(host) == {f"{reason}@example.org": found for reason, found in kept.items()}
    assert {*host.db.session.scalars(select(Suppression.created_by))} == {provider.label}


def test_what_only_one_of_them_has(opened: Opened) -> None:
    mailgun, postmark, sendgrid = Mailgun(), Postmark(), SendGrid()
    with mailgun.api.server, postmark.api.server, sendgrid.api.server:
        host = opened(mailgun, postmark, sendgrid)
        mailgun.put("mia@example.org")
        mailgun.put("news@example.org", "unsubscribe")
        assert mailgun.api.lists is not None
        # Who unsubscribed from mail with one of the app's own tags may have all other mail.
        mailgun.api.lists["unsubscribes"]["news@example.org"]["tags"] = ["campaign"]
        postmark.put("hand@example.org", "manual")
        sendgrid.api.lists["invalid_emails"]["odd@example.org"] = "Mail domain has no MX record"
        code, said = command(host, "--partner", "acme")
        assert (code, said.splitlines()) == (
            0,
            [
                "Mailgun (default): addresses: 1, of which new: 1.",
                "Postmark (k1): addresses: 1, of which new: 1.",
                "SendGrid (k2): addresses: 1, of which new: 1.",
            ],
        )
        assert ours(host) == {
            "mia@example.org": ("bounce", "all"),
            "hand@example.org": ("manual", "all"),
            "odd@example.org": ("bounce", "all"),
        }
        rows = host.db.session.scalars(select(Suppression.detail).order_by(Suppression.id))
        assert [*rows] == ["550 No such mailbox", "", "Mail domain has no MX record"]
        host.db.session.rollback()
        code, said = command(host, "--partner", "acme", "--sender", "k1", "--json")
        (one,) = json.loads(said)["senders"]
        assert (code, one["provider"], one["rows"], one["new"]) == (0, "Postmark", 1, 0)


def test_waiting_mail_to_them_is_kept_back(opened: Opened) -> None:
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        queue(host, "mia@example.org")
        provider.put("mia@example.org")
        page = host.client
        answer = page.post(f"{PAGE}/sync", data={"sender": "default"}, headers=HTML)
        assert answer.status_code == 303
        (delivery,) = deliveries(host)
        assert (delivery.state, delivery.last_code) == ("suppressed", "suppressed")
        shown = page.get(PAGE, headers=HTML).text
        assert "Imported from Mailgun. 1 address is new." in shown
        assert "Import from Mailgun" in shown
        done = host.db.session.scalars(select(Audit).order_by(Audit.id.desc())).first()
        assert done is not None
        assert (done.action, done.detail) == ("suppression.imported", "Mailgun: 1 new of 1")


@pytest.mark.parametrize("wrong", [True, False], ids=["another key", "a key that only sends"])
def test_a_key_that_may_not(opened: Opened, provider: Provider, wrong: bool) -> None:
    host = opened(provider)
    provider.put("mia@example.org")
    if wrong:
        provider.save(host, key_there=WRONG_KEY[provider.name])
    else:
        provider.only_send()
    told = sync(host, 503)
    assert provider.label in told["message"]
    assert ": 40" in told["message"]
    assert told["hint"]
    shown = host.client.post(f"{PAGE}/sync", data={"sender": "default"}, headers=HTML)
    assert shown.status_code == 503
    assert provider.label in shown.text
    code, said = command(host, "--partner", "acme")
    assert code == 1
    assert ": 40" in said
    assert ours(host) == {}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Response(hang=True), "did not answer in time"),
        (Response(cut=10), "broke off"),
        (Response(200, b"<html>"), "no list of addresses"),
        (Response.of({"items": 1}), "no list of addresses"),
        (Response.of([{"email": []}, 1]), "no list of addresses"),
    ],
    ids=["silent", "cut", "page", "number", "mixed"],
)
def test_an_answer_that_is_none(
    opened: Opened,
    answer: Response,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smtp_admin.pages.suppressions.PAGE_SECONDS", 0.6)
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        provider.api.answer = lambda _: answer
        assert why in sync(host, 503)["message"]


ODD: tuple[Any, ...] = (
    None, 1, "x", [], [1], [None], {}, {"items": {}}, {"items": [[]]}, {"paging": []},
    {"items": [{"address": 1, "code": [], "tags": {}}], "paging": {"next": "https://[::1/?a=b"}},
    {"items": [{"address": "a@b.example", "tags": [[]]}], "paging": {"next": {"a": 1}}},
    {"SuppressedDestinationSummaries": [{"Reason": [], "EmailAddress": {}}], "NextToken": 1},
    {"SuppressedDestinationSummaries": {"Reason": "BOUNCE"}},
    {"Suppressions": [{"EmailAddress": 1, "SuppressionReason": [], "Origin": {}}]},
    [{"email": {}, "reason": 5}],
)  # fmt: skip


def test_odd_answers_are_no_lists_or_empty(opened: Opened, provider: Provider) -> None:
    host = opened(provider)
    for odd in ODD:
        said = Response.of(odd)
        provider.api.answer = lambda _, said=said: said
        answer = host.client.post(f"{PAGE}/sync", json={"sender": "default"}, headers=JSON)
        assert answer.status_code in {200, 503}, (odd, answer.text)
    assert {*ours(host)} <= {"a@b.example"}


def test_what_came_before_the_trouble_is_kept(opened: Opened) -> None:
    provider = SendGrid()
    with provider.api.server:
        host = opened(provider)
        for number in range(501):
            provider.put(f"reader{number:04}@example.org")

        def second(call: Call) -> Response | None:
            return Response.of({}, 500) if "offset=500" in call.path else None

        provider.api.answer = second
        told = sync(host)
        assert (told["rows"], told["new"]) == (500, 500)
        assert told["trouble"] == "SendGrid, list “bounces”: 500."
        code, said = command(host, "--partner", "acme")
        assert (code, "500, of which new: 0. SendGrid, list" in said) == (1, True)


def test_a_list_without_end_ends(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = SendGrid()
    with provider.api.server:
        host = opened(provider)
        monkeypatch.setattr(reading, "MOST", 1000)
        same = Response.of([{"email": "mia@example.org", "reason": ""}] * 500)
        provider.api.answer = lambda _: same
        told = sync(host)
        assert (told["rows"], told["new"]) == (1, 1)
        assert "more addresses than can be imported" in told["trouble"]


def test_a_next_page_elsewhere_gets_no_key(opened: Opened) -> None:
    provider, other = Mailgun(), Mailgun()
    with provider.api.server, other.api.server:
        host = opened(provider)
        following = f"{other.api.server.url}/v3/elsewhere/bounces?page=next&address=x&limit=5"

        def leading(call: Call) -> Response:
            items = [] if "page=next" in call.path else [{"address": "mia@example.org"}]
            return Response.of({"items": items, "paging": {"next": following}})

        provider.api.answer = leading
        assert sync(host)["rows"] == 3, "bounced, complained, and unsubscribed"
        assert other.api.server.connections == 0
        assert all("/elsewhere/" not in one.path for one in provider.api.server.calls)


def test_who_has_no_list_is_told_so(opened: Opened) -> None:
    host = opened()
    host.save_sender()
    told = sync(host, 400)
    assert (told["code"], [*told["fields"]]) == ("invalid_input", ["sender"])
    code, said = command(host, "--partner", "acme")
    assert (code, said) == (
        0, "No sender has a suppression list at its provider that can be read.\n",
    )  # fmt: skip
    assert "Import from the provider" not in host.client.get(PAGE, headers=HTML).text


def test_a_sandbox_imports_nothing(opened: Opened) -> None:
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider, SANDBOX="redirect:dev@example.com")
        assert "sandbox" in sync(host, 503)["message"]
        assert provider.api.server.connections == 0
    assert provider_suppressions.PAGE_SECONDS < 30, "less than web servers let a request take"


def test_pages_without_an_end(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are addresses believed that show another way than they are."""
    monkeypatch.setattr(reading, "MOST_PAGES", 5)
    provider = SES()
    with provider.api.server:
        host = opened(provider)

        def more(call: Call) -> Response:
            number = len(provider.api.server.calls)
            odd = [f"page{number}@example.org", "\u202eevil@example.org", "a\x00b@example.org"]
            listed = [{"EmailAddress": one, "Reason": "BOUNCE"} for one in odd]
            return Response.of(
                {"SuppressedDestinationSummaries": listed, "NextToken": f"{number}\r\nX: y"}
            )

        provider.api.answer = more
        told = sync(host)
        assert (told["rows"], told["unusable"]) == (5, 10)
        assert "more addresses than can be imported" in told["trouble"]
        assert len(provider.api.server.calls) == 5
