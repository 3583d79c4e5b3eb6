"""E-mail types and their templates: plain data in, limits on what comes out."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import current_app

from smtp_admin import Actor, SMTPAdmin
from smtp_admin.errors import ConfigError, MessageError
from smtp_admin.mail.templates import plain, render
from smtp_admin.mail.testmail import queue_test_mail
from smtp_admin.mail.types import SHIPPED, EmailType, Registry
from smtp_admin.senders.revisions import save_settings
from smtp_admin.senders.values import SenderValues
from tests.mail.conftest import OWN_TYPES, own_type
from tests.mail.reading import parsed, queued, recipients

Write = Callable[..., None]
TYPES = {type_.name: type_ for type_ in (*SHIPPED, *OWN_TYPES)}
SERVICE = {
    "name": "hosting",
    "expires_on": "2026-02-03",
    "price": "49.00",
    "currency": "EUR",
    "payment_url": "https://pay.example/1?a=1&b=2",
}


class Spy:
    """Notices whoever looks at it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @property
    def password(self) -> str:
        self.seen.append("property")
        return "hunter2"

    def __getitem__(self, name: object) -> str:
        self.seen.append("item")
        return "hunter2"

    def delete(self) -> str:
        self.seen.append("call")
        return "deleted"

    def __str__(self) -> str:
        return "a spy"


@pytest.mark.parametrize("type_", SHIPPED, ids=lambda type_: type_.name)
def test_a_shipped_type_renders_its_sample(plugin: SMTPAdmin, type_: EmailType) -> None:
    rendered = render(type_, type_.sample)
    assert rendered.subject
    assert "\n" not in rendered.subject
    # Of the words of all cases, one mail says some; the layout has the name of whose mail it is.
    left_out = {"words", "more", "app_name"}
    sample = {name: one for name, one in type_.sample.items() if name not in left_out}
    for value in leaves(sample):
        assert value in rendered.text + rendered.subject
    assert "<style" not in rendered.html or "style=" in rendered.html
    assert "{{" not in rendered.subject + rendered.text + rendered.html


def leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [one for inner in value.values() for one in leaves(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in leaves(inner)]
    return [str(value)]


@pytest.mark.parametrize("type_", SHIPPED, ids=lambda type_: type_.name)
def test_a_missing_value_is_named(plugin: SMTPAdmin, type_: EmailType) -> None:
    for name in type_.variables:
        context = {key: value for key, value in type_.sample.items() if key != name}
        with pytest.raises(MessageError, match=rf"\b{name}\b"):
            render(type_, context)


def test_sending_names_what_is_missing(plugin: SMTPAdmin) -> None:
    with pytest.raises(MessageError, match="expires_minutes, reset_url"):
        plugin.send("password_reset", to="a@b.example", context={"name": "Sam"})
    assert queued() == []


def test_an_unknown_type_lists_the_known(plugin: SMTPAdmin) -> None:
    with pytest.raises(ConfigError, match=r"no e-mail type 'renewals'.*greeting.*renewal, sec"):
        plugin.send("renewals", to="a@b.example")


def test_password_reset(plugin: SMTPAdmin) -> None:
    context = {"name": "<Sam>", "reset_url": "https://x.example/?a=1&b=2", "expires_minutes": 60}
    plugin.send("password_reset", to="sam@b.example", context=context)
    (row,) = queued()
    assert row.sensitive
    mail = parsed(row.content)
    assert mail["Subject"] == "Set a new password for Northwind"
    text, html = bodies(mail)
    assert "https://x.example/?a=1&b=2" in text
    assert "Hello <Sam>" in text
    assert "&lt;Sam&gt;" in html
    assert 'href="https://x.example/?a=1&amp;b=2"' in html
    assert "<Sam>" not in html


def bodies(mail: Any) -> tuple[str, str]:
    return tuple(mail.get_body((kind,)).get_content() for kind in ("plain", "html"))


@pytest.mark.parametrize("count", [1, 3])
def test_renewal(plugin: SMTPAdmin, count: int) -> None:
    services = [SERVICE | {"name": f"hosting {number}"} for number in range(count)]
    context = {"name": "Sam", "services": services, "balance": "12.00", "currency": "EUR"}
    plugin.send("renewal", to="sam@b.example", context=context)
    mail = parsed(queued()[0].content)
    expected = {1: "hosting 0 expires on 2026-02-03", 3: "3 of your services expire soon"}
    assert mail["Subject"] == expected[count]
    for body in bodies(mail):
        for number in range(count):
            assert f"hosting {number}" in body
        assert "12.00 EUR" in body
        assert "49.00 EUR" in body
    assert bodies(mail)[1].count("https://pay.example/1?a=1&amp;b=2") == count


def test_the_test_mail_says_how_it_was_sent(plugin: SMTPAdmin) -> None:
    actor = Actor(id="1", email="ada@platform.example", is_admin=True)
    values = SenderValues(
        host="mail.acme.example", port=2525, security="none", from_email="noreply@acme.example"
    )
    session = current_app.extensions["sqlalchemy"].session()
    save_settings(session, "acme", values, secrets={}, expected_revision=0, actor=actor)
    sent = queue_test_mail(session, "acme", "", actor)
    session.commit()
    assert recipients() == [sent.recipient] == ["ada@platform.example"]
    mail = parsed(queued()[0].content)
    assert mail["Subject"] == "Test e-mail from Northwind"
    assert mail["From"].addresses[0].addr_spec == "noreply@acme.example"
    for body in bodies(mail):
        for part in ("mail.acme.example", "2525", "No encryption", "noreply@acme.example"):
            assert part in body
        (written,) = re.findall(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", body)
        moment = datetime.strptime(written, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        assert abs((datetime.now(UTC) - moment).total_seconds()) < 60


def test_html_escapes_and_text_does_not(plugin: SMTPAdmin, write: Write) -> None:
    write("greeting", subject="Hi {{ who }}", text="{{ who }}", html="<p>{{ who }}</p>")
    rendered = render(TYPES["greeting"], {"who": '<b>"O\'Neil" & Co</b>'})
    assert rendered.text == rendered.subject.removeprefix("Hi ") == '<b>"O\'Neil" & Co</b>'
    assert "<b>" not in rendered.html
    assert "&lt;b&gt;" in rendered.html


@pytest.mark.parametrize("value", ["a\r\nBcc: evil@b.example", "a\u2028b", "  many   spaces\t"])
def test_a_subject_is_one_line(plugin: SMTPAdmin, write: Write, value: str) -> None:
    write("greeting", subject="Hi\n{{ who }}\n", text="x")
    subject = render(TYPES["greeting"], {"who": value}).subject
    assert len(subject.splitlines()) == 1
    plugin.send("greeting", to="a@b.example", context={"who": value})
    assert "Bcc" not in parsed(queued()[0].content)


@pytest.mark.parametrize("value", ["=?utf-8?q?a=0AX-Evil:_1?=", "a\0b", "a\x1bb"])
def test_a_subject_that_cannot_be_a_header_is_refused(
    plugin: SMTPAdmin, write: Write, value: str
) -> None:
    write("greeting", subject="{{ who }}", text="x")
    with pytest.raises(MessageError, match="subject of greeting"):
        plugin.send("greeting", to="a@b.example", context={"who": value})


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in (1..20000) %}x{% endfor %}",
        "{% for a in (1..2000) %}{% for b in (1..2000) %}x{% endfor %}{% endfor %}",
        "{% for a in (1..100000000) %}{% endfor %}",
        "{% for a in (1..9000) %}{{ who }}{% endfor %}",
        "{% assign a = who %}{% for i in (1..60) %}{% assign a = a | append: a %}{% endfor %}",
        "{% capture a %}{{ who }}{% endcapture %}"
        + "{% capture a %}{{ a }}{{ a }}{% endcapture %}" * 40,
    ],
)
def test_output_and_loops_have_limits(plugin: SMTPAdmin, write: Write, source: str) -> None:
    write("greeting", subject="x", text=source)
    with pytest.raises(MessageError):
        render(TYPES["greeting"], {"who": "x" * 100})


