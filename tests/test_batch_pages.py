"""The pages of batches: a list that is looked at first, sent, followed, stopped and resumed."""

import html
import re
from io import BytesIO
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy import select

from smtp_admin.database import host_engine
from smtp_admin.delivery import batch_ends
from smtp_admin.delivery.maintenance.batch_counts import count_batches
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.delivery.suppressions import suppress
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


def test_a_batch_without_a_name_is_called_as_its_type(site: HostApp) -> None:
    page = site.client.get(post(site, do="send").headers["Location"], headers=HTML).text
    assert "<h1>Newsletter</h1>" in page


def test_an_address_twice_gets_it_once(site: HostApp) -> None:
    client = site.client
    data = {"type": NAME, "csv": CSV.replace("tom@", "mia@"), "do": "send"}
    page = client.post(NEW, headers=HTML, data=data, follow_redirects=True).text
    assert "1 mail is queued. 1 line names an address of this batch again." in page


def test_the_columns_that_it_asks_for_are_those_that_it_complains_of(site: HostApp) -> None:
    page = post(site, do="check", csv="name\nMia").text
    (needed, others) = re.findall(
        r"<dt>Newsletter</dt><dd[^>]*><code>([^<]*)</code>.*?<code>([^<]*)</code>", page, re.DOTALL
    )[0]
    assert (needed, others) == ("address,name,code", "language")
    assert f"names the columns: {f'{needed},{others}'.replace(',', ', ')}." in page


def test_a_list_in_a_cell_is_shown_by_its_example_and_equal_faults_are_told_once(
    site: HostApp,
) -> None:
    """Addresses are looked at too in lines that have another fault; "e-mail" is one."""
    add_newsletter(site, name="paper", label="Paper", sample={"name": "x", "code": [{"a": 1}]})
    page = site.client.get(NEW, headers=HTML).text
    assert "<code>code</code> is JSON, such as <code>[{&#34;a&#34;: 1}]</code>" in page
    list_ = "E-Mail,name,code\n" + "a@example.org,A,x\n" * 3 + "b@example.org,B,[]\nnobody,C,x\n"
    answer = post(site, type="paper", do="check", csv=list_)
    told = html.unescape(answer.text)
    assert "4 lines cannot be used" in told
    assert told.count("code needs JSON in its cell") == 1
    assert "4 lines (2–4, 6): code needs JSON in its cell, such as" in told
    assert re.search(r"<li>line 6: [^<]*nobody", told)


def test_the_preview_is_as_the_mail_is(site: HostApp) -> None:
    page = post(site, do="check", label="December").text
    for words in ("<dd>Newsletter</dt>", "<dd>December</dd>", 'name="batch-preview"'):
        assert words.replace("</dt>", "</dd>") in page
    frame = post(site, do="html")
    assert "your code is <b>17</b>" in frame.text
    assert "default-src 'none'" in frame.headers["Content-Security-Policy"]
    assert deliveries(site) == []


def test_where_to_begin(site: HostApp) -> None:
    """All batches: whoever has one partner is led there, others are told where."""
    assert "choose a sender in the" in site.client.get(f"{PREFIX}/batches", headers=HTML).text
    site.actor = ACME_ADMIN
    page = site.client.get(f"{PREFIX}/batches", headers=HTML).text
    assert f'href="{NEW}"' in page
    assert "choose a sender in the" not in page


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
        ({"csv": CSV + "eva@example.org, ,1\n"}, "line 4: name is empty, but the mail needs it."),
        ({"type": ""}, "Choose a type."),
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


BAD = "address,name,code\nmia@example.org,Mia,1\nnobody,x,2\ntom@example.org,Tom,3\nshort,y\n"


def fields_of(page: str, form: str) -> dict[str, str]:
    """What the form with this id would send, unchanged."""
    (inside,) = re.findall(rf'<form[^>]* id="{form}".*?</form>', page, re.DOTALL)
    found = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', inside))
    (list_,) = re.findall(r"<textarea[^>]*>(.*?)</textarea>", inside, re.DOTALL)
    return {name: html.unescape(one) for name, one in {**found, "csv": list_}.items()}


def test_bad_lines_are_skipped_without_choosing_the_file_again(site: HostApp) -> None:
    """All of them are told, those too that show only when the mail is written."""
    list_ = BAD + "ann@example.org,A\x07nn,4\n"
    sent = {"file": (BytesIO(list_.encode()), "people.csv"), "csv": "", "label": "December"}
    page = post(site, do="check", **sent)
    assert page.status_code == 400
    for words in ("2 lines cannot be used", "line 3: ", "line 5: it has 2 cells",
                  "Skip these 2 lines and continue"):  # fmt: skip
        assert words in page.text, words
    assert "Or correct the file and choose it again." in page.text
    look = post(site, **fields_of(page.text, "skip-form")).text
    assert "3 mails, not sent yet" in look
    assert "2 lines that cannot be used" in look
    found = fields_of(look, "look-form")
    page = post(site, do="send", **found)
    assert page.status_code == 400
    assert "line 6: ann@example.org: " in page.text
    assert deliveries(site) == []
    look = post(site, **fields_of(page.text, "skip-form")).text
    assert "3 lines that cannot be used" in look
    assert post(site, do="send", **fields_of(look, "look-form")).status_code == 303
    assert {one.recipient for one in deliveries(site)} == {"mia@example.org", "tom@example.org"}


