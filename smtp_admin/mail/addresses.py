"""Whom a mail names: addresses with or without a name beside them, read strictly."""

import re
from functools import lru_cache

from smtp_admin.errors import MessageError
from smtp_admin.smtp.address import check_header_text, clean_address
from smtp_admin.smtp.headers import read_phrase
from smtp_admin.translation import gettext

#: What lists of people call the column of addresses, in small letters; the first is our own word.
ADDRESS_COLUMNS = (
    "address", "email", "e-mail", "email address", "e-mail address", "mail", "recipient",
)  # fmt: skip
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_ANOTHER = re.compile(r"[<>]|@.*[,;]")


def address_of(text: object) -> tuple[str, str]:
    """The name, which may be empty, and the address of ``a@b``, ``Name <a@b>`` or ``(name, a@b)``.

    Raises:
        MessageError: no mail can go there.
    """
    if text is None:
        raise MessageError(gettext("Enter an e-mail address."))
    if isinstance(text, tuple) and len(text) == 2:  # noqa: PLR2004 - Flask-Mail's pairs
        return _checked(str(text[0] or ""), str(text[1]))
    return _read(str(text))


# Each is asked for twice, for the envelope and for the header.
@lru_cache(maxsize=500)
def _read(text: str) -> tuple[str, str]:
    spec, name = text.strip(), ""
    if spec.endswith(">") and "<" in spec:
        phrase, _, spec = spec[:-1].rpartition("<")
        if _ANOTHER.search(_QUOTED.sub("", phrase)):
            raise MessageError(
                gettext(
                    "%(text)s has more than one address. Pass them one by one.",
                    text=repr(text[:100]),
                )
            )
        name = read_phrase(phrase.strip())
    return _checked(name, spec)


@lru_cache(maxsize=500)
def _checked(name: str, spec: str) -> tuple[str, str]:
    try:
        address = clean_address(spec)
        name = check_header_text(name)
        if not address.isascii():
            raise ValueError(
                gettext("The part before the @ has characters that not every server supports.")
            )
    except ValueError as error:
        if not spec.strip():
            raise MessageError(gettext("Enter an e-mail address.")) from error
        raise MessageError(
            gettext(
                "%(spec)s is not a valid mail address: %(error)s",
                spec=repr(spec[:100]),
                error=error,
            )
        ) from (error)
    return name, address
