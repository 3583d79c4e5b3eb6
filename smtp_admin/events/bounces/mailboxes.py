"""The bounce mailbox of a sender: saved, its password sealed for where it may go, and ended."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from smtp_admin.audit.service import record_change
from smtp_admin.database import changed, database_now
from smtp_admin.errors import Conflict, InvalidInput
from smtp_admin.events.bounces.imap import PORTS, SECURITIES, Account, Security
from smtp_admin.events.bounces.signing_in import servers_for
from smtp_admin.events.models import BounceMailbox
from smtp_admin.events.of_sender import of_sender
from smtp_admin.host import Actor
from smtp_admin.installation import installation
from smtp_admin.senders.belongings import Belongings
from smtp_admin.senders.models import Sender
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.senders.sealed_texts import SealedText
from smtp_admin.smtp.hostname import clean_host
from smtp_admin.translation import gettext, listed, said_by
from smtp_admin.transports.smtp.fields import clean_password, clean_port, clean_username

_LONGEST_FOLDER = 200
#: Forgotten with their sender.
MAILBOXES = Belongings(BounceMailbox.id, BounceMailbox.sender_id)
#: How the form names the ways to open a mailbox: a password of its own, or the sender's OAuth2.
BY_PASSWORD, BY_SENDER = "password", "sender"
#: What a form sends, and a page calls.
LABELS: Mapping[str, str] = {
    "host": gettext("IMAP server"),
    "port": gettext("Port"),
    "security": gettext("Security"),
    "sign_in": gettext("Sign in by"),
    "username": gettext("Login"),
    "password": gettext("Password"),
    "folder": gettext("Folder"),
}


@dataclass(frozen=True, slots=True)
class Due:
    """A mailbox that may be read now."""

    id: int
    sender_id: int
    partner_id: str


def mailbox_of(
    session: Session, sender_id: int, *, to_change: bool = False
) -> BounceMailbox | None:
    """The mailbox of this sender, if it has one; *to_change* as :func:`of_sender` says."""
    return of_sender(session, BounceMailbox, sender_id, to_change=to_change)


def account_of(mailbox: BounceMailbox, partner_id: str) -> Account:
    """How to open it.

    Raises:
        SecretError: its password cannot be opened.
    """
    account = _account(mailbox, "")
    sealed = mailbox.password
    if not sealed:
        return account  # the sender's own sign-in opens it
    password = installation().keyring.open(sealed, _binding(partner_id, mailbox.sender_id, account))
    return _account(mailbox, password)


def entered(session: Session, sender: ResolvedSender, texts: Mapping[str, str]) -> Account:
    """What somebody entered; the saved password where none was, if the rest is as saved.

    Raises:
        InvalidInput: with every field that needs another look.
        SecretError: the saved password cannot be opened.
    """
    new, wrong = _cleaned(texts)
    by_sender = texts.get("sign_in", "") == BY_SENDER
    if by_sender:
        wrong |= _refused_servers(sender, new.host, is_host_wrong="host" in wrong)
    if wrong:
        raise InvalidInput(fields=wrong)
    if by_sender:
        return replace(new, password="")
    if new.password:
        return new
    saved = mailbox_of(session, sender.sender_id) if sender.sender_id else None
    known = _account(saved, "") if saved is not None and saved.password else None
    if saved is None or known is None or _destination(known) != _destination(new):
        raise InvalidInput(fields={"password": [gettext("Enter the password.")]})
    return replace(new, password=account_of(saved, sender.partner_id).password)


def _cleaned(texts: Mapping[str, str]) -> tuple[Account, dict[str, list[str]]]:
    """*texts* as an account, as far as they are one, and what is wrong with each field."""
    wrong: dict[str, list[str]] = {}
    security = texts.get("security", "").strip().lower() or "ssl"
    if security not in SECURITIES:
        wrong["security"] = [gettext("Choose one of the two.")]
        security = "ssl"
    host = username = password = ""
    port = PORTS[security]
    for name in ("host", "port", "username", "password"):
        text = texts.get(name, "")
        try:
            if name == "host":
                host = clean_host(text, "imap.example.com")
            elif name == "port" and text.strip():
                port = int(clean_port(text) or 0)
            elif name == "username":
                username = clean_username(text)
            elif name == "password":
                password = clean_password(text)
        except ValueError as error:
            wrong[name] = [said_by(error)]
    if not username and "username" not in wrong:
        wrong["username"] = [gettext("Enter the login, often the full e-mail address.")]
    folder = " ".join(texts.get("folder", "").split()) or "INBOX"
    if len(folder) > _LONGEST_FOLDER or not folder.isprintable():
        wrong["folder"] = [gettext("This cannot be the name of a folder.")]
    kind: Security = "tls" if security == "tls" else "ssl"
    return Account(host, port, kind, username, password, folder), wrong


def _refused_servers(
    sender: ResolvedSender, host: str, *, is_host_wrong: bool
) -> dict[str, list[str]]:
    """What is wrong with reading a mailbox at *host* by the sender's own sign-in, by field."""
    allowed = servers_for(sender.values)
    if not allowed:
        return {"sign_in": [gettext("This sender does not sign in by OAuth2.")]}
    if is_host_wrong or host in allowed:
        return {}
    words = gettext(
        "The sender's sign-in only opens mailboxes at %(servers)s.", servers=listed(allowed)
    )
    return {"host": [words]}


