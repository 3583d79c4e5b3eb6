"""Every page in German: it works, says so, and leaves the host's own texts to the host."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from smtp_admin import Message, Partner
from smtp_admin.catalogues import by_tag
from tests.app import ADMIN, CUSTOMER, HostApp, make_app
from tests.scene import HTML, JSON, PREFIX, Scene
from tests.servers.redis_server import RedisServer
from tests.servers.scripted import ScriptedServer
from tests.test_pages import PAGES
from tests.translation.conftest import speaking

#: Words that every page of ours has where it is not in German.
_ENGLISH = re.compile(r">\s*(Senders|Troubleshooting|Save|Settings|Mail log|Owner|Nothing)\s*<")
#: Attributes that are read out, or shown.
_SAID = {"aria-label", "data-label", "placeholder", "title", "data-busy", "data-words"}
#: Names of headers, where all headers of a mail are shown.
_HEADERS = {"From", "To", "Subject", "Date"}
_REDIRECTS = {302, 303}
#: Nobody has begun to sign a mailbox in, and no sender of the scene wants it.
_REFUSED = {f"{PREFIX}/oauth/<provider>/start": 404, f"{PREFIX}/oauth/callback": 409}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Scene]:
    """Senders, mail and alerts of everybody, in a host that speaks German."""
    redis_server.start()
    redis_server.flush()
    uri = f"sqlite:///{tmp_path_factory.mktemp('german') / 'host.db'}"
    site = speaking(make_app(uri, {"REDIS_URL": redis_server.url}))
    with ScriptedServer() as server:
        scene = Scene(site, server)
        yield scene
        scene.dump.close()
    with site.app.app_context():
        site.db.engine.dispose()


def test_every_page(scene: Scene) -> None:
    scene.site.actor = ADMIN
    rules = [
        one.rule
        for one in scene.site.app.url_map.iter_rules()
        if one.rule.startswith(PREFIX) and "GET" in (one.methods or ()) and "static" not in one.rule
    ]
    assert len(rules) > 50
    looked_at = 0
    for rule in rules:
        scene.site.actor = CUSTOMER if rule.endswith("/remind-me") else ADMIN
        page = scene.ask("GET", rule, HTML)
        usual = {_REFUSED[rule]} if rule in _REFUSED else {200} | _REDIRECTS
        assert page.status_code in usual, rule
        if page.mimetype == "text/html" and page.status_code not in _REDIRECTS:
            looked_at += _check(rule, page.text)
    assert looked_at > 50


@pytest.mark.parametrize("name", sorted(PAGES.keys() - {"no such file"}))
def test_what_comes_of_a_form(scene: Scene, name: str) -> None:
    scene.site.actor = ADMIN
    assert _check(name, PAGES[name](scene.site, scene.server).text)


def _check(name: str, page: str) -> bool:
    assert "%(" not in page, name
    if 'class="smtp-admin"' not in page:
        return False  # the HTML of a mail, which is in the customer's language
    assert '<div class="smtp-admin" lang="de">' in page, name
    assert not _ENGLISH.findall(page), name
    assert not _left_english(page), name
    assert not [one for one in _Words(page).attributes if "<time" in one], name
    return True


class _Words(HTMLParser):
    """What people read of a page: its texts, and what attributes say."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.attributes: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.texts.append(" ".join(data.split()))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [value for name, value in attrs if value and name in _SAID]


def _left_english(page: str) -> set[str]:
    """The texts of a page that the catalogue has a German one for."""
    german = by_tag("de")
    assert german is not None
    read = _Words(page)
    known = {one.strip(): said.strip() for one, said in german.texts.items()}
    known |= {one: forms[0] for one, forms in german.plurals.items()}
    said = {one for one in (*read.texts, *read.attributes) if known.get(one, one) != one}
    return said - set(known.values()) - _HEADERS


