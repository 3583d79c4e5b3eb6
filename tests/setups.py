"""Setups of the SMTP driver, without a stored sender."""

from typing import Any

from smtp_admin.credentials.none import NoLogin
from smtp_admin.credentials.password import Password
from smtp_admin.smtp.login import Credential
from smtp_admin.smtp.session import Security, Server
from smtp_admin.transports.driver import Setup

__all__ = ["credential", "smtp_setup"]


def credential(username: str = "", password: str = "") -> Credential:
    """A password, or no login where there is no user name."""
    return Password(username, password) if username else NoLogin()


def smtp_setup(
    host: str,
    port: int,
    security: Security,
    username: str = "",
    password: str = "",
    **server: Any,
) -> Setup:
    """What a transport or a test is made from."""
    settings = Server(host, port, security, **server)
    return Setup("smtp", settings, credential(username, password), place=f"{host}:{port}")
