"""Handing mail to a program: what it gets, what its end means, and that nothing hangs on it."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from smtp_admin.smtp.client import Timeouts
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict
from smtp_admin.transports.sendmail.exit_codes import TABLE, judge, meaning
from smtp_admin.transports.sendmail.process import Ending
from smtp_admin.transports.sendmail.transport import SendmailTransport
from tests.transports.programs import PATIENT, READ, SHORT, MakeProgram, program, through
from tests.transports.sending import (
    ACCEPTED,
    BODY,
    MEGABYTE,
    PERMANENT,
    RELEASED,
    TEMPORARY,
    UNCERTAIN,
    deliver,
    mail,
    mails,
    verdicts,
)
from tests.worker.running import until

__all__ = ["program"]
FINE, DOWN, MISCONFIGURED = SenderHealth.FINE, SenderHealth.DOWN, SenderHealth.MISCONFIGURED
REPORTER = """\
#!{python} -S
import json, os, sys
with open({to!r}, "w") as report:
    json.dump({{"arguments": sys.argv[1:], "environment": dict(os.environ), "cwd": os.getcwd(),
        "leader": os.getsid(0) == os.getpid() == os.getpgid(0),
        "open": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
        "content": sys.stdin.buffer.read().decode("latin-1")}}, report)
"""

WORKER = """\
import sys
from pathlib import Path
from smtp_admin.smtp.client import Timeouts
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.sendmail.transport import SendmailTransport
transport = SendmailTransport((sys.argv[1],), Timeouts())
mail = Outgoing(0, "a@acme.example", "r0@example.com", Path(sys.argv[2]).read_bytes())
next(transport.deliver([mail]))
"""


def one(transport: SendmailTransport, content: bytes = BODY) -> Outcome:
    """What becomes of one mail."""
    return deliver(transport, [mail(0, content)])[0]


def descriptors() -> list[str]:
    """What this process has open."""
    return sorted(str(number) for number in Path("/proc/self/fd").iterdir())


def gone(pid: int) -> bool:
    """Whether there is no such process, or only what is left of one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


# --- What the program gets ------------------------------------------------------------------------


@pytest.fixture
def reporter(tmp_path: Path) -> Path:
    path = tmp_path / "reporter"
    path.write_text(REPORTER.format(python=sys.executable, to=str(tmp_path / "report")))
    path.chmod(0o755)
    return path


def report(path: Path) -> dict[str, object]:
    return dict(json.loads((path.parent / "report").read_text()))


def test_arguments(reporter: Path) -> None:
    """Those of the host first; then ours, with every address in an argument of its own."""
    transport = through(reporter, "-O", "x y;$(id)")
    deliver(transport, [mail(3)])
    assert report(reporter)["arguments"] == [
        "-O", "x y;$(id)", "-i", "-oep", "-f", "sender@acme.example", "--", "r3@example.com"
    ]  # fmt: skip


def test_no_sender_is_written_as_such(reporter: Path) -> None:
    deliver(through(reporter), [Outgoing(1, "", "sam@example.com", BODY)])
    assert report(reporter)["arguments"] == ["-i", "-oep", "-f", "<>", "--", "sam@example.com"]


def test_surroundings(reporter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the app's: neither its environment, nor its files, nor its terminal."""
    monkeypatch.setenv("SMTP_ADMIN_SECRET_KEYS", "a secret")
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("HOME", "/home/app")
    monkeypatch.setenv("TZ", "Europe/Vienna")
    held, other = os.pipe()
    os.set_inheritable(held, True)
    try:
        one(through(reporter))
    finally:
        os.close(held)
        os.close(other)
    found = report(reporter)
    environment = found["environment"]
    assert isinstance(environment, dict)
    environment.pop("LC_CTYPE", None)  # Python's own doing
    assert environment == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C", "HOME": "/home/app", "TZ": "Europe/Vienna",
    }  # fmt: skip
    assert found["cwd"] == "/"
    assert found["leader"]
    assert [number for number in found["open"] if number != 3] == [0, 1, 2]  # type: ignore[attr-defined]


def test_local_line_ends(reporter: Path) -> None:
    """What Sendmail, Postfix and Exim want on standard input; a lone CR or dot stays."""
    one(through(reporter), b"a\r\n.\r\n\r\r\nb\rc\r\n\r\nend\xe4")
    assert report(reporter)["content"] == "a\n.\n\r\nb\rc\n\nend\xe4"


@pytest.mark.parametrize(
    "recipient",
    ["-bi@example.com", "|/bin/id", "/etc/passwd", ":include:/etc/passwd", "sam", "a@b.com\0x",
     "a@b.com -X/tmp/log", "a@b.com\nc@d.com", "", "@", '"a b"@example.com'],
)  # fmt: skip
def test_what_is_no_address_never_becomes_an_argument(reporter: Path, recipient: str) -> None:
    found = deliver(through(reporter), [Outgoing(0, "a@acme.example", recipient, BODY), mail(1)])
    assert verdicts(found) == {0: PERMANENT, 1: ACCEPTED}
    assert found[0].code == "recipient_refused"
    arguments = report(reporter)["arguments"]
    assert isinstance(arguments, list)
    assert arguments[-1] == "r1@example.com"


