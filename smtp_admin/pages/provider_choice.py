"""The list of providers on a tab: in groups, and with the regions of the one that is chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from smtp_admin.providers.catalogue import provider, provider_of_host, providers
from smtp_admin.providers.provider import Kind, Provider
from smtp_admin.translation import gettext

_GROUPS: Mapping[Kind, str] = {
    "mailbox": gettext("Mailbox providers"),
    "service": gettext("Sending services"),
    "own": gettext("Hosting panels and your own server"),
    "testing": gettext("Test inboxes"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a list."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Providers of one kind."""

    label: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """What there is to choose.

    Attributes:
        regions: of the provider that is shown; empty where it has one server only.
    """

    groups: tuple[Group, ...] = ()
    regions: tuple[Choice, ...] = ()


def asked_for(arguments: Mapping[str, str]) -> str:
    """What was chosen, as ``gmail`` or ``ses:eu-central-1``; empty for nothing.

    A region that the provider does not have is the one of the provider that was shown before.
    """
    chosen, region = arguments.get("preset", "")[:60], arguments.get("region", "")[:60]
    known = provider(chosen)
    has_it = known is not None and region in {one.key for one in known.regions}
    return f"{chosen}:{region}" if has_it else chosen


def picked(chosen: str) -> tuple[Provider | None, str]:
    """The provider that *chosen* names, and its region; ``None`` if there is no such thing."""
    key, _, region = chosen.partition(":")
    found = provider(key)
    if found is not None and region and region not in {one.key for one in found.regions}:
        return None, ""
    return found, region


def provider_choice(chosen: str, host: str) -> ProviderChoice:
    """The list as it stands after *chosen*, or where *host* was entered."""
    asked, _ = picked(chosen)
    shown = asked or provider_of_host(host)
    ordered = sorted(providers(), key=lambda one: list(_GROUPS).index(one.kind))
    groups = tuple(
        Group(_GROUPS[kind], tuple(Choice(one.key, one.label, one is shown) for one in members))
        for kind, members in groupby(ordered, key=lambda one: one.kind)
    )
    return ProviderChoice(groups, _regions(shown, host))


def _regions(shown: Provider | None, host: str) -> tuple[Choice, ...]:
    if shown is None or not shown.regions:
        return ()
    found = tuple(Choice(one.key, one.label, one.host == host) for one in shown.regions)
    if any(one.chosen for one in found):
        return found
    return (Choice("", gettext("another one, entered below"), chosen=True), *found)
