"""Templates that partners write: whose applies, in which language, and what a broken one does."""

import logging
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from smtp_admin import Actor
from smtp_admin.errors import Conflict, InvalidInput
from smtp_admin.mail import branding, saved_templates
from smtp_admin.mail.branding import Brand
from smtp_admin.mail.explain import explain, gather
from smtp_admin.mail.saved_templates import failures, history, write
from smtp_admin.mail.wording import Texts
from tests.app import HostApp
from tests.mail.reading import parsed, queued

NUMBERS = count()
ADMIN = Actor(id="1", email="ada@platform.example", is_admin=True)
OWN = Texts("Ours: {{ name }}", "Hi {{ name }}", "<p>Hi <b>{{ name }}</b></p>")
VALUES = {"name": "<Sam>", "reset_url": "https://x.example/1", "expires_minutes": 60}


def save(host: HostApp, partner_id: str, texts: Texts | None, **key: Any) -> int:
    """Write one down, as the page does."""
    session = host.db.session()
    name, language = key.get("name", "password_reset"), key.get("language", "en")
    seen = saved_templates.revision_of(session, partner_id, name, language)
    number = write(
        session, (partner_id, name, language), texts, expected_revision=seen, actor=ADMIN
    )
    session.commit()
    return number


def sent(host: HostApp, partner_id: str = "acme", **more: Any) -> Any:
    """The newest mail."""
    to = f"p{next(NUMBERS)}@b.example"  # strangers may ask for this type, so there is a limit
    host.plugin.send("password_reset", to=to, partner_id=partner_id, context=VALUES, **more)
    host.db.session.commit()
    return parsed(queued()[-1].content)


def subjects(host: HostApp, *languages: str, partner_id: str = "acme") -> list[str]:
    return [str(sent(host, partner_id, language=one)["Subject"]) for one in languages]


def test_whose_template_applies(each: HostApp) -> None:
    english, german = "Set a new password for Northwind", "Neues Passwort für Northwind"
    assert subjects(each, "", "de", "de-AT", "ja") == [english, german, german, english]
    save(each, "acme", OWN)
    assert subjects(each, "", "en-GB", "ja", "de") == ["Ours: <Sam>"] * 3 + [german]
    assert subjects(each, "", partner_id="globex") == [english]
    save(each, "", Texts("Theirs", "x", ""), language="de")
    assert subjects(each, "de", "en") == ["Theirs", "Ours: <Sam>"]
    assert subjects(each, "de", partner_id="globex") == ["Theirs"]
    save(each, "acme", None)
    assert subjects(each, "en") == [english]


def test_the_page_around_it_is_the_partners(host: HostApp) -> None:
    save(host, "acme", OWN)
    session = host.db.session()
    brand = Brand("", "#7A1FA2", "https://acme.example/logo.png", "Acme, Berlin & Paris")
    branding.save(session, "acme", brand, ADMIN)
    session.commit()
    mail = sent(host)
    text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert text.strip() == "Hi <Sam>"
    assert "Hi <b>&lt;Sam&gt;</b>" in html
    for part in ('src="https://acme.example/logo.png"', "#7a1fa2", "Acme, Berlin &amp; Paris"):
        assert part in html
    assert "#0b5cd5" not in html
    assert "acme.example" not in sent(host, "globex").get_body(("html",)).get_content()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("colour", "red"),
        ("colour", "#ffee00"),
        ("logo_url", "http://acme.example/logo.png"),
        ("logo_url", 'https://acme.example/"onload="x'),
        ("logo_url", "javascript:alert(1)"),
        ("footer", "a\nb"),
        ("footer", "x" * 501),
    ],
)
def test_what_mail_cannot_look_like(host: HostApp, field: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as found:
        branding.save(host.db.session(), "acme", replace(Brand(), **{field: value}), ADMIN)
    assert list(found.value.fields) == [field]


def test_a_broken_template_stops_no_mail(host: HostApp, caplog: pytest.LogCaptureFixture) -> None:
    save(host, "acme", Texts("{{ name }} {{ nothing }}", "x", ""))
    with caplog.at_level(logging.ERROR, "smtp_admin.templates"):
        assert subjects(host, "en", "en") == ["Set a new password for Northwind"] * 2
    (line,) = [one.getMessage() for one in caplog.records]
    assert "nothing" in line
    assert "Sam" not in line
    found = failures(host.db.session(), "acme")
    assert "nothing" in found["password_reset, en, revision 1"]
    assert failures(host.db.session(), "globex") == {}


@pytest.mark.parametrize("name", ["x" * 501, "", "a\0b"])
def test_a_value_that_fits_no_subject_stops_no_mail(host: HostApp, name: str) -> None:
    save(host, "acme", replace(OWN, subject="{{ name }}", text="{{ [name] }}"))
    host.plugin.send("password_reset", to="a@b.example", partner_id="acme",
                     context=VALUES | {"name": name})  # fmt: skip
    host.db.session.commit()
    assert str(parsed(queued()[-1].content)["Subject"]) == "Set a new password for Northwind"
    (why,) = failures(host.db.session(), "acme").values()
    assert "\0" not in why


def test_nobody_overwrites_what_they_did_not_see(each: HostApp) -> None:
    assert [save(each, "acme", OWN), save(each, "acme", None), save(each, "acme", OWN)] == [1, 2, 3]
    session = each.db.session()
    key = ("acme", "password_reset", "en")
    for seen in (0, 2, 9):
        with pytest.raises(Conflict):
            write(session, key, OWN, expected_revision=seen, actor=ADMIN)
        session.rollback()
    assert [(one.number, one.texts == OWN) for one in history(session, *key)] == [
        (3, True),
        (2, False),
        (1, True),
    ]


def test_explain_names_the_template(host: HostApp) -> None:
    save(host, "acme", OWN)
    rows = {one.name: one for one in explain(gather(host.db.session(), "acme", "password_reset"))}
    row = rows["subject_template"]
    assert (row.value, row.source, row.detail) == (
        "written on the page, in en",
        "partner",
        "revision 1",
    )
