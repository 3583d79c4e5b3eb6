"""Where a password may go."""

from dataclasses import dataclass, fields
from typing import Any, Self

from smtp_admin.credentials.none import NoLogin
from smtp_admin.credentials.password import Password
from smtp_admin.smtp.session import Security, Server
from smtp_admin.transports.driver import Setup


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a password may go: all that, if changed, makes it another destination."""

    host: str
    port: int
    security: Security
    username: str = ""
    verify_tls: bool = True
    driver: str = "smtp"

    @classmethod
    def of(cls, settings: Any) -> Self:
        """That of anything that has the same attributes: values, a row."""
        return cls(**{one.name: getattr(settings, one.name) for one in fields(cls)})

    def binding(self) -> tuple[str | int | bool, ...]:
        """What a stored password is sealed for."""
        return (
            self.driver,
            self.host,
            self.port,
            self.security,
            self.verify_tls,
            self.username,
        )

    def setup(self, password: str) -> Setup:
        """What a transport is made from."""
        server = Server(self.host, self.port, self.security, self.verify_tls)
        credential = Password(self.username, password) if self.username else NoLogin()
        return Setup(self.driver, server, credential, place=f"{self.host}:{self.port}")
