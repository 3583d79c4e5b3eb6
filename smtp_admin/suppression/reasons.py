"""The table of reasons for which an address gets no mail, and what each means for which mail."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from smtp_admin.errors import InvalidInput
from smtp_admin.translation import gettext

Reason = Literal["bounce", "soft_bounces", "complaint", "unsubscribe", "manual"]
#: What may be suppressed: all mail, every kind of notice, or one kind by the name of its type.
ALL, NOTICES = "all", "notices"
#: The code of a delivery that was kept back.
CODE = "suppressed"
#: The address does not work; of the others its owner, or an admin, wants no such mail.
BOUNCED: frozenset[Reason] = frozenset({"bounce", "soft_bounces"})


@dataclass(frozen=True, slots=True)
class ReasonWords:
    """One reason.

    Attributes:
        label: what lists call it.
        category: which mail it stops by itself; empty where a person chooses.
        sentence: why a mail was not sent.
        own: the recipient's own doing, who may take it back; all else is an admin's affair.
    """

    label: str
    category: str
    sentence: str
    own: bool = False


REASONS: Mapping[Reason, ReasonWords] = {
    "bounce": ReasonWords(
        gettext("Bounced"),
        ALL,
        gettext("Mail to this address was refused for good, so nothing more is sent to it."),
    ),
    "soft_bounces": ReasonWords(
        gettext("Bounced again and again"),
        ALL,
        gettext("Five mails in a row to this address came back, so nothing more is sent to it."),
    ),
    "complaint": ReasonWords(
        gettext("Marked as spam"),
        NOTICES,
        gettext("The recipient marked such mail as spam, so no more notices are sent."),
        own=True,
    ),
    "unsubscribe": ReasonWords(
        gettext("Unsubscribed"),
        "",
        gettext("The recipient does not want mail of this kind."),
        own=True,
    ),
    "manual": ReasonWords(
        gettext("Added by hand"),
        "",
        gettext("An admin keeps this address from getting such mail."),
    ),
}
#: What recipients may take back.
OWN: frozenset[str] = frozenset(name for name, one in REASONS.items() if one.own)


def strength(reason: str) -> tuple[bool, int]:
    """A key to sort reasons by: first those that a recipient cannot lift."""
    return reason in OWN, _ORDER.get(reason, len(_ORDER))


_ORDER = {str(name): number for number, name in enumerate(REASONS)}


def clean_reason(text: str) -> Reason:
    """One of the reasons.

    Raises:
        InvalidInput: it is none.
    """
    found = text.strip()
    for name in REASONS:
        if name == found:
            return name
    raise InvalidInput(fields={"reason": [unknown_reason(found)]})


def unknown_reason(text: str) -> str:
    """That there is no such reason, and which there are."""
    return gettext(
        "there is no reason %(reason)s; there are %(names)s.",
        reason=repr(text[:40]),
        names=", ".join(REASONS),
    )


def label_of(reason: str) -> str:
    """What lists call a reason."""
    return next((one.label for name, one in REASONS.items() if name == reason), reason)


def sentence_of(reason: str) -> str:
    """Why a mail was kept back."""
    known: Mapping[str, ReasonWords] = REASONS  # type: ignore[assignment]  # keys are text
    found = known.get(reason)
    return found.sentence if found is not None else gettext("This address is suppressed.")


def covers(category: str, type_name: str, *, notice: bool) -> bool:
    """Whether a suppression of *category* stops a mail of this type.

    Mail that must be delivered, such as a password reset, is stopped by nothing but ``all``.
    """
    return category == ALL or (notice and category in {NOTICES, type_name})
