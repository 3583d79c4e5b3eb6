"""What a test does when a server it needs is not installed."""

import contextlib
import os
from collections.abc import Iterator

import pytest

from . import Unavailable

__all__ = ["skipped_if_unavailable"]


@contextlib.contextmanager
def skipped_if_unavailable() -> Iterator[None]:
    """Skip the test if its server is unavailable, and say what to install.

    With SMTP_ADMIN_TEST_NOTHING_SKIPPED set the test fails instead: where everything should be
    installed, a skip would hide that it is not.
    """
    try:
        yield
    except Unavailable as unavailable:
        if os.environ.get("SMTP_ADMIN_TEST_NOTHING_SKIPPED"):
            pytest.fail(str(unavailable))
        pytest.skip(str(unavailable))
