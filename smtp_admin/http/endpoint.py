"""Where an API is: the parts of its URL."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from smtp_admin.smtp.hostname import clean_host

USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The beginning of all URLs of an API.

    Attributes:
        host: as :func:`~smtp_admin.smtp.hostname.clean_host` returns it.
        path: what stands before the path of each call; without a slash at its end.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str = ""

    @classmethod
    def of(cls, url: str) -> "Endpoint":
        """The endpoint that *url* names.

        Raises:
            ValueError: it is no URL of HTTP; says why.
        """
        parts = urlsplit(url)
        if parts.scheme not in USUAL_PORTS or parts.query or parts.fragment or parts.username:
            raise ValueError("This is not the address of an API, such as https://api.example.com.")
        scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
        port = parts.port or USUAL_PORTS[scheme]
        return cls(scheme, clean_host(parts.hostname or ""), port, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == USUAL_PORTS[self.scheme] else f"{host}:{self.port}"
