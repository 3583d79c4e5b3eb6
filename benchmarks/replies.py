"""``python -m benchmarks.replies``: how long the tables of servers' words take."""

import re
import time
from collections.abc import Callable

from smtp_admin.diagnosis.table import causes
from smtp_admin.providers.catalogue import knowledge, providers, replies
from smtp_admin.replies.table import shipped
from smtp_admin.smtp.reply import Reply

_TIMES = 1000
_KNOWN = Reply(550, ("5.1.1 The email account that you tried to reach does not exist.",))
_UNKNOWN = Reply(550, ("What nobody has ever said about this recipient",))


def _seconds(act: Callable[[], object], times: int = 1) -> float:
    best = float("inf")
    for _ in range(7):
        re.purge()  # the first time is what counts: afterwards patterns are kept
        began = time.process_time()
        for _ in range(times):
            act()
        best = min(best, time.process_time() - began)
    return best / times


def _read_all() -> None:
    for one in (knowledge, providers, replies, shipped, causes):
        one.cache_clear()
    replies()
    causes()


def main() -> None:
    """Measure and print."""
    table = replies()
    read = _seconds(_read_all)
    known = _seconds(lambda: table.judge("rcpt", _KNOWN), _TIMES)
    unknown = _seconds(lambda: table.judge("rcpt", _UNKNOWN), _TIMES)
    print(  # noqa: T201 - what the command is for
        f"{len(table.rows)} replies, {len(causes().rows)} causes, {len(knowledge().known)} "
        f"providers: read in {read * 1e3:.1f} ms; "
        f"a refusal judged in {known * 1e6:.0f} µs, one that no row knows in {unknown * 1e6:.0f} µs"
    )


if __name__ == "__main__":
    main()
