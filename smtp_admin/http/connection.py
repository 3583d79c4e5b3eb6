"""A connection to an API that stays open between calls (HTTP/1.1), over the guarded dialler.

Every wait has a deadline, from the first byte of a request to the last of its answer; answers have
a size. Who calls is told whether a request had left as a whole: only then can it have been obeyed.
"""

import http.client
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from smtp_admin.http.endpoint import Endpoint
from smtp_admin.http.opening import open_wire
from smtp_admin.http.stream import Stream
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler
from smtp_admin.smtp.wire import TLS_RECORD, Wire, WireClosed, WireTimeout

#: More of an answer is not read.
MOST_BYTES = 256 * 1024
_MOST_INTERIM = 8
#: A larger body is not copied to go out together with its head.
_COPIED = 64 * 1024
#: Servers close a silent connection after a minute or more; one that is closing loses a request.
_IDLE_SECONDS = 25.0
#: For what a server said before it hung up, which is here already or does not come.
_LAST_WORDS_SECONDS = 0.5
#: What answers an interim response is still to come (RFC 9110, section 15.2).
_FIRST_FINAL = 200

BrokenBy = Literal["timeout", "connection_lost", "not_api"]


class CallBroken(Exception):
    """There was no whole answer.

    Attributes:
        code: why.
        sent: whether the whole request had left, so that it may have been obeyed.
        stale: whether the server had just closed a connection that was open for long.
    """

    def __init__(self, code: BrokenBy, *, sent: bool, stale: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.sent = sent
        self.stale = stale


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        headers: their names in small letters.
        cut: whether the body is longer than was read.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    cut: bool = False


class Connection:
    """One connection to *endpoint*, used by one thread at a time; opened by :meth:`open`."""

    def __init__(
        self,
        endpoint: Endpoint,
        dialler: Dialler,
        *,
        overall: Deadline | None = None,
        report: Report | None = None,
        dialled: Callable[[Wire], None] = lambda _: None,
        most: int = MOST_BYTES,
    ) -> None:
        """Dial, and encrypt.

        Args:
            most: so much of an answer is read.
            overall: when everything ends, whatever each wait may take.
            report: where each step is written down.
            dialled: told the wire as soon as there is one, for whoever may have to cut it.

        Raises:
            SMTPFailure: with the code and the step ``dns``, ``connect``, ``tls`` or
                ``certificate``.
        """
        self.endpoint = endpoint
        self._overall = overall
        self._most = most
        self._timeouts = dialler.timeouts
        self._wire = open_wire(
            endpoint,
            dialler,
            overall=overall,
            report=Report() if report is None else report,
            dialled=dialled,
        )
        self._stream = Stream(self._wire)
        self._used_at = time.monotonic()
        self._calls = 0
        self._whole = True
        self._open = True

    @property
    def usable(self) -> bool:
        """Whether another call can go over it."""
        fresh = time.monotonic() - self._used_at < _IDLE_SECONDS
        return self._open and fresh and not self._stream.pending and self._wire.is_idle()

    def close(self) -> None:
        """Let go of it."""
        self._open = False
        self._wire.close()

    def call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        seconds: float,
        whole: bool = True,
    ) -> Answer:
        """Make one call; no redirect is followed.

        Args:
            path: as it stands in the request, after the endpoint's own.
            seconds: for the answer, after the request has left.
            whole: whether an answer that is too long is none; else it is cut off.

        Raises:
            CallBroken: there was no whole answer; the connection is closed then.
        """
        self._calls += 1
        self._whole = whole
        try:
            answer = self._exchange(method, path, headers, body, seconds)
        except CallBroken:
            self.close()
            raise
        self._used_at = time.monotonic()
        return answer

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> Answer:
        head = _head(self.endpoint, method, path, headers, len(body))
        taking = Deadline(
            self._timeouts.command + len(body) / self._timeouts.body_rate, self._overall
        )
        to_come = len(body)
        try:
            if len(body) > _COPIED:
                self._wire.write(head, taking)
                to_come = 0
                self._wire.write(body, taking)
            else:
                to_come = 0
                self._wire.write(head + body, taking)
        except (WireClosed, WireTimeout) as error:
            # Under encryption, the last record may have left all the same.
            margin = TLS_RECORD if self._wire.tls else 0
            sent = self._wire.unsent + to_come <= margin
            refusal = self._last_words(method)
            if refusal is not None:
                return refusal
            raise CallBroken(_code(error), sent=sent, stale=self._calls > 1) from error
        try:
            return self._answer(method, Deadline(seconds, self._overall))
        except (WireClosed, WireTimeout, http.client.HTTPException, ValueError) as error:
            code = "connection_lost" if self._stream.ended else _code(error)
            raise CallBroken(code, sent=True) from error

    def _last_words(self, method: str) -> Answer | None:
        """The refusal of a server that took no more of a request, or ``None``."""
        try:
            answer = self._answer(method, Deadline(_LAST_WORDS_SECONDS, self._overall))
        except (WireClosed, WireTimeout, http.client.HTTPException, ValueError):
            return None
        self.close()
        return answer if answer.status >= 400 else None  # noqa: PLR2004 - as above

    def _answer(self, method: str, deadline: Deadline) -> Answer:
        self._stream.deadline = deadline
        for _ in range(_MOST_INTERIM):
            # The library wants a socket only to ask it for a file, which a stream has too.
            stream: Any = self._stream
            response = http.client.HTTPResponse(stream, method=method)
            response.begin()
            if response.status >= _FIRST_FINAL:
                break
        else:
            raise http.client.HTTPException
        refusal = response.status >= 400  # noqa: PLR2004 - HTTP's refusals
        cut = False
        try:
            body = response.read(self._most + 1)
            cut = len(body) > self._most
            if cut and self._whole:
                raise http.client.HTTPException
            if response.length and not cut:
                raise http.client.IncompleteRead(body, response.length)
        except (WireClosed, WireTimeout, http.client.HTTPException, ValueError):
            if not refusal:
                raise
            # That it refused is said by its first line; the rest would only have said why.
            body, cut = b"", False
            self.close()
        if response.will_close or not response.isclosed() or self._stream.ended:
            self.close()
        found = {name.lower(): text for name, text in response.getheaders()}
        return Answer(response.status, found, body[: self._most], cut)


def _head(
    endpoint: Endpoint, method: str, path: str, headers: Mapping[str, str], length: int
) -> bytes:
    whole = {
        "Host": endpoint.authority,
        "User-Agent": "smtp_admin",
        "Accept-Encoding": "identity",
        **headers,
    }
    if length or method not in {"GET", "HEAD"}:
        whole["Content-Length"] = str(length)
    lines = [f"{method} {endpoint.path}{path} HTTP/1.1"]
    lines += [f"{name}: {text}" for name, text in whole.items()]
    if any("\r" in one or "\n" in one for one in lines):
        raise ValueError("A line of a request has a line break.")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def _code(error: Exception) -> BrokenBy:
    if isinstance(error, WireTimeout):
        return "timeout"
    return "connection_lost" if isinstance(error, WireClosed) else "not_api"
