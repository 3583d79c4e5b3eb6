"""The ids that callers know mails and batches by: they sort by time, and nobody can guess one."""

import os
import re
import time

_RANDOM_BYTES = 10
_PUBLIC_ID = re.compile(r"[0-9a-f]{32}")


def new_public_ids(count: int) -> list[str]:
    """So many new ids, each 32 letters and digits."""
    milliseconds = f"{int(time.time() * 1000):012x}"
    digits, each = os.urandom(_RANDOM_BYTES * count).hex(), 2 * _RANDOM_BYTES
    return [milliseconds + digits[at : at + each] for at in range(0, len(digits), each)]


def new_public_id() -> str:
    """One of these."""
    return new_public_ids(1)[0]


def is_public_id(text: str) -> bool:
    """Whether *text* can be such an id; databases refuse some of what addresses carry."""
    return bool(_PUBLIC_ID.fullmatch(text))
