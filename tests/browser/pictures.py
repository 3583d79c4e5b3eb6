"""The pictures of the admin guide, taken from what the browser tests saw last.

``make pictures`` runs those tests and then this.
"""

import shutil
import sys
from pathlib import Path

from .inspection import SCREENSHOTS

IMAGES = Path(__file__).parents[2] / "docs" / "images"
#: Name in ``docs/images`` → the state of a page that a browser test brings about.
PICTURES = {
    "smtp-tab": "tab_filled",
    "empty-tab": "tab_empty",
    "failed-test": "connection_refused",
    "overview": "overview",
    "mail-log": "mail_log",
    "one-mail": "one_mail",
    "send-to-many": "batch_look",
    "alerts": "alerts",
    "audit": "audit_of_all",
    "history": "history",
}


def main() -> int:
    """Copy the pictures; the exit status."""
    missing = []
    for name, state in PICTURES.items():
        taken = SCREENSHOTS / f"{state}-desktop-light.png"
        if taken.exists():
            shutil.copyfile(taken, IMAGES / f"{name}.png")
        else:
            missing.append(taken.name)
    for one in missing:
        sys.stderr.write(f"no browser test made {one}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
