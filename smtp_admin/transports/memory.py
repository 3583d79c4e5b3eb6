"""The memory driver: keeps mail in this process instead of sending it, for development and tests.

A host's tests read what was kept::

    from smtp_admin.transports import memory

    memory.clear()
    ...
    assert [kept.recipient for kept in memory.kept_mails()] == ["sam@example.com"]
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smtp_admin.credentials.none import NoLogin
from smtp_admin.translation import gettext
from smtp_admin.transports.base import More, Outgoing, Sequel, no_more
from smtp_admin.transports.driver import Caution, Driver, Setup, Surroundings, Trial
from smtp_admin.transports.outcome import Outcome, Verdict

MOST_MAILS = 200
MOST_BYTES = 8 * 1024 * 1024
KEPT_NOT_SENT = gettext(
    "No mail is sent. It is kept in the memory of the process, and lost when the process ends."
)


@dataclass(frozen=True, slots=True)
class KeptMail:
    """A mail that would have been sent."""

    mail_from: str
    recipient: str
    content: bytes


#: Decides what becomes of a mail.
Judge = Callable[[Outgoing], Outcome]


def _accepted(_: Outgoing) -> Outcome:
    return Outcome(Verdict.ACCEPTED)


class _Store:
    """The last mails, within bounds of number and size; the newest always stays."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mails: deque[KeptMail] = deque()
        self._bytes = 0
        self.judge: Judge = _accepted

    def keep(self, mail: KeptMail) -> None:
        with self._lock:
            self._mails.append(mail)
            self._bytes += len(mail.content)
            while len(self._mails) > 1 and (
                len(self._mails) > MOST_MAILS or self._bytes > MOST_BYTES
            ):
                self._bytes -= len(self._mails.popleft().content)

    def all(self) -> list[KeptMail]:
        with self._lock:
            return list(self._mails)

    def clear(self) -> None:
        with self._lock:
            self._mails.clear()
            self._bytes = 0
            self.judge = _accepted


_store = _Store()


def kept_mails() -> list[KeptMail]:
    """What this process kept, the oldest first."""
    return _store.all()


def clear() -> None:
    """Forget all of it, and what :func:`answer_with` set."""
    _store.clear()


def answer_with(judge: Judge) -> None:
    """Have *judge* decide what becomes of each mail; only what it accepts is kept.

    For tests of what a host does when mail is refused.
    """
    _store.judge = judge


class MemoryTransport:
    """Accepts everything, unless a test wants it otherwise."""

    def __init__(self) -> None:
        self._aborted = False

    def deliver(
        self, mails: Iterable[Outgoing], more: More = no_more
    ) -> Iterator[tuple[int, Outcome]]:
        """See :class:`smtp_admin.transports.base.Transport`."""
        self._aborted = False
        sequel = Sequel(mails, more)
        while not self._aborted and (mail := sequel.first()) is not None:
            outcome = _store.judge(mail)
            if outcome.verdict is Verdict.ACCEPTED:
                _store.keep(KeptMail(mail.mail_from, mail.recipient, mail.content))
            sequel.done()
            yield mail.key, outcome
            if outcome.ends_stream:
                return

    def close(self) -> None:
        """There is nothing to let go of."""

    def abort(self) -> None:
        """Begin no further mail."""
        self._aborted = True


def _test(trial: Trial) -> None:
    trial.report.run("validate", lambda: ("there are no settings", None))
    trial.report.run("keep", lambda: (KEPT_NOT_SENT, None))
    trial.cautions.append(Caution("kept_not_sent", KEPT_NOT_SENT))


def _read(_values: Mapping[str, Any], _secrets: Mapping[str, str]) -> Setup:
    return Setup("memory", (), NoLogin(), "memory: nothing is sent")


def _open(_setup: Setup, _surroundings: Surroundings) -> MemoryTransport:
    return MemoryTransport()


DRIVER = Driver(
    name="memory",
    label=gettext("Memory (nothing is sent)"),
    comparison=gettext(
        "Keeps mail in this process instead of sending it, for development and tests."
    ),
    needs=gettext("Nothing."),
    fields=(),
    steps={"validate": gettext("Settings"), "keep": gettext("Kept, not sent")},
    read=_read,
    open=_open,
    test=_test,
    most_connections=1,
    keeps_mail=True,
)