@pytest.mark.parametrize("sender", ["-X/tmp/log", "a b@acme.example", "a@b.com\0"])
def test_nor_does_a_sender_that_is_none(reporter: Path, sender: str) -> None:
    found = deliver(through(reporter), [Outgoing(0, sender, "sam@example.com", BODY)])
    assert (found[0].verdict, found[0].code) == (PERMANENT, "sender_refused")
    assert not (reporter.parent / "report").exists()


# --- What its end means ---------------------------------------------------------------------------

EXPECTED = {
    1: (RELEASED, DOWN, "program_failed"),
    2: (RELEASED, DOWN, "program_failed"),
    64: (RELEASED, MISCONFIGURED, "program_failed"),
    65: (PERMANENT, FINE, "message_refused"),
    66: (RELEASED, MISCONFIGURED, "program_failed"),
    67: (PERMANENT, FINE, "recipient_refused"),
    68: (PERMANENT, FINE, "recipient_refused"),
    69: (RELEASED, DOWN, "program_failed"),
    70: (RELEASED, DOWN, "program_failed"),
    71: (RELEASED, DOWN, "program_failed"),
    72: (RELEASED, MISCONFIGURED, "program_failed"),
    73: (RELEASED, DOWN, "program_failed"),
    74: (RELEASED, DOWN, "program_failed"),
    75: (TEMPORARY, FINE, "server_refused"),
    76: (RELEASED, DOWN, "program_failed"),
    77: (RELEASED, MISCONFIGURED, "program_refused"),
    78: (RELEASED, MISCONFIGURED, "program_failed"),
    126: (RELEASED, MISCONFIGURED, "program_missing"),
    127: (RELEASED, MISCONFIGURED, "program_missing"),
    255: (RELEASED, DOWN, "program_failed"),
}


@pytest.mark.parametrize(("status", "expected"), EXPECTED.items())
def test_each_status(
    program: MakeProgram, status: int, expected: tuple[Verdict, SenderHealth, str]
) -> None:
    outcome = one(through(program(f"{READ}echo 'queue: not today' >&2\nexit {status}")))
    assert (outcome.verdict, outcome.health, outcome.code) == expected
    assert f"ended with {status}" in outcome.reason
    assert "queue: not today" in outcome.reason
    assert outcome.bad_address is (status == 67)
    assert not outcome.opening


def test_the_table_gives_every_status_a_meaning_and_a_reason() -> None:
    for status in range(256):
        row = meaning(status)
        assert (row.verdict is ACCEPTED) == (status == 0)
    for row in TABLE:
        assert row.why
        # Whatever stops the stream says what is wrong with the sender, and nothing else does.
        assert (row.verdict is RELEASED) == (row.health is not FINE)


SAID = [
    (75, "sendmail: fatal: a@b.example(0): message file too big", PERMANENT, FINE, "too_large"),
    (1, "exim: message too big: size limit is 50M", PERMANENT, FINE, "too_large"),
    (75, "sendmail: fatal: User www(33) is not allowed to submit mail", RELEASED, MISCONFIGURED,
     "program_refused"),
    (75, "sendmail: fatal: usage: sendmail [options]", RELEASED, MISCONFIGURED, "program_failed"),
    (75, "sendmail: fatal: open /etc/postfix/main.cf: No such file", RELEASED, MISCONFIGURED,
     "program_failed"),
    (68, "msmtp: cannot locate host smtp.acme.example", RELEASED, DOWN, "program_failed"),
    (69, "msmtp: server message: 550 5.1.1 no such user", PERMANENT, FINE, "recipient_refused"),
    (69, "msmtp: server message: 451 4.3.0 later", TEMPORARY, FINE, "server_refused"),
    (69, "msmtp: server message: 421 4.7.0 rate limit", RELEASED, SenderHealth.LIMITED,
     "rate_limited"),
    (1, "554 5.7.1 looks like spam", PERMANENT, FINE, "message_refused"),
    (1, "gave up after 500 seconds", RELEASED, DOWN, "program_failed"),
    (70, "550 5.1.1 no such user", RELEASED, DOWN, "program_failed"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "said", "verdict", "health", "code"), SAID)
def test_its_words_count_where_the_number_says_too_little(
    status: int, said: str, verdict: Verdict, health: SenderHealth, code: str
) -> None:
    outcome = judge(Ending(status, 0, "", taken=True, said=f"\n{said}\n"))
    assert (outcome.verdict, outcome.health, outcome.code) == (verdict, health, code)


