"""This machine: whether it trusts the authorities that mail servers' certificates come from."""

import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from smtp_admin.installation import installation
from smtp_admin.monitor.health import Check


def authorities() -> Iterator[Check]:
    """Whether certificates can be checked at all; small container images often lack the list."""
    own = installation().config.ca_file
    if _trusted():
        more = f", and {own}" if own else ""
        yield Check("certificates", "ok", f"The usual authorities are trusted{more}.")
    elif own:
        yield Check("certificates", "warning", f"Only {own} is trusted; public mail servers will "
                    "be refused.", "Install the system's ca-certificates, unless this is "
                    "intended.")  # fmt: skip
    else:
        yield Check("certificates", "failed", "This machine trusts no certificate authority, so "
                    "every encrypted connection is refused.", "Install the system's "
                    "ca-certificates.")  # fmt: skip


def _trusted() -> bool:
    if ssl.create_default_context().cert_store_stats()["x509_ca"]:
        return True
    # Certificates of a folder are read one by one, when they are needed, and not counted.
    folder = ssl.get_default_verify_paths().capath
    with suppress(OSError):
        return folder is not None and any(Path(folder).iterdir())
    return False
