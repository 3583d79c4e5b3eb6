"""A host's driver with all the fields of SMTP: only its name makes it another destination."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from smtp_admin.transports.driver import Driver
from smtp_admin.transports.registry import forget, register
from smtp_admin.transports.smtp.driver import DRIVER as SMTP

__all__ = ["twin_driver"]


@contextmanager
def twin_driver() -> Iterator[Driver]:
    """The driver ``twin``, registered for as long as the block runs."""
    made = replace(SMTP, name="twin", label="Twin of SMTP")
    register(made)
    try:
        yield made
    finally:
        forget(made.name)
