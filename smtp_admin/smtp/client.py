"""A hardened SMTP client (RFC 5321) on one connection.

It differs from the standard library's in what an attacker or a broken server can do to it: every
wait has an absolute deadline, a reply has a largest size, exactly one login is tried, only
``235`` is a login, bytes that arrive before the encryption starts end the connection, and no
reply carries the password back into a message or log.
"""

import logging
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from smtp_admin.smtp import explain
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.login import Credential, Explained, converse
from smtp_admin.smtp.redaction import MASK, Redactor
from smtp_admin.smtp.reply import Reply
from smtp_admin.smtp.wire import Wire, WireClosed, WireGarbage, WireTimeout
from smtp_admin.translation import gettext

log = logging.getLogger("smtp_admin.smtp")

_READY = 220
_LOGGED_IN = 235
_MOST_PARAMETERS = 100
GOODBYE_SECONDS = 1.0
_FIRST_GREETING, _LONGEST_GREETING, _LONGEST_CONNECT = 15.0, 300.0, 120.0
#: How much shorter the first wait is while many wait.
_HURRY = 4


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for what, in seconds (RFC 5321 section 4.5.3.2, shortened where safe).

    Attributes:
        connect: for name and connection.
        greeting: for the server's first words, or the handshake before them; that of a command
            where it is ``None``.
        command: for the reply to one command, and for the TLS handshake.
        body_rate: bytes per second that a slow server must take at least.
        final_dot: for the reply after the message. Long, because giving up early sends twice.
    """

    connect: float = 10.0
    command: float = 60.0
    body_rate: int = 50_000
    final_dot: float = 600.0
    greeting: float | None = None

    def patient(self, failures: int, *, hurried: bool = False) -> "Timeouts":
        """How long a worker waits for a server that could not be reached so many times in a row.

        Most servers that say nothing at first never will, and each of them keeps others waiting;
        a few are only slow. So it is little at first and twice as much each time, up to two
        minutes for the connection and the RFC's five for the greeting.

        Args:
            hurried: whether many others wait for their first words: less at first, and no more
                than else the first time.
        """
        first = _FIRST_GREETING if self.greeting is None else self.greeting
        longer = 2.0 ** min(failures, 10)
        if hurried:
            return replace(
                self,
                connect=min(self.connect / _HURRY * longer, self.connect),
                greeting=min(first / _HURRY * longer, first),
            )
        return replace(
            self,
            connect=max(self.connect, min(self.connect * longer, _LONGEST_CONNECT)),
            greeting=min(first * longer, _LONGEST_GREETING),
        )

    @property
    def first_words(self) -> float:
        """Seconds for the greeting, or the handshake before it."""
        return self.command if self.greeting is None else self.greeting


class SMTPClient:
    """One conversation with one server.

    Args:
        wire: the connection.
        timeouts: how long to wait for each answer.
        overall: when to stop altogether, if the whole conversation has a limit.
        redact: takes the secrets out of what the server says.
        note: told each line that is said, without secrets; mails are not.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        timeouts: Timeouts,
        overall: Deadline | None,
        redact: Redactor,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self._wire = wire
        self._timeouts = timeouts
        self._overall = overall
        self._note = note
        #: Takes the secrets out of text that is shown; what a server offers is read before.
        self.redact = redact
        self.extensions: dict[str, str] = {}

    @property
    def wire(self) -> Wire:
        """The connection underneath."""
        return self._wire

    @property
    def auth_methods(self) -> list[str]:
        """The login mechanisms that the server offers."""
        return self.extensions.get("AUTH", "").upper().split()

    def greeting(self) -> Reply:
        """Wait for the server's first words.

        Raises:
            SMTPFailure: ``not_smtp``, ``server_refused``, ``timeout`` or ``connection_lost``.
        """
        reply = self.read("greeting", seconds=self._timeouts.first_words)
        if not (reply.code == _READY or reply.temporary or reply.permanent):
            raise explain.of_wire("greeting", WireGarbage())
        if reply.code != _READY:
            raise SMTPFailure(
                "server_refused",
                "greeting",
                gettext("The server does not accept connections from here right now."),
                hint=gettext(
                    "It may be overloaded, or may block this platform's IP address. Read "
                    "its reply for details."
                ),
                reply=reply,
            )
        return reply

    def ehlo(self, name: str) -> Reply:
        """Introduce ourselves as *name* and read what the server can do.

        Raises:
            SMTPFailure: the server refuses to talk, or only speaks the protocol of 1982.
        """
        line = f"EHLO {name}"
        self._transcribe("C", line)
        self.write("ehlo", line.encode("utf-8") + b"\r\n")
        reply = self._read_raw("ehlo")
        if not reply.positive:
            raise SMTPFailure(
                "server_refused",
                "ehlo",
                gettext("The server refused our name in EHLO."),
                hint=gettext("The operator can set the name in EHLO (SMTP_ADMIN_EHLO_NAME)."),
                reply=self._shown(reply),
            )
        self.extensions = _extensions(reply.lines[1:])
        return self._shown(reply)

    def starttls(self) -> Reply:
        """Ask for encryption; :meth:`encrypt` must follow.

        Raises:
            SMTPFailure: it is not offered, or refused, or something was slipped in behind the
                reply (CVE-2011-0411).
        """
        if "STARTTLS" not in self.extensions:
            raise SMTPFailure(
                "tls_not_offered",
                "starttls",
                gettext(
                    "The server does not offer STARTTLS on this port, so the test stopped "
                    "before sending anything secret."
                ),
                hint=gettext("Try port 587, or port 465 with SSL."),
            )
        reply = self.command("starttls", "STARTTLS")
        if reply.code != _READY:
            raise SMTPFailure(
                "tls_failed",
                "starttls",
                gettext("The server offers encryption but did not start it."),
                hint=gettext(
                    "This is a problem of the server. Try again later, or use port 465 with SSL."
                ),
                reply=reply,
            )
        if self._wire.pending:
            raise SMTPFailure(
                "tls_failed",
                "starttls",
                gettext("Data was added to the connection before the encryption started."),
                hint=gettext("This can be an attack on the connection. Nothing secret was sent."),
                cause="slipped_in",
            )
        return reply

    def encrypt(
        self, context: ssl.SSLContext, server_hostname: str, *, at_once: bool = False
    ) -> None:
        """Do the TLS handshake and, unless told otherwise, check the certificate.

        Args:
            at_once: whether it comes before the greeting.

        Raises:
            SMTPFailure: ``certificate_error``, ``tls_failed``, ``timeout`` or
                ``connection_lost``.
        """
        try:
            seconds = self._timeouts.first_words if at_once else self._timeouts.command
            self._wire.start_tls(context, server_hostname, self._deadline(seconds))
        except (WireTimeout, WireClosed) as error:
            raise explain.of_wire("tls", error) from error
        except ssl.SSLCertVerificationError as error:
            raise explain.of_certificate(error, server_hostname) from error
        except ssl.SSLError as error:
            raise explain.of_handshake(error) from error
        self.extensions = {}

    def login(self, credential: Credential) -> tuple[str, Reply]:
        """Log in, once, by the one mechanism that suits; returns its name and the reply.

        A second try with another mechanism would count as another failed login and locks
        accounts.

        Raises:
            SMTPFailure: ``auth_not_offered``, ``auth_failed`` or ``server_refused``.
        """
        mechanism = self._choose_mechanism(credential)
        exchange = credential.exchange(mechanism)
        reply, given_up = converse(mechanism, exchange, self._say)
        shown = self._shown(reply)
        if given_up:
            raise explain.of_unanswerable(shown)
        if reply.code != _LOGGED_IN:
            told = self.redact(exchange.refusal) if isinstance(exchange, Explained) else None
            raise explain.of_login(shown, told)
        return mechanism, shown

    def command(self, step: str, line: str, *, seconds: float | None = None) -> Reply:
        """Send one command and return its reply, whatever it says.

        Raises:
            SMTPFailure: ``timeout``, ``connection_lost`` or ``not_smtp``.
        """
        self._transcribe("C", line)
        self.write(step, line.encode("utf-8") + b"\r\n", seconds=seconds)
        return self.read(step, seconds=seconds)

    def write(self, step: str, data: bytes, *, seconds: float | None = None) -> None:
        """Send bytes as they are, within *seconds* (default: those of a command)."""
        try:
            self._wire.write(data, self._deadline(seconds))
        except (WireTimeout, WireClosed, WireGarbage) as error:
            raise explain.of_wire(step, error) from error

    def read(self, step: str, *, seconds: float | None = None) -> Reply:
        """The next reply, whatever it says.

        Raises:
            SMTPFailure: as for :meth:`command`.
        """
        return self._shown(self._read_raw(step, seconds))

    def mail(self, sender: str, *, parameters: str = "") -> Reply:
        """``MAIL FROM``."""
        return self.command("sender", f"MAIL FROM:<{sender}>{parameters}")

    def recipient(self, address: str, *, step: str = "recipient") -> Reply:
        """``RCPT TO``."""
        return self.command(step, f"RCPT TO:<{address}>")

    def reset(self, *, seconds: float | None = None) -> Reply:
        """``RSET``: forget the mail that was begun."""
        return self.command("sender", "RSET", seconds=seconds)

    def quit(self, *, wait: bool = True) -> Reply | None:
        """Say goodbye and close. Never raises: what was agreed before stands.

        Args:
            wait: off for a server that was silent, broke off or talked nonsense: it is told, and
                nobody waits for its answer.
        """
        try:
            deadline = Deadline(GOODBYE_SECONDS)
            self._wire.write(b"QUIT\r\n", deadline)
            self._transcribe("C", "QUIT")
            if not wait:
                return None
            reply = self._shown(self._wire.read_reply(deadline))
            self._transcribe("S", *_as_said(reply))
        except (WireClosed, WireTimeout, WireGarbage, ssl.SSLError):
            return None
        else:
            return reply
        finally:
            self._wire.close()

    def body_seconds(self, size: int) -> float:
        """How long a message of *size* bytes may take to be sent."""
        return self._timeouts.command + size / self._timeouts.body_rate

    @property
    def final_dot_seconds(self) -> float:
        """How long to wait for the reply after the message."""
        return self._timeouts.final_dot

    def _choose_mechanism(self, credential: Credential) -> str:
        offered = self.auth_methods
        for mechanism in credential.mechanisms(encrypted=self._wire.tls is not None):
            if mechanism in offered:
                return mechanism
        if offered:
            raise explain.of_mechanisms(offered)
        hint = (
            gettext(
                "Many servers offer a login only over an encrypted connection. Choose "
                "STARTTLS or SSL."
            )
            if self._wire.tls is None
            else gettext(
                "If this server needs no login, leave the login empty. Otherwise try port 587."
            )
        )
        raise SMTPFailure(
            "auth_not_offered", "auth", gettext("The server offers no login here."), hint=hint
        )

    def _say(self, words: str, secret: str) -> Reply:
        """One line of a login, and the answer as it came; of *secret* nothing is shown."""
        self.redact.hide(secret)
        self._transcribe("C", f"{words} {MASK if secret else ''}".strip())
        self.write("auth", f"{words} {secret}".strip().encode("ascii") + b"\r\n")
        return self._read_raw("auth")

    def _deadline(self, seconds: float | None = None) -> Deadline:
        return Deadline(self._timeouts.command if seconds is None else seconds, self._overall)

    def _read_raw(self, step: str, seconds: float | None = None) -> Reply:
        """A reply as it came: a password such as "AUTH" must not make a riddle of it."""
        try:
            # Pipelined replies come together: most need no waiting, and so no deadline.
            reply = self._wire.reply_at_hand() or self._wire.read_reply(self._deadline(seconds))
        except (WireTimeout, WireClosed, WireGarbage) as error:
            raise explain.of_wire(step, error) from error
        if self._listens:
            self._transcribe("S", *_as_said(self._shown(reply)))
        return reply

    def _shown(self, reply: Reply) -> Reply:
        return Reply(reply.code, self.redact.lines(reply.lines)) if self.redact else reply

    @property
    def _listens(self) -> bool:
        return self._note is not None or log.isEnabledFor(logging.DEBUG)

    def _transcribe(self, who: str, *lines: str) -> None:
        if not self._listens:
            return
        for line in lines:
            said = f"{who}: {self.redact(line)}".rstrip()
            log.debug("%s", said)
            if self._note is not None:
                self._note(said)


def _extensions(lines: Iterable[str]) -> dict[str, str]:
    """Keyword → parameters, of the lines of an EHLO reply.

    Some servers offer logins in several lines, and old ones write "AUTH=LOGIN PLAIN" beside the
    standard form, or in place of it: what they have together counts.
    """
    found: dict[str, str] = {}
    logins: list[str] = []
    for line in lines:
        keyword, *parameters = line.split()[:_MOST_PARAMETERS] or [""]
        name, equals, first = keyword.upper().partition("=")
        if name == "AUTH":
            logins += [first, *parameters] if equals else parameters
        elif name and not equals:
            found[name] = " ".join(parameters)
    if logins:
        found["AUTH"] = " ".join(dict.fromkeys(one for one in logins if one))
    return found


def _as_said(reply: Reply) -> list[str]:
    *first, last = reply.lines
    return [*(f"{reply.code}-{line}" for line in first), f"{reply.code} {last}"]
