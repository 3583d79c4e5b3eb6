"""In which language the pages are that links in mail lead to, whatever else the host speaks."""

from flask import request

from smtp_admin.translation import speak


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
