"""The settings that apply to a mail, each as a row with where it comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from smtp_admin.database import SYSTEM
from smtp_admin.senders.fields import DRIVER, common_fields
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext
from smtp_admin.transports.fields import Field

Source = Literal["environment", "partner", "system", "type", "app", "default"]
_EMPTY: tuple[object, ...] = ("", None, ())


@dataclass(frozen=True, slots=True)
class Row:
    """One value that applies.

    Attributes:
        source: who says so: a variable of the environment, the partner's or the system's saved
            settings, the e-mail type, the app that this lives in, or nobody, so the default.
        detail: the variable's name, the revision, or why it is so.
    """

    name: str
    label: str
    value: str
    source: Source
    detail: str = ""

    def as_json(self) -> dict[str, str]:
        """For a script."""
        return {
            "name": self.name,
            "label": self.label,
            "value": self.value,
            "source": self.source,
            "detail": self.detail,
        }


def whose(sender: ResolvedSender) -> Source:
    """Whose saved settings those of *sender* are."""
    return "system" if sender.partner_id == SYSTEM else "partner"


def revision_of(sender: ResolvedSender) -> str:
    """Which of its revisions applies, in words."""
    return (
        gettext("revision %(revision)s", revision=sender.revision)
        if sender.revision
        else gettext("nothing was saved")
    )


def setting_rows(sender: ResolvedSender, owner_name: str, *, sensitive: bool) -> Iterator[Row]:
    """Every setting of *sender* that a mail depends on, in the order of the table of fields.

    Args:
        sensitive: whether the mail is of a type that no archive gets.
    """
    values = sender.values
    if sender.values.complete:
        for one in (DRIVER, *values.kind.fields):
            told = values.get(one.name) not in _EMPTY
            if not one.secret and (told or one.place == "main"):
                yield _row(
                    sender, one, one.words(values[one.name]) if told else "", gettext("none")
                )
    unset = {
        "from_email": (gettext("none yet"), gettext("nothing was saved")),
        "from_name": (owner_name, _name_of(sender)),
        "reply_to": (values.from_email or gettext("none yet"), _ANSWERS),
        "envelope_from": (values.from_email or gettext("none yet"), gettext("the from address")),
        "headers": (gettext("none"), ""),
        "archive_to": (gettext("nobody"), ""),
    }
    for one in common_fields():
        if one.name == "fallbacks":
            continue  # they have rows of their own, with who that is and whether they can send
        if one.name == "archive_to" and sensitive:
            yield Row(
                one.name,
                one.label,
                gettext("nobody"),
                "type",
                gettext("sensitive mail is never archived"),
            )
            continue
        value = values[one.name]
        words = "" if value in _EMPTY else one.words(value)
        if one.name in {"max_per_hour", "max_per_day"} and words:
            words += gettext(", a tenth of it kept for urgent mail")
        yield _row(sender, one, words, *unset.get(one.name, (one.words(one.default), "")))


def _name_of(sender: ResolvedSender) -> str:
    return (
        gettext("the application's name")
        if sender.partner_id == SYSTEM
        else gettext("the partner's name")
    )


_ANSWERS = gettext("the from address, unless the mail sets one")


def _row(sender: ResolvedSender, one: Field, words: Any, unset: str, why: str = "") -> Row:
    variable = sender.locked.get(one.name)
    if not words:
        return Row(one.name, one.title, unset, "default", why)
    if variable is not None:
        return Row(one.name, one.title, words, "environment", variable)
    if not sender.revision:
        return Row(one.name, one.title, words, "default")
    return Row(one.name, one.title, words, whose(sender), revision_of(sender))
