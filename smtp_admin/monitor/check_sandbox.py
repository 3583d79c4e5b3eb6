"""Whether this process may send for the database, and what a sandbox does with its mail."""

from collections.abc import Iterator

from smtp_admin.database import session
from smtp_admin.delivery.held_actions import counts
from smtp_admin.installation import installation
from smtp_admin.monitor.health import Check
from smtp_admin.sandbox import site


def sandbox() -> Iterator[Check]:
    """Where this process stands, the sandbox, and what is held."""
    found = site.standing(session())
    if not found.acts:
        yield Check("sandbox", "failed", found.reason, found.hint)
    elif found.recorded:
        yield Check("sandbox", "ok", f"This process sends for {found.address}.")
    else:
        words = "No address is recorded, so copies of this database cannot be detected."
        hint = "Set SMTP_ADMIN_PUBLIC_URL, then start the workers again."
        if found.address:
            hint = "Start a worker, or run `flask smtp-admin db upgrade`: that records it."
        yield Check("sandbox", "warning", words, hint)
    rule = installation().config.sandbox
    if rule is not None:
        yield Check("sandbox", "warning", f"Mail does not reach everyone: SMTP_ADMIN_SANDBOX is "
                    f"{rule}.", "Remove it where real mail should be sent.")  # fmt: skip
    held = counts(session()).held
    if held:
        yield Check("sandbox", "warning", f"{held:,} {'mail is' if held == 1 else 'mails are'} "
                    "held by a sandbox.",
                    "`flask smtp-admin sandbox release` sends them, "
                    "`flask smtp-admin sandbox drop` cancels them.")  # fmt: skip
