"""The pages of batches: a list that is looked at first, sent, followed, stopped and resumed."""

import re
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.delivery.models import Delivery
from smtp_admin.pages import new_batch
from tests.app import ACME_ADMIN, ADMIN, GLOBEX_ADMIN, HostApp
from tests.delivery.workbench import deliveries
from tests.mail.newsletter import NAME, add_newsletter, people
from tests.scene import HTML, JSON, PREFIX
from tests.servers.scripted import Reply, ScriptedServer

NEW = f"{PREFIX}/partners/acme/batches/new"
CSV = "address,name,code\nmia@example.org,Mia,17\ntom@example.org,Tom,18\n"


@pytest.fixture
def site(host: HostApp) -> HostApp:
    add_newsletter(host)
    host.save_sender(max_per_hour=100)
    return host


def post(site: HostApp, headers: Any = HTML, **data: Any) -> Any:
    return site.client.post(NEW, headers=headers, data={"type": NAME, "csv": CSV} | data)


def test_looked_at_before_anything_is_sent(site: HostApp) -> None:
    page = post(site, do="check")
    assert page.status_code == 200
    for words in ("2 mails, not sent yet", "News for Mia", "your code is 17", "about"):
        assert words in page.text, words
    assert deliveries(site) == []


def test_first_to_oneself(site: HostApp) -> None:
    page = post(site, do="myself")
    assert "being sent to admin@platform.example" in page.text
    (one,) = deliveries(site)
    assert (one.recipient, one.batch_id) == ("admin@platform.example", None)


def test_sent_once_however_often_it_is_posted(site: HostApp) -> None:
    first = post(site, do="send", label="December")
    assert first.status_code == 303
    again = post(site, JSON, do="send", label="December")
    assert (again.status_code, again.json["queued"]) == (202, 0)
    assert sorted(one.recipient for one in deliveries(site)) == [
        "mia@example.org", "tom@example.org",
    ]  # fmt: skip
    page = site.client.get(first.headers["Location"], headers=HTML).text
    assert "0 of 2 done" in page
    assert "December" in site.client.get(f"{PREFIX}/partners/acme/batches", headers=HTML).text


def test_an_address_twice_gets_it_once(site: HostApp) -> None:
    client = site.client
    data = {"type": NAME, "csv": CSV.replace("tom@", "mia@"), "do": "send"}
    page = client.post(NEW, headers=HTML, data=data, follow_redirects=True).text
    assert "1 mail is queued. 1 line names an address of this batch again." in page


def test_the_columns_that_it_asks_for_are_those_that_it_complains_of(site: HostApp) -> None:
    page = post(site, do="check", csv="name\nMia").text
    (columns,) = re.findall(r"<dt>Newsletter</dt><dd[^>]*><code>([^<]*code)</code>", page)
    assert f"names the columns: {columns.replace(',', ', ')}." in page


def test_a_file_is_taken(site: HostApp) -> None:
    data = {"type": NAME, "do": "check", "file": (BytesIO(CSV.encode("utf-8-sig")), "people.csv")}
    page = site.client.post(NEW, headers=HTML, data=data)
    assert "2 mails, not sent yet" in page.text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"csv": ""}, "Choose a CSV file"),
        ({"csv": "name\nMia"}, "no column"),
        ({"csv": "address,name\na@example.org,Mia"}, "lacks columns"),
        ({"csv": CSV + "nobody,x,1\n"}, "line 4"),
        ({"csv": "address,name,code\n"}, "has no recipients"),
        ({"csv": 'address,name,code\n"a@example.org'}, "cannot be read"),
        ({"type": "password_reset"}, "Choose a type."),
        ({"type": "nothing"}, "Choose a type."),
        ({"type": "weekly_summary"}, "Choose a type."),
        ({"by": "nobody"}, "no sender"),
        ({"csv": CSV, "file": (BytesIO(b"\xff\xfe"), "x.csv")}, "UTF-8"),
    ],
)
def test_what_cannot_be_used_is_said(site: HostApp, data: dict[str, Any], words: str) -> None:
    answer = post(site, **{"do": "send"} | data)
    assert answer.status_code == 400
    assert words in answer.text
    assert deliveries(site) == []


