"""The revisions of a sender: who saved what when, and how any two of them differ.

Of secrets it only says that one was set, changed or removed; nothing here opens one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.senders.fields import all_fields, fields_of
from smtp_admin.senders.models import RevisionTest, Sender, SenderRevision
from smtp_admin.senders.resolve import DEFAULT_KEY, values_of
from smtp_admin.senders.secrets import read_secrets
from smtp_admin.translation import gettext
from smtp_admin.transports.fields import Field

#: Revisions on one page.
AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs, in words for people.

    Attributes:
        old: ``None`` in a first revision, and of a secret.
        new: of a secret: ``set``, ``changed`` or ``removed``.
    """

    field: str
    label: str
    old: str | None
    new: str

    def as_json(self) -> dict[str, str | None]:
        """For a script."""
        return {"field": self.field, "old": self.old, "new": self.new}


@dataclass(frozen=True, slots=True)
class Entry:
    """One revision, what it changed, and what the last test of it from each place said."""

    revision: SenderRevision
    current: bool
    changes: tuple[Change, ...]
    tests: tuple[RevisionTest, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """For a script."""
        return revision_json(self.revision) | {
            "current": self.current,
            "changes": [one.as_json() for one in self.changes],
            "tests": {one.place: _test_json(one) for one in self.tests},
        }


@dataclass(frozen=True, slots=True)
class Page:
    """Some revisions, newest first; ``older`` is where the next page begins, if there is one."""

    entries: tuple[Entry, ...]
    older: int | None


def history(
    session: Session, partner_id: str, before: int | None = None, key: str = DEFAULT_KEY
) -> Page:
    """The newest revisions of a sender of *partner_id*, or those before a number."""
    row = session.scalar(select(Sender).where(Sender.partner_id == partner_id, Sender.key == key))
    if row is None:
        return Page((), None)
    wanted = select(SenderRevision).where(SenderRevision.sender_id == row.id)
    if before is not None:
        wanted = wanted.where(SenderRevision.number < before)
    # One more, with which the last one is compared.
    found = list(session.scalars(wanted.order_by(SenderRevision.number.desc()).limit(AT_ONCE + 1)))
    shown = found[:AT_ONCE]
    tests = tests_of(session, shown)
    entries = tuple(
        Entry(
            one,
            one.number == row.current_revision,
            changes(found[place + 1] if place + 1 < len(found) else None, one),
            tests.get(one.id, ()),
        )
        for place, one in enumerate(shown)
    )
    return Page(entries, shown[-1].number if len(found) > AT_ONCE else None)


def find_revision(
    session: Session, partner_id: str, number: int, key: str = DEFAULT_KEY
) -> SenderRevision | None:
    """The revision of a sender of *partner_id* with this number, or ``None``."""
    return session.scalar(
        select(SenderRevision)
        .join(Sender, Sender.id == SenderRevision.sender_id)
        .where(Sender.partner_id == partner_id, Sender.key == key, SenderRevision.number == number)
    )


def tests_of(
    session: Session, revisions: list[SenderRevision]
) -> dict[int, tuple[RevisionTest, ...]]:
    """Revision id → the last test of it from each place, the web process first."""
    found: dict[int, tuple[RevisionTest, ...]] = {}
    ids = [one.id for one in revisions]
    query = select(RevisionTest).where(RevisionTest.revision_id.in_(ids))
    for one in session.scalars(query.order_by(RevisionTest.place)):
        found[one.revision_id] = (*found.get(one.revision_id, ()), one)
    return found


def changes(old: SenderRevision | None, new: SenderRevision) -> tuple[Change, ...]:
    """What is different in *new*; against nothing, everything that it says."""
    return tuple(_differences(old, new))


def _differences(old: SenderRevision | None, new: SenderRevision) -> Iterator[Change]:
    before, after = _all_values(old), _all_values(new)
    for one in _fields_of_both(old, new):
        if one.secret:
            what = _secret_change(one.name, old, new)
            if what:
                yield Change(one.name, one.title, None, what)
            continue
        value = after.get(one.name, _NONE)
        was = before.get(one.name, _NONE)
        if old is None:
            if value not in _NOTHING and one.name != "driver":
                yield Change(one.name, one.title, None, one.words(value))
        elif was != value:
            yield Change(one.name, one.title, _words(one, was), _words(one, value))


#: Stands for a field that a revision's driver does not have.
_NONE: Any = object()
_NOTHING: tuple[Any, ...] = ("", None, (), _NONE)


def _words(one: Field, value: Any) -> str:
    return gettext("not there") if value is _NONE else one.words(value)


def _fields_of_both(old: SenderRevision | None, new: SenderRevision) -> list[Field]:
    """The fields of two revisions in the order of the page, whatever their drivers."""
    found: dict[str, Field] = {}
    for revision in (new, old):
        if revision is None:
            continue
        try:
            fields = fields_of(revision.driver)
        except LookupError:  # a host's that is not there any more
            fields = all_fields()
        found |= {one.name: one for one in fields if one.name not in found}
    return list(found.values())


def _all_values(revision: SenderRevision | None) -> Mapping[str, Any]:
    if revision is None:
        return {}
    try:
        return values_of(revision)
    except LookupError:
        return {"driver": revision.driver}


def _secret_change(name: str, old: SenderRevision | None, new: SenderRevision) -> str:
    """What happened to a secret.

    The sealed texts say nothing: the same password is sealed anew with each save. When it was
    entered does.
    """
    had = None if old is None else read_secrets(old.secrets).get(name)
    has = read_secrets(new.secrets).get(name)
    if had is None:
        return "set" if has else ""
    if has is None:
        return "removed"
    return "" if had.set_at == has.set_at else "changed"


def revision_json(revision: SenderRevision) -> dict[str, Any]:
    """Who saved a revision, and when."""
    return {
        "number": revision.number,
        "saved_at": f"{revision.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "saved_by": revision.created_by,
        "restores": revision.restores,
    }


def _test_json(test: RevisionTest) -> dict[str, Any]:
    return {
        "ok": test.ok,
        "code": test.code or None,
        "message": test.message,
        "reply": test.reply or None,
        "at": f"{test.at:%Y-%m-%dT%H:%M:%SZ}",
        "by": test.tested_by,
    }
