"""Mail programs that hang, flood or are killed: nothing hangs on them, and nothing is left."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from smtp_admin.smtp.client import Timeouts
from smtp_admin.transports.outcome import SenderHealth, Verdict
from tests.patience import SECONDS
from tests.transports.programs import READ, SHORT, MakeProgram, one, through
from tests.transports.sending import (
    ACCEPTED,
    BODY,
    MEGABYTE,
    RELEASED,
    UNCERTAIN,
    deliver,
    mail,
    mails,
    verdicts,
)
from tests.worker.running import until

DOWN = SenderHealth.DOWN
WORKER = """\
import sys
from pathlib import Path
from smtp_admin.providers.catalogue import replies
from smtp_admin.smtp.client import Timeouts
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.sendmail.transport import SendmailTransport
transport = SendmailTransport((sys.argv[1],), Timeouts(), replies())
mail = Outgoing(0, "a@acme.example", "r0@example.com", Path(sys.argv[2]).read_bytes())
next(transport.deliver([mail]))
"""


def descriptors() -> list[str]:
    """What this process has open."""
    return sorted(str(number) for number in Path("/proc/self/fd").iterdir())


def gone(pid: int) -> bool:
    """Whether there is no such process, or only what is left of one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize(
    ("text", "verdict", "code"),
    [
        ("sleep 60", RELEASED, "timeout"),
        (f"{READ}sleep 60", UNCERTAIN, "timeout"),
        ("head -c 10 > /dev/null; sleep 60", RELEASED, "timeout"),
        (f"trap '' TERM\n{READ}while :; do sleep 1; done", UNCERTAIN, "timeout"),
        ("exec >&- 2>&-; sleep 60", RELEASED, "timeout"),
        ("kill -9 $$", RELEASED, "program_failed"),
        (f"{READ}kill -9 $$", UNCERTAIN, "program_failed"),
        (f"{READ}kill -15 $$", UNCERTAIN, "program_failed"),
        (f"{READ}sh -c 'kill -11 $$'", UNCERTAIN, "program_failed"),  # the outer one exits with 139
        ("yes", RELEASED, "program_failed"),
        (f"{READ}yes >&2", UNCERTAIN, "program_failed"),
    ],
)
def test_before_the_last_byte_nothing_was_sent_after_it_nobody_knows(
    program: MakeProgram, text: str, verdict: Verdict, code: str
) -> None:
    body = BODY + b"z" * (200 * 1024) + b"\r\n"
    began = time.monotonic()
    found = deliver(through(program(text), timeouts=SHORT), [mail(0, body), mail(1)])
    assert {key: (one.verdict, one.health, one.code) for key, one in found.items()} == {
        0: (verdict, DOWN, code)
    }
    assert time.monotonic() - began < 40


def test_much_said_while_much_is_read(program: MakeProgram) -> None:
    """Neither side waits for the other, and only the beginning is kept."""
    text = "head -c 300000 /dev/zero | tr '\\0' a >&2\ncat > /dev/null\nhead -c 300000 /dev/zero"
    assert one(through(program(text)), BODY + b"z" * MEGABYTE).verdict is ACCEPTED
    assert len(one(through(program(f"{text}\nexit 74"))).reason) < 500


def test_a_slow_reader_has_time_in_proportion(program: MakeProgram) -> None:
    timeouts = Timeouts(command=0.1, body_rate=100_000, final_dot=0.1)
    slow = program("sleep 0.5\ncat > /dev/null")
    assert one(through(slow, timeouts=timeouts), b"x" * 600_000).verdict is ACCEPTED
    assert one(through(slow, timeouts=timeouts), b"x" * 1000).verdict is RELEASED


def test_nothing_is_left_of_what_is_ended(program: MakeProgram, tmp_path: Path) -> None:
    """The whole group goes, also what the program itself has started."""
    pids = tmp_path / "pids"
    text = f"{READ}sh -c 'trap \"\" TERM; echo $$ > {pids}; while :; do sleep 1; done' & wait"
    assert one(through(program(text), timeouts=SHORT)).verdict is UNCERTAIN
    assert until(lambda: gone(int(pids.read_text())))


def test_a_child_that_stays_is_let_be(program: MakeProgram, tmp_path: Path) -> None:
    """A mail program may deliver in the background: it is neither waited for nor ended."""
    pids = tmp_path / "pids"
    began = time.monotonic()
    try:
        assert one(through(program(f"{READ}sleep 60 & echo $! > {pids}"))).verdict is ACCEPTED
        assert time.monotonic() - began < 40
        assert not gone(int(pids.read_text()))
    finally:
        os.kill(int(pids.read_text()), signal.SIGKILL)


def test_success_in_the_last_moment_counts(program: MakeProgram) -> None:
    """Asked to end it says that it has the mail: then it has."""
    assert (
        one(
            through(
                program(f"trap 'exit 0' TERM\n{READ}while :; do sleep 0.01; done"), timeouts=SHORT
            )
        ).verdict
        is ACCEPTED
    )
    assert (
        one(
            through(program("trap 'exit 0' TERM\nwhile :; do sleep 0.01; done"), timeouts=SHORT)
        ).verdict
        is RELEASED
    ), "it cannot have what it did not read"


def children() -> set[str]:
    """The processes that this one has started and not yet said goodbye to."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {child for task in tasks for child in task.read_text().split()}


def test_no_descriptor_and_no_child_is_left(program: MakeProgram) -> None:
    transport = through(program(f'{READ}case "$6" in r5@*) sleep 60;; esac'), timeouts=SHORT)
    one(transport)
    before, running = descriptors(), children()
    deliver(transport, mails(8))
    deliver(through("/nowhere"), mails(1))
    assert set(descriptors()) <= set(before)
    assert children() == running


def test_a_killed_worker_sends_no_half_mail(program: MakeProgram, tmp_path: Path) -> None:
    """The program has the whole mail at its start, whatever becomes of who started it."""
    got, bell = tmp_path / "got", tmp_path / "bell"
    os.mkfifo(bell)
    slow = program(f"echo > {bell}\ncat {bell} > /dev/null\ncat > {got}\necho > {bell}")
    body = BODY + b"z" * MEGABYTE + b"\r\n"
    (tmp_path / "body").write_bytes(mail(0, body).content)
    worker = subprocess.Popen([sys.executable, "-c", WORKER, slow, tmp_path / "body"])
    bell.read_text()
    worker.kill()
    worker.wait()
    bell.write_text("go on")
    bell.read_text()
    assert got.read_bytes() == mail(0, body).content.replace(b"\r\n", b"\n")


def test_threads_do_not_hold_each_other_up(program: MakeProgram) -> None:
    """One program hangs, and another thread's mail goes: nobody inherits the other's pipe."""
    hangs, works = program(f"{READ}sleep 60", "hangs"), program(READ, "works")
    stuck = through(hangs)
    thread = threading.Thread(target=lambda: one(stuck))
    thread.start()
    assert [*verdicts(deliver(through(works), mails(10))).values()] == [ACCEPTED] * 10
    stuck.abort()
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_no_program_is_started_after_an_abort(program: MakeProgram, tmp_path: Path) -> None:
    transport = through(program(f'{READ}echo "$6" >> {tmp_path}/started'))
    outcomes = transport.deliver(mails(3))
    assert next(outcomes)[1].verdict is ACCEPTED
    transport.abort()
    assert not [*outcomes]
    assert (tmp_path / "started").read_text() == "r0@example.com\n"
