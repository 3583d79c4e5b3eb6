"""A server, as of mail, that says nothing any more from some point on, to however many ask."""

import selectors
import socket
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

__all__ = ["SILENCES", "Silence", "SilentServer"]

#: What is never answered: the packet that asks for a connection, the connection, a final dot.
Silence = Literal["connect", "greeting", "dot"]
SILENCES: tuple[Silence, ...] = ("connect", "greeting", "dot")
_ESTABLISHED, _SYN_SENT = "01", "02"
_BACKLOG = 4096
_ANSWERS = {
    b"EHLO": b"250-silent\r\n250 PIPELINING\r\n",
    b"DATA": b"354 Go on\r\n",
    b"QUIT": b"221 Bye\r\n",
}


class SilentServer:
    """One server on loopback; it costs a thread at most."""

    def __init__(self, silence: Silence) -> None:
        self._silence = silence
        self._listener = socket.socket()
        self._fillers: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._listener.bind(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._listener.listen(0 if self._silence == "connect" else _BACKLOG)
        if self._silence == "connect":
            self._fill()
        if self._silence == "dot":
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._thread = threading.Thread(target=self._serve, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        for key in list(self._selector.get_map().values()):
            self._close(key.fileobj)  # type: ignore[arg-type]  # a socket was registered
        self._selector.close()
        for one in (self._listener, *self._fillers):
            one.close()

    @property
    def conversations(self) -> int:
        """How many others have with it just now, or try to have."""
        wanted = f"0100007F:{self.port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        states = {_ESTABLISHED, _SYN_SENT}
        open_ones = [row for row in rows if row[2] == wanted and row[3] in states]
        return len(open_ones) - len(self._fillers)

    def came(self) -> int:
        """How many connected since this was asked last, also if they have left; of ``greeting``."""
        count = 0
        self._listener.setblocking(False)
        while True:
            try:
                self._listener.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1

    def _fill(self) -> None:
        """Take what the system would accept by itself; who comes later is not even refused."""
        for _ in range(2):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(one)

    def _serve(self) -> None:
        talks: dict[int, bytearray | None] = {}
        while not self._over.is_set():
            for key, _ in self._selector.select(timeout=0.2):
                if key.fileobj is self._listener:
                    made, _ = self._listener.accept()
                    made.sendall(b"220 silent\r\n")
                    talks[made.fileno()] = bytearray()
                    self._selector.register(made, selectors.EVENT_READ)
                else:
                    self._hear(key.fileobj, talks)  # type: ignore[arg-type]  # the other sockets

    def _hear(self, talking: socket.socket, talks: dict[int, bytearray | None]) -> None:
        try:
            received = talking.recv(65536)
        except OSError:
            received = b""
        if not received:
            del talks[talking.fileno()]
            self._close(talking)
            return
        heard = talks[talking.fileno()]
        if heard is None:
            return  # the mail, and its end is not answered
        heard += received
        while (end := heard.find(b"\r\n")) >= 0:
            verb = bytes(heard[:4])
            del heard[: end + 2]
            talking.sendall(_ANSWERS.get(verb, b"250 Ok\r\n"))
            if verb == b"DATA":
                talks[talking.fileno()] = None
                return

    def _close(self, one: socket.socket) -> None:
        self._selector.unregister(one)
        # At once: thousands of ports in waiting would make the count wrong.
        if one is not self._listener:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
