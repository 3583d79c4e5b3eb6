"""A real Postfix that takes mail from its command and relays it to a server of the test."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from . import Unavailable, tail
from .lifetime import Server
from .postfix import DAEMONS, SERVICES, make_folders

__all__ = ["PostfixQueue"]

INSTALL = "Install postfix (Debian), and run the tests as root, to test with a real mail program."
SENDMAIL = Path("/usr/sbin/sendmail")
START_SECONDS = 30
MAIN = """\
compatibility_level = 3.6
maillog_file = {base}/postfix.log
maillog_file_prefixes = /tmp, {base}
queue_directory = {base}/queue
data_directory = {base}/data
myhostname = mail.acme.example
mydestination =
inet_protocols = ipv4
alias_maps =
relayhost = [127.0.0.1]:{relay}
smtp_address_preference = ipv4
message_size_limit = {largest}
"""
# By itself it would look for mail once a minute, where the sign that some came was missed.
PICKUP = """\
pickup unix n - n 1 1 pickup
smtp unix - - n - - smtp
"""


class PostfixQueue(Server):
    """One Postfix without any door: what comes in comes through its command.

    Args:
        relay: the port of the server on 127.0.0.1 that gets everything.
        largest: how many bytes a mail may have.
    """

    def __init__(self, relay: int, *, largest: int = 100_000) -> None:
        if os.geteuid() != 0 or not (DAEMONS / "pickup").exists() or not SENDMAIL.exists():
            raise Unavailable(INSTALL)
        self._base = Path(tempfile.mkdtemp(prefix="smtp_admin-postfix-"))
        self._base.chmod(0o755)
        make_folders(self._base)
        config = self._base / "config"
        (config / "main.cf").write_text(MAIN.format(base=self._base, relay=relay, largest=largest))
        (config / "master.cf").write_text(PICKUP + SERVICES)
        #: The command and its arguments, as a host would configure it.
        self.command = (str(SENDMAIL), "-C", str(config))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What Postfix has logged."""
        return tail(self._base / "postfix.log", 1000)

    def settings(self, **changed: str) -> None:
        """Change settings; the command reads them at its next start."""
        with (self._base / "config/main.cf").open("a") as main:
            main.writelines(f"{name} = {value}\n" for name, value in changed.items())

    def break_queue(self) -> None:
        """Take away the folder that new mail is written to."""
        (self._base / "queue/maildrop").rename(self._base / "queue/elsewhere")

    def start(self) -> None:
        """Run it, and wait until it takes mail in."""
        self._process = subprocess.Popen(
            [DAEMONS / "master", "-c", str(self._base / "config"), "-d"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        ready = time.monotonic() + START_SECONDS
        doors = [self._base / "queue/public" / name for name in ("pickup", "cleanup", "qmgr")]
        while not all(one.exists() for one in doors):
            if self._process.poll() is not None or time.monotonic() > ready:
                self.stop()
                raise RuntimeError(f"Postfix did not start.\n{self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it with all that it started; a second call does nothing."""
        process, self._process = self._process, None
        if process is not None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, number)
                    process.wait(5)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
            process.wait()
        shutil.rmtree(self._base, ignore_errors=True)
