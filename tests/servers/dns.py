"""A real name server in threads, over UDP and TCP, whose answers and faults a test chooses."""

import contextlib
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset

from . import free_port
from .lifetime import ThreadedServer

__all__ = [
    "DNSServer",
    "Delay",
    "Fail",
    "Forge",
    "Garbage",
    "Query",
    "Silence",
    "Then",
    "Truncate",
]

START_ATTEMPTS = 20
LONGEST_CHAIN = 20
LONGEST_STRING = 250
UDP_BYTES = 512  # what fits without EDNS


class Query(NamedTuple):
    """One question as it arrived; ``over`` is ``udp`` or ``tcp``."""

    name: str
    kind: str
    over: str


@dataclass(frozen=True)
class Fail:
    """Answers with a response code, such as ``SERVFAIL`` or ``REFUSED``, and no records."""

    rcode: str = "SERVFAIL"


@dataclass(frozen=True)
class Silence:
    """Never answers; over TCP the connection stays open."""


@dataclass(frozen=True)
class Garbage:
    """Answers with bytes that are no DNS message."""

    data: bytes = b"HTTP/1.1 400 Bad Request\r\n\r\n"


@dataclass(frozen=True)
class Truncate:
    """Answers UDP with nothing but the mark "too long", and TCP with the records, if it may."""

    records: tuple[str, ...]
    tcp: bool = True


@dataclass(frozen=True)
class Delay:
    """Answers with the records after some seconds, or sooner when the server ends."""

    seconds: float
    records: tuple[str, ...] = ()


@dataclass(frozen=True)
class Forge:
    """Sends an answer under a wrong number first, as somebody who guesses would; then the true."""

    forged: tuple[str, ...]
    records: tuple[str, ...]


class Then:
    """A different answer each time; the last one repeats. This is how names are rebound."""

    def __init__(self, *steps: "Step") -> None:
        self.steps = steps


Step = Sequence[str] | Fail | Silence | Garbage | Truncate | Delay | Forge
Records = Mapping[tuple[str, str], Step | Then]


