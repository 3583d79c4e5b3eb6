"""The pages of mail: whose they show, what they never show, and what is done from them."""

import csv
import html
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, select, update

from smtp_admin.audit.models import Audit
from smtp_admin.audit.service import record
from smtp_admin.clock import now
from smtp_admin.csv_cells import safe_cell
from smtp_admin.delivery import bulk_actions
from smtp_admin.delivery.hops import ways
from smtp_admin.delivery.mail_log import COUNTED, SEARCHED
from smtp_admin.delivery.models import Attempt, Delivery, Message
from smtp_admin.delivery.suppressions import lift, suppress
from smtp_admin.mail.message import Message as Letter
from smtp_admin.mail.preview import preview_of, sanitized
from smtp_admin.pages import lists
from smtp_admin.pages.mail_log import MOST_EXPORTED
from smtp_admin.pages.new_batch import MOST_FROM_PAGE
from smtp_admin.pages.sender_routes import LARGE_FORM_BYTES
from tests.app import ACME_ADMIN, ADMIN, GLOBEX_ADMIN, HostApp
from tests.delivery.maintenance.test_stepping_in import pause
from tests.delivery.workbench import deliveries, letter, step_in
from tests.scene import HTML, JSON, PREFIX
from tests.servers.scripted import Reply, ScriptedServer
from tests.test_overview import statements

SECRET_LINK = "https://acme.example/reset/very-secret"


@pytest.fixture
def site(host: HostApp) -> HostApp:
    """Senders of two partners, each with a mail."""
    for partner_id in ("acme", "globex"):
        host.save_sender(partner_id)
        send(host, f"you@{partner_id}.example", partner_id=partner_id)
    return host


def send(
    host: HostApp, to: str, *, partner_id: str = "acme", sender: str | None = None, **fields: Any
) -> str:
    public_id = host.plugin.send_message(letter(to, **fields), partner_id=partner_id, sender=sender)
    host.db.session.commit()
    return public_id


def get(site: HostApp, path: str, headers: Any = HTML, **query: Any) -> Any:
    return site.client.get(PREFIX + path, headers=headers, query_string=query)


def post(site: HostApp, path: str, headers: Any = HTML, **data: Any) -> Any:
    return site.client.post(PREFIX + path, headers=headers, data=data)


def set_all(host: HostApp, **values: Any) -> None:
    session = host.db.session()
    session.execute(update(Delivery).values(**values))
    session.commit()


def test_everybody_sees_their_own(site: HostApp) -> None:
    for actor, seen in (
        (ADMIN, {"acme", "globex"}), (ACME_ADMIN, {"acme"}), (GLOBEX_ADMIN, {"globex"}),
    ):  # fmt: skip
        site.actor = actor
        for query in ({}, {"q": "Hello"}, {"state": "waiting"}, {"period": "24h"}):
            for answer in (get(site, "/mail", **query), get(site, "/mail", JSON, **query),
                           get(site, "/mail", export="csv", **query)):  # fmt: skip
                assert answer.status_code == 200
                for name in ("acme", "globex"):
                    assert (f"you@{name}.example" in answer.text) == (name in seen)


def test_numbers_are_counted_for_oneself(site: HostApp) -> None:
    for _ in range(3):
        send(site, "more@globex.example", partner_id="globex")
    site.actor = ACME_ADMIN
    assert re.search(r"All\s*<strong>1</strong>", get(site, "/mail").text)
    site.actor = ADMIN
    assert re.search(r"All\s*<strong>5</strong>", get(site, "/mail").text)
    assert re.search(r"All\s*<strong>4</strong>", get(site, "/partners/globex/mail").text)


