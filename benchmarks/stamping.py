"""A tiny mail server that says when each mail was complete.

``python -m benchmarks.stamping PORT`` writes a line for each final dot: the recipient and the
monotonic clock, which all processes of one machine share. A process of its own, so that the
sender's interpreter lock does not delay the stamp.
"""

import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.servers import free_port, stop_process

_GREETING_SECONDS = 10.0


class StampingServer:
    """The server's process, and what it says."""

    def __init__(self) -> None:
        self.port = free_port()
        self._stamps: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.stamping", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._stamps.get(timeout=_GREETING_SECONDS)  # it says when it listens
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stop_process(self._process)
        self._reader.join()

    def wait_for(self, recipient: str, seconds: float) -> int:
        """When the mail to *recipient* was complete, in nanoseconds.

        Raises:
            TimeoutError: it did not come in time.
        """
        ends = time.monotonic() + seconds
        while True:
            try:
                found, moment = self._stamps.get(timeout=max(0.001, ends - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"no mail to {recipient} in {seconds:.0f} s") from None
            if found == recipient:
                return moment

    def wait_for_all(self, recipients: Iterable[str], seconds: float) -> dict[str, int]:
        """When the mails to *recipients* were complete, in nanoseconds; those that came in time."""
        ends = time.monotonic() + seconds
        missing, found = set(recipients), dict[str, int]()
        while missing and (left := ends - time.monotonic()) > 0:
            with suppress(queue.Empty):
                recipient, moment = self._stamps.get(timeout=left)
                found.setdefault(recipient, moment)
                missing.discard(recipient)
        return found

    def _read(self) -> None:
        output = self._process.stdout
        if output is None:  # pragma: no cover - it was asked for
            return
        with output:
            for line in output:
                recipient, _, moment = line.decode().partition(" ")
                self._stamps.put((recipient, int(moment)))


def main(port: int) -> None:
    """Serve until killed."""
    with socket.create_server(("127.0.0.1", port), backlog=50) as server:
        _say("listening")
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_converse, args=(connection,), daemon=True).start()


def _say(what: str) -> None:
    sys.stdout.write(f"{what} {time.monotonic_ns()}\n")
    sys.stdout.flush()


def _converse(connection: socket.socket) -> None:
    recipient = ""
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"220 stamping\r\n")
        for line in lines:
            verb = line[:4].upper()
            answer = b"250 Ok\r\n"
            if verb == b"EHLO":
                answer = b"250-stamping\r\n250-8BITMIME\r\n250 PIPELINING\r\n"
            elif verb == b"RCPT":
                recipient = line.partition(b"<")[2].partition(b">")[0].decode()
            elif verb == b"DATA":
                connection.sendall(b"354 Go on\r\n")
                for part in lines:
                    if part == b".\r\n":
                        break
                _say(recipient)
            elif verb == b"QUIT":
                connection.sendall(b"221 Bye\r\n")
                return
            connection.sendall(answer)


if __name__ == "__main__":
    main(int(sys.argv[1]))
