"""The socket: whole replies in, whole commands out, each within a deadline and a size.

A hostile server can answer one byte at a time, or with lines without end (3 GB of memory in six
seconds with the standard library's client). Both end here.
"""

import re
import socket
import ssl
from contextlib import suppress
from functools import lru_cache

from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.redaction import printable
from smtp_admin.smtp.reply import Reply

_MAX_REPLY_BYTES = 64 * 1024
_MAX_REPLY_LINES = 100
_CHUNK = 64 * 1024
_MOST_AT_ONCE = 1024 * 1024
#: Under encryption, so many bytes of what counts as unsent may have left all the same.
TLS_RECORD = 16 * 1024
_LOOK_AGAIN_SECONDS = 1.0
_BEGINNING = re.compile(rb"\Z|[2-5](\Z|[0-9](\Z|[0-9](\Z|[ \r\n-])))")
_SHORTEST_REPLY, _SPACE = len(b"250 "), ord(" ")
_LINE = re.compile(rb"([23][0-5][0-9]|[45][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)


class WireClosed(Exception):
    """The server closed or reset the connection."""


class WireTimeout(Exception):
    """The deadline passed."""


class WireGarbage(Exception):
    """What came is no SMTP reply; its text is not kept, because it may be another service's."""


@lru_cache(maxsize=64)
def _one_line(line: bytes) -> Reply | None:
    """*line* as a whole reply, or ``None``; remembered, because servers say the same each time."""
    found = _LINE.fullmatch(line.rstrip(b"\r\n"))
    if found is None:
        return None
    return Reply(int(found[1]), (printable((found[3] or b"").decode("utf-8", "replace")),))


class Wire:
    """A connection, plain at first, perhaps encrypted later."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        #: The timeout that is set on the socket, or ``None`` where that is not known.
        self._timeout: float | None = None
        #: Bytes of the last write that never left, if it failed.
        self.unsent = 0

    @property
    def local_address(self) -> str:
        """Our own address on this connection; empty if it is gone already."""
        try:
            return str(self._sock.getsockname()[0])
        except OSError:
            return ""

    @property
    def peer_address(self) -> str:
        """The server's address; empty if it hung up already."""
        try:
            return str(self._sock.getpeername()[0])
        except OSError:
            return ""

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The encrypted socket, once it is one."""
        return self._sock if isinstance(self._sock, ssl.SSLSocket) else None

    @property
    def pending(self) -> bool:
        """Whether something came that nobody has read yet."""
        return bool(self._buffer)

    def is_idle(self) -> bool:
        """Whether the connection is open and silent, as it should be between two mails.

        A server that sends something unasked (a ``421`` before it closes) is not.
        """
        if self._buffer:
            return False
        self._timeout = None
        try:
            self._sock.settimeout(0)
            received = self._sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        self._buffer += received
        return False

    def start_tls(self, context: ssl.SSLContext, server_hostname: str, deadline: Deadline) -> None:
        """Encrypt the connection.

        Raises:
            ssl.SSLError: the handshake failed; ``SSLCertVerificationError`` for the certificate.
            WireTimeout: it took too long.
            WireClosed: the server went away.
        """
        plain = self._sock
        self._timeout = None
        plain.settimeout(max(deadline.remaining(), 0.001))
        try:
            # Wrapping a connection that was reset already would leak it (Python 3.11).
            plain.getpeername()
            # Ours before the handshake, so that another thread can end that as well.
            self._sock = encrypted = context.wrap_socket(
                plain, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            try:
                encrypted.do_handshake()
            except BaseException:
                encrypted.close()
                raise
        except TimeoutError as error:
            raise WireTimeout from error
        # Which of the two a hang-up becomes depends on the version of Python.
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise WireClosed from error
        except ssl.SSLError:
            raise
        except OSError as error:
            raise WireClosed from error

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Send all of *data*.

        Raises:
            WireTimeout: the server did not take it in time.
            WireClosed: the server went away.
        """
        view = memoryview(data)
        self.unsent = len(view)
        # Of what fails, nobody knows how many of its records have left: one at a time.
        most = TLS_RECORD if self.tls else _MOST_AT_ONCE
        while view:
            self._prepare(deadline)
            try:
                sent = self._sock.send(view[:most])
            except TimeoutError:
                continue
            except OSError as error:
                raise WireClosed from error
            view = view[sent:]
            self.unsent = len(view)

    def reply_at_hand(self) -> Reply | None:
        """The next reply if all of it has come already, in one line; nothing is waited for."""
        end = self._buffer.find(b"\n")
        if not _SHORTEST_REPLY <= end < _MAX_REPLY_BYTES or self._buffer[3] != _SPACE:
            return None
        line = bytes(self._buffer[: end + 1])
        reply = _one_line(line)
        if reply is not None:
            del self._buffer[: end + 1]
        return reply

    def read_reply(self, deadline: Deadline) -> Reply:
        """The next reply, all of its lines.

        Raises:
            WireTimeout: it was not complete in time.
            WireClosed: the server went away.
            WireGarbage: it is no SMTP reply, or too large for one.
        """
        code = b""
        lines: list[str] = []
        size = 0
        while True:
            line = self._read_line(deadline, _MAX_REPLY_BYTES - size)
            size += len(line)
            found = _LINE.fullmatch(line.rstrip(b"\r\n"))
            if found is None or (code and found[1] != code) or len(lines) >= _MAX_REPLY_LINES:
                raise WireGarbage
            code = found[1]
            lines.append(printable((found[3] or b"").decode("utf-8", "replace")))
            if found[2] != b"-":
                return Reply(int(code), tuple(lines))

    def receive(self, deadline: Deadline) -> bytes:
        """Whatever comes next, for what is not spoken in replies; empty at the end.

        Raises:
            WireTimeout: nothing came in time.
            WireClosed: the connection broke off.
        """
        received = bytes(self._buffer)
        self._buffer.clear()
        while not received:
            self._prepare(deadline)
            try:
                received = self._sock.recv(_CHUNK)
            except TimeoutError:
                continue
            except OSError as error:
                raise WireClosed from error
            if not received:
                break
        return received

    def shut_down(self) -> None:
        """End the connection from another thread: whoever waits on it stops waiting."""
        with suppress(OSError):
            # The method of the plain socket: TLS must not begin a closing handshake here.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection, whatever state it is in."""
        with suppress(OSError):
            self._sock.close()

    def _read_line(self, deadline: Deadline, limit: int) -> bytes:
        start = 0
        while True:
            end = self._buffer.find(b"\n", start)
            if end >= 0:
                if end >= limit:
                    raise WireGarbage
                line = bytes(self._buffer[: end + 1])
                del self._buffer[: end + 1]
                return line
            start = len(self._buffer)
            # What does not begin like a reply need not be waited for to the end of its line.
            if start >= limit or not _BEGINNING.match(self._buffer):
                raise WireGarbage
            self._prepare(deadline)
            try:
                received = self._sock.recv(_CHUNK)
            except TimeoutError:
                continue
            except OSError as error:
                raise WireClosed from error
            if not received:
                raise WireClosed
            self._buffer += received

    def _prepare(self, deadline: Deadline) -> None:
        """Make the next wait end with *deadline*, or look at it again after a second.

        Setting a socket's timeout is a system call, so the second stays set while it fits.
        """
        left = deadline.remaining()
        if left <= 0:
            raise WireTimeout
        wanted = min(left, _LOOK_AGAIN_SECONDS)
        if self._timeout is None or wanted < self._timeout or self._timeout < wanted / 2:
            try:
                self._sock.settimeout(wanted)
            except OSError as error:  # a handshake that failed has closed it
                raise WireClosed from error
            self._timeout = wanted
