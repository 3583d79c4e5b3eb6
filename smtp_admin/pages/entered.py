"""What somebody entered on a sender's tab, with what a button of the page fills in.

With scripts such a button fills the fields in itself. Without them it sends its values along, under
one name, and they count before those of the fields.
"""

from typing import Any
from urllib.parse import parse_qsl

from flask import request
from werkzeug.datastructures import MultiDict

from smtp_admin import web
from smtp_admin.senders.fields import all_fields

#: The name of such a button.
APPLY = "apply"
#: Fields of several boxes with one name.
_LISTS = frozenset({"fallbacks"})
_MOST = 10


def entered() -> MultiDict[str, str]:
    """The form that was sent, with what its button fills in; never a secret."""
    found = MultiDict(request.form)
    known = {one.name for one in all_fields() if not one.secret and one.name != "driver"}
    try:
        filled = parse_qsl(request.form.get(APPLY, ""), max_num_fields=_MOST)
    except ValueError:
        filled = []
    for name, text in filled:
        if name in known:
            found[name] = text
    return found


def request_fields() -> dict[str, Any]:
    """What a test or search is to be done with, as a form or as JSON."""
    if request.is_json:
        return web.read_json()
    fields: dict[str, Any] = {
        name: ", ".join(texts) if name in _LISTS else texts[0] for name, texts in entered().lists()
    }
    # The page's form has boxes, and a box that is not ticked sends nothing.
    if "revision" in fields:
        for one in all_fields():
            if one.kind == "flag":
                fields.setdefault(one.name, "false")
    return fields
