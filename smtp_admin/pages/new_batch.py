"""``…/batches/new``: mail of a type to everybody in a CSV file, looked at before it is queued."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from smtp_admin import web
from smtp_admin.audit.service import record_change
from smtp_admin.database import session
from smtp_admin.delivery.batch_plan import Plan, plan
from smtp_admin.delivery.models import BULK
from smtp_admin.delivery.outbox import known_id
from smtp_admin.errors import InvalidInput, MessageError, RequestError, SMTPAdminError
from smtp_admin.identifiers import storable
from smtp_admin.mail import batches
from smtp_admin.mail.bad_lines import BadLines, Complaint, numbers_of, shown
from smtp_admin.mail.compose import Order, message_from_type, sender_for
from smtp_admin.mail.left_out import LeftOut, left_out_of
from smtp_admin.mail.recipient_file import Checked, RecipientFile, columns_of
from smtp_admin.mail.service import registry, voice_for
from smtp_admin.mail.types import OURS, EmailType
from smtp_admin.pages import lists
from smtp_admin.pages.mail_frame import framed
from smtp_admin.pages.mail_words import seconds_words
from smtp_admin.pages.sender_frame import frame, sender_name
from smtp_admin.pages.sender_routes import LARGE_FORM_BYTES, add_owner_page
from smtp_admin.pages.sent_once import form_key
from smtp_admin.senders.routing import senders_of
from smtp_admin.translation import as_shown, gettext, joined, ngettext, number

#: More at a time is for the command and for the app itself: a person waits for the answer.
MOST_FROM_PAGE = 20_000
_FILE = gettext("The list")


def add_to(blueprint: Blueprint) -> None:
    """Register the routes."""
    add_owner_page(blueprint, "new_batch", _new_batch)


@dataclass(frozen=True, slots=True)
class Look:
    """What would be sent.

    Attributes:
        csv: the list itself, which the form sends once more, and *skip* the lines to leave out.
        left_out: what of the list gets no mail, and why.
        takes: how long the sender's limits make it take, in words; ``""`` for no time.
    """

    csv: str
    skip: str
    checked: Checked
    left_out: LeftOut
    ignored: tuple[str, ...]
    expected: Plan
    takes: str
    subject: str
    text: str
    html: str
    key: str

    @property
    def count(self) -> int:
        """How many mails would be sent."""
        return self.checked.count - self.left_out.suppressed


def _new_batch(partner_id: str) -> ResponseReturnValue:
    """The form, what it would do, a mail to oneself, and at last the batch."""
    if request.method != "POST":
        return _show(partner_id)
    do, text = lists.word("do", 10), ""
    try:
        text = given_csv()
        type_ = _type()
        with _as_file(text) as path:
            file = RecipientFile(path, type_, skipped_lines())
            look = _look(partner_id, type_, file, text)
            if do == "send":
                return _queue(partner_id, type_, file, look)
        if do == "html":
            return framed(look.html)
        told = _to_myself(partner_id, type_, look) if do == "myself" else ""
    except RequestError as error:
        session().rollback()
        if web.wants_json():
            raise
        return _show(partner_id, error=error, status=error.status, typed=text)
    except MessageError as error:
        session().rollback()
        refused = InvalidInput(error.message, hint=error.hint)
        if web.wants_json():
            raise refused from error
        return _show(partner_id, error=refused, status=400, typed=text)
    if web.wants_json():
        return web.answer_json(
            {
                "ok": True,
                "count": look.count,
                "repeated": len(look.checked.again),
                "suppressed": look.left_out.suppressed,
                "ignored_columns": list(look.ignored),
                "seconds": round(look.expected.seconds),
                "too_old": look.expected.too_old,
                "subject": look.subject,
            }
        )
    return _show(partner_id, look=look, told=told)


def _type() -> EmailType:
    wanted = lists.word("type", 64)
    found = next((one for one in _types_for_many() if one.name == wanted), None)
    if found is None:
        raise InvalidInput(
            gettext("Choose a type."), fields={"type": [gettext("There is no such type.")]}
        )
    return found


def given_csv() -> str:
    """The CSV that was sent as a file or typed.

    In the form in which a browser sends back what a page shows it: the lines of a file have the
    same numbers then, and its cells the same text.

    Raises:
        InvalidInput: there is none, or it is no text.
    """
    sent = request.files.get("file")
    raw = sent.read() if sent is not None else b""
    if raw:
        try:
            if b"\0" in raw:  # UTF-16 may be UTF-8 by chance
                raise ValueError("NUL")
            return _as_it_comes_back(raw.decode("utf-8-sig"))
        except ValueError as error:
            raise InvalidInput(
                gettext("The file is not text in UTF-8."),
                hint=gettext("Save it from the spreadsheet as “CSV UTF-8”."),
                fields={"file": [gettext("It is not text in UTF-8.")]},
            ) from error
    given = web.read_json().get("csv", "") if request.is_json else request.form.get("csv", "")
    text = _as_it_comes_back(str(given))
    if not text.strip():
        raise InvalidInput(
            gettext("Choose a CSV file, or type the list."),
            fields={"file": [gettext("There is no list yet.")]},
        )
    return text


def _as_it_comes_back(text: str) -> str:
    lines = storable(text).replace("\r\n", "\n").replace("\r", "\n")
    return lines.strip("\ufeff\n") + "\n"


def skipped_lines() -> frozenset[int]:
    """The lines that whoever posts saw to be unusable, and wants to leave out."""
    given = web.read_json().get("skip", "") if request.is_json else request.form.get("skip", "")
    return numbers_of(str(given))


@contextmanager
def _as_file(text: str) -> Iterator[Path]:
    with TemporaryDirectory(prefix="smtp-admin-") as folder:
        path = Path(folder) / _FILE
        path.write_text(text, encoding="utf-8")
        yield path


def _look(partner_id: str, type_: EmailType, file: RecipientFile, text: str) -> Look:
    """Look at everything before anything is done.

    Raises:
        BadLines: some of the list cannot be used.
        InvalidInput: nobody on it can have mail.
    """
    checked = file.check()
    skipped = skipped_lines()
    if checked.complaints:
        raise BadLines(checked.complaints, usable=checked.count, skipped=skipped)
    if checked.first is None:
        raise InvalidInput(
            gettext("The list has no recipients."),
            fields={"file": [gettext("It has no recipients.")]},
        )
    if checked.count > MOST_FROM_PAGE:
        partner = f" --partner {quote(partner_id)}" if partner_id else ""
        command = f"flask smtp-admin send-many {type_.name} FILE{partner}"
        raise InvalidInput(
            gettext(
                "The list names %(count)s recipients; from this page "
                "%(most)s at a time are possible.",
                count=number(checked.count),
                most=number(MOST_FROM_PAGE),
            ),
            hint=gettext(
                "Split it, or run `%(command)s`, which takes any number.", command=command
            ),
        )
    left_out = left_out_of(session(), partner_id, type_, file.rows(), checked.again)
    if left_out.suppressed == checked.count:
        raise InvalidInput(
            gettext("Every address of the list is suppressed for this mail."),
            fields={"file": shown(left_out.lines)},
        )
    order = Order(partner_id, _sender(), priority="bulk")
    sender = sender_for(session(), type_, order)
    goes = checked.count - left_out.suppressed
    expected = plan(
        session(), sender, goes, priority=BULK, hours=type_.expires_hours, send_at=None,
        sensitive=type_.sensitive,
    )  # fmt: skip
    message = message_from_type(
        type_,
        [checked.first.address],
        batches.context_of(type_, checked.first),
        voice=voice_for(session(), type_, partner_id, checked.first.language),
    )
    return Look(
        text, ",".join(map(str, sorted(skipped))), checked, left_out, tuple(file.ignored), expected,
        seconds_words(expected.seconds) if expected.seconds else "",
        message.subject, message.body or "", message.html or "",
        f"{type_.name}:{checked.fingerprint}",
    )  # fmt: skip


def _to_myself(partner_id: str, type_: EmailType, look: Look) -> str:
    address = web.signed_in().email
    once = form_key(look.key, _sender() or "")
    order = Order(partner_id, _sender(), once, priority="normal", is_test=True)
    first = look.checked.first
    if first is None:  # pragma: no cover - an empty list was refused
        return ""
    if not (once and known_id(session(), partner_id, once)):
        record_change(session(), web.signed_in(), partner_id, "batch.tried", address)
        batches.send_first_to(session(), type_, first, address, order)
        session().commit()
    return gettext(
        "The first mail is being sent to %(address)s. Check it before you continue.",
        address=address,
    )


def _queue(
    partner_id: str, type_: EmailType, file: RecipientFile, look: Look
) -> ResponseReturnValue:
    label = lists.word("label", 200) or as_shown(type_.label)
    filling = batches.begin(
        session(), type_.name, partner_id=partner_id, batch_key=look.key, label=label,
        sender=_sender(), total=look.checked.count, created_by=web.signed_in().email,
    )  # fmt: skip
    # All or none: a corrected list is another batch, and who had the mail would get it twice.
    for some in batches.in_steps(file.rows()):
        try:
            filling.add([one for _, one in some if not isinstance(one, Complaint)])
        except batches.RecipientError as error:
            session().rollback()
            raise _all_that_fail(partner_id, type_, file) from error
    filling.finish()
    if filling.queued:
        words = f"{label}: {look.count:,} mail{'' if look.count == 1 else 's'}"
        record_change(session(), web.signed_in(), partner_id, "batch.queued", words)
    session().commit()
    public_id = filling.batch.public_id
    if web.wants_json():
        return web.answer_json({"ok": True, "id": public_id, "queued": filling.queued}, 202)
    web.notify(_queued_words(filling))
    return redirect(url_for("smtp_admin.one_batch", public_id=public_id), code=303)


def _all_that_fail(partner_id: str, type_: EmailType, file: RecipientFile) -> BadLines:
    """Every line whose mail cannot be built: who skips one wants to hear of the others too."""
    order = Order(partner_id, _sender(), priority="bulk")
    found, usable = [], 0
    for line, one in file.rows():
        if isinstance(one, Complaint):
            continue
        why = batches.trouble_of(session(), type_, one, order)
        usable += not why
        if why:
            found.append(Complaint(line, f"{str(one.address)[:100]}: {why}"))
    return BadLines(found, usable=usable, skipped=skipped_lines())


def _queued_words(filling: batches.Filling) -> str:
    goes = filling.queued - filling.suppressed
    words = [ngettext("%(number)s mail is queued.", "%(number)s mails are queued.", goes)]
    before = filling.seen - filling.queued
    if before:
        words.append(
            ngettext(
                "%(number)s line names an address of this batch again. Nobody gets it twice.",
                "%(number)s lines name addresses of this batch again. Nobody gets it twice.",
                before,
            )
        )
    if filling.suppressed:
        words.append(
            ngettext(
                "%(number)s address is suppressed or has reached its limit, and gets none.",
                "%(number)s addresses are suppressed or have reached their limit, and get none.",
                filling.suppressed,
            )
        )
    return joined(words)


def _sender() -> str | None:
    """The key of the sender that was chosen; ``None`` where the routes decide."""
    return lists.word("by", 40) or None


def _show(
    partner_id: str,
    *,
    look: Look | None = None,
    told: str = "",
    error: SMTPAdminError | None = None,
    status: int = 200,
    typed: str = "",
) -> ResponseReturnValue:
    found: list[tuple[str, str]] = [
        (one.key, sender_name(one.key, one.label))
        for one in senders_of(session(), partner_id)
        if one.key
    ]
    chosen = {name: lists.word(name, 200) for name in ("type", "label", "by")}
    types = _types_for_many()
    values: dict[str, Any] = frame(partner_id)
    page = render_template(
        "smtp_admin/mail/new_batch.html",
        here="batches",
        look=look,
        told=told,
        error=error,
        chosen=chosen,
        types=types,
        columns=[(one.label, columns_of(one)) for one in types],
        type_label=next((one.label for one in types if one.name == chosen["type"]), ""),
        senders=found,
        most=MOST_FROM_PAGE,
        megabytes=LARGE_FORM_BYTES // 1024 // 1024,
        typed=typed,
        bad=error if isinstance(error, BadLines) else None,
        repeated=shown(look.checked.again) if look else (),
        kept_back=shown(look.left_out.lines) if look else (),
        **values,
    )
    return page, status


def _types_for_many() -> list[EmailType]:
    """Types that a person may send to a list: none that carries secrets, and no mail of ours."""
    found = [one for one in registry() if not one.sensitive and one.name not in OURS]
    return sorted(found, key=lambda one: one.label.casefold())
