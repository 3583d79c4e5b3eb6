"""A scriptable SMTP server in a thread, for every way a mail server can misbehave."""

import contextlib
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Sequence

from . import free_port
from .behaviours import (
    Behaviour,
    Close,
    Custom,
    Drip,
    Flood,
    InjectAfterStarttls,
    Raw,
    Reply,
    Reset,
    Script,
    Stage,
    Stall,
    Step,
    Then,
)
from .dialogue import Dialogue
from .lifetime import ThreadedServer
from .session import Received, Session

__all__ = [
    "Behaviour",
    "Close",
    "Custom",
    "Drip",
    "Flood",
    "InjectAfterStarttls",
    "Raw",
    "Received",
    "Reply",
    "Reset",
    "Script",
    "ScriptedServer",
    "Session",
    "Stage",
    "Stall",
    "Step",
    "Then",
]

EXTENSIONS = ("SIZE 10485760", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES", "SMTPUTF8")
START_ATTEMPTS = 10


class ScriptedServer(ThreadedServer):
    """An SMTP server on 127.0.0.1 whose every answer a test can replace.

    An error inside a test's own callable ends that connection and is raised again when the
    `with` block ends, for an exception in a thread would otherwise go unnoticed.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        implicit_tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        auth: tuple[str, str] | None = None,
        auth_methods: Sequence[str] = ("PLAIN", "LOGIN"),
        auth_before_tls: bool = False,
        extensions: Sequence[str] = EXTENSIONS,
        behaviours: Script | None = None,
    ) -> None:
        super().__init__()
        self.implicit_tls = implicit_tls
        self.starttls = starttls
        self.auth = auth
        self.auth_methods = tuple(auth_methods)
        self.auth_before_tls = auth_before_tls
        self.extensions = tuple(extensions)
        self.port = 0
        self.connections = 0
        self.sessions: list[Session] = []
        self.messages: list[Received] = []
        self.stopping = threading.Event()
        self._steps: dict[Stage, tuple[Step, ...]] = {}
        self._counts: Counter[Stage] = Counter()
        self._changed = threading.Condition()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._talkers: list[threading.Thread] = []
        for stage, behaviour in (behaviours or {}).items():
            self.behave(stage, behaviour)

    def behave(self, stage: Stage, behaviour: Behaviour) -> None:
        """Change one stage's behaviour from now on; a sequence begins at its first step.

        Connections that are open keep going and meet the new behaviour too.
        """
        if isinstance(behaviour, Then):
            steps = behaviour.steps
        elif isinstance(behaviour, Sequence):
            steps = tuple(behaviour)
        else:
            steps = (behaviour,)
        with self._changed:
            self._steps[stage] = steps
            self._counts[stage] = 0

    def start(self) -> None:
        """Listen; after `stop` the same port is used again and the records go on.

        The port lies outside the range of outgoing connections, which could occupy it meanwhile.
        """
        self.stopping.clear()
        self._listener = self._listen()
        self._acceptor = threading.Thread(
            target=self._accept, args=(self._listener,), name="smtp-accept", daemon=True
        )
        self._acceptor.start()

    def stop(self) -> None:
        """Refuse new connections, break off the open ones and wait for their threads.

        Clients see an end of file. A second call does nothing.
        """
        if self._listener is None or self._acceptor is None:
            return
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._acceptor.join()
        self._listener.close()
        self._listener = self._acceptor = None
        for session in self.sessions:
            session.abort()
        for talker in self._talkers:
            talker.join()
        self._talkers.clear()

    def wait_for_messages(self, count: int, timeout: float = 40) -> list[Received]:
        """Return the accepted messages once there are that many, or what there is in the end.

        It does not raise when the time is over: the caller's own assertion says it better.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while len(self.messages) < count and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return list(self.messages)

    def deliver(self, received: Received) -> None:
        """Take a message that the server is about to accept.

        The conversation calls it before the answer leaves.
        """
        with self._changed:
            self.messages.append(received)
            self._changed.notify_all()

    def next_step(self, stage: Stage) -> Step:
        """Return what to do at this occurrence of the stage; None is the normal answer.

        Occurrences are counted over all connections together.
        """
        with self._changed:
            steps = self._steps.get(stage)
            count = self._counts[stage]
            self._counts[stage] += 1
        return steps[min(count, len(steps) - 1)] if steps else None

    def occurrences(self, stage: Stage) -> int:
        """Return how often the stage was reached since its behaviour was last set.

        A stage counts when the server is about to answer, not when the client has the answer.
        """
        with self._changed:
            return self._counts[stage]

    def _listen(self) -> socket.socket:
        for attempt in range(START_ATTEMPTS):
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port = self.port or free_port(self.host)
            try:
                listener.bind((self.host, port))
                listener.listen(128)
            except OSError:
                listener.close()
                if attempt == START_ATTEMPTS - 1:
                    raise
                time.sleep(0.05)
                continue
            self.port = port
            return listener
        raise AssertionError

    def _accept(self, listener: socket.socket) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._changed:
                self.connections += 1
                session = Session(connection, self.connections)
                self.sessions.append(session)
                self._talkers = [each for each in self._talkers if each.is_alive()]
                talker = threading.Thread(
                    target=self._talk, args=(session,), name=f"smtp-{session.number}", daemon=True
                )
                talker.start()
                self._talkers.append(talker)

    def _talk(self, session: Session) -> None:
        try:
            Dialogue(self, session).run()
        except Exception as error:  # noqa: BLE001 - kept, and raised when the server ends
            self.errors.append(error)
        finally:
            session.finished.set()
