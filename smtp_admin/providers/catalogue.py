"""The one place that tells whose a host, an address, an MX record or a server's words are.

All of it stands in the files of this folder, one for each provider, so that a maintainer can add
one without touching code. How a provider is added: ``docs/adding-a-provider.md``.
"""

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

from smtp_admin.providers.provider import Knowledge, OwnId, Provider
from smtp_admin.providers.reading import read_folder
from smtp_admin.replies.identities import without_names
from smtp_admin.replies.row import Row
from smtp_admin.replies.table import Table, rows_of, shipped
from smtp_admin.smtp.address import domain_of
from smtp_admin.transports.driver import Driver

FOLDER = Path(__file__).parent


@cache
def knowledge() -> Knowledge:
    """What the files say; they are read once."""
    return read_folder(FOLDER)


@cache
def providers() -> tuple[Provider, ...]:
    """Every provider with a preset, in the order of the page."""
    return tuple(one for one in knowledge().known if one.kind != "known")


def provider(key: str) -> Provider | None:
    """The provider with this key and a preset."""
    return next((one for one in providers() if one.key == key), None)


def provider_of_host(host: str) -> Provider | None:
    """Whose server for sending *host* is; ``None`` for all others, such as one's own."""
    return _first(host, ((one, one.hosts) for one in providers()))


def provider_of_sender(driver: Driver, host: str) -> Provider | None:
    """By whom a sender sends, whose driver is tied to a provider or dials *host*."""
    return provider(driver.provider) if driver.provider else provider_of_host(host)


@lru_cache(maxsize=1000)
def own_id_for(host: str) -> OwnId | None:
    """How a mail that goes out by *host* carries our id, if its provider gives one back."""
    found = _first(host, ((one, one.hosts) for one in knowledge().known))
    return None if found is None else found.own_id


def provider_of_mx(host: str) -> Provider | None:
    """Who takes the mail of a domain whose MX record names *host*, and as a rule sends it too."""
    return _first(host, ((one, one.mx) for one in providers()))


def receiver_of(host: str) -> Provider | None:
    """The provider that takes mail in at *host*: no server for sending."""
    return _first(host, ((one, (*one.mx, *one.incoming)) for one in knowledge().known))


def provider_of_address(address: str) -> Provider | None:
    """Which provider's domain an address is in; a domain of one's own tells nothing."""
    return _first(domain_of(address), ((one, one.domains) for one in providers()))


def provider_behind(host: str) -> Provider | None:
    """Whose *host* is, whatever it is for: by its own names, or the domain that it stands in."""
    name = _plain(host)
    return provider_of_host(name) or next(
        (
            one
            for one in knowledge().known
            if any(name == each or name.endswith(f".{each}") for each in one.family)
        ),
        None,
    )


def provider_of_words(words: str) -> Provider | None:
    """Whose server speaks so, whomever the mail was for."""
    seen = without_names(words)
    return next(
        (one for one in knowledge().known if one.says and re.search(one.says, seen, re.IGNORECASE)),
        None,
    )


def is_free_mail(domain: str) -> bool:
    """Whether anybody can have an address at *domain*."""
    exact = (name for one in knowledge().known for name in one.domains)
    return domain.lower() in {*knowledge().free_mail, *exact}


@cache
def replies() -> Table:
    """The table of replies with the providers' own rows, which are asked first.

    Raises:
        ValueError: which row cannot be used, and why.
    """
    own: list[Row] = []
    for one in knowledge().known:
        own += rows_of(one.replies, f"{one.key}.toml", provider=one.key)
    return shipped(tuple(own))


def _first(host: str, patterns: Iterable[tuple[Provider, tuple[str, ...]]]) -> Provider | None:
    name = _plain(host)
    return next((one for one, some in patterns if _matches_any(name, some)), None)


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _matches_any(name: str, patterns: tuple[str, ...]) -> bool:
    return _compiled(patterns).fullmatch(name) is not None


@cache
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """What matches any of the files' patterns: a diagnosis asks for those of every provider."""
    some = (re.escape(one).replace(r"\*", "[a-z0-9-]+") for one in patterns)
    return re.compile("|".join(some) if patterns else r"(?!)")
