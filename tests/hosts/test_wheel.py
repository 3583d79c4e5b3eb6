"""The built wheel, alone in a fresh environment, serves a host app it was not written beside."""

import email
import email.policy
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import Request, urlopen

import pytest

from tests.servers.scripted import Received, Reply, ScriptedServer

from .conftest import Shop, Wheels
from .visitor import Answer, Visitor

TAB = "/settings/mail/partners/books"
FOLDERS = {  # where each folder of the tree stands in the wheel
    "smtp_admin": "smtp_admin",
    "templates/smtp_admin": "smtp_admin/templates/smtp_admin",
    "static/css": "smtp_admin/static/css",
    "static/js": "smtp_admin/static/js",
    "migrations": "smtp_admin/migrations",
    "translations": "smtp_admin/translations",
}


@pytest.fixture
def smtp() -> Iterator[ScriptedServer]:
    """The partner's mail server."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def boss(shop_url: str) -> Visitor:
    """The platform's administrator, in the northern branch."""
    return signed_in(shop_url, "admin")


def signed_in(url: str, person: str) -> Visitor:
    visitor = Visitor(url)
    token = visitor.get("/").json["token"]
    assert visitor.post(f"/sign-in/{person}", {"csrf_token": token}).status == 200
    return visitor


def settings(server: ScriptedServer) -> dict[str, str]:
    return {
        "host": server.host,
        "port": str(server.port),
        "security": "none",
        "from_email": "noreply@books.example",
    }


def parsed(received: Received) -> EmailMessage:
    return email.message_from_bytes(received.data, EmailMessage, policy=email.policy.default)


def tables(shop: Shop, branch: str) -> dict[str, str]:
    """Each table with the statement that made it."""
    with closing(sqlite3.connect(shop.folder / f"{branch}.db")) as database:
        return dict(database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))


