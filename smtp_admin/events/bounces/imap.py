"""A mailbox over IMAP (RFC 3501), read by Python's own client over the guarded dialler.

That client trusts its server with time and memory. Here everything it reads comes through our
wire: each wait has a deadline, each line and mail a size, and so has the whole conversation. Mail
is only looked at; what was a report of ours is marked as read.
"""

import base64
import imaplib
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from typing import Any, Literal, get_args

from smtp_admin.config import Config
from smtp_admin.credentials.bearer import Bearer
from smtp_admin.events.bounces.hints import in_words_of_imap
from smtp_admin.events.bounces.imap_failures import ANY, as_bytes, failure, refused
from smtp_admin.events.bounces.mime import MOST_BYTES
from smtp_admin.smtp import explain
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.redaction import Redactor, printable
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler
from smtp_admin.smtp.tls import client_context
from smtp_admin.smtp.wire import Wire, WireClosed, WireGarbage
from smtp_admin.translation import gettext

Security = Literal["ssl", "tls"]
_Answer = Callable[[bytes], bytes | None]
SECURITIES: tuple[Security, ...] = get_args(Security)
#: IMAP's own ports, which are none of a mail server's.
PORTS = {"ssl": 993, "tls": 143}
_MOST_LINE, _MOST_OF_SESSION = 256 * 1024, 256 * 1024 * 1024
#: The numbers of half a million mails, which come in one line.
_MOST_NUMBERS = 4 * 1024 * 1024
#: What Python keeps of each line beside its letters.
_BESIDE = 100
_COMMAND_SECONDS = 30.0
#: Mails of one conversation.
MOST_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Account:
    """Where a mailbox is, and how to open it.

    Attributes:
        password: empty where the sender's own sign-in opens it.
        token: of that sign-in, once there is one.
        mechanism: the only one to tell it by; empty for the first that the server offers.
    """

    host: str
    port: int
    security: Security
    username: str
    password: str = field(repr=False)
    folder: str = "INBOX"
    token: str = field(default="", repr=False)
    mechanism: str = ""


class _Client(imaplib.IMAP4):
    """The standard client on a wire of ours.

    Attributes:
        redact: takes the password or token out of what the server says.
        most_line: the longest line that may come.
    """

    def __init__(self, wire: Wire, overall: Deadline, redact: Redactor) -> None:
        self.redact = redact
        self.most_line = _MOST_LINE
        self._wire = wire
        self._overall = overall
        self._came = bytearray()
        self._left = _MOST_OF_SESSION
        self._kept = 0
        super().__init__()

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """The connection is there already."""

    def read(self, size: int) -> bytes:
        """So many bytes: a literal, whose size the server names."""
        if size > MOST_BYTES + _MOST_LINE:
            raise WireGarbage
        deadline = self._deadline()
        while len(self._came) < size:
            self._more(deadline)
        return self._took(size)

    def readline(self) -> bytes:
        """One line."""
        deadline, start = self._deadline(), 0
        while (end := self._came.find(b"\n", start)) < 0:
            start = len(self._came)
            if start > self.most_line:
                raise WireGarbage
            self._more(deadline)
        return self._took(end + 1)

    def send(self, data: Any) -> None:
        """Write a command; what was said before it is forgotten."""
        self._kept = 0
        self._wire.write(bytes(data), self._deadline())

    def shutdown(self) -> None:
        """Let go of the connection."""
        self._wire.close()

    def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """STARTTLS; what a server said in plain text beyond its answer is not believed."""
        kind, _ = self.xatom("STARTTLS")
        if kind != "OK":
            raise self.error("STARTTLS")
        if self._came or self._wire.pending:
            raise WireGarbage
        self._wire.start_tls(context, host, self._deadline())

    def _took(self, size: int) -> bytes:
        """The next bytes that came; all that one command is answered is kept until its end."""
        found = bytes(self._came[:size])
        del self._came[:size]
        self._kept += size + _BESIDE
        if self._kept > MOST_BYTES + 2 * self.most_line:
            raise WireGarbage
        return found

    def _more(self, deadline: Deadline) -> None:
        received = self._wire.receive(deadline)
        self._left -= len(received)
        if not received:
            raise WireClosed
        if self._left < 0:
            raise WireGarbage
        self._came += received

    def _deadline(self) -> Deadline:
        return Deadline(_COMMAND_SECONDS, self._overall)


