"""What a token may be allowed, in the words of pages, commands and the API's description.

One table: each name stands for actions of :mod:`smtp_admin.access`, which decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from smtp_admin.access import Action
from smtp_admin.errors import InvalidInput
from smtp_admin.translation import gettext


@dataclass(frozen=True, slots=True)
class Scope:
    """One thing that a token may do: its name for programs, its words for people."""

    name: str
    label: str
    actions: frozenset[Action]


SCOPES: dict[str, Scope] = {
    one.name: one
    for one in (
        Scope("send", gettext("Queue mail and batches"), frozenset({Action.SEND_MAIL})),
        Scope("read", gettext("See mail and batches"), frozenset({Action.SEE_MAIL})),
        Scope("change", gettext("Cancel mail and send it again"), frozenset({Action.CHANGE_MAIL})),
        Scope(
            "status",
            gettext("See the numbers"),
            frozenset({Action.SEE_PARTNER_STATUS, Action.SEE_SYSTEM_STATUS}),
        ),
        Scope("senders", gettext("List senders"), frozenset({Action.SEE_SENDERS})),
        Scope(
            "suppressions",
            gettext("See and change suppressions"),
            frozenset({Action.MANAGE_SUPPRESSIONS}),
        ),
        Scope("test", gettext("Test connections"), frozenset({Action.TEST_SENDER})),
    )
}


def actions_of(names: Iterable[str]) -> frozenset[Action]:
    """What these names stand for; one that is no longer known stands for nothing."""
    return frozenset().union(*(SCOPES[one].actions for one in names if one in SCOPES))


def scopes_with(action: Action) -> tuple[str, ...]:
    """The names that stand for *action*."""
    return tuple(one.name for one in SCOPES.values() if action in one.actions)


def checked(names: Iterable[str]) -> tuple[str, ...]:
    """*names* in the order of the table, each once.

    Raises:
        InvalidInput: there is none, or one is unknown.
    """
    asked = set(names)
    unknown = sorted(asked - SCOPES.keys())
    if unknown or not asked:
        if unknown:
            words = gettext("There is no %(name)s here.", name=repr(unknown[0][:40]))
        else:
            words = gettext("Choose at least one.")
        raise InvalidInput(
            fields={"scopes": [words]},
            hint=gettext("A token may be allowed: %(names)s.", names=", ".join(SCOPES)),
        )
    return tuple(one for one in SCOPES if one in asked)
