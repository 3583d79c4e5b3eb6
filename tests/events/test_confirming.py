"""The link in a test mail: whoever has the mail says that it arrived, and nobody else can."""

import json
import re
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from sqlalchemy import select, update

from smtp_admin.clock import shifted
from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.encryption import generate_key
from smtp_admin.events.confirming import ORIGIN
from smtp_admin.events.models import MailEvent
from smtp_admin.mail.arrival_link import arrival_url
from smtp_admin.mail.unsubscribing import Reader, token_for
from tests.app import ADMIN
from tests.delivery.conftest import NewHost
from tests.events.conftest import Hook, database, opened
from tests.events.hooking import Hooked

__all__ = ["database", "opened"]

PUBLIC = "https://mail.acme.example"
TAB = "/smtp-admin/partners/acme"
JSON, HTML = {"Accept": "application/json"}, {"Accept": "text/html"}
YES = {"arrived": "yes"}


@pytest.fixture
def site(opened: NewHost, hook: Hook) -> Hooked:
    """With a public address, on SQLite."""
    made = hook(opened(PUBLIC_URL=PUBLIC))
    made.host.save_sender("acme")
    return made


def send(site: Hooked, state: str = "sent") -> tuple[str, Any]:
    """A test mail that the server took: its id, and the mail as it left."""
    answer = site.client.post(f"{TAB}/test-email", headers=JSON, json={"to": "mia@example.org"})
    assert answer.json is not None
    session = site.host.db.session()
    row = session.scalars(select(Message).where(Message.public_id == answer.json["id"])).one()
    mine = update(Delivery).where(Delivery.message_pk == row.id)
    session.execute(mine.values(state=state))
    session.commit()
    return row.public_id, message_from_bytes(row.content, policy=policy.default)


def path_in(mail: Any, kind: str = "plain") -> str:
    """The link of the mail, below the public address."""
    body = mail.get_body((kind,)).get_content()
    found = re.findall(rf"{PUBLIC}(/smtp-admin/test-mail/[A-Za-z0-9_.-]+)", body)
    assert found, body
    return str(found[0])


def said(site: Hooked, public_id: str) -> Any:
    return site.client.get(f"{TAB}/test-email/{public_id}", headers=JSON).json


def test_who_has_the_mail_says_that_it_arrived(opened: NewHost, hook: Hook, database: str) -> None:
    """On each database: once, however often, with nothing but the link."""
    site = hook(opened(uri=database, PUBLIC_URL=PUBLIC))
    site.host.save_sender("acme")
    public_id, mail = send(site)
    path = path_in(mail)
    assert path_in(mail, "html") == path
    assert (said(site, public_id)["status"], said(site, public_id)["told_by"]) == ("sent", None)
    site.host.actor = None
    with shifted(timedelta(seconds=12)):
        first = site.client.post(path, data=YES, headers=HTML)
    assert (first.status_code, "arrived. Thank you" in first.text) == (200, True)
    assert first.headers["Referrer-Policy"] == "no-referrer"
    with shifted(timedelta(seconds=99)):
        assert site.client.post(path, data=YES).status_code == 200
        assert site.apply() == 1
    assert "<button" not in site.client.get(path, headers=HTML).text
    site.host.actor = ADMIN
    after = said(site, public_id)
    assert (after["status"], after["told_by"]) == ("delivered", "link")
    assert 11 <= after["told_after_seconds"] < 17
    for address in (f"{TAB}?mail={public_id}", TAB):  # the tab says it whenever it is opened
        page = site.client.get(address, headers=HTML).text
        assert re.search(r"Arrived after 1\d s\.", page)
        assert "The link in the mail to mia@example.org was used." in page
        assert re.search(
            rf"Test mail to [^,]+, <time [^>]+>just now</time>, requested by {ADMIN.email}\.", page
        )


