"""Nobody logs in."""

from collections.abc import Hashable, Sequence

from smtp_admin.smtp.login import Exchange


class NoLogin:
    """The credential of drivers and servers that want none; all of them are alike."""

    username = ""
    identity: Hashable = ()
    secrets: Sequence[str] = ()

    def mechanisms(self, *, encrypted: bool) -> Sequence[str]:
        """None."""
        del encrypted
        return ()

    def exchange(self, mechanism: str) -> Exchange:
        """There is none to choose."""
        raise LookupError(mechanism)


NO_LOGIN = NoLogin()
