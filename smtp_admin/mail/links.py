"""Links in mail that only their reader has: what is in them is sealed, so nobody can make one up.

Nothing is written down when such a mail is queued. A link works for as long as the key that sealed
it is in ``SMTP_ADMIN_SECRET_KEYS``.
"""

import json
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlencode

from flask import current_app

from smtp_admin.errors import NotFound, SMTPAdminError
from smtp_admin.installation import installation
from smtp_admin.translation import gettext

#: What a link is for; a token of one kind opens nothing of another.
Purpose = Literal["unsubscribe", "arrival"]
_LONGEST = 2000


def token_of(purpose: Purpose, parts: Sequence[str]) -> str:
    """What stands in a link; empty where the app has no key to seal it with."""
    keyring = installation().keyring
    if not keyring:
        return ""
    return keyring.seal(json.dumps(parts), (purpose,)).rstrip("=")


def parts_of(purpose: Purpose, token: str, count: int) -> list[str]:
    """The *count* parts that *token* was made of.

    Raises:
        NotFound: it is no link of ours, or its key is no longer there.
    """
    try:
        if len(token) > _LONGEST or not token.isascii():
            raise ValueError
        padded = token + "=" * (-len(token.rpartition(".")[2]) % 4)
        parts = [str(one) for one in json.loads(installation().keyring.open(padded, (purpose,)))]
        if len(parts) != count:
            raise ValueError
    except (SMTPAdminError, ValueError, TypeError) as error:
        raise NotFound(
            gettext("This link is not valid."), hint=gettext("Use the one in the newest mail.")
        ) from error
    return parts


def public_address(path: str, endpoint: str, token: str, language: str = "") -> str:
    """The public address of a page with *token*, or ``""`` where the app does not know its own.

    It is the configured one, in a request too: there a Host header says what its sender likes.

    Args:
        path: of the page, below the configured address.
        endpoint: the same page, for an app that only has a server name.
        language: of the mail with the link, which its page will be in. It is beside the token, for
            it proves nothing, and links without it go on working.
    """
    if not token:
        return ""
    base = installation().config.public_url
    asked = {"lang": language} if language else {}
    if base:
        return f"{base}{path}/{token}" + (f"?{urlencode(asked)}" if asked else "")
    adapter = (
        current_app.create_url_adapter(None) if current_app.config.get("SERVER_NAME") else None
    )
    if adapter is None:
        return ""
    return adapter.build(endpoint, {"token": token, **asked}, force_external=True)
