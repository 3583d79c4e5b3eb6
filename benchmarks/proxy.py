"""A long way to the mail server: a TCP proxy that delays each direction.

``python -m benchmarks.proxy LISTEN TARGET SECONDS``. Bandwidth is not limited and nothing waits
for what goes before it: each piece leaves exactly *seconds* after it came. Threads that sleep are
used because an event loop's timers are a millisecond coarse, a tenth of what is measured.
"""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue

from tests.servers import free_port, stop_process

_CHUNK = 256 * 1024
_SOON = 5.0


@contextmanager
def distant(port: int, seconds: float) -> Iterator[int]:
    """A port of 127.0.0.1 that is *seconds* away from *port*, in a process of its own."""
    listen = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.proxy", str(listen), str(port), str(seconds)],
        stdin=subprocess.DEVNULL,
    )
    try:
        _wait_until_open(process, listen)
        yield listen
    finally:
        stop_process(process)


def _wait_until_open(process: "subprocess.Popen[bytes]", port: int) -> None:
    ends = time.monotonic() + _SOON
    while process.poll() is None and time.monotonic() < ends:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError("the delaying proxy did not start")


def main(listen: int, target: int, seconds: float) -> None:
    """Serve until killed."""
    with socket.create_server(("127.0.0.1", listen), backlog=100) as server:
        while True:
            near, _ = server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", target))
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _start(near, far, seconds)
            _start(far, near, seconds)


def _start(source: socket.socket, drain: socket.socket, seconds: float) -> None:
    pieces: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
    threading.Thread(target=_read, args=(source, pieces, seconds), daemon=True).start()
    threading.Thread(target=_write, args=(drain, pieces), daemon=True).start()


def _read(source: socket.socket, pieces: SimpleQueue[tuple[float, bytes]], seconds: float) -> None:
    while True:
        try:
            data = source.recv(_CHUNK)
        except OSError:
            data = b""
        pieces.put((time.monotonic() + seconds, data))
        if not data:
            return


def _write(drain: socket.socket, pieces: SimpleQueue[tuple[float, bytes]]) -> None:
    with suppress(OSError):
        while True:
            due, data = pieces.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                break
            drain.sendall(data)
    # The other direction still reads from this socket, so it is only half closed.
    with suppress(OSError):
        drain.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