def test_a_page_of_one_type_leads_on_though_its_last_mail_is_gone(
    site: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a sender took over is of a newer mail, which nobody knows any more when it is pruned."""
    monkeypatch.setattr(lists, "PAGE_SIZE", 2)
    for name in "abcd":
        send(site, f"{name}@acme.example")
    session = site.db.session()
    (moved,) = [one.id for one in deliveries(site) if one.recipient.startswith("a@")]
    newest = deliveries(site)[-1].message_pk
    session.execute(update(Delivery).where(Delivery.id == moved).values(message_pk=newest))
    session.commit()
    first = get(site, "/partners/acme/mail", JSON, type="message").json
    assert {one["recipient"][0] for one in first["mails"]} == {"d", "a"}
    session.execute(delete(Delivery).where(Delivery.id == moved))
    session.commit()
    second: Any = site.client.get(first["older"], headers=JSON).json
    assert [one["recipient"][0] for one in second["mails"]] == ["c", "b"]
    back: Any = site.client.get(second["newer"], headers=JSON).json
    assert [one["recipient"][0] for one in back["mails"]] == ["d"]
    assert "mail=" not in get(site, "/partners/acme/mail", JSON).json["older"]


def test_foreign_and_missing_mail_look_alike(site: HostApp) -> None:
    theirs = send(site, "x@globex.example", partner_id="globex", html="<p>Hi</p>")
    site.actor = ACME_ADMIN
    for page in ("", "/preview", "/raw"):
        foreign, missing, odd = (
            get(site, f"/mail/{one}{page}") for one in (theirs, "0" * 32, "nothing")
        )
        assert foreign.status_code == missing.status_code == odd.status_code == 404
        assert foreign.data == missing.data == odd.data
    for action in ("retry", "cancel", "discard", "arrived", "lost", "hurry", "correct"):
        foreign, missing = (post(site, f"/mail/{one}/{action}") for one in (theirs, "0" * 32))
        assert foreign.status_code == missing.status_code == 404
        assert foreign.data == missing.data
    answers = [
        post(site, "/mail/actions", action="cancel", all="1", confirmed="1", owner=owner)
        for owner in ("partner:globex", "partner:nobody", "globex")
    ]
    assert {one.status_code for one in answers} == {404}
    assert len({one.data for one in answers}) == 1
    forbidden = post(site, "/mail/actions", action="cancel", all="1", confirmed="1", owner="system")
    assert forbidden.status_code == 403
    assert {one.state for one in deliveries(site)} == {"queued"}


def test_mail_with_secrets_is_never_read(site: HostApp) -> None:
    context = {"name": "Mia", "reset_url": SECRET_LINK, "expires_minutes": 5}
    public_id = site.plugin.send(
        "password_reset", to="mia@acme.example", partner_id="acme", context=context
    )
    site.db.session.commit()
    page = get(site, f"/mail/{public_id}")
    assert page.status_code == 200
    assert SECRET_LINK not in page.text
    assert "contains secrets" in page.text
    for path in ("/preview", "/raw"):
        answer = get(site, f"/mail/{public_id}{path}")
        assert answer.status_code == 404
        assert SECRET_LINK not in answer.text
    assert SECRET_LINK not in get(site, f"/mail/{public_id}", JSON).text


def test_a_mail_does_nothing_in_its_preview(site: HostApp) -> None:
    html = (
        '<p onclick="x()" style="color: red">Hi</p><script>x()</script><img src="http://x.example/">'
        '<a href="javascript:x()">a</a><form action="http://x.example"><input name="a"></form>'
        '<iframe src="http://x.example"></iframe><svg onload="x()"></svg><base href="http://x">'
        '<meta http-equiv="refresh" content="0;url=http://x.example"><link href="x">'
    )
    public_id = send(site, "mia@acme.example", html=html)
    answer = get(site, f"/mail/{public_id}/preview")
    assert answer.status_code == 200
    for word in ("script", "onclick", "onload", "javascript", "<img", "<form", "<input", "<iframe",
                 "<svg", "<base", "<meta", "<link"):  # fmt: skip
        assert word not in answer.text, word
    assert '<p style="color: red">Hi</p>' in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    page = get(site, f"/mail/{public_id}").text
    assert re.search(r"<iframe[^>]* sandbox=", page)
    assert "javascript:" not in page


def test_whatever_the_bytes_are_something_is_shown() -> None:
    for content in (
        b"", b"\r\n\r\n", b"no header at all", b"Subject: =?x?q?=FF?=\r\n\r\nhi",
        b"From: <<>>\r\nTo: ,,,\r\nDate: never\r\n\r\n",
        b"Content-Type: text/html; charset=nonsense\r\n\r\n<b>\xff</b>",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhi",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
        *(b"Content-Type: text/html; charset=" + one + b"\r\n\r\n<b>x</b>"
          for one in (b"idna", b"undefined", b"utf-7", b'"a\x00b"')),
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
                 for n in range(1500)),
        b"Subject: " + b"=?utf-8?q?x?= " * 100_000 + b"\r\n\r\n",
    ):  # fmt: skip
        preview_of(content)
    assert sanitized("<p>") == "<p></p>"
    assert sanitized("<div>" * 40_000) == ""
    found = preview_of(b"Content-Type: text/html; charset=nonsense\r\n\r\n<b>h\xc3\xa9</b>")
    assert found.html == "<b>hé</b>"


def test_raw_is_a_file(site: HostApp) -> None:
    public_id = send(site, "mia@acme.example", subject="Grüße")
    answer = get(site, f"/mail/{public_id}/raw")
    assert answer.mimetype == "message/rfc822"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{public_id}.eml"'
    session = site.db.session()
    kept = session.scalar(select(Message.content).where(Message.public_id == public_id))
    assert answer.data == kept


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(start: str) -> None:
    for before in ("", " ", "\u00a0", "\ufeff"):
        assert safe_cell(f"{before}{start}cmd|' /C calc'!A0").startswith("'")
    assert safe_cell(f"x{start}") == f"x{start}"
    assert safe_cell(None) == ""
    assert safe_cell(5) == "5"


def test_exported(site: HostApp) -> None:
    send(site, "mia@acme.example", subject='=HYPERLINK("http://x.example")')
    answer = get(site, "/partners/acme/mail", export="csv", q="mia@acme.example")
    assert answer.mimetype == "text/csv"
    rows = list(csv.reader(StringIO(answer.text.removeprefix("\ufeff"))))
    assert rows[0][:5] == ["id", "queued", "state", "partner", "recipient"]
    assert [row[5] for row in rows[1:]] == ['\'=HYPERLINK("http://x.example")']


def test_failed_sends_lead_to_their_mail(site: HostApp) -> None:
    with ScriptedServer(behaviours={"rcpt": [Reply("451 4.7.1 later"), None]}) as server:
        site.save_sender(port=server.port)
        send(site, "well@acme.example")
        site.work()
    for path in ("/", "/partners/acme"):
        (link,) = re.findall(r'href="([^"]*failed=24h)"', get(site, path).text)
        page = site.client.get(html.unescape(link), headers=HTML).text
        assert "you@acme.example" in page
        assert "well@acme.example" not in page, "it was taken at once"
        assert "failed at least once after" in page


def test_accepted_mail_is_found_whatever_came_of_it(site: HostApp) -> None:
    with ScriptedServer() as server:
        site.save_sender(port=server.port)
        send(site, "back@acme.example")
        site.work()
    set_all(site, state="bounced")
    send(site, "waits@acme.example")
    for path in ("/", "/partners/acme"):
        (link,) = re.findall(r'href="([^"]*accepted=24h)"', get(site, path).text)
        page = site.client.get(html.unescape(link), headers=HTML).text
        assert "back@acme.example" in page
        assert "waits@acme.example" not in page
        assert "was accepted after" in page


def test_the_life_of_a_mail(site: HostApp) -> None:
    public_id = send(site, "mia@acme.example")
    session = site.db.session()
    one = deliveries(site)[-1]
    session.add(
        Attempt(delivery_id=one.id, verdict="temporary", code="timeout", error="No answer.",
                reply="451 4.7.1 <b>later</b>", revision=3, worker="a-worker:1")
    )  # fmt: skip
    session.commit()
    site.actor = ADMIN
    page = get(site, f"/mail/{public_id}").text
    assert "451 4.7.1 &lt;b&gt;later&lt;/b&gt;" in page
    assert "revision 3" in page
    assert "a-worker" in page
    site.actor = ACME_ADMIN
    page = get(site, f"/mail/{public_id}").text
    assert "revision 3" in page
    assert "a-worker" not in page
    happened = get(site, f"/mail/{public_id}", JSON).json["happened"]
    assert [each["what"] for each in happened] == ["Queued", "Not taken yet"]


def test_the_life_of_a_mail_tells_what_people_did(site: HostApp) -> None:
    public_id = send(site, "mia@acme.example")
    session = site.db.session()
    site.actor = ACME_ADMIN

    def life(name: str, state: str = "") -> list[str]:
        if state:
            session.execute(
                update(Delivery)
                .where(Delivery.id == deliveries(site)[-1].id)
                .values(state=state, finished_at=now(), last_error="No.")
            )
            session.commit()
        assert post(site, f"/mail/{public_id}/{name}").status_code == 303, name
        happened = get(site, f"/mail/{public_id}", JSON).json["happened"]
        return [f"{each['what']} {each['words']}".strip() for each in happened][1:]

    by = f"by {ACME_ADMIN.email}"
    again = [f"Sent again {by}"]
    assert life("retry", "dead") == again
    assert life("retry", "dead") == again * 2
    assert life("cancel") == [*again * 2, f"Cancelled {by}"]
    moment = deliveries(site)[-1].finished_at
    assert moment
    assert post(site, "/mail/undo", at=moment.isoformat()).status_code == 303
    undone = [*again * 2, f"Cancelled {by}", f"Undone {by}"]
    assert life("lost", "uncertain")[:5] == [*undone, f"Given up {by}"]
    assert life("discard")[-1] == f"Discarded {by}"
    assert life("arrived", "uncertain")[6] == f"Marked as sent {by}"
    # None of it is a way that the mail went, by which a fallback is chosen.
    assert "Handed over" not in get(site, f"/mail/{public_id}").text
    one = deliveries(site)[-1]
    assert ways(session, one.sender_id, [one.id])[one.id].been == {one.sender_id}


def test_of_two_who_do_the_same_at_once_each_is_named(site: HostApp) -> None:
    """As they were called then, however they are called by now, and whatever an audit log keeps."""
    ids = [send(site, f"{name}@acme.example") for name in ("mia", "tom")]
    set_all(site, state="dead", finished_at=now())
    people = (ADMIN, replace(ACME_ADMIN, email="", name="Zoë <at> Acme"))
    for public_id, actor in zip(ids, people, strict=True):
        site.actor = actor
        assert post(site, f"/mail/{public_id}/retry").status_code == 303
    session = site.db.session()
    session.execute(delete(Audit))
    session.commit()
    told = [get(site, f"/mail/{one}", JSON).json["happened"][1]["words"] for one in ids]
    assert told == [f"by {ADMIN.email}", "by Zoë <at> Acme"]
    assert "by Zoë &lt;at&gt; Acme" in get(site, f"/mail/{ids[1]}").text


def test_what_the_app_and_commands_did(site: HostApp) -> None:
    """An app is nobody; whoever runs commands is called so."""
    by_app, by_command = (send(site, f"{name}@acme.example") for name in ("mia", "tom"))
    site.plugin.cancel(by_app)
    site.db.session.commit()
    result = site.app.test_cli_runner().invoke(args=["smtp-admin", "mail", "cancel", by_command])
    assert result.exit_code == 0, result.output
    for public_id, who in ((by_app, ""), (by_command, "by operator")):
        (_, one) = get(site, f"/mail/{public_id}", JSON).json["happened"]
        assert (one["what"], one["words"]) == ("Cancelled", who)


def test_a_corrected_mail_tells_so(site: HostApp) -> None:
    site.actor = ADMIN
    public_id = send(site, "mia@acme.example")
    one = deliveries(site)[-1].id
    for state in ("bounced", "dead"):
        set_all(site, state=state, finished_at=now())
        data = {"delivery": one, "address": f"{state}@x.example"}
        assert post(site, f"/mail/{public_id}/correct", **data).status_code == 303
        happened = get(site, f"/mail/{public_id}", JSON).json["happened"]
        told = "Sent to a corrected address", f"by {ADMIN.email}"
        assert told in [(each["what"], each["words"]) for each in happened]


@pytest.mark.parametrize(("last", "told"), [("temporary", True), ("permanent", False)])
def test_a_mail_that_is_tried_no_more_says_how_often_it_was(
    site: HostApp, last: str, *, told: bool
) -> None:
    public_id = send(site, "mia@acme.example")
    one = deliveries(site)[-1]
    site.db.session.add_all(
        Attempt(
            delivery_id=one.id,
            verdict=verdict,
            code="server_refused",
            error="",
            reply="452",
            revision=1,
            worker="",
        )
        for verdict in ("temporary", "temporary", last)
    )
    site.db.session.commit()
    assert "Check again" in get(site, f"/mail/{public_id}").text
    set_all(site, state="dead", last_code="server_refused", finished_at=now())
    page = get(site, f"/mail/{public_id}").text
    assert ("It was tried 3 times, as often as it may be." in page) == told
    assert "It will not be retried automatically." in page
    assert "Check again" not in page


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"state": "queued", "next_attempt_at": datetime(2100, 1, 31, 12, tzinfo=UTC)},
            "It is tried again automatically, next at 31 Jan 2100 12:00 UTC",
        ),
        ({"state": "dead"}, "It is not tried again automatically. Send again does it."),
        ({"state": "bounced", "last_code": "bounced"}, "as a new mail, to the same address too."),
        ({"state": "queued", "next_attempt_at": now().replace(year=2020)}, ""),
    ],
)
def test_a_remedy_says_when_or_how_it_is_tried_again(
    site: HostApp, values: dict[str, Any], said: str
) -> None:
    """A full mailbox: nobody is told to send again who cannot, or need not."""
    (one, _) = deliveries(site)
    full = {"last_code": "recipient_refused", "last_cause": "mailbox_full", "attempts": 1,
            "finished_at": None if values["state"] == "queued" else now(),
            "last_error": "The server refused the recipient.",
            "last_reply": "452 4.2.2 Mailbox full"}  # fmt: skip
    session = site.db.session()
    session.execute(update(Delivery).where(Delivery.id == one.id).values(full | values))
    public_id = session.scalar(select(Message.public_id).where(Message.id == one.message_pk))
    session.commit()
    page = get(site, f"/mail/{public_id}").text
    assert "Ask the recipient to make space, or contact them another way." in page
    told = re.sub(r"<[^>]+>|\s+", " ", page).replace("  ", " ")
    told = re.sub(r" +", " ", told).replace(" .", ".")
    assert said in told
    assert ("tried again automatically" in told) == bool(said)
    shown = site.app.test_cli_runner().invoke(args=["smtp-admin", "mail", "show", public_id]).output
    assert ("next at 2100-" in shown) == ("2100" in str(values.get("next_attempt_at")))
    assert (f"mail retry {public_id}" in shown) == (values["state"] == "dead")
    if values["state"] == "bounced":
        data = {"delivery": one.id, "address": one.recipient}
        assert post(site, f"/mail/{public_id}/correct", JSON, **data).status_code == 202


def test_a_time_that_has_passed_is_no_next_try(site: HostApp) -> None:
    """As of mail whose sender is paused since."""
    send(site, "mia@acme.example")
    for later, said in ((timedelta(minutes=5), True), (timedelta(minutes=-5), False)):
        set_all(site, last_code="timeout", last_error="No.", next_attempt_at=now() + later)
        page = get(site, "/partners/acme/mail").text
        assert "Trying again" in page
        assert ("next try" in page) == said


def test_a_mail_that_was_tried_says_that_its_sender_is_paused(site: HostApp) -> None:
    """“Trying again” alone would promise what nobody does while the sender is paused."""
    send(site, "mia@acme.example")
    set_all(site, last_code="timeout", last_error="The server stopped answering.", attempts=1)
    (one,) = deliveries(site)[-1:]
    mail = select(Message.public_id).where(Message.id == one.message_pk)
    path = f"/mail/{site.db.session.scalar(mail)}"
    set_all(site, next_attempt_at=now() + timedelta(minutes=5))
    assert "Its sender is paused." not in get(site, path).text
    assert "Trying again" in get(site, path).text
    assert "next try" in get(site, "/partners/acme/mail").text
    post(site, "/partners/acme/pause")
    assert "Its sender is paused. It is tried as soon as that sends again." in get(site, path).text
    for each in (path, "/partners/acme/mail"):
        page = get(site, each).text
        assert "Sender paused" in page
        assert "Trying again" not in page
        assert "next try" not in page


def test_what_failed_is_looked_up_once(site: HostApp) -> None:
    """For the list and for its dead letters."""
    with statements(site) as asked:
        get(site, "/mail", failed="24h")
    assert sum("DISTINCT smtp_admin_attempt" in one for one in asked) == 1


def test_a_test_mail_of_a_paused_sender_waits_for_it(site: HostApp) -> None:
    post(site, "/partners/acme/pause")
    page = site.client.post(
        f"{PREFIX}/partners/acme/test-email",
        headers=HTML,
        data={"to": "mia@acme.example"},
        follow_redirects=True,
    ).text
    assert "Mail waits until someone resumes it." in page.partition('id="test-mail"')[2]


def test_nothing_chosen_is_said_on_the_list(site: HostApp) -> None:
    answer = post(site, "/partners/acme/suppressions/remove")
    assert answer.status_code == 400
    for words in ("Select addresses first.", "Suppress an address", "API tokens"):
        assert words in answer.text


@pytest.mark.parametrize("number", ["1" * 30, "1" * 5000])
def test_numbers_that_no_row_has_are_none(site: HostApp, number: str) -> None:
    for path in ("/partners/acme/suppressions/remove", "/mail/actions"):
        assert post(site, path, ids=number, action="retry").status_code == 400


def test_how_the_system_sends_is_its_own_affair(host: HostApp) -> None:
    """A partner without a sender sees what the server said, and nothing of the sender."""
    host.save_sender("", from_email="mail@platform.example", host="secret-host.example")
    public_id = send(host, "mia@acme.example", partner_id="initech")
    host.actor = ADMIN
    assert "secret-host" not in get(host, f"/mail/{public_id}").text
    assert get(host, f"/mail/{public_id}").text.count('/smtp-admin/system"') > 0
    host.actor = replace(ACME_ADMIN, partner_ids=frozenset({"initech"}))
    page = get(host, f"/mail/{public_id}")
    assert page.status_code == 200
    assert "/smtp-admin/system" not in page.text
    host.save_sender("", key="secret-key", from_email="mail@platform.example")
    set_all(host, state="dead", finished_at=now(), last_code="timeout")
    for path in ("/mail", "/partners/initech/mail", f"/mail/{public_id}"):
        text = get(host, path).text
        assert "the system&#39;s sender" in text, path
        assert "secret-" not in text, path
    host.actor = ADMIN
    assert "secret-key" in get(host, "/partners/initech/mail").text


@pytest.mark.usefixtures("nothing_by_the_clock")
def test_a_page_asks_as_much_for_many_causes_as_for_few(site: HostApp) -> None:
    asked: list[str] = []
    set_all(site, state="dead", finished_at=now(), last_code="code0")
    get(site, "/mail")
    event.listen(site.db.engine, "before_cursor_execute", lambda *about: asked.append(about[2]))
    get(site, "/mail")
    few = len(asked)
    for number in range(8):
        site.save_sender(key=f"key{number}")
        for _ in range(3):
            send(site, "more@acme.example", sender=f"key{number}")
    session = site.db.session()
    for one in deliveries(site):
        mine = update(Delivery).where(Delivery.id == one.id)
        session.execute(mine.values(state="dead", finished_at=now(), last_code=f"c{one.id}"))
    session.commit()
    get(site, "/mail")
    asked.clear()
    page = get(site, "/mail").text
    assert page.count("smtp-admin-problem-words") == 10
    assert len(asked) == few


def test_asked_before_it_is_done(site: HostApp) -> None:
    ids = [one.id for one in deliveries(site)]
    page = post(site, "/mail/actions", action="cancel", ids=ids)
    assert page.status_code == 200
    assert "Cancel 2 mails?" in page.text
    assert {one.state for one in deliveries(site)} == {"queued"}
    done = post(site, "/mail/actions", action="cancel", ids=ids, confirmed="1")
    assert done.status_code == 303
    assert {one.state for one in deliveries(site)} == {"cancelled"}
    again = post(site, "/mail/actions", action="cancel", ids=ids, confirmed="1")
    assert again.status_code == 409


def test_what_was_kept_back_is_sent_after_all_together(site: HostApp) -> None:
    for number in range(3):
        send(site, f"a{number}@example.org")
    set_all(site, state="suppressed", last_code="suppressed", finished_at=now())
    assert 'value="release"' in get(site, "/mail", state="suppressed").text
    assert 'value="release"' not in get(site, "/mail", state="failed").text
    asked = post(site, "/mail/actions", action="release", all="1", state="suppressed")
    assert "5 mails after all?" in html.unescape(asked.text)
    post(
        site, "/mail/actions",
        action="release", all="1", state="suppressed", confirmed="1",
    )  # fmt: skip
    assert {one.state for one in deliveries(site)} == {"queued"}


def test_sent_again_to_a_suppressed_address(site: HostApp) -> None:
    public_id = send(site, "mia@example.org")
    session = site.db.session()
    suppress(session, "acme", "mia@example.org", "manual", category="all")
    set_all(site, state="dead", last_code="recipient_refused", finished_at=now(),
            last_reply="550 5.1.1 no such user")  # fmt: skip
    number = deliveries(site)[-1].id
    assert 'name="address"' in get(site, f"/mail/{public_id}").text
    page = site.client.post(
        f"{PREFIX}/mail/{public_id}/retry",
        headers=HTML,
        data={"delivery": number},
        follow_redirects=True,
    ).text
    assert "Kept back: 1 mail" in page
    assert "smtp-admin-note--warn smtp-admin-undo" in page
    assert 'suppressions?q=mia@example.org">suppressed</a>' in page
    assert "Remove it there first" in page
    assert f"{public_id}/release" not in page
    for word in ("Not recognised", "a complaint", f"{public_id}/correct"):
        assert word not in page
    again = post(site, f"/mail/{public_id}/release", JSON, delivery=number).json
    assert (again["count"], again["kept_back"]) == (0, 1)
    actions = session.execute(select(Audit.action, Audit.detail).order_by(Audit.id)).all()[-2:]
    assert [tuple(one) for one in actions] == [
        ("mail.retried", "0 mails, 1 kept back"), ("mail.released", "0 mails, 1 kept back"),
    ]  # fmt: skip
    lift(session, "acme", "mia@example.org")
    session.commit()
    page = get(site, f"/mail/{public_id}").text
    assert "no longer suppressed" in page
    assert f"{public_id}/release" in page
    for word in ("Most likely", "Not recognised"):
        assert word not in page


def test_only_some_of_the_selected_mail_is_concerned(site: HostApp) -> None:
    send(site, "mia@example.org")
    ids = [one.id for one in deliveries(site)]
    set_all(site, state="sent", finished_at=now())
    refused = post(site, "/mail/actions", action="retry", ids=ids)
    assert refused.status_code == 409
    for words in ("not possible for any of these mails", "3 × Sent", 'id="mail-form"'):
        assert words in refused.text
    refused = post(site, "/mail/actions", action="retry", ids=ids, confirmed="1", state="sent")
    assert refused.status_code == 409
    for words in ("not possible for any of these mails", 'id="mail-form"', "mail?state=sent"):
        assert words in refused.text
    assert 'id="mail-form"' in post(site, "/mail/actions", action="retry").text
    session = site.db.session()
    session.execute(update(Delivery).where(Delivery.id == ids[0]).values(state="dead"))
    session.commit()
    page = html.unescape(post(site, "/mail/actions", action="retry", ids=ids).text)
    assert "Send 1 mail again?" in page
    assert "This concerns 1 of the 3 selected mails. The others: 2 × Sent." in page
    asked: Any = post(site, "/mail/actions", JSON, action="retry", ids=ids).json
    assert asked["count"] == 1
    public_id = get(site, "/mail", JSON).json["mails"][0]["id"]
    refused = post(site, f"/mail/{public_id}/retry")
    assert refused.status_code == 409
    assert "What happened" in refused.text


@pytest.mark.parametrize("owner", ["all", "system", "partner:acme"])
def test_a_refused_action_shows_the_log_that_it_came_from(site: HostApp, owner: str) -> None:
    answer = post(site, "/mail/actions", action="retry", owner=owner)
    assert answer.status_code == 400
    assert "No mail is selected." in answer.text
    titles = {"all": "All mail", "system": "System e-mail: mail", "partner:acme": "Acme GmbH: mail"}
    assert f"<h1>{titles[owner]}</h1>" in answer.text


def test_only_what_waits_for_another_try_is_tried_now(site: HostApp) -> None:
    """The question names as many as the answer, of what a filter finds too."""
    for number in range(3):
        send(site, f"a{number}@example.org")
    session = site.db.session()
    later = now() + timedelta(minutes=5)
    mine = update(Delivery).where(Delivery.recipient.in_(["a0@example.org", "a1@example.org"]))
    session.execute(mine.values(attempts=1, next_attempt_at=later))
    session.commit()
    asked = post(site, "/mail/actions", action="hurry", all="1").text
    assert "Try 2 mails now?" in asked
    assert "a2@example.org" not in asked
    done = post(site, "/mail/actions", JSON, action="hurry", all="1", confirmed="1").json
    assert done["count"] == 2
    assert post(site, "/mail/actions", action="hurry", all="1").status_code == 409


def test_before_mail_is_sent_again_its_suppressed_addresses_are_told(site: HostApp) -> None:
    public_id = send(site, "mia@example.org")
    for number in range(6):
        send(site, f"fine{number}@example.org")
    session = site.db.session()
    suppress(session, "acme", "mia@example.org", "bounce", detail="550 5.1.1 no such user")
    set_all(site, state="dead", last_code="recipient_refused", finished_at=now())
    asked = post(site, "/mail/actions", action="retry", all="1", owner="partner:acme").text
    assert "Send 8 mails again?" in asked
    assert "1 of them goes to a suppressed address and is kept back, not sent." in asked
    assert f'{PREFIX}/partners/acme/suppressions"' in asked
    assert "fine5@example.org" in asked
    assert "and 3 more" in asked
    assert "Acme GmbH: mail</a>" in asked
    (mine,) = [one.id for one in deliveries(site) if one.recipient == "mia@example.org"]
    refused = post(site, "/mail/actions", action="retry", ids=mine, owner="partner:acme")
    assert refused.status_code == 409
    assert "Nothing would be sent" in refused.text
    assert {one.state for one in deliveries(site)} == {"dead"}
    page = get(site, f"/mail/{public_id}").text
    assert f"{public_id}/retry" not in page
    assert f"{public_id}/correct" in page
    # Kept back all the same, by a command for example: another address may still help.
    set_all(site, state="suppressed", last_code="suppressed")
    assert f"{public_id}/correct" in get(site, f"/mail/{public_id}").text


def test_a_secret_that_was_kept_back_is_made_anew(site: HostApp) -> None:
    public_id = send(site, "mia@example.org")
    session = site.db.session()
    session.execute(update(Message).values(sensitive=True, content=b""))
    set_all(site, state="suppressed", last_code="suppressed", finished_at=now())
    page = get(site, f"/mail/{public_id}").text
    assert "request it again in the app" in page
    assert "smtp-admin-actions" not in page
    assert "text erased, because it contains a secret" in get(site, "/mail").text
    set_all(site, state="sent")
    assert "text erased after sending" in get(site, "/mail").text


def test_a_limit_is_no_suppression(site: HostApp) -> None:
    public_id = send(site, "mia@example.org")
    set_all(site, state="suppressed", last_code="recipient_limit", finished_at=now())
    page = get(site, f"/mail/{public_id}").text
    assert "suppression list" not in page
    assert f"{public_id}/release" in page


def test_a_refused_test_mail_suppresses_nobody(site: HostApp) -> None:
    public_id = send(site, "mia@example.org")
    site.db.session.execute(update(Message).values(type_name="test"))
    set_all(site, state="dead", last_code="recipient_refused", finished_at=now())
    assert "does not suppress its address" in get(site, f"/mail/{public_id}").text


def test_as_json(site: HostApp) -> None:
    acme = {"action": "cancel", "all": True, "owner": "partner:acme"}
    asked: Any = site.client.post(f"{PREFIX}/mail/actions", headers=JSON, json=acme)
    assert asked.json == {"ok": True, "action": "cancel", "count": 1}
    done: Any = site.client.post(
        f"{PREFIX}/mail/actions", headers=JSON,
        json={"action": "cancel", "all": True, "confirmed": True, "owner": "partner:acme"},
    )  # fmt: skip
    assert (done.json["count"], done.json["more"]) == (1, False)
    assert [one.state for one in deliveries(site)] == ["cancelled", "queued"]
    undone: Any = site.client.post(
        f"{PREFIX}/mail/undo", headers=JSON, json={"at": done.json["undo"]}
    )
    assert undone.json == {"ok": True, "count": 1, "left": 0}
    assert [one.state for one in deliveries(site)] == ["queued", "queued"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"action": "drop"}, 400),
        ({}, 400),
        ({"action": "cancel"}, 400),
        ({"action": "cancel", "ids": ["x", "-1", "9" * 40]}, 400),
        ({"action": "cancel", "ids": [str(one) for one in range(501)]}, 400),
        ({"action": "retry", "all": "1", "state": "sent", "confirmed": "1"}, 409),
        ({"action": "cancel", "all": "1", "batch": "0" * 32, "confirmed": "1"}, 409),
    ],
)
def test_what_cannot_be_done(site: HostApp, data: dict[str, Any], status: int) -> None:
    answer = post(site, "/mail/actions", JSON, **data)
    assert answer.status_code == status
    assert answer.json["error"]["message"]
    assert {one.state for one in deliveries(site)} == {"queued"}


@pytest.mark.parametrize("at", ["", "x", "2026-01-01", "2026-01-01T00:00:00+00:00"])
def test_nothing_to_undo(site: HostApp, at: str) -> None:
    assert post(site, "/mail/undo", JSON, at=at).status_code in {404, 409}


def test_what_time_was_up_for_is_offered_again(
    site: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_actions, "_STEP", 1)
    done = post(site, "/mail/actions", JSON, action="cancel", all="1", confirmed="1")
    at = done.json["undo"]
    monkeypatch.setattr(bulk_actions, "_LONGEST_SECONDS", 0.0)
    client = site.client
    told = client.post(f"{PREFIX}/mail/undo", headers=HTML, data={"at": at}, follow_redirects=True)
    assert "Undone: 1 mail. 1 mail is left." in told.text
    (form,) = re.findall(r'<form[^>]*id="undo-form">.*?</form>', told.text, re.DOTALL)
    assert f'name="at" value="{at}"' in form
    assert "Undo the rest</button>" in form
    told = client.post(f"{PREFIX}/mail/undo", headers=HTML, data={"at": at}, follow_redirects=True)
    assert "Undone: 1 mail.<" in told.text
    assert 'id="undo-form"' not in told.text
    assert {one.state for one in deliveries(site)} == {"queued"}


def test_undo_leads_nowhere_else(site: HostApp) -> None:
    for back in ("http://evil.example/", "//evil.example", "/smtp-admin/\\evil", "/smtp-admin//e",
                 "/smtp-admin/../logout", "/smtp-admin/\nX"):  # fmt: skip
        done = post(site, "/mail/actions", JSON, action="cancel", all="1", confirmed="1")
        answer = post(site, "/mail/undo", at=done.json["undo"], back=back)
        assert answer.headers["Location"] == f"{PREFIX}/mail"


@pytest.mark.parametrize(
    "query",
    [
        "before=x&after=-1", "before=99999999999999999999", "oldest=1", "state=nonsense", "q=%00",
        "q=%FF", "period=nonsense", "sender=abc", "batch='", "code=%27&cause=", "type=%3Cb%3E",
        "state=dead&code=timeout&cause=", "q=" + "x" * 3000, "after=1&before=1",
    ],
)  # fmt: skip
def test_odd_addresses(site: HostApp, query: str) -> None:
    for path in ("/mail", "/partners/acme/mail", "/audit"):
        assert site.client.get(f"{PREFIX}{path}?{query}", headers=HTML).status_code == 200, path


def test_a_wrong_address_is_said(site: HostApp) -> None:
    public_id = send(site, "mia@acme.example")
    set_all(site, state="dead", finished_at=now())
    one = deliveries(site)[-1]
    answer = post(site, f"/mail/{public_id}/correct", delivery=one.id, address="nobody")
    assert answer.status_code == 400
    assert "is not a valid mail address" in answer.text
    client = site.client
    data = {"delivery": one.id, "address": "mia@example.org"}
    done = client.post(f"{PREFIX}/mail/{public_id}/correct", headers=HTML, data=data)
    assert done.status_code == 303
    page = client.get(done.headers["Location"], headers=HTML).text
    assert "A new mail is sent to mia@example.org." in page


def test_the_audit_tells_who_did_what(site: HostApp) -> None:
    post(site, "/mail/actions", action="cancel", all="1", confirmed="1")
    page = get(site, "/audit").text
    assert page.count('<td role="cell" class="smtp-admin-wrap">1 mail</td>') == 2
    site.actor = GLOBEX_ADMIN
    page = get(site, "/audit").text
    assert page.count("Cancelled mail</th>") == 1
    assert "Acme" not in page
    assert get(site, "/partners/acme/audit").status_code == 404
    entries = get(site, "/audit", JSON, action="mail.cancelled").json["entries"]
    assert [one["partner_id"] for one in entries] == ["globex"]
    assert get(site, "/audit", JSON, q="nobody@nowhere").json["entries"] == []
    text = get(site, "/audit", export="csv").text
    assert "acme" not in text
    assert "mail.cancelled" in text


def test_pages_of_the_audit(site: HostApp) -> None:
    session = site.db.session()
    for number in range(120):
        record(session, ADMIN, "acme", "dns.checked", f"{number}")
        session.flush()
    session.commit()
    seen: list[str] = []
    address = f"{PREFIX}/partners/acme/audit?action=dns.checked"
    while address:
        answer: Any = site.client.get(address, headers=JSON).json
        seen += [one["detail"] for one in answer["entries"]]
        address = answer["older"]
    assert seen == [str(number) for number in reversed(range(120))]
    assert session.scalar(select(Audit.id).limit(1))


def test_actions_on_mail_to_many_leave_nobody_out(site: HostApp) -> None:
    people = [f"u{number}@example.org" for number in range(150)]
    public_id = site.plugin.send_message(Letter("Hello", people, body="Hello."), partner_id="acme")
    site.db.session.commit()
    last = deliveries(site)[-1]
    assert last.recipient == "u149@example.org"
    number = last.id
    assert "for u149@example.org" in get(site, f"/mail/{public_id}", delivery=number).text
    done: Any = post(site, f"/mail/{public_id}/cancel", JSON, delivery=number).json
    assert done["count"] == 1
    done = post(site, f"/mail/{public_id}/cancel", JSON).json
    assert done["count"] == 149


def test_the_systems_settings_and_archive_are_its_own_affair(host: HostApp) -> None:
    host.save_sender("", from_email="mail@platform.example", host="mail.internal.example",
                     port=2599, archive_to="secret-archive@platform.example")  # fmt: skip
    public_id = send(host, "mia@example.org", partner_id="initech")
    host.actor = replace(ACME_ADMIN, partner_ids=frozenset({"initech"}))
    for code, reply in (("timeout", ""), ("recipient_refused", "554 Zorp says no"),
                        ("connection_refused", ""), ("auth_failed", "535 Zorp")):  # fmt: skip
        set_all(host, state="dead", finished_at=now(), last_code=code, last_reply=reply)
        for path in (f"/mail/{public_id}", "/mail", "/partners/initech/mail"):
            for headers in (HTML, JSON):
                text = get(host, path, headers).text
                for word in ("internal.example", "2599", "secret-archive"):
                    assert word not in text, (code, path, word)
        assert "secret-archive" not in get(host, "/mail", export="csv").text
    set_all(host, state="sent", last_code="", last_reply="250 ok")
    for headers in (HTML, JSON):
        assert "internal.example" not in get(host, f"/mail/{public_id}", headers).text
    set_all(host, state="dead")
    copy = deliveries(host)[-1]
    assert copy.archive
    gone = post(host, "/mail/actions", JSON, action="discard", ids=[copy.id], confirmed="1")
    assert gone.status_code == 409


def test_the_systems_archive_is_its_own_affair_where_another_of_its_senders_took_over(
    host: HostApp,
) -> None:
    """Also while there is mail of the system itself: whose sender it was is asked of each copy."""
    host.save_sender("", key="second")
    host.save_sender("", archive_to="secret-archive@platform.example", fallbacks=("second",))
    public_id = send(host, "mia@example.org", partner_id="initech")
    send(host, "own@example.org", partner_id="")
    pause(host, "")
    assert step_in(host) == 4
    host.actor = replace(ACME_ADMIN, partner_ids=frozenset({"initech"}))
    for path in ("/mail", f"/mail/{public_id}", "/partners/initech/mail"):
        for headers in (HTML, JSON):
            text = get(host, path, headers).text
            assert "mia@example.org" in text
            assert "secret-archive" not in text, path
    assert "secret-archive" not in get(host, "/mail", export="csv").text


def test_a_search_tells_nothing_of_others(site: HostApp) -> None:
    """Neither what it finds nor how it was understood."""
    site.actor = ACME_ADMIN
    pages = [get(site, "/mail", q=one).text for one in ("globex.example", "nowhere.example")]
    same = re.compile(r'value="[^"]{60,}"|(globex|nowhere)[.]example')
    assert same.sub("", pages[0]) == same.sub("", pages[1])


@pytest.mark.parametrize("text", ["\ud800", "\x00", "x\ud83d"])
def test_text_that_no_database_holds(site: HostApp, text: str) -> None:
    for name in ("q", "type", "code", "cause", "batch", "owner", "at", "action"):
        data = {"action": "cancel", "all": True, name: text}
        for path in ("/mail/actions", "/mail/undo"):
            answer = site.client.post(f"{PREFIX}{path}", headers=JSON, json=data)
            assert answer.status_code in {200, 400, 404}, (name, path)


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00"]
)
def test_moments_beyond_all_calendars(site: HostApp, at: str) -> None:
    assert post(site, "/mail/undo", JSON, at=at).status_code in {404, 409}


@pytest.mark.parametrize("text", ["false", "no", "off", "null", "0", ""])
def test_only_a_yes_confirms(site: HostApp, text: str) -> None:
    answer = post(site, "/mail/actions", JSON, action="cancel", all="1", confirmed=text)
    assert answer.json["count"] == 2
    assert {one.state for one in deliveries(site)} == {"queued"}


def test_the_guide_has_the_products_own_limits() -> None:
    text = (Path(__file__).parents[1] / "docs" / "mail-log.md").read_text()
    for number in (COUNTED, SEARCHED, MOST_EXPORTED, MOST_FROM_PAGE):
        assert f"{number:,}" in text
    assert f"{LARGE_FORM_BYTES // 1024 // 1024} MB" in text
