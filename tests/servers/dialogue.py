"""The SMTP conversation of the scripted server with one client."""

import re
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from .behaviours import (
    Close,
    Drip,
    Flood,
    InjectAfterStarttls,
    Raw,
    Reply,
    Reset,
    Stage,
    Stall,
    accepts,
)
from .sasl import authenticate
from .session import ConversationError, Received, Session

if TYPE_CHECKING:
    from .scripted import ScriptedServer

__all__ = ["Dialogue"]

CLOSING_CODES = {b"221", b"421"}
ENVELOPE_ADDRESS = re.compile(r"^(?:MAIL FROM|RCPT TO):\s*<([^>]*)>", re.IGNORECASE)
FLOOD_BLOCK = 16384


class Dialogue:
    """Answers one client, step by step as the server's script says.

    Whatever a command changes is done before its answer is sent: once the client has the answer,
    the records are complete.
    """

    def __init__(self, server: "ScriptedServer", session: Session) -> None:
        self._server = server
        self._session = session
        self._introduced = False
        self._starttls_done = False
        self._authenticated = False
        self._mail_from: str | None = None
        self._recipients: list[str] = []
        self._commands: dict[str, Callable[[str], None]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": lambda _: self._session.write(b"250 2.0.0 Ok\r\n"),
            "QUIT": self._quit,
        }

    def run(self) -> None:
        """Talk until one side ends the connection, and leave the socket closed.

        The greeting's code is not heeded afterwards: what a refused client says is recorded too.
        """
        try:
            self._answer("connect", "")
            if self._server.implicit_tls is not None:
                self._handshake(self._server.implicit_tls)
            self._answer("greeting", "220 localhost ESMTP ready")
            while True:
                line = self._session.read_line().decode("utf-8", "backslashreplace").rstrip("\r\n")
                self._session.commands.append(line)
                verb = line.partition(" ")[0].upper()
                self._commands.get(verb, self._unknown)(line)
        except ConversationError:
            pass
        finally:
            self._session.close()

    # Commands

    def _ehlo(self, line: str) -> None:
        lines = ["localhost", *self._server.extensions]
        if self._server.starttls is not None and not self._session.used_tls:
            lines.append("STARTTLS")
        if self._server.auth is not None and self._auth_allowed():
            lines.append("AUTH " + " ".join(self._server.auth_methods))
        *earlier, last = lines
        self._greet(line, "".join(f"250-{text}\n" for text in earlier) + f"250 {last}")

    def _helo(self, line: str) -> None:
        self._greet(line, "250 localhost")

    def _greet(self, line: str, normal: str) -> None:
        def introduce() -> None:
            self._introduced = True
            self._forget_mail()

        self._answer("ehlo2" if self._starttls_done else "ehlo", normal, line, introduce)

    def _starttls(self, line: str) -> None:
        context = self._server.starttls
        if context is None:
            normal = "502 5.5.1 STARTTLS is not offered"
        elif self._session.used_tls:
            normal = "503 5.5.1 TLS is already active"
        else:
            normal = "220 2.0.0 Ready to start TLS"
        if accepts(self._answer("starttls", normal, line)) and context is not None:
            self._handshake(context)
            self._starttls_done = True
            self._introduced = self._authenticated = False
            self._forget_mail()

    def _handshake(self, context: ssl.SSLContext) -> None:
        self._session.wait_for_data()  # the client speaks first
        if self._answer("handshake", ""):  # it spoke plain text where TLS was due
            self._session.drain()
            raise ConversationError("There is no sensible way on.")
        self._session.start_tls(context)

    def _auth(self, line: str) -> None:
        if self._server.auth is None:
            normal = "502 5.5.1 AUTH is not offered"
        elif not self._auth_allowed():
            normal = "530 5.7.0 Must issue a STARTTLS command first"
        elif self._authenticated:
            normal = "503 5.5.1 Already authenticated"
        else:
            methods = self._server.auth_methods
            normal = authenticate(self._session, line, methods, self._server.auth)

        def log_in() -> None:
            self._authenticated = True

        self._answer("auth", normal, line, log_in)

    def _auth_allowed(self) -> bool:
        needs_tls = self._server.starttls is not None and not self._server.auth_before_tls
        return self._session.used_tls or not needs_tls

    def _mail(self, line: str) -> None:
        address = ENVELOPE_ADDRESS.match(line)
        if not self._introduced:
            normal = "503 5.5.1 Send EHLO first"
        elif self._server.auth is not None and not self._authenticated:
            normal = "530 5.7.0 Authentication required"
        elif self._mail_from is not None:
            normal = "503 5.5.1 Nested MAIL command"
        elif address is None:
            normal = "501 5.5.4 Syntax: MAIL FROM:<address>"
        else:
            normal = "250 2.1.0 Ok"

        def begin() -> None:
            self._mail_from = address[1] if address else ""
            self._recipients = []

        self._answer("mail", normal, line, begin)

    def _rcpt(self, line: str) -> None:
        address = ENVELOPE_ADDRESS.match(line)
        if self._mail_from is None:
            normal = "503 5.5.1 Need MAIL command"
        elif address is None:
            normal = "501 5.5.4 Syntax: RCPT TO:<address>"
        else:
            normal = "250 2.1.5 Ok"
        self._answer(
            "rcpt", normal, line, lambda: self._recipients.append(address[1] if address else "")
        )

    def _data(self, line: str) -> None:
        if self._mail_from is None:
            normal = "503 5.5.1 Need MAIL command"
        elif not self._recipients:
            normal = "554 5.5.1 No valid recipients"
        else:
            normal = "354 End data with <CR><LF>.<CR><LF>"
        if not self._answer("data", normal, line).startswith(b"3"):
            return
        data = self._read_body()
        received = Received(
            self._mail_from or "", self._recipients, data, self._session, time.monotonic()
        )
        self._session.bodies.append(received)
        self._forget_mail()
        self._answer("dot", "250 2.0.0 Ok: queued", ".", lambda: self._server.deliver(received))

    def _read_body(self) -> bytes:
        body = bytearray()
        line = self._session.read_line()
        self._answer("body", "", line.decode("utf-8", "backslashreplace").rstrip("\r\n"))
        starts_line = True  # only after CRLF does a dot mean anything
        while not (starts_line and line == b".\r\n"):
            body += line[1:] if starts_line and line.startswith(b".") else line
            starts_line = line.endswith(b"\r\n")
            line = self._session.read_line()
        return bytes(body)

    def _rset(self, line: str) -> None:
        self._answer("rset", "250 2.0.0 Ok", line, self._forget_mail)

    def _quit(self, line: str) -> None:
        self._answer("quit", "221 2.0.0 Bye", line)

    def _unknown(self, line: str) -> None:
        self._session.write(b"500 5.5.2 Command not recognized\r\n")

    def _forget_mail(self) -> None:
        self._mail_from = None
        self._recipients = []

    # Answers

    def _answer(
        self, stage: Stage, normal: str, line: str = "", effect: Callable[[], None] | None = None
    ) -> bytes:
        """Answer as the script or else the protocol says, and return what was sent."""
        interval = 0.0
        closes = True
        match self._server.next_step(stage):
            case None:
                answer = _lines(normal)
            case Reply(text):
                answer = _lines(text)
            case Drip(text, interval):
                answer = _lines(text)
            case Raw(answer):
                closes = False
            case InjectAfterStarttls(extra):
                answer = b"220 2.0.0 Ready to start TLS\r\n" + extra
            case Close() | Reset() | Stall() | Flood() as ending:
                self._end(ending)
            case custom:
                own = custom(self._server, self._session, line)
                answer = _lines(normal) if own is None else own
                closes = own is None
        if effect is not None and accepts(answer):
            effect()
        self._send(answer, interval)
        if closes and answer[:3] in CLOSING_CODES:
            self._session.say_goodbye()
            raise ConversationError("The server said goodbye.")
        return answer

    def _send(self, answer: bytes, interval: float) -> None:
        if not interval:
            self._session.write(answer)
            return
        for byte in answer:
            self._session.write(bytes([byte]))
            if self._server.stopping.wait(interval):
                raise ConversationError("The server is stopping.")

    def _end(self, ending: Close | Reset | Stall | Flood) -> NoReturn:
        match ending:
            case Reset():
                self._session.reset()
            case Stall():
                self._session.wait_until_gone()
            case Flood(line, limit_bytes):
                text = _lines(line)
                block = text * max(1, FLOOD_BLOCK // len(text))
                while self._session.flooded < limit_bytes:
                    self._session.write(block)
                    self._session.flooded += len(block)
        raise ConversationError("The script ends the connection.")


def _lines(text: str | bytes) -> bytes:
    """Return the text with each line ended by CRLF; nothing stays nothing."""
    data = text.encode() if isinstance(text, str) else text
    return b"".join(line + b"\r\n" for line in data.splitlines())
