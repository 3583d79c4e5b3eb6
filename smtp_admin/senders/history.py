"""The revisions of a sender: who saved what when, and how any two of them differ.

Of passwords it only says that one was set, changed or removed; nothing here opens one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.senders.forms import SenderForm
from smtp_admin.senders.models import RevisionTest, Sender, SenderRevision
from smtp_admin.senders.values import SECURITY_LABELS, SenderValues
from smtp_admin.smtp.hostname import display_host

#: Revisions on one page.
AT_ONCE = 50
PASSWORD = "password"  # noqa: S105 - the name of the field
_LIMITS = {"max_per_hour", "max_per_day"}
#: For the fields whose label on the form is a sentence.
_SHORT = {"fallback": "Fallback to the system's sender", "verify_tls": "Certificate is checked"}
#: The fields in the order of the form; the password after the login that it belongs to.
ORDER: tuple[str, ...] = (
    "driver", "host", "port", "security", "verify_tls", "username", PASSWORD, "from_email",
    "from_name", "reply_to", "max_per_hour", "max_per_day", "max_connections", "fallback",
)  # fmt: skip
assert {*ORDER} == {PASSWORD, *(one.name for one in fields(SenderValues))}  # noqa: S101


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs, in words for people.

    Attributes:
        old: ``None`` in a first revision, and of a password.
        new: of a password: ``set``, ``changed`` or ``removed``.
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


def history(session: Session, partner_id: str, before: int | None = None) -> Page:
    """The newest revisions of *partner_id*, or those before a number."""
    row = session.scalar(select(Sender).where(Sender.partner_id == partner_id))
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


def find_revision(session: Session, partner_id: str, number: int) -> SenderRevision | None:
    """The revision of *partner_id* with this number, or ``None``."""
    return session.scalar(
        select(SenderRevision)
        .join(Sender, Sender.id == SenderRevision.sender_id)
        .where(Sender.partner_id == partner_id, SenderRevision.number == number)
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
    labels = SenderForm()
    for name in ORDER:
        label = _SHORT.get(name) or labels[name].label.text
        if name == PASSWORD:
            what = _password_change(old, new)
            if what:
                yield Change(name, label, None, what)
            continue
        after = getattr(new, name)
        if old is None:
            if after not in ("", None) and name != "driver":
                yield Change(name, label, None, shown(name, after))
            continue
        before = getattr(old, name)
        if before != after:
            yield Change(name, label, shown(name, before), shown(name, after))


def _password_change(old: SenderRevision | None, new: SenderRevision) -> str:
    """What happened to the password.

    The sealed texts say nothing: the same password is sealed anew with each save. When it was
    entered does.
    """
    had, has = old is not None and old.password_sealed is not None, new.password_sealed is not None
    if not had:
        return "set" if has else ""
    if not has:
        return "removed"
    return "" if old is not None and old.password_set_at == new.password_set_at else "changed"


def shown(name: str, value: Any) -> str:
    """A field's value as people read it."""
    if name == "security":
        return SECURITY_LABELS.get(value, str(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in _LIMITS:
        return "no limit" if value is None else f"{value:,}"
    if name == "host":
        return display_host(value)
    return str(value) or "empty"


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
