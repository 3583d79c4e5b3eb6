"""What the standard library reads an HTTP answer from: a wire, with a deadline."""

import io

from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.wire import Wire


class Stream(io.BufferedIOBase):
    """The bytes that come over *wire*, until *deadline*; one for the life of a connection.

    What came after an answer stays here, so that nobody takes it for the next answer.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._buffer = bytearray()
        self.deadline = Deadline(0)
        #: Whether the server ended the connection.
        self.ended = False

    @property
    def pending(self) -> bool:
        """Whether something is here that nobody has read."""
        return bool(self._buffer)

    def makefile(self, _mode: str) -> "Stream":
        """Itself: the library asks a socket for a file."""
        return self

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readline(self, limit: int | None = -1) -> bytes:
        """A line with its end; without it at the end of the stream, or at *limit*."""
        most = limit if limit is not None and limit >= 0 else io.DEFAULT_BUFFER_SIZE
        start = 0
        while True:
            end = self._buffer.find(b"\n", start, most)
            if end >= 0:
                return self._take(end + 1)
            start = len(self._buffer)
            if start >= most or not self._more():
                return self._take(most)

    def read(self, size: int | None = -1) -> bytes:
        """So many bytes, or all until the end; fewer only at the end of the stream."""
        wanted = size if size is not None and size >= 0 else None
        while (wanted is None or len(self._buffer) < wanted) and self._more():
            pass
        return self._take(len(self._buffer) if wanted is None else wanted)

    def close(self) -> None:
        """The library closes what it has read; the connection stays open."""

    def _more(self) -> bool:
        received = b"" if self.ended else self._wire.receive(self.deadline)
        self.ended = not received
        self._buffer += received
        return bool(received)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken
