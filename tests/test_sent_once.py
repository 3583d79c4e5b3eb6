"""Buttons that make a new mail make one, however often their form is sent."""

import re
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import object_session
from werkzeug.test import TestResponse

from smtp_admin.audit.models import Audit
from smtp_admin.clock import now
from smtp_admin.delivery.models import Delivery, Message
from tests.app import HostApp
from tests.delivery.conftest import NewHost, database, opened
from tests.delivery.workbench import deliveries, queue
from tests.mail.newsletter import NAME, add_newsletter
from tests.scene import HTML, JSON, PREFIX

__all__ = ["database", "opened"]

ACME = f"{PREFIX}/partners/acme"
CSV = "address,name,code\nmia@example.org,Mia,17\n"
EDITOR = f"{PREFIX}/templates/partners/acme/welcome/de"
DRAFT = {
    "do": "send",
    "subject": "Hallo",
    "text": "Willkommen",
    "html": "",
    "sample": '{"name": "I"}',
}
BATCH = {"type": NAME, "csv": CSV}
#: What is pressed → where, with what, with what else it is another mail, and where the form stands.
BUTTONS: dict[str, tuple[str, dict[str, str], dict[str, str], dict[str, str] | None]] = {
    "test mail": (f"{ACME}/test-email", {"to": "you@example.org"}, {"to": "me@example.org"}, None),
    "draft to me": (EDITOR, DRAFT, {"subject": "Moin"}, None),
    "first to myself": (f"{ACME}/batches/new", {**BATCH, "do": "myself"},
                        {"csv": CSV.replace("17", "18")}, {**BATCH, "do": "check"}),
}  # fmt: skip


def name_of(page: str) -> str:
    """What the form on a page is called."""
    found = re.findall(r'<input type="hidden" name="once" value="([^"]{20,})"', page)
    assert len(found) == 1, "one form makes a mail"
    return str(found[0])


def count(host: HostApp, table: Any) -> int:
    host.db.session.rollback()
    return host.db.session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.parametrize("button", BUTTONS)
def test_one_form_makes_one_mail(host: HostApp, button: str) -> None:
    url, data, other, before = BUTTONS[button]
    add_newsletter(host)
    host.save_sender()
    form = url.removesuffix("/test-email")
    client = host.client

    def form_page() -> str:
        opened = client.post(form, headers=HTML, data=before) if before else client.get(form)
        return name_of(opened.text)

    def press(once: str, **more: str) -> TestResponse:
        return client.post(url, headers=HTML, data={**data, **more, "once": once})

    once = form_page()
    audits = count(host, Audit)
    first, again, reloaded = (press(once) for _ in range(3))
    assert first.status_code in {200, 303}, first.text
    for one in (again, reloaded):
        assert (one.status_code, one.headers.get("Location")) == (
            first.status_code,
            first.headers.get("Location"),
        )
    assert count(host, Message) == 1
    assert count(host, Audit) == audits + 1, "nor is it counted against a limit"
    told = re.findall(r'role="status"[^>]*>(.*?)</div>', first.text, re.DOTALL)
    assert told == re.findall(r'role="status"[^>]*>(.*?)</div>', again.text, re.DOTALL)
    press(once, **other)
    assert count(host, Message) == 2, "something else was entered"
    # A form that comes back is another one, and so is the same opened anew.
    for new in {form_page(), *([name_of(first.text)] if first.status_code == 200 else [])}:
        messages = count(host, Message)
        assert press(new).status_code == first.status_code
        assert count(host, Message) == messages + 1
    messages = count(host, Message)
    client.post(url, headers=HTML, data=data)
    client.post(url, headers=HTML, data=data)
    assert count(host, Message) == messages + 2, "a program names no form"


def correct(host: HostApp, one: Delivery, address: str, headers: Any = HTML) -> TestResponse:
    data = {"delivery": one.id, "address": address}
    return host.app.test_client().post(address_of(one), headers=headers, data=data)


def address_of(one: Delivery) -> str:
    """Where the form of a mail goes."""
    session = object_session(one)
    assert session is not None
    public_id = session.scalar(select(Message.public_id).where(Message.id == one.message_pk))
    session.rollback()
    return f"{PREFIX}/mail/{public_id}/correct"


def ended(host: HostApp, state: str) -> Delivery:
    """A mail that did not arrive."""
    host.save_sender()
    queue(host)
    values = {"state": state, "last_code": "recipient_refused", "finished_at": now()}
    host.db.session.execute(update(Delivery).values(values))
    host.db.session.commit()
    return deliveries(host)[0]


@pytest.mark.parametrize("state", ["bounced", "dead"])
def test_each_address_gets_it_once(host: HostApp, state: str) -> None:
    """Also by a form that was opened anew; whoever asks is led to the mail that is there."""
    one = ended(host, state)
    first, again = (correct(host, one, "mia@example.org") for _ in range(2))
    assert (first.status_code, again.status_code) == (303, 303)
    assert first.headers["Location"] == again.headers["Location"]
    assert [each.recipient for each in deliveries(host)] == ["you@example.org", "mia@example.org"]
    corrected = Audit.action == "mail.corrected"
    assert host.db.session.scalar(select(func.count()).where(corrected)) == 1
    as_json = [correct(host, one, " MIA@example.org", JSON) for _ in range(2)]
    assert [each.status_code for each in as_json] == [202, 202]
    assert {str(each.json and each.json["id"]) for each in as_json} == {
        first.headers["Location"].rpartition("/")[2]
    }
    # Another address of what bounced is another mail; a dead letter went its way already.
    assert correct(host, one, "tom@example.org").status_code == (303 if state == "bounced" else 409)
    assert len(deliveries(host)) == (3 if state == "bounced" else 2)


@pytest.mark.parametrize("end", ["cancelled", "expired"])
def test_one_that_was_never_tried_may_be_sent_anew(host: HostApp, end: str) -> None:
    """Nothing else brings it back."""
    one = ended(host, "bounced")
    correct(host, one, "mia@example.org")
    latest = Delivery.recipient == "mia@example.org"
    host.db.session.execute(update(Delivery).where(latest).values(state=end, finished_at=now()))
    host.db.session.commit()
    second = correct(host, one, "mia@example.org")
    third = correct(host, one, "mia@example.org")
    assert second.headers["Location"] == third.headers["Location"]
    assert [each.state for each in deliveries(host)] == ["bounced", end, "queued"]


@pytest.mark.parametrize("state", ["bounced", "dead"])
def test_two_clicks_at_once(opened: NewHost, database: str, state: str) -> None:
    host = opened(uri=database)
    one = ended(host, state)
    url, data = address_of(one), {"delivery": one.id, "address": "mia@example.org"}
    barrier = Barrier(4)
    answers: list[TestResponse] = []

    def click() -> None:
        client = host.app.test_client()
        barrier.wait()
        answers.append(client.post(url, headers=HTML, data=data))

    threads = [Thread(target=click) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert {each.status_code for each in answers} == {303}, [each.text for each in answers]
    assert len({each.headers["Location"] for each in answers}) == 1
    host.db.session.rollback()
    assert [each.recipient for each in deliveries(host)] == ["you@example.org", "mia@example.org"]
    corrected = Audit.action == "mail.corrected"
    assert host.db.session.scalar(select(func.count()).where(corrected)) == 1
