"""What the database and the environment know that explains a refusal: by name, for conditions."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from smtp_admin.errors import SMTPAdminError
from smtp_admin.installation import installation
from smtp_admin.senders.history import tests_of
from smtp_admin.senders.models import SenderRevision
from smtp_admin.senders.resolve import ResolvedSender, overrides_for, values_of
from smtp_admin.senders.secrets import read_secrets
from smtp_admin.senders.values import SenderValues

#: Which causes look back further than this is not worth the reading.
_REVISIONS = 20
_SAYS_FALSE, _SAYS_MORE = "SMTP_SECURE", "SMTP_SECURITY"
_ENCRYPTION = ("tls_not_offered", "tls_failed", "certificate_error")


def background(
    session: Session,
    sender: ResolvedSender,
    code: str = "",
    *,
    values: SenderValues | None = None,
    secrets: Iterable[str] | None = None,
    typed: bool = False,
) -> dict[str, str]:
    """What is known of *sender* that may explain *code*; all of it where no code is given.

    Args:
        values: as they were tried, if they are not those that are saved.
        secrets: that they were tried with; the stored ones are looked at where none are given.
        typed: the password was entered just now, so it may differ from the one that is saved.
    """
    tried = values or sender.values
    found: dict[str, str] = {}
    if code in ("", *_ENCRYPTION):
        found |= _variable(sender, tried)
    if code in ("", "auth_failed") and tried.username:
        revision = _worked_before(session, sender, tried, typed=typed)
        if revision:
            found["revision"] = str(revision)
        opened = _opened(sender) if secrets is None else secrets
        if not all(one.isascii() for one in opened):
            found["odd_letters"] = "yes"
    return found


def _variable(sender: ResolvedSender, tried: SenderValues) -> dict[str, str]:
    """Which variable says “false” for the encryption, and the one that could say “none”."""
    name = overrides_for(sender.partner_id, sender.key).variables.get("security", "")
    plain = name.removesuffix("_FILE")
    if tried.security != "tls" or not plain.endswith(_SAYS_FALSE):
        return {}
    return {"variable": name, "none_variable": plain.removesuffix(_SAYS_FALSE) + _SAYS_MORE}


def _opened(sender: ResolvedSender) -> list[str]:
    """The password that is stored, if it can be opened: only whether its letters are plain."""
    try:
        return [*sender.secrets_for(sender.values, installation().keyring).values()]
    except SMTPAdminError:
        return []


def _worked_before(
    session: Session, sender: ResolvedSender, tried: SenderValues, *, typed: bool
) -> int:
    """The newest revision whose login worked, to the same place with another password; or 0."""
    if not sender.revision or "password" in sender.locked:
        return 0
    found = list(
        session.scalars(
            select(SenderRevision)
            .where(
                SenderRevision.sender_id == sender.sender_id,
                SenderRevision.number <= sender.revision,
            )
            .order_by(SenderRevision.number.desc())
            .limit(_REVISIONS)
        )
    )
    tests = tests_of(session, found)
    accepted = sender.last_accepted_at
    # The revision that was in use when a server last took a mail.
    used = next((one for one in found if accepted and one.created_at <= accepted), None)
    now_set_at = None if typed else sender.secret_set_at("password")
    for one in found:
        if one.number == sender.revision and not typed:
            continue
        set_at = _set_at(one)
        if set_at is None or set_at == now_set_at or not _leads_alike(one, tried):
            continue
        if one is used or any(test.ok for test in tests.get(one.id, ())):
            return one.number
    return 0


def _set_at(one: SenderRevision) -> object:
    password = read_secrets(one.secrets).get("password")
    return None if password is None else (password.set_at or one.number)


def _leads_alike(one: SenderRevision, tried: SenderValues) -> bool:
    try:
        return values_of(one).destination == tried.destination
    except LookupError:
        return False
