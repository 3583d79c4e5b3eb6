"""Tokens from a real server on loopback: what is sent, what proves it, and what may go wrong."""

import base64
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from smtp_admin.credentials.assertions import of_client, of_service_account
from smtp_admin.credentials.token_answers import (
    _CAUSE_OF_ERROR,
    _CAUSE_OF_NUMBER,
    _CAUSE_OF_SUBERROR,
    _CAUSE_OF_WORDS,
)
from smtp_admin.credentials.token_failure import TokenFailure
from smtp_admin.credentials.token_requests import FromServer, redeem_code, request_token
from smtp_admin.diagnosis.table import causes
from tests.credentials.logins import (
    MAILBOX,
    caller,
    key_pair,
    login,
    public_key,
    without_lines,
)
from tests.servers.certificates import CertificateFactory
from tests.servers.token_server import TokenServer


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as made:
        made.certificate, made.public_key = key_pair()[0], public_key()
        made.service_mailboxes = {MAILBOX}
        yield made


def failure(server: TokenServer, way: str = "microsoft_app", **given: Any) -> TokenFailure:
    grant = server.grant() if "mailbox" in way else ""
    with pytest.raises(TokenFailure) as caught:
        request_token(login(server, way, **given), caller(), grant)
    assert caught.value.step == "token"
    return caught.value


def test_an_application_with_its_secret(server: TokenServer) -> None:
    issued = request_token(login(server, "microsoft_app"), caller())
    (asked,) = server.asked
    assert asked.form == {
        "grant_type": "client_credentials",
        "scope": "https://outlook.office365.com/.default",
        "client_id": server.client_id,
        "client_secret": server.secret,
    }
    assert issued.value == server.issued[0]
    assert timedelta(minutes=59) < issued.until - datetime.now(UTC) <= timedelta(hours=1)
    assert server.issued[0] not in repr(issued)


def test_another_server_is_told_by_basic_authentication(server: TokenServer) -> None:
    server.client_id, server.secret = "a b:c", "p%ss wörd&="
    request_token(login(server, "other_app"), caller())
    (asked,) = server.asked
    assert asked.form.keys() == {"grant_type", "scope"}
    assert asked.headers["Authorization"].startswith("Basic ")


def test_an_application_with_its_certificate(server: TokenServer) -> None:
    """The server verifies signature, audience, times and thumbprint by another library."""
    certificate, key = key_pair()
    request_token(login(server, "microsoft_app", certificate=certificate, key=key), caller())
    form = server.asked[0].form
    assert "client_secret" not in form
    assert without_lines(key) not in json.dumps(dict(form))


def test_a_service_account_acts_for_the_mailbox(server: TokenServer) -> None:
    service = login(server, "google_service", key=key_pair()[1])
    request_token(service, caller())
    assert server.asked[0].form.keys() == {"grant_type", "assertion"}
    said = jwt.decode(server.asked[0].form["assertion"], options={"verify_signature": False})
    assert said["sub"] == MAILBOX
    assert said["scope"] == "https://mail.google.com/"
    assert said["exp"] - said["iat"] == 3600
    server.service_mailboxes.clear()
    found = failure(server, "google_service", key=key_pair()[1])
    assert found.cause == "oauth_delegation_missing"
    assert not found.later


def test_two_assertions_are_never_the_same(server: TokenServer) -> None:
    app = login(server, "microsoft_app", certificate=key_pair()[0], key=key_pair()[1])
    assert of_client(app, 1e9) != of_client(app, 1e9)


@pytest.mark.parametrize("key", ["", "no key", "ec"])
def test_a_key_that_cannot_be_used(
    server: TokenServer, certificates: CertificateFactory, key: str
) -> None:
    pem = certificates.valid().keyfile.read_text("ascii") if key == "ec" else key
    service = login(server, "google_service", key=pem)
    with pytest.raises(TokenFailure) as caught:
        of_service_account(service)
    assert caught.value.cause == "oauth_key_unusable"


def test_a_person_signs_in_and_stays_so(server: TokenServer) -> None:
    """The code counts once and with its verifier only; each refresh token counts once."""
    person = login(server, "microsoft_mailbox")
    verifier = "v" * 50
    digest = hashlib.sha256(verifier.encode()).digest()
    server.codes["c0de"] = {
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "redirect_uri": "https://panel.example/oauth/callback",
    }
    sent = {"verifier": verifier, "redirect_uri": "https://panel.example/oauth/callback"}
    granted = redeem_code(person, caller(), "c0de", **sent)
    with pytest.raises(TokenFailure, match="invalid_grant"):
        redeem_code(person, caller(), "c0de", **sent)
    renewed = request_token(person, caller(), granted.refresh)
    assert renewed.refresh
    assert renewed.refresh != granted.refresh
    with pytest.raises(TokenFailure) as caught:
        request_token(person, caller(), granted.refresh)
    assert caught.value.dead
    with pytest.raises(TokenFailure) as nobody:
        FromServer(caller()).token(person)
    assert nobody.value.cause == "oauth_not_signed_in"


