"""What a failure can come from: what is known about it, and the rows of ``causes.toml``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from types import MappingProxyType
from typing import Any, get_args

from smtp_admin.providers.provider import Kind
from smtp_admin.smtp.failure import CODES
from smtp_admin.translation import gettext, known

#: What a delivery, or a paused sender, may have beside the codes of the connection test.
DELIVERY_CODES: tuple[str, ...] = (
    "recipient_refused", "message_refused", "too_large", "unavailable", "worker_lost",
    "uncertain", "expired", "cancelled", "suppressed", "bounced", "complained", "queued", "sent",
    "driver_failed", "sandbox_held", "sandbox_dropped",
)  # fmt: skip
ALL_CODES: tuple[str, ...] = (*CODES, *DELIVERY_CODES)
NOTHING: Mapping[str, str] = MappingProxyType({})
#: What a sender's own state and numbers may show, without any failure:
#: it is paused; its limit, or its provider's, is used up; mail waits and nothing goes out; an
#: outcome is not known; and what DNS lacks.
SIGNS = ("unset", "paused", "limit", "provider_limit", "stuck", "unknown", "spf", "dkim", "dmarc")
#: The login is none of them: it may be a token.
_ALWAYS_KNOWN = frozenset({"sender", "domain", "port", "host"})
_ANY = "*"


class BadCause(ValueError):
    """A row that cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One likely cause: what it is, and what to do about it."""

    what: str
    do: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a failure; what is not known is empty or ``None``.

    Attributes:
        code: of the connection test, or of a delivery.
        cause: the key of what is behind it, where the failure itself tells.
        said: the server's reply in one line.
        kind: of the provider.
        username: ``""`` means that no login was used, ``None`` that nobody knows.
        named: what else is known by name, for conditions and texts.
    """

    code: str
    cause: str = ""
    step: str = ""
    said: str = ""
    provider: str = ""
    kind: str = ""
    host: str = ""
    port: int | None = None
    security: str = ""
    username: str | None = None
    from_email: str = ""
    named: Mapping[str, str] = field(default_factory=lambda: NOTHING)

    def words(self) -> dict[str, str]:
        """What the placeholders of the texts stand for."""
        return {
            **self.named,
            "sender": self.from_email or gettext("the from address"),
            "domain": self.from_email.rpartition("@")[2] or gettext("your domain"),
            "port": gettext("port %(port)s", port=self.port) if self.port else gettext("this port"),
            "host": self.host or gettext("the server"),
        }


@dataclass(frozen=True, slots=True)
class Row:
    """A cause and its conditions: all that are given must hold.

    Attributes:
        key: its name, by which failures refer to it.
        what: the cause, in one or two sentences, with the placeholders of :meth:`Facts.words`.
        do: what to do about it.
        group: the kind of thing that it is about.
        codes: those that it can be behind; so are ``steps``, ``providers``, ``kinds``, ``ports``
            and ``security``, where ``-`` stands for what is not known.
        told: it does not show by conditions alone, but where the failure names it, or one of
            ``before``.
        before: where the failure names one of these, this one stands before it; ``*`` for any.
        hosts: a pattern in the host; and ``users`` in the login.
        needs: names that must be known.
        when: these three in words, for the documentation.
        quiet: only where the server said nothing.
        sure: it leaves no doubt, so nothing after it is looked at.
        symptoms: by which a person may notice it.
        seen: which of :data:`SIGNS` make it likely.
        provider: in whose file it stands.
    """

    key: str
    what: str
    do: str
    group: str = ""
    codes: tuple[str, ...] = ()
    told: bool = False
    before: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    security: tuple[str, ...] = ()
    hosts: re.Pattern[str] | None = None
    users: re.Pattern[str] | None = None
    needs: tuple[str, ...] = ()
    when: str = ""
    quiet: bool = False
    sure: bool = False
    symptoms: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    provider: str = ""

    def leads(self, facts: Facts) -> bool:
        """Whether it stands before the cause that the failure itself names."""
        if not facts.cause or facts.cause == self.key:
            return False
        named = facts.cause in self.before or _ANY in self.before
        return named and facts.code in self.codes and self._holds(facts)

    def fits(self, facts: Facts) -> bool:
        """Whether it is a likely cause by what is known, whatever the failure names."""
        return not self.told and facts.code in self.codes and self._holds(facts)

    def concerns(self, facts: Facts) -> bool:
        """Whether it can be a cause with these settings at all, whatever failed."""
        return (
            _among(self.providers, facts.provider)
            and _among(self.kinds, facts.kind)
            and _among(self.ports, str(facts.port or ""))
            and _among(self.security, facts.security)
            and all(facts.named.get(one) for one in self.needs)
            and (self.hosts is None or bool(self.hosts.search(facts.host)))
            and (
                self.users is None
                or (facts.username is not None and bool(self.users.search(facts.username)))
            )
        )

    def _holds(self, facts: Facts) -> bool:
        return (
            _among(self.steps, facts.step)
            and not (self.quiet and facts.said)
            and self.concerns(facts)
        )

    def cause(self, facts: Facts) -> Cause:
        """It in words, for a person who sees their own settings."""
        words = facts.words()
        return Cause(known(self.what, **words), known(self.do, **words), self.key)


