"""The settings of one sender as values, all of them clean, whatever its driver."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smtp_admin.credentials.sign_ins import SIGN_INS
from smtp_admin.senders.fields import fields_of
from smtp_admin.transports.driver import Driver
from smtp_admin.transports.registry import driver

#: A destination field's value; what a secret is bound to is written from these.
Bindable = str | int | bool


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the secrets of a sender may go: whatever, if changed, makes it another destination."""

    values: tuple[tuple[str, Bindable], ...]

    @property
    def driver(self) -> str:
        """The name of the driver, which is part of every destination."""
        return str(dict(self.values)["driver"])

    def binding(self) -> list[list[Bindable]]:
        """What a secret is sealed for.

        Empty texts are left out: a field that is added one day, and is empty in what was saved
        before, must not lock every secret.
        """
        return [[name, value] for name, value in self.values if value != ""]


class SenderValues(Mapping[str, Any]):
    """Field → value, for every field of the driver but its secrets; never changed.

    What the driver does not have reads as that field's absence: ``host`` of a sender without one
    is an empty text.

    Args:
        given: cleaned values; what is missing has its field's default.

    Raises:
        LookupError: there is no such driver.
    """

    __slots__ = ("_complete", "_values")

    # What our own code asks for by name; every other field is there as well.
    driver: str
    host: str
    port: int
    security: Any
    username: str
    sign_in: str
    verify_tls: bool
    from_email: str
    from_name: str
    reply_to: str
    envelope_from: str
    max_per_hour: int | None
    max_per_day: int | None
    max_connections: int
    headers: tuple[tuple[str, str], ...]
    archive_to: str
    fallbacks: tuple[str, ...]

    def __init__(self, **given: Any) -> None:
        fields = fields_of(given.get("driver", "smtp"))
        self._values: dict[str, Any] = {
            field.name: given.get(field.name, field.default) for field in fields if not field.secret
        }
        self._complete: bool | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "SenderValues":
        """The values that were stored as JSON: lists were tuples.

        Raises:
            LookupError: there is no such driver.
        """
        return cls(**{name: _frozen(value) for name, value in document.items()})

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._values.get(name, _ABSENT.get(name, ""))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SenderValues) and self._values == other._values

    def __hash__(self) -> int:
        return hash(tuple(sorted(self._values.items(), key=lambda item: item[0])))

    def __repr__(self) -> str:
        return f"SenderValues({self._values})"

    @property
    def kind(self) -> Driver:
        """The driver itself."""
        return driver(self._values["driver"])

    @property
    def destination(self) -> Destination:
        """Where the secrets of these settings may go."""
        return Destination(
            tuple(
                (field.name, self._values[field.name])
                for field in sorted(fields_of(self.driver), key=lambda one: one.name)
                if field.destination
            )
        )

    @property
    def complete(self) -> bool:
        """Whether nothing is missing that must be there to send."""
        if self._complete is None:
            self._complete = not self.missing()
        return self._complete

    @property
    def by_person(self) -> bool:
        """Whether a person has to sign in to the mailbox (OAuth2)."""
        way = SIGN_INS.get(self.sign_in)
        return way is not None and way.by_person

    def missing(self) -> dict[str, list[str]]:
        """The fields that must be filled in: name → what to do."""
        return {
            field.name: [field.required]
            for field in fields_of(self.driver)
            if field.required and not field.secret and self._values[field.name] in ("", None)
        }

    def replace(self, **changes: Any) -> "SenderValues":
        """The same with other values; with another driver, what both have is kept."""
        return SenderValues(**(self._values | changes))

    def place(self) -> str:
        """Where mail goes, in words: the host, or the driver's label where there is none."""
        return self.host or self.kind.label


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value


_ABSENT: dict[str, Any] = {"port": 0, "verify_tls": True}


def texts_of(values: SenderValues) -> dict[str, str]:
    """Field → text, as a form would show and send it; without secrets."""
    return {
        one.name: one.text(values[one.name]) for one in fields_of(values.driver) if not one.secret
    }
