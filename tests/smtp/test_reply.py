"""Replies: whatever bytes arrive, a reply or one of three errors comes out, in bounded size."""

import base64
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.redaction import MASK, Redactor
from smtp_admin.smtp.reply import Reply
from smtp_admin.smtp.tls import client_context
from smtp_admin.smtp.wire import Wire, WireClosed, WireGarbage, WireTimeout
from tests.examples import examples
from tests.servers.certificates import CertificateFactory


@contextmanager
def wire_with(data: bytes, *, close: bool = True) -> Iterator[Wire]:
    """A wire on which the other side has written *data* and, perhaps, closed."""
    ours, theirs = socket.socketpair()
    wire = Wire(ours)

    def write() -> None:
        try:
            theirs.sendall(data)
            if close:
                theirs.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    writer = threading.Thread(target=write) if len(data) > 50_000 else None
    try:
        if writer is None:
            write()
        else:
            writer.start()
        yield wire
    finally:
        wire.close()
        theirs.close()
        if writer is not None:
            writer.join()


def read(data: bytes, *, close: bool = True) -> Reply:
    with wire_with(data, close=close) as wire:
        return wire.read_reply(Deadline(2 if close else 0.1))


@pytest.mark.parametrize(
    ("data", "code", "lines"),
    [
        (b"250 Ok\r\n", 250, ("Ok",)),
        (b"250\r\n", 250, ("",)),
        (b"250 \r\n", 250, ("",)),
        (b"250-\r\n250 \r\n", 250, ("", "")),
        (b"250-a\r\n250-b\r\n250 c\r\n", 250, ("a", "b", "c")),
        (b"250 Ok\n", 250, ("Ok",)),
        (b"250-a\n250 b\n", 250, ("a", "b")),
        ("250 grüße\r\n".encode(), 250, ("grüße",)),
        (b"250 gr\xfc\xdfe\r\n", 250, ("gr\ufffd\ufffde",)),
        (b"250 a\0b\x1b[1m\x07\r\n", 250, ("a\ufffdb\ufffd[1m\ufffd",)),
        (b"250 a\rb\r\n", 250, ("a\ufffdb",)),
        (b"250 a\xe2\x80\xa8b\xe2\x80\xaec\r\n", 250, ("a\ufffdb\ufffdc",)),
        (b"250-x\r\n250\r\n", 250, ("x", "")),
        (b"250 " + b"x" * 60_000 + b"\r\n", 250, ("x" * 60_000,)),
        (b"250-x\r\n" * 99 + b"250 x\r\n", 250, ("x",) * 100),
        (b"200 x\r\n", 200, ("x",)),
        (b"559 x\r\n", 559, ("x",)),
    ],
)  # fmt: skip
def test_a_reply(data: bytes, code: int, lines: tuple[str, ...]) -> None:
    assert read(data) == Reply(code, lines)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"\n",
        b"2\r\n",
        b"25\r\n",
        b"+25 x\r\n",
        b"-25 x\r\n",
        b" 250 x\r\n",
        b"\xef\xbb\xbf250 x\r\n",
        b"100 x\r\n",
        b"600 x\r\n",
        b"999 x\r\n",
        b"000 x\r\n",
        b"2500 x\r\n",
        b"250x\r\n",
        b"250\tx\r\n",
        b"250_x\r\n",
        b"250+x\r\n",
        b"2024-05-01 a date\r\n",
        b"289 no such digit\r\n",
        b"2O0 x\r\n",
        "２５０ x\r\n".encode(),
        b"HTTP/1.1 200 OK\r\n",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"-ERR what\r\n",
        b"\x16\x03\x01\x00\n",
        b"250-a\r\n251 b\r\n",
        b"250-a\r\nb\r\n",
        b"250-a\r\n\r\n",
        b"250-x\r\n" * 100 + b"250 x\r\n",
        b"250 " + b"x" * 70_000 + b"\r\n",
        b"250-" + b"x" * 1000 + b"\r\n" + b"250-" + b"x" * 65_000 + b"\r\n250 x\r\n",
        b"x" * 70_000,
        b"2" * 70_000,
    ],
    ids=lambda data: repr(data[:20]),
)
def test_no_reply(data: bytes) -> None:
    with pytest.raises(WireGarbage) as caught:
        read(data)
    assert not str(caught.value), "another service's words are not kept"