def test_the_head_of_a_table_and_of_a_mail(scene: Scene) -> None:
    """What a filter or a look-up by the shown word would have lost."""
    scene.site.actor = ADMIN
    overview = scene.site.client.get(f"{PREFIX}/", headers=HTML).text
    heads = re.findall(r'<th scope="col"[^>]*><a href="[^"]*">([^<]*)', overview)
    assert heads[:4] == ["Absender", "Zustand", "Eingereiht", "Gesendet, 24\u00a0h"]
    page = scene.ask("GET", f"{PREFIX}/mail/<public_id>", HTML).text
    assert re.search(r"<dt>Von</dt><dd>[^<]+@", page)


def test_words_of_pages(scene: Scene) -> None:
    scene.site.actor = ADMIN
    client = scene.site.client
    tab = unescape(client.get(f"{PREFIX}/partners/acme", headers=HTML).text)
    for words in ("Absenderadresse", "Verbindung testen", "Testmail senden", "Fehlersuche",
                  "Der Postausgangsserver, ohne http:// und Port.",
                  "OAuth2 statt eines Passworts", "Adresse des Token-Servers",
                  "Microsoft 365: als Anwendung"):  # fmt: skip
        assert words in tab
    wrong = client.post(f"{PREFIX}/partners/acme", data={"port": "x"}, headers=HTML)
    assert "Ein Port ist eine ganze Zahl von 1 bis 65535." in unescape(wrong.text)
    assert "Geben Sie die Absenderadresse ein." in unescape(wrong.text)
    revision = re.search(r'id="revision"[^>]*value="(\d+)"', tab)
    assert revision
    without = {
        "revision": revision[1],
        "sign_in": "microsoft_app",
        "host": "smtp.office365.com",
        "port": "587",
        "from_email": "a@acme.example",
    }
    wrong = client.post(f"{PREFIX}/partners/acme", data=without, headers=HTML)
    assert "Füllen Sie auch das Feld „Client-Geheimnis“ aus." in unescape(wrong.text)
    assert "Microsoft Entra Admin Center, App-Registrierungen" in unescape(wrong.text)
    lost = client.get(f"{PREFIX}/partners/nobody", headers=HTML)
    assert "Unter dieser Adresse wurde nichts gefunden." in lost.text
    notice = client.post(f"{PREFIX}/partners/acme/pause", headers=HTML, follow_redirects=True)
    assert "Angehalten. Mails warten, bis Sie fortsetzen." in notice.text


def test_api_tokens(scene: Scene) -> None:
    """Made, refused, listed and revoked; its name is shown as it was typed everywhere."""
    scene.site.actor = ADMIN
    client, address = scene.site.client, f"{PREFIX}/partners/globex/tokens"
    form = {"name": "Bob's <CRM> & Co", "scopes": ["send", "read"], "expires": "30d"}

    def words(answer: Any) -> str:
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())

    made = words(client.post(address, data=form, headers=HTML))
    for part in ("Kopieren Sie das Token jetzt", "Token „Bob's <CRM> & Co“", "nach 30 Tagen",
                 "Aktiv", "Mails und Serien einreihen, Mails und Serien ansehen", "Läuft ab",
                 "Zuletzt verwendet"):  # fmt: skip
        assert part in made, part
    assert "Es gibt schon ein Token mit diesem Namen." in words(
        client.post(address, data=form, headers=HTML)
    )
    assert "Wählen Sie mindestens eines." in words(
        client.post(address, data=form | {"scopes": []}, headers=HTML)
    )
    ask = re.search(r'href="([^"]+/revoke)"', client.get(address, headers=HTML).text)
    assert ask
    assert "Bob's <CRM> & Co widerrufen?" in words(client.get(ask[1], headers=HTML))
    listed = client.post(ask[1], headers=HTML, follow_redirects=True)
    assert "Widerrufen: Bob's <CRM> & Co. Anfragen mit diesem Token" in words(listed)
    assert ask[1] not in listed.text
    assert "Dieses Token ist schon widerrufen" in words(client.get(ask[1], headers=HTML))
    audit = words(client.get(f"{PREFIX}/partners/globex/audit", headers=HTML))
    assert "Ein API-Token widerrufen" in audit


