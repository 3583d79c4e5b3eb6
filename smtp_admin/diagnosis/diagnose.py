"""What went wrong, in order of likelihood, and what to do about it: pure, from one table.

It serves the connection test, a sender that is paused and a mail that did not arrive alike: a
code, the cause that the failure itself names, and whatever else is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from smtp_admin.diagnosis.causes import ALL_CODES, DELIVERY_CODES, NOTHING, Cause, Facts
from smtp_admin.diagnosis.table import causes
from smtp_admin.providers.catalogue import provider, provider_behind, provider_of_words
from smtp_admin.providers.nearby import fitting_name, meant_host, outgoing, outgoing_of
from smtp_admin.providers.provider import Provider
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.translation import joined

__all__ = [
    "ALL_CODES", "DELIVERY_CODES", "Diagnosis", "code_of_delivery", "diagnose", "facts_about",
    "of_failure",
]  # fmt: skip

_INSTEAD_OF_BLOCKED = 2525
#: Codes of RFC 4954 that say all by themselves, whatever the words are.
_CLEAR = ("530", "534", "535")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The likely causes, most likely first; there is always one.

    Attributes:
        unrecognised: the server's words, where no row of the table of replies knows them.
    """

    causes: tuple[Cause, ...]
    unrecognised: str = ""

    @property
    def hint(self) -> str:
        """The first cause and what to do about it, for one line."""
        return joined((self.causes[0].what, self.causes[0].do))


def diagnose(facts: Facts) -> Diagnosis:
    """What *facts* are likely to come from."""
    clear = facts.cause or (facts.code == "auth_failed" and facts.said.startswith(_CLEAR))
    unrecognised = "" if clear else facts.said
    return Diagnosis(causes().of(facts), unrecognised)


def facts_about(
    code: str,
    *,
    cause: str = "",
    step: str = "",
    said: str = "",
    values: SenderValues | None = None,
    named: Mapping[str, str] = NOTHING,
) -> Facts:
    """What is known of a failure, with all that follows from the host.

    Args:
        code: one of :data:`ALL_CODES`; of a delivery as :func:`code_of_delivery` says.
        cause: the key that the failure names, if any.
        step: of the connection test, if it was one.
        said: the server's reply in one line.
        values: of its sender, where they are known.
        named: what else is known by name, from the failure or :mod:`.background`.
    """
    said = " ".join(said.split())
    host = values.host if values else ""
    theirs = provider(values.kind.provider) if values and values.kind.provider else None
    known = theirs or provider_behind(host) or provider_of_words(said)
    port = (values.port or None) if values else None
    return Facts(
        code=code,
        cause=cause,
        step=step,
        said=said,
        provider=known.key if known else "",
        kind=known.kind if known else "",
        host=host,
        port=port,
        security=values.security if values else "",
        username=values.username if values else None,
        from_email=values.from_email if values else "",
        named={**_of_host(host, port, known, named.get("names", "")), **named},
    )


def of_failure(
    failure: SMTPFailure, values: SenderValues, named: Mapping[str, str] = NOTHING
) -> Diagnosis:
    """What the failure of a test of *values* is likely to come from."""
    return diagnose(
        facts_about(
            failure.code,
            cause=failure.cause,
            step=failure.step,
            said=str(failure.reply or ""),
            values=values,
            named={**named, **failure.facts},
        )
    )


def code_of_delivery(state: str, last_code: str, uncertains: int = 0) -> str:
    """What says most about a delivery: its code, or its state where that says more.

    A lost reply has the code of what broke the connection, and that is not what matters.
    """
    if state == "uncertain":
        return "worker_lost" if last_code == "worker_lost" else state
    refused = last_code.endswith("_refused") or last_code == "too_large"
    if state == "dead" and uncertains > 1 and not refused:
        return "uncertain"
    if state in {"bounced", "complained", "suppressed"}:
        return state
    if state == "delivered":
        return "sent"
    return last_code or state


def _of_host(host: str, port: int | None, known: Provider | None, names: str) -> dict[str, str]:
    """What follows from the name of the host, as facts."""
    found: dict[str, str] = {}
    if not host:
        return found
    incoming = outgoing_of(host)
    if incoming is not None:
        found["owner"], found["outgoing"] = incoming[0].label, incoming[1]
    elif known is not None and known.servers and provider_behind(host) is known:
        found["outgoing"] = outgoing(known)
    meant = "" if incoming else meant_host(host)
    if meant:
        found["meant"] = meant
    fitting = fitting_name(host, names.split(", ")) if names else ""
    if fitting:
        found["fitting"] = fitting
    if (
        known is not None
        and port != _INSTEAD_OF_BLOCKED
        and any(one.port == _INSTEAD_OF_BLOCKED for one in known.ports)
    ):
        found["port_2525"] = str(_INSTEAD_OF_BLOCKED)
    return found
