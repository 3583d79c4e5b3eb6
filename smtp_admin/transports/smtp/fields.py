"""The fields of a sender that sends over SMTP."""

from collections.abc import Mapping

from smtp_admin.smtp.hostname import clean_host, display_host, is_host_name
from smtp_admin.translation import gettext
from smtp_admin.transports.bounce_address import BOUNCE_ADDRESS
from smtp_admin.transports.fields import Field, Variable, clean_flag, one_of, whole_number
from smtp_admin.transports.smtp.oauth_fields import OAUTH_FIELDS
from smtp_admin.transports.smtp.pem import clean_certificates, clean_key, words_of_pem

DEFAULT_PORT = 587
_HIGHEST_PORT = 65535
_LONGEST_USERNAME = 320
_LONGEST_PASSWORD = 1000
SECURITY_LABELS: Mapping[str, str] = {
    "tls": "STARTTLS",
    "ssl": "SSL/TLS",
    "none": gettext("No encryption"),
}
#: What the page shows instead of a password; it must never become one.
PASSWORD_MASK = "*****"  # noqa: S105 - the mask, not a password

clean_port = whole_number(
    1,
    _HIGHEST_PORT,
    empty=DEFAULT_PORT,
    sentence=gettext("A port is a whole number from 1 to 65535."),
)
_words_of_security = one_of(SECURITY_LABELS, "tls")


def clean_security(text: str) -> str:
    """``tls``, ``ssl`` or ``none``; ``starttls`` is what others call ``tls``."""
    return _words_of_security("tls" if text.strip().lower() == "starttls" else text)


def clean_username(text: str) -> str:
    """A login. Spaces around it are never meant."""
    username = text.strip()
    if len(username) > _LONGEST_USERNAME:
        raise ValueError(gettext("A login has at most 320 characters."))
    if any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in username):  # noqa: PLR2004
        raise ValueError(gettext("A login has no line breaks or control characters."))
    return _encodable(username)


def clean_password(text: str) -> str:
    """A password, exactly as typed: spaces around it may belong to it."""
    if text == PASSWORD_MASK:
        raise ValueError(gettext("These asterisks stand for the saved password. Enter the password "
"itself, or leave the field empty to keep it."))  # fmt: skip
    if len(text) > _LONGEST_PASSWORD:
        raise ValueError(gettext("A password has at most 1000 characters."))
    if any(letter in text for letter in "\0\r\n"):
        raise ValueError(gettext("A password has no line breaks."))
    return _encodable(text)


def clean_ehlo_name(text: str) -> str:
    """The name that a server is told; empty for the platform's own."""
    name = text.strip()
    if name and not is_host_name(name):
        raise ValueError(gettext('Enter a full host name, such as "app.example.com".'))
    return name


def _encodable(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(gettext("This contains a broken character.")) from error
    return text


def _clean_secure(text: str) -> str:
    try:
        return "ssl" if clean_flag(text) else "tls"
    except ValueError as error:
        raise ValueError(gettext("Use true (SSL) or false (STARTTLS).")) from error


FIELDS: tuple[Field, ...] = (
    Field(
        "host",
        gettext("Host"),
        lambda text: clean_host(text) if text.strip() else "",
        help=gettext("The outgoing mail server, without http:// and port."),
        required=gettext("Enter the host name of the mail server."),
        destination=True,
        variables=(Variable("SMTP_HOST"),),
        option="--host",
        text=display_host,
        words=lambda value: display_host(value) or gettext("empty"),
        placeholder="smtp.example.com",
    ),
    Field(
        "port",
        gettext("Port"),
        clean_port,
        help=gettext("587 for STARTTLS, 465 for SSL. Try 2525 if those are blocked."),
        default=DEFAULT_PORT,
        kind="number",
        required=gettext("Enter the port; 587 is usual."),
        # The protocol's own, as the interface promises.
        untold="25",
        destination=True,
        variables=(Variable("SMTP_PORT"),),
        option="--port",
    ),
    Field(
        "security",
        gettext("Security"),
        clean_security,
        help=gettext("STARTTLS goes with port 587, SSL/TLS with port 465."),
        default="tls",
        kind="choice",
        choices=SECURITY_LABELS,
        destination=True,
        variables=(Variable("SMTP_SECURITY"), Variable("SMTP_SECURE", _clean_secure)),
        option="--security",
        words=lambda value: SECURITY_LABELS.get(value, str(value)),
    ),
    Field(
        "username",
        gettext("Login"),
        clean_username,
        help=gettext("Often the full e-mail address. Leave empty if the server needs no login."),
        destination=True,
        variables=(Variable("SMTP_USERNAME"), Variable("SMTP_USER")),
        option="--username",
    ),
    Field(
        "password",
        gettext("Password"),
        clean_password,
        help=gettext("Stored encrypted, never shown again."),
        kind="secret",
        needed=lambda values: bool(values["username"] and not values.get("sign_in")),
        variables=(Variable("SMTP_PASSWORD"), Variable("SMTP_PASS")),
    ),
    *OAUTH_FIELDS,
    Field(
        "verify_tls",
        gettext("Check the server's certificate"),
        clean_flag,
        help=gettext("Keep this on. Without it an attacker could read mail and password."),
        default=True,
        kind="flag",
        place="more",
        destination=True,
        option="--verify-tls",
        short=gettext("Certificate is checked"),
    ),
    Field(
        "ca_certificate",
        gettext("Certificate authority"),
        clean_certificates,
        help=gettext(
            "A private authority (PEM) that issued this server's certificate. It "
            "lets you keep the check on."
        ),
        kind="lines",
        place="more",
        destination=True,
        option="--ca-certificate",
        words=words_of_pem,
        placeholder="-----BEGIN CERTIFICATE-----",
        rows=4,
    ),
    Field(
        "client_certificate",
        gettext("Client certificate"),
        clean_certificates,
        help=gettext("The certificate (PEM) for servers that require one from the sender."),
        kind="lines",
        place="more",
        option="--client-certificate",
        words=words_of_pem,
        placeholder="-----BEGIN CERTIFICATE-----",
        rows=4,
    ),
    Field(
        "client_key",
        gettext("Key of the client certificate"),
        clean_key,
        help=gettext(
            "The private key (PEM) of the client certificate. Stored encrypted, never shown again."
        ),
        kind="secret",
        place="more",
        bound="sender",
        needed=lambda values: bool(values["client_certificate"]),
        rows=4,
    ),
    Field(
        "ehlo_name",
        gettext("Name in EHLO"),
        clean_ehlo_name,
        help=gettext("The name sent to the server. If empty, the platform's default."),
        place="more",
        option="--ehlo-name",
        placeholder="app.example.com",
    ),
    BOUNCE_ADDRESS,
)