def test_too_many_for_a_page(site: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_batch, "MOST_FROM_PAGE", 1)
    assert post(site, do="send").status_code == 400
    assert deliveries(site) == []


def test_large_lists_pass_and_larger_ones_do_not(site: HostApp) -> None:
    rows = "".join(f"p{number}@example.org,{'n' * 60},1\n" for number in range(12_000))
    assert len(rows) > 900_000
    assert post(site, JSON, do="check", csv="address,name,code\n" + rows).json["count"] == 12_000
    assert post(site, JSON, do="check", csv=rows * 3).status_code == 413


def test_followed_stopped_and_resumed(site: HostApp) -> None:
    with ScriptedServer(behaviours={"rcpt": [Reply("550 5.1.1 unknown"), None]}) as server:
        site.save_sender(port=server.port)
        public_id = site.plugin.send_many(NAME, people(3), partner_id="acme", label="May")
        site.db.session.commit()
        address = f"{PREFIX}/batches/{public_id}"
        stopped: Any = site.client.post(f"{address}/cancel", headers=JSON)
        assert stopped.json["count"] == 3
        assert site.client.post(f"{address}/cancel", headers=JSON).status_code == 409
        assert "Resume" in site.client.get(address, headers=HTML).text
        resumed: Any = site.client.post(f"{address}/resume", headers=JSON)
        assert resumed.json["count"] == 3
        assert site.client.post(f"{address}/resume", headers=JSON).status_code == 409
        site.work()
    found: Any = site.client.get(address, headers=JSON).json
    assert (found["done"], found["states"]) == (3, {"dead": 1, "sent": 2})
    page = site.client.get(address, headers=HTML).text
    assert "3 of 3 done" in page
    assert "550 5.1.1 unknown" in page
    assert f"batch={public_id}" in page
    audited: Any = site.client.get(f"{PREFIX}/audit", headers=JSON).json
    actions = [one["action"] for one in audited["entries"]]
    assert actions[:2] == ["batch.resumed", "batch.cancelled"]


def test_everybody_sees_their_own(site: HostApp) -> None:
    site.save_sender("globex")
    ids = {
        one: site.plugin.send_many(NAME, people(1), partner_id=one, label=f"of {one}")
        for one in ("acme", "globex")
    }
    site.db.session.commit()
    for actor, seen in ((ADMIN, {"acme", "globex"}), (ACME_ADMIN, {"acme"}),
                        (GLOBEX_ADMIN, {"globex"})):  # fmt: skip
        site.actor = actor
        page = site.client.get(f"{PREFIX}/batches", headers=HTML).text
        for one in ("acme", "globex"):
            assert (f"of {one}" in page) == (one in seen)
    site.actor = ACME_ADMIN
    for path in ("", "/cancel", "/resume"):
        foreign, missing = (
            site.client.open(
                f"{PREFIX}/batches/{one}{path}", method="POST" if path else "GET", headers=JSON
            )
            for one in (ids["globex"], "0" * 32)
        )
        assert foreign.status_code == missing.status_code == 404
        assert foreign.data == missing.data
    mail: Any = site.client.get(f"{PREFIX}/mail?batch={ids['globex']}", headers=JSON).json
    assert mail["mails"] == []
    session = site.db.session()
    assert session.scalar(select(Delivery.state).limit(1)) == "queued"


def test_a_list_is_queued_whole_or_not_at_all(site: HostApp) -> None:
    """A corrected list is another batch: who had the mail already would get it twice."""
    rows = [f"p{number}@example.org,Mia,{number}" for number in range(700)]
    rows[650] = "p650@example.org,M\x07ia,650"
    bad = "address,name,code\n" + "\n".join(rows)
    answer: Any = post(site, JSON, do="send", csv=bad)
    assert answer.status_code == 400
    assert "p650@example.org" in answer.json["error"]["message"]
    assert deliveries(site) == []
    assert post(site, JSON, do="send", csv=bad.replace("\x07", "")).json["queued"] == 700
    assert len(deliveries(site)) == 700
