"""What a list of a provider is: how it is read page by page, and how an address is taken off it."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

from smtp_admin.http.connection import Answer
from smtp_admin.http.endpoint import Endpoint
from smtp_admin.smtp.redaction import Redactor
from smtp_admin.suppression.reasons import ALL, NOTICES, REASONS, Reason

#: What a provider did with the wish to take one address off one of its lists.
Removal = Literal["removed", "absent", "refused", "failed"]
#: Statuses of HTTP, as all of these providers use them.
OK, NO_CONTENT, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 204, 401, 403, 404


@dataclass(frozen=True, slots=True)
class Listed:
    """One address of a provider's list, in our own words.

    Attributes:
        category: which mail of ours it stops.
        detail: what a server said, where the provider tells.
    """

    address: str
    reason: Reason
    category: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list.

    Attributes:
        listed: what stands on it, as far as it concerns us.
        next: the path of the next part; empty after the last.
    """

    listed: tuple[Listed, ...]
    next: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a provider."""

    method: str
    path: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class TheirList:
    """One list of one account.

    Attributes:
        name: as the provider calls it.
        reasons: those of ours that it stands for.
        first: the path of its first part.
        read: a part from its JSON and its own path; raises :class:`ValueError` where it is none.
        remove: the call that takes an address off it.
        removed: what the answer to that means.
    """

    name: str
    reasons: tuple[Reason, ...]
    first: str
    read: Callable[[Any, str], Page]
    remove: Callable[[str], Call]
    removed: Callable[[Answer], Removal]

    @property
    def category(self) -> str:
        """The widest mail of ours that it may stop."""
        return ALL if any(REASONS[one].category == ALL for one in self.reasons) else NOTICES


@dataclass(frozen=True, slots=True)
class Account:
    """The lists of one account at a provider, and what proves who calls.

    Attributes:
        provider: its name.
        identity: two that are equal have the same lists.
        endpoint: the only place to which the key goes.
        headers: of a call, with the key.
        words: what an answer says, for a person.
        redact: what takes the key out of that.
        page: where a person sees the lists at the provider.
        right: what the key must be, in one sentence.
    """

    provider: str
    identity: Hashable
    endpoint: Endpoint
    lists: tuple[TheirList, ...]
    headers: Callable[[Call], Mapping[str, str]] = field(repr=False)
    words: Callable[[Answer], str] = field(repr=False)
    redact: Callable[[], Redactor] = field(repr=False)
    page: str
    right: str


def of_one_reason(
    name: str,
    reason: Reason,
    first: str,
    read: Callable[[Reason, Any, str], Page],
    *,
    entries: str = "",
    removed: Callable[[Answer], Removal] | None = None,
) -> TheirList:
    """A list whose every entry has the same *reason*.

    Args:
        entries: what each address stands below, if not below the list itself.
        removed: if more than the status says it.
    """
    return TheirList(
        name=name,
        reasons=(reason,),
        first=first,
        read=partial(read, reason),
        remove=one_by_one(entries or first.partition("?")[0]),
        removed=removed or removal_of,
    )


def one_by_one(entries: str) -> Callable[[str], Call]:
    """The call that takes an address off a list; each has a path of its own below *entries*."""
    return lambda address: Call("DELETE", f"{entries}/{quote(address, safe='')}")


def part_at(path: str, query: str) -> str:
    """The path of another part of the same list; empty for an empty *query*."""
    return f"{path.partition('?')[0]}?{query}" if query else ""


def removal_of(answer: Answer) -> Removal:
    """What an answer means where nothing but its status says it."""
    if answer.status in {OK, NO_CONTENT}:
        return "removed"
    if answer.status == NOT_FOUND:
        return "absent"
    return "refused" if answer.status in {UNAUTHORIZED, FORBIDDEN} else "failed"


def listed_as(address: Any, reason: Reason, detail: Any = "") -> Listed:
    """An address of a list whose every entry has the same *reason*."""
    category = REASONS[reason].category or NOTICES
    return Listed(text_of(address), reason, category, text_of(detail))


def text_of(value: Any) -> str:
    """*value* where it is a text; providers leave out what they do not know."""
    return value if isinstance(value, str) else ""


def items_of(found: Any) -> Iterable[Mapping[str, Any]]:
    """The objects of a JSON array.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError
    return found


def fields_of(found: Any) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(found, dict):
        raise ValueError
    return found
