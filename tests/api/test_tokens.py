"""Tokens: what one is, who it stands for, when it works no more, and where it never is."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any
from unittest.mock import patch

import pytest
from flask_wtf import CSRFProtect
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError

from smtp_admin.access import _TABLE, Action, Role, TokenActor, allowed, require
from smtp_admin.api.models import ApiToken
from smtp_admin.api.operations import OPERATIONS
from smtp_admin.api.scopes import SCOPES, actions_of, scopes_with
from smtp_admin.api.token_text import hash_of, is_whole, new_token
from smtp_admin.clock import shifted
from smtp_admin.delivery.suppressions import suppress
from smtp_admin.errors import Forbidden, NotFound
from tests.app import ACME_ADMIN, ADMIN, PARTNERS, HostApp
from tests.dumps import dump
from tests.servers.scripted import ScriptedServer

from .conftest import API, HOW, READY, Program, a_token


def row(host: HostApp) -> ApiToken:
    host.db.session.rollback()
    return host.db.session.scalars(select(ApiToken)).one()


# --- What one is ---------------------------------------------------------------------------------


def test_how_a_token_is_written() -> None:
    made = {new_token() for _ in range(1000)}
    assert len(made) == 1000
    for one in made:
        assert re.fullmatch(r"smtpadmin_[0-9A-Za-z]{38}", one)
        assert is_whole(one)
    token = made.pop()
    for place in range(len(token)):
        for letter in "a0Z":
            mistyped = token[:place] + letter + token[place + 1 :]
            assert is_whole(mistyped) is (mistyped == token), mistyped
    # Two letters that changed places, and what was cut off or copied with something else.
    assert not any(is_whole(one) for one in (token[:-1], f"{token}=", f" {token}", ""))


def test_only_the_hash_is_kept(site: HostApp) -> None:
    token = a_token(site)
    assert row(site).token_hash == hash_of(token)
    kept = "".join(str(cells) for rows in dump(site).values() for cells in rows)
    assert token not in kept
    assert token[10:42] not in kept


# --- When it works -------------------------------------------------------------------------------


def refusal(host: HostApp, token: str, scheme: str = "Bearer") -> tuple[str, str]:
    answer = host.client.get(
        f"{API}/status", headers={"Authorization": f"{scheme} {token}", "Accept": "text/html"}
    )
    assert answer.status_code == 401
    error = answer.get_json()["error"]
    assert error["code"] == "unauthenticated"
    assert token not in answer.text or not token
    return error["message"], answer.headers["WWW-Authenticate"]


def test_a_token_that_does_not_work(site: HostApp) -> None:
    token = a_token(site)
    ask = Program(site, token)
    assert ask("GET", "/status").status_code == 200
    invalid = 'Bearer realm="smtp_admin", error="invalid_token"'
    for wrong, words in (
        (token[:-1], "mistyped"),
        (token.swapcase(), "mistyped"),
        ("", "mistyped"),
        ("x" * 100_000, "mistyped"),
        ("smtpadmin_\udcff", "mistyped"),
        (new_token(), "no such API token"),
    ):
        for scheme in ("Bearer", "bearer"):
            if wrong.isascii():
                message, header = refusal(site, wrong, scheme)
                assert words in message, wrong
                assert header == invalid
    with shifted(timedelta(days=91)):
        assert "expired" in refusal(site, token)[0]
    with patch.object(site.host, "partners", lambda: PARTNERS[1:]):
        assert "does not exist any more" in refusal(site, token)[0]
    site.actor = ADMIN
    public_id = row(site).public_id
    site.client.post(f"/smtp-admin/tokens/{public_id}/revoke")
    assert "revoked" in refusal(site, token)[0]
    # It never falls back to the session, and without any token it says how to send one.
    site.actor = None
    answer = site.client.get(f"{API}/status")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="smtp_admin"'
    assert answer.json is not None
    assert "Send the header Authorization: Bearer smtpadmin_" in answer.json["error"]["hint"]


def test_what_is_refused_says_what_to_change(site: HostApp) -> None:
    ask = Program(site, a_token(site, "acme", ["send", "read", "status"]))

    def said(method: str, path: str, **how: Any) -> tuple[int, str]:
        answer = ask(method, path, **how)
        assert answer.json is not None
        return answer.status_code, answer.json["error"]["message"]

    # Whether there is such a partner or mail, the answer does not tell.
    for name in ("globex", "nobody"):
        words = (404, "There is no such partner for this token.")
        assert said("GET", f"/status?partner_id={name}") == words
        assert said("POST", "/queue", json=READY | {"partner_id": name}) == words
    assert said("GET", "/messages/abc") == (404, "There is no such mail for this token.")
    assert said("GET", "/batch/abc") == (404, "There is no such batch for this token.")
    assert said("GET", "/queue") == (405, "GET is not possible at this address. Use POST.")
    assert said("GET", "/nothing") == (404, "The API has no such address.")
    wrong = READY | {"partner_id": 5, "send_at": "soon"}
    assert said("POST", "/queue", json=wrong) == (400, "Please fix “partner_id” and “send_at”.")


def test_the_session_is_ignored(site: HostApp) -> None:
    token = a_token(site, "acme", ["status"])
    site.actor = ADMIN
    ask = Program(site, token)
    assert ask("GET", "/status?partner_id=globex").status_code == 404
    refused: Any = ask("POST", "/queue", json=READY)
    assert refused.status_code == 403
    assert refused.json["error"]["message"] == "This token does not have the scope send."
    assert refused.json["error"]["hint"].endswith("create NAME --partner acme --scope send")
    # However the scheme is set off, a token is one; and one that is bad never becomes the session.
    for header, status in (
        (f"Bearer\t{token}", 404), (f" bearer  {token} ", 404), ("Bearer", 401),
        (f"Bearer {token} {token}", 401), (f"Bearer {token},Bearer {token}", 401),
    ):  # fmt: skip
        answer = site.client.get(
            f"{API}/status?partner_id=globex", headers={"Authorization": header}
        )
        assert answer.status_code == status, header
        assert status == 404 or "invalid_token" in answer.headers["WWW-Authenticate"]
    site.actor = replace(ADMIN, is_admin=False)
    assert ask("GET", "/status").status_code == 200


def test_a_token_opens_no_page(site: HostApp) -> None:
    ask = {"Authorization": f"Bearer {a_token(site, '')}", "Accept": "application/json"}
    for path in ("/", "/system", "/partners/acme", "/mail", "/tokens"):
        assert site.client.get(f"/smtp-admin{path}", headers=ask).status_code == 401


@pytest.mark.parametrize("guarded", [False, True], ids=["alone", "with the host's own check"])
def test_posts_need_a_token_of_one_kind(new_app: Callable[..., HostApp], guarded: bool) -> None:
    """The page's in a session, the API's else; the host's own check does not stand in the way."""
    made = new_app()
    made.app.config["WTF_CSRF_ENABLED"] = True
    if guarded:
        CSRFProtect(made.app)
    with made.app.app_context():
        made.save_sender()
        ask = Program(made, a_token(made))
    assert ask("POST", "/queue", json=READY).status_code == 202
    made.actor = ACME_ADMIN
    client = made.client
    refused = client.post(f"{API}/queue", json=READY)
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (400, "csrf_failed")
    page = client.get("/smtp-admin/partners/acme", headers={"Accept": "text/html"}).text
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    taken = client.post(f"{API}/queue", json=READY, headers={"X-CSRFToken": found[1]})
    assert taken.status_code == 202


