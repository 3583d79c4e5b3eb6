"""Mail programs of the tests' own, and transports through them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from smtp_admin.smtp.client import Timeouts
from smtp_admin.transports.sendmail.transport import SendmailTransport

#: Makes a program of a shell script's text; its path.
MakeProgram = Callable[[str], Path]
PATIENT = Timeouts(command=30, final_dot=30)
SHORT = Timeouts(command=0.3, body_rate=10_000_000, final_dot=0.3)
#: Read the mail, as every mail program does first.
READ = "cat > /dev/null\n"


@pytest.fixture
def program(tmp_path: Path) -> MakeProgram:
    """Write a shell script that stands for a mail program."""

    def make(text: str, name: str = "sendmail") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
        return path

    return make


def through(path: Path | str, *arguments: str, timeouts: Timeouts = PATIENT) -> SendmailTransport:
    """A transport through the program at *path*."""
    return SendmailTransport((str(path), *arguments), timeouts)
