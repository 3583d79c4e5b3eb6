"""How long a server of the tests' own runs: as long as its ``with`` block."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

__all__ = ["Server", "ThreadedServer"]


class Server(ABC):
    """Something that is running by the beginning of a ``with`` block and ends with it."""

    def start(self) -> None:  # noqa: B027 - optional
        """Nothing by default: most run as soon as they are made."""

    @abstractmethod
    def stop(self) -> None:
        """End it; a second call does nothing."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class ThreadedServer(Server):
    """One that answers in threads of this process, where an error would go unnoticed.

    The first error is raised when the block ends, unless the test failed anyway.
    """

    def __init__(self) -> None:
        self.errors: list[Exception] = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        if error is None and self.errors:
            raise self.errors[0]
