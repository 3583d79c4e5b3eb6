"""What is known beside a reply, for whoever judges it: the same for sending and for its test."""

from smtp_admin.credentials.bearer import Bearer
from smtp_admin.credentials.oauth import OAuthLogin
from smtp_admin.replies.meaning import Context, Login
from smtp_admin.smtp.client import SMTPClient
from smtp_admin.smtp.login import Credential
from smtp_admin.smtp.session import Server


def context_of(
    server: Server,
    credential: Credential,
    client: SMTPClient | None = None,
    *,
    sender: str = "",
    recipient: str = "",
) -> Context:
    """Whose mail it is, and whether a login was given.

    Args:
        client: the open session; ``None`` before there is one.
    """
    login: Login = "token" if isinstance(credential, OAuthLogin | Bearer) else "given"
    if not credential.username:
        login = "left_out" if client is not None and client.auth_methods else "none"
    return Context(recipient, sender, server.host, login)
