"""THE table of kinds of things that end: where each is read, and what to do about it.

To watch another kind, write a reader and add its row.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from smtp_admin.expiry.of_certificates import (
    app_certificates,
    ca_certificates,
    client_certificates,
    server_certificates,
)
from smtp_admin.expiry.of_installation import api_tokens, encryption_keys
from smtp_admin.expiry.of_logins import api_keys, client_secrets, passwords, sign_ins
from smtp_admin.expiry.things import Around, Ending, Name
from smtp_admin.translation import gettext


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind.

    Attributes:
        label: what people call it.
        do: what to do when it ends, as sentences.
        where: the page on which it is done: the sender's ``tab``, ``tokens`` of its owner, or
            none for what is done on the machine.
        read: everything of this kind.
        ends: whether any has an end, which can open an alert.
        alone: whether its own name says it all.
    """

    name: Name
    label: str
    do: str
    where: Literal["tab", "tokens", ""]
    read: Callable[[Around], Iterable[Ending]]
    ends: bool = True
    alone: bool = False


KINDS: tuple[Kind, ...] = (
    Kind(
        "client_secret",
        gettext("Client secret"),
        gettext("Make a new one at the vendor. Enter it and its last day on the sender's tab."),
        "tab",
        client_secrets,
    ),
    Kind("sign_in", gettext("Sign-in"), gettext("Sign in on the sender's tab."), "tab", sign_ins),
    Kind(
        "app_certificate",
        gettext("Certificate of the app"),
        gettext("Make a new key pair on the sender's tab, and upload its certificate to the app."),
        "tab",
        app_certificates,
    ),
    Kind(
        "client_certificate",
        gettext("Client certificate"),
        gettext("Enter the new one and its key on the sender's tab."),
        "tab",
        client_certificates,
    ),
    Kind(
        "ca_certificate",
        gettext("Certificate authority"),
        gettext("Enter the new one on the sender's tab."),
        "tab",
        ca_certificates,
    ),
    Kind(
        "server_certificate",
        gettext("Certificate of the mail server"),
        gettext("The server's operator must renew it. Then test the connection."),
        "tab",
        server_certificates,
    ),
    Kind(
        "api_token",
        gettext("API token"),
        gettext("Create a new one, give it to the program that uses it, and revoke this one."),
        "tokens",
        api_tokens,
    ),
    Kind(
        "encryption_key",
        gettext("Encryption key"),
        gettext(
            "Keep it in SMTP_ADMIN_SECRET_KEYS until `flask smtp-admin keys rotate` has run and "
            "`keys check` says that nothing needs it."
        ),
        "",
        encryption_keys,
        ends=False,
    ),
    Kind(
        "api_key",
        gettext("API key"),
        gettext("Make a new one at the provider, and enter it on the sender's tab."),
        "tab",
        api_keys,
        ends=False,
        alone=True,
    ),
    Kind(
        "password",
        gettext("Password"),
        gettext("Make a new one at the provider, and enter it on the sender's tab."),
        "tab",
        passwords,
        ends=False,
    ),
)
BY_NAME: dict[Name, Kind] = {one.name: one for one in KINDS}
