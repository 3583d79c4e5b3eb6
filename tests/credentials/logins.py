"""Logins by OAuth2 for tests: at a token server on loopback, with keys made once."""

import base64
from functools import cache
from ipaddress import ip_network
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from smtp_admin.credentials.key_pair import new_key_pair
from smtp_admin.credentials.oauth import OAuthLogin
from smtp_admin.credentials.sign_ins import SIGN_INS
from smtp_admin.http.caller import Caller
from smtp_admin.smtp.dialling import DiallingPolicy
from tests.servers.token_server import TokenServer

__all__ = ["LOOPBACK", "MAILBOX", "caller", "key_pair", "login", "public_key", "without_lines"]

LOOPBACK = (ip_network("127.0.0.0/8"),)
MAILBOX = "mia@acme.example"


@cache
def key_pair() -> tuple[str, str]:
    """A certificate and its key; making one takes a while."""
    return new_key_pair("smtp_admin tests")


def public_key() -> str:
    """The public half of it (PEM)."""
    found = x509.load_pem_x509_certificate(key_pair()[0].encode()).public_key()
    return found.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def caller(**keywords: Any) -> Caller:
    """Calls that may go to loopback, to any port."""
    return Caller(DiallingPolicy(frozenset(), LOOPBACK), **keywords)


def login(server: TokenServer, way: str, **given: Any) -> OAuthLogin:
    """One at *server*, with the secret where nothing else proves who asks."""
    proof = {} if "key" in given else {"client_secret": server.secret}
    return OAuthLogin(
        **{
            "username": MAILBOX,
            "way": SIGN_INS[way],
            "token_url": f"{server.url}/token",
            "client_id": server.client_id,
            "scope": SIGN_INS[way].scope or "smtp",
            **proof,
            **given,
        }
    )


def without_lines(pem: str) -> str:
    """The middle of a key, as it would be seen in any text."""
    return base64.b64encode(base64.b64decode(pem.split("-----")[2])).decode()[60:100]
