"""Something that can be mended with one button: what the button says, and what it fills in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from smtp_admin.translation import gettext
from smtp_admin.transports.smtp.fields import SECURITY_LABELS


@dataclass(frozen=True, slots=True)
class Fix:
    """New texts for some fields of a sender.

    Attributes:
        fields: field → the text that a form would send; never a secret.
    """

    label: str
    fields: Mapping[str, str]

    @property
    def query(self) -> str:
        """The same as one text, for the value of a button."""
        return urlencode(self.fields)

    def as_json(self) -> dict[str, Any]:
        """For a script."""
        return {"label": self.label, "fields": dict(self.fields)}


def use_security(security: str) -> Fix:
    """Another encryption on the same port."""
    return Fix(
        gettext("Use %(security)s", security=SECURITY_LABELS[security]),
        {"security": security},
    )


def use_port(port: int, security: str) -> Fix:
    """Another port, and the encryption that goes with it."""
    label = gettext(
        "Use port %(port)s with %(security)s",
        port=port,
        security=SECURITY_LABELS[security],
    )
    return Fix(label, {"port": str(port), "security": security})


def use_host(host: str, port: int = 0, security: str = "") -> Fix:
    """Another server, with its own port if that is known."""
    more = {"port": str(port), "security": security} if port and security else {}
    return Fix(gettext("Use %(host)s", host=host), {"host": host, **more})
