"""Several reasons for one address and one kind of mail: shown, exported and removed one by one."""

from typing import Any

import pytest

from smtp_admin.mail.suppression_file import read_suppressions
from smtp_admin.suppression.reading import suppressions_of
from tests.app import HostApp
from tests.suppression.conftest import Opened
from tests.suppression.lifting import JSON, MIA, PAGE, TOM, stop

HTML = {"Accept": "text/html"}
API = "/api/email/suppressions"


@pytest.fixture
def twice(opened: Opened) -> HostApp:
    """Mia unsubscribed from all notices, and an admin stopped these by hand as well."""
    host = opened()
    stop(host, MIA, "unsubscribe", "notices")
    stop(host, MIA, "manual", "notices")
    return host


def reasons(host: HostApp, address: str = MIA) -> list[str]:
    host.db.session.rollback()
    return [one.reason for one in suppressions_of(host.db.session(), "acme", address)]


def test_on_the_page(twice: HostApp) -> None:
    """One is removed, and the other named before and after."""
    stop(twice, TOM, "manual", "notices")
    rows = [*suppressions_of(twice.db.session(), "acme", MIA, reasons=["manual"])]
    ids = [one.id for one in rows + suppressions_of(twice.db.session(), "acme", TOM)]
    asked = twice.client.post(f"{PAGE}/remove", data={"ids": ids}, headers=HTML).text
    assert "These suppressions are removed:" in asked
    assert asked.count("Stays on the list:") == 1
    assert "Stays on the list: All notices, Unsubscribed" in asked
    done = twice.client.post(
        f"{PAGE}/remove", data={"ids": ids, "confirmed": "1"}, headers=HTML, follow_redirects=True
    )
    assert "1 address gets mail again." in done.text
    assert "Removed, but 1 address is still on the list for another reason." in done.text
    assert reasons(twice) == ["unsubscribe"]


@pytest.mark.parametrize(
    ("query", "left"),
    [({"reason": "manual"}, ["unsubscribe"]), ({"reason": "unsubscribe"}, ["manual"]), ({}, [])],
)
def test_by_the_api(twice: HostApp, query: dict[str, str], left: list[str]) -> None:
    asked = {"partner_id": "acme", "address": MIA, **query}
    answer = twice.client.delete(API, query_string=asked, headers=JSON)
    assert answer.json
    count = 2 - len(left)
    assert (answer.status_code, answer.json["count"], answer.json["left"]) == (
        200,
        count,
        len(left),
    )
    assert reasons(twice) == left
    again = twice.client.delete(API, query_string=asked, headers=JSON)
    assert again.status_code == 404


def test_a_reason_that_there_is_not(twice: HostApp) -> None:
    asked = {"partner_id": "acme", "address": MIA, "reason": "mood"}
    answer = twice.client.delete(API, query_string=asked, headers=JSON)
    assert answer.status_code == 400
    assert answer.json
    assert "there is no reason 'mood'" in answer.json["error"]["fields"]["reason"][0]
    assert reasons(twice) == ["manual", "unsubscribe"]


def test_by_the_command(twice: HostApp) -> None:
    def remove(*more: str) -> Any:
        words = ["smtp-admin", "suppressions", "remove", MIA, "--partner", "acme", *more]
        return twice.app.test_cli_runner().invoke(args=words).output

    said = remove("--reason", "manual")
    assert f"Removed. {MIA} is still on the list: notices (unsubscribe)." in said
    assert f"{MIA} gets mail again." in remove()


def test_both_are_exported_and_come_back(twice: HostApp) -> None:
    text = twice.client.get(f"{PAGE}?export=csv").text
    found = read_suppressions(text, "acme", category="all").rows
    assert {row["reason"] for row in found} == {"manual", "unsubscribe"}
    twice.client.delete(API, query_string={"partner_id": "acme", "address": MIA}, headers=JSON)
    assert reasons(twice) == []
    answer = twice.client.post(f"{PAGE}/import", data={"csv": text}, headers=JSON)
    assert answer.json
    assert (answer.json["rows"], answer.json["new"]) == (2, 2)
    assert reasons(twice) == ["manual", "unsubscribe"]
