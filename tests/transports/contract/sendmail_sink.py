"""Mail that is handed to a program: a small real one, which records what it got."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smtp_admin.transports.base import Transport
from smtp_admin.transports.sendmail.driver import DRIVER
from tests.transports.contract.sink import Body, Sink, address, surroundings

PROGRAM = """\
#!{python} -SE
import json, os, signal, sys
folder = {folder!r}
sender, recipient = sys.argv[-3], sys.argv[-1]
with open(folder + "/plan.json") as plan:
    act = json.load(plan).get(recipient, "")
if act == "break":
    os.kill(os.getpid(), signal.SIGKILL)
content = sys.stdin.buffer.read()
number = len(os.listdir(folder + "/bodies"))
with open(f"{{folder}}/bodies/{{number:06}}", "wb") as body:
    body.write(f"{{sender}} {{recipient}}\\n".encode() + content)
if act == "lose":
    os.kill(os.getpid(), signal.SIGKILL)
if act == "hang":
    with open(folder + "/hangs", "wb") as bell:
        bell.write(b"x")
    signal.pause()
sys.exit(int(act or 0))
"""


class SendmailSink(Sink):
    """A folder with the program, what it is to do, and what it got."""

    driver = DRIVER

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plan: dict[str, str] = {}
        (folder / "bodies").mkdir()
        os.mkfifo(folder / "hangs")
        self.program = folder / "sendmail"
        self.program.write_text(PROGRAM.format(python=sys.executable, folder=str(folder)))
        self.program.chmod(0o755)
        self.mend()

    def transport(self) -> Transport:
        setup = DRIVER.read({}, {})
        return DRIVER.open(setup, surroundings(sendmail=(str(self.program), "-x")))

    def bodies(self) -> list[Body]:
        return [_body(file.read_bytes()) for file in sorted((self._folder / "bodies").iterdir())]

    def forget(self) -> None:
        for file in (self._folder / "bodies").iterdir():
            file.unlink()

    def break_at(self, key: int) -> None:
        self._act(key, "break")

    def mend(self) -> None:
        self._plan.clear()
        (self._folder / "plan.json").write_text("{}")

    def refuse(self, key: int) -> None:
        self._act(key, "65")

    def defer(self, key: int) -> None:
        self._act(key, "75")

    def lose_answer_to(self, key: int) -> None:
        self._act(key, "lose")

    def hang_at(self, key: int) -> None:
        self._act(key, "hang")

    def wait_until_it_hangs(self) -> None:
        with (self._folder / "hangs").open("rb") as bell:
            assert bell.read() == b"x"

    def _act(self, key: int, act: str) -> None:
        self._plan[address(key)] = act
        (self._folder / "plan.json").write_text(json.dumps(self._plan))


def _body(kept: bytes) -> Body:
    envelope, _, content = kept.partition(b"\n")
    sender, recipient = envelope.decode().split(" ")
    return Body("" if sender == "<>" else sender, recipient, content.replace(b"\n", b"\r\n"))


@contextmanager
def sink(folder: Path) -> Iterator[Sink]:
    """A program of the test's own."""
    yield SendmailSink(folder)
