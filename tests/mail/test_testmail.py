"""Test mails: by the queue from what is saved, at once from what is only on the screen."""

from email import message_from_bytes, policy

import pytest
from flask_babel import Babel
from sqlalchemy import select

from smtp_admin.delivery.models import Delivery, Message
from smtp_admin.errors import InvalidInput
from smtp_admin.mail import service
from smtp_admin.mail.templates import render
from smtp_admin.mail.testmail import TestMailRefused, queue_test_mail, send_test_mail_now
from smtp_admin.mail.wording import wording, words_in
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.routing import save_routes
from smtp_admin.senders.values import SenderValues
from smtp_admin.transports import memory
from tests.app import ADMIN, HostApp
from tests.delivery.workbench import deliveries
from tests.servers.scripted import Reply, ScriptedServer

TO = "ada@platform.example"


def text_of(content: bytes) -> str:
    """What a program reads that shows plain text."""
    body = message_from_bytes(content, policy=policy.default).get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def with_news(host: HostApp) -> None:
    host.save_sender("acme")
    host.save_sender("acme", key="news", from_email="news@acme.example")


def test_a_saved_sender_sends_its_own_test_mail_whatever_the_routes_say(host: HostApp) -> None:
    with_news(host)
    session = host.db.session()
    save_routes(session, "acme", {("type", "test"): "news"}, ADMIN)
    for key in ("", "news"):
        queue_test_mail(session, "acme", TO, ADMIN, key)
    session.commit()
    senders = select(Sender.key).join(Delivery, Delivery.sender_id == Sender.id)
    assert session.scalars(senders.order_by(Delivery.id)).all() == ["", "news"]
    mails = session.scalars(select(Message).order_by(Message.id)).all()
    assert [one.from_email for one in mails] == ["noreply@acme.example", "news@acme.example"]


def test_nothing_is_queued_for_a_sender_that_is_not_there(host: HostApp) -> None:
    with_news(host)
    with pytest.raises(InvalidInput, match="No settings are saved"):
        queue_test_mail(host.db.session(), "acme", TO, ADMIN, "other")


def test_what_is_on_the_screen_is_sent_at_once_and_to_nobody_else(host: HostApp) -> None:
    with ScriptedServer(auth=("acme", "typed")) as server:
        host.save_sender("acme", port=server.port, username="acme", password="stored")
        session = host.db.session()
        sender = load_sender(session, "acme")
        values = sender.values.replace(
            envelope_from="bounce@acme.example",
            archive_to="archive@acme.example",
            headers=(("X-Stream", "outbound"),),
        )
        sent = send_test_mail_now(session, sender, values, {"password": "typed"}, TO, ADMIN)
        assert (sent.recipient, sent.public_id) == (TO, None)
        (mail,) = server.messages
        assert (mail.mail_from, mail.recipients) == ("bounce@acme.example", [TO])
        assert b"X-Stream: outbound\r\n" in mail.data
        with pytest.raises(TestMailRefused) as refused:
            send_test_mail_now(session, sender, values, {}, TO, ADMIN)
        assert refused.value.code == "auth_failed", "the stored one is for this place, and wrong"
        elsewhere = values.replace(host="localhost")
        with pytest.raises(InvalidInput) as needed:
            send_test_mail_now(session, sender, elsewhere, {}, TO, ADMIN)
        assert needed.value.code == "password_required"
        assert len(server.messages) == 1
    assert deliveries(host) == []


def test_a_servers_words_are_passed_on(host: HostApp) -> None:
    with ScriptedServer() as server:
        server.behave("rcpt", Reply("550 5.1.1 No such user"))
        host.save_sender("acme", port=server.port)
        session = host.db.session()
        sender = load_sender(session, "acme")
        with pytest.raises(TestMailRefused, match="No such user"):
            send_test_mail_now(session, sender, sender.values, {}, TO, ADMIN)


def test_a_driver_without_a_server(host: HostApp) -> None:
    """What the mail says of the settings has no empty lines."""
    memory.clear()
    session = host.db.session()
    values = SenderValues(driver="memory", from_email="noreply@platform.example")
    send_test_mail_now(session, load_sender(session, ""), values, {}, TO, ADMIN)
    (kept,) = memory.kept_mails()
    text = text_of(kept.content)
    assert "sent:\r\nHost: Memory (nothing is sent)\r\nFrom: " in text
    assert "Port:" not in text
    assert "Encryption" not in text
    memory.clear()


@pytest.mark.parametrize("language", wording("test"))
def test_in_each_language_it_says_so_and_has_the_link(host: HostApp, language: str) -> None:
    """Both parts, with words of that language; where there is no link, nothing speaks of it."""
    type_ = service.registry().get("test")
    words = words_in("test", language)
    values = {
        **type_.sample,
        "words": words,
        "arrival_url": "https://x.example/test-mail/t?a=1&b=2",
    }
    mail = render(type_, values)
    assert f"{words['arrived']}: https://x.example/test-mail/t?a=1&b=2" in mail.text
    assert f'lang="{language}"' in mail.html
    assert 'href="https://x.example/test-mail/t?a=1&amp;b=2"' in mail.html
    for part in (mail.text, mail.html):
        for name in ("arrived", "arrived_why", "why", "host", "sent_at"):
            assert words[name] in part
    without = render(type_, values | {"arrival_url": ""})
    for part in (without.text, without.html):
        assert words["arrived_why"] not in part
        assert words["why"] in part


@pytest.mark.parametrize(("asked", "spoken"), [("pt_BR", "pt"), ("de", "de"), ("fi", "en")])
def test_it_is_in_the_language_of_who_asks(host: HostApp, asked: str, spoken: str) -> None:
    """Also where our pages are not in it; a terminal has none."""
    Babel(host.app, locale_selector=lambda: asked)
    host.save_sender("acme", security="none")
    headers = {"Accept": "application/json"}
    host.client.post("/smtp-admin/partners/acme/test-email", headers=headers)
    queue_test_mail(host.db.session(), "acme", TO, ADMIN)
    mails = host.db.session.scalars(select(Message).order_by(Message.id)).all()
    for mail, words in zip(mails, (words_in("test", spoken), words_in("test", "en")), strict=True):
        assert mail.subject.startswith(words["subject_before"])
        assert words["unencrypted"] in text_of(mail.content)


def test_what_it_says_of_settings_stays_true(host: HostApp) -> None:
    """It waited while they were corrected; its bytes are those of before."""
    host.save_sender("acme", port=2525)
    queue_test_mail(host.db.session(), "acme", TO, ADMIN)
    host.db.session.commit()
    host.save_sender("acme", port=1025)
    content = host.db.session.scalars(select(Message.content)).one()
    before, _, settings = text_of(content).partition("settings when this mail was written")
    assert settings, "that they are of then is said before them"
    assert "2525" not in before
    assert "2525" in settings
    assert "Written:" in settings