def test_a_sign_in_without_a_refresh_token_is_none(server: TokenServer) -> None:
    server.answers.append((200, {}, b'{"access_token": "x", "token_type": "bearer"}'))
    with pytest.raises(TokenFailure) as caught:
        redeem_code(login(server, "google_mailbox"), caller(), "x", verifier="y", redirect_uri="z")
    assert caught.value.cause == "oauth_no_refresh"


ERRORS = [
    # way, error, description, more, cause, whether the person must sign in again
    ("microsoft_app", "invalid_client", "AADSTS7000222: secret keys are expired", {},
     "oauth_secret_expired", False),
    ("microsoft_app", "invalid_client", "AADSTS7000215: Invalid client secret", {},
     "oauth_secret_wrong", False),
    ("microsoft_app", "invalid_client", "in other words", {}, "oauth_client_refused", False),
    ("microsoft_app", "unauthorized_client", "AADSTS700016: Application not found", {},
     "oauth_client_unknown", False),
    ("microsoft_app", "invalid_request", "AADSTS90002: Tenant not found", {},
     "oauth_tenant_unknown", False),
    ("microsoft_app", "invalid_scope", "AADSTS70011", {}, "oauth_scope_refused", False),
    ("microsoft_mailbox", "invalid_grant", "AADSTS700082: expired due to inactivity", {},
     "oauth_grant_unused", True),
    ("microsoft_mailbox", "invalid_grant", "AADSTS70043: sign-in frequency checks",
     {"suberror": "token_expired"}, "oauth_sign_in_frequency", True),
    ("microsoft_mailbox", "invalid_grant", "new words", {"suberror": "token_expired"},
     "oauth_sign_in_frequency", True),
    ("microsoft_mailbox", "invalid_grant", "AADSTS50173: revoked", {}, "oauth_grant_revoked", True),
    ("microsoft_mailbox", "interaction_required", "AADSTS65001",
     {"suberror": "consent_required"}, "oauth_consent_missing", True),
    ("microsoft_mailbox", "invalid_grant", "AADSTS50076: MFA", {"suberror": "basic_action"},
     "oauth_policy", True),
    ("microsoft_mailbox", "invalid_grant", "AADSTS99999999: never heard of", {},
     "oauth_grant_ended", True),
    # A number decides nothing but the words.
    ("microsoft_mailbox", "invalid_client", "AADSTS700082", {}, "oauth_grant_unused", False),
    ("google_mailbox", "invalid_grant", "Token has been expired or revoked.", {},
     "oauth_google_grant_ended", True),
    ("google_service", "invalid_grant", "Invalid JWT: Token must be a short-lived token", {},
     "oauth_clock", False),
    ("google_service", "invalid_grant", "Invalid email or User ID", {},
     "oauth_mailbox_unknown", False),
    ("google_service", "unauthorized_client", "Client is unauthorized", {},
     "oauth_delegation_missing", False),
    ("other_app", "<script>", "x", {}, "oauth_request_refused", False),
    ("other_app", ["a"], {"b": 1}, {"suberror": 7}, "oauth_request_refused", False),
]  # fmt: skip


@pytest.mark.parametrize(("way", "error", "words", "more", "cause", "dead"), ERRORS)
def test_what_a_refusal_means(
    server: TokenServer, way: str, error: Any, words: Any, more: dict[str, Any], cause: str,
    dead: bool,
) -> None:  # fmt: skip
    server.refuse(error, words, **more)
    given = {"key": key_pair()[1]} if way == "google_service" else {}
    found = failure(server, way, **given)
    assert (found.code, found.cause, found.dead) == ("token_refused", cause, dead)
    assert found.cause in causes().by_key


def test_every_cause_has_its_words() -> None:
    named = {
        *_CAUSE_OF_ERROR.values(),
        *_CAUSE_OF_NUMBER.values(),
        *_CAUSE_OF_SUBERROR.values(),
        *(cause for _, cause in _CAUSE_OF_WORDS),
    }
    assert named <= causes().by_key.keys()