class Mailbox:
    """An open folder, used by one thread; :meth:`close` it.

    Attributes:
        validity: of the numbers that its mails have; with another one they mean other mails.
        count: how many mails are in it.
    """

    def __init__(self, client: _Client, wire: Wire, validity: int, count: int) -> None:
        self._client = client
        self._wire = wire
        self.validity = validity
        self.count = count

    def after(self, uid: int) -> list[int]:
        """The numbers of the first mails after *uid*, in their order.

        Raises:
            SMTPFailure: the server failed.
        """
        self._client.most_line = _MOST_NUMBERS
        try:
            found = self._ask("SEARCH", f"UID {uid + 1}:*")
        finally:
            self._client.most_line = _MOST_LINE
        numbers = (
            int(one[0]) for line in found for one in re.finditer(rb"\d{1,10}", as_bytes(line))
        )
        # A range that ends with * has the last mail in it, whatever its number.
        return sorted({*nsmallest(MOST_AT_ONCE, (one for one in numbers if one > uid))})

    def content(self, uid: int) -> bytes | None:
        """A mail, or the beginning of a large one; ``None`` if it is gone.

        Raises:
            SMTPFailure: the server failed.
        """
        found = self._ask("FETCH", str(uid), f"(BODY.PEEK[]<0.{MOST_BYTES}>)")
        return next(
            (bytes(one[1]) for one in found if isinstance(one, tuple) and len(one) > 1), None
        )

    def mark(self, uid: int) -> None:
        """Mark a mail as read, where the server lets us."""
        try:
            self._client.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Seen)")
        except ANY as error:
            raise failure("folder", error, self._client.redact) from error

    def close(self) -> None:
        """End the conversation."""
        try:
            self._client.logout()
        except ANY:
            pass  # it is over in any case
        finally:
            self._wire.close()

    def _ask(self, command: str, *words: str) -> list[Any]:
        redact = self._client.redact
        self._client.untagged_responses.clear()  # what nobody asked for would stay to the end
        try:
            kind, found = self._client.uid(command, *words)
        except ANY as error:
            raise failure("folder", error, redact) from error
        if kind != "OK":
            silent = gettext("The server did not answer.")
            raise refused("server_refused", "folder", silent, found, redact)
        return found


@in_words_of_imap()
def open_mailbox(account: Account, config: Config, overall: Deadline, report: Report) -> Mailbox:
    """The folder of *account*, each step written into *report*.

    Raises:
        SMTPFailure: with the code and the step ``validate``, ``dns``, ``connect``, ``greeting``,
            ``tls``, ``certificate``, ``auth`` or ``folder``.
    """
    ports = frozenset({*PORTS.values(), *config.allowed_ports})
    policy = DiallingPolicy(ports, config.allowed_networks)
    dialler = replace(Dialler.from_config(config), policy=policy)
    policy.check_port(account.port)
    wire = dialler.connect(account.host, account.port, overall, report)
    redact = Redactor((account.password, account.token), account.username)
    try:
        context = client_context(ca_file=dialler.ca_file)

        def encrypted(act: Callable[[], None]) -> Callable[[], tuple[str, None]]:
            def run() -> tuple[str, None]:
                try:
                    act()
                except ssl.SSLCertVerificationError as error:
                    raise explain.of_certificate(error, account.host) from error
                except ssl.SSLError as error:
                    raise explain.of_handshake(error) from error
                except ANY as error:
                    raise failure("tls", error, redact) from error
                return str(wire.tls.version()) if wire.tls else "", None

            return run

        if account.security == "ssl":
            deadline = Deadline(_COMMAND_SECONDS, overall)
            report.run("tls", encrypted(lambda: wire.start_tls(context, account.host, deadline)))
        client = _greeted(wire, overall, report, redact)
        if account.security == "tls":
            report.run("tls", encrypted(lambda: client.encrypt(context, account.host)))
        report.run("auth", lambda: _logged_in(client, account))
        opened: list[Mailbox] = []
        report.run("folder", lambda: _selected(client, wire, account, opened))
        return opened[0]
    except BaseException:
        wire.close()
        raise


