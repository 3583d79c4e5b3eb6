"""The presets: what is known about well-known mail providers, and what it says about a login.

All of it stands in ``providers.toml``, so that a maintainer can add a provider without touching
code. A key or a kind of value that is not described here is refused: a fact that is silently
ignored is worse than none.
"""

import re
import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from dataclasses import field as made_by
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from smtp_admin.smtp.address import domain_of
from smtp_admin.smtp.session import Security

_FILE = Path(__file__).with_name("providers.toml")

Kind = Literal["mailbox", "service", "testing", "own"]
Authentication = Literal["password", "oauth2"]
Judged = Literal["username", "password", "from_email"]


@dataclass(frozen=True, slots=True)
class Region:
    """One of several servers of a provider."""

    key: str
    label: str
    host: str


@dataclass(frozen=True, slots=True)
class Port:
    """A port and the security that goes with it."""

    port: int
    security: Security


@dataclass(frozen=True, slots=True)
class Limit:
    """What a provider documents as its limit, and for whom; offered as the sender's limit."""

    who: str
    source: str
    per_hour: int | None = None
    per_day: int | None = None
    connections: int | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """A header by which a provider is told something about each mail.

    Attributes:
        example: what its value may look like.
        help: what it is for, in one sentence.
    """

    name: str
    example: str
    help: str


@dataclass(frozen=True, slots=True)
class Rule:
    """What can be judged about what was entered, before anything is dialled.

    Attributes:
        certain: it cannot work like this, so it is an error; else it is advice.
        must: a pattern that the whole value has to match; ``must_not`` is the opposite.
        same_as: the field that has to hold the same, capital letters aside.
        when: field → pattern; the rule counts only where all of them match.
    """

    field: Judged
    code: str
    message: str
    certain: bool = False
    must: str = ""
    must_not: str = ""
    same_as: Judged | None = None
    when: Mapping[Judged, str] = made_by(default_factory=dict)

    def broken_by(self, entered: Mapping[str, str]) -> bool:
        """Whether *entered* breaks this rule; what was left empty breaks none."""
        value = entered[self.field]
        other = entered[self.same_as] if self.same_as else value
        if not value or not other:
            return False
        if not all(re.fullmatch(wanted, entered[name]) for name, wanted in self.when.items()):
            return False
        return (
            bool(self.must and not re.fullmatch(self.must, value))
            or bool(self.must_not and re.fullmatch(self.must_not, value))
            or value.casefold() != other.casefold()
        )


