"""A template that does much in each of many mails: they all go out, soon, and others' with them."""

import time
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin import Recipient
from smtp_admin.audit.models import Audit
from smtp_admin.delivery.models import Message
from smtp_admin.mail import template_work
from smtp_admin.mail.saved_templates import FAILED, failures
from smtp_admin.mail.wording import Texts
from tests.app import HostApp
from tests.mail.test_digests import keep
from tests.mail.test_digests import send as send_digests_now
from tests.mail.test_saved_templates import save

#: For a thousand recipients, each of these took minutes.
SECONDS = 20.0
SHIPPED = "Welcome to Northwind"
DATES = "{% for i in (1..3500) %}{{ i | append: ' May 2026 at 10:22' | date: '%c' }}{% endfor %}"
SIGNS = "{{ name }}" * 4000
HOSTILE = {
    "dates": [Texts("Ours", DATES, DATES)],
    "tags": [Texts("Ours", "<i>" + SIGNS, "<i>" + SIGNS)],
    "an odd page": [
        Texts("Ours", "x", "<html>{% for i in (1..4000) %}<p class='a'>{{ i }}{% endfor %}</html>"),
    ],
    "styles": [
        Texts("Ours", "x", "<html><style>.a{font:" + "x" * 900 + "}</style>"
              "{% for i in (1..5000) %}<i class='a'>{{ i }}</i>{% endfor %}</html>"),
    ],
    # More of them than are kept parsed, so that each mail reads its own anew.
    "many languages": [Texts("Ours", f"{n}{SIGNS}", f"<i>{n}{SIGNS}") for n in range(12)],
}  # fmt: skip
LANGUAGES = ("en", "de", "es", "fr", "pt", "pl", "it", "nl", "cs", "sv", "fi", "da")


def subjects(host: HostApp, partner_id: str) -> list[str]:
    host.db.session.rollback()
    mine = select(Message.subject).where(Message.partner_id == partner_id).order_by(Message.id)
    return list(host.db.session.scalars(mine))


def people(many: int, languages: list[str]) -> list[Recipient]:
    return [
        Recipient(f"p{number}@b.example", {"name": "Sam"}, languages[number % len(languages)])
        for number in range(many)
    ]


#: They do most of their work in different places; the others are for the long run.
_QUICK = {"dates", "an odd page"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=() if one in _QUICK else pytest.mark.long) for one in HOSTILE],
)
def test_a_thousand_mails_end_soon(host: HostApp, name: str) -> None:
    many = 1000 if name == "dates" else 300
    languages = [one for one, _ in zip(LANGUAGES, HOSTILE[name], strict=False)]
    for language, texts in zip(languages, HOSTILE[name], strict=True):
        save(host, "acme", texts, name="welcome", language=language)
    light = Texts("Ours", "Hi {{ name }}", "<p>Hi <b>{{ name }}</b></p>")
    save(host, "acme", light, name="service_notice")
    save(host, "globex", light, name="welcome")
    begun = time.process_time()
    host.plugin.send_many("welcome", people(many, languages), partner_id="acme")
    host.db.session.commit()
    assert time.process_time() - begun < SECONDS
    found = subjects(host, "acme")
    assert len(found) == many
    assert found[0] == "Ours"
    assert found.count("Ours") < many / 2
    # What else this partner writes, and everybody else, goes on.
    context: dict[str, Any] = {"title": "x", "message": "y"}
    host.plugin.send("service_notice", to="a@b.example", partner_id="acme", context=context)
    host.plugin.send("welcome", to="a@b.example", partner_id="globex", context={"name": "Ida"})
    host.db.session.commit()
    assert (subjects(host, "acme")[-1], subjects(host, "globex")) == ("Ours", ["Ours"])


def test_the_admin_is_told_once_and_may_mend_it(
    host: HostApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_work, "MOST_BEYOND", 1_000_000)
    save(host, "acme", HOSTILE["dates"][0], name="welcome")

    def send(count: int = 1) -> list[str]:
        before = len(subjects(host, "acme"))
        for number in range(count):  # the host's own loop, each a transaction
            host.plugin.send("welcome", to=f"p{number}@b.example", partner_id="acme", context={})
            host.db.session.commit()
        return subjects(host, "acme")[before:]

    assert send(3) == [SHIPPED] * 3
    told = host.db.session.scalars(select(Audit.detail).where(Audit.action == FAILED)).all()
    (why,) = failures(host.db.session(), "acme").values()
    assert len(told) == 1
    assert why.endswith("This takes too much work for so many mails.")
    save(host, "acme", Texts("Mended", "x", ""), name="welcome")
    assert send() == ["Mended"]
    # Some minutes later the old one is tried again.
    save(host, "acme", Texts("Again", DATES.replace("3500", "9"), ""), name="welcome")
    assert send(9)[-1] == "Again"
    save(host, "acme", HOSTILE["dates"][0], name="welcome")
    assert send() == [SHIPPED]
    with monkeypatch.context() as later:
        later.setattr(template_work, "SECONDS", 0.0)
        later.setattr(template_work, "MOST_BEYOND", 30_000_000)
        assert send() == ["Ours"]


def test_digests_of_others_wait_for_nobody(host: HostApp) -> None:
    """One round of a worker has two seconds for all of them."""
    save(host, "acme", HOSTILE["dates"][0], name="notification_digest")
    for partner_id, count in (("acme", 20), ("globex", 3)):
        host.save_sender(partner_id)
        for number in range(count):
            keep(host, to=f"p{number}@b.example", partner_id=partner_id, commit=False)
        host.db.session.commit()
    rounds = 0
    while send_digests_now(host):
        rounds += 1
        assert rounds < 20  # a busy machine does less in each
    assert len(subjects(host, "acme")) == 20
    assert len(subjects(host, "globex")) == 3


def test_a_large_newsletter_is_no_attack(host: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a design program makes: much HTML, whose styles can only be moved mail by mail."""
    monkeypatch.setattr(template_work, "MOST_BEYOND", 300_000)  # to read it once takes some
    cells = "".join(f"<p class='c{n % 40}' style='font-size:14px'>Hi {n}</p>" for n in range(1900))
    styles = "".join(f".c{n}{{color:#{n:06d}}}" for n in range(40)) + "p:first-child{margin:0}"
    html = f"<html><style>{styles}</style>{cells}{{{{ name }}}}</html>"
    assert len(html) > 90_000
    save(host, "acme", Texts("Ours", "Hi {{ name }}", html), name="welcome")
    host.plugin.send_many("welcome", people(60, ["en"]), partner_id="acme")
    host.db.session.commit()
    assert set(subjects(host, "acme")) == {"Ours"}