def _greeted(wire: Wire, overall: Deadline, report: Report, redact: Redactor) -> _Client:
    clients: list[_Client] = []

    def greet() -> tuple[str, None]:
        try:
            clients.append(_Client(wire, overall, redact))
        except ANY as error:
            raise failure("greeting", error, redact) from error
        return printable(as_bytes(clients[0].welcome).decode("utf-8", "replace"))[:200], None

    report.run("greeting", greet)
    return clients[0]


def _logged_in(client: _Client, account: Account) -> tuple[str, None]:
    try:
        offered = b" ".join(as_bytes(one) for one in client.capability()[1]).upper().split()
        if account.token:
            _logged_in_by_token(client, account, offered)
        elif b"AUTH=PLAIN" in offered:
            words = f"\0{account.username}\0{account.password}".encode()
            client.authenticate("PLAIN", lambda _: words)
        elif b"LOGINDISABLED" in offered:
            raise SMTPFailure(
                "auth_not_offered", "auth", gettext("The server offers no login by password.")
            )
        else:
            client.login(account.username, account.password)
    except imaplib.IMAP4.abort as error:
        raise failure("auth", error, client.redact) from error
    except (imaplib.IMAP4.error, UnicodeEncodeError) as error:
        if account.token:
            raise refused(
                "auth_failed", "auth", TOKEN_REFUSED, error.args, client.redact, hint=IMAP_ON
            ) from error
        raise refused(
            "auth_failed",
            "auth",
            gettext("The server refused the user name or password."),
            error.args,
            client.redact,
            hint=gettext(
                "Many providers want an app password for IMAP, or have IMAP turned off at first."
            ),
        ) from error
    except ANY as error:
        raise failure("auth", error, client.redact) from error
    return account.username, None


#: What it means that a server refuses a token.
TOKEN_REFUSED = gettext("The server refused the token of the sender's sign-in.")
#: What to do where a server refuses a token.
IMAP_ON = gettext(
    "Check that the login is the mailbox that signed in, or one that it may open, that IMAP is "
    "turned on for it, and that the sign-in allows IMAP."
)


def _logged_in_by_token(client: _Client, account: Account, offered: list[bytes]) -> None:
    bearer = Bearer(account.username, account.token, account.mechanism)
    for mechanism in bearer.mechanisms(encrypted=True):
        if f"AUTH={mechanism}".encode() in offered:
            exchange = bearer.exchange(mechanism)

            def answer(challenge: bytes, answer: _Answer = exchange.answer) -> bytes | None:
                said = answer(challenge)
                client.redact.hide(base64.b64encode(said or b"").decode("ascii"))
                return said

            client.authenticate(mechanism, answer)
            return
    if not account.mechanism:
        words = gettext("The server offers no login by OAuth2 (XOAUTH2 or OAUTHBEARER).")
        raise SMTPFailure("auth_not_offered", "auth", words)
    raise SMTPFailure(
        "auth_not_offered",
        "auth",
        gettext(
            "The server offers no login by %(mechanism)s, which the sender is set to.",
            mechanism=account.mechanism,
        ),
        hint=gettext("Leave “Login with the token” on the sender's tab to the server."),
    )


def _selected(
    client: _Client, wire: Wire, account: Account, opened: list[Mailbox]
) -> tuple[str, None]:
    try:
        kind, found = client.select(f'"{_encoded(account.folder)}"')
        validity = client.response("UIDVALIDITY")[1]
    except ANY as error:
        raise failure("folder", error, client.redact) from error
    if kind != "OK":
        raise refused(
            "server_refused",
            "folder",
            gettext("There is no folder %(name)s.", name=account.folder),
            found,
            client.redact,
            hint=gettext("INBOX is always there."),
        )
    count = int(_number(found))
    opened.append(Mailbox(client, wire, int(_number(validity)), count))
    return gettext("mails: %(number)s", number=count), None


def _number(found: Any) -> int:
    digits = re.search(rb"\d{1,10}", as_bytes(found[0]) if found else b"")
    return int(digits[0]) if digits else 0


def _encoded(name: str) -> str:
    """A folder's name in the letters of IMAP (RFC 3501, section 5.1.3), for a quoted string."""

    def other(found: re.Match[str]) -> str:
        letters = base64.b64encode(found[0].encode("utf-16-be")).decode("ascii")
        return f"&{letters.rstrip('=').replace('/', ',')}-"

    encoded = re.sub(r"[^ -~]+", other, name.replace("&", "&-"))
    return encoded.replace("\\", "\\\\").replace('"', '\\"')