class DNSServer(ThreadedServer):
    """A name server on 127.0.0.1 that knows exactly the *records* it was given.

    Keys are name and kind (``("example.com", "MX")``), values the texts of the records as in a
    zone file, but that a text needs no quotes. A ``CNAME`` is followed. A name that stands
    nowhere does not exist.
    """

    host = "127.0.0.1"

    def __init__(self, records: Records | None = None) -> None:
        super().__init__()
        self.records: dict[tuple[str, str], Step | Then] = {}
        self.queries: list[Query] = []
        self.port = 0
        self.stopping = threading.Event()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._servers: list[socketserver.BaseServer] = []
        self._threads: list[threading.Thread] = []
        for key, step in (records or {}).items():
            self.records[_key(*key)] = step

    @property
    def address(self) -> tuple[str, int]:
        """Where to ask."""
        return self.host, self.port

    def set(self, name: str, kind: str, step: "Step | Then") -> None:
        """Answer this question differently from now on."""
        with self._lock:
            self.records[_key(name, kind)] = step
            self._counts[_key(name, kind)] = 0

    def asked(self, name: str, kind: str) -> int:
        """How often a question arrived, over UDP and TCP together."""
        wanted = _key(name, kind)
        with self._lock:
            return sum((one.name, one.kind) == wanted for one in self.queries)

    def start(self) -> None:
        """Listen on one port for UDP and TCP."""
        for attempt in range(START_ATTEMPTS):
            port = free_port(self.host)
            try:
                udp = _UDPServer((self.host, port), _UDPHandler)
            except OSError:
                continue
            try:
                tcp = _TCPServer((self.host, port), _TCPHandler)
            except OSError:
                udp.server_close()
                if attempt == START_ATTEMPTS - 1:
                    raise
                continue
            break
        self.port = port
        for server in (udp, tcp):
            server.zone = self
            self._servers.append(server)
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop listening and wait for whatever is still being answered."""
        self.stopping.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()
        self._servers.clear()
        self._threads.clear()

    def answers(self, wire: bytes, over: str) -> list[bytes]:
        """What to send for the question in *wire*, in this order."""
        try:
            query = dns.message.from_wire(wire)
            question = query.question[0]
        except (dns.exception.DNSException, IndexError):
            return []
        kind = dns.rdatatype.to_text(question.rdtype)
        key = _key(question.name.to_text(), kind)
        step = self._next(key, over)
        if isinstance(step, Silence):
            return []
        if isinstance(step, Garbage):
            return [step.data]
        if isinstance(step, Fail):
            response = dns.message.make_response(query)
            response.set_rcode(dns.rcode.from_text(step.rcode))
            return [response.to_wire()]
        if isinstance(step, Delay):
            self.stopping.wait(step.seconds)
            return [_packed(_response(query, key, step.records), over)]
        if isinstance(step, Forge):
            wrong = _response(query, key, step.forged)
            wrong.id = (query.id + 1) % 65536
            return [wrong.to_wire(), _packed(_response(query, key, step.records), over)]
        if isinstance(step, Truncate):
            if over == "udp":
                response = dns.message.make_response(query)
                response.flags |= dns.flags.TC
                return [response.to_wire()]
            return [_response(query, key, step.records).to_wire()] if step.tcp else []
        return [_packed(self._resolved(query, key, step), over)]

    def _next(self, key: tuple[str, str], over: str) -> "Step | None":
        with self._lock:
            self.queries.append(Query(*key, over))
            step = self.records.get(key)
            if isinstance(step, Then):
                count = self._counts[key]
                self._counts[key] += 1
                step = step.steps[min(count, len(step.steps) - 1)]
            return step

    def _resolved(
        self, query: dns.message.Message, key: tuple[str, str], step: Sequence[str] | None
    ) -> dns.message.Message:
        """The records, at the end of whatever chain of aliases leads to them."""
        name, kind = key
        chain: list[tuple[str, str]] = []
        while step is None and len(chain) < LONGEST_CHAIN:
            alias = self.records.get((name, "CNAME"))
            if not isinstance(alias, Sequence):
                break
            chain.append((name, alias[0]))
            name = _key(alias[0], kind)[0]
            found = self.records.get((name, kind))
            step = found if isinstance(found, Sequence) else None
        response = _response(query, (name, kind), step or ())
        for position, (alias_name, target) in enumerate(chain):
            response.answer.insert(position, _rrset(alias_name, "CNAME", [target]))
        # A name that only stands above others exists, too (RFC 8020).
        if step is None and not any(f".{one}".endswith(f".{name}") for one, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response


def _key(name: str, kind: str) -> tuple[str, str]:
    return name.lower().removesuffix("."), kind.upper()


def _rrset(name: str, kind: str, texts: Sequence[str]) -> dns.rrset.RRset:
    found = dns.rrset.RRset(
        dns.name.from_text(name), dns.rdataclass.IN, dns.rdatatype.from_text(kind)
    )
    for text in texts:
        found.add(dns.rdata.from_text("IN", kind, _written(kind, text), relativize=False), ttl=0)
    return found


def _written(kind: str, text: str) -> str:
    """As a zone file has it: a text is cut into quoted strings, unless it is quoted already."""
    if kind != "TXT" or text.startswith('"'):
        return text
    pieces = [text[start : start + LONGEST_STRING] for start in range(0, len(text), LONGEST_STRING)]
    escaped = (piece.replace("\\", "\\\\").replace('"', '\\"') for piece in pieces or [""])
    return " ".join(f'"{piece}"' for piece in escaped)


def _response(
    query: dns.message.Message, key: tuple[str, str], texts: Sequence[str]
) -> dns.message.Message:
    response = dns.message.make_response(query, recursion_available=True)
    if texts:
        response.answer.append(_rrset(*key, texts))
    return response


def _packed(response: dns.message.Message, over: str) -> bytes:
    """In one datagram if it fits, else only the mark that it does not."""
    wire = response.to_wire(max_size=65535)
    if over == "udp" and len(wire) > UDP_BYTES:
        response.answer.clear()
        response.flags |= dns.flags.TC
        wire = response.to_wire()
    return wire


class _UDPServer(socketserver.ThreadingUDPServer):
    zone: DNSServer
    daemon_threads = True


class _TCPServer(socketserver.ThreadingTCPServer):
    zone: DNSServer
    allow_reuse_address = True
    daemon_threads = True


class _UDPHandler(socketserver.BaseRequestHandler):
    server: _UDPServer

    def handle(self) -> None:
        wire, sock = self.request
        try:
            for answer in self.server.zone.answers(wire, "udp"):
                with contextlib.suppress(OSError):  # the server ended meanwhile
                    sock.sendto(answer, self.client_address)
        except Exception as error:  # noqa: BLE001 - kept, and raised when the server ends
            self.server.zone.errors.append(error)


class _TCPHandler(socketserver.BaseRequestHandler):
    server: _TCPServer

    def handle(self) -> None:
        zone = self.server.zone
        sock: socket.socket = self.request
        sock.settimeout(0.05)
        try:
            size = self._read(sock, 2)
            wire = self._read(sock, struct.unpack("!H", size)[0]) if size else b""
            answers = zone.answers(wire, "tcp") if wire else []
            for answer in answers:
                sock.settimeout(5)
                sock.sendall(struct.pack("!H", len(answer)) + answer)
            if not answers:
                while not zone.stopping.is_set() and self._open(sock):
                    pass
        except OSError:  # the client went away
            pass
        except Exception as error:  # noqa: BLE001 - kept, and raised when the server ends
            zone.errors.append(error)

    def _read(self, sock: socket.socket, size: int) -> bytes:
        data = b""
        deadline = time.monotonic() + 5
        while len(data) < size and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                received = sock.recv(size - len(data))
                if not received:
                    return b""
                data += received
        return data if len(data) == size else b""

    @staticmethod
    def _open(sock: socket.socket) -> bool:
        try:
            return bool(sock.recv(1))
        except TimeoutError:
            return True
