"""One HTTP request over a connection of its own: no redirect is followed, all of it in ten seconds.

What a connection that stays open does for an API's driver, this does once, for whoever has only an
address: a webhook, a token server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from smtp_admin.http.connection import Answer, CallBroken, Connection
from smtp_admin.http.endpoint import USUAL_PORTS, Endpoint
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.hostname import clean_host
from smtp_admin.smtp.session import Dialler
from smtp_admin.translation import gettext

SECONDS = 10.0
#: More of an answer is not read.
MOST_BYTES = 64 * 1024
_NOT_IN_TIME = gettext("it did not answer in time")
_BROKE_OFF = gettext("the conversation broke off")
#: Why there was no connection; not the words for mail servers.
_WHY = {
    "destination_not_allowed": gettext(
        "it leads to an address that this platform does not connect to "
        "(SMTP_ADMIN_ALLOWED_NETWORKS)"
    ),
    "dns_failed": gettext("its name could not be looked up"),
    "connection_refused": gettext("nothing listens there"),
    "timeout": _NOT_IN_TIME,
    "tls_failed": gettext("no encryption could be agreed"),
    "certificate_error": gettext("its certificate cannot be trusted"),
    "connection_lost": _BROKE_OFF,
}


class CallFailed(Exception):
    """It did not work; says why without the address, which may be a secret.

    Args:
        code: as the connection test calls it, where there was no connection.
    """

    def __init__(self, why: str, code: str = "") -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class Caller:
    """What calls are made with.

    Attributes:
        policy: decides by addresses.
        ca_file: authorities beside the system's.
        seconds: for name, connection, encryption and answer together.
        ports: the only ones that are called; any where it is ``None``, for the operator's own URLs.
    """

    policy: DiallingPolicy
    ca_file: Path | None = None
    seconds: float = SECONDS
    ports: frozenset[int] | None = None

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], overall: Deadline | None = None
    ) -> Answer:
        """Send *body* to *url*; what was answered, of a long answer its first bytes.

        Args:
            overall: when to stop altogether, where that may be sooner.

        Raises:
            CallFailed: there was no whole answer.
        """
        return self._call("POST", url, body, headers, overall)

    def get(self, url: str) -> Answer:
        """What *url* answers, of a long answer its first bytes.

        Raises:
            CallFailed: there was no whole answer.
        """
        return self._call("GET", url, b"", {}, None)

    def _call(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        overall: Deadline | None,
    ) -> Answer:
        deadline = Deadline(self.seconds, overall)
        endpoint, path = self._parts(url)
        patience = Timeouts(connect=self.seconds, command=self.seconds)
        dialler = Dialler(self.policy, patience, self.ca_file)
        try:
            connection = Connection(endpoint, dialler, overall=deadline, most=MOST_BYTES)
        except SMTPFailure as error:
            why = _WHY.get(error.code, gettext("it cannot be reached"))
            raise CallFailed(why, error.code) from error
        once = {"Connection": "close", **headers}
        try:
            return connection.call(method, path, once, body, seconds=self.seconds, whole=False)
        except CallBroken as error:
            raise CallFailed(_NOT_IN_TIME if deadline.passed else _BROKE_OFF) from error
        except ValueError as error:  # a header that no request can have
            raise CallFailed(_BROKE_OFF) from error
        finally:
            connection.close()

    def _parts(self, url: str) -> tuple[Endpoint, str]:
        """Whom to call, and for what."""
        parts = urlsplit(url)
        try:
            host = clean_host(parts.hostname or "")
        except ValueError as error:
            raise CallFailed(gettext("its host name cannot be used")) from error
        scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
        port = parts.port or USUAL_PORTS[scheme]
        if self.ports is not None and port not in self.ports:
            raise CallFailed(
                gettext("port %(port)s is not allowed here", port=port), "destination_not_allowed"
            )
        return Endpoint(scheme, host, port), (parts.path or "/") + (
            f"?{parts.query}" if parts.query else ""
        )