def test_wheel_holds_the_package_and_nothing_else(wheels: Wheels) -> None:
    expected = {
        f"{inside}/{file.relative_to(wheels.tree / outside)}"
        for outside, inside in FOLDERS.items()
        for file in (wheels.tree / outside).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    names = wheels.files(wheels.wheel).keys()
    shipped = {name for name in names if ".dist-info/" not in name}
    assert shipped == expected
    assert {"smtp_admin/py.typed", "smtp_admin/migrations/script.py.mako"} <= shipped
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_sdist_builds_the_same_wheel(wheels: Wheels) -> None:
    """A file that the sdist forgets is missing for whoever installs from it."""
    assert wheels.wheel.name == wheels.wheel_from_sdist.name
    assert wheels.files(wheels.wheel) == wheels.files(wheels.wheel_from_sdist)
    with zipfile.ZipFile(wheels.wheel) as archive:
        assert archive.testzip() is None


def test_runs_from_the_fresh_environment(shop: Shop) -> None:
    """Everything below proves nothing if the source tree is imported after all."""
    printed = shop.run("-c", "import smtp_admin, sys; print(smtp_admin.__file__, *sys.path)")
    where, *path = printed.split()
    assert Path(where).is_relative_to(shop.python.parents[1])
    assert str(Path(__file__).parents[2]) not in path


@pytest.mark.long
def test_migrations_leave_each_other_alone(shop: Shop) -> None:
    """The host's first migration, the plugin's, and back; each sees its own tables only."""
    east = partial(shop.flask, SHOP_BRANCH="east")
    east("smtp-admin", "db", "check", status=1)
    upgraded = east("smtp-admin", "db", "upgrade")
    assert "Traceback" not in upgraded
    ours = {name for name in tables(shop, "east") if not name.startswith("sqlite_")}
    assert ours
    assert all(name.startswith("smtp_admin_") for name in ours)

    east("db", "init")
    east("db", "migrate", "-m", "first")
    versions = shop.folder / "east-migrations" / "versions"
    (first,) = versions.glob("*.py")
    assert "create_table('article'" in first.read_text()
    assert "smtp_admin" not in first.read_text()
    east("db", "upgrade")
    east("db", "migrate", "-m", "second")  # finds nothing to change, so it writes nothing
    assert list(versions.glob("*.py")) == [first]
    assert tables(shop, "east").keys() - ours == {"article", "alembic_version"}

    before = tables(shop, "east")
    with closing(sqlite3.connect(shop.folder / "east.db")) as database:
        database.execute("INSERT INTO article (name) VALUES ('Atlas')")
        database.commit()
    east("smtp-admin", "db", "downgrade", "base", "--yes")
    assert tables(shop, "east").keys() - {"article", "alembic_version"} <= {
        "smtp_admin_alembic_version",
        "sqlite_sequence",
    }
    east("smtp-admin", "db", "upgrade")
    east("smtp-admin", "db", "check")
    after = tables(shop, "east")
    assert after.keys() == before.keys()
    assert all(after[name] == before[name] for name in ("article", "alembic_version"))
    with closing(sqlite3.connect(shop.folder / "east.db")) as database:
        assert database.execute("SELECT name FROM article").fetchall() == [("Atlas",)]
        database.execute("DELETE FROM article")
        database.commit()


def test_host_without_the_guard_would_drop_the_tables(shop: Shop) -> None:
    """So the test above can fail, and ``include_object`` is what makes it pass."""
    west = partial(shop.flask, SHOP_BRANCH="west", SHOP_UNGUARDED="1")
    west("smtp-admin", "db", "upgrade")
    west("db", "init")
    west("db", "migrate")
    (proposal,) = (shop.folder / "west-migrations" / "versions").glob("*.py")
    assert "drop_table('smtp_admin_message')" in proposal.read_text()


def new_token(boss: Visitor, name: str) -> Answer:
    """The answer that shows a new token of the partner's."""
    page = boss.get(f"{TAB}/tokens")
    values = page.form("name", "expires").values
    return boss.post(page.url, values | {"name": name, "scopes": "send"})


def test_a_program_queues_mail_with_a_token(boss: Visitor, smtp: ScriptedServer) -> None:
    """Past the host's own check of forms, which asks for a token of a page."""
    boss.submit(boss.get(TAB), settings(smtp))
    token = re.search(r"smtpadmin_\w{38}", new_token(boss, "Shop").html)
    assert token
    body = json.dumps({"to": "mia@example.com", "subject": "Hello", "text": "Hello."}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token[0]}"}
    with urlopen(Request(f"{boss.site}/api/email/queue", body, headers)) as answer:
        assert (answer.status, json.load(answer)["status"]) == (202, "queued")
    refused = boss.post_json("/api/email/queue", {"to": "mia@example.com"})
    assert (refused.status, refused.json["error"]["code"]) == (400, "csrf_failed")


def test_every_page_stands_in_the_hosts_frame(boss: Visitor, smtp: ScriptedServer) -> None:
    sent = boss.submit(boss.get(TAB), settings(smtp))
    assert "Saved as revision" in sent.text
    queued = boss.submit(boss.get(TAB), {"host": smtp.host}, f"{TAB}/test-email")
    mail_id = queued.url.partition("mail=")[2].partition("#")[0]
    assert mail_id
    tested = boss.submit(boss.get(TAB), settings(smtp), f"{TAB}/test-connection/worker")
    found = re.search(r"/test-connection/([0-9a-f]{32})", tested.html)
    assert found
    added = boss.submit(boss.get(f"{TAB}/senders/news?new=1"), settings(smtp))
    assert "Saved as revision" in added.text
    token_id = re.search(r"/tokens/([0-9a-f]{32})/revoke", new_token(boss, "CRM").html)
    assert token_id
    pages = boss.get("/pages").json
    assert len(pages) >= 5
    for rule in pages:
        if "<key>" in rule and "<public_id>" in rule:
            continue  # that sender has sent nothing that could be followed
        of_a_sender = "<public_id>" in rule or "<key>" in rule or rule.endswith("/delete")
        whose = "books" if of_a_sender else "toys"
        path = rule.replace("<partner_id>", whose).replace("<key>", "news")
        path = path.replace("<type_name>", "welcome").replace("<language>", "de")
        if rule.startswith("/settings/mail/system/"):
            continue  # the system's sender has sent nothing that could be followed
        if rule.endswith(("/preview/mail", "/remind-me", "/metrics", "/preview", "/raw")):
            continue  # no page but a mail; for customers only; for Prometheus
        if "/batches/<public_id>" in rule or "/oauth/" in rule:
            continue  # nothing was sent to many; a redirect to where one signs in
        followed = found[1] if "test-connection" in rule else mail_id
        if "/tokens/" in rule:
            followed = token_id[1]
        page = boss.get(path.replace("<public_id>", followed))
        assert page.status == 200, rule
        assert page.url.startswith(f"{boss.site}/settings/mail"), rule
        for words in ("Shop North: the banner", "The shop's own aside", "The shop's own footer"):
            assert words in page.text, rule
        assert 'content="its own head"' in page.html
        assert "<!-- the shop's scripts -->" in page.html
        assert page.html.count("<h1") == page.html.count("<main") == 1


def test_stylesheet_and_script_are_served(boss: Visitor) -> None:
    page = boss.get(TAB)
    kinds = []
    for address in page.files:
        file = boss.get(urljoin(page.url, address), accept="*/*")
        assert file.status == 200
        assert len(file.body) > 500
        kinds.append(file.headers.get_content_type())
    assert set(kinds) == {"text/css", "text/javascript"}


def test_hosts_protection_guards_our_forms(boss: Visitor, smtp: ScriptedServer) -> None:
    """With Flask-WTF's global check the answer is still ours: a page, or the one JSON envelope."""
    token = boss.get(TAB).form("host").values["csrf_token"]
    refused = boss.post(TAB, settings(smtp))
    assert refused.status == 400
    assert "open for too long" in refused.text
    assert "The shop's own footer" in refused.text
    answer = boss.post_json(f"{TAB}/test-connection", settings(smtp))
    assert (answer.status, answer.json["error"]["code"]) == (400, "csrf_failed")
    answer = boss.post_json(f"{TAB}/test-connection", settings(smtp), token)
    assert (answer.status, answer.json["ok"]) == (200, True)


def test_errors_wear_the_hosts_frame(shop_url: str, boss: Visitor) -> None:
    seller = signed_in(shop_url, "seller")
    for visitor, path, status in (
        (Visitor(shop_url), TAB, 401),
        (seller, "/settings/mail/partners", 403),
        (seller, "/settings/mail/partners/toys", 404),
        (boss, "/settings/mail/partners/nobody", 404),
    ):
        page = visitor.get(path)
        assert page.status == status
        assert "The shop's own footer" in page.text
        assert "smtp-admin-note" in page.html


def test_partner_saves_tests_and_mail_goes_out(
    shop: Shop, shop_url: str, boss: Visitor, smtp: ScriptedServer
) -> None:
    """Each shipped type arrives, written from the templates inside the wheel."""
    seller = signed_in(shop_url, "seller")
    tested = seller.submit(seller.get(TAB), settings(smtp), f"{TAB}/test-connection")
    assert "It works." in tested.text
    assert "Saved as revision" in seller.submit(seller.get(TAB), settings(smtp)).text
    shop.flask("smtp-admin", "worker", "--burst")  # what earlier tests left waiting
    smtp.messages.clear()

    token = boss.get("/").json["token"]
    types = boss.post("/send-samples", {"csrf_token": token}).json["types"]
    articles = boss.post("/articles", {"csrf_token": token, "name": "Globe"}).json["articles"]
    assert articles[-1] == "Globe"
    again = boss.post("/articles", {"csrf_token": token, "name": "Lost", "cancel": "1"})
    assert again.json["articles"] == articles
    worked = shop.flask("smtp-admin", "worker", "--burst")
    assert "Traceback" not in worked

    arrived = {one.recipients[0].partition("@")[0]: parsed(one) for one in smtp.messages}
    assert len(smtp.messages) == len(types) + 1  # and the one that was rolled back is not there
    assert arrived.keys() == {name.replace("_", "-") for name in types} | {"c"}
    for name in types:
        mail = arrived[name.replace("_", "-")]
        assert str(mail["From"]) == "Books & Maps <noreply@books.example>"
        html = mail.get_body(("html",))
        assert html is not None
        assert "style=" in html.get_content()  # css-inline was at work
    assert arrived["c"]["Subject"] == "Parcel P-7 is on its way"
    numbers = json.loads(shop.flask("smtp-admin", "status", "--partner", "books", "--json"))
    assert (numbers["pending"], numbers["dead"]) == (0, 0)
    assert numbers["sent"] >= len(types) + 1


def test_failed_connection_is_explained(boss: Visitor, smtp: ScriptedServer) -> None:
    smtp.behave("mail", Reply("550 5.7.1 Not your address"))
    page = boss.submit(boss.get(TAB), settings(smtp), f"{TAB}/test-connection")
    assert page.status == 400
    assert "550 5.7.1" in page.text
    assert "Not your address" in page.text


def test_two_apps_in_one_process_share_nothing(
    shop: Shop, shop_url: str, boss: Visitor, smtp: ScriptedServer
) -> None:
    """Each has its own database, prefix, name, key, session and Redis."""
    boss.submit(boss.get(TAB), settings(smtp) | {"from_name": "Northern Books"})
    southern = f"{shop_url}/south"
    assert Visitor(southern).get("/post/partners/books").status == 401
    chief = signed_in(southern, "admin")
    assert chief.get("/settings/mail/partners").status == 404
    page = chief.get("/post/partners/books")
    assert page.status == 200
    assert "Shop South: the banner" in page.text
    assert page.form("host").values["host"] == ""
    assert "Northern" not in page.html
    assert all(chief.get(urljoin(page.url, one), "*/*").status == 200 for one in page.files)

    saved = chief.submit(page, settings(smtp) | {"from_name": "Southern Books"})
    assert saved.url == f"{southern}/post/partners/books"
    assert "Saved as revision 1." in saved.text
    assert boss.get(TAB).form("host").values["from_name"] == "Northern Books"

    token = chief.get("/").json["token"]
    samples = chief.post("/send-samples", {"csrf_token": token}).json["types"]
    shop.flask("smtp-admin", "worker", "--burst", SHOP_BRANCH="north")
    senders = [str(parsed(one)["From"]) for one in smtp.messages]
    assert not any("Southern" in one for one in senders)
    shop.flask("smtp-admin", "worker", "--burst", SHOP_BRANCH="south")
    senders = [str(parsed(one)["From"]) for one in smtp.messages]
    assert sum("Southern Books" in one for one in senders) == len(samples)
