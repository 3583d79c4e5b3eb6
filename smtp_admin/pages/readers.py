"""The pages of those who get mail: which they are, and in which language, whatever the host speaks.

They say nothing of the platform's own affairs, such as alerts, even if an admin looks at one.
"""

from flask import request

from smtp_admin.translation import speak

#: Where links in mail lead, and what a customer sees.
BLUEPRINTS = frozenset({"smtp_admin_unsubscribe", "smtp_admin_arrival"})
ENDPOINTS = frozenset({"smtp_admin.reminder_page", "smtp_admin.remind_me"})


def is_for_readers() -> bool:
    """Whether the page is for those who get mail; error pages in its place are too."""
    return request.blueprint in BLUEPRINTS or request.endpoint in ENDPOINTS


def speak_to_reader(*known: str) -> None:
    """Have this page in its reader's language; as it was where we have no words in it.

    That is what they chose, the language of the mail with the link, or what their browser asks for.

    Args:
        known: what is known of them, the surest first.
    """
    asked = (one for one, _ in request.accept_languages)
    speak((*known, request.args.get("lang", ""), *asked))


def speak_to_stranger() -> None:
    """The same before it is known whose link it is, or that it is nobody's."""
    speak_to_reader()
