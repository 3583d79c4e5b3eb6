"""Mail that is kept in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smtp_admin.transports import memory
from smtp_admin.transports.base import Outgoing, Transport
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict
from tests.transports.contract.sink import Body, Sink, surroundings


class MemorySink(Sink):
    """The store, which never hangs: it waits for nobody."""

    driver = memory.DRIVER
    can = frozenset({"refuse", "lose", "sender"})

    def __init__(self) -> None:
        self._answers: dict[int, Outcome] = {}
        memory.answer_with(self._answer)

    def transport(self) -> Transport:
        return memory.DRIVER.open(memory.DRIVER.read({}, {}), surroundings())

    def bodies(self) -> list[Body]:
        kept = memory.kept_mails()
        return [Body(one.mail_from, one.recipient, one.content) for one in kept]

    def forget(self) -> None:
        memory.clear()

    def break_at(self, key: int) -> None:
        self._answers[key] = Outcome(Verdict.RELEASED, SenderHealth.DOWN)

    def mend(self) -> None:
        self._answers.clear()

    def refuse(self, key: int) -> None:
        self._answers[key] = Outcome(Verdict.PERMANENT)

    def defer(self, key: int) -> None:
        self._answers[key] = Outcome(Verdict.TEMPORARY)

    def lose_answer_to(self, key: int) -> None:
        self._answers[key] = Outcome(Verdict.UNCERTAIN, SenderHealth.DOWN)

    def _answer(self, mail: Outgoing) -> Outcome:
        return self._answers.get(mail.key, Outcome(Verdict.ACCEPTED))


@contextmanager
def sink(_folder: Path) -> Iterator[Sink]:
    """The store of this process, empty before and after."""
    memory.clear()
    try:
        yield MemorySink()
    finally:
        memory.clear()
