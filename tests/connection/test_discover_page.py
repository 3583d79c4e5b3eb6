"""Settings found from the tab: shown, filled in, limited, never saved; and limits by one button."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.audit.models import Audit
from smtp_admin.dns import NAMES
from smtp_admin.providers.catalogue import providers
from smtp_admin.senders.models import SenderRevision
from smtp_admin.smtp.nameserver import NameService
from tests.app import ACME_ADMIN, ADMIN, HostApp, started_with
from tests.servers.certificates import CertificateFactory
from tests.servers.dns import DNSServer
from tests.servers.scripted import ScriptedServer
from tests.test_pages import Page

HTML = {"Accept": "text/html"}
TAB = "/smtp-admin/partners/acme"
ADDRESS = "mia@acme.example"


@pytest.fixture
def server(certificates: CertificateFactory) -> Iterator[ScriptedServer]:
    """A mail server with STARTTLS and a login."""
    context = certificates.server_context(certificates.valid("localhost"))
    with ScriptedServer(starttls=context, auth=(ADDRESS, "word")) as running:
        yield running


@pytest.fixture
def site(
    new_app: Callable[..., HostApp], certificates: CertificateFactory, server: ScriptedServer
) -> Iterator[HostApp]:
    """An app whose name server leads from Acme's domain to that mail server."""
    made = new_app(CA_FILE=certificates.ca_file, TEST_LIMIT="4 per hour")
    made.actor = ACME_ADMIN
    records = {("_submission._tcp.acme.example", "SRV"): [f"0 1 {server.port} localhost."]}
    with DNSServer(records) as dns, made.app.app_context():
        NAMES.put(made.installation, NameService((dns.address,)))
        yield made


def find(site: HostApp, address: str = ADDRESS) -> str:
    return site.client.post(f"{TAB}/discover", data={"address": address}, headers=HTML).text


def value(page: str, field: str) -> str:
    found = re.search(rf'<input[^>]*id="{field}"[^>]*>', page)
    assert found, field
    kept = re.search(r'value="([^"]*)"', found[0])
    return kept[1] if kept else ""


def chosen(page: str, field: str) -> str:
    found = re.search(rf'<select id="{field}".*?</select>', page, re.DOTALL)
    assert found
    (option,) = re.findall(r'<option value="([^"]*)" selected', found[0])
    return str(option)


def test_what_was_found_stands_in_the_form_and_is_not_saved(
    site: HostApp, server: ScriptedServer
) -> None:
    page = find(site)
    assert "answers, encrypts, has a valid certificate and offers a login." in page
    assert "SRV of _submission._tcp.acme.example" in page
    assert "localhost does not belong to acme.example" in page
    filled = {name: value(page, name) for name in ("host", "port", "username", "from_email")}
    assert filled == {
        "host": "localhost", "port": str(server.port), "username": ADDRESS, "from_email": ADDRESS,
    }  # fmt: skip
    assert chosen(page, "security") == "tls"
    structure = Page(page)
    assert len(structure.ids) == len(set(structure.ids))
    assert set(structure.references) <= set(structure.ids)
    assert set(structure.controls) <= structure.labelled
    assert site.db.session.scalars(select(SenderRevision)).all() == []
    assert value(site.client.get(TAB, headers=HTML).text, "host") == ""
    assert all(session.auth_attempts == [] for session in server.sessions)
    assert server.messages == []


def test_the_saved_from_address_stays(site: HostApp) -> None:
    site.save_sender("acme", from_email="news@acme.example", username="old", password="word")
    page = find(site)
    assert value(page, "from_email") == "news@acme.example"
    assert value(page, "username") == ADDRESS


def test_nothing_found_says_what_was_tried_and_what_to_do(site: HostApp) -> None:
    page = find(site, "mia@nowhere.example")
    assert "No suitable mail server was found for mia@nowhere.example" in page
    assert "There is no domain nowhere.example." in page
    assert "outgoing server (SMTP)" in page
    assert value(page, "host") == ""
    assert value(page, "address") == "mia@nowhere.example"


@pytest.mark.parametrize("address", ["", "mia", "mia@", "a b@c.example", "<b>@x"])
def test_no_address(site: HostApp, server: ScriptedServer, address: str) -> None:
    answer = site.client.post(f"{TAB}/discover", data={"address": address}, headers=HTML)
    assert answer.status_code == 400
    assert re.search(r'id="address"[^>]*aria-invalid="true"', answer.text, re.DOTALL)
    assert 'id="address-error"' in answer.text
    assert "<b>" not in answer.text
    assert server.connections == 0
    assert site.db.session.scalars(select(Audit)).all() == []


