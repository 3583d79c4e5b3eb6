"""The pages and commands of tokens: made, listed, revoked, each by those who may."""

import html
import json
import re
from typing import Any

import pytest
from sqlalchemy import select

from smtp_admin.api.models import ApiToken
from smtp_admin.api.tokens import MOST_LIVE
from smtp_admin.audit.models import Audit
from tests.app import ACME_ADMIN, ADMIN, CUSTOMER, GLOBEX_ADMIN, HostApp

from .conftest import API, Program, a_token

HTML, JSON = {"Accept": "text/html"}, {"Accept": "application/json"}
PAGES = "/smtp-admin"
ACME = f"{PAGES}/partners/acme/tokens"
FORM = {"name": "CRM", "scopes": ["send", "read"], "expires": "30d"}


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def rows(host: HostApp) -> list[ApiToken]:
    host.db.session.rollback()
    return list(host.db.session.scalars(select(ApiToken).order_by(ApiToken.id)))


def audits(host: HostApp) -> list[tuple[str, str, str]]:
    found = select(Audit).where(Audit.action.startswith("token.")).order_by(Audit.id)
    return [(one.action, one.partner_id, one.detail) for one in host.db.session.scalars(found)]


@pytest.mark.parametrize("actor", [ADMIN, ACME_ADMIN], ids=["platform admin", "partner admin"])
def test_made_seen_once_and_revoked(site: HostApp, actor: Any) -> None:
    site.actor = actor
    empty = site.client.get(ACME, headers=HTML).text
    assert "No tokens yet." in words(empty)
    assert 'role="search"' not in empty, "there is nothing to filter"
    assert 'role="search"' in site.client.get(f"{ACME}?q=crm", headers=HTML).text
    page = site.client.post(ACME, data=FORM, headers=HTML)
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    (token,) = set(re.findall(r"smtpadmin_\w+", page.text))
    assert Program(site, token)("GET", "/messages/" + "0" * 32).status_code == 404
    listed = site.client.get(ACME, headers=HTML).text
    assert token not in listed
    assert "CRM" in listed
    assert "Queue mail and batches, See mail and batches" in words(listed)
    # Loading the answer again would send the form again: that makes no second one.
    again = site.client.post(ACME, data=FORM, headers=HTML)
    assert again.status_code == 400
    assert "There is a token of this name already." in words(again.text)
    (row,) = rows(site)
    assert (row.created_by, row.partner_id) == (actor.email, "acme")
    ask = re.search(r'href="([^"]+/revoke)"', listed)
    assert ask
    asked = site.client.get(ask[1], headers=HTML)
    assert "Programs that use it are refused at once." in words(asked.text)
    assert Program(site, token)("GET", "/messages/" + "0" * 32).status_code == 404
    done = site.client.post(ask[1], headers=HTML)
    assert (done.status_code, done.headers["Location"]) == (303, ACME)
    assert Program(site, token)("GET", "/messages/" + "0" * 32).status_code == 401
    assert site.client.post(ask[1], headers=JSON).status_code == 409
    (row,) = rows(site)
    assert row.revoked_by == actor.email
    assert audits(site) == [
        ("token.created", "acme", f"CRM: send, read, until {row.expires_at:%Y-%m-%d}"),
        ("token.revoked", "acme", "CRM"),
    ]
    # The name is free again.
    assert site.client.post(ACME, data=FORM, headers=HTML).status_code == 200


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"), ({"name": "x" * 81}, "name"), ({"name": "a\0b"}, None),
        ({"name": "=?utf-8?q?x?="}, "name"), ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"), ({"expires": "tomorrow"}, "expires"),
    ],
)  # fmt: skip
def test_what_makes_no_token(site: HostApp, changes: dict[str, Any], field: str | None) -> None:
    site.actor = ACME_ADMIN
    answers = [
        site.client.post(ACME, data=FORM | changes, headers=JSON),
        site.client.post(ACME, json=FORM | changes),
        site.client.post(ACME, data=FORM | changes, headers=HTML),
    ]
    if field is None:  # what cannot be stored is shown as a mark
        assert [one.status_code for one in answers] == [201, 400, 400]
        return
    assert [one.status_code for one in answers] == [400] * 3
    assert all(one.get_json()["error"]["fields"].keys() == {field} for one in answers[:2])
    assert rows(site) == []


