"""Lists of whose page one may open: a page at a time, found by name, at the same cost for many."""

import html
import json
import re

import pytest

from smtp_admin import Partner
from smtp_admin.pages.owners import PER_PAGE
from smtp_admin.senders.values import SenderValues
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.test_overview import HTML, PREFIX, have_partners, page, statements

#: Each such list, and whether its rows are rows of a table.
LISTS = {"/templates/": True, "/renewals/": True, "/symptoms": False}


def names(text: str, path: str) -> list[str]:
    """Who is in a list, in order."""
    pattern = (
        r'<th scope="row"[^>]*><a href="[^"]*">(.*?)</a>'
        if LISTS[path]
        else r'<li><a href="[^"]*/symptoms">(.*?)</a></li>'
    )
    found = re.findall(pattern, text)
    return [html.unescape(one) for one in found]


@pytest.mark.parametrize("path", LISTS)
def test_pages_of_many(host: HostApp, path: str) -> None:
    expected = [one.name for one in have_partners(host, 2 * PER_PAGE + 7)]
    host.actor = ADMIN
    seen: list[str] = []
    following = ""
    for _ in range(3):
        text = page(host, following, path)
        some = names(text, path)
        assert len(some) <= PER_PAGE
        seen += some
        leads = re.search(r'<a href="[^"?]*(\?[^"]*)" rel="next">', text)
        following = html.unescape(leads[1]) if leads else ""
    assert not following
    assert seen[0].startswith("System")
    assert seen[1:] == expected
    back = re.search(r'<a href="[^"?]*(\?[^"]*)" rel="prev">', text)
    assert back is not None
    assert names(page(host, html.unescape(back[1]), path), path) == seen[PER_PAGE : 2 * PER_PAGE]


@pytest.mark.parametrize("path", LISTS)
def test_search(host: HostApp, path: str) -> None:
    """In names whatever their case and accents, and in ids; what no page has leads to the last."""
    partners = have_partners(host, 60)
    partners[17] = Partner("p17", "Ätna & <Söhne>")
    host.actor = ADMIN
    assert names(page(host, "?q=PARTNER+01", path), path) == [
        f"Partner 01{number}" for number in range(10) if number != 7
    ]
    assert names(page(host, "?q=atna+%26+%3Csohne", path), path) == ["Ätna & <Söhne>"]
    assert names(page(host, "?q=p42", path), path) == ["Partner 042"]
    nobody = page(host, "?q=%3Cnobody%3E", path)
    assert names(nobody, path) == []
    assert "Nobody matches." in nobody
    assert 'value="&lt;nobody&gt;"' in nobody
    assert names(page(host, "?q=%00", path), path) == []
    for odd in ("?page=999999", "?page=-1", "?page=x", "?page=" + "9" * 30):
        assert names(page(host, odd, path), path), odd


def every_page(host: HostApp) -> list[str]:
    """That an address without a form leads to, those of one partner among them."""
    return sorted(
        rule.rule.replace("<partner_id>", "p7")
        for rule in host.app.url_map.iter_rules()
        if rule.endpoint.startswith("smtp_admin.")
        and "GET" in (rule.methods or ())
        and rule.arguments <= {"partner_id"}
    )


@pytest.mark.usefixtures("nothing_by_the_clock")
def test_no_page_asks_more_for_many(host: HostApp) -> None:
    host.actor = ADMIN
    for number in range(PER_PAGE + 10):
        host.save_sender(f"p{number}")
    paths = every_page(host)
    costs = []
    for many in (2 * PER_PAGE, 10 * PER_PAGE):
        have_partners(host, many)
        found = {}
        for path in paths:
            host.client.get(path, headers=HTML)  # what is made once
            host.db.session.remove()
            with statements(host) as asked:
                answer = host.client.get(path, headers=HTML)
            found[path] = answer.status_code, len(asked)
        costs.append(found)
    assert len(paths) > 60
    assert costs[0] == costs[1]


def test_no_page_makes_every_sender_anew(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """To make a thousand of their rows takes longer than all that is shown of them."""
    host.actor = ADMIN
    have_partners(host, 60)
    made: list[object] = []
    as_always = SenderValues.__init__

    def count(self: SenderValues, **given: object) -> None:
        made.append(self)
        as_always(self, **given)

    monkeypatch.setattr(SenderValues, "__init__", count)
    costs = []
    for several in (range(20), range(20, 60)):
        for number in several:
            host.save_sender(f"p{number}")
        found = {}
        for path in every_page(host):
            host.client.get(path, headers=HTML)
            host.db.session.remove()
            made.clear()
            host.client.get(path, headers=HTML)
            found[path] = len(made)
        costs.append(found)
    dearer = {path: (few, costs[1][path]) for path, few in costs[0].items() if costs[1][path] > few}
    assert dearer == {}


@pytest.mark.parametrize("path", LISTS)
def test_few_need_no_search(host: HostApp, path: str) -> None:
    host.actor = ACME_ADMIN
    text = page(host, "", path)
    assert len(names(text, path)) == 1
    assert 'role="search"' not in text
    assert 'rel="next"' not in text


def test_a_script_goes_on_too(host: HostApp) -> None:
    have_partners(host, PER_PAGE + 1)
    host.actor = ADMIN
    first = json.loads(host.client.get(f"{PREFIX}/symptoms").text)
    assert len(first["senders"]) == PER_PAGE
    rest = json.loads(host.client.get(first["next"]).text)
    assert [one["name"] for one in rest["senders"]] == ["Partner 049", "Partner 050"]
    assert rest["next"] is None
    assert host.client.get(first["next"], headers=HTML).status_code == 200
