"""``/mail/<id>`` of a notice: until when it waits for its digest, or the mail that tells it."""

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from smtp_admin import web
from smtp_admin.audit.service import record_change
from smtp_admin.delivery import seen_mail
from smtp_admin.delivery.digest_items import Item, cancel_item, find_item
from smtp_admin.pages.mail_filters import log_url, seen_by_actor
from smtp_admin.pages.mail_log import owner_name, types
from smtp_admin.translation import gettext


def seen_item(session: Session, public_id: str) -> Item | None:
    """The notice of this id, if the present person may see it."""
    return find_item(session, public_id, seen_by_actor().partner_ids)


def show_item(session: Session, item: Item) -> ResponseReturnValue:
    """The page of a notice, or the one of its mail as long as that is kept."""
    told = item.message_id
    if told and seen_mail.ids_of_mail(session, told, seen_by_actor()):
        return redirect(url_for("smtp_admin.one_mail", public_id=told))
    if web.wants_json():
        return web.answer_json({"ok": True, **item.as_json()})
    return render_template(
        "smtp_admin/mail/notice.html",
        item=item,
        owner=owner_name(item.partner_id),
        owner_log=log_url(item.partner_id),
        type_label=dict(types()).get(item.type_name, item.type_name),
    )


def take_out(session: Session, item: Item) -> ResponseReturnValue:
    """Take a notice out of its digest.

    Raises:
        Conflict: it does not wait for it any more.
    """
    count = cancel_item(session, item.public_id)
    words = f"{item.recipient}: {item.title}"
    record_change(session, web.signed_in(), item.partner_id, "mail.cancelled", words)
    session.commit()
    if web.wants_json():
        return web.answer_json({"ok": True, "count": count})
    web.notify(gettext("The notice is cancelled. Its digest will not mention it."))
    return redirect(url_for("smtp_admin.one_mail", public_id=item.public_id), code=303)
