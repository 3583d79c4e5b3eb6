"""A real OAuth2 server on loopback: it rotates refresh tokens, refuses reuse, and checks proofs.

Signatures are checked by PyJWT, which is not what made them.
"""

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes

__all__ = ["Asked", "TokenServer"]

CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SIGNS = secrets.token_bytes(32)


@dataclass(frozen=True)
class Asked:
    """One request for a token."""

    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str] = field(repr=False)


class Refused(Exception):
    """The server says no, in the words of RFC 6749 section 5.2."""

    def __init__(self, error: str, words: str = "", status: int = 400, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, "error_description": words, **more}


class TokenServer:
    """One client of it, and one mailbox.

    Attributes:
        claims: what its access tokens say; ``None`` for opaque ones.
        answers: told instead of what is right, one after the other: status, headers, body.
        before: what happens before it answers.
        seconds: how long an access token lives.
        more: what else stands beside a refresh token.
        reuse: whether a refresh token may be used twice.
        mailbox: whose the tokens are, as a mail server hears; *revoked*: whether none counts.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.client_id, self.secret = "client-4711", "s3cr3t-of-the-app"
        self.certificate = ""
        self.public_key: Any = None
        self.service_mailboxes: set[str] = set()
        self.claims: dict[str, Any] | None = {}
        self.opaque_length = 60
        self.seconds = 3600
        self.more: dict[str, Any] = {}
        self.reuse = False
        self.mailbox, self.revoked = "mia@acme.example", False
        self.rotates = True
        self.asked: list[Asked] = []
        self.answers: list[tuple[int, Mapping[str, str], bytes]] = []
        self.before: Any = lambda _asked: None
        self.issued: list[str] = []
        self.live: set[str] = set()
        self.codes: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"tokens": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._scheme = "http"
        if context is not None:
            self._scheme = "https"
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def grant(self) -> str:
        """A refresh token, as after a person signed in."""
        made = f"refresh-{secrets.token_hex(20)}"
        self.live.add(made)
        return made

    def refuse(self, error: str, words: str = "", status: int = 400, **more: Any) -> None:
        """Answer the next request with this error."""
        body = json.dumps({"error": error, "error_description": words, **more}).encode()
        self.answers.append((status, {"Content-Type": "application/json"}, body))

    def answer(self, asked: Asked) -> tuple[int, Mapping[str, str], bytes]:
        """What it says to one request."""
        with self._lock:
            self.asked.append(asked)
            prepared = self.answers.pop(0) if self.answers else None
        self.before(asked)
        if prepared is not None:
            return prepared
        try:
            with self._lock:
                body = self._issue(asked)
        except Refused as refused:
            return refused.status, {}, json.dumps(refused.body).encode()
        return 200, {"Cache-Control": "no-store"}, json.dumps(body).encode()

    def tell_of(self, form: Mapping[str, str]) -> bytes:
        """What a mail server hears of a token (RFC 7662): whose it is, while it counts."""
        active = form.get("token", "") in self.issued and not self.revoked
        mine = {"username": self.mailbox, "scope": "smtp", "client_id": self.client_id}
        return json.dumps({"active": active, **(mine if active else {})}).encode()

    def authorize(self, query: Mapping[str, str]) -> str:
        """Where a person goes on who signed in and agreed."""
        code = secrets.token_urlsafe(20)
        self.codes[code] = dict(query)
        back = {"code": code, "state": query["state"]}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def _issue(self, asked: Asked) -> dict[str, Any]:
        form = asked.form
        kind = form.get("grant_type")
        if kind == JWT_BEARER:
            self._check_service(asked)
            return self._tokens("")
        self._check_client(asked)
        if kind == "client_credentials":
            if not form.get("scope"):
                raise Refused("invalid_scope")
            return self._tokens("")
        if kind == "authorization_code":
            self._check_code(form)
            return self._tokens(self.grant())
        if kind == "refresh_token":
            used = form.get("refresh_token", "")
            if used not in self.live:
                raise Refused("invalid_grant", "Token has been expired or revoked.")
            if not self.rotates:
                return self._tokens("")
            if not self.reuse:
                self.live.discard(used)
            return self._tokens(self.grant())
        raise Refused("unsupported_grant_type")

    def _tokens(self, refresh: str) -> dict[str, Any]:
        if self.claims is None:
            value = ("ya29." + secrets.token_hex(20) + "x" * self.opaque_length)[
                : self.opaque_length
            ]
        else:
            claims = {"exp": int(time.time()) + self.seconds, "jti": secrets.token_hex(8)}
            value = jwt.encode(claims | self.claims, _SIGNS, "HS256")
        self.issued.append(value)
        found = {"access_token": value, "token_type": "Bearer", "expires_in": self.seconds}
        return found | ({"refresh_token": refresh, **self.more} if refresh else {})

    def _check_client(self, asked: Asked) -> None:
        form = asked.form
        if form.get("client_assertion_type") == CLIENT_ASSERTION:
            self._check_assertion(form["client_assertion"], asked.path)
            return
        client, secret = form.get("client_id"), form.get("client_secret", "")
        basic = asked.headers.get("Authorization", "")
        if basic.startswith("Basic "):
            pair = base64.b64decode(basic[6:]).decode().split(":", 1)
            client, secret = (unquote(one) for one in pair)
        if client != self.client_id or secret != self.secret:
            raise Refused("invalid_client", "AADSTS7000215: Invalid client secret provided.", 401)

    def _check_assertion(self, assertion: str, path: str) -> None:
        certificate = x509.load_pem_x509_certificate(self.certificate.encode())
        digest = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256()))
        assert jwt.get_unverified_header(assertion)["x5t#S256"] == digest.decode().rstrip("=")
        try:
            said = jwt.decode(
                assertion,
                certificate.public_key(),  # type: ignore[arg-type]  # an RSA key, as was made
                algorithms=["PS256"],
                audience=f"{self.url}{path}",
                issuer=self.client_id,
                options={"require": ["exp", "nbf", "iat", "jti", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Refused("invalid_client", f"AADSTS700027: {error}", 401) from error
        assert said["sub"] == self.client_id

    def _check_service(self, asked: Asked) -> None:
        try:
            said = jwt.decode(
                asked.form["assertion"],
                self.public_key,
                algorithms=["RS256"],
                audience=f"{self.url}{asked.path}",
                issuer=self.client_id,
                options={"require": ["exp", "iat", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Refused("invalid_grant", f"Invalid JWT Signature. {error}") from error
        if said["sub"] not in self.service_mailboxes:
            raise Refused("unauthorized_client", "Client is unauthorized to retrieve access tokens")

    def _check_code(self, form: Mapping[str, str]) -> None:
        known = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if known is None or known["code_challenge"] != challenge:
            raise Refused("invalid_grant", "The code is not valid.")
        if known["redirect_uri"] != form.get("redirect_uri"):
            raise Refused("invalid_grant", "Another redirect_uri.")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """The HTTP of it."""

    tokens: TokenServer

    def do_GET(self) -> None:
        """The page where a person signs in: this one always agrees."""
        query = {name: one[0] for name, one in parse_qs(urlsplit(self.path).query).items()}
        self.send_response(302)
        self.send_header("Location", self.tokens.authorize(query))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        """A request for a token."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: one[0] for name, one in parse_qs(body).items()}
        if self.path == "/introspect":
            self._answer(200, {"Content-Type": "application/json"}, self.tokens.tell_of(form))
            return
        status, headers, said = self.tokens.answer(Asked(self.path, dict(self.headers), form))
        self._answer(status, headers, said)

    def _answer(self, status: int, headers: Mapping[str, str], said: bytes) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
