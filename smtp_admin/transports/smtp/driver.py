"""The SMTP driver: any mail server, with a login or without one."""

from collections.abc import Mapping
from typing import Any, cast

from smtp_admin.credentials.none import NoLogin
from smtp_admin.credentials.password import Password
from smtp_admin.smtp.session import Server
from smtp_admin.smtp.tls import ended_on, is_key_of
from smtp_admin.translation import gettext
from smtp_admin.transports.driver import Driver, Setup, Surroundings
from smtp_admin.transports.smtp.fields import FIELDS
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
    username = values["username"]
    credential = Password(username, secrets.get("password", "")) if username else NoLogin()
    return Setup("smtp", server, credential, place=f"{server.host}:{server.port}")


def _open(setup: Setup, surroundings: Surroundings) -> SMTPTransport:
    server = cast(Server, setup.settings)
    return SMTPTransport(server, setup.credential, surroundings.dialler, surroundings.replies)


def _check(values: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """Whether each secret has what it belongs to, and the certificate still counts."""
    if values.get("password") and not values["username"]:
        return {"username": [gettext("Enter the login that belongs to this password.")]}
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