def row_of(raw: Mapping[str, Any], where: str, *, group: str = "", provider: str = "") -> Row:
    """The row that a table of TOML describes.

    Args:
        provider: whose file it stands in; then it is about that provider only.

    Raises:
        BadCause: which key or value cannot be used.
    """
    where = f"{where}: {raw.get('key') or 'a cause without a key'}"
    values: dict[str, Any] = {"group": group, "provider": provider}
    for name, value in raw.items():
        wanted = _KINDS.get(name)
        if wanted is None:
            raise BadCause(f"{where}: unknown column: {name}.")
        if type(value) is not wanted or not value:
            raise BadCause(f"{where}: {name}: {value!r} is not allowed here.")
        try:
            values[name] = _read(name, value)
        except re.error as error:
            raise BadCause(f"{where}: {name}: {error}.") from error
    if provider and values.get("codes"):
        if "providers" in values:
            raise BadCause(f"{where}: providers: in a provider's file it is about that one.")
        values["providers"] = (provider,)
    missing = ", ".join(one for one in ("key", "what", "do") if one not in values)
    if missing:
        raise BadCause(f"{where}: missing column: {missing}.")
    row = Row(**values)
    if problem := _problem(row):
        raise BadCause(f"{where}: {problem}")
    return row


def _read(name: str, value: Any) -> Any:
    if name in _WORDS:
        return tuple(value.split())
    return re.compile(value, re.IGNORECASE) if name in _PATTERNS else value


def _problem(row: Row) -> str:
    for name, allowed in (("codes", ALL_CODES), ("kinds", (*get_args(Kind), "-")),
                        ("security", ("ssl", "tls", "none")), ("seen", SIGNS)):  # fmt: skip
        strange = ", ".join(one for one in getattr(row, name) if one not in allowed)
        if strange:
            return f"{name}: there is no {strange}."
    for text in (row.what, row.do):
        names = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
        strange = ", ".join(sorted(names - _ALWAYS_KNOWN - set(row.needs)))
        if strange:
            return f"{{{strange}}} is known only where needs has it."
    if (row.told or row.before) and not row.codes:
        return "told and before need codes."
    if bool(row.hosts or row.users or row.needs) is not bool(row.when):
        return "when says in words what hosts, users and needs ask for."
    return ""


_PATTERNS = frozenset({"hosts", "users"})
_WORDS = frozenset(
    {"codes", "before", "steps", "providers", "kinds", "ports", "security", "needs", "symptoms",
     "seen"}
)  # fmt: skip
_KINDS: Mapping[str, type] = {
    **dict.fromkeys(("key", "what", "do", "hosts", "users", "when", *sorted(_WORDS)), str),
    **dict.fromkeys(("told", "quiet", "sure"), bool),
}


def _among(words: tuple[str, ...], value: str) -> bool:
    return not words or (value or "-") in words
