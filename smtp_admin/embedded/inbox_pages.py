"""Two pages to read the test inbox with, inside the layout of the example app.

The templates are the app's: ``hosting/inbox.html`` and ``hosting/inbox_mail.html``.
"""

import re

from flask import Blueprint, Response, abort, render_template

from smtp_admin.embedded.local import LocalServices
from smtp_admin.embedded.mailbox import StoredMail, list_mails, read_mail

# The mail's own page: nothing is loaded, nothing runs, and only our reading page may frame it.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
_READING_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
# A link in the mail opens a page of its own: inside the frame no site would let itself be shown.
_NEW_PAGE = '<base target="_blank">'


def inbox_pages(local: LocalServices) -> Blueprint:
    """The pages as a blueprint; the app decides who may see them, with ``before_request``."""
    pages = Blueprint("inbox", __name__, url_prefix="/inbox")

    def found(mail_id: str) -> StoredMail:
        mail = read_mail(local.inbox_folder, mail_id)
        if mail is None:
            abort(404, "There is no such mail in the inbox; only the newest ones are kept.")
        return mail

    @pages.get("")
    def index() -> str:
        return render_template(
            "hosting/inbox.html",
            mails=list_mails(local.inbox_folder),
            settings=local.inbox_settings,
        )

    @pages.get("/<mail_id>")
    def mail(mail_id: str) -> Response:
        page = render_template("hosting/inbox_mail.html", mail=found(mail_id))
        return _with_policy(Response(page), _READING_POLICY)

    @pages.get("/<mail_id>/html")
    def html(mail_id: str) -> Response:
        content = found(mail_id).html
        head = _HEAD.search(content)
        at = head.end() if head else 0
        return _with_policy(Response(content[:at] + _NEW_PAGE + content[at:]), _MAIL_POLICY)

    @pages.get("/<mail_id>/source")
    def source(mail_id: str) -> Response:
        content = found(mail_id).source.decode("utf-8", "replace")
        return _with_policy(Response(content, mimetype="text/plain"), _MAIL_POLICY)

    return pages


def _with_policy(response: Response, policy: str) -> Response:
    response.headers["Content-Security-Policy"] = policy
    return response