def test_the_last_use_is_written_once_a_minute(site: HostApp) -> None:
    ask = Program(site, a_token(site))
    assert row(site).last_used_at is None
    written: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("UPDATE smtp_admin_api_token"):
            written.append(statement)

    event.listen(site.db.engine, "before_cursor_execute", note)
    try:
        for _ in range(5):
            ask("GET", "/status")
        assert len(written) == 1
        first = row(site).last_used_at
        with shifted(timedelta(seconds=61)):
            for _ in range(5):
                ask("GET", "/senders")
        assert len(written) == 2
    finally:
        event.remove(site.db.engine, "before_cursor_execute", note)
    last = row(site).last_used_at
    assert first
    assert last
    assert last > first


def test_no_request_fails_for_the_note_of_its_use(
    site: HostApp, caplog: pytest.LogCaptureFixture
) -> None:
    ask = Program(site, a_token(site))
    broken = OperationalError("", {}, OSError())
    with patch("smtp_admin.api.tokens.transaction", side_effect=broken):
        assert ask("GET", "/status").status_code == 200
    assert "the last use of a token was not noted (OperationalError)" in caplog.text
    assert row(site).last_used_at is None
    assert ask("GET", "/status").status_code == 200
    assert row(site).last_used_at


# --- What it may do ------------------------------------------------------------------------------


