"""One HTTP POST over the guarded dialler: no redirect is followed, and nobody is waited for long.

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
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.dialling import DiallingPolicy, dial
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.hostname import clean_host
from smtp_admin.smtp.tls import client_context

#: For name, connection, encryption and answer together.
SECONDS = 10.0
#: More of an answer is not read.
MOST_BYTES = 64 * 1024
_USUAL_PORTS = {"http": 80, "https": 443}
#: Why there was no connection; not the words for mail servers.
_WHY = {
    "destination_not_allowed": "it leads to an address that this platform does not connect to "
    "(SMTP_ADMIN_ALLOWED_NETWORKS)",
    "dns_failed": "its name could not be looked up",
    "connection_refused": "nothing listens there",
    "timeout": "it did not answer in time",
    "tls_failed": "no encryption could be agreed",
}


class CallFailed(Exception):
    """It did not work; says why without the address, which may be a secret."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What calls are made with.

    Attributes:
        policy: decides by addresses; the port is the one that the operator's URL names.
        ca_file: authorities beside the system's.
    """

    policy: DiallingPolicy
    ca_file: Path | None = None
    seconds: float = SECONDS

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send *body* to *url*; the status that was answered.

        Raises:
            CallFailed: there was no whole answer.
        """
        deadline = Deadline(self.seconds)
        parts = urlsplit(url)
        try:
            host = clean_host(parts.hostname or "")
        except ValueError as error:
            raise CallFailed("its host name cannot be used") from error
        port = parts.port or _USUAL_PORTS[parts.scheme]
        path = parts.path or "/"
        if parts.query:
            path += f"?{parts.query}"
        try:
            raw = dial(self.policy.addresses(host, port, deadline), port, deadline)
        except SMTPFailure as error:
            raise CallFailed(_WHY.get(error.code, "it cannot be reached")) from error
        with raw, _cut_off(raw, deadline):
            try:
                return self._ask(raw, parts.scheme, host, port, path, body, headers, deadline)
            except ssl.SSLCertVerificationError as error:
                raise CallFailed("its certificate cannot be trusted") from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                if deadline.passed or isinstance(error, TimeoutError):
                    raise CallFailed("it did not answer in time") from error
                raise CallFailed("the conversation broke off") from error

    def _ask(
        self,
        raw: socket.socket,
        scheme: str,
        host: str,
        port: int,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        deadline: Deadline,
    ) -> int:
        raw.settimeout(max(deadline.remaining(), 0.01))
        own = raw
        if scheme == "https":
            try:
                context = client_context(ca_file=self.ca_file)
            except SMTPFailure as error:
                raise CallFailed("the certificates of this installation cannot be read") from error
            own = context.wrap_socket(raw, server_hostname=host)
        named = f"[{host}]" if ":" in host else host
        usual = port == _USUAL_PORTS[scheme]
        connection = http.client.HTTPConnection(host, port, timeout=self.seconds)
        connection.sock = own
        try:
            connection.request(
                "POST",
                path,
                body=body,
                headers={
                    "Host": named if usual else f"{named}:{port}",
                    "User-Agent": "smtp_admin",
                    "Connection": "close",
                    **headers,
                },
            )
            answer = connection.getresponse()
            answer.read(MOST_BYTES)
            if deadline.passed:  # what was cut off looks like the end of an answer
                raise TimeoutError
            return answer.status
        finally:
            connection.close()
            own.close()


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
