"""The SMTP driver: any mail server, with a login or without one."""

from collections.abc import Mapping
from typing import Any, cast

from smtp_admin.credentials.none import NoLogin
from smtp_admin.credentials.oauth import login_of
from smtp_admin.credentials.password import Password
from smtp_admin.smtp.login import Credential
from smtp_admin.smtp.session import Server
from smtp_admin.smtp.tls import ended_on, is_key_of, is_rsa
from smtp_admin.translation import gettext
from smtp_admin.transports.driver import Driver, Setup, Surroundings
from smtp_admin.transports.smtp.fields import FIELDS
from smtp_admin.transports.smtp.oauth_fields import OAUTH_FIELDS, way_of
from smtp_admin.transports.smtp.probe import STEPS, test
from smtp_admin.transports.smtp.transport import SMTPTransport


def _read(values: Mapping[str, Any], secrets: Mapping[str, str]) -> Setup:
    server = Server(
        host=values["host"],
        port=values["port"],
        security=values["security"],
        verify_tls=values["verify_tls"],
        ca_certificate=values["ca_certificate"],
        client_certificate=values["client_certificate"],
        client_key=secrets.get("client_key", ""),
        ehlo_name=values["ehlo_name"],
    )
    credential = _credential(values, secrets)
    return Setup("smtp", server, credential, place=f"{server.host}:{server.port}")


def _credential(values: Mapping[str, Any], secrets: Mapping[str, str]) -> Credential:
    if way_of(values) is not None:
        return login_of(values, secrets)
    username = values["username"]
    return Password(username, secrets.get("password", "")) if username else NoLogin()


def _open(setup: Setup, surroundings: Surroundings) -> SMTPTransport:
    server = cast(Server, setup.settings)
    return SMTPTransport(
        server,
        setup.credential,
        surroundings.dialler,
        surroundings.replies,
        surroundings.tokens,
        surroundings.saw_certificate,
    )


def _check(values: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """Whether each secret has what it belongs to, and the certificate still counts."""
    if values.get("password") and not values["username"] and not way_of(values):
        return {"username": [gettext("Enter the login that belongs to this password.")]}
    wrong = _check_sign_in(values)
    if wrong:
        return wrong
    certificate, key = values["client_certificate"], values.get("client_key")
    if not certificate:
        alone = {"client_certificate": [gettext("Enter the certificate that belongs to this key.")]}
        return alone if key else {}
    ended = ended_on(certificate)
    if ended is not None:
        return {
            "client_certificate": [
                gettext("It expired on %(ended)s. Enter the new one.", ended=str(ended.date()))
            ]
        }
    if key is None:
        return {}
    if not key:
        return {"client_key": [gettext("Enter the key of the client certificate.")]}
    if not is_key_of(certificate, key):
        return {"client_key": [gettext("This key does not belong to the client certificate.")]}
    return {}


def _check_sign_in(values: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """Whether what OAuth2 needs is there, and a key belongs to its certificate."""
    way = way_of(values)
    if way is None:
        return {}
    wrong = {}
    if not values["username"]:
        wrong["username"] = [gettext("Enter the address of the mailbox that sends.")]
    labels = {one.name: one.label for one in OAUTH_FIELDS if not one.secret}
    for name in way.fields:
        if name in labels and not values[name]:
            wrong[name] = [gettext("Enter this: %(label)s.", label=labels[name])]
    certificate, key = values["oauth_certificate"], values.get("oauth_key")
    if not way.shows("oauth_certificate"):
        certificate = ""
    ended = ended_on(certificate) if certificate else None
    if ended is not None:
        wrong["oauth_certificate"] = [
            gettext("It expired on %(ended)s. Make a new key pair.", ended=str(ended.date()))
        ]
    if key and not is_rsa(key):
        wrong["oauth_key"] = [gettext("This must be an RSA key.")]
    elif key and certificate and not is_key_of(certificate, key):
        wrong["oauth_key"] = [gettext("This key does not belong to the certificate.")]
    elif key and not certificate and way.grant != "jwt_bearer":
        wrong["oauth_certificate"] = [gettext("Enter the certificate that belongs to this key.")]
    return wrong


DRIVER = Driver(
    name="smtp",
    label="SMTP",
    comparison=gettext("Works with every mail provider. You need the server's name and a login."),
    needs=gettext("The server's name, a login and its password. Any provider documents them."),
    fields=FIELDS,
    steps=STEPS,
    read=_read,
    open=_open,
    test=test,
    check=_check,
)
