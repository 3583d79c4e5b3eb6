"""Every error that leaves this package, in one tree.

::

    SMTPAdminError                  what went wrong, as a sentence and a stable code
    ├── ConfigError                 the host app is configured wrongly; raised at start
    ├── SetupError                  a step of the installation is missing; names the command
    ├── RequestError                somebody asked for something that cannot be had
    │   ├── InvalidInput      400   which fields, and why
    │   ├── CSRFFailed        400
    │   ├── Unauthenticated   401
    │   ├── Forbidden         403
    │   ├── NotFound          404
    │   ├── Conflict          409   somebody else was faster
    │   ├── TooLarge          413
    │   ├── RateLimited       429   knows when to come back
    │   ├── QueueFull         429
    │   └── Unavailable       503
    ├── SecretError                 a stored secret cannot be used
    │   ├── KeyMissing              no key in SMTP_ADMIN_SECRET_KEYS fits
    │   └── SecretUnreadable        damaged, or sealed for another owner or destination
    ├── LookupFailed                the name service gave no answer
    │                               (:mod:`smtp_admin.smtp.nameserver`)
    ├── MessageError                a mail that cannot be built from what was given
    └── SMTPFailure                 a mail server, or the way to it (:mod:`smtp_admin.smtp.failure`)

Messages are written for the person who reads them: what, where, and what to do. None carries a
secret.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from click import ClickException

from smtp_admin.translation import gettext, listed


class SMTPAdminError(Exception):
    """The root of the tree.

    Args:
        message: one sentence for a person.
        hint: what to do about it, or ``""``.
    """

    code = "internal"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(SMTPAdminError, ClickException):  # type: ignore[misc]  # one message for both
    """The host app's configuration cannot be used; raised by ``init_app``.

    Click, in which ``flask …`` runs, shows such an error as a sentence instead of a traceback.
    """

    code = "config"


class SetupError(SMTPAdminError):
    """A step of the installation is missing; the hint names the command that does it."""

    code = "unavailable"

    def __str__(self) -> str:
        """With the hint: where nobody catches it, this is all that the host's log shows."""
        return f"{self.message} {self.hint}".rstrip()


class RequestError(SMTPAdminError):
    """An answer to a request that is not a success; ``status`` is its HTTP status code."""

    code = "internal"
    status = 500
    default = gettext("This is not possible.")

    def __init__(
        self,
        message: str = "",
        *,
        hint: str = "",
        code: str | None = None,
        fields: Mapping[str, Sequence[str]] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message or self.default, hint=hint)
        if code is not None:
            self.code = code
        self.fields = {name: list(texts) for name, texts in (fields or {}).items()}
        self.retry_after = retry_after
        #: What a mail server said, as JSON shows it, where that was the reason.
        self.reply: Mapping[str, object] | None = None

    @property
    def names_fields(self) -> bool:
        """Whether its message only says which fields are wrong, and not what is wrong with them."""
        return False

    @property
    def is_plain(self) -> bool:
        """Whether nobody said more than its kind."""
        return self.message == self.default

    def call_fields(self, labels: Mapping[str, str]) -> None:
        """Name fields in the message as a form does; only :class:`InvalidInput` names any."""


