"""The page, the command and the doctor: the same list, for whoever may see it."""

import csv
import json
import re
from io import StringIO

import pytest

from smtp_admin.api.tokens import create_token
from smtp_admin.monitor.expiring import expiry
from tests.app import ACME_ADMIN, ADMIN, GLOBEX_ADMIN, HostApp
from tests.expiry.ending import microsoft

PAGE = "/smtp-admin/expiry"
HTML, JSON = {"Accept": "text/html"}, {"Accept": "application/json"}


@pytest.fixture
def site(host: HostApp) -> HostApp:
    """Acme's secret has ended, Globex's ends soon, the system's has no day; and a token."""
    host.save_sender(**microsoft(-1, secrets={"oauth_secret": "never shown"}))
    host.save_sender("globex", key="news", label="News", **microsoft(10))
    host.save_sender("", **microsoft(None))
    create_token(host.db.session(), ADMIN, "acme", name="CRM", scopes=["send"], lifetime="365d")
    host.db.session.commit()
    return host


def run(host: HostApp, *words: str) -> str:
    result = host.app.test_cli_runner().invoke(args=["smtp-admin", *words])
    assert result.exit_code == 0, result.output
    return result.output


def listed(host: HostApp, query: str = "") -> list[tuple[str, str, str]]:
    answer = host.client.get(PAGE + query, headers=JSON).get_json()
    return [(one["partner_id"], one["kind"], one["condition"]) for one in answer["things"]]


def test_the_worst_first(site: HostApp) -> None:
    # The day beside Acme's is before it was entered here, so somebody has to look.
    assert listed(site) == [
        ("globex", "client_secret", "soon"),
        ("", "client_secret", "attention"),
        ("acme", "client_secret", "attention"),
        ("acme", "api_token", "fine"),
        ("", "encryption_key", "endless"),
    ]
    page = site.client.get(PAGE, headers=HTML).text
    assert "never shown" not in page
    assert 'href="/smtp-admin/partners/globex/senders/news#oauth"' in page
    assert 'href="/smtp-admin/partners/acme/tokens"' in page
    assert "in 9 days" in page
    assert "It was never used." in page, "and is minutes old"
    assert re.search('<a href="/smtp-admin/expiry"[^>]* aria-current="page"', page)


def test_what_is_chosen(site: HostApp) -> None:
    assert listed(site, "?state=soon") == [("globex", "client_secret", "soon")]
    assert listed(site, "?kind=api_token") == [("acme", "api_token", "fine")]
    assert listed(site, "?q=news") == [("globex", "client_secret", "soon")]
    assert listed(site, "?page=99999999999999999999&state=nonsense") == []
    answer = site.client.get(f"{PAGE}?export=csv&kind=client_secret")
    rows = list(csv.DictReader(StringIO(answer.text.lstrip("\ufeff"))))
    assert [row["partner"] for row in rows] == ["globex", "", "acme"]


def test_whose_it_is(site: HostApp) -> None:
    site.actor = ACME_ADMIN
    assert {whose for whose, *_ in listed(site)} == {"acme"}
    site.actor = GLOBEX_ADMIN
    assert listed(site) == [("globex", "client_secret", "soon")]
    page = site.client.get(PAGE, headers=HTML).text
    assert "Acme" not in page
    assert "stored secret" not in page


def test_many_are_on_pages(host: HostApp) -> None:
    for number in range(26):
        host.save_sender("acme", key=f"s{number}", username="mia", password="x", security="tls")
        host.save_sender("globex", key=f"s{number}", username="mia", password="x", security="tls")
    first = host.client.get(f"{PAGE}?kind=password", headers=JSON).get_json()
    assert (first["count"], len(first["things"])) == (52, 50)
    second = host.client.get(first["next"], headers=JSON).get_json()
    assert (len(second["things"]), second["next"]) == (2, None)
    assert "51–52 of 52" in host.client.get(first["next"], headers=HTML).text


def test_the_command_says_the_same(site: HostApp) -> None:
    whole = json.loads(run(site, "expiry", "--all", "--json"))
    assert whole == site.client.get(PAGE, headers=JSON).get_json()["things"]
    few = run(site, "expiry", "--partner", "globex")
    assert few.startswith("[soon]  globex/news  Client secret: ends on ")
    assert "Make a new one at the vendor." in few
    assert run(site, "expiry", "--partner", "initech") == "Nothing ends soon.\n"


def test_the_doctor_says_the_same(site: HostApp) -> None:
    found = {one.subject: one for one in expiry()}
    soon = found["partner globex, sender news"]
    assert soon.status == "warning"
    assert soon.message.startswith("Client secret: ends on ")
    assert "without a last day: 2" in found[""].message


def test_nothing_to_say(host: HostApp) -> None:
    assert [one.status for one in expiry()] == ["ok"]
    host.actor = ACME_ADMIN
    assert "Nothing here ends." in host.client.get(PAGE, headers=HTML).text
