"""Whose password goes where, and how often somebody may try."""

from collections.abc import Iterator
from typing import Any

import pytest

from smtp_admin.senders.resolve import load_sender
from tests.app import ACME_ADMIN, ADMIN, HostApp
from tests.connection.answers import PASSWORD, USERNAME, Answer, assert_no_secret, check_envelope
from tests.connection.conftest import ADDRESS
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import ScriptedServer
from tests.twin import twin_driver

ACCOUNT = (USERNAME, PASSWORD)


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    """The server that none of these requests may reach."""
    with ScriptedServer(auth=ACCOUNT) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def another_driver() -> Iterator[None]:
    """One of the host's that would take the same settings."""
    with twin_driver():
        yield


@pytest.fixture(params=["", "news"], ids=["default", "another sender"])
def key(request: pytest.FixtureRequest) -> str:
    """Each kind of sender: the default one, and one beside it."""
    found: str = request.param
    return found


@pytest.fixture
def address(key: str) -> str:
    """Where the stored settings of this sender are tested."""
    return f"{INITECH}/senders/{key}/test-connection" if key else f"{INITECH}/test-connection"


@pytest.fixture
def stored(tested_host: HostApp, server: ScriptedServer, key: str) -> dict[str, Any]:
    """Settings saved with a password; what a test of them, as they are, sends."""
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "username": USERNAME,
        "verify_tls": True,
    }
    with tested_host.app.app_context():
        tested_host.save_sender("initech", key=key, password=PASSWORD, **values)
    return values | {"password": "", "from_email": "noreply@initech.example"}


INITECH = "/smtp-admin/partners/initech"


def test_empty_means_the_stored_password(
    tested_host: HostApp, address: str, stored: dict[str, Any], server: ScriptedServer
) -> None:
    for given_ in (stored, {k: v for k, v in stored.items() if k != "password"}):
        response = tested_host.client.post(address, json=given_)
        assert response.status_code == 200, response.text
        assert server.sessions[-1].auth_attempts == [("PLAIN", *ACCOUNT)]
        assert_no_secret(response.text)


CHANGES: list[dict[str, Any]] = [
    {"host": "localhost"},
    {"host": "127.0.0.2"},
    {"host": "::ffff:127.0.0.1"},
    {"security": "tls"},
    {"security": "ssl"},
    {"username": "someone else"},
    {"username": USERNAME.upper()},
    {"verify_tls": False},
    {"driver": "twin"},
    {"ca_certificate": None},
    {"port": None},
]


@pytest.mark.parametrize("as_form", [False, True], ids=["json", "form"])
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_stored_password_stays_with_its_destination(
    tested_host: HostApp,
    certificates: CertificateFactory,
    address: str,
    stored: dict[str, Any],
    server: ScriptedServer,
    change: dict[str, Any],
    as_form: bool,
) -> None:
    before = server.connections
    with ScriptedServer(auth=ACCOUNT) as other:
        asked = stored | change
        if change == {"port": None}:
            asked["port"] = other.port
        if change == {"ca_certificate": None}:
            asked["ca_certificate"] = certificates.ca_file.read_text()
        if as_form:
            form = asked | {"verify_tls": "true" if asked["verify_tls"] else "false"}
            response = tested_host.client.post(address, data=form)
        else:
            response = tested_host.client.post(address, json=asked)
        assert other.connections == 0
    assert server.connections == before
    answer = Answer(response.status_code, response.get_json(), response.text, 0)
    error = check_envelope(answer, "password_required", "validate")
    assert list(error["fields"]) == ["password"]
    assert_no_secret(answer.text)


@pytest.mark.parametrize("as_form", [False, True], ids=["json", "form"])
def test_unticked_box_of_the_page_counts_as_a_change(
    tested_host: HostApp,
    address: str,
    stored: dict[str, Any],
    server: ScriptedServer,
    as_form: bool,
) -> None:
    """The page's own form says nothing for a box that is not ticked; a script must say so."""
    asked = {name: value for name, value in stored.items() if name != "verify_tls"}
    asked["revision"] = "1"
    before = server.connections
    if as_form:
        response = tested_host.client.post(address, data=asked)
        assert response.get_json()["error"]["code"] == "password_required"
        assert server.connections == before
    else:
        assert tested_host.client.post(address, json=asked).status_code == 200


