"""Send over SMTP, pipelined where the server offers it (RFC 2920).

The body of one message and the envelope of the next travel in one write, so a message costs one
round trip. Every reply is read and judged by itself. The connection stays open between calls.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from smtp_admin.credentials.oauth import Tokens
from smtp_admin.replies.meaning import Step
from smtp_admin.replies.table import Table
from smtp_admin.smtp.client import SMTPClient
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.login import Credential
from smtp_admin.smtp.reply import Reply
from smtp_admin.smtp.session import Dialler, Server
from smtp_admin.smtp.tls import TLSDescription, unnoted
from smtp_admin.smtp.wire import TLS_RECORD, Wire
from smtp_admin.transports import verdicts
from smtp_admin.transports.base import More, Outgoing, Sequel, no_more
from smtp_admin.transports.outcome import Outcome, Verdict
from smtp_admin.transports.smtp.context import context_of
from smtp_admin.transports.smtp.opening import Opening
from smtp_admin.transports.smtp.sendable import parameters_for, stuffed, unsendable

_START_MAIL, _BAD_SEQUENCE = 354, 503
_ENVELOPE: tuple[Step, ...] = ("mail", "rcpt", "data")
_SETTLED = {Verdict.ACCEPTED, Verdict.PERMANENT, Verdict.TEMPORARY}
#: Servers close a silent connection after some time; asking first is cheaper than finding out.
_IDLE_SECONDS = 60.0
#: For what a server said before it hung up, which is here already or does not come.
_LAST_WORDS_SECONDS = 0.5


class SMTPTransport:
    """One connection to one server, opened when it is first needed."""

    def __init__(
        self,
        server: Server,
        credential: Credential,
        dialler: Dialler,
        replies: Table,
        tokens: Tokens | None = None,
        saw: Callable[[TLSDescription], None] = unnoted,
    ) -> None:
        self._server = server
        self._credential = credential
        self._opening = Opening(server, credential, dialler, tokens, saw)
        self._replies = replies
        self._client: SMTPClient | None = None
        self._wire: Wire | None = None
        self._used_at = 0.0
        #: Whether an envelope was begun and must be forgotten before the next.
        self._dirty = False
        self._reset_travels = False
        #: Whether every command had its reply, so that the connection can be used again.
        self._in_step = True
        #: Whether a mail was accepted or refused on this connection.
        self._useful = False
        self._aborted = False

    def __repr__(self) -> str:
        return f"<SMTPTransport to {self._server.host}:{self._server.port}>"

    @property
    def opening(self) -> bool:
        """Whether there is no session yet, so that no mail is under way."""
        return self._client is None

    def deliver(
        self, mails: Iterable[Outgoing], more: More = no_more
    ) -> Iterator[tuple[int, Outcome]]:
        """See :class:`smtp_admin.transports.base.Transport`."""
        self._aborted = False
        sequel = Sequel(mails, more)
        while (first := sequel.first()) is not None:
            try:
                client = self._ready()
            except SMTPFailure as failure:
                context = context_of(self._server, self._credential)
                yield first.key, verdicts.of_opening(failure, self._replies, context)
                return
            pipelining = "PIPELINING" in client.extensions
            converse = self._pipelined if pipelining else self._one_by_one
            finished = False
            try:
                yield from converse(client, sequel)
                finished = True
            except _Broken as broken:
                if not broken.worn:
                    return
            finally:
                self._used_at = time.monotonic()
                if not finished:  # broken, or left in the middle of an envelope
                    self._drop()

    def close(self) -> None:
        """Say goodbye and let go of the connection; nobody waits for the server's answer."""
        client, self._client = self._client, None
        if client is not None:
            client.quit(wait=False)

    def abort(self) -> None:
        """Cut the connection, from any thread."""
        self._aborted = True
        wire = self._wire
        if wire is not None:
            wire.shut_down()

    def _ready(self) -> SMTPClient:
        client = self._client
        if client is not None:
            fresh = time.monotonic() - self._used_at < _IDLE_SECONDS
            if fresh and client.wire.is_idle():
                return client
            self.close()
        self._client = client = self._opening.open(dialled=self._note)
        self._dirty, self._in_step, self._useful = False, True, False
        return client

    def _note(self, wire: Wire) -> None:
        self._wire = wire
        if self._aborted:  # while the name was looked up, or the server answered slowly
            wire.shut_down()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.wire.close()

    def _pipelined(self, client: SMTPClient, sequel: Sequel) -> Iterator[tuple[int, Outcome]]:
        begun = False  # whether this mail's envelope travelled with the body before it
        while (mail := sequel.first()) is not None:
            refused = unsendable(client, mail)
            if refused is not None:
                sequel.done()
                yield mail.key, refused
                continue
            try:
                if not begun:
                    self._stop_if_worn(unasked=client.wire.pending)
                    client.write("sender", self._envelope(client, mail))
                outcome = self._read_envelope(client, mail)
            except SMTPFailure as failure:
                self._stop_if_worn(failure=failure)
                sequel.done()
                yield mail.key, verdicts.of_broken_conversation(failure, after_dot=False)
                raise _Broken from failure
            begun = False
            if outcome is not None:
                self._stop_if_worn(outcome=outcome)
                self._useful = self._useful or outcome.verdict in _SETTLED
                sequel.done()
                yield mail.key, outcome
                if not self._in_step:
                    raise _Broken
                _stop_if_broken(outcome)
                continue
            following = sequel.second()
            begun = following is not None and unsendable(client, following) is None
            envelope = self._envelope(client, following) if following and begun else b""
            outcome = self._send_body(client, mail, envelope)
            self._useful = self._useful or outcome.verdict in _SETTLED
            sequel.done()
            yield mail.key, outcome
            if not self._in_step:
                raise _Broken

    def _envelope(self, client: SMTPClient, mail: Outgoing) -> bytes:
        """The commands before a mail's body, in one piece."""
        self._reset_travels = self._dirty
        reset = "RSET\r\n" if self._dirty else ""
        return (
            f"{reset}MAIL FROM:<{mail.mail_from}>{parameters_for(client, mail)}\r\n"
            f"RCPT TO:<{mail.recipient}>\r\nDATA\r\n"
        ).encode()

    def _read_envelope(self, client: SMTPClient, mail: Outgoing) -> Outcome | None:
        """The outcome if the envelope was refused, or ``None`` when the body is wanted."""
        replies: list[Reply] = []
        try:
            if self._reset_travels:
                self._stop_if_stale(client.read("sender"))
            replies.append(client.read("sender"))
            if self._dirty and not self._reset_travels and replies[0].code == _BAD_SEQUENCE:
                self._stop_if_stale(replies[0])
            replies.append(client.read("recipient"))
            replies.append(client.read("data"))
            if (
                replies[-1].code == _START_MAIL
                and (outcome := self._refusal(client, mail, replies)) is not None
            ):
                if not replies[0].positive:
                    # Whom does it mean to write to, then? They would get an empty mail.
                    self._in_step = False
                    return outcome
                # Some servers want a body all the same; an empty one ends it (RFC 2920, 3.1).
                client.write("data", b".\r\n")
                client.read("data")
        except SMTPFailure:
            # The first refusal stands, whatever the server did after it.
            outcome = self._refusal(client, mail, replies)
            if outcome is None:
                raise
            self._in_step = False
            return outcome
        outcome = self._refusal(client, mail, replies)
        # One reply too many, or a 2xx to DATA, which is somebody else's: which belongs to what?
        if replies[-1].positive:
            outcome = verdicts.out_of_turn()
        outcome = outcome or self._said_too_early(client, mail)
        self._dirty = outcome is not None
        return outcome

    def _one_by_one(self, client: SMTPClient, sequel: Sequel) -> Iterator[tuple[int, Outcome]]:
        while (mail := sequel.first()) is not None:
            refused = unsendable(client, mail)
            if refused is not None:
                sequel.done()
                yield mail.key, refused
                continue
            try:
                outcome = self._envelope_step_by_step(client, mail)
            except SMTPFailure as failure:
                self._stop_if_worn(failure=failure)
                sequel.done()
                yield mail.key, verdicts.of_broken_conversation(failure, after_dot=False)
                raise _Broken from failure
            if outcome is None:
                outcome = self._send_body(client, mail, b"")
            else:
                self._stop_if_worn(outcome=outcome)
            self._useful = self._useful or outcome.verdict in _SETTLED
            sequel.done()
            yield mail.key, outcome
            if not self._in_step:
                raise _Broken
            _stop_if_broken(outcome)

    def _envelope_step_by_step(self, client: SMTPClient, mail: Outgoing) -> Outcome | None:
        self._stop_if_worn(unasked=client.wire.pending)
        if self._dirty:
            self._stop_if_stale(client.reset())
        self._dirty = True
        reply = client.mail(mail.mail_from, parameters=parameters_for(client, mail))
        if not reply.positive:
            return self._judged(client, mail, "mail", reply)
        reply = client.recipient(mail.recipient)
        if not reply.positive:
            return self._judged(client, mail, "rcpt", reply)
        reply = client.command("data", "DATA")
        if reply.code != _START_MAIL:
            return self._judged(client, mail, "data", reply)
        outcome = self._said_too_early(client, mail)
        self._dirty = outcome is not None
        return outcome

    def _said_too_early(self, client: SMTPClient, mail: Outgoing) -> Outcome | None:
        """What it means that more came with the go-ahead, or ``None`` if nothing did.

        A refusal is one, although the body was not waited for; nothing of it is sent then.
        """
        if not client.wire.pending:
            return None
        self._in_step = False
        return self._judged(client, mail, "data", client.read("data"))

    def _send_body(self, client: SMTPClient, mail: Outgoing, envelope: bytes) -> Outcome:
        """Send the body, and in the same write the next envelope; what becomes of the mail."""
        body = stuffed(mail.content)
        try:
            client.write("data", body + envelope, seconds=client.body_seconds(len(body)))
        except SMTPFailure as failure:
            self._in_step = False
            # Without its last byte the server has nothing; with it, nobody knows.
            margin = TLS_RECORD if client.wire.tls else 0
            after_dot = client.wire.unsent <= len(envelope) + margin
            last_words = self._last_words(client, mail, after_dot=after_dot)
            return last_words or verdicts.of_broken_conversation(failure, after_dot=after_dot)
        try:
            reply = client.read("data", seconds=client.final_dot_seconds)
            outcome = (
                Outcome(Verdict.ACCEPTED, reply=reply)
                if reply.positive
                else self._judged(client, mail, "dot", reply)
            )
        except SMTPFailure as failure:
            outcome = verdicts.of_broken_conversation(failure, after_dot=True)
        if outcome.verdict in {Verdict.UNCERTAIN, Verdict.RELEASED}:
            self._in_step = False
        # Postfix keeps an envelope that its smtpd_end_of_data_restrictions refused.
        self._dirty = outcome.verdict is not Verdict.ACCEPTED
        return outcome

    def _last_words(self, client: SMTPClient, mail: Outgoing, *, after_dot: bool) -> Outcome | None:
        """What a server said that took no more of a body, or ``None``.

        Some say that a mail is too large as soon as they know, and hang up.
        """
        try:
            reply = client.read("data", seconds=_LAST_WORDS_SECONDS)
        except SMTPFailure:
            return None
        told = reply.temporary or reply.permanent or (reply.positive and after_dot)
        return self._judged(client, mail, "dot", reply) if told else None

    def _refusal(
        self, client: SMTPClient, mail: Outgoing, replies: Sequence[Reply]
    ) -> Outcome | None:
        """What the replies to MAIL, RCPT and DATA say, as far as there are any.

        The first refusal is the one that counts; the others only follow from it.
        """
        for step, reply in zip(_ENVELOPE, replies, strict=False):
            if reply.code != _START_MAIL if step == "data" else not reply.positive:
                return self._judged(client, mail, step, reply)
        return None

    def _judged(self, client: SMTPClient, mail: Outgoing, step: Step, reply: Reply) -> Outcome:
        context = context_of(
            self._server,
            self._credential,
            client,
            sender=mail.mail_from,
            recipient=mail.recipient,
        )
        return verdicts.of_reply(step, reply, self._replies, context)

    def _stop_if_worn(
        self,
        *,
        outcome: Outcome | None = None,
        failure: SMTPFailure | None = None,
        unasked: bool = False,
    ) -> None:
        """Go on over a new connection where the server has had enough of this one.

        Many take a number of mails per connection and then say 421, or hang up. Nothing of the
        present mail has been sent yet, and a new connection that settles nothing is not worn.

        Args:
            unasked: whether it said something that answers nothing.
        """
        if failure is not None:
            worn = failure.code == "connection_lost"
        else:
            worn = unasked or (
                outcome is not None and (outcome.worn or self._opening.token_ended(outcome))
            )
        if worn and self._useful and not self._aborted:
            raise _Broken(worn=True)

    def _stop_if_stale(self, reply: Reply) -> None:
        """Go on over a new connection where the server did not forget the envelope before.

        It would refuse every further mail because of that one. A new connection asks for no reset.

        Args:
            reply: to RSET; or to a MAIL that followed a refused body too closely to bring one.
        """
        if not reply.positive:
            raise _Broken(worn=not self._aborted)


class _Broken(Exception):
    """The conversation cannot go on; what there was to say has been yielded.

    Attributes:
        worn: whether another connection may well go on with it.
    """

    def __init__(self, *, worn: bool = False) -> None:
        super().__init__()
        self.worn = worn


def _stop_if_broken(outcome: Outcome) -> None:
    if outcome.verdict in {Verdict.UNCERTAIN, Verdict.RELEASED}:
        raise _Broken
