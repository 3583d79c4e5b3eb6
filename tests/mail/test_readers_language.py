"""Pages for recipients are in the recipient's language, whether or not the host has Flask-Babel."""

import re
from email import message_from_bytes, policy
from html import unescape
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.catalogues import FOR_READERS, languages
from smtp_admin.delivery.models import Message
from smtp_admin.mail.arrival_link import arrival_url
from smtp_admin.mail.unsubscribing import Reader, token_for
from smtp_admin.mail.wording import names
from tests.alerts.watching import break_sender, look
from tests.app import ADMIN, HostApp
from tests.delivery.conftest import NewHost
from tests.translation.conftest import speaking

PUBLIC, MIA = "https://mail.acme.example", "mia@example.org"
NAME = "notification_digest"
ITEMS = {"name": "Mia", "count": 1, "items": [{"title": "A", "text": "", "url": ""}]}
#: The heading of the page in each language that shipped mails are in.
ASKS = {
    "en": "Unsubscribe", "de": "Abbestellen", "es": "Darme de baja", "fr": "Se désabonner",
    "pt": "Cancelar inscrição", "pl": "Zrezygnuj",
}  # fmt: skip


@pytest.fixture
def site(opened: NewHost) -> HostApp:
    host = opened(PUBLIC_URL=PUBLIC)
    host.save_sender()
    return host


def spoken(answer: Any) -> tuple[str, str]:
    """The language that a page names, and its heading."""
    text = unescape(answer.text)
    found = re.search(r'class="smtp-admin" lang="([\w-]+)".*?<h1>(.*?)</h1>', text, re.DOTALL)
    assert found
    return found[1], found[2]


def link(site: HostApp, page: str = "/unsubscribe") -> str:
    """One without a language, as links were before."""
    with site.app.app_context():
        return f"{page}/{token_for(Reader('acme', MIA, NAME))}"


def browser(language: str) -> dict[str, str]:
    return {"Accept-Language": language}


def test_every_language_of_shipped_mails_has_the_words() -> None:
    assert {*ASKS} == {*names("common")} == languages() | languages(FOR_READERS) | {"en"}


@pytest.mark.parametrize("name", ASKS)
def test_it_is_that_of_the_mail(site: HostApp, name: str) -> None:
    """Of the mail that has the link, against the browser; forms and the other page keep it."""
    public_id = site.plugin.send(
        NAME, to=MIA, partner_id="acme", context=ITEMS, language=f"{name}-XX"
    )
    site.db.session.commit()
    row = select(Message).where(Message.public_id == public_id)
    content = site.db.session.scalars(row).one().content
    mail = message_from_bytes(content, policy=policy.default)
    path = mail["List-Unsubscribe"].strip("<>").removeprefix(PUBLIC)
    other = browser("en" if name == "de" else "de")
    asked = site.client.get(path, headers=other)
    assert spoken(asked) == (name, ASKS[name])
    assert ("Summaries of what is new" in asked.text) is (name == "en")
    links = [
        unescape(one) for one in re.findall(r'(?:action|href)="(/[^"]*lang=[^"]*)"', asked.text)
    ]
    assert len(links) == 2
    for one in links:
        assert spoken(site.client.get(one, headers=other))[0] == name
    assert spoken(site.client.post(path, data={"notices": "off"}, headers=other))[0] == name


def test_what_was_chosen_goes_before_and_the_browser_after(site: HostApp) -> None:
    path, chosen = link(site), link(site, "/smtp-admin/preferences")
    for asks, answer in (
        ("fr-CH, de;q=0.5", "fr"), ("it, pl;q=0.1", "pl"), ("it", "en"), ("", "en"), ("*", "en"),
        ("en-GB, de;q=0.9", "en"), ("x" * 500, "en"),
    ):  # fmt: skip
        assert spoken(site.client.get(path, headers=browser(asks)))[0] == answer, asks
    for odd in ("tlh", "", "x" * 5000, "%00", "de%0d%0a", "../de"):
        assert site.client.get(f"{path}?lang={odd}").status_code == 200
    saved = site.client.post(chosen, data={"save": "1", "language": "es"}, headers=browser("de"))
    assert spoken(saved) == ("es", "Correo de Acme GmbH")
    assert "Guardado." in saved.text
    assert spoken(site.client.get(f"{path}?lang=pl", headers=browser("de")))[0] == "es"
    site.client.post(chosen, data={"save": "1", "language": ""})
    assert spoken(site.client.get(f"{path}?lang=pl", headers=browser("de")))[0] == "pl"
    site.client.post(chosen, data={"save": "1", "language": "en"})
    assert spoken(site.client.get(path, headers=browser("de"))) == ("en", "Unsubscribe")


def test_with_flask_babel_it_is_the_recipients_too(site: HostApp) -> None:
    """What the host speaks is for those who have an account; here only where nothing is known."""
    speaking(site)
    assert spoken(site.client.get(link(site) + "?lang=fr"))[0] == "fr"
    assert spoken(site.client.get(link(site), headers=browser("en")))[0] == "en"
    assert spoken(site.client.get(link(site), headers=browser("it")))[0] == "de"


def test_a_link_that_is_none_and_that_of_a_test_mail(site: HostApp) -> None:
    lost = site.client.get("/unsubscribe/v1.no.link?lang=pt", headers={"Accept": "text/html"})
    assert (lost.status_code, spoken(lost)) == (404, ("pt", "Não encontrado"))
    assert "Este link não é válido." in lost.text
    answer = site.client.post(
        "/smtp-admin/partners/acme/test-email", headers={"Accept": "application/json"}
    )
    assert answer.json is not None
    path = arrival_url(answer.json["id"], "de").removeprefix(PUBLIC)
    assert path.endswith("?lang=de")
    assert spoken(site.client.get(path, headers=browser("fr"))) == ("de", "Testmail")
    said = site.client.post(path, data={"arrived": "yes"}, headers=browser("fr"))
    assert spoken(said)[0] == "de"


def test_one_page_does_not_speak_for_the_next(site: HostApp) -> None:
    site.client.get(link(site) + "?lang=de")
    assert spoken(site.client.get("/smtp-admin/"))[0] == "en"


def test_an_admins_alerts_are_not_for_recipients(site: HostApp) -> None:
    """Whoever looks: neither on their pages nor where a link is none."""
    site.save_sender()
    break_sender(site)
    look(site)
    assert site.actor is ADMIN
    html = {"Accept": "text/html"}
    assert 'id="alerts"' in site.client.get("/smtp-admin/", headers=html).text
    token = link(site)
    with site.app.app_context():
        arrival = arrival_url("no-such-mail", "de").removeprefix(PUBLIC)
    preferences = "/smtp-admin" + token.replace("unsubscribe", "preferences")
    for path in (token, preferences, "/unsubscribe/v1.no.link", arrival,
                 "/smtp-admin/renewals/remind-me"):  # fmt: skip
        page = site.client.get(path, headers=html).text
        assert 'class="smtp-admin"' in page, path
        assert 'id="alerts"' not in page, path
