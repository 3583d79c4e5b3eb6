"""Handing mail to a program: what it gets, and that it may be missing."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from smtp_admin.providers.catalogue import replies
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.outcome import SenderHealth
from smtp_admin.transports.sendmail.transport import SendmailTransport
from tests.transports.programs import PATIENT, MakeProgram, one, through
from tests.transports.sending import (
    ACCEPTED,
    BODY,
    PERMANENT,
    RELEASED,
    deliver,
    mail,
    mails,
    verdicts,
)

DOWN, MISCONFIGURED = SenderHealth.DOWN, SenderHealth.MISCONFIGURED
REPORTER = """\
#!{python} -S
import json, os, sys
with open({to!r}, "w") as report:
    json.dump({{"arguments": sys.argv[1:], "environment": dict(os.environ), "cwd": os.getcwd(),
        "leader": os.getsid(0) == os.getpid() == os.getpgid(0),
        "open": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
        "content": sys.stdin.buffer.read().decode("latin-1")}}, report)
"""

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
        *(through(path) for path in (closed, odd, orphan, tmp_path, "sendmail", "./mail", "")),
        SendmailTransport((), PATIENT, replies()),
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
