"""THE table of ways to sign in by OAuth2: who is asked for a token, how, and for what.

Which vendor documents what, with sources: docs/oauth2.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from smtp_admin.translation import gettext

Vendor = Literal["microsoft", "google", "other"]
#: How a token is asked for (RFC 6749 sections 4.4 and 4.1, RFC 7523).
Grant = Literal["client_credentials", "authorization_code", "jwt_bearer"]


@dataclass(frozen=True, slots=True)
class SignIn:
    """One way to sign in.

    Attributes:
        key: stored with each revision.
        vendor: whose words and addresses are meant; in the address of the sign-in page too.
        authorize: where a person signs in, and ``token`` where tokens are issued; ``{authority}``
            and ``{tenant}`` are the sender's own. Empty where each sender must name it.
        authority: the server that they begin with, unless the sender names another.
        scope: what is asked for, unless the sender asks for something else.
        parameters: what the authorization page is told beside what the standard says.
        audiences: for whom a readable token must be; empty where that is not known.
        permission: what a readable token must allow; of an application a role, else a scope.
        reading: the same for reading the mailbox over IMAP.
        fields: what must be entered beside the mailbox, and ``proofs`` of which one must be.
    """

    key: str
    label: str
    vendor: Vendor
    grant: Grant
    token: str = ""
    authorize: str = ""
    authority: str = ""
    scope: str = ""
    parameters: Mapping[str, str] | None = None
    audiences: tuple[str, ...] = ()
    permission: str = ""
    reading: str = ""
    fields: tuple[str, ...] = ()
    proofs: tuple[str, ...] = ()

    @property
    def by_person(self) -> bool:
        """Whether a person signs in, and we keep what that gives us."""
        return self.grant == "authorization_code"

    @property
    def optional(self) -> frozenset[str]:
        """What may be entered too."""
        secret = {"oauth_secret", "oauth_secret_until"}
        own = {"oauth_scope", "oauth_mechanism", "oauth_token_url"}
        if self.by_person:
            own.add("oauth_authorize_url")
        if self.authority:
            own.add("oauth_authority")
        return frozenset(own | (set() if self.grant == "jwt_bearer" else secret))

    def knows(self, name: str) -> bool:
        """Whether the vendor's own address stands for the field *name* while that is empty."""
        return bool(
            (name == "oauth_token_url" and self.token)
            or (name == "oauth_authorize_url" and self.authorize)
        )

    def shows(self, name: str) -> bool:
        """Whether the field *name* means anything for this way."""
        proof = {"oauth_key", "oauth_certificate"} if "oauth_key" in self.proofs else set()
        if self.grant == "jwt_bearer":
            proof.discard("oauth_certificate")
        return name in {*self.fields, *self.proofs, *self.optional, *proof}


_MICROSOFT = "https://login.microsoftonline.com"
_OFFICE = ("https://outlook.office365.com", "https://outlook.office.com")
_GOOGLE_TOKEN = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_GOOGLE_MAIL = "https://mail.google.com/"

SIGN_INS: Mapping[str, SignIn] = {
    one.key: one
    for one in (
        SignIn(
            "microsoft_app",
            gettext("Microsoft 365: as an application"),
            "microsoft",
            "client_credentials",
            token="{authority}/{tenant}/oauth2/v2.0/token",  # noqa: S106 - an address
            authority=_MICROSOFT,
            scope="https://outlook.office365.com/.default",
            audiences=_OFFICE,
            permission="SMTP.SendAsApp",
            reading="IMAP.AccessAsApp",
            fields=("oauth_tenant", "oauth_client_id"),
            proofs=("oauth_key", "oauth_secret"),
        ),
        SignIn(
            "microsoft_mailbox",
            gettext("Microsoft 365: a person signs in"),
            "microsoft",
            "authorization_code",
            token="{authority}/{tenant}/oauth2/v2.0/token",  # noqa: S106
            authorize="{authority}/{tenant}/oauth2/v2.0/authorize",
            authority=_MICROSOFT,
            scope="https://outlook.office.com/SMTP.Send offline_access",
            parameters={"prompt": "select_account"},
            audiences=_OFFICE,
            permission="SMTP.Send",
            reading="IMAP.AccessAsUser.All",
            fields=("oauth_tenant", "oauth_client_id"),
        ),
        SignIn(
            "google_mailbox",
            gettext("Google: a person signs in"),
            "google",
            "authorization_code",
            token=_GOOGLE_TOKEN,
            authorize="https://accounts.google.com/o/oauth2/v2/auth",
            scope=_GOOGLE_MAIL,
            parameters={"access_type": "offline", "prompt": "consent"},
            fields=("oauth_client_id", "oauth_secret"),
        ),
        SignIn(
            "google_service",
            gettext("Google Workspace: service account"),
            "google",
            "jwt_bearer",
            token=_GOOGLE_TOKEN,
            scope=_GOOGLE_MAIL,
            fields=("oauth_client_id", "oauth_key"),
            proofs=("oauth_key",),
        ),
        SignIn(
            "other_app",
            gettext("Another OAuth2 server: as an application"),
            "other",
            "client_credentials",
            fields=("oauth_client_id", "oauth_token_url"),
            proofs=("oauth_key", "oauth_secret"),
        ),
        SignIn(
            "other_mailbox",
            gettext("Another OAuth2 server: a person signs in"),
            "other",
            "authorization_code",
            fields=("oauth_client_id", "oauth_token_url", "oauth_authorize_url"),
        ),
    )
}
MECHANISMS = ("XOAUTH2", "OAUTHBEARER")
