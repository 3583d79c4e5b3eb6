"""A real Postfix whose logins a real Dovecot checks, on ports of the tests' own; and its IMAP."""

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from . import Unavailable, find_program, free_port, tail
from .lifetime import Server

__all__ = ["PostfixWithDovecot"]

HOST = "127.0.0.1"
START_SECONDS = 30
START_ATTEMPTS = 3
DAEMONS = Path("/usr/lib/postfix/sbin")
IMAP_DAEMON = Path("/usr/lib/dovecot/imap")
INSTALL = "Install postfix and dovecot-imapd (Debian) to test with a real mail server"

MAIN = """\
compatibility_level = 3.6
maillog_file = {base}/postfix.log
maillog_file_prefixes = /tmp, {base}
queue_directory = {base}/queue
data_directory = {base}/data
myhostname = mail.acme.example
mydestination =
mynetworks = 192.0.2.0/24
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
default_transport = discard
smtputf8_enable = no
smtpd_banner = $myhostname ESMTP
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sender_login_maps = inline:{{ {owners} }}
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
"""
# What a Postfix needs to take mail and throw it away; none of them is put into a chroot.
SERVICES = """\
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 5 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
discard unix - - n - - discard
error unix - - n - - error
retry unix - - n - - error
"""
DOVECOT = """\
base_dir = {base}/dovecot
state_dir = {base}/dovecot-state
log_path = {base}/dovecot.log
protocols = {protocols}
ssl = {ssl}
listen = 127.0.0.1
auth_mechanisms = plain login{mechanisms}
auth_failure_delay = 0
disable_plaintext_auth = no
{tokens}passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {base}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={base}/mail/%u
}}
service auth {{
  unix_listener {base}/queue/private/auth {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
# No waiting after a wrong password: the tests enter many of them.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""
#: Mailboxes: two ports, with STARTTLS and with encryption from the first byte.
DOVECOT_IMAP = """\
mail_location = maildir:~
ssl_cert = <{certificate}
ssl_key = <{key}
ssl_min_protocol = TLSv1.2
service imap-login {{
  inet_listener imap {{
    port = {tls}
  }}
  inet_listener imaps {{
    port = {ssl}
    ssl = yes
  }}
}}
"""
#: Logins by token: Dovecot asks the token server whose it is (RFC 7662).
DOVECOT_TOKENS = """\
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {base}/tokens.conf
}}
"""
TOKENS = """\
introspection_mode = post
introspection_url = {url}
username_attribute = username
active_attribute = active
active_value = true
"""


class PostfixWithDovecot(Server):
    """One Postfix with several doors, each on a port of its own, and a Dovecot for the logins.

    Both begin as root and change to users of their own, so they live in a folder that everybody
    may enter: the tests' own usually is root's alone.

    Args:
        certificate: certificate and key of the doors that name no other.
        accounts: login → password.
        owners: sender address → the login that may use it.
        doors: name → Postfix settings that differ there from what is usual, as for ``-o``.
        introspection: where Dovecot asks about tokens; empty where it takes passwords alone.
        imap: whether the mailboxes of the accounts can be read.

    Attributes:
        imap_ports: of IMAP, with ``tls`` (STARTTLS) and with ``ssl``.
    """

    def __init__(
        self,
        *,
        certificate: tuple[Path, Path],
        accounts: Mapping[str, str],
        owners: Mapping[str, str],
        doors: Mapping[str, Mapping[str, str]],
        introspection: str = "",
        imap: bool = False,
    ) -> None:
        self._dovecot_program = find_dovecot_and_postfix()
        self._base = Path(tempfile.mkdtemp(prefix="smtp_admin-postfix-"))
        self._base.chmod(0o755)
        self._certificate, self._key = certificate
        self._accounts = accounts
        self._owners = owners
        self._doors = doors
        self._introspection = introspection
        self._processes: list[subprocess.Popen[bytes]] = []
        self._imap = imap
        self.ports: dict[str, int] = {}
        self.imap_ports: dict[str, int] = {}
        try:
            self._lay_out()
            self._start()
        except BaseException:
            self.stop()
            raise

    @property
    def log(self) -> str:
        """What Postfix has logged."""
        return tail(self._base / "postfix.log", 1000)

    @property
    def imap_log(self) -> str:
        """What Dovecot has logged."""
        return tail(self._base / "dovecot.log", 1000)

    def put_mail(self, account: str, content: bytes) -> None:
        """Deliver a mail to the mailbox of *account*."""
        (self._base / "mail" / account / "new" / f"{time.time_ns()}.here").write_bytes(content)

    def seen(self, account: str) -> int:
        """How many mails of *account* are marked as read."""
        return sum(
            "S" in one.name.rpartition(":2,")[2]
            for one in (self._base / "mail" / account / "cur").iterdir()
        )

    def stop(self) -> None:
        """End both servers with all that they started; a second call does nothing."""
        self._stop_processes()
        shutil.rmtree(self._base, ignore_errors=True)

    def _stop_processes(self) -> None:
        while self._processes:
            process = self._processes.pop()
            # A session of its own: the group is this server and its children, nobody else's.
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, number)
                    process.wait(5)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
            process.wait()

    def _lay_out(self) -> None:
        for name in ("dovecot", "dovecot-state"):
            (self._base / name).mkdir(mode=0o755)
        make_folders(self._base)
        owners = ", ".join(f"{{ {address} = {login} }}" for address, login in self._owners.items())
        (self._base / "config/main.cf").write_text(
            MAIN.format(
                base=self._base, certificate=self._certificate, key=self._key, owners=owners
            )
        )
        users = "".join(f"{login}:{{PLAIN}}{word}\n" for login, word in self._accounts.items())
        (self._base / "users").write_text(users)
        if self._introspection:
            (self._base / "tokens.conf").write_text(TOKENS.format(url=self._introspection))
        if self._imap:
            self._lay_out_mailboxes()

    def _lay_out_mailboxes(self) -> None:
        nobody = pwd.getpwnam("nobody")
        for account in self._accounts:
            for name in ("", "cur", "new", "tmp"):
                folder = self._base / "mail" / account / name
                folder.mkdir(parents=True)
                os.chown(folder, nobody.pw_uid, nobody.pw_gid)

    def _dovecot(self) -> str:
        """Its configuration."""
        mechanisms, tokens, imap = "", "", ""
        if self._introspection:
            mechanisms, tokens = " xoauth2 oauthbearer", DOVECOT_TOKENS.format(base=self._base)
        if self._imap:
            self.imap_ports = {name: free_port(HOST) for name in ("tls", "ssl")}
            imap = DOVECOT_IMAP.format(
                certificate=self._certificate, key=self._key, **self.imap_ports
            )
        protocols, ssl = ("imap", "yes") if self._imap else ("", "no")
        usual = DOVECOT.format(
            base=self._base, mechanisms=mechanisms, tokens=tokens, protocols=protocols, ssl=ssl
        )
        return usual + imap

    def _start(self) -> None:
        for attempt in range(START_ATTEMPTS):
            (self._base / "dovecot.conf").write_text(self._dovecot())
            dovecot = self._run(self._dovecot_program, "-F", "-c", str(self._base / "dovecot.conf"))
            self.ports = {name: free_port(HOST) for name in self._doors}
            (self._base / "config/master.cf").write_text(self._services())
            postfix = self._run(DAEMONS / "master", "-c", str(self._base / "config"), "-d")
            if self._is_up(dovecot, postfix):
                return
            self._stop_processes()  # a port was taken
            if attempt + 1 == START_ATTEMPTS:
                raise RuntimeError(
                    f"Postfix did not start.\n{tail(self._base / 'output')}\n{self.log}\n"
                    f"{tail(self._base / 'dovecot.log')}"
                )

    def _services(self) -> str:
        lines = []
        for name, port in self.ports.items():
            lines.append(f"{HOST}:{port} inet n - n - - smtpd -o syslog_name=postfix/{name}\n")
            lines += [f"  -o {{ {key} = {value} }}\n" for key, value in self._doors[name].items()]
        return "".join(lines) + SERVICES

    def _run(self, program: Path, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self._base / "output").open("ab") as output:
            process = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
            )
        self._processes.append(process)
        return process

    def _is_up(self, *both: "subprocess.Popen[bytes]") -> bool:
        """Wait until every door opens and logins can be checked; no if one of them ended."""
        ready = time.monotonic() + START_SECONDS
        doors = (*self.ports.values(), *self.imap_ports.values())
        while time.monotonic() < ready:
            if any(one.poll() is not None for one in both):
                return False
            if (self._base / "queue/private/auth").exists() and all(map(_opens, doors)):
                return True
            time.sleep(0.05)
        return False


def make_folders(base: Path) -> None:
    """The folders of a Postfix under *base*, with the owners that it insists on."""
    postfix = pwd.getpwnam("postfix")
    for name in ("config", "data", "queue"):
        (base / name).mkdir(mode=0o755)
    os.chown(base / "data", postfix.pw_uid, -1)
    for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold",
                 "incoming", "private", "saved", "trace"):  # fmt: skip
        (base / "queue" / name).mkdir(mode=0o700)
        os.chown(base / "queue" / name, postfix.pw_uid, -1)
    (base / "queue/pid").mkdir(mode=0o755)
    for name, mode in (("public", 0o710), ("maildrop", 0o730)):
        (base / "queue" / name).mkdir()
        os.chown(base / "queue" / name, postfix.pw_uid, grp.getgrnam("postdrop").gr_gid)
        (base / "queue" / name).chmod(mode)


def _opens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def find_dovecot_and_postfix() -> Path:
    """Return Dovecot's program, once it is sure that a Postfix beside it can be started."""
    dovecot = find_program("dovecot")
    missing = [] if (DAEMONS / "master").exists() else ["postfix"]
    if dovecot is None or not IMAP_DAEMON.exists():
        missing.append("dovecot-imapd")
    if os.geteuid() != 0:
        reason = "run the tests as root: Postfix starts as root only"
        raise Unavailable(f"{INSTALL}, and {reason}.", *missing)
    if dovecot is None or missing:
        raise Unavailable(f"{INSTALL}.", *missing)
    for user in ("postfix", "dovecot", "dovenull"):
        try:
            pwd.getpwnam(user)
        except KeyError as error:
            raise Unavailable(f"{INSTALL}: there is no user {user}.") from error
    return dovecot
