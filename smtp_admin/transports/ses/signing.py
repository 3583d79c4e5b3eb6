"""Prove who calls AWS: by the keys of the sender, or by the rights of this machine.

botocore signs, and finds the machine's credentials; our own connection makes the call. So nothing
is sent past the dialling policy, and none of botocore's clients is loaded, which take 30 MB.
It is imported when it is first needed.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from smtp_admin.http.connection import CallBroken, Connection
from smtp_admin.http.endpoint import Endpoint
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.login import Credential
from smtp_admin.smtp.redaction import Redactor
from smtp_admin.smtp.session import Dialler
from smtp_admin.translation import gettext

_SERVICE = "ses"
_CALL_SECONDS = 20.0
#: What is signed beside the body.
_CONTENT = {"Content-Type": "application/json"}


class Keys(Protocol):
    """Credentials as botocore has them at one moment."""

    access_key: str
    secret_key: str
    token: str | None


class Signer:
    """Signs calls of one region.

    Args:
        find: the credentials now; raises :class:`SMTPFailure` where there are none.
    """

    def __init__(self, region: str, find: Callable[[], Keys]) -> None:
        self._region = region
        self._find = find

    def headers(self, method: str, endpoint: Endpoint, path: str, body: bytes) -> dict[str, str]:
        """The headers of a call, signed (Signature Version 4).

        Raises:
            SMTPFailure: there is nothing to sign with.
        """
        auth, awsrequest = _library("auth"), _library("awsrequest")
        url = f"{endpoint.scheme}://{endpoint.authority}{endpoint.path}{path}"
        request = awsrequest.AWSRequest(method=method, url=url, data=body, headers=dict(_CONTENT))
        auth.SigV4Auth(self._find(), _SERVICE, self._region).add_auth(request)
        return {name: str(text) for name, text in request.headers.items()}

    def redactor(self) -> Redactor:
        """What takes the secrets out of an answer; those of the machine may change."""
        try:
            keys = self._find()
        except SMTPFailure:
            return Redactor()
        return Redactor([one for one in (keys.secret_key, keys.token) if one])


def signer_of_keys(region: str, credential: Credential) -> Signer:
    """Signs with an access key and its secret."""

    def find() -> Keys:
        made: Keys = _library("credentials").Credentials(credential.username, credential.secrets[0])
        return made

    return Signer(region, find)


def signer_of_machine(region: str, dialler: Dialler) -> Signer:
    """Signs with what this machine may do: its role, or what its environment holds."""
    return Signer(region, lambda: _MACHINE.keys(dialler))


class _Machine:
    """The credentials of this machine, found once and renewed when they end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: Any = None

    def keys(self, dialler: Dialler) -> Keys:
        exceptions = _library("exceptions")
        with self._lock:
            try:
                if self._found is None:
                    session = _library("session").Session()
                    session.register("before-send", _dialling(dialler))
                    self._found = session.get_credentials()
                if self._found is None:
                    raise _no_role()
                frozen: Keys = self._found.get_frozen_credentials()
            except exceptions.BotoCoreError as error:
                raise _no_role() from error
            return frozen

    def forget(self) -> None:
        """Look again at the next call, for tests."""
        self._found = None


_MACHINE = _Machine()


def _dialling(dialler: Dialler) -> Callable[..., Any]:
    """What makes the calls of botocore itself, such as those that take on a role.

    Only the machine's metadata service is asked by botocore alone, at addresses that are its own.
    """

    def send(request: Any, **_: Any) -> Any:
        url, _, rest = request.url.partition("://")
        authority, slash, path = rest.partition("/")
        connection = Connection(Endpoint.of(f"{url}://{authority}"), dialler)
        try:
            body = request.body or b""
            answer = connection.call(
                request.method,
                f"{slash or '/'}{path}",
                {name: _text(value) for name, value in request.headers.items()
                 if name.lower() not in {"content-length", "host"}},
                body.encode() if isinstance(body, str) else bytes(body),
                seconds=_CALL_SECONDS,
            )  # fmt: skip
        except CallBroken as error:
            raise _library("exceptions").EndpointConnectionError(endpoint_url=url) from error
        finally:
            connection.close()
        return _library("awsrequest").AWSResponse(
            request.url, answer.status, answer.headers, _Raw(answer.body)
        )

    return send


class _Raw:
    """A body as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Any:
        """All of it."""
        yield self._body


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"botocore.{name}")
    except ImportError as error:
        raise SMTPFailure(
            "program_missing",
            "key",
            gettext("The library botocore is not installed on this machine."),
            cause="ses_library",
        ) from error


def _no_role() -> SMTPFailure:
    # Not the sender's fault, and the metadata service may only be slow: it is tried again.
    return SMTPFailure(
        "unreachable",
        "key",
        gettext("This machine has no credentials for AWS."),
        cause="ses_no_role",
    )


def with_content(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as our connection sends them; it says itself where and how long."""
    return {name: text for name, text in headers.items() if name.lower() != "content-length"}
