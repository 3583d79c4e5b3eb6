"""What providers told of a mail, in words for pages, each with a tone."""

from dataclasses import dataclass

from smtp_admin.translation import gettext


@dataclass(frozen=True, slots=True)
class EventWords:
    """How an event is shown; *tone* as for states."""

    label: str
    tone: str


_WORDS: dict[str, EventWords] = {
    "delivered": EventWords(gettext("Delivered"), "good"),
    "deferred": EventWords(gettext("Not delivered yet"), "warn"),
    "bounced": EventWords(gettext("Bounced"), "bad"),
    "complained": EventWords(gettext("Marked as spam"), "bad"),
    "opened": EventWords(gettext("Opened"), "ready"),
    "clicked": EventWords(gettext("Link clicked"), "ready"),
    "unsubscribed": EventWords(gettext("Unsubscribed"), "warn"),
    "sample": EventWords(gettext("Sample"), "off"),
}
_BOUNCES = {
    "hard": gettext("Bounced: the address takes no mail"),
    "soft": gettext("Bounced this time"),
    "policy": gettext("Bounced: refused by policy"),
}


def event_words(kind: str, bounce: str = "") -> EventWords:
    """How an event of this kind is shown."""
    words = _WORDS[kind]
    return EventWords(_BOUNCES.get(bounce, words.label), words.tone)