def test_saying_it_again_and_again_calls_nobody(
    site: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    where = "smtp_admin.delivery.doorbell.Doorbell.call_for_events"
    monkeypatch.setattr(where, lambda _: calls.append(1))
    path = path_in(send(site)[1])
    for _ in range(5):
        assert site.client.post(path, data=YES).status_code == 200
    assert len(calls) == 1
    assert len(site.events()) == 1


def test_a_look_changes_nothing(site: Hooked) -> None:
    """Scanners of mail and browsers look, ahead of people too, and some post what they find."""
    public_id, mail = send(site)
    path = path_in(mail)
    site.host.actor = None
    for headers in (HTML, JSON, {"Sec-Purpose": "prefetch"}):
        assert site.client.get(path, headers=headers).status_code == 200
    assert site.client.head(path).status_code == 200
    assert site.client.options(path).status_code == 200
    for body in ({}, {"arrived": "no"}, {"List-Unsubscribe": "One-Click"}):
        assert site.client.post(path, data=body).status_code == 400
    assert site.events() == []
    site.host.actor = ADMIN
    page = site.client.get(f"{TAB}?mail={public_id}", headers=HTML).text
    for words in (
        "not known yet whether it arrived",
        "click the link in it",
        "SPF, DKIM and DMARC",
    ):
        assert words in page


def test_links_that_say_nothing(site: Hooked) -> None:
    """Forged, of another kind, of another installation, of mail that is gone or never left."""
    public_id, mail = send(site)
    path = path_in(mail)
    token = path.rpartition("/")[2]
    session = site.host.db.session()
    letter = site.sent("mia@example.org")[0]
    other = session.scalar(select(Message.public_id).where(Message.id == letter.message_pk))
    with site.host.app.app_context():
        ring = site.host.installation.keyring
        wrong = {
            "cut": token[:-4], "longer": token + "AAAA", "empty": "v2.", "dots": "." * 3000,
            "foreign letters": "v2.é.x",
            "of notices": token_for(Reader("acme", "a@b.example", "x")),
            "no list": ring.seal("7", ("arrival",)),
            "two parts": ring.seal(json.dumps([public_id, "x"]), ("arrival",)),
            "no id": ring.seal(json.dumps(["%"]), ("arrival",)),
            "no mail": arrival_url("0" * 32).rpartition("/")[2],
            "no test mail": arrival_url(str(other)).rpartition("/")[2],
        }  # fmt: skip
    paths = {name: f"/smtp-admin/test-mail/{one}" for name, one in wrong.items()}
    for name, address in paths.items():
        for answer in (site.client.get(address, headers=HTML),
                       site.client.post(address, data=YES, headers=HTML)):  # fmt: skip
            assert answer.status_code == 404, name
            assert "This link is not valid" in answer.text
    session.execute(update(Delivery).values(state="cancelled"))
    session.commit()
    assert site.client.post(path, data=YES).status_code == 404
    assert site.events() == []


def test_after_a_change_of_keys(opened: NewHost, hook: Hook) -> None:
    """A link works while its key is in the ring."""
    keys = [generate_key() for _ in range(2)]
    site = hook(opened(PUBLIC_URL=PUBLIC, SECRET_KEYS=keys))
    with site.host.app.app_context():
        link = arrival_url("0" * 32)
    strange = hook(opened(PUBLIC_URL=PUBLIC, SECRET_KEYS=keys[1:]))
    assert strange.client.get(link.removeprefix(PUBLIC)).status_code == 404


@pytest.mark.parametrize(
    ("state", "end"),
    [("uncertain", "delivered"), ("dead", "delivered"), ("bounced", "bounced"),
     ("complained", "complained"), ("delivered", "delivered")],
)  # fmt: skip
def test_it_only_goes_up_the_ladder(site: Hooked, state: str, end: str) -> None:
    public_id, mail = send(site, state)
    assert site.client.post(path_in(mail), data=YES).status_code == 200
    site.apply()
    assert said(site, public_id)["status"] == end
    (event,) = site.events()
    assert (event.origin, event.state) == (ORIGIN, "applied")


def test_it_may_come_before_our_own_result(site: Hooked) -> None:
    """The server has it, and the worker has not written that down yet."""
    public_id, mail = send(site, "sending")
    site.client.post(path_in(mail), data=YES)
    site.apply()
    assert said(site, public_id)["status"] == "sending"
    session = site.host.db.session()
    session.execute(update(Delivery).values(state="sent"))
    session.commit()
    with shifted(timedelta(seconds=3)):
        site.apply()
    assert said(site, public_id)["status"] == "delivered"


def test_partners_mail_by_the_systems_sender_has_one_too(opened: NewHost, hook: Hook) -> None:
    site = hook(opened(PUBLIC_URL=PUBLIC))
    site.host.save_sender("")
    answer = site.client.post("/smtp-admin/system/test-email", headers=JSON)
    assert answer.json is not None
    row = site.mail(answer.json["id"])
    session = site.host.db.session()
    session.execute(update(Delivery).values(state="sent", partner_id="acme"))
    session.commit()
    with site.host.app.app_context():
        path = arrival_url(answer.json["id"]).removeprefix(PUBLIC)
    site.client.post(path, data=YES)
    site.apply()
    assert site.state(row) == "delivered"


@pytest.mark.parametrize(
    ("config", "begins"),
    [({}, ""), ({"SERVER_NAME": "app.example"}, "http://app.example/smtp-admin/test-mail/")],
)
def test_where_the_app_does_not_know_its_address(
    opened: NewHost, hook: Hook, config: dict[str, str], begins: str
) -> None:
    site = hook(opened())
    site.host.save_sender("acme")
    site.host.app.config.update(config)
    public_id, mail = send(site)
    for kind in ("plain", "html"):
        body = mail.get_body((kind,)).get_content()
        assert ("/test-mail/" in body) is bool(begins)
        assert begins in body
        assert ("It arrived" in body) is bool(begins)
    page = site.client.get(f"{TAB}?mail={public_id}", headers=HTML).text
    assert "not known yet whether it arrived" in page
    assert ("click the link in it" in page) is bool(begins)


def test_it_is_told_where_mail_is_shown(site: Hooked) -> None:
    """The page, the API and the command of one mail."""
    public_id, mail = send(site)
    site.client.post(path_in(mail), data=YES)
    site.apply()
    words = "The recipient clicked the link in it."
    page = site.client.get(f"/smtp-admin/mail/{public_id}", headers=HTML).text
    assert words in page
    answer = site.client.get(f"/api/email/messages/{public_id}", headers=JSON)
    assert words in answer.text
    shown = site.host.app.test_cli_runner().invoke(args=["smtp-admin", "mail", "show", public_id])
    assert f"delivered  {words}" in shown.output
    assert site.host.db.session.scalars(select(MailEvent.recipient)).all() == ["mia@example.org"]