@pytest.fixture
def acmes(site: HostApp) -> Iterator[dict[str, str]]:
    """Operation → the id of what Acme has, in a state in which the operation is possible."""
    ask = Program(site, a_token(site, "acme", name="for the fixture"))
    with ScriptedServer() as server:
        site.save_sender(port=server.port)
        ids = {
            name: ask("POST", "/queue", json=READY).get_json()["id"]
            for name in ("message", "cancel", "retry")
        }
        batch = ask("POST", "/batch", json=HOW["batch"]["json"]).get_json()["id"]
        yield ids | {"batch_status": batch}


def prepare(host: HostApp, name: str) -> None:
    state = {"cancel": "queued", "retry": "dead"}.get(name)
    if state:
        host.db.session.execute(text(f"UPDATE smtp_admin_delivery SET state = '{state}'"))
        host.db.session.commit()
    if name == "unsuppress":
        suppress(host.db.session(), "acme", "gone@example.com", "manual")
        host.db.session.commit()


DONE = {200, 201, 202}


def kept(host: HostApp) -> dict[str, Any]:
    """All that is in our tables, but for the tokens, where their use is noted."""
    return {name: rows for name, rows in dump(host).items() if name != "smtp_admin_api_token"}


def test_every_action_with_every_scope_for_every_partner(
    site: HostApp, acmes: dict[str, str]
) -> None:
    """A token does what its scopes and its partner allow, and nothing else becomes of anything."""
    tokens = {
        (owner, scope): a_token(site, owner, [scope])
        for owner, scope in product(("acme", "globex", ""), SCOPES)
    }
    leaks, asked = [], 0
    for operation in OPERATIONS:
        if operation.name == "openapi":
            continue
        name, needed = operation.name, scopes_with(operation.action)
        path = operation.path.replace("<public_id>", acmes.get(name, ""))
        expected = {
            (owner, scope): {403} if scope not in needed else {404} if owner == "globex" else DONE
            for owner, scope in tokens
        }
        prepare(site, name)
        before = kept(site)
        # Those that are refused come first, and leave nothing.
        for who, statuses in sorted(expected.items(), key=lambda one: one[1] == DONE):
            if statuses == DONE:
                assert kept(site) == before, name
                prepare(site, name)
            answer = Program(site, tokens[who])(operation.method, path, **HOW.get(name, {}))
            asked += 1
            if answer.status_code not in statuses:
                leaks.append((name, *who, answer.status_code, answer.text))
            if statuses != DONE:
                assert "mia@example.com" not in answer.text
            else:
                before = kept(site)
    assert leaks == []
    assert asked == (len(OPERATIONS) - 1) * 3 * len(SCOPES)


def test_another_partners_look_like_none(site: HostApp, acmes: dict[str, str]) -> None:
    ask = Program(site, a_token(site, "globex"))
    for operation in OPERATIONS:
        if "<public_id>" in operation.path:
            answers = [
                ask(operation.method, operation.path.replace("<public_id>", one))
                for one in (acmes[operation.name], "0" * 32, "nothing")
            ]
        elif operation.name != "openapi":
            answers = []
            for name in ("acme", "nobody"):
                how = {
                    kind: {**value, "partner_id": name}
                    for kind, value in HOW[operation.name].items()
                }
                answers.append(ask(operation.method, operation.path, **how))
        assert {one.status_code for one in answers} == {404}, operation.name
        assert len({one.data for one in answers}) == 1, operation.name


def test_the_table_of_scopes_and_the_table_of_access() -> None:
    """Whatever a program can do is a scope; a scope gives nothing that its role has not."""
    for one in OPERATIONS:
        assert scopes_with(one.action) or Role.ANYBODY in _TABLE[one.action], one.name
    for scope, owner in product(SCOPES, ("acme", "")):
        actor = TokenActor(
            id="token:1", email="", is_admin=not owner,
            partner_ids=frozenset({owner} - {""}), actions=actions_of([scope]),
        )  # fmt: skip
        for action in Action:
            for partner_id in (None, "acme", "globex", ""):
                free = Role.ANYBODY in _TABLE[action]
                inside = action in SCOPES[scope].actions
                mine = not owner or (partner_id in {None, "acme"})
                person = allowed(replace(ACME_ADMIN if owner else ADMIN), action, partner_id)
                assert allowed(actor, action, partner_id) is (
                    free or (inside and mine and person)
                ), (scope, owner, action, partner_id)
    stranger = TokenActor(id="token:2", email="", partner_ids=frozenset({"acme"}))
    with pytest.raises(Forbidden):
        require(stranger, Action.SEND_MAIL, "acme")
    with pytest.raises(NotFound):
        require(replace(stranger, actions=frozenset({Action.SEND_MAIL})), Action.SEND_MAIL, "x")
