"""Which headers others may add to a mail: none that we write ourselves, and none that hides one."""

import re

from smtp_admin.smtp.address import check_header_text
from smtp_admin.translation import gettext

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
#: What we write ourselves, in lower case. A second one would contradict it, and by the last one the
#: sandbox knows what it has redirected already.
OURS = frozenset(
    {
        "from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id",
        "mime-version", "return-path", "received", "dkim-signature",
        "x-smtp-admin-intended-to",
    }
)  # fmt: skip


def check_header(name: str, value: str) -> tuple[str, str]:
    """*name* and *value*, if they may stand in a mail beside our own headers.

    Raises:
        ValueError: with a sentence that says what is wrong.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(gettext("“%(name)s” is not a valid header name.", name=name[:60]))
    if name.lower() in OURS or name.lower().startswith("content-"):
        raise ValueError(f"{name} is set by smtp_admin.")
    return name, check_header_text(value)
