"""A form that makes a new mail makes one, however often it is sent.

Each has a name of its own, new with each page, in a hidden field. With what was entered it becomes
the idempotency key of the mail: two clicks, and a reload, find the mail that is there. Who opens
the page anew, or enters something else, means another mail.
"""

import secrets
from hashlib import sha256

from flask import request
from markupsafe import Markup

from smtp_admin import web

FIELD = "once"
_BYTES = 16


def once_field(form: str = "") -> Markup:
    """The hidden field, for a template.

    Args:
        form: the id of the form, where the field stands outside it.
    """
    # A browser that fills in what stood there before a reload would keep the name of before.
    field = Markup('<input type="hidden" name="{}" value="{}" autocomplete="off"{}>')
    belongs = Markup(' form="{}"').format(form) if form else ""
    return field.format(FIELD, secrets.token_urlsafe(_BYTES), belongs)


def form_key(*entered: str) -> str | None:
    """The idempotency key of the mail that this form makes.

    Args:
        entered: what makes it another mail.

    Returns:
        ``None`` where the form has no name: what a program posts is a mail each time.
    """
    given = web.read_json().get(FIELD) if request.is_json else request.form.get(FIELD)
    if not isinstance(given, str) or not given:
        return None
    parts = (request.path, web.signed_in().id, given, *entered)
    # With their lengths: where one ends and the next begins is nobody's choice.
    text = "".join(f"{len(one)}:{one}" for one in parts)
    return f"form:{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
