"""Mail that goes to a mail server, with pipelining and without."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from smtp_admin.transports.base import Transport
from smtp_admin.transports.smtp.driver import DRIVER
from tests.servers.scripted import ScriptedServer, Session
from tests.servers.session import ConversationError
from tests.transports.contract.sink import Body, Sink, surroundings
from tests.transports.sending import extensions

_KEY = re.compile(r"<r(\d+)@")


class SMTPSink(Sink):
    """A scripted server, which decides by the recipient."""

    driver = DRIVER

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._answers: dict[tuple[str, int], bytes | None] = {}
        self._hangs = threading.Event()
        self._at = 0
        server.behave("rcpt", self._rcpt)
        server.behave("dot", self._dot)

    def transport(self) -> Transport:
        values = {one.name: one.default for one in DRIVER.fields if not one.secret}
        values |= {"host": "127.0.0.1", "port": self._server.port, "security": "none"}
        return DRIVER.open(DRIVER.read(values, {}), surroundings(self._server.port))

    def bodies(self) -> list[Body]:
        return [
            Body(one.mail_from, one.recipients[0], one.data)
            for session in self._server.sessions
            for one in session.bodies
        ]

    def forget(self) -> None:
        self._server.messages.clear()
        for session in self._server.sessions:
            session.bodies.clear()
            session._plain.clear()

    def break_at(self, key: int) -> None:
        self._answers["rcpt", key] = None

    def mend(self) -> None:
        self._answers.clear()

    def refuse(self, key: int) -> None:
        self._answers["rcpt", key] = b"550 5.1.1 no such user\r\n"

    def defer(self, key: int) -> None:
        self._answers["rcpt", key] = b"450 4.2.0 later\r\n"

    def lose_answer_to(self, key: int) -> None:
        self._answers["dot", key] = None

    def hang_at(self, key: int) -> None:
        self._answers["hang", key] = None

    def wait_until_it_hangs(self) -> None:
        self._hangs.wait()

    def openings(self) -> int | None:
        return self._server.connections

    def _rcpt(self, _server: ScriptedServer, _session: Session, line: str) -> bytes | None:
        found = _KEY.search(line)
        self._at = int(found[1]) if found else -1
        return self._answer("rcpt")

    def _dot(self, _server: ScriptedServer, session: Session, _line: str) -> bytes | None:
        if ("hang", self._at) in self._answers:
            self._hangs.set()
            session.wait_until_gone()
            raise ConversationError("Nobody waits any more.")
        return self._answer("dot")

    def _answer(self, stage: str) -> bytes | None:
        answer = self._answers.get((stage, self._at), b"")
        if answer is None:
            raise ConversationError("The sink breaks here.")
        return answer or None


def sink(*, pipelining: bool) -> Callable[[Path], AbstractContextManager[Sink]]:
    """A server that offers pipelining, or one that does not."""

    @contextmanager
    def running(_folder: Path) -> Iterator[Sink]:
        with ScriptedServer(extensions=extensions(pipelining=pipelining)) as server:
            yield SMTPSink(server)

    return running
