"""Where the local services are, as the instance folder remembers it.

Every process of the example reads it here, so that a command in another terminal finds the same
database, keys, Redis and inbox as the web page.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from smtp_admin.embedded import certificates, secrets
from smtp_admin.embedded.files import private_folder
from smtp_admin.embedded.ports import choose_port, known_port
from smtp_admin.embedded.redis import redis_url
from smtp_admin.embedded.secrets import DemoSecrets

INBOX_USERNAME = "inbox"
INBOX_PORT = 1025


def inbox_folder(folder: Path) -> Path:
    """Where the inbox keeps its mails and certificate."""
    return folder / "inbox"


@dataclass(frozen=True)
class LocalServices:
    """What one instance folder knows; whatever is missing in it is made."""

    folder: Path

    def __post_init__(self) -> None:
        private_folder(self.folder)

    @cached_property
    def secrets(self) -> DemoSecrets:
        """The secrets of this folder."""
        return secrets.load_or_create(self.folder)

    @property
    def redis_port(self) -> int:
        """Where Redis listens, or will."""
        return known_port(self.folder, "redis") or choose_port(self.folder, "redis")

    @property
    def redis_url(self) -> str:
        """How to reach Redis, with its password."""
        return redis_url(self.redis_port, self.secrets.redis_password)

    @property
    def inbox_folder(self) -> Path:
        """Where the inbox keeps its mails."""
        return inbox_folder(self.folder)

    @property
    def inbox_port(self) -> int:
        """Where the inbox listens, or will."""
        return known_port(self.folder, "inbox") or choose_port(self.folder, "inbox", INBOX_PORT)

    @property
    def inbox_ca_file(self) -> Path:
        """The certificate to trust for the inbox."""
        return certificates.ensure(self.inbox_folder).ca_file

    @property
    def inbox_settings(self) -> dict[str, str]:
        """What to type into the SMTP tab, by the names of its fields."""
        return {
            "Host": "localhost",
            "Port": str(self.inbox_port),
            "Security": "STARTTLS",
            "Login": INBOX_USERNAME,
            "Password": self.secrets.inbox_password,
        }

    def choose_ports(self) -> None:
        """Choose again what is taken by now; before the services start, never while they run."""
        choose_port(self.folder, "redis")
        choose_port(self.folder, "inbox", INBOX_PORT)
