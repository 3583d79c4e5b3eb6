"""Read all lists of one account, within a time and up to a number of addresses."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from smtp_admin.http.caller import CallFailed
from smtp_admin.smtp.address import clean_address
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.session import Dialler
from smtp_admin.suppression.provider_lists.calling import REFUSED, Calling
from smtp_admin.suppression.provider_lists.shape import Account, Listed, TheirList
from smtp_admin.translation import gettext

#: What one reading takes in; pages without an end may have no address at all.
MOST, MOST_PAGES = 100_000, 2_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What a provider told.

    Attributes:
        listed: the addresses that can be used.
        unusable: how many cannot.
        trouble: why that is not all, in one sentence; empty where it is.
        refused: whether that is because the key may not read it.
    """

    listed: tuple[Listed, ...]
    unusable: int = 0
    trouble: str = ""
    refused: bool = False


def read_lists(account: Account, dialler: Dialler, deadline: Deadline) -> Reading:
    """Every address of every list of *account*, until there is trouble."""
    found: list[Listed] = []
    unusable = 0
    trouble, refused = "", False
    with Calling(account, dialler, deadline) as calling:
        for their in account.lists:
            try:
                for one in _of(calling, their):
                    try:
                        address = _usable(one.address)
                    except ValueError:
                        unusable += 1
                        continue
                    found.append(replace(one, address=address))
                    if len(found) > MOST:
                        raise CallFailed(_TOO_MUCH)
            except CallFailed as error:
                refused = error.code == REFUSED
                trouble = gettext(
                    "%(provider)s, list “%(name)s”: %(why)s.",
                    provider=account.provider,
                    name=their.name,
                    why=str(error).rstrip("."),
                )
                break
    return Reading(tuple(found[:MOST]), unusable, trouble, refused)


_TOO_MUCH = gettext("it has more addresses than can be imported")


def _usable(address: str) -> str:
    if not address.isprintable():  # such as marks that turn what is shown around
        raise ValueError("signs that cannot be seen")
    return clean_address(address)


def _of(calling: Calling, their: TheirList) -> Iterator[Listed]:
    path, seen = their.first, set()
    while path and path not in seen:
        seen.add(path)  # a list that leads back to itself has ended
        if len(seen) > MOST_PAGES:
            raise CallFailed(_TOO_MUCH)
        page = calling.page(their, path)
        yield from page.listed
        path = page.next
