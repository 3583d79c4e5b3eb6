"""Setups of the SMTP driver, without a stored sender."""

from typing import Any

from smtp_admin.connection.request import TestRequest
from smtp_admin.credentials.none import NoLogin
from smtp_admin.credentials.password import Password
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.login import Credential
from smtp_admin.smtp.session import Security, Server
from smtp_admin.transports.driver import Setup

__all__ = ["credential", "request_for", "smtp_setup"]


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


def request_for(*, password: str = "", client_key: str = "", **values: Any) -> TestRequest:
    """A test of settings that nobody saved, with these secrets."""
    settings = SenderValues(**values)
    secrets = {"password": password, "client_key": client_key}
    return TestRequest(settings, settings.kind.read(settings, secrets), secrets)
