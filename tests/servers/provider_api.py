"""A provider's API on loopback: real HTTP/1.1 over real sockets, which answers as a test says."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

__all__ = ["Call", "ProviderAPI", "Response"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request, whole."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered.

    Attributes:
        raw: sent as it is, in place of all others.
        cut: hang up after so many bytes of it.
        drip: seconds between two bytes.
        hang: answer nothing until the client is gone.
        close: hang up after it.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    cut: int | None = None
    drip: float = 0.0
    hang: bool = False
    close: bool = False

    @classmethod
    def of(cls, document: object, status: int = 200, **headers: str) -> "Response":
        """A JSON document."""
        names = {name.replace("_", "-"): text for name, text in headers.items()}
        body = json.dumps(document).encode()
        return cls(status, body, {"Content-Type": "application/json", **names})

    def bytes(self) -> bytes:
        """As it goes over the wire."""
        if self.raw is not None:
            return self.raw
        lines = [f"HTTP/1.1 {self.status} Said", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {text}" for name, text in self.headers.items()]
        if self.close:
            lines.append("Connection: close")
        return "\r\n".join((*lines, "", "")).encode() + self.body


#: Decides by the request; ``None`` hangs up without a word.
Answering = Callable[[Call], Response | None]


class ProviderAPI:
    """On 127.0.0.1, with a thread for each connection.

    Attributes:
        calls: what arrived, whole.
        connections: how many were opened.
        begun: called with the head of a request, before its body is read; ``False`` hangs up.
        hangs: set when a request is left without an answer.
    """

    def __init__(self, answering: Answering, context: ssl.SSLContext | None = None) -> None:
        self.answering = answering
        self.calls: list[Call] = []
        self.connections = 0
        self.begun: Callable[[Call], bool] = lambda _: True
        self.hangs = threading.Event()
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._ended = False

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    @property
    def url(self) -> str:
        """Its address."""
        scheme, host = ("https", "localhost") if self._context else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}"

    def hang_up(self) -> None:
        """Close all connections, as a server does with silent ones."""
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    socket.socket.shutdown(one, socket.SHUT_RDWR)

    def __enter__(self) -> "ProviderAPI":
        self._threads.append(threading.Thread(target=self._accept))
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended = True
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.hang_up()
        for one in self._threads:
            one.join(10)
            assert not one.is_alive()

    def _accept(self) -> None:
        while not self._ended:
            try:
                raw, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(raw,))
            with self._lock:
                self.connections += 1
                self._open.add(raw)
                self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        own = raw
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                own = self._context.wrap_socket(raw, server_side=True)
                with self._lock:
                    self._open.add(own)
            with own.makefile("rb") as reader:
                while self._one(own, reader):
                    pass
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open -= {raw, own}
            own.close()

    def _one(self, sock: socket.socket, reader: object) -> bool:
        readline, read = reader.readline, reader.read  # type: ignore[attr-defined]
        first = readline().decode()
        if not first:
            return False
        method, path, _ = first.split(" ")
        headers = {}
        while line := readline().decode().strip():
            name, _, text = line.partition(":")
            headers[name.lower()] = text.strip()
        if not self.begun(Call(method, path, headers, b"")):
            return False
        body = read(int(headers.get("content-length", 0)))
        if len(body) < int(headers.get("content-length", 0)):
            return False
        call = Call(method, path, headers, body)
        with self._lock:
            self.calls.append(call)
        response = self.answering(call)
        if response is None:
            return False
        if response.hang:
            self.hangs.set()
            read(1)
            return False
        return self._answer(sock, response)

    def _answer(self, sock: socket.socket, response: Response) -> bool:
        said = response.bytes()
        if response.cut is not None:
            sock.sendall(said[: response.cut])
            return False
        if response.drip:
            pause = threading.Event()
            for at in range(len(said)):
                sock.sendall(said[at : at + 1])
                if self._ended or pause.wait(response.drip):
                    return False
        else:
            sock.sendall(said)
        return not response.close
