"""Log in by OAuth2: what a token is asked for with, and where a token comes from."""

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from smtp_admin.credentials.bearer import Bearer
from smtp_admin.credentials.sign_ins import SIGN_INS, SignIn
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.login import Exchange


@dataclass(frozen=True, slots=True)
class OAuthLogin:
    """A mailbox, and what a token for it is asked for with; never shown.

    It cannot log in by itself: :meth:`bearer` makes what can, once there is a token.

    Attributes:
        username: the mailbox that sends.
        certificate: whose key signs what proves who we are (PEM).
        server: the mail server that tokens are for, and how it is known to be that one.
    """

    username: str
    way: SignIn
    token_url: str
    client_id: str
    scope: str
    authorize_url: str = ""
    mechanism: str = ""
    server: tuple[str, ...] = ()
    client_secret: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)

    @property
    def identity(self) -> Hashable:
        """The same while everything is the same but the token."""
        proof = f"{self.client_secret}\0{self.certificate}\0{self.key}"
        return ("oauth", self.purpose, hashlib.sha256(proof.encode()).digest())

    @property
    def purpose(self) -> str:
        """What a token is for, in 64 letters: one that was issued for something else is useless.

        The secret is not in it: a new one goes on with what was granted before. The mail server
        is: whoever may change that gets no hold of what somebody granted for another.
        """
        said = [self.way.key, self.username, self.token_url, self.client_id, self.scope,
                *self.server]  # fmt: skip
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    @property
    def secrets(self) -> Sequence[str]:
        """What proves who we are."""
        return tuple(one for one in (self.client_secret, self.key) if one)

    def mechanisms(self, *, encrypted: bool) -> Sequence[str]:
        """None, without a token."""
        del encrypted
        return ()

    def exchange(self, mechanism: str) -> Exchange:
        """Never asked for, because there is no mechanism."""
        raise LookupError(f"There is no token to log in with by {mechanism}.")

    def bearer(self, token: str) -> Bearer:
        """The same mailbox with a token."""
        return Bearer(self.username, token, self.mechanism)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token to log in with.

    Attributes:
        until: when it ends (aware, UTC), as well as one knows.
        new: whether it was issued just now, so that asking again is no use.
    """

    value: str = field(repr=False)
    until: datetime | None = None
    new: bool = True


class Tokens(Protocol):
    """Where tokens come from: straight from their server, or kept and renewed by one for all."""

    def token(
        self, login: OAuthLogin, *, instead_of: str = "", overall: Deadline | None = None
    ) -> AccessToken:
        """A token for *login*.

        Args:
            instead_of: a token that a mail server refused; another one is wanted.
            overall: when to stop altogether.

        Raises:
            TokenFailure: there is none.
        """
        ...


#: Which mail server it is, beside the login's own fields; see the table of fields.
_SERVER = ("host", "port", "security", "verify_tls", "ca_certificate")


def login_of(values: Mapping[str, Any], secrets: Mapping[str, str]) -> OAuthLogin:
    """The login that a sender's fields describe."""
    way = SIGN_INS[values["sign_in"]]
    words = {
        "authority": (values["oauth_authority"] or way.authority).rstrip("/"),
        "tenant": values["oauth_tenant"],
    }
    return OAuthLogin(
        username=values["username"],
        way=way,
        token_url=values["oauth_token_url"] or way.token.format(**words),
        authorize_url=values["oauth_authorize_url"] or way.authorize.format(**words),
        client_id=values["oauth_client_id"],
        scope=values["oauth_scope"] or way.scope,
        mechanism=values["oauth_mechanism"].upper(),
        server=tuple(str(values[name]) for name in _SERVER),
        client_secret=secrets.get("oauth_secret", ""),
        certificate=values["oauth_certificate"] if way.shows("oauth_certificate") else "",
        key=secrets.get("oauth_key", ""),
    )
