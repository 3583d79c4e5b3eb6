"""One HTTP request over the guarded dialler: no redirect is followed, nobody is waited for long.

The standard library speaks HTTP over a socket that our policy opened: a name is resolved once,
every address of it is checked, and that address is dialled.
"""

import http.client
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.dialling import DiallingPolicy, dial
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.hostname import clean_host
from smtp_admin.smtp.tls import client_context
from smtp_admin.translation import gettext

SECONDS = 10.0
#: More of an answer is not read.
MOST_BYTES = 64 * 1024
_USUAL_PORTS = {"http": 80, "https": 443}
#: Why there was no connection; not the words for mail servers.
_WHY = {
    "destination_not_allowed": gettext(
        "it leads to an address that this platform does not connect to "
        "(SMTP_ADMIN_ALLOWED_NETWORKS)"
    ),
    "dns_failed": gettext("its name could not be looked up"),
    "connection_refused": gettext("nothing listens there"),
    "timeout": gettext("it did not answer in time"),
    "tls_failed": gettext("no encryption could be agreed"),
}


class CallFailed(Exception):
    """It did not work; says why without the address, which may be a secret.

    Args:
        code: as the connection test calls it, where there was no connection.
    """

    def __init__(self, why: str, code: str = "") -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        headers: their names in small letters.
        body: its first :data:`MOST_BYTES`.
        cut: whether there was more.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """What calls are made with.

    Attributes:
        policy: decides by addresses.
        ca_file: authorities beside the system's.
        seconds: for name, connection, encryption and answer together.
        ports: the only ones that are called; any where it is ``None``, for the operator's own URLs.
    """

    policy: DiallingPolicy
    ca_file: Path | None = None
    seconds: float = SECONDS
    ports: frozenset[int] | None = None

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], overall: Deadline | None = None
    ) -> Answer:
        """Send *body* to *url*; what was answered.

        Raises:
            CallFailed: there was no whole answer.
        """
        return self.ask("POST", url, body, headers, overall)

    def ask(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        overall: Deadline | None = None,
    ) -> Answer:
        """The answer of *url* to one request.

        Args:
            overall: when to stop altogether, where that may be sooner.

        Raises:
            CallFailed: there was no whole answer.
        """
        deadline = Deadline(self.seconds, overall)
        parts = urlsplit(url)
        try:
            host = clean_host(parts.hostname or "")
        except ValueError as error:
            raise CallFailed(gettext("its host name cannot be used")) from error
        port = parts.port or _USUAL_PORTS[parts.scheme]
        if self.ports is not None and port not in self.ports:
            raise CallFailed(
                gettext("port %(port)s is not allowed here", port=port), "destination_not_allowed"
            )
        path = parts.path or "/"
        if parts.query:
            path += f"?{parts.query}"
        try:
            raw = dial(self.policy.addresses(host, port, deadline), port, deadline)
        except SMTPFailure as error:
            raise CallFailed(_WHY.get(error.code, "it cannot be reached"), error.code) from error
        with raw, _cut_off(raw, deadline):
            try:
                sock = self._encrypted(raw, host, deadline) if parts.scheme == "https" else raw
                named = _named(parts.scheme, host, port)
                with sock:
                    return _converse(
                        sock, (method, path, body), {"Host": named, **headers}, deadline
                    )
            except ssl.SSLCertVerificationError as error:
                raise CallFailed(
                    gettext("its certificate cannot be trusted"), "certificate_error"
                ) from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                if deadline.passed or isinstance(error, TimeoutError):
                    raise CallFailed(gettext("it did not answer in time")) from error
                raise CallFailed(gettext("the conversation broke off")) from error

    def _encrypted(self, raw: socket.socket, host: str, deadline: Deadline) -> ssl.SSLSocket:
        raw.settimeout(max(deadline.remaining(), 0.01))
        try:
            context = client_context(ca_file=self.ca_file)
        except SMTPFailure as error:
            raise CallFailed(
                gettext("the certificates of this installation cannot be read")
            ) from error
        return context.wrap_socket(raw, server_hostname=host)


def _named(scheme: str, host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == _USUAL_PORTS[scheme] else f"{name}:{port}"


def _converse(
    sock: socket.socket,
    asked: tuple[str, str, bytes | None],
    headers: Mapping[str, str],
    deadline: Deadline,
) -> Answer:
    sock.settimeout(max(deadline.remaining(), 0.01))
    connection = http.client.HTTPConnection("unused")
    connection.sock = sock
    try:
        method, path, body = asked
        connection.request(
            method,
            path,
            body=body,
            headers={"User-Agent": "smtp_admin", "Connection": "close", **headers},
        )
        answer = connection.getresponse()
        read = answer.read(MOST_BYTES + 1)
        if deadline.passed:  # what was cut off looks like the end of an answer
            raise TimeoutError
        told = {name.lower(): text for name, text in answer.getheaders()}
        return Answer(answer.status, told, read[:MOST_BYTES], len(read) > MOST_BYTES)
    finally:
        connection.close()


@contextmanager
def _cut_off(sock: socket.socket, deadline: Deadline) -> Iterator[None]:
    """End the conversation at *deadline*: a server that drips would pass every single timeout."""
    # Another descriptor of the same connection: what encrypts it is in another thread's hands.
    twin = socket.socket(fileno=os.dup(sock.fileno()))

    def cut() -> None:
        with suppress(OSError):
            twin.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(deadline.remaining(), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        twin.close()
