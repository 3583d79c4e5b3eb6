"""A mail as it goes to the sandbox's one address: what it says of whom it was meant for.

Answers must not reach anybody real either: Reply-To and its like go, To names the sandbox alone.
"""

from collections.abc import Sequence

from smtp_admin.smtp.headers import address_header, header_fields, text_header

HEADER = "X-Smtp-Admin-Intended-To"
_MARK = f"{HEADER}:".lower().encode("ascii")
#: Where answers and receipts would go: to somebody real.
_ANSWERS = frozenset(
    {
        b"reply-to", b"mail-reply-to", b"mail-followup-to", b"errors-to", b"return-receipt-to",
        b"disposition-notification-to", b"x-confirm-reading-to",
    }
)  # fmt: skip
_GONE = _ANSWERS | {b"to", b"cc", b"subject"}


def is_redirected(content: bytes) -> bool:
    """Whether this mail went through :func:`redirected` before."""
    return any(one.lower().startswith(_MARK) for one in header_fields(content)[0])


def redirected(
    content: bytes, intended: Sequence[str], address: str, head: int = 0
) -> tuple[bytes, int]:
    """*content* as mail to *address*, and how long its *head* is then.

    What was redirected before only loses what asks for answers and came since with a sender's
    headers.

    Args:
        intended: whom it was meant for.
        head: how many bytes at the front are its sender's headers.
    """
    own, _ = header_fields(content[:head])
    fields, body = header_fields(content[head:])
    own = [one for one in own if _name(one) not in _ANSWERS]
    if is_redirected(content):
        kept = [one for one in fields if _name(one) not in _ANSWERS]
    else:
        kept = [one for one in fields if _name(one) not in _GONE]
        kept += [_subject(fields, intended), _bytes(address_header("To", [("", address)]))]
        kept.append(_list_of(intended))
    start = b"".join(own)
    return start + b"".join(kept) + body, len(start)


def subject_for(intended: Sequence[str], subject: str) -> str:
    """The subject that the mail has there."""
    return f"{_label(intended)} {subject}".rstrip()


def _label(intended: Sequence[str]) -> str:
    more = f" and {len(intended) - 1} more" if len(intended) > 1 else ""
    return f"[to {intended[0] if intended else 'nobody'}{more}]"


def _subject(fields: Sequence[bytes], intended: Sequence[str]) -> bytes:
    # As it is, encoded or not, on a line of its own: nothing of it is read and written anew.
    before = next((one for one in fields if _name(one) == b"subject"), b"Subject:\r\n")
    value = before.partition(b":")[2].lstrip()
    label = _label(intended)
    plain = label if label.isascii() else label.encode("ascii", "replace").decode("ascii")
    return b"Subject: " + plain.encode("ascii") + (b"\r\n " + value if value.strip() else b"\r\n")


def _list_of(intended: Sequence[str]) -> bytes:
    if all(one.isascii() for one in intended):
        return _bytes(address_header(HEADER, [("", one) for one in intended]))
    return _bytes(text_header(HEADER, ", ".join(intended)))


def _bytes(line: str) -> bytes:
    return line.encode("ascii")


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].strip().lower()