def test_templates(scene: Scene) -> None:
    """Sorted by what is read; a mistake is told on the page and in its preview."""
    scene.site.actor = ADMIN
    client, address = scene.site.client, f"{PREFIX}/templates/partners/globex"

    def words(answer: Any) -> str:
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())

    listed = words(client.get(address, headers=HTML))
    assert "Begrüßt jemanden, dessen Konto bereit ist." in listed
    order = [listed.index(f" {one} ") for one in ("Anmeldelink", "Rechnung", "Zahlungsbestätigung")]
    assert order == sorted(order)
    refused = words(client.post(address, data={"colour": "#ffffff", "logo_url": "x"}, headers=HTML))
    assert "Bitte berichtigen Sie: Farbe und Adresse des Logos ." in refused
    editor = f"{address}/welcome/de"
    form = {"subject": "{{ nobody }}", "text": "Hallo", "html": "", "sample": "{}", "do": "save"}
    where = "Zeile 1, Spalte 4: 'nobody' ist nicht definiert."
    assert f"{where} Eine Zeile." in words(client.post(editor, data=form, headers=HTML))
    assert f"Betreff : {where}" in words(client.post(f"{editor}/preview", data=form, headers=HTML))
    form["subject"] = "{% for one in (1..99999) %}{% endfor %}"
    assert "Eine Schleife geht über mehr als 10.000 Einträge." in words(
        client.post(editor, data=form, headers=HTML)
    )


def test_json_stays_english(scene: Scene) -> None:
    scene.site.actor = ADMIN
    answer = scene.site.client.get(f"{PREFIX}/partners/nobody", headers=JSON)
    assert answer.json is not None
    assert answer.json["error"]["message"] == "Nothing was found at this address."


def test_numbers(new_app: Callable[..., HostApp]) -> None:
    """Of 1,204 mails; what is a name, such as a port, stays as it is."""
    site = speaking(new_app())
    site.actor = ADMIN
    with site.app.app_context():
        site.save_sender(port=2525, max_per_hour=12000)
        site.plugin.send_message(Message("Hi", ["you@x.example"], body="Hi."), partner_id="acme")
        site.db.session.commit()
    page = site.client.get(f"{PREFIX}/partners/acme", headers=HTML).text
    assert "0 von 12.000" in page
    assert 'value="2525"' in page
    assert 'value="12000"' in page


LAYOUT = """<!doctype html><html lang="de"><head><title>{% block title %}{% endblock %}</title>
{% block head %}{% endblock %}</head><body>
<nav>{{ _("Save") }} {% trans %}Senders{% endtrans %}
{{ ngettext("%(num)s mail", "%(num)s mails", 2) }}</nav>
{% block content %}{% endblock %}{% block scripts %}{% endblock %}</body></html>"""


def test_hosts_own_texts_stay_its_own(new_app: Callable[..., HostApp], tmp_path: Path) -> None:
    """Its catalogues do not know our texts, nor ours its own, though both say "Save"."""
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "layout.html").write_text(LAYOUT)
    site = speaking(new_app(LAYOUT="host/layout.html"))
    site.app.template_folder = str(tmp_path)
    site.actor = ADMIN
    page = site.client.get(f"{PREFIX}/partners/acme", headers=HTML).text
    assert "<nav>Save Senders\n2 mails</nav>" in page
    assert ">Speichern</button>" in page


def test_names_are_text(new_app: Callable[..., HostApp], monkeypatch: pytest.MonkeyPatch) -> None:

    site = speaking(new_app())
    site.actor = ADMIN
    with site.app.app_context():
        site.save_sender()
    evil = Partner("acme", "<script>%(x)s{y}\"'", "acme.example")
    monkeypatch.setattr(site.host, "partners", lambda: (evil,))
    for path in ("/", "/partners/acme", "/partners/acme/delete", "/partners/acme/history",
                 "/partners/acme/mail", "/partners/acme/symptoms"):  # fmt: skip
        answer = site.client.get(PREFIX + path, headers=HTML)
        assert answer.status_code == 200
        assert "<script>%(x)s" not in answer.text
        assert "&lt;script&gt;%(x)s{y}" in answer.text