def test_the_clocks_disagree(server: TokenServer) -> None:
    body = b'{"error": "invalid_grant"}'
    for said, cause in (("Mon, 01 Jan 2024 00:00:00 GMT", "oauth_clock"),
                        ("soon", "oauth_service_refused")):  # fmt: skip
        server.answers.append((400, {"Date": said}, body))
        assert failure(server, "google_service", key=key_pair()[1]).cause == cause


@pytest.mark.parametrize(
    ("status", "headers", "body", "rest"),
    [
        (503, {}, b"<html>", None),
        (500, {"Retry-After": "17"}, b'{"error": "server_error"}', 17),
        (429, {"Retry-After": "999999"}, b"", 3600),
        (429, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, b"", None),
        (400, {}, b'{"error": "temporarily_unavailable"}', None),
    ],
)
def test_a_server_that_cannot_now(
    server: TokenServer, status: int, headers: dict[str, str], body: bytes, rest: float | None
) -> None:
    server.answers.append((status, headers, body))
    found = failure(server)
    assert (found.code, found.cause, found.retry_after) == (
        "token_unavailable", "oauth_server_away", rest,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""), (200, b"<html>hello"), (200, b"[]"), (200, b"[" * 60_000), (404, b"nothing"),
        (302, b""), (200, b"{}"), (200, b'{"access_token": 7}'), (200, b'{"access_token": ""}'),
        (200, b'{"access_token": "a b"}'), (200, b'{"access_token": "x", "token_type": "mac"}'),
        (200, b'{"access_token": "' + b"x" * 40_000 + b'"}'),
        (200, b'{"access_token": "x"}' + b" " * 70_000),
        (200, b'{"access_token": "x", "refresh_token": 5}'),
    ],
)  # fmt: skip
def test_what_is_no_token_server(server: TokenServer, status: int, body: bytes) -> None:
    server.answers.append((status, {}, body))
    found = failure(server)
    assert (found.code, found.cause) == ("token_refused", "oauth_no_token_server")


@pytest.mark.parametrize("told", [None, "600", -5, 10**12, "soon", True, 1.5])
def test_how_long_a_token_lives(server: TokenServer, told: Any) -> None:
    body = {"access_token": "x"} | ({} if told is None else {"expires_in": told})
    server.answers.append((200, {}, json.dumps(body).encode()))
    seconds = request_token(login(server, "microsoft_app"), caller()).seconds
    assert seconds == {"600": 600, 10**12: 3600}.get(told, 3600)


def test_nothing_that_was_sent_comes_back(server: TokenServer) -> None:
    """A server may repeat secret, assertion and token in its words."""
    certificate, key = key_pair()
    for given in ({}, {"certificate": certificate, "key": key}):
        app = login(server, "microsoft_mailbox", **given)
        grant = server.grant()
        body = json.dumps({"error": "invalid_client", "error_description": f"you said {grant} and "
                           f"{server.secret} and {grant.upper()}"}).encode()  # fmt: skip
        server.answers.append((400, {}, body))
        with pytest.raises(TokenFailure) as caught:
            request_token(app, caller(), grant)
        seen = f"{caught.value!r} {caught.value} {caught.value.facts} {app!r}"
        assert grant not in seen
        assert "*****" in seen
        if not given:
            assert server.secret not in seen
        assert without_lines(key) not in seen


def test_only_over_a_certificate_that_counts(certificates: CertificateFactory) -> None:
    with TokenServer(certificates.server_context(certificates.valid())) as server:
        app = login(server, "microsoft_app")
        assert request_token(app, caller(ca_file=certificates.ca_file)).value
        with pytest.raises(TokenFailure, match="certificate cannot be trusted") as caught:
            request_token(app, caller())
        assert caught.value.later
        assert len(server.asked) == 1


@pytest.mark.parametrize("url", ["http://10.0.0.1/token", "http://[fd00::1]/token"])
def test_no_token_server_inside(server: TokenServer, url: str) -> None:
    found = failure(server, token_url=url)
    assert (found.code, found.cause) == ("token_refused", "oauth_server_not_allowed")


def test_a_server_that_never_ends(server: TokenServer) -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)

        def drip() -> None:
            sock, _ = listening.accept()
            with sock:
                sock.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not stop.wait(0.02):
                    try:
                        sock.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        try:
            with pytest.raises(TokenFailure, match="did not answer in time") as caught:
                request_token(login(server, "microsoft_app", token_url=url), caller(seconds=0.3))
            assert caught.value.later
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize("lacks", ["username", "client_id", "token_url", "client_secret"])
def test_incomplete_settings_ask_nobody(server: TokenServer, lacks: str) -> None:
    assert failure(server, **{lacks: ""}).cause == "oauth_incomplete"
    assert server.asked == []
