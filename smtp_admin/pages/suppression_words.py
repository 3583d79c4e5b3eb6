"""What the pages of suppressions say, and what the audit log keeps of it."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select

from smtp_admin.database import session
from smtp_admin.mail.service import sent_types
from smtp_admin.suppression.models import Suppression
from smtp_admin.suppression.reasons import ALL, NOTICES, label_of
from smtp_admin.translation import as_shown, gettext, joined, ngettext

#: Letters that one line of the audit log holds.
_LINE = 500


def categories() -> list[tuple[str, str]]:
    """What can be suppressed by hand."""
    notices = [(one.name, one.label) for one in sent_types() if one.notice]
    notices.sort(key=lambda one: as_shown(one[1]).casefold())
    return [(ALL, gettext("All mail")), (NOTICES, gettext("All notices")), *notices]


def category_words(category: str) -> str:
    """What people call a category."""
    return dict(categories()).get(category, category)


def kept_words(count: int) -> str:
    """How much waiting mail was kept back."""
    return ngettext(
        "%(number)s waiting mail was kept back.", "%(number)s waiting mails were kept back.", count
    )


def lifted_words(free: int, left: int) -> Iterator[str]:
    """How many addresses get mail again, and how many something else stands against."""
    if free:
        yield ngettext(
            "%(number)s address gets mail again. What was kept back is not sent automatically.",
            "%(number)s addresses get mail again. What was kept back is not sent automatically.",
            free,
        )
    if left:
        yield ngettext(
            "Removed, but %(number)s address is still on the list for another reason.",
            "Removed, but %(number)s addresses are still on the list for another reason.",
            left,
        )


def left_of(owner: str, rows: Sequence[Suppression]) -> dict[str, str]:
    """Hash of an address → what would still stand against it, in words."""
    others = select(Suppression).where(
        Suppression.partner_id == owner,
        Suppression.address_hash.in_({one.address_hash for one in rows}),
        Suppression.id.not_in([one.id for one in rows]),
    )
    found: dict[str, list[str]] = {}
    for one in session().scalars(others.order_by(Suppression.id)):
        words = joined((category_words(one.category), label_of(one.reason)), ", ")
        found.setdefault(one.address_hash, []).append(words)
    return {hashed: joined(words, "; ") for hashed, words in found.items()}


def in_lines(named: list[str]) -> list[str]:
    """All that is *named*, in as few lines as the audit log has room for.

    A line for each would soon be more than a person may change at a time.
    """
    lines = [""]
    for one in named:
        longer = f"{lines[-1]}, {one}" if lines[-1] else one
        if len(longer) <= _LINE:
            lines[-1] = longer
        else:
            lines.append(one)
    return lines