def test_several_that_ask_for_later_in_a_row_mean_the_sender(program: MakeProgram) -> None:
    """Postfix ends with 75 whatever is wrong: a whole queue must not run out of attempts."""
    transport = through(program(f"{READ}exit 75"))
    found = deliver(transport, mails(5))
    assert verdicts(found) == {0: TEMPORARY, 1: TEMPORARY, 2: RELEASED}
    assert found[2].health is DOWN
    assert verdicts(deliver(transport, mails(1))) == {0: TEMPORARY}, "it begins anew"


def test_only_in_a_row(program: MakeProgram) -> None:
    transport = through(program(f'{READ}case "$6" in r[25]@*) exit 0;; esac\nexit 75'))
    expected = [TEMPORARY, TEMPORARY, ACCEPTED, TEMPORARY, TEMPORARY, ACCEPTED]
    assert [*verdicts(deliver(transport, mails(6))).values()] == expected


def test_success_is_success_whatever_it_says(program: MakeProgram) -> None:
    found = one(through(program(f"{READ}echo 550 5.1.1 no; echo fatal >&2")))
    assert found == Outcome(ACCEPTED)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\n\nsendmail: fatal: no\nmore", "sendmail: fatal: no"),
        ("postdrop: warning: odd\nsendmail: fatal: no", "sendmail: fatal: no"),
        ("postdrop: warning: odd\n", "postdrop: warning: odd"),
        ("Traceback (most recent call last):\n  File x\nKeyError: 'a'", "KeyError: 'a'"),
        ("a\x1b[31mb\x00c\u202e", "a\ufffd[31mb\ufffdc\ufffd"),
        ("x" * 300, "x" * 199 + "…"),
        ("", ""),
    ],
)
def test_what_is_shown_of_its_words(said: str, shown: str) -> None:
    ending = Ending(74, 0, "", taken=True, said=said)
    assert ending.first_line == shown
    assert (f"“{shown}”" in judge(ending).reason) == bool(shown)


# --- Programs that cannot be started --------------------------------------------------------------


def test_a_missing_program(tmp_path: Path) -> None:
    outcome = one(through(tmp_path / "nothing"))
    assert (outcome.verdict, outcome.health) == (RELEASED, MISCONFIGURED)
    assert "SMTP_ADMIN_SENDMAIL" in outcome.reason
    assert outcome.opening


def test_others_that_cannot_be_started(tmp_path: Path, program: MakeProgram) -> None:
    closed = program("exit 0")
    closed.chmod(stat.S_IRUSR)
    odd = tmp_path / "odd"
    odd.write_text("what?")
    odd.chmod(0o755)
    orphan = tmp_path / "orphan"
    orphan.write_text("#!/nowhere/at/all\n")
    orphan.chmod(0o755)
    for transport in (
        *map(through, (closed, odd, orphan, tmp_path, "sendmail", "./sendmail", "")),
        SendmailTransport((), PATIENT),
    ):
        found = deliver(transport, mails(2))
        assert verdicts(found) == {0: RELEASED}, transport
        assert found[0].health is MISCONFIGURED
        assert found[0].code == "program_missing"
        assert "SMTP_ADMIN_SENDMAIL" in found[0].reason


def test_a_full_machine_is_no_wrong_setting(
    program: MakeProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("smtp_admin.transports.sendmail.process.subprocess.Popen", no_more)
    outcome = one(through(program("exit 0")))
    assert (outcome.verdict, outcome.health) == (RELEASED, DOWN)
    assert outcome.opening


# --- Programs that do not end as they should ------------------------------------------------------


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
    assert time.monotonic() - began < 15


def test_much_said_while_much_is_read(program: MakeProgram) -> None:
    """Neither side waits for the other, and only the beginning is kept."""
    text = "head -c 300000 /dev/zero | tr '\\0' a >&2\ncat > /dev/null\nhead -c 300000 /dev/zero"
    assert one(through(program(text)), BODY + b"z" * MEGABYTE).verdict is ACCEPTED
    assert len(one(through(program(f"{text}\nexit 74"))).reason) < 500


def test_a_slow_reader_has_time_in_proportion(program: MakeProgram) -> None:
    timeouts = Timeouts(command=0.1, body_rate=100_000, final_dot=0.1)
    slow = program("sleep 0.5\ncat > /dev/null")
    assert one(through(slow, timeouts=timeouts), b"x" * 200_000).verdict is ACCEPTED
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
        assert time.monotonic() - began < 30
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


def test_no_descriptor_and_no_child_is_left(program: MakeProgram) -> None:
    transport = through(program(f'{READ}case "$6" in r5@*) sleep 60;; esac'), timeouts=SHORT)
    one(transport)
    before = descriptors()
    deliver(transport, mails(8))
    deliver(through("/nowhere"), mails(1))
    assert descriptors() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


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
    thread.join(10)
    assert not thread.is_alive()
