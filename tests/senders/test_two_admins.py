"""Two admins save at once: one wins, the other hears of it, nothing is overwritten."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.test import TestResponse

from smtp_admin.clock import now
from smtp_admin.database_errors import somebody_was_faster
from smtp_admin.host import Actor
from smtp_admin.mail import testmail
from smtp_admin.senders.models import Sender, SenderRevision
from tests.app import ADMIN, HostApp, TestHost

PAGE = "/smtp-admin/partners/acme"
HTML, JSON = {"Accept": "text/html"}, {"Accept": "application/json"}
AT_ONCE = 4


def shown_revision(page: str) -> str:
    found = re.search(r'<input[^>]*name="revision"[^>]*value="(\d+)"', page)
    assert found
    return found[1]


def shown(page: str, field: str) -> str:
    found = re.search(rf'<input[^>]*name="{field}"[^>]*>', page)
    assert found
    value = re.search(r'value="([^"]*)"', found[0])
    return value[1] if value else ""


def post(client: FlaskClient, revision: str, **values: Any) -> TestResponse:
    form = {
        "host": "mail.example",
        "port": "587",
        "security": "tls",
        "from_email": "noreply@acme.example",
        "verify_tls": "true",
        "revision": revision,
    }
    return client.post(PAGE, data=form | values, headers=HTML)


def saved_names(site: HostApp) -> list[str]:
    """The from names of all revisions, in order."""
    with site.app.app_context():
        query = select(SenderRevision.from_name).order_by(SenderRevision.number)
        return list(site.db.session.scalars(query))


def test_second_one_gets_a_page_that_says_who(site: HostApp) -> None:
    ada, zoe = site.client, site.client
    post(ada, "0", from_name="start")
    revision = shown_revision(ada.get(PAGE, headers=HTML).text)
    assert post(ada, revision, from_name="Ada's").status_code == 303
    site.actor = Actor(id="9", email="zoe@platform.example", name="Zoe <b>", is_admin=True)
    answer = post(zoe, revision, from_name="Zoe's", port="2525", username="z", password="zz-word")
    assert answer.status_code == 409
    assert "Ada saved these settings" in answer.text
    assert "Nothing was overwritten." in answer.text
    assert saved_names(site) == ["start", "Ada's"]
    # What was typed is still there, but for the password.
    assert (shown(answer.text, "from_name"), shown(answer.text, "port")) == ("Zoe&#39;s", "2525")
    assert "zz-word" not in answer.text
    again = post(zoe, shown_revision(answer.text), from_name="Zoe's")
    assert again.status_code == 303
    assert saved_names(site) == ["start", "Ada's", "Zoe's"]
    page = zoe.get(PAGE, headers=HTML).text
    assert "Zoe &lt;b&gt;" in page
    assert "Zoe <b>" not in page


def test_forged_revision_overwrites_nothing(site: HostApp) -> None:
    client = site.client
    post(client, "0", from_name="start")
    for revision in ("", "x", "-1", "٣", "1e0", "9" * 30, "0\n", "null"):
        assert post(client, revision, from_name="forged").status_code == 409, revision
    assert saved_names(site) == ["start"]


class CallingHost(TestHost):
    """Every thread is somebody else."""

    def current_actor(self) -> Actor:
        name = threading.current_thread().name
        return Actor(id=name, email=f"{name}@platform.example", name=name, is_admin=True)


@pytest.mark.parametrize("first", [True, False], ids=["first save", "later save"])
def test_all_at_once(site: HostApp, monkeypatch: pytest.MonkeyPatch, first: bool) -> None:
    if not first:
        post(site.client, "0", from_name="start")
    before = saved_names(site)
    monkeypatch.setattr(TestHost, "current_actor", CallingHost.current_actor)
    barrier = threading.Barrier(AT_ONCE)
    answers: dict[str, TestResponse] = {}
    failures: list[Exception] = []

    def save(name: str) -> None:
        client = site.client
        barrier.wait()
        try:
            answers[name] = post(client, str(len(before)), from_name=name)
        except Exception as error:  # noqa: BLE001 - raised again below, not lost with its thread
            failures.append(error)

    threads = [
        threading.Thread(target=save, args=(f"admin{number}",), name=f"admin{number}")
        for number in range(AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    statuses = sorted(answer.status_code for answer in answers.values())
    assert statuses == [303] + [409] * (AT_ONCE - 1)
    (winner,) = (name for name, answer in answers.items() if answer.status_code == 303)
    assert saved_names(site) == [*before, winner]
    for answer in answers.values():
        if answer.status_code == 409:
            assert f"{winner} saved these settings" in answer.text
    monkeypatch.undo()
    site.actor = ADMIN
    revision = shown_revision(site.client.get(PAGE, headers=HTML).text)
    assert post(site.client, revision, from_name="after").status_code == 303


_SAVED = {"do": "save", "host": "imap.acme.example", "username": "x", "password": "y"}
#: Page → what is posted there, by each from another place in the row.
AT_OTHER_PAGES: dict[str, list[dict[str, str]]] = {
    "bounces": [_SAVED, {"do": "off"}, _SAVED],
    "webhook": [
        {"do": "on", "source": "generic"},
        {"do": "rotate"},
        {"do": "secret"},
        {"do": "off"},
    ],
    "routes": [
        {"type-renewal": one, "type-password_reset": other}
        for one, other in (("", "news"), ("default", "news"), ("news", ""), ("news", "default"))
    ],
}


@pytest.mark.parametrize("page", AT_OTHER_PAGES)
def test_other_pages_at_once(site: HostApp, caplog: pytest.LogCaptureFixture, page: str) -> None:
    """Turned on, changed and turned off by several: each is told what came of it."""
    with site.app.app_context():
        site.save_sender()
        site.save_sender(key="news")
    forms, found = AT_OTHER_PAGES[page], list[TestResponse]()

    def go(first: int) -> None:
        for number in range(first, first + 12):
            form = forms[number % len(forms)]
            found.append(site.client.post(f"{PAGE}/{page}", data=form, headers=HTML))

    site.app.config["PROPAGATE_EXCEPTIONS"] = False  # an error is an answer, as for people
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            [*pool.map(go, range(AT_ONCE))]
    finally:
        site.app.config["PROPAGATE_EXCEPTIONS"] = None
    assert len(found) == AT_ONCE * 12
    assert {one.status_code for one in found} <= {200, 303, 404, 409}
    assert 409 not in {one.status_code for one in found} or page != "routes"
    assert [one for one in caplog.records if one.levelname == "ERROR"] == []


def test_deleted_while_a_test_mail_is_asked_for(
    site: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.app.app_context():
        site.save_sender()
        site.save_sender(key="news")
    count = testmail._count

    def delete_first(session: Session, *rest: Any) -> None:
        session.execute(update(Sender).where(Sender.key == "news").values(deleted_at=now()))
        count(session, *rest)

    monkeypatch.setattr(testmail, "_count", delete_first)
    answer = site.client.post(f"{PAGE}/senders/news/test-email", headers=JSON)
    assert answer.status_code == 400
    assert "There is no sender 'news'" in answer.get_json()["error"]["message"]


def test_what_databases_say_when_somebody_was_faster(site: HostApp) -> None:
    row: dict[str, Any] = {"partner_id": "", "key": ""}
    with site.app.app_context():
        for values, faster in ((row, True), (row | {"key": None}, False)):
            with pytest.raises(IntegrityError) as raised:
                site.db.session.execute(insert(Sender).values(values))
            assert somebody_was_faster(raised.value) is faster
            site.db.session.rollback()
    assert somebody_was_faster(StaleDataError())
    assert not somebody_was_faster(PoolTimeout())


def test_two_that_wait_for_each_other(site: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that chose one to give up is not away."""

    def chosen(*_: object, **__: object) -> None:
        raise OperationalError("UPDATE …", {}, Exception(1213, "Deadlock found"))

    monkeypatch.setattr("smtp_admin.pages.routes.save_routes", chosen)
    answer = site.client.post(f"{PAGE}/routes", data={}, headers=JSON)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "Others are changing the same" in answer.get_json()["error"]["message"]


def test_second_one_sees_what_differs(site: HostApp) -> None:
    client = site.client
    post(client, "0", from_name="start")
    revision = shown_revision(client.get(PAGE, headers=HTML).text)
    post(client, revision, from_name="Ada's", security="ssl")
    page = post(client, revision, from_name="Zoe's", host="other.example").text
    assert "Saved value: Ada&#39;s" in page
    assert "Saved value: mail.example" in page
    assert "Saved value: SSL/TLS" in page
    assert page.count("Saved value:") == 3, "what is the same is not marked"
    assert shown(page, "from_name") == "Zoe&#39;s"