@pytest.mark.parametrize("change", [{}, {"username": "other"}], ids=["same", "other"])
def test_mask_is_no_password(
    tested_host: HostApp,
    address: str,
    stored: dict[str, Any],
    server: ScriptedServer,
    change: dict[str, str],
) -> None:
    """A script that sends back what the page showed must not save or try five asterisks."""
    before = server.connections
    asked = stored | change | {"password": "*****"}
    for response in (
        tested_host.client.post(address, json=asked),
        tested_host.client.post(address, data=asked | {"verify_tls": "true"}),
    ):
        assert response.status_code == 400
        assert list(response.get_json()["error"]["fields"]) == ["password"]
    assert server.connections == before


def test_another_partners_password_is_out_of_reach(
    tested_host: HostApp, stored: dict[str, Any], server: ScriptedServer
) -> None:
    before = server.connections
    response = tested_host.client.post("/smtp-admin/partners/globex/test-connection", json=stored)
    assert response.get_json()["error"]["code"] == "password_required"
    assert server.connections == before


def test_another_sender_of_the_same_partner_has_its_own_password(
    tested_host: HostApp, stored: dict[str, Any], server: ScriptedServer
) -> None:
    """The same settings on the page of a sender that has none, or has another one."""
    with tested_host.app.app_context():
        tested_host.save_sender("initech", key="without", port=server.port)
    before = server.connections
    for key, more in (("without", ""), ("absent", "?new=1")):
        page = f"{INITECH}/senders/{key}"
        for path in ("/test-connection", "/test-connection/worker"):
            response = tested_host.client.post(f"{page}{path}{more}", json=stored)
            assert response.get_json()["error"]["code"] == "password_required"
        form = stored | {"verify_tls": "true", "revision": "0"}
        response = tested_host.client.post(f"{page}/test-email{more}", data=form)
        assert response.status_code == 400
        assert "Enter the password for this login." in response.text
    assert server.connections == before


@pytest.mark.parametrize("path", ["/test-connection/worker", "/test-email", ""])
def test_every_button_keeps_to_it(
    tested_host: HostApp,
    address: str,
    key: str,
    stored: dict[str, Any],
    server: ScriptedServer,
    path: str,
) -> None:
    """A worker's test, a test mail and saving ask the same question."""
    page = address.removesuffix("/test-connection")
    with tested_host.app.app_context():
        revision = load_sender(tested_host.db.session(), "initech", key).revision
    before = server.connections
    with ScriptedServer(auth=ACCOUNT) as other:
        form = stored | {"port": str(other.port), "verify_tls": "true", "revision": str(revision)}
        headers = {"Accept": "text/html"}
        response = tested_host.client.post(page + path, data=form, headers=headers)
        assert response.status_code == 400
        assert 'id="password-error">Enter the password for these settings.' in response.text
        assert other.connections == 0
    assert server.connections == before
    assert_no_secret(response.text)


# The limit


def test_thirty_in_ten_minutes(host: HostApp, closed_port: int) -> None:
    asked = {"host": "127.0.0.1", "port": closed_port, "security": "none"}
    with ScriptedServer() as server:
        for _ in range(30):
            response = host.client.post(ADDRESS, json=asked)
            assert response.get_json()["error"]["code"] == "connection_refused"
        asked["port"] = server.port
        response = host.client.post(ADDRESS, json=asked)
        answer = Answer(response.status_code, response.get_json(), response.text, 0)
        check_envelope(answer, "rate_limited", "validate", status=429)
        assert 590 <= int(response.headers["Retry-After"]) <= 601
        # Another partner's page is no way round, and another person has a count of their own.
        response = host.client.post("/smtp-admin/partners/globex/test-connection", json=asked)
        assert response.status_code == 429
        assert server.connections == 0


def test_limit_is_each_persons_own(new_app: Any, closed_port: int) -> None:
    host: HostApp = new_app(TEST_LIMIT="1 per 1 minute")
    asked = {"host": "127.0.0.1", "port": closed_port, "security": "none"}
    host.actor = ACME_ADMIN
    assert [host.client.post(ADDRESS, json=asked).status_code for _ in range(2)] == [400, 429]
    host.actor = ADMIN
    assert host.client.post(ADDRESS, json=asked).status_code == 400