def test_as_json(site: HostApp, server: ScriptedServer) -> None:
    answer = site.client.post(f"{TAB}/discover", json={"address": ADDRESS})
    assert answer.status_code == 200
    body = answer.get_json()
    assert body["ok"] is True
    assert body["best"]["port"] == server.port
    assert {one["where"] for one in body["findings"]} == {"preset", "srv", "mx", "probe"}
    wrong = site.client.post(f"{TAB}/discover", json={"address": 7})
    assert wrong.status_code == 400
    assert wrong.get_json()["error"]["fields"] == {"address": ["This must be text."]}


def test_searches_and_tests_share_one_limit(site: HostApp, server: ScriptedServer) -> None:
    test: dict[str, Any] = {"host": "localhost", "port": server.port, "username": ""}
    for _ in range(2):
        assert site.client.post(f"{TAB}/discover", json={"address": ADDRESS}).status_code == 200
        site.client.post(f"{TAB}/test-connection", json=test)
    dialled = server.connections
    refused = site.client.post(f"{TAB}/discover", json={"address": ADDRESS})
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (429, "rate_limited")
    assert int(refused.headers["Retry-After"]) > 3000
    assert site.client.post(f"{TAB}/test-connection", json=test).status_code == 429
    page = site.client.post(f"{TAB}/discover", data={"address": ADDRESS}, headers=HTML)
    assert page.status_code == 429
    assert "That was more than" in page.text
    assert server.connections == dialled
    site.actor = ADMIN  # another person
    assert site.client.post(f"{TAB}/discover", json={"address": ADDRESS}).status_code == 200
    done = site.db.session.scalars(select(Audit.action).where(Audit.partner_id == "acme"))
    assert sorted(done) == ["connection.tested"] * 2 + ["settings.searched"] * 3


def test_it_dials_only_what_the_policy_allows(
    new_app: Callable[..., HostApp], server: ScriptedServer
) -> None:
    """Whatever DNS answers: here the domain names a server inside."""
    made = new_app(ALLOWED_NETWORKS=[])
    made.actor = ADMIN
    records = {("_submission._tcp.acme.example", "SRV"): [f"0 1 {server.port} localhost."]}
    with DNSServer(records) as dns:
        NAMES.put(made.installation, NameService((dns.address,)))
        page = find(made)
    assert "has an address that this platform does not connect to" in page
    assert value(page, "host") == ""
    assert server.connections == 0


def test_locked_fields_stay_as_the_environment_says(site: HostApp) -> None:
    here = site.installation
    environment = {"SMTP_HOST": "env.example", "SMTP_PORT": "2525"}
    site.app.extensions["smtp_admin"] = started_with(here, environment=environment)
    site.actor = ADMIN
    page = site.client.post(
        "/smtp-admin/system/discover", data={"address": ADDRESS}, headers=HTML
    ).text
    assert (value(page, "host"), value(page, "port")) == ("env.example", "2525")
    assert value(page, "username") == ADDRESS


# --- Documented limits ---------------------------------------------------------------------------

OFFERED = [(one, n) for one in providers() for n in range(len(one.limits))]


@pytest.mark.parametrize(("one", "number"), OFFERED, ids=str)
def test_a_documented_limit_is_filled_in_with_one_button(
    site: HostApp, one: Any, number: int
) -> None:
    key, limit = one.key, one.limits[number]
    preset = f"{key}:{one.regions[0].key}" if one.regions else key
    page = site.client.get(f"{TAB}?preset={preset}", headers=HTML).text
    assert f'value="{key}:{number}"' in page
    page = site.client.get(f"{TAB}?preset={preset}&limit={key}:{number}", headers=HTML).text
    for field, expected in (
        ("max_per_hour", limit.per_hour),
        ("max_per_day", limit.per_day),
        ("max_connections", limit.connections),
    ):
        usual = "2" if field == "max_connections" else ""
        assert value(page, field) == (usual if expected is None else str(expected))
    assert "filled in, not saved yet" in page
    assert re.search(r'<details id="more" open>', page)
    assert value(page, "port") == str(one.port)
    assert site.db.session.scalars(select(SenderRevision)).all() == []


def test_limits_are_offered_beside_the_fields_of_a_saved_sender(site: HostApp) -> None:
    site.save_sender("acme", host="smtp.gmail.com", port=587, security="tls", max_per_hour=7)
    page = site.client.get(TAB, headers=HTML).text
    assert 'value="gmail:0"' in page
    page = site.client.get(f"{TAB}?preset=&limit=gmail:0", headers=HTML).text
    assert value(page, "max_per_day") == "500"
    assert value(page, "max_per_hour") == "7", "a limit says nothing of the other fields"


@pytest.mark.parametrize("limit", ["gmail:9", "gmail:", "yahoo:0", ":0", "x", "gmail:-1", "<b>"])
def test_an_unknown_limit_is_none(site: HostApp, limit: str) -> None:
    site.save_sender("acme", host="smtp.gmail.com", port=587, security="tls")
    answer = site.client.get(TAB, query_string={"limit": limit}, headers=HTML)
    assert answer.status_code == 200
    assert value(answer.text, "max_per_day") == ""
    assert "<b>" not in answer.text
