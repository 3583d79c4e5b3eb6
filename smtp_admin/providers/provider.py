"""What is known about one mail provider: the shape of a file of this folder."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as made_by
from datetime import date
from typing import Any, Literal

from smtp_admin.smtp.session import Security
from smtp_admin.translation import gettext, joined, ngettext, number

Kind = Literal["mailbox", "service", "testing", "own", "known"]
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

    @property
    def words(self) -> str:
        """The numbers, as a person reads them."""
        parts = (
            gettext("%(number)s an hour", number=number(self.per_hour)) if self.per_hour else "",
            gettext("%(number)s a day", number=number(self.per_day)) if self.per_day else "",
            ngettext(
                "%(number)s connection at a time",
                "%(number)s connections at a time",
                self.connections,
            )
            if self.connections
            else "",
        )
        return joined(parts, ", ")


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
class OwnId:
    """A header whose value the provider gives back with what it tells of a mail later.

    Attributes:
        value: in it ``{id}`` stands for our Message-ID without its brackets.
        longest: of that id.
    """

    header: str
    value: str
    longest: int = 200

    def line(self, message_id: str) -> str:
        """The whole header for a mail, with its line end; empty where the id does not fit."""
        own = message_id.removeprefix("<").removesuffix(">")
        if len(own) > self.longest or not _PLAIN_ID.fullmatch(own):
            return ""
        return f"{self.header}: {self.value.replace('{id}', own)}\r\n"


#: What needs no quoting, in JSON neither.
_PLAIN_ID = re.compile(r"[A-Za-z0-9._@+=-]+")


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
    """A mail provider. What each key means stands at the head of ``general.toml``.

    Attributes:
        replies: rows of the table of replies, as they were read; and ``causes`` of that of causes.
    """

    key: str
    label: str
    kind: Kind
    port: int = 0
    security: Security = "tls"
    login: str = ""
    password: str = ""
    from_address: str = ""
    steps: tuple[str, ...] = ()
    spaces: bool = True
    authentication: tuple[Authentication, ...] = ()
    spf_include: str = ""
    spf_at: Literal["from_domain", "sending_domain", "none"] = "none"
    dns: str = ""
    page: str = ""
    order: int = 1000
    host: str = ""
    regions: tuple[Region, ...] = ()
    hosts: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()
    incoming: tuple[str, ...] = ()
    family: tuple[str, ...] = ()
    says: str = ""
    other_ports: tuple[Port, ...] = ()
    domains: tuple[str, ...] = ()
    dkim_selectors: tuple[str, ...] = ()
    headers: tuple[Header, ...] = ()
    own_id: OwnId | None = None
    limits: tuple[Limit, ...] = ()
    rules: tuple[Rule, ...] = ()
    notes: tuple[Note, ...] = ()
    replies: tuple[Mapping[str, Any], ...] = ()
    causes: tuple[Mapping[str, Any], ...] = ()

    @property
    def ports(self) -> tuple[Port, ...]:
        """Every port that works, the preset's first."""
        return (Port(self.port, self.security), *self.other_ports)

    @property
    def servers(self) -> tuple[str, ...]:
        """The names of its servers for sending, those that are always the same."""
        own = (self.host, *(one.host for one in self.regions), *self.hosts)
        return tuple(dict.fromkeys(one for one in own if one and not set("*{") & set(one)))

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


#: What a provider with a preset must say, beside what every file must.
OF_PRESETS = (
    "port", "security", "login", "password", "from_address", "steps", "spaces", "authentication",
    "spf_include", "spf_at", "dns", "page",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that the folder says.

    Attributes:
        as_of: the month that these facts are of.
        free_mail: domains of free mail services, beside the providers' own.
        brands: names that others like to borrow.
        known: every provider, in the order of the page; those without a preset last.
    """

    as_of: str
    free_mail: tuple[str, ...]
    brands: tuple[str, ...]
    known: tuple[Provider, ...] = ()
