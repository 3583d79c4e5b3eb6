"""What mends a failed connection test, as buttons: decided here, for page and JSON alike.

Each likely cause says which other values would do; those that are on the screen already, that the
environment holds or that the platform does not dial are left out. Never less encryption: whoever
wants that chooses it by hand.
"""

from collections.abc import Callable, Collection, Iterator, Mapping

from smtp_admin.connection.probe import TestResult
from smtp_admin.installation import installation
from smtp_admin.providers.catalogue import (
    provider_behind,
    provider_of_address,
    provider_of_host,
    receiver_of,
)
from smtp_admin.providers.nearby import fitting_name, meant_host
from smtp_admin.providers.provider import Port, Provider
from smtp_admin.senders.advice import server_of
from smtp_admin.senders.fix import Fix, use_host, use_port, use_security
from smtp_admin.senders.values import SenderValues
from smtp_admin.translation import gettext

#: More buttons than that are no help.
_MOST = 3
_USUAL = (Port(587, "tls"), Port(465, "ssl"), Port(2525, "tls"))
_FROM_THE_FIRST_BYTE = {465, 2465}
Facts = Mapping[str, str]
Remedy = Callable[[SenderValues, Facts], Iterator[Fix]]


def fixes(result: TestResult, locked: Collection[str] = ()) -> tuple[Fix, ...]:
    """What to offer for *result*, the likeliest first.

    Args:
        locked: fields that the environment holds.
    """
    values, failure = result.request.values, result.failure
    if failure is None or result.diagnosis is None or "host" not in values:
        return ()
    found: list[Fix] = []
    for cause in result.diagnosis.causes:
        remedy = _REMEDIES.get(cause.key)
        found += remedy(values, failure.facts) if remedy else ()
    allowed = installation().config.allowed_ports
    useful = [
        one
        for one in {str(each.fields): each for each in found}.values()
        if not set(locked) & one.fields.keys()
        and ("port" not in one.fields or int(one.fields["port"]) in allowed)
        and any(str(values[name]) != text for name, text in one.fields.items())
    ]
    return tuple(useful[:_MOST])


def _encrypt(values: SenderValues, _: Facts) -> Iterator[Fix]:
    yield use_security("ssl" if values.port in _FROM_THE_FIRST_BYTE else "tls")


def _from_the_first_byte(_values: SenderValues, _: Facts) -> Iterator[Fix]:
    yield use_security("ssl")


def _starttls(_values: SenderValues, _: Facts) -> Iterator[Fix]:
    yield use_security("tls")


def _other_ports(values: SenderValues, _: Facts) -> Iterator[Fix]:
    """The provider's documented ports first; elsewhere the usual ones."""
    known = provider_of_host(values.host)
    for one in known.ports if known and known.port else _USUAL:
        if one.port not in (values.port, 25):
            yield use_port(one.port, one.security)


def _from_the_first_byte_elsewhere(values: SenderValues, facts: Facts) -> Iterator[Fix]:
    for one in _other_ports(values, facts):
        if one.fields["security"] == "ssl":
            yield one


def _port_2525(_values: SenderValues, _: Facts) -> Iterator[Fix]:
    yield use_port(2525, "tls")


def _outgoing(values: SenderValues, _: Facts) -> Iterator[Fix]:
    yield from _server(receiver_of(values.host) or provider_behind(values.host))


def _near_miss(values: SenderValues, _: Facts) -> Iterator[Fix]:
    meant = meant_host(values.host)
    if meant:
        yield use_host(meant)


def _provider_of_the_address(values: SenderValues, _: Facts) -> Iterator[Fix]:
    yield from _server(provider_of_address(values.username or values.from_email))


def _name_in_the_certificate(values: SenderValues, facts: Facts) -> Iterator[Fix]:
    """One that is the host but for a slip, or a known provider's: never just any name."""
    names = [one.strip() for one in facts.get("names", "").split(",") if one.strip()]
    meant = fitting_name(values.host, names)
    known = (one for one in names if "*" not in one and provider_of_host(one))
    name = meant or next(known, "")
    if name:
        yield use_host(name)


def _whole_address(values: SenderValues, _: Facts) -> Iterator[Fix]:
    if "@" in values.from_email:
        yield Fix(
            gettext("Use %(from_email)s as login", from_email=values.from_email),
            {"username": values.from_email},
        )


def _send_as_the_login(values: SenderValues, _: Facts) -> Iterator[Fix]:
    if "@" in values.username:
        yield Fix(
            gettext("Send from %(username)s", username=values.username),
            {"from_email": values.username},
        )


def _server(known: Provider | None) -> Iterator[Fix]:
    fix = server_of(known) if known else None
    if fix:
        yield fix


#: Key of a cause → what mends it.
_REMEDIES: Mapping[str, Remedy] = {
    "ssl_expected": _from_the_first_byte,
    "starttls_expected": _starttls,
    "speaks_plain": _starttls,
    "encrypt_for_login": _encrypt,
    "starttls_wanted": _encrypt,
    "login_not_here": _encrypt,
    "no_starttls": _from_the_first_byte_elsewhere,
    "starttls_removed": _from_the_first_byte_elsewhere,
    "starttls_broken": _from_the_first_byte_elsewhere,
    "slipped_in": _from_the_first_byte_elsewhere,
    "port_2525_instead": _port_2525,
    **dict.fromkeys(
        ("port_25_blocked", "port_25_plain", "no_login_on_25", "reading_port",
         "other_service_port", "port_not_allowed", "nothing_listens", "firewall", "no_way"),
        _other_ports,
    ),
    "incoming_server": _outgoing,
    "reading_host_known": _outgoing,
    "near_miss": _near_miss,
    "host_misspelt": _provider_of_the_address,
    "certificate_meant": _name_in_the_certificate,
    "certificate_names": _name_in_the_certificate,
    "whole_address": _whole_address,
    "sender_not_owned": _send_as_the_login,
}  # fmt: skip
