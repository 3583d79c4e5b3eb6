"""Send over SMTP, pipelined where the server offers it (RFC 2920).

The body of one message and the envelope of the next travel in one write, so a message costs one
round trip. Every reply is read and judged by itself. The connection stays open between calls.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smtp_admin.smtp import classes
from smtp_admin.smtp.classes import Outcome, Verdict
from smtp_admin.smtp.client import SMTPClient
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.opening import Destination, Dialler, open_session
from smtp_admin.smtp.reply import Reply
from smtp_admin.transports.base import Outgoing

_START_MAIL = 354
#: Servers close a silent connection after some time; asking first is cheaper than finding out.
_IDLE_SECONDS = 60.0


@dataclass(slots=True)
class _Begun:
    """An envelope whose commands were written and whose replies are still to be read."""

    mail: Outgoing
    with_reset: bool


class SMTPTransport:
    """One connection to one destination, opened when it is first needed."""

    def __init__(self, destination: Destination, password: str, dialler: Dialler) -> None:
        self._destination = destination
        self._password = password
        self._dialler = dialler
        self._client: SMTPClient | None = None
        self._used_at = 0.0
        self._dirty = False

    def __repr__(self) -> str:
        return f"<SMTPTransport to {self._destination.host}:{self._destination.port}>"

    def deliver(self, mails: Sequence[Outgoing]) -> Iterator[tuple[int, Outcome]]:
        """See :class:`smtp_admin.transports.base.Transport`."""
        try:
            client = self._ready()
        except SMTPFailure as failure:
            yield mails[0].key, classes.of_opening(failure)
            return
        finished = False
        try:
            if "PIPELINING" in client.extensions:
                yield from self._pipelined(client, mails)
            else:
                yield from self._one_by_one(client, mails)
            finished = True
        except _Broken:
            return
        finally:
            self._used_at = time.monotonic()
            if not finished:  # broken, or left in the middle of an envelope
                self._drop()

    def close(self) -> None:
        """Say goodbye and let go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.quit()

    def abort(self) -> None:
        """Cut the connection, from any thread."""
        client = self._client
        if client is not None:
            client.wire.shut_down()

    def _ready(self) -> SMTPClient:
        client = self._client
        if client is not None:
            fresh = time.monotonic() - self._used_at < _IDLE_SECONDS
            if fresh and client.wire.is_idle():
                return client
            self.close()
        self._client = client = open_session(self._destination, self._password, self._dialler)
        self._dirty = False
        return client

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.wire.close()

    def _pipelined(
        self, client: SMTPClient, mails: Sequence[Outgoing]
    ) -> Iterator[tuple[int, Outcome]]:
        begun: _Begun | None = None
        for position, mail in enumerate(mails):
            refused = _unsendable(client, mail)
            if refused is not None:
                yield mail.key, refused
                continue
            try:
                if begun is None:
                    begun = self._begin(client, mail, b"")
                outcome = self._read_envelope(client, begun)
            except SMTPFailure as failure:
                yield mail.key, classes.of_broken_conversation(failure, after_dot=False)
                raise _Broken from failure
            begun = None
            if outcome is not None:
                yield mail.key, outcome
                _stop_if_broken(outcome)
                continue
            along = next(iter(mails[position + 1 : position + 2]), None)
            if along is not None and _unsendable(client, along) is not None:
                along = None
            body = _stuffed(mail.content)
            try:
                if along is None:
                    client.write("data", body, seconds=client.body_seconds(len(body)))
                else:
                    begun = self._begin(client, along, body)
            except SMTPFailure as failure:
                # The server may have read the dot before the connection broke.
                yield mail.key, classes.of_broken_conversation(failure, after_dot=True)
                raise _Broken from failure
            outcome = self._after_dot(client)
            yield mail.key, outcome
            _stop_if_broken(outcome)

    def _begin(self, client: SMTPClient, mail: Outgoing, before: bytes) -> _Begun:
        reset = b"RSET\r\n" if self._dirty else b""
        commands = (
            f"MAIL FROM:<{mail.mail_from}>{_parameters(client, mail)}\r\n"
            f"RCPT TO:<{mail.recipient}>\r\nDATA\r\n"
        ).encode()
        seconds = client.body_seconds(len(before)) if before else None
        client.write("data" if before else "sender", before + reset + commands, seconds=seconds)
        return _Begun(mail, bool(reset))

    def _read_envelope(self, client: SMTPClient, begun: _Begun) -> Outcome | None:
        """The outcome if the envelope was refused, or ``None`` when the body is wanted."""
        if begun.with_reset:
            client.read("sender")
        mail = client.read("sender")
        recipient = client.read("recipient")
        data = client.read("data")
        self._dirty = False
        outcome = _of_envelope(mail, recipient, data)
        if outcome is None:
            return None
        if data.code == _START_MAIL:
            # Some servers wait for a body all the same; an empty one ends it (RFC 2920, 3.1).
            client.write("data", b".\r\n")
            client.read("data")
        self._dirty = True
        return outcome

    def _one_by_one(
        self, client: SMTPClient, mails: Sequence[Outgoing]
    ) -> Iterator[tuple[int, Outcome]]:
        for mail in mails:
            refused = _unsendable(client, mail)
            if refused is not None:
                yield mail.key, refused
                continue
            try:
                outcome = self._envelope_step_by_step(client, mail)
            except SMTPFailure as failure:
                yield mail.key, classes.of_broken_conversation(failure, after_dot=False)
                raise _Broken from failure
            if outcome is None:
                body = _stuffed(mail.content)
                try:
                    client.write("data", body, seconds=client.body_seconds(len(body)))
                except SMTPFailure as failure:
                    yield mail.key, classes.of_broken_conversation(failure, after_dot=True)
                    raise _Broken from failure
                outcome = self._after_dot(client)
            yield mail.key, outcome
            _stop_if_broken(outcome)

    def _envelope_step_by_step(self, client: SMTPClient, mail: Outgoing) -> Outcome | None:
        if self._dirty:
            client.reset()
        self._dirty = True
        reply = client.mail(mail.mail_from, parameters=_parameters(client, mail))
        if not reply.positive:
            return classes.of_mail(reply)
        reply = client.recipient(mail.recipient)
        if not reply.positive:
            return classes.of_recipient(reply)
        reply = client.command("data", "DATA")
        if reply.code != _START_MAIL:
            return classes.of_data(reply)
        self._dirty = False
        return None

    @staticmethod
    def _after_dot(client: SMTPClient) -> Outcome:
        try:
            return classes.of_data(client.read("data", seconds=client.final_dot_seconds))
        except SMTPFailure as failure:
            return classes.of_broken_conversation(failure, after_dot=True)


