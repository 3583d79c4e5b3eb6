"""A local mail server to try things on: it takes mail from those who log in, and keeps it.

Only gone@… and full@… are refused, for good and for now, and slow@… takes its time.

It listens on loopback only, offers STARTTLS and, after that, AUTH; nothing is passed on to
anybody. ``python -m smtp_admin.embedded.inbox FOLDER --port 1025`` runs it by itself.
"""

import argparse
import asyncio
import hmac
import logging
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from smtp_admin.embedded import certificates, secrets
from smtp_admin.embedded.local import INBOX_USERNAME, inbox_folder
from smtp_admin.embedded.mailbox import StoredMail, list_mails, read_mail, store_mail
from smtp_admin.embedded.ports import LOOPBACK, any_free_port

__all__ = ["Inbox", "StoredMail", "list_mails", "read_mail"]

LARGEST_MAIL = 25 * 1024 * 1024
#: Names before the @ that the inbox refuses, and what it says then.
REFUSALS = {
    "gone": "550 5.1.1 There is no such mailbox here",
    "full": "452 4.2.2 The mailbox is full, try again later",
}
#: So long it thinks about slow@.
SLOW_SECONDS = 5.0
_LOGIN_MECHANISMS = {"LOGIN", "PLAIN"}

log = logging.getLogger("smtp_admin.embedded.inbox")


class Inbox:
    """The server: ``start()`` returns when it answers, ``stop()`` when it no longer does."""

    def __init__(self, folder: Path, port: int | None, username: str, password: str) -> None:
        self.folder = folder
        self.port = port or any_free_port()
        self._username = username.encode()
        self._password = password.encode()
        self._certificates = certificates.ensure(folder)
        self._controllers: list[Controller] = []

    @property
    def ca_file(self) -> Path:
        """The certificate to trust in order to verify the inbox's own."""
        return self._certificates.ca_file

    def start(self) -> None:
        """Listen on the loopback addresses of this machine.

        Raises:
            OSError: the port is taken.
        """
        # Below this level aiosmtpd repeats what clients say, passwords included.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        self._listen(LOOPBACK)
        # "localhost" may mean ::1 too; where there is no IPv6, nobody will miss it.
        if socket.has_ipv6:
            try:
                self._listen("::1")
            except OSError as error:
                log.info("not listening on ::1: %s", error)

    def stop(self) -> None:
        """Stop listening and end the connections."""
        while self._controllers:
            self._controllers.pop().stop()

    def _listen(self, address: str) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self._certificates.certificate_file, self._certificates.key_file)
        controller = Controller(
            _Handler(self.folder),
            hostname=address,
            port=self.port,
            server_hostname="localhost",
            ident="Local test inbox",
            tls_context=tls,
            require_starttls=True,
            auth_required=True,
            auth_require_tls=True,
            authenticator=self._authenticate,
            decode_data=False,
            enable_SMTPUTF8=True,
            data_size_limit=LARGEST_MAIL,
        )
        controller.start()
        self._controllers.append(controller)

    def _authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> AuthResult:
        del server, session, envelope
        if mechanism not in _LOGIN_MECHANISMS or not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        # Both are always compared, and in constant time, so that an answer's delay tells nothing.
        right_name = hmac.compare_digest(data.login, self._username)
        right_password = hmac.compare_digest(data.password, self._password)
        return AuthResult(success=right_name and right_password, handled=False)


class _Handler:
    """Keeps what was accepted; aiosmtpd calls its methods by their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Take every address but those whose name says otherwise, to see what then happens."""
        del server, session
        name = address.partition("@")[0].lower()
        if name == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        if name in REFUSALS:
            return REFUSALS[name]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        del server, session
        mail = await asyncio.to_thread(
            store_mail,
            self._folder,
            envelope.content,
            envelope_from=(envelope.mail_from or "").removeprefix("<").removesuffix(">"),
            envelope_to=envelope.rcpt_tos,
        )
        log.info("mail %s for %s", mail.id, ", ".join(mail.envelope_to))
        return f"250 2.0.0 kept as {mail.id}"

    async def handle_exception(self, error: Exception) -> str:
        # A client that breaks off, or does not trust the certificate, is no event.
        log.info("a connection ended: %s", str(error) or type(error).__name__)
        return "451 4.3.0 The inbox failed"


def main(arguments: list[str] | None = None) -> int:
    """Run the inbox of an instance folder until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="inbox", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the mails and the password are kept")
    parser.add_argument("--port", type=int, help="default: any free one")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)

    password = secrets.load_or_create(options.folder).inbox_password
    inbox = Inbox(inbox_folder(options.folder), options.port, INBOX_USERNAME, password)
    signals = {signal.SIGINT, signal.SIGTERM}
    # Before the first thread starts, because threads inherit what is blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        inbox.start()
    except OSError as error:
        log.error(  # noqa: TRY400 - the sentence says it all
            "The inbox cannot listen on port %s: %s. Run it again: then it takes a free port.",
            inbox.port,
            error.strerror or error,
        )
        return 1
    log.info("listening on localhost:%s", inbox.port)
    # The listening threads end with the process: a client that stays does not hold it up.
    signal.sigwait(signals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
