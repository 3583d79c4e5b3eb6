"""Mail that a driver of a host writes into a folder: the example of docs/adding-a-driver.md."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smtp_admin.transports.base import Transport
from tests.transports.contract.sink import Body, Sink, surroundings
from tests.transports.folder_driver import DRIVER


class FolderSink(Sink):
    """A folder. It has no answer to give, so none can be lost, and refuses no single mail."""

    driver = DRIVER
    can = frozenset({"sender"})

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def transport(self) -> Transport:
        setup = DRIVER.read({"folder": str(self._folder)}, {"stamp_key": "a key"})
        return DRIVER.open(setup, surroundings())

    def bodies(self) -> list[Body]:
        index = self._folder / "index"
        if not index.exists():
            return []
        found = []
        for line in index.read_text("utf-8").splitlines():
            key, mail_from, recipient, _stamp = line.split("\t")
            content = (self._folder / f"{key}.eml").read_bytes()
            found.append(Body(mail_from, recipient, content))
        return found

    def forget(self) -> None:
        for file in self._folder.iterdir():
            file.unlink()

    def break_at(self, key: int) -> None:
        (self._folder / f"{key}.eml").mkdir()

    def mend(self) -> None:
        for file in self._folder.iterdir():
            if file.is_dir():
                file.rmdir()


@contextmanager
def sink(folder: Path) -> Iterator[Sink]:
    """A folder of the test's own."""
    yield FolderSink(folder)
