"""Whom a certificate names that does not fit: looked at in a test, after the test has failed.

A failed handshake keeps the certificate to itself. So the server is asked once more, by a
connection that verifies nothing and over which nothing is said but what it takes to see the
certificate: no login, no address, no mail.
"""

from collections.abc import Iterator

from cryptography import x509

from smtp_admin.smtp.client import SMTPClient
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.dialling import dial
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.redaction import Redactor
from smtp_admin.smtp.session import Dialler, Server
from smtp_admin.smtp.tls import client_context
from smtp_admin.smtp.wire import Wire

_SECONDS = 4.0
_MOST_NAMES, _LONGEST_NAME = 6, 100


def names_shown(server: Server, dialler: Dialler, overall: Deadline) -> list[str]:
    """The names that the certificate of *server* is for; none where it cannot be seen."""
    limit = Deadline(min(_SECONDS, dialler.timeouts.connect), overall)
    try:
        found = dialler.policy.addresses(server.host, server.port, limit)
        wire = Wire(dial(found, server.port, limit))
    except SMTPFailure:
        return []
    client = SMTPClient(wire, timeouts=dialler.timeouts, overall=limit, redact=Redactor((), ""))
    try:
        if server.security == "tls":
            client.greeting()
            client.ehlo(server.ehlo_name or dialler.ehlo_name or "[127.0.0.1]")
            client.starttls()
        client.encrypt(client_context(verify=False), server.host)
        sock = client.wire.tls
        raw = sock.getpeercert(binary_form=True) if sock is not None else None
        return list(_names(raw))[:_MOST_NAMES] if raw else []
    except SMTPFailure:
        return []
    finally:
        wire.close()


def _names(raw: bytes) -> Iterator[str]:
    """The names of a certificate, as far as they can be shown: it may be anybody's."""
    try:
        shown = x509.load_der_x509_certificate(raw).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        names = shown.value.get_values_for_type(x509.DNSName)
    except (ValueError, x509.ExtensionNotFound):
        return
    for name in dict.fromkeys(names):
        if name.isascii() and name.isprintable() and len(name) <= _LONGEST_NAME:
            yield name.lower()