class InvalidInput(RequestError):
    """What was entered cannot be used; ``fields`` says which and why."""

    code = "invalid_input"
    status = 400
    default = gettext("Some of the fields cannot be used.")

    def __init__(
        self,
        message: str = "",
        *,
        hint: str = "",
        code: str | None = None,
        fields: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Without a *message*, it names the fields."""
        self._names_fields = bool(fields) and not message
        super().__init__(message, hint=hint, code=code, fields=fields)
        self.call_fields({})

    @property
    def names_fields(self) -> bool:
        """Whether nobody wrote a message."""
        return self._names_fields

    def call_fields(self, labels: Mapping[str, str]) -> None:
        """Name the fields in the message as a form does, which knows its labels."""
        if self._names_fields:
            names = (labels.get(name) or name.replace("_", " ") for name in self.fields)
            self.message = gettext("Please fix %(names)s.", names=listed(names))


class CSRFFailed(RequestError):
    """A form came without the token that proves that it came from our own page."""

    code = "csrf_failed"
    status = 400
    default = gettext(
        "This page was open for too long. Nothing was changed. Reload it and try again."
    )

    def __init__(self, reason: str = "") -> None:
        """*reason*: what Flask-WTF says about the token, for whoever wrote the caller."""
        super().__init__(
            hint=gettext(
                "%(reason)s. A script must send the token of a page as X-CSRFToken.",
                reason=reason.rstrip("."),
            )
            if reason
            else ""
        )


class Unauthenticated(RequestError):
    """Nobody is signed in."""

    code = "unauthenticated"
    status = 401
    default = gettext("Sign in first.")


class Forbidden(RequestError):
    """Somebody is signed in who may not do this.

    Attributes:
        action: of :mod:`smtp_admin.access`, where that was what is refused.
    """

    code = "forbidden"
    status = 403
    default = gettext("You do not have permission. Ask an administrator of the platform.")
    action: Any = None


class NotFound(RequestError):
    """There is no such thing, or none that this person may know of: the two look the same."""

    code = "not_found"
    status = 404
    default = gettext("Nothing was found at this address.")


class Conflict(RequestError):
    """Somebody else changed the same thing in the meantime; nothing was overwritten."""

    code = "conflict"
    status = 409
    default = gettext("Someone else changed this in the meantime. Nothing was overwritten.")


class TooLarge(RequestError):
    """A request or a mail is larger than it may be."""

    code = "too_large"
    status = 413
    default = gettext("This is too large.")


class RateLimited(RequestError):
    """Too often; ``retry_after`` (seconds) says when it will be possible again."""

    code = "rate_limited"
    status = 429
    default = gettext("Too many requests. Wait a moment and try again.")


class QueueFull(RequestError):
    """The partner has as much mail waiting as it may have."""

    code = "queue_full"
    status = 429
    default = gettext("The mail queue is full.")


class Unavailable(RequestError):
    """Something this needs is away for now: the database, or a missing migration."""

    code = "unavailable"
    status = 503
    default = gettext("This is not available right now.")


class SecretError(SMTPAdminError):
    """A stored secret cannot be used."""

    code = "unavailable"


class KeyMissing(SecretError):
    """No key of ``SMTP_ADMIN_SECRET_KEYS`` fits."""


class SecretUnreadable(SecretError):
    """A stored secret is damaged, or was sealed for another owner or destination."""


class MessageError(SMTPAdminError, ValueError):
    """A mail cannot be built from what was given: a bad address, header or template value."""

    code = "invalid_input"


class TemplateError(MessageError):
    """A template cannot be read or filled in.

    Attributes:
        told: where and what, without the template's name.
        line, column: where, from 1; 0 if it is nowhere in particular.
        part: of a mail that it is in, such as ``html.liquid``; empty if that is not known.
    """

    def __init__(
        self, words: str, *, line: int = 0, column: int = 0, part: str = "", of: str = ""
    ) -> None:
        told = (
            gettext("Line %(line)s, column %(column)s: %(words)s",
                    line=line, column=column, words=words)
            if line
            else words
        )  # fmt: skip
        super().__init__(
            gettext("The template %(of)s/%(part)s: %(told)s", of=of, part=part, told=told)
            if part
            else told
        )
        self.words, self.told = words, told
        self.line = line
        self.column = column
        self.part = part

    def within(self, type_name: str, part: str) -> "TemplateError":
        """The same, with the template that it is in."""
        return TemplateError(
            self.words, line=self.line, column=self.column, part=part, of=type_name
        )


def envelope(error: SMTPAdminError, **more: Any) -> dict[str, Any]:
    """The one form of every JSON error of the product."""
    return {
        "ok": False,
        "error": {
            "code": error.code,
            "message": error.message,
            "step": more.pop("step", None),
            "hint": error.hint,
            "reply": more.pop("reply", getattr(error, "reply", None)),
            "fields": getattr(error, "fields", {}),
        },
        "connection": more.pop("connection", {}),
        "steps": more.pop("steps", []),
        **more,
    }
