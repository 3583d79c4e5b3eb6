"""The standard library's SMTP client, as the measure for the scripted server."""

import contextlib
import smtplib
import ssl
from collections.abc import Iterator

from .certificates import CertificateFactory
from .scripted import ScriptedServer

__all__ = ["LETTER", "client_of", "deliver_to", "send", "trusting"]

LETTER = b"Subject: hello\r\n\r\nfirst\r\n.second\r\n..third\r\n"


def trusting(certificates: CertificateFactory) -> ssl.SSLContext:
    """Return a client's TLS settings that trust the tests' authority and nobody else."""
    return ssl.create_default_context(cafile=certificates.ca_file)


@contextlib.contextmanager
def client_of(server: ScriptedServer, timeout: float = 5) -> Iterator[smtplib.SMTP]:
    """Connect to the server and close the socket at the end, without QUIT.

    The client's own name is given because looking it up may take seconds.
    """
    client = smtplib.SMTP("localhost", server.port, "client.example", timeout)
    try:
        yield client
    finally:
        client.close()


def send(client: smtplib.SMTP, *recipients: str) -> None:
    """Send the letter, to one recipient unless told otherwise."""
    client.sendmail("sender@example.org", recipients or ("a@example.org",), LETTER)


def deliver_to(server: ScriptedServer, timeout: float = 5) -> None:
    """Make one whole delivery from connection to QUIT."""
    with client_of(server, timeout) as client:
        send(client)
        client.quit()
