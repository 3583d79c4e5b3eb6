"""A second opinion on bounces in plain words: GNU Mailman's detectors, where they are installed.

They know formats by many servers of the past. They say who failed, not why, so what they alone
find is a bounce of unknown weight and suppresses nobody.
"""

import logging
from email import message_from_bytes
from email.policy import compat32

from smtp_admin.events.bounces.report import Report

_MOST_BYTES = 128 * 1024
_MOST = 50
#: A bounce has a handful of parts. The standard parser, which is needed here, takes minutes over
#: mail that was made of thousands.
_MOST_BOUNDARIES, _MOST_LINES = 10, 200


def is_there() -> bool:
    """Whether the extra ``bounces`` is installed."""
    try:
        import flufl.bounce  # noqa: F401  # only where a bounce is not understood
    except ImportError:
        return False
    return True


def second_opinion(content: bytes) -> list[Report]:
    """What flufl.bounce makes of a mail; nothing where it is not installed, or fails."""
    content = content[:_MOST_BYTES]
    if (
        content.lower().count(b"boundary") > _MOST_BOUNDARIES
        or content.count(b"\n--") > _MOST_LINES
    ):
        return []
    try:
        from flufl.bounce import all_failures
    except ImportError:
        return []
    # It writes a traceback wherever one of its detectors stumbles, which is no news here.
    logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)
    try:
        passing, final = all_failures(message_from_bytes(content, policy=compat32))
    except Exception:  # noqa: BLE001  # detectors trip over mail that was made to trip them
        return []
    found = [Report("bounced", (_text(one),)) for one in sorted(final)]
    found += [Report("deferred", (_text(one),)) for one in sorted(set(passing) - set(final))]
    return [one for one in found if "@" in one.recipients[0]][:_MOST]


def _text(address: bytes | str) -> str:
    return address.decode("utf-8", "replace") if isinstance(address, bytes) else address
