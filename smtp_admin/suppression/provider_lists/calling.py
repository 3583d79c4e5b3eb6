"""Calls to one provider, over one connection and within one time."""

import json
import time
from typing import Any

from smtp_admin.http.caller import CallFailed, why_unreached
from smtp_admin.http.connection import Answer, CallBroken, Connection
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.redaction import printable
from smtp_admin.smtp.session import Dialler
from smtp_admin.suppression.provider_lists.shape import (
    FORBIDDEN,
    OK,
    UNAUTHORIZED,
    Account,
    Call,
    Page,
    TheirList,
)
from smtp_admin.translation import gettext
from smtp_admin.transports import api_call

#: More of an answer is not read. Postmark tells its list all at once.
_MOST_BYTES = 8 * 1024 * 1024
_LONGEST_WORDS = 200
_TOO_MANY = 429
#: The code of a call that the key may not make.
REFUSED = "refused"
#: Where a provider does not say how long to wait.
_PAUSE_SECONDS = 1.0


class Calling:
    """Calls for one account; close it after use."""

    def __init__(self, account: Account, dialler: Dialler, deadline: Deadline) -> None:
        self._account = account
        self._dialler = dialler
        self._deadline = deadline
        self._connection: Connection | None = None

    def __enter__(self) -> "Calling":
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def call(self, call: Call) -> Answer:
        """What the provider answers.

        One that is asked too often is asked again while there is time: AWS throttles such calls.

        Raises:
            CallFailed: there was no whole answer.
        """
        while True:
            answer = self._once(call)
            if answer.status != _TOO_MANY:
                return answer
            pause = api_call.seconds_to_wait(answer) or _PAUSE_SECONDS
            if pause >= self._deadline.remaining():
                return answer
            time.sleep(pause)

    def _once(self, call: Call) -> Answer:
        while True:
            if self._deadline.passed:
                raise CallFailed(gettext("it took too long"))
            connection = self._ready()
            try:
                headers = self._account.headers(call)
                seconds = self._deadline.remaining()
                return connection.call(call.method, call.path, headers, call.body, seconds=seconds)
            except SMTPFailure as error:  # there is nothing to sign with
                raise CallFailed(error.message) from error
            except CallBroken as error:
                if error.stale and not self._deadline.passed:
                    continue  # each of these calls may be made twice
                late = error.code == "timeout" or self._deadline.passed
                raise CallFailed(
                    gettext("it did not answer in time")
                    if late
                    else gettext("the conversation broke off")
                ) from error
            except ValueError as error:  # a header or an address that no request can have
                raise CallFailed(gettext("its settings make no valid request")) from error

    def page(self, their: TheirList, path: str) -> Page:
        """One part of a list.

        Raises:
            CallFailed: it was not told; says why.
        """
        answer = self.call(Call("GET", path))
        if answer.status != OK:
            refused = answer.status in {UNAUTHORIZED, FORBIDDEN}
            raise CallFailed(self.said(answer), REFUSED if refused else "")
        try:
            found: Any = json.loads(answer.body)
            return their.read(found, path)
        except (ValueError, KeyError, RecursionError) as error:
            raise CallFailed(gettext("its answer is no list of addresses")) from error

    def said(self, answer: Answer) -> str:
        """A refusal, for a person, without the key."""
        words = self._account.redact()(printable(" ".join(self._account.words(answer).split())))
        return f"{answer.status} {words[:_LONGEST_WORDS]}".rstrip()

    def _ready(self) -> Connection:
        if self._connection is not None:
            if self._connection.usable:
                return self._connection
            self._connection.close()
        try:
            self._connection = Connection(
                self._account.endpoint, self._dialler, overall=self._deadline, most=_MOST_BYTES
            )
        except SMTPFailure as error:
            raise CallFailed(why_unreached(error), error.code) from error
        return self._connection
