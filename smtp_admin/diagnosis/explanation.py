"""Why a sender is paused or a mail was not sent, for whoever looks at it: causes and notes.

The connection test has the server in front of it; here only what was written down is left. The
causes come from the same table, and the provider's own warnings (a date after which passwords
stop working, for example) stand beside them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smtp_admin.clock import now
from smtp_admin.delivery.queries import Followed
from smtp_admin.diagnosis.causes import Cause
from smtp_admin.diagnosis.diagnose import code_of_delivery, diagnose
from smtp_admin.providers.catalogue import provider_of_host
from smtp_admin.senders.resolve import ResolvedSender, load_sender_by_id
from smtp_admin.senders.values import SenderValues
from smtp_admin.smtp.reply import Reply

#: What became of a mail where there is nothing to explain.
_FINE = frozenset({"sending", "sent", "delivered", "cancelled"})


@dataclass(frozen=True, slots=True)
class Explanation:
    """The likely causes, most likely first, and what the provider's customers should know."""

    causes: tuple[Cause, ...]
    notes: tuple[str, ...] = ()

    @property
    def hint(self) -> str:
        """The first cause and what to do about it."""
        return f"{self.causes[0].what} {self.causes[0].do}"

    def as_json(self) -> list[dict[str, str]]:
        """The causes for a script; the notes are for people."""
        return [{"key": one.key, "cause": one.what, "do": one.do} for one in self.causes]


def explain_pause(sender: ResolvedSender) -> Explanation | None:
    """Why *sender* paused itself; ``None`` if it did not."""
    if not sender.pause_code:
        return None
    return _explain(sender.pause_code, sender.values, sender.pause_reply, sender.pause_reason)


def explain_delivery(
    state: str,
    last_code: str,
    *,
    uncertains: int = 0,
    error: str = "",
    reply: str = "",
    values: SenderValues | None = None,
) -> Explanation | None:
    """Why a delivery is in *state*; ``None`` where nothing is wrong, or it only waits its turn.

    Args:
        error: our sentence about it, and *reply* the server's words, as they were stored.
        values: the settings of its sender, as far as they are known.
    """
    if state in _FINE or (state == "queued" and not last_code):
        return None
    return _explain(code_of_delivery(state, last_code, uncertains), values, reply, error)


def explain_followed(session: Session, found: Followed) -> Explanation | None:
    """Why a mail that somebody follows is where it is; ``None`` as above."""
    sender = load_sender_by_id(session, found.sender_id)
    return explain_delivery(
        found.state,
        found.code,
        uncertains=found.uncertains,
        error=found.error,
        reply=found.reply,
        values=sender.values if sender else None,
    )


def explain_refusal(
    code: str, message: str, reply: Reply | None, values: SenderValues
) -> Explanation:
    """Why a mail that was tried at once with *values* was not taken."""
    return _explain(code, values, str(reply or ""), message)


def _explain(code: str, values: SenderValues | None, reply: str, message: str) -> Explanation:
    found = diagnose(
        code,
        reply_text=reply,
        message=message,
        host=values.host if values else "",
        port=values.port if values else None,
        security=values.security if values else None,
        username=values.username if values else None,
        from_email=values.from_email if values else "",
    )
    return Explanation(found.causes, provider_notes(values.host if values else "", reply))


def provider_notes(host: str, *texts: str) -> tuple[str, ...]:
    """What the provider of *host* has announced that explains one of these refusals.

    Args:
        texts: replies, or sentences with a reply in brackets at the end.
    """
    known = provider_of_host(host)
    if known is None:
        return ()
    day = now().date()
    begun = [one for text in texts for one in _replies(text)]
    found = [note.text for one in begun for note in known.notes_on(one, day)]
    return tuple(dict.fromkeys(found))


def _replies(text: str) -> Sequence[str]:
    """*text* as it is, and what stands in its last brackets."""
    return (text, text.rpartition("(")[2].rstrip(")"))