@pytest.mark.parametrize("data", [b"", b"250", b"250 half a", b"250-a\r\n", b"250-a\r\n25"])
def test_unfinished(data: bytes) -> None:
    with pytest.raises(WireClosed):
        read(data)
    with pytest.raises(WireTimeout):
        read(data, close=False)


def test_two_replies_at_once() -> None:
    with wire_with(b"250 a\r\n550-b\r\n550 c\r\n354 d\r\n") as wire:
        found = [wire.read_reply(Deadline(1)) for _ in range(3)]
        assert found == [Reply(250, ("a",)), Reply(550, ("b", "c")), Reply(354, ("d",))]


def test_reply_in_pieces() -> None:
    ours, theirs = socket.socketpair()
    wire = Wire(ours)

    def drip() -> None:
        for byte in b"250-one\r\n250 two\r\n":
            time.sleep(0.005)
            theirs.sendall(bytes([byte]))

    writer = threading.Thread(target=drip)
    writer.start()
    try:
        assert wire.read_reply(Deadline(5)) == Reply(250, ("one", "two"))
    finally:
        writer.join()
        wire.close()
        theirs.close()


def test_deadline_holds_for_the_whole_reply() -> None:
    """A byte now and then makes each wait short, but not all of them together."""
    ours, theirs = socket.socketpair()
    wire = Wire(ours)
    stop = threading.Event()

    def drip() -> None:
        theirs.sendall(b"250 a")
        while not stop.wait(0.05):
            theirs.sendall(b"x")

    writer = threading.Thread(target=drip)
    writer.start()
    began = time.monotonic()
    try:
        with pytest.raises(WireTimeout):
            wire.read_reply(Deadline(0.4))
        assert time.monotonic() - began < 10
    finally:
        stop.set()
        writer.join()
        wire.close()
        theirs.close()


def test_deadline_holds_for_writing() -> None:
    """A server that does not read cannot hold up who writes."""
    ours, theirs = socket.socketpair()
    wire = Wire(ours)
    began = time.monotonic()
    try:
        with pytest.raises(WireTimeout):
            wire.write(b"x" * 20_000_000, Deadline(0.3))
        assert time.monotonic() - began < 10
        theirs.close()
        with pytest.raises(WireClosed):
            wire.write(b"x", Deadline(0.3))
    finally:
        wire.close()
        theirs.close()


def test_what_has_left_under_encryption_is_not_counted_as_unsent(
    certificates: CertificateFactory,
) -> None:
    """Else a mail that the server has in full would be taken for one that it cannot have.

    Of one record it is never known: 16 KB at most.
    """
    ours, theirs = socket.socketpair()
    for one in (ours, theirs):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    server = certificates.server_context(certificates.valid())
    received = bytearray()

    def read_some() -> None:
        with server.wrap_socket(theirs, server_side=True) as encrypted:
            while len(received) < 200_000:
                received.extend(encrypted.recv(65536))

    reader = threading.Thread(target=read_some)
    reader.start()
    wire = Wire(ours)
    try:
        wire.start_tls(client_context(verify=False, ca_file=None), "localhost", Deadline(5))
        with pytest.raises((WireClosed, WireTimeout)):
            wire.write(b"x" * 500_000, Deadline(5))
        reader.join()
        assert len(received) <= 500_000 - wire.unsent + 16 * 1024
    finally:
        wire.close()
        theirs.close()


def test_closed_wire_is_closed() -> None:
    """After a failed handshake, or after ``close``, there is no socket; that is no other error."""
    with wire_with(b"250 Ok\r\n") as wire:
        wire.close()
        with pytest.raises(WireClosed):
            wire.write(b"QUIT\r\n", Deadline(1))
        with pytest.raises(WireClosed):
            wire.read_reply(Deadline(1))
        assert not wire.is_idle()