def test_bad_lines_of_a_typed_list_are_corrected_where_they_stand(site: HostApp) -> None:
    page = post(site, do="check", csv=BAD).text
    assert "Or correct the list below and send it again." in page
    assert "choose it again" not in page
    assert fields_of(page, "batch-form")["csv"].split() == BAD.split()


def test_where_no_line_is_left_nothing_can_be_skipped(site: HostApp) -> None:
    page = post(site, do="check", csv="address,name,code\nnobody,x,2\n").text
    assert "1 line cannot be used" in page
    assert "skip-form" not in page


def test_the_preview_counts_what_is_sent_and_names_what_is_not(site: HostApp) -> None:
    session = site.db.session()
    suppress(session, "acme", "tom@example.org", "bounce")
    session.commit()
    list_ = (
        "address,name,code,shoe\nmia@example.org,M,1,40\ntom@example.org,T,2,41\n"
        "Mia@Example.org,M,3,42\nann@example.org,A,4,43\n"
    )
    page = post(site, do="check", csv=list_).text
    for words in ("2 mails, not sent yet", "Send 2 mails", "line 4: Mia@Example.org",
                  "line 3: tom@example.org: Bounced", "<dd>shoe</dd>"):  # fmt: skip
        assert words in page, words
    told = post(site, JSON, do="check", csv=list_).json
    assert (told["count"], told["repeated"], told["suppressed"]) == (2, 1, 1)
    sent = site.client.post(
        NEW, headers=HTML, data={"type": NAME, "csv": list_, "do": "send"}, follow_redirects=True
    ).text
    assert "2 mails are queued." in sent
    assert "1 address is suppressed" in sent
    assert sorted(one.state for one in deliveries(site)) == ["queued", "queued", "suppressed"]
    page = post(site, do="check", csv="address,name,code\ntom@example.org,T,1\n")
    assert page.status_code == 400
    assert "Every address of the list is suppressed" in page.text


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
        page = site.client.get(address, headers=HTML).text
        assert "Resume" in page
        assert "0 of 3 done" in page, "what was cancelled was not done"
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


def test_the_life_of_its_mails_tells_who_stopped_and_resumed_it(
    site: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a worker has to go on with it, and not of those that others had cancelled."""
    public_id = site.plugin.send_many(NAME, people(3), partner_id="acme")
    site.db.session.commit()
    first, second, third = mail_ids(site)
    site.client.post(f"{PREFIX}/mail/{first}/cancel", headers=HTML)
    address = f"{PREFIX}/batches/{public_id}"
    site.actor = ACME_ADMIN
    with monkeypatch.context() as killed:
        killed.setattr(batch_ends, "_AT_ONCE", 1)
        killed.setattr(batch_ends, "erase_sensitive", Mock(side_effect=[None, KeyboardInterrupt]))
        with pytest.raises(KeyboardInterrupt):
            site.client.post(f"{address}/cancel", headers=JSON)
    site.db.session.rollback()
    assert [one.state for one in deliveries(site)] == ["cancelled", "cancelled", "queued"]
    count_batches(host_engine())
    site.actor = ADMIN
    assert site.client.post(f"{address}/resume", headers=JSON).json == {
        "ok": True, "id": public_id, "count": 2,
    }  # fmt: skip
    stopped = f"Cancelled with its batch by {ACME_ADMIN.email}"
    resumed = f"Queued again with its batch by {ADMIN.email}"
    assert [life(site, one) for one in (first, second, third)] == [
        [f"Cancelled by {ADMIN.email}"], [stopped, resumed], [stopped, resumed],
    ]  # fmt: skip
    result = site.app.test_cli_runner().invoke(args=["smtp-admin", "batch", "cancel", public_id])
    assert result.exit_code == 0, result.output
    assert life(site, third) == [stopped, resumed, "Cancelled with its batch by operator"]


def mail_ids(site: HostApp) -> list[str]:
    session = site.db.session()
    wanted = select(Message.public_id).join(Delivery, Delivery.message_pk == Message.id)
    return list(session.scalars(wanted.order_by(Delivery.id)))


def life(site: HostApp, public_id: str) -> list[str]:
    """What happened to a mail after it was queued."""
    told: Any = site.client.get(f"{PREFIX}/mail/{public_id}", headers=JSON).json
    return [f"{one['what']} {one['words']}".strip() for one in told["happened"]][1:]


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
    (words,) = answer.json["error"]["fields"]["file"]
    assert words.startswith("line 652: p650@example.org: ")
    assert deliveries(site) == []
    assert post(site, JSON, do="send", csv=bad.replace("\x07", "")).json["queued"] == 700
    assert len(deliveries(site)) == 700