def save(session: Session, sender: ResolvedSender, account: Account, actor: Actor) -> None:
    """Give a sender this mailbox, or change it; the caller commits.

    Raises:
        Conflict: nothing is saved of the sender yet, or it was deleted.
        KeyMissing: nothing can be encrypted here.
    """
    if not sender.sender_id or sender.deleted:
        raise Conflict(gettext("Save the settings of this sender first."))
    row = mailbox_of(session, sender.sender_id, to_change=True)
    if row is None:
        row = BounceMailbox(sender_id=sender.sender_id)
        session.add(row)
    elif (row.host, row.username, row.folder) != (account.host, account.username, account.folder):
        row.validity = row.last_uid = 0  # other mails
    row.host, row.port, row.security = account.host, account.port, account.security
    row.username, row.folder = account.username, account.folder
    binding = _binding(sender.partner_id, sender.sender_id, account)
    sealed = installation().keyring.seal(account.password, binding) if account.password else ""
    row.password = sealed
    row.created_by = (actor.email or actor.name)[:320]
    row.next_read_at, row.lease = database_now(session), ""
    row.failures, row.failed_step, row.failed_code, row.failed_words = 0, "", "", ""
    detail = f"{sender.name}: {account.username}, {account.host}"
    record_change(session, actor, sender.partner_id, "bounces.saved", detail)
    session.flush()


def turn_off(session: Session, sender: ResolvedSender, row: BounceMailbox, actor: Actor) -> None:
    """Read the mailbox no more; the caller commits.

    Raises:
        Conflict: somebody else turned it off.
    """
    if not changed(session, delete(BounceMailbox).where(BounceMailbox.id == row.id)):
        raise Conflict
    session.expunge(row)
    record_change(session, actor, sender.partner_id, "bounces.removed", sender.name)
    session.flush()


def sealed_in_mailboxes(session: Session, *, locked: bool = False) -> Iterator[SealedText]:
    """Their passwords, for those who look at all secrets and seal them anew."""
    found = select(BounceMailbox, Sender).join(Sender, Sender.id == BounceMailbox.sender_id)
    if locked:
        found = found.with_for_update(of=BounceMailbox)
    for row, sender in session.execute(found.order_by(BounceMailbox.id)).all():
        binding = _binding(sender.partner_id, sender.id, _account(row, ""))
        yield SealedText(sender, row, "password", binding, "bounces")


def _account(row: BounceMailbox, password: str) -> Account:
    security: Security = "tls" if row.security == "tls" else "ssl"
    return Account(row.host, row.port, security, row.username, password, row.folder)


def _destination(account: Account) -> list[object]:
    return [account.host, account.port, account.security, account.username]


def _binding(partner_id: str, sender_id: int, account: Account) -> list[object]:
    return ["bounce mailbox", partner_id, sender_id, *_destination(account)]