CODE = st.one_of(st.sampled_from([b"220", b"250", b"354", b"421", b"550", b"2", b"999"]),
                 st.binary(max_size=4))  # fmt: skip
LINE = st.builds(lambda *parts: b"".join(parts), CODE, st.sampled_from([b" ", b"-", b"", b"\t"]),
                 st.binary(max_size=30), st.sampled_from([b"\r\n", b"\n", b"\r", b""]))  # fmt: skip
STREAM = st.one_of(st.binary(max_size=300), st.lists(LINE, max_size=8).map(b"".join))


@given(STREAM)
@settings(max_examples=examples(400))
@example(b"250 5.\xd9\xa7.1 digits of another script\r\n")
def test_any_bytes(data: bytes) -> None:
    """A reply with codes and printable text of bounded length, or one of the wire's errors."""
    try:
        reply = read(data)
    except (WireClosed, WireGarbage):
        return
    assert 200 <= reply.code <= 599
    assert len(reply.lines) <= 100
    assert all(line.isprintable() for line in reply.lines)
    assert len(reply.text) <= 200
    assert str(reply).startswith(str(reply.code))
    assert reply.as_json() == {
        "code": reply.code, "enhanced": reply.enhanced, "text": reply.text
    }  # fmt: skip
    assert reply.positive + reply.temporary + reply.permanent <= 1
    if reply.enhanced is not None:
        assert reply.enhanced.isascii()
        assert reply.enhanced[0] == str(reply.code)[0]


@pytest.mark.parametrize(
    ("code", "lines", "enhanced", "text"),
    [
        (550, ("5.1.1 no such user",), "5.1.1", "no such user"),
        (550, ("5.1.1",), "5.1.1", ""),
        (550, ("5.7.133 RESOLVER.RST",), "5.7.133", "RESOLVER.RST"),
        (550, ("5.1.1 one", "5.1.1 two"), "5.1.1", "one two"),
        (550, ("5.1.1 one", "two"), "5.1.1", "one two"),
        (250, ("5.1.1 no such user",), None, "5.1.1 no such user"),
        (450, ("5.1.1 x",), None, "5.1.1 x"),
        (550, ("4.2.1 x",), None, "4.2.1 x"),
        (550, ("first", "5.1.1 second"), None, "first 5.1.1 second"),
        (550, ("5.1.1x",), None, "5.1.1x"),
        (550, ("5.1",), None, "5.1"),
        (550, ("5.1234.1 x",), None, "5.1234.1 x"),
        (550, ("3.1.1 x",), None, "3.1.1 x"),
        (550, (" 5.1.1 x",), None, "5.1.1 x"),
        (550, ("5.٧.1 x",), None, "5.٧.1 x"),
        (354, ("2.0.0 go",), None, "2.0.0 go"),
        (250, ("",), None, ""),
        (250, (), None, ""),
        (550, ("x" * 300,), None, "x" * 199 + "…"),
    ],
)
def test_enhanced_code_and_text(
    code: int, lines: tuple[str, ...], enhanced: str | None, text: str
) -> None:
    reply = Reply(code, lines)
    assert (reply.enhanced, reply.text) == (enhanced, text)


@given(st.text(min_size=3), st.text(), st.text(), st.text())
def test_redactor_leaves_no_form_of_the_secret(
    password: str, username: str, before: str, after: str
) -> None:
    raws = [part.encode("utf-8", "ignore").decode() for part in (password, username, before, after)]
    password, username, before, after = raws
    if len(password) < 3 or password in MASK * 2:
        return
    redact = Redactor([password], username)
    secrets = (password, f"\0{username}\0{password}")
    for form in (password, *(base64.b64encode(one.encode()).decode() for one in secrets)):
        hidden = redact(f"{before}|{form}|{after}")
        assert f"|{form}|" not in hidden
        assert MASK in hidden
