"""Templates that partners have written: found, saved, put back, with every revision kept."""

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smtp_admin.audit.models import Audit
from smtp_admin.audit.service import record, record_change
from smtp_admin.database import SYSTEM, changed
from smtp_admin.errors import Conflict, InvalidInput, NotFound, TemplateError
from smtp_admin.host import Actor
from smtp_admin.installation import Installation, Kept, installation
from smtp_admin.mail.template_models import EmailTemplate, EmailTemplateRevision
from smtp_admin.mail.template_reasons import recalled
from smtp_admin.mail.wording import Texts
from smtp_admin.senders.lookups import forget, once
from smtp_admin.translation import gettext

log = logging.getLogger("smtp_admin.templates")
What = Literal["saved", "reset"]
FAILED = "template.failed"
_LONGEST_SUBJECT = 1000
#: A template that fails is written down once in so many seconds by each process.
_QUIET_SECONDS = 600.0
_NOBODY = Actor(id="", email="")


@dataclass(frozen=True, slots=True)
class Saved:
    """A template of somebody's own, as it applies."""

    partner_id: str
    type_name: str
    language: str
    revision: int
    texts: Texts

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Which it is, with its revision."""
        return self.partner_id, self.type_name, self.language, self.revision

    def __str__(self) -> str:
        return f"{self.type_name}, {self.language}, revision {self.revision}"


@dataclass(frozen=True, slots=True)
class Revision:
    """One that applies or applied.

    Attributes:
        texts: empty where the shipped one applies again.
    """

    number: int
    change: str
    saved_at: datetime
    saved_by: str
    texts: Texts


def find(session: Session, partner_id: str, type_name: str) -> Sequence[Saved]:
    """The templates of this type that are the partner's own or the system's."""

    def look() -> Sequence[Saved]:
        owners = [partner_id] if partner_id == SYSTEM else [partner_id, SYSTEM]
        found = (
            select(
                EmailTemplate.partner_id,
                EmailTemplate.language,
                EmailTemplate.revision,
                EmailTemplateRevision.subject,
                EmailTemplateRevision.text,
                EmailTemplateRevision.html,
            )
            .join(
                EmailTemplateRevision,
                (EmailTemplateRevision.template_id == EmailTemplate.id)
                & (EmailTemplateRevision.number == EmailTemplate.revision),
            )
            .where(
                EmailTemplate.type_name == type_name,
                EmailTemplate.partner_id.in_(owners),
                EmailTemplate.active,
            )
        )
        with session.no_autoflush:
            rows = session.execute(found).all()
        return [
            Saved(owner, type_name, language, revision, Texts(*texts))
            for owner, language, revision, *texts in rows
        ]

    return once(session, ("templates", partner_id, type_name), look)


def customized(session: Session, partner_id: str) -> dict[str, list[str]]:
    """Type → the languages in which *partner_id* has a template of its own."""
    found = (
        select(EmailTemplate.type_name, EmailTemplate.language)
        .where(EmailTemplate.partner_id == partner_id, EmailTemplate.active)
        .order_by(EmailTemplate.language)
    )
    languages: dict[str, list[str]] = {}
    for type_name, language in session.execute(found):
        languages.setdefault(type_name, []).append(language)
    return languages


def how_many(session: Session, partner_ids: Collection[str]) -> dict[str, int]:
    """How many templates of their own each of these has; who has none is left out."""
    found = (
        select(EmailTemplate.partner_id, func.count())
        .where(EmailTemplate.partner_id.in_(partner_ids), EmailTemplate.active)
        .group_by(EmailTemplate.partner_id)
    )
    return {row.partner_id: row[1] for row in session.execute(found)}


def revision_of(session: Session, partner_id: str, type_name: str, language: str) -> int:
    """The number of the newest revision, also of one that was put back; 0 for none."""
    row = _row(session, partner_id, type_name, language)
    return row[1] if row else 0


def history(session: Session, partner_id: str, type_name: str, language: str) -> Sequence[Revision]:
    """All revisions, the newest first."""
    row = _row(session, partner_id, type_name, language)
    if row is None:
        return []
    found = session.scalars(
        select(EmailTemplateRevision)
        .where(EmailTemplateRevision.template_id == row[0])
        .order_by(EmailTemplateRevision.number.desc())
        .limit(100)
    )
    return [
        Revision(
            one.number, one.what, one.saved_at, one.saved_by, Texts(one.subject, one.text, one.html)
        )
        for one in found
    ]


def write(
    session: Session,
    key: tuple[str, str, str],
    texts: Texts | None,
    *,
    expected_revision: int,
    actor: Actor,
    what: What = "saved",
) -> int:
    """Make *texts* what applies, ``None`` for the shipped ones; the caller commits.

    Args:
        key: partner, type and language.
        expected_revision: what the person saw while editing.

    Returns:
        The number of the new revision.

    Raises:
        InvalidInput: the subject is too long.
        Conflict: somebody else saved in the meantime; nothing was changed.
    """
    partner_id, type_name, language = key
    if texts and len(texts.subject) > _LONGEST_SUBJECT:
        raise InvalidInput(
            fields={"subject": [gettext("At most %(most)s characters.", most=_LONGEST_SUBJECT)]}
        )
    number = expected_revision + 1
    row = _row(session, *key)
    if row is None and expected_revision == 0:
        made = EmailTemplate(
            partner_id=partner_id,
            type_name=type_name,
            language=language,
            revision=number,
            active=texts is not None,
        )
        session.add(made)
        try:
            session.flush()
        except IntegrityError as error:
            session.rollback()
            raise _TOO_LATE from error
        template_id = made.id
    else:
        template_id = row[0] if row else 0
        moved = (
            update(EmailTemplate)
            .where(EmailTemplate.id == template_id, EmailTemplate.revision == expected_revision)
            .values(revision=number, active=texts is not None)
        )
        if changed(session, moved) != 1:
            session.rollback()
            raise _TOO_LATE
    kept = texts or Texts("", "", "")
    session.add(
        EmailTemplateRevision(
            template_id=template_id,
            number=number,
            subject=kept.subject,
            text=kept.text,
            html=kept.html,
            what=what,
            saved_by=(actor.name or actor.email)[:320],
        )
    )
    detail = f"{type_name}, {language}, revision {number}"
    record_change(session, actor, partner_id, f"template.{what}", detail)
    session.flush()
    forget(session)
    return number


def texts_of(session: Session, key: tuple[str, str, str], number: int) -> Texts:
    """The texts of one revision.

    Raises:
        NotFound: there is no such revision, or the shipped template applied then.
    """
    for one in history(session, *key):
        if one.number == number and one.change != "reset":
            return one.texts
    raise NotFound


_TOO_LATE = Conflict(
    gettext("Someone else saved this template while you were editing it. Nothing was overwritten."),
    hint=gettext("Check the saved one. Save again if yours is correct."),
)


def note_failure(session: Session | None, saved: Saved, error: TemplateError) -> None:
    """Write down that mail went out with the shipped template instead of this one.

    It goes into the audit log of the partner with the caller's own transaction: a mark on the
    template's row would make everybody wait who sends such mail.
    """
    seen, moment = _FAILURES.of(installation()), time.monotonic()
    if moment - seen.get(saved.key, -_QUIET_SECONDS) < _QUIET_SECONDS:
        return
    seen[saved.key] = moment
    log.error("template of partner %r (%s) failed, the shipped one was used: %s",
              saved.partner_id, saved, error.message)  # fmt: skip
    if session is not None:
        record(session, _NOBODY, saved.partner_id, FAILED, f"{saved}: {error.message}")


def _make(_here: Installation) -> dict[tuple[str, str, str, int], float]:
    return {}


_FAILURES = Kept[dict[tuple[str, str, str, int], float]](_make)


def failures(session: Session, partner_id: str) -> dict[str, str]:
    """Template as text → why it failed last, for those that still apply."""
    found = (
        select(Audit.detail)
        .where(Audit.partner_id == partner_id, Audit.action == FAILED)
        .order_by(Audit.at.desc())
        .limit(100)
    )
    told: dict[str, str] = {}
    for detail in session.scalars(found):
        which, _, why = detail.partition(": ")
        told.setdefault(which, recalled(why))
    return told


def _row(
    session: Session, partner_id: str, type_name: str, language: str
) -> tuple[int, int] | None:
    """Its number and its newest revision."""
    found = session.execute(
        select(EmailTemplate.id, EmailTemplate.revision).where(
            EmailTemplate.partner_id == partner_id,
            EmailTemplate.type_name == type_name,
            EmailTemplate.language == language,
        )
    ).first()
    return (found.id, found.revision) if found else None