@pytest.mark.parametrize(
    "source",
    [
        "{{ nobody }}",
        "{{ who",
        "{% if %}",
        "{% nonsense %}",
        "{{ who | nonsense }}",
        "{% include 'smtp_admin/layout.html' %}",
        "{% render '../../secret' %}",
        "{{ 1 | divided_by: 0 }}",
        "{{ who | date: 1 | date: '%' | slice: 'x' }}",
        "{% if who %}" * 3000,
        "{% if who %}" * 3000 + "{% endif %}" * 3000,
    ],
    ids=lambda source: source[:40],
)
def test_a_wrong_template_is_a_message_for_a_person(
    plugin: SMTPAdmin, write: Write, source: str
) -> None:
    write("greeting", subject="x", text=source)
    with pytest.raises(MessageError, match="greeting"):
        render(TYPES["greeting"], {"who": "Sam"})


@pytest.mark.parametrize(
    "source",
    [
        "{{ who.password }}",
        "{{ who['password'] }}",
        "{{ who.delete }}",
        "{{ who.__class__ }}",
        "{{ who.seen }}",
        "{% for x in who %}{{ x }}{% endfor %}",
        "{{ who | json }}",
        "{{ things.first.password }}",
        "{{ things | map: 'password' }}",
    ],
)
def test_no_attribute_of_an_object_is_read(plugin: SMTPAdmin, write: Write, source: str) -> None:
    spy = Spy()
    write("greeting", subject="x", text=source)
    try:
        text = render(TYPES["greeting"], {"who": spy, "things": [spy]}).text
    except MessageError as error:
        text = error.message
    assert spy.seen == []
    assert "hunter2" not in text


def test_objects_become_text_and_structures_stay() -> None:
    spy = Spy()
    assert plain({"a": [spy, 1, None, True, 1.5], 2: (spy,), "s": {"x"}}) == {
        "a": ["a spy", 1, None, True, 1.5],
        "2": ["a spy"],
        "s": ["x"],
    }
    nested: list[Any] = []
    nested.append(nested)
    with pytest.raises(MessageError, match="nested too deeply"):
        plain(nested)


def test_a_type_of_the_hosts_own(plugin: SMTPAdmin, write: Write) -> None:
    write("held", subject="Held", text="For {{ app_name }}")
    plugin.send("held", to=["a@b.example", "c@d.example"])
    (row,) = queued()
    assert (row.type_name, row.subject, row.sensitive, row.on_uncertain) == (
        "held",
        "Held",
        True,
        "hold",
    )
    mail = parsed(row.content)
    assert mail.get_content().strip() == "For Northwind"
    assert recipients() == ["a@b.example", "c@d.example"]


def test_a_type_without_templates_says_where_they_belong(plugin: SMTPAdmin) -> None:
    with pytest.raises(MessageError, match=r"smtp_admin/email/greeting/subject\.liquid"):
        plugin.send("greeting", to="a@b.example", context={"who": "x"})


def test_the_host_overrides_a_shipped_template(plugin: SMTPAdmin, write: Write) -> None:
    write("password_reset", subject="Your new key to {{ app_name }}")
    context = {"name": "Sam", "reset_url": "https://x.example/1", "expires_minutes": 60}
    plugin.send("password_reset", to="a@b.example", context=context)
    mail = parsed(queued()[0].content)
    assert mail["Subject"] == "Your new key to Northwind"
    assert "Use this link within 60 minutes" in bodies(mail)[0]


def test_two_types_of_one_name_are_refused() -> None:
    registry = Registry()
    registry.add(own_type("one"))
    with pytest.raises(ConfigError, match="two e-mail types called one"):
        registry.add(own_type("one"))


@pytest.mark.parametrize("name", ["", "two words", "../up", "ünï", "a-b", "1a"])
def test_a_name_of_a_type_is_an_identifier(name: str) -> None:
    with pytest.raises(ConfigError):
        own_type(name)


def test_every_variable_has_a_sample() -> None:
    with pytest.raises(ConfigError, match="no sample value for: b"):
        EmailType(name="a", label="A", variables={"b": "x"}, sample={})
