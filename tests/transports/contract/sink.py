"""Where a driver's mail arrives in these tests, and how it is made to fail there."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from smtp_admin.providers.catalogue import replies
from smtp_admin.smtp.client import Timeouts
from smtp_admin.smtp.dialling import DiallingPolicy
from smtp_admin.smtp.session import Dialler
from smtp_admin.transports.base import Transport
from smtp_admin.transports.driver import Driver, Surroundings
from tests.transports.sending import LOOPBACK

#: What some sending methods cannot do: refuse one mail, lose an answer, hang, pass on the
#: envelope sender.
Ability = Literal["refuse", "lose", "hang", "sender"]
PATIENT = Timeouts(connect=10, command=30, final_dot=30)


@dataclass(frozen=True)
class Body:
    """A mail that arrived as a whole, with CRLF line ends; accepted or not."""

    mail_from: str
    recipient: str
    content: bytes


class Sink(ABC):
    """One place to send to. Mails are named by their keys, as :func:`~.sending.mail` makes them."""

    driver: ClassVar[Driver]
    can: ClassVar[frozenset[Ability]] = frozenset({"refuse", "lose", "hang", "sender"})

    @abstractmethod
    def transport(self) -> Transport:
        """A new transport that sends here."""

    @abstractmethod
    def bodies(self) -> list[Body]:
        """What arrived, in this order."""

    @abstractmethod
    def forget(self) -> None:
        """Let go of what arrived."""

    @abstractmethod
    def break_at(self, key: int) -> None:
        """Fail as a whole when this mail is begun, before any of it was taken."""

    @abstractmethod
    def mend(self) -> None:
        """Work as before."""

    def refuse(self, key: int) -> None:
        """Refuse this mail for good."""
        raise NotImplementedError

    def defer(self, key: int) -> None:
        """Ask to try this mail again later."""
        raise NotImplementedError

    def lose_answer_to(self, key: int) -> None:
        """Fail when all of this mail was taken, before that is said."""
        raise NotImplementedError

    def hang_at(self, key: int) -> None:
        """Stop answering at this mail, for longer than any test lasts."""
        raise NotImplementedError

    def wait_until_it_hangs(self) -> None:
        """Until it has come to that mail."""
        raise NotImplementedError

    def openings(self) -> int | None:
        """How many connections were opened, where there are any."""
        return None


def surroundings(
    port: int = 0,
    sendmail: tuple[str, ...] = (),
    endpoints: Mapping[str, str] | None = None,
    timeouts: Timeouts = PATIENT,
) -> Surroundings:
    """What drivers are lent here."""
    dialler = Dialler(DiallingPolicy(frozenset({port}), LOOPBACK), timeouts)
    return Surroundings(dialler, replies(), sendmail, endpoints or {})


def address(key: int) -> str:
    """The recipient of the mail with this key."""
    return f"r{key}@example.com"
