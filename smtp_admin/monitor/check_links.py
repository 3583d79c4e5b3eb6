"""Whether mail can carry links back to the app, such as the one that ends reminders."""

from collections.abc import Iterator

from smtp_admin.mail.unsubscribing import unsubscribe_url
from smtp_admin.monitor.health import Check
from smtp_admin.sandbox.address import of_this_machine

_SET = "Set SMTP_ADMIN_PUBLIC_URL to the public https address of the app."


def links() -> Iterator[Check]:
    """What the configured address allows; that of a request never counts."""
    link = unsubscribe_url("token")
    if not link:
        words = "Mail has no unsubscribe link, because the app does not know its own address."
        yield Check("links", "warning", words, _SET)
    elif of_this_machine(link):
        words = (
            f"Links in mail begin with {_start(link)}, which is this machine itself: they work "
            "here only."
        )
        yield Check("links", "warning", words, f"That is right for trying it out. Else: {_SET}")
    elif not link.startswith("https:"):
        words = (
            "Mail programs offer no one-click unsubscribe, because the app's address is not https."
        )
        yield Check("links", "warning", words, _SET)
    else:
        yield Check("links", "ok", f"Links in mail begin with {_start(link)}.")


def _start(link: str) -> str:
    return link.removesuffix("/unsubscribe/token")
