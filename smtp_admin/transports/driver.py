"""What a driver is: a sending method, with its fields, its test and its transport."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from smtp_admin.config import Config
from smtp_admin.credentials.oauth import Tokens
from smtp_admin.credentials.token_requests import FromServer, caller_for_tokens
from smtp_admin.replies.table import Table
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.login import Credential
from smtp_admin.smtp.report import Report
from smtp_admin.smtp.session import Dialler
from smtp_admin.smtp.tls import TLSDescription, unnoted
from smtp_admin.transports.base import Transport
from smtp_admin.transports.fields import Field


@dataclass(frozen=True, slots=True)
class Setup:
    """What a transport is made from: one sender's settings and credential, ready for its driver.

    Two that are equal lead to the same place with the same rights, so that an open connection of
    one serves the other.

    Attributes:
        driver: its name.
        settings: the driver's own, frozen and hashable; never shown, for a key may be in them.
        credential: compared by its identity, never by a token.
        place: where mail goes, for people and logs: ``smtp.example.com:587``.
    """

    driver: str
    settings: Hashable = field(repr=False)
    credential: Credential = field(repr=False, compare=False)
    place: str = ""
    identity: Hashable = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", self.credential.identity)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What this installation lends to drivers; nothing of it ever comes from a form.

    Attributes:
        dialler: the way to mail servers, with its policy and patience.
        replies: what servers' words mean, the providers' own rows first.
        sendmail: the program that hands mail to this machine's mail server, and its arguments.
        saw_certificate: told how a mail server encrypts, each time a session with it is open.
        kept_tokens: where tokens of OAuth2 are kept for the sender; ``None`` where each is asked
            for anew.
        endpoints: driver → where its provider's API is, if the operator says otherwise; in it
            ``{region}`` stands for the sender's region.
    """

    dialler: Dialler
    replies: Table
    sendmail: tuple[str, ...] = ("/usr/sbin/sendmail",)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    kept_tokens: Tokens | None = None
    saw_certificate: Callable[[TLSDescription], None] = unnoted

    @property
    def tokens(self) -> Tokens:
        """Where tokens of OAuth2 come from."""
        return self.kept_tokens or FromServer(caller_for_tokens(self.dialler))

    @classmethod
    def from_config(cls, config: Config, replies: Table) -> "Surroundings":
        """As the host app configured it."""
        return cls(Dialler.from_config(config), replies, config.sendmail, config.api_endpoints)

    def patient(self, failures: int, *, hurried: bool) -> "Surroundings":
        """The same for a sender whose server could not be reached *failures* times in a row.

        Args:
            hurried: whether many others wait for their first words.
        """
        timeouts = self.dialler.timeouts.patient(failures, hurried=hurried)
        return replace(self, dialler=replace(self.dialler, timeouts=timeouts))


@dataclass(frozen=True, slots=True)
class Caution:
    """Something to know although a test succeeded.

    Attributes:
        cause: the key of what is behind it, where a reply told.
        unrecognised: the server's words, where the table of replies does not know them.
    """

    code: str
    message: str
    cause: str = ""
    unrecognised: str = ""


@dataclass(slots=True)
class Trial:
    """One run of a driver's test.

    Attributes:
        sender_address: the envelope sender to try; empty for none.
        report: where each step is written down as it happens.
        overall: when everything ends.
        cautions: what to know although it succeeded; the driver adds to them.
        from_address: what stands in the From header, where it is another address.
    """

    setup: Setup
    sender_address: str
    surroundings: Surroundings
    report: Report
    overall: Deadline
    cautions: list[Caution] = field(default_factory=list)
    from_address: str = ""


@dataclass(frozen=True, slots=True)
class Driver:
    """A sending method.

    Attributes:
        name: stored with each revision; ``[a-z0-9-]{1,20}``.
        label: what people choose.
        comparison: one sentence to choose by.
        needs: what one must have to use it.
        fields: its own; what all drivers share is added by the table.
        steps: name of a step of its test → its label, in the order of the test.
        read: the setup for cleaned values and opened secrets.
        open: a transport; nothing is dialled or started yet.
        test: everything that sending does, but no mail; raises
            :class:`~smtp_admin.smtp.failure.SMTPFailure` where it fails.
        check: what does not fit together in cleaned values: field → sentences.
        most_connections: how many make sense at a time.
        borrows_rights: whether mail goes out by rights of this machine instead of the sender's own
            credentials. Then only the platform's admins may choose it.
        keeps_mail: whether it keeps mail instead of sending it, which every page must say.
        provider: the key of the only provider that it sends by; empty where it is not tied to one.
    """

    name: str
    label: str
    comparison: str
    fields: tuple[Field, ...]
    steps: Mapping[str, str]
    read: Callable[[Mapping[str, Any], Mapping[str, str]], Setup]
    open: Callable[[Setup, Surroundings], Transport]
    test: Callable[[Trial], None]
    check: Callable[[Mapping[str, Any]], Mapping[str, list[str]]] = field(default=lambda _: {})
    most_connections: int = 20
    borrows_rights: bool = False
    keeps_mail: bool = False
    provider: str = ""
    needs: str = ""
