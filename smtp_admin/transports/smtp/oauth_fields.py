"""The fields of a sender that signs in by OAuth2; all are empty where it signs in by password.

Empty is the default of each, because what a stored password is bound to must not change by them.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from smtp_admin.credentials.sign_ins import SIGN_INS, SignIn
from smtp_admin.smtp.hostname import clean_host
from smtp_admin.translation import gettext
from smtp_admin.transports.fields import Field, Variable, one_of
from smtp_admin.transports.smtp.pem import clean_certificates, clean_key, words_of_pem

_LONGEST, _LONGEST_SECRET = 500, 1000
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,99}")
_ID = re.compile(r"[\x21-\x7e]{1,200}")
_SCOPE = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")
#: Two years, and a day for zones: no vendor's client secret that ends lives longer.
_LONGEST_LIFE = timedelta(days=2 * 366 + 1)
#: Where a token may travel without encryption, because it does not leave the machine.
_HERE = {"localhost", "127.0.0.1", "::1"}
SIGN_IN_LABELS: Mapping[str, str] = {
    "": gettext("Password"),
    **{key: one.label for key, one in SIGN_INS.items()},
}
_MECHANISMS = {
    "": gettext("Whichever the server offers"),
    "xoauth2": "XOAUTH2",
    "oauthbearer": "OAUTHBEARER",
}
_words_of_sign_in = one_of(SIGN_IN_LABELS, "")


def clean_sign_in(text: str) -> str:
    """A way to sign in; empty for a password."""
    return _words_of_sign_in("" if text.strip().lower() == "password" else text)


def clean_tenant(text: str) -> str:
    """A directory of Microsoft Entra, by its ID or one of its domains."""
    tenant = text.strip()
    if tenant and not _TENANT.fullmatch(tenant):
        raise ValueError(
            gettext("Enter the “Directory (tenant) ID”, or a domain of the organization.")
        )
    if tenant.lower() in {"common", "organizations"}:
        raise ValueError(
            gettext(
                "“%(tenant)s” does not work for mail. Enter the tenant's own ID.", tenant=tenant
            )
        )
    return tenant


def clean_id(text: str) -> str:
    """The name by which a token server knows who asks."""
    found = text.strip()
    if found and not _ID.fullmatch(found):
        raise ValueError(gettext("An ID has at most 200 letters and no spaces."))
    return found


def clean_secret(text: str) -> str:
    """A client secret; spaces around it are never meant."""
    found = text.strip()
    if len(found) > _LONGEST_SECRET or not found.isprintable():
        raise ValueError(gettext("A client secret has at most 1000 characters and no line breaks."))
    return found


def clean_last_day(text: str) -> str:
    """The last day of a client secret, as ``2027-11-30``; empty where none is known."""
    written = text.strip()
    if not written:
        return ""
    try:
        found = date.fromisoformat(written)
    except ValueError as error:
        raise ValueError(gettext("Enter a date such as 2027-11-30.")) from error
    if found - datetime.now(UTC).date() > _LONGEST_LIFE:
        raise ValueError(gettext("A client secret lives for 24 months at most."))
    return found.isoformat()


def clean_proof(text: str) -> str:
    """A private key as PEM, or out of the JSON file that Google gives for a service account."""
    if text.strip().startswith("{"):
        try:
            text = str(json.loads(text)["private_key"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(gettext("This JSON has no “private_key”.")) from error
    return clean_key(text)


def clean_url(text: str) -> str:
    """An address of a token server."""
    url = text.strip()
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host, port = clean_host(parts.hostname or ""), parts.port
    except ValueError as error:
        raise ValueError(
            gettext("Enter a full address, such as https://login.example.com/token.")
        ) from error
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _HERE):
        raise ValueError(gettext("Enter an address that begins with https://."))
    usual = len(url) <= _LONGEST and url.isascii() and url.isprintable() and " " not in url
    if not usual or parts.username or parts.fragment or port == 0:
        raise ValueError(gettext("This address cannot be used. It has no login and no “#” in it."))
    return url


def clean_scope(text: str) -> str:
    """What a token is asked for, words with spaces between."""
    scope = " ".join(text.split())
    if scope and (len(scope) > _LONGEST or not _SCOPE.fullmatch(scope)):
        raise ValueError(gettext("A scope has words of ASCII letters with spaces between."))
    return scope


def way_of(values: Mapping[str, Any]) -> SignIn | None:
    """How a sender with these values signs in; ``None`` for by password."""
    return SIGN_INS.get(values.get("sign_in", ""))


def _needs_secret(values: Mapping[str, Any]) -> bool:
    way = way_of(values)
    if way is None:
        return False
    either = "oauth_secret" in way.proofs and not values.get("oauth_certificate")
    return either or "oauth_secret" in way.fields


def _uses_secret(values: Mapping[str, Any]) -> bool:
    way = way_of(values)
    return way is not None and way.shows("oauth_secret")


def _needs_key(values: Mapping[str, Any]) -> bool:
    way = way_of(values)
    if way is None or "oauth_key" not in way.proofs:
        return False
    return way.grant == "jwt_bearer" or bool(values.get("oauth_certificate"))


OAUTH_FIELDS: tuple[Field, ...] = (
    Field(
        "sign_in",
        gettext("Sign in by"),
        clean_sign_in,
        help=gettext("A password, or OAuth2, which Microsoft and Google prefer."),
        kind="choice",
        choices=SIGN_IN_LABELS,
        place="oauth",
        destination=True,
        variables=(Variable("SMTP_SIGN_IN"),),
        option="--sign-in",
        words=lambda value: SIGN_IN_LABELS.get(value, str(value)),
    ),
    Field(
        "oauth_tenant",
        gettext("Directory (tenant) ID"),
        clean_tenant,
        help=gettext("In Microsoft Entra, on the overview of the app registration."),
        place="oauth",
        destination=True,
        variables=(Variable("SMTP_OAUTH_TENANT"),),
        option="--oauth-tenant",
    ),
    Field(
        "oauth_client_id",
        gettext("Client ID"),
        clean_id,
        help=gettext(
            "The application's ID at the vendor. Of a Google service account: its e-mail address."
        ),
        place="oauth",
        destination=True,
        variables=(Variable("SMTP_OAUTH_CLIENT_ID"),),
        option="--oauth-client-id",
    ),
    Field(
        "oauth_secret",
        gettext("Client secret"),
        clean_secret,
        help=gettext("Its value, not its ID. Stored encrypted, never shown again."),
        kind="secret",
        place="oauth",
        needed=_needs_secret,
        used=_uses_secret,
        variables=(Variable("SMTP_OAUTH_CLIENT_SECRET"),),
    ),
    Field(
        "oauth_secret_until",
        gettext("Last day of the client secret"),
        clean_last_day,
        help=gettext(
            "As the vendor shows it beside the secret. You are reminded from 28 days before."
        ),
        kind="date",
        place="oauth",
        variables=(Variable("SMTP_OAUTH_CLIENT_SECRET_UNTIL"),),
        option="--oauth-secret-until",
        short=gettext("Client secret until"),
    ),
    Field(
        "oauth_certificate",
        gettext("Certificate of the app"),
        clean_certificates,
        help=gettext("Instead of a secret: upload this certificate (PEM) to the app."),
        kind="lines",
        place="oauth",
        variables=(Variable("SMTP_OAUTH_CERTIFICATE"),),
        option="--oauth-certificate",
        words=words_of_pem,
        placeholder="-----BEGIN CERTIFICATE-----",
        rows=4,
    ),
    Field(
        "oauth_key",
        gettext("Private key of the app"),
        clean_proof,
        help=gettext(
            "The key of that certificate (PEM), or the JSON file of a Google service account. "
            "Stored encrypted, never shown again."
        ),
        kind="secret",
        place="oauth",
        needed=_needs_key,
        variables=(Variable("SMTP_OAUTH_KEY"),),
        rows=4,
    ),
    Field(
        "oauth_authority",
        gettext("Sign-in server"),
        clean_url,
        help=gettext("Only for national clouds. If empty, https://login.microsoftonline.com."),
        place="oauth",
        destination=True,
        variables=(Variable("SMTP_OAUTH_AUTHORITY"),),
        option="--oauth-authority",
        placeholder="https://login.microsoftonline.com",
    ),
    Field(
        "oauth_token_url",
        gettext("Address of the token server"),
        clean_url,
        help=gettext("Often called “token endpoint”. For Microsoft and Google leave it empty."),
        place="oauth",
        destination=True,
        variables=(Variable("SMTP_OAUTH_TOKEN_URL"),),
        option="--oauth-token-url",
        placeholder="https://login.example.com/token",
    ),
    Field(
        "oauth_authorize_url",
        gettext("Address for signing in"),
        clean_url,
        help=gettext(
            "Often called “authorization endpoint”. For Microsoft and Google leave it empty."
        ),
        place="oauth",
        destination=True,
        variables=(Variable("SMTP_OAUTH_AUTHORIZE_URL"),),
        option="--oauth-authorize-url",
        placeholder="https://login.example.com/authorize",
    ),
    Field(
        "oauth_scope",
        gettext("Scope"),
        clean_scope,
        help=gettext(
            "What the token is asked for. If empty, what Microsoft and Google document for SMTP."
        ),
        place="oauth",
        variables=(Variable("SMTP_OAUTH_SCOPE"),),
        option="--oauth-scope",
    ),
    Field(
        "oauth_mechanism",
        gettext("Login with the token"),
        one_of(_MECHANISMS, ""),
        help=gettext("Leave it as it is, unless your server's documentation names one."),
        kind="choice",
        choices=_MECHANISMS,
        place="oauth",
        variables=(Variable("SMTP_OAUTH_MECHANISM"),),
        option="--oauth-mechanism",
        words=lambda value: _MECHANISMS.get(value, str(value)),
    ),
)
