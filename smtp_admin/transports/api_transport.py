"""Send by calling a provider's API, one call a mail, over one connection that stays open."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from smtp_admin.http.connection import Answer, CallBroken, Connection
from smtp_admin.http.endpoint import Endpoint
from smtp_admin.replies.table import Table
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.session import Dialler
from smtp_admin.smtp.wire import Wire
from smtp_admin.transports import api_call, verdicts
from smtp_admin.transports.base import More, Outgoing, Sequel, no_more
from smtp_admin.transports.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Request:
    """A call that sends one mail; its headers hold secrets."""

    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class API(Protocol):
    """What only one provider does."""

    @property
    def endpoint(self) -> Endpoint:
        """Where calls go."""
        ...

    def request(self, mail: Outgoing) -> Request:
        """The call that sends *mail*.

        Raises:
            SMTPFailure: there is nothing to prove with who calls.
        """
        ...

    def outcome(self, mail: Outgoing, answer: Answer) -> Outcome:
        """What became of *mail*."""
        ...

    def explained(self, failure: SMTPFailure) -> SMTPFailure:
        """*failure*, to reach the API or to make a request, with what is behind it."""
        ...


class APITransport:
    """One connection to one API, opened when it is first needed."""

    def __init__(self, api: API, dialler: Dialler, replies: Table) -> None:
        self._api = api
        self._dialler = dialler
        self._replies = replies
        self._connection: Connection | None = None
        self._wire: Wire | None = None
        self._faults = api_call.Faults()
        self._aborted = False

    def __repr__(self) -> str:
        return f"<APITransport to {self._api.endpoint.authority}>"

    @property
    def opening(self) -> bool:
        """Whether there is no connection yet, so that no mail is under way."""
        return self._connection is None

    def deliver(
        self, mails: Iterable[Outgoing], more: More = no_more
    ) -> Iterator[tuple[int, Outcome]]:
        """See :class:`smtp_admin.transports.base.Transport`."""
        self._aborted = False
        sequel = Sequel(mails, more)
        while (mail := sequel.first()) is not None:
            if self._aborted:
                return
            outcome = self._faults.weigh(api_call.unusable(mail) or self._send(mail))
            sequel.done()
            yield mail.key, outcome
            if outcome.ends_stream:
                return

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def abort(self) -> None:
        """Cut the connection, from any thread."""
        self._aborted = True
        wire = self._wire
        if wire is not None:
            wire.shut_down()

    def _send(self, mail: Outgoing) -> Outcome:
        while True:
            try:
                connection = self._ready()
                request = self._api.request(mail)
            except SMTPFailure as failure:
                return verdicts.of_opening(self._api.explained(failure), self._replies)
            try:
                answer = connection.call(
                    "POST",
                    request.path,
                    request.headers,
                    request.body,
                    seconds=min(api_call.ANSWER_SECONDS, self._dialler.timeouts.final_dot),
                )
            except CallBroken as broken:
                self.close()
                if broken.stale and not broken.sent and not self._aborted:
                    continue  # the server let go of a connection that was open for long
                return verdicts.of_broken_call(broken.code, sent=broken.sent)
            return self._api.outcome(mail, answer)

    def _ready(self) -> Connection:
        if self._connection is not None:
            if self._connection.usable:
                return self._connection
            self.close()
        self._connection = Connection(self._api.endpoint, self._dialler, dialled=self._note)
        return self._connection

    def _note(self, wire: Wire) -> None:
        self._wire = wire
        if self._aborted:  # while the name was looked up, or the server answered slowly
            wire.shut_down()
