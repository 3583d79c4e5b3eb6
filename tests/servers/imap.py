"""A small IMAP server on loopback: one mailbox, and the ways in which servers misbehave."""

import base64
import re
import socket
import ssl
import threading
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass, field

__all__ = ["ImapServer"]


@dataclass
class ImapServer:
    """Serves *mails*, by their numbers, to who knows the login.

    Attributes:
        starttls: plain at first, encrypted after STARTTLS; else from the first byte.
        answers: command → what is sent instead of the usual answer; ``{tag}`` is the client's.
        injected: what is sent in plain text together with the answer to STARTTLS.
        tokens: those that open the mailbox too, by XOAUTH2 or OAUTHBEARER.
    """

    context: ssl.SSLContext
    mails: dict[int, bytes] = field(default_factory=dict)
    starttls: bool = False
    username: str = "bounce@acme.example"
    password: str = "correct horse"
    folders: tuple[str, ...] = ("INBOX",)
    validity: int = 7
    capabilities: str = "IMAP4rev1 STARTTLS"
    greeting: bytes = b"* OK ready\r\n"
    answers: dict[str, bytes] = field(default_factory=dict)
    injected: bytes = b""
    tokens: Container[str] = ()
    seen: set[int] = field(default_factory=set)
    said: list[str] = field(default_factory=list)

    def __enter__(self) -> "ImapServer":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                made, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(made,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, made: socket.socket) -> None:
        self._sockets.append(made)
        with suppress(OSError, ssl.SSLError):
            if not self.starttls:
                made = self._wrapped(made)
            made.sendall(self.greeting)
            self._talk(made)
        with suppress(OSError):
            made.close()

    def _wrapped(self, made: socket.socket) -> socket.socket:
        wrapped = self.context.wrap_socket(made, server_side=True)
        self._sockets.append(wrapped)
        return wrapped

    def _talk(self, made: socket.socket) -> None:
        lines = made.makefile("rb")
        while line := lines.readline().decode("utf-8", "replace").rstrip("\r\n"):
            tag, _, rest = line.partition(" ")
            command = rest.upper()
            name = " ".join(command.split()[: 2 if command.startswith("UID") else 1])
            self.said.append(rest)
            if name in self.answers:
                made.sendall(self.answers[name].replace(b"{tag}", tag.encode()))
                continue
            if name == "STARTTLS":
                made.sendall(f"{tag} OK go on\r\n".encode() + self.injected)
                made = self._wrapped(made)
                lines = made.makefile("rb")
                continue
            if name == "AUTHENTICATE":
                made.sendall(b"+ \r\n")
                said = base64.b64decode(lines.readline()).decode()
                if command.endswith("PLAIN"):
                    right = said.split("\0")[1:] == [self.username, self.password]
                else:
                    right = self._knows(said)
                    if not right:  # the client has to answer why before it hears the verdict
                        made.sendall(b"+ " + base64.b64encode(b'{"status":"401"}') + b"\r\n")
                        self.said.append(f"answered {base64.b64decode(lines.readline())!r}")
                made.sendall(self._login(tag, right=right))
                continue
            made.sendall(self._answer(tag, name, rest))
            if name == "LOGOUT":
                return

    def _knows(self, said: str) -> bool:
        user = re.search(r"(?:^user=|,a=)([^\x01,]*)", said)
        token = re.search(r"auth=Bearer ([^\x01]*)\x01\x01$", said)
        right = user is not None and user[1] == self.username
        return right and token is not None and token[1] in self.tokens

    def _login(self, tag: str, *, right: bool) -> bytes:
        if right:
            return f"{tag} OK in\r\n".encode()
        return f"{tag} NO [AUTHENTICATIONFAILED] Wrong login\r\n".encode()

    def _answer(self, tag: str, name: str, rest: str) -> bytes:
        done = f"{tag} OK done\r\n".encode()
        numbers = [int(one) for one in re.findall(r"\d+", rest)]
        if name == "CAPABILITY":
            return f"* CAPABILITY {self.capabilities}\r\n".encode() + done
        if name == "LOGIN":
            words = re.findall(r'"([^"]*)"|(\S+)', rest.partition(" ")[2])
            given = [quoted or bare for quoted, bare in words]
            return self._login(tag, right=given == [self.username, self.password])
        if name == "SELECT":
            if rest.partition(" ")[2].strip('"') not in self.folders:
                return f"{tag} NO no such mailbox\r\n".encode()
            return (
                f"* {len(self.mails)} EXISTS\r\n* OK [UIDVALIDITY {self.validity}] ok\r\n".encode()
                + done
            )
        if name == "UID SEARCH":
            wanted = sorted(one for one in self.mails if one >= numbers[0])
            last = sorted(self.mails)[-1:]  # as the standard has it
            found = " ".join(str(one) for one in wanted or last)
            return f"* SEARCH {found}\r\n".encode() + done
        if name == "UID FETCH":
            mail = self.mails.get(numbers[0])
            if mail is None:
                return done
            part = mail[: numbers[-1]]
            head = f"* 1 FETCH (UID {numbers[0]} BODY[]<0> {{{len(part)}}}\r\n"
            return head.encode() + part + b")\r\n" + done
        if name == "UID STORE":
            self.seen.add(numbers[0])
            return done
        if name == "LOGOUT":
            return b"* BYE\r\n" + done
        return f"{tag} BAD what\r\n".encode()