@dataclass(frozen=True, slots=True)
class Note:
    """A warning about a provider itself.

    Attributes:
        since: the first day of its time, and ``until`` the last.
        replies: how the refusals begin that it explains.
    """

    code: str
    field: str
    text: str
    since: date | None = None
    until: date | None = None
    replies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provider:
    """A mail provider. What each field means stands at the head of ``providers.toml``."""

    key: str
    label: str
    kind: Kind
    port: int
    security: Security
    login: str
    password: str
    from_address: str
    steps: tuple[str, ...]
    spaces: bool
    authentication: tuple[Authentication, ...]
    spf_include: str
    spf_at: Literal["from_domain", "sending_domain", "none"]
    dns: str
    page: str
    host: str = ""
    regions: tuple[Region, ...] = ()
    hosts: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()
    other_ports: tuple[Port, ...] = ()
    domains: tuple[str, ...] = ()
    dkim_selectors: tuple[str, ...] = ()
    headers: tuple[Header, ...] = ()
    limits: tuple[Limit, ...] = ()
    rules: tuple[Rule, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def ports(self) -> tuple[Port, ...]:
        """Every port that works, the preset's first."""
        return (Port(self.port, self.security), *self.other_ports)

    def host_for(self, *, region: str = "", domain: str = "") -> str:
        """The host to fill in; empty where it depends on a *domain* that is not known yet.

        Raises:
            KeyError: there is no such region.
        """
        if self.regions:
            hosts = {one.key: one.host for one in self.regions}
            return hosts[region or self.regions[0].key]
        if "{domain}" in self.host:
            return self.host.format(domain=domain) if domain else ""
        return self.host

    def notes_at(self, day: date) -> tuple[Note, ...]:
        """The warnings whose time *day* falls into."""
        return tuple(
            note
            for note in self.notes
            if (note.since is None or note.since <= day)
            and (note.until is None or day <= note.until)
        )

    def notes_on(self, reply: str, day: date) -> tuple[Note, ...]:
        """The warnings that explain a refusal, whose code and enhanced code *reply* begins with."""
        words = f"{reply} "
        return tuple(
            note
            for note in self.notes_at(day)
            if any(words.startswith(f"{beginning} ") for beginning in note.replies)
        )


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that the file says.

    Attributes:
        as_of: the month that these facts are of.
        free_mail: domains of free mail services, beside the providers' own.
        brands: names that others like to borrow.
    """

    as_of: str
    free_mail: tuple[str, ...]
    brands: tuple[str, ...]
    providers: tuple[Provider, ...]


_T = TypeVar("_T")


def read_knowledge(text: str) -> Knowledge:
    """What a file like ``providers.toml`` says.

    Raises:
        ValueError: which key or value cannot be used.
    """
    table: dict[str, Any] = tomllib.loads(text)
    tables = table.get("providers")
    if isinstance(tables, dict):
        table["providers"] = [_keyed(key, one) for key, one in tables.items()]
    return _read(Knowledge, table, "providers.toml")


def _keyed(key: str, one: Any) -> dict[str, Any]:
    if not isinstance(one, dict) or "key" in one:
        raise ValueError(f"providers.toml: {key}: this must be a table without a key of its own.")
    return {"key": key, **one}


def _read(kind: type[_T], table: Any, where: str) -> _T:
    """*table* as a *kind*, strictly."""
    if not is_dataclass(kind) or not isinstance(table, dict):
        raise ValueError(f"{where}: this must be a table.")
    where = f"providers.toml: {table['key']}" if "key" in table else where
    hints = get_type_hints(kind)
    unknown = ", ".join(sorted(table.keys() - hints.keys()))
    if unknown:
        raise ValueError(f"{where}: unknown key: {unknown}.")
    needed = {
        one.name
        for one in fields(kind)
        if one.default is MISSING and one.default_factory is MISSING
    }
    missing = ", ".join(sorted(needed - table.keys()))
    if missing:
        raise ValueError(f"{where}: missing key: {missing}.")
    return kind(**{name: _value(hints[name], it, f"{where}.{name}") for name, it in table.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {types.UnionType, Union}:
        return _value(inner[0], value, where)  # TOML has no None: the key is left out
    if origin is tuple and isinstance(value, list):
        return tuple(_value(inner[0], one, f"{where}[{n}]") for n, one in enumerate(value, 1))
    if origin is Literal and value in inner:
        return value
    if origin is Mapping and isinstance(value, dict):
        return {
            _value(inner[0], name, where): _value(inner[1], one, f"{where}.{name}")
            for name, one in value.items()
        }
    if is_dataclass(hint) and isinstance(hint, type):
        return _read(hint, value, where)
    if origin is not None or type(value) is not hint:
        raise ValueError(f"{where}: {value!r} cannot stand here.")
    return value


@cache
def knowledge() -> Knowledge:
    """What ``providers.toml`` says; it is read once."""
    return read_knowledge(_FILE.read_text("utf-8"))


def providers() -> tuple[Provider, ...]:
    """Every provider, in the order of the file: the order of the page."""
    return knowledge().providers


def provider(key: str) -> Provider | None:
    """The provider with this key."""
    return next((one for one in providers() if one.key == key), None)


def provider_of_host(host: str) -> Provider | None:
    """Whose server *host* is; ``None`` for all others, such as one's own."""
    name = host.lower().removesuffix(".")
    return next((one for one in providers() if _matches_any(name, one.hosts)), None)


def provider_of_mx(host: str) -> Provider | None:
    """Who takes the mail of a domain whose MX record names *host*, and as a rule sends it too."""
    name = host.lower().removesuffix(".")
    return next((one for one in providers() if _matches_any(name, one.mx)), None)


def provider_of_address(address: str) -> Provider | None:
    """Which provider's domain an address is in; a domain of one's own tells nothing."""
    domain = domain_of(address).lower()
    return next((one for one in providers() if _matches_any(domain, one.domains)), None)


def is_free_mail(domain: str) -> bool:
    """Whether anybody can have an address at *domain*."""
    exact = (name for one in providers() for name in one.domains)
    return domain.lower() in {*knowledge().free_mail, *exact}


def _matches_any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(re.fullmatch(re.escape(one).replace(r"\*", "[a-z0-9-]+"), name) for one in patterns)


def tidy_password(provider: Provider | None, password: str) -> str:
    """*password* as the provider means it: without spaces where it has none.

    Google and Yahoo show their app passwords in groups of four, and what is copied from a page
    often has a space at its end, sometimes one that does not break.
    """
    return password if provider is None or provider.spaces else "".join(password.split())


def broken_rules(
    provider: Provider | None, username: str, password: str, from_email: str
) -> tuple[Rule, ...]:
    """The rules of *provider* that these values break, mistakes and doubts alike."""
    if provider is None:
        return ()
    entered = {
        "username": username,
        "password": tidy_password(provider, password),
        "from_email": from_email,
    }
    return tuple(rule for rule in provider.rules if rule.broken_by(entered))


def check_shape(
    provider: Provider | None, username: str, password: str, from_email: str
) -> dict[str, list[str]]:
    """Field → what cannot work there, judged by its shape alone.

    Only what is certain: doubts are :func:`~smtp_admin.senders.advice.advice`. An empty password
    is not judged, because it stands for the stored one.
    """
    found: dict[str, list[str]] = {}
    for rule in broken_rules(provider, username, password, from_email):
        if rule.certain:
            found.setdefault(rule.field, []).append(rule.message)
    return found