def test_not_without_end(site: HostApp) -> None:
    for number in range(MOST_LIVE):
        site.db.session.add(
            ApiToken(
                public_id=f"{number:032x}", partner_id="acme", name=f"n{number}",
                token_hash=f"{number:064x}", scopes="send", created_by="x",
            )
        )  # fmt: skip
    site.db.session.commit()
    site.actor = ACME_ADMIN
    answer = site.client.post(ACME, data=FORM, headers=JSON)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "conflict")
    page = site.client.get(ACME, headers=HTML).text
    assert "50 on this page" in words(page)
    assert page.count("/revoke") == 50


def test_everybody_sees_their_own(site: HostApp) -> None:
    for owner in ("", "acme", "globex"):
        a_token(site, owner, ["send"], name=f"of {owner or 'platform'}")
    ids = {one.partner_id: one.public_id for one in rows(site)}
    for actor, seen in ((ADMIN, {"platform", "acme", "globex"}), (ACME_ADMIN, {"acme"}),
                        (GLOBEX_ADMIN, {"globex"})):  # fmt: skip
        site.actor = actor
        for headers in (HTML, JSON):
            for query in ("", "?q=of", "?state=live"):
                text = site.client.get(f"{PAGES}/tokens{query}", headers=headers).text
                for name in ("platform", "acme", "globex"):
                    assert (f"of {name}" in text) == (name in seen), (actor, query)
        for owner, public_id in ids.items():
            for method in ("GET", "POST"):
                if method == "POST" and (owner or "platform") in seen:
                    continue
                answer = site.client.open(
                    f"{PAGES}/tokens/{public_id}/revoke", method=method, headers=JSON
                )
                mine = (owner or "platform") in seen
                assert answer.status_code == (200 if mine else 404)
    assert all(one.revoked_at is None for one in rows(site))
    site.actor = ACME_ADMIN
    foreign, missing = (
        site.client.post(f"{PAGES}/tokens/{one}/revoke", headers=HTML)
        for one in (ids["globex"], "0" * 32)
    )
    assert foreign.data == missing.data
    assert site.client.post(f"{PAGES}/system/tokens", data=FORM, headers=JSON).status_code == 403
    for stranger in (None, CUSTOMER):
        site.actor = stranger
        assert site.client.get(f"{PAGES}/tokens", headers=JSON).status_code in {401, 403}


def test_filters(site: HostApp) -> None:
    site.actor = ADMIN
    for name, lifetime in (("Shop", "30d"), ("CRM", "never")):
        a_token(site, "acme", ["send"], lifetime, name)
    public_id = next(one.public_id for one in rows(site) if one.name == "CRM")
    site.client.post(f"{PAGES}/tokens/{public_id}/revoke", headers=JSON)

    def names(query: str) -> list[str]:
        found = site.client.get(f"{ACME}{query}", headers=JSON).get_json()
        return [one["name"] for one in found["tokens"]]

    assert names("") == ["CRM", "Shop"]
    assert names("?state=live") == names("?q=sho") == ["Shop"]
    assert names("?state=revoked") == ["CRM"]
    assert names("?state=expired") == names("?q=nothing") == []
    page = site.client.get(f"{ACME}?q=nothing", headers=HTML).text
    assert "No token matches." in page


def test_commands(site: HostApp) -> None:
    def run(*arguments: str, status: int = 0) -> Any:
        result = site.app.test_cli_runner().invoke(args=["smtp-admin", "tokens", *arguments])
        assert result.exit_code == status, result.output
        return result

    made = run("create", "CRM", "--partner", "acme", "--scope", "status", "--expires", "never")
    token = made.stdout.strip()
    assert Program(site, token)("GET", "/status").status_code == 200
    assert "partner acme, without end" in made.stderr
    assert "--scope" in run("create", "x", status=2).output
    assert "There is no partner" in run("create", "x", "--partner", "no", "--scope", "send",
                                        status=1).output  # fmt: skip
    as_json = json.loads(run("create", "All", "--scope", "send", "--json").stdout)
    assert as_json["token"].startswith("smtpadmin_")
    assert Program(site, as_json["token"])("GET", "/status").status_code == 403
    (listed,) = json.loads(run("list", "--partner", "acme", "--json").stdout)
    assert (listed["name"], listed["state"], listed["scopes"]) == ("CRM", "live", ["status"])
    assert listed["last_used_at"]
    assert listed["id"] in run("list").stdout
    assert "Revoked: CRM." in run("revoke", listed["id"]).stdout
    assert "already revoked" in run("revoke", listed["id"], status=1).output
    assert "CRM" not in run("list").stdout
    assert "CRM" in run("list", "--all").stdout
    assert site.client.get(
        f"{API}/status", headers={"Authorization": f"Bearer {token}"}
    ).status_code == 401  # fmt: skip
