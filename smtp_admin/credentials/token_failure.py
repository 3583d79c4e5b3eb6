"""Why there is no token: the token server refused one, or could not be asked."""

from collections.abc import Mapping
from typing import Literal

from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.translation import gettext


class TokenFailure(SMTPFailure):
    """No token, and what to do about it.

    Args:
        code: ``token_unavailable`` where asking again later may help, else ``token_refused``.
        dead: whether what a person granted is used up, so that they must sign in again.
        retry_after: how many seconds the server wants to be left alone.
    """

    def __init__(
        self,
        code: Literal["token_refused", "token_unavailable"],
        message: str,
        *,
        hint: str = "",
        cause: str = "",
        facts: Mapping[str, str] | None = None,
        dead: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, "token", message, hint=hint, cause=cause, facts=facts)
        self.dead = dead
        self.retry_after = retry_after

    @property
    def later(self) -> bool:
        """Whether the same may work later, without anybody's help."""
        return self.code == "token_unavailable"


def not_signed_in() -> TokenFailure:
    """Nobody has signed in for these settings yet."""
    return TokenFailure(
        "token_refused",
        gettext("Nobody has signed in to this mailbox yet."),
        hint=gettext("Save the settings, then press “Sign in” on this page."),
        cause="oauth_not_signed_in",
        dead=True,
    )
