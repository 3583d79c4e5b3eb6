"""Whether what the host app says of its partners can be used."""

import logging
from collections import Counter as Tally
from collections.abc import Iterator

from smtp_admin.errors import SetupError
from smtp_admin.installation import installation
from smtp_admin.monitor.health import Check
from smtp_admin.repeated import host_raised

log = logging.getLogger(__name__)

#: Enough to notice numbers for text; a host may search all of its partners for each.
_FOUND_AGAIN = 20


def partners() -> Iterator[Check]:
    """Every partner's id, and whether the host finds the first of them again by it."""
    host = installation().host
    try:
        ids = [one.id for one in host.partners()]
        lost = next((one for one in ids[:_FOUND_AGAIN] if host.partner(one) is None), None)
    except SetupError as error:
        yield Check("partners", "failed", error.message, error.hint)
        return
    except Exception as error:  # noqa: BLE001 - the host's own code
        host_raised(log, "partners() or partner", error)
        words = f"partners() or partner() of your Host failed: {type(error).__name__}."
        yield Check("partners", "failed", words, "The log has the traceback.")
        return
    doubled = [one for one, count in Tally(ids).items() if count > 1]
    if lost is not None:
        yield Check(
            "partners",
            "failed",
            f"partners() names {lost!r}, and partner({lost!r}) finds nobody: its pages are 404.",
            "partner() gets the id as text, as in the URL.",
        )
    elif doubled:
        words = f"Two partners have the id {doubled[0]!r}."
        yield Check("partners", "failed", words, "Each needs one of its own.")
    else:
        count = f"{len(ids)} partner{'' if len(ids) == 1 else 's'}"
        yield Check("partners", "ok", f"{count}, each with an id that can be used.")
