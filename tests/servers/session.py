"""One client's connection to the scripted SMTP server, and what is kept of it."""

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass

__all__ = ["ConversationError", "Received", "Session"]

PEER_GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
CHUNK = 65536
FAREWELL_SECONDS = 1.0


class ConversationError(Exception):
    """The conversation is over; there is nobody left to answer."""


@dataclass(frozen=True)
class Received:
    """One message as it reached the server, dots already taken out.

    `data` is byte for byte what the client sent; `at` is `time.monotonic()` of its last line.
    """

    mail_from: str
    recipients: list[str]
    data: bytes
    session: "Session"
    at: float


class Session:
    """The record of one connection, to be read while it lasts or afterwards.

    `bodies` holds every complete message, `ScriptedServer.messages` only the accepted ones: the
    difference is what a server took without saying so.
    """

    def __init__(self, connection: socket.socket, number: int) -> None:
        self.number = number
        self.began_at = time.monotonic()
        self.commands: list[str] = []
        self.auth_attempts: list[tuple[str, str, str]] = []
        self.bodies: list[Received] = []
        self.used_tls = False
        self.tls_version: str | None = None
        self.handshake_error: str | None = None
        self.flooded = 0
        self.finished = threading.Event()
        self._plain = bytearray()
        self._protected = bytearray()
        self._buffer = bytearray()
        self._socket = connection
        self._closed = False
        self._lock = threading.Lock()
        with contextlib.suppress(OSError):  # the client may have gone already
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __repr__(self) -> str:
        return f"<Session {self.number}: {self.commands}>"

    @property
    def plain_bytes(self) -> bytes:
        """Everything the client sent before TLS, or at all if there was none."""
        return bytes(self._plain)

    @property
    def tls_bytes(self) -> bytes:
        """Everything the client sent under TLS, decrypted."""
        return bytes(self._protected)

    def comes(self, seconds: float) -> bool:
        """Whether more has come already, or does so in time."""
        return bool(self._buffer or select.select([self._socket], [], [], seconds)[0])

    def read_line(self) -> bytes:
        """Return the next line with its line ending.

        Lines that arrived together wait in the buffer, which is all that pipelining needs.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            try:
                chunk = self._socket.recv(CHUNK)
            except OSError as error:
                raise ConversationError("The client broke off.") from error
            if not chunk:
                raise ConversationError("The client closed the connection.")
            self._buffer += chunk
            if self.used_tls:
                self._protected += chunk
            else:
                self._plain += chunk
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return line

    def write(self, data: bytes) -> None:
        """Send bytes as they are.

        A client that has gone away ends the conversation, not the test.
        """
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ConversationError("The client is gone.") from error

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Make the handshake and forget what came in plain text before it.

        Forgetting is the server's half of the protection against injected commands.
        """
        self._buffer.clear()
        try:
            # On a connection that was reset, wrap_socket fails and forgets to close its socket.
            self._socket.getpeername()
            with self._lock:
                self._socket = context.wrap_socket(
                    self._socket, server_side=True, do_handshake_on_connect=False
                )
            self._socket.do_handshake()
        except OSError as error:
            self.handshake_error = str(error)
            raise ConversationError("The TLS handshake failed.") from error
        self.tls_version = self._socket.version()
        self.used_tls = True

    def wait_for_data(self) -> None:
        """Wait until the client has sent something more, or has gone."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | PEER_GONE)
        poll.poll()

    def wait_until_gone(self) -> None:
        """Wait, without reading, until the other side or `abort` ends the connection.

        Unread data stays in the kernel, so a client that is still sending is held up too.
        """
        poll = select.poll()
        poll.register(self._socket, PEER_GONE)
        poll.poll()

    def drain(self) -> None:
        """Read and record plain bytes until the client goes away."""
        with contextlib.suppress(ConversationError):
            while True:
                self.read_line()

    def say_goodbye(self) -> None:
        """End TLS properly, as a server does that closes on purpose."""
        if isinstance(self._socket, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                self._socket.settimeout(0)  # the client's own goodbye is not awaited
                self._socket.unwrap()

    def close(self) -> None:
        """Close so that the client reads an end of file.

        Closing with unread data would make the kernel send a reset, so that data is read away
        first.
        """
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_WR)
            deadline = time.monotonic() + FAREWELL_SECONDS
            while (left := deadline - time.monotonic()) > 0:
                socket.socket.settimeout(self._socket, left)
                if not socket.socket.recv(self._socket, CHUNK):
                    break
        self._release()

    def hang_up(self) -> None:
        """Close with unread data, as a program does that is not polite: the client may be reset.

        What was written before arrives first.
        """
        self._release()

    def reset(self) -> None:
        """Close so that the client gets a TCP reset."""
        with contextlib.suppress(OSError):
            linger_zero = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        self._release()

    def abort(self) -> None:
        """Wake the connection's thread, whatever it is waiting for; any thread may call this.

        The base class's method is called on purpose: the one for TLS sockets takes the TLS state
        away from under a thread that is reading.
        """
        with self._lock, contextlib.suppress(OSError):
            if not self._closed:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _release(self) -> None:
        with self._lock:
            self._closed = True
            self._socket.close()