class _Broken(Exception):
    """The conversation cannot go on; what there was to say has been yielded."""


def _stop_if_broken(outcome: Outcome) -> None:
    if outcome.verdict in {Verdict.UNCERTAIN, Verdict.RELEASED}:
        raise _Broken


def _of_envelope(mail: Reply, recipient: Reply, data: Reply) -> Outcome | None:
    # The first refusal is the one that counts; the others only follow from it.
    if not mail.positive:
        return classes.of_mail(mail)
    if not recipient.positive:
        return classes.of_recipient(recipient)
    if data.code != _START_MAIL:
        return classes.of_data(data) if not data.positive else classes.of_data(Reply(503, ("",)))
    return None


def _parameters(client: SMTPClient, mail: Outgoing) -> str:
    parameters = f" SIZE={len(mail.content)}" if "SIZE" in client.extensions else ""
    if not mail.recipient.isascii():
        parameters += " SMTPUTF8"
    return parameters


def _unsendable(client: SMTPClient, mail: Outgoing) -> Outcome | None:
    """Why this server need not even be asked, or ``None``."""
    limit = client.extensions.get("SIZE", "")
    if limit.isascii() and limit.isdigit() and 0 < int(limit) < len(mail.content):
        return Outcome(
            Verdict.PERMANENT,
            reason=f"The mail has {len(mail.content)} bytes; the server takes at most {limit}.",
            code="too_large",
        )
    if not mail.recipient.isascii() and "SMTPUTF8" not in client.extensions:
        return Outcome(
            Verdict.PERMANENT,
            reason="The server cannot write to addresses with international letters.",
            code="recipient_refused",
        )
    return None


def _stuffed(content: bytes) -> bytes:
    """*content* as it follows DATA: dots doubled, with the final one (RFC 5321 section 4.5.2)."""
    body = content.replace(b"\r\n.", b"\r\n..")
    if body.startswith(b"."):
        body = b"." + body
    return body + (b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n")
