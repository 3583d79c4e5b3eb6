"""Why a sender is paused or a mail was not sent, for whoever looks at it: causes and notes.

The connection test has the server in front of it; here only what was written down is left. The
causes come from the same table, and the provider's own warnings (a date after which passwords
stop working, for example) stand beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smtp_admin.clock import now
from smtp_admin.delivery.queries import Followed
from smtp_admin.diagnosis.background import background
from smtp_admin.diagnosis.causes import NOTHING, Cause
from smtp_admin.diagnosis.diagnose import code_of_delivery, diagnose, facts_about
from smtp_admin.diagnosis.report import refusal_text
from smtp_admin.providers.catalogue import provider_of_host
from smtp_admin.senders.resolve import ResolvedSender, load_sender_by_id
from smtp_admin.senders.values import SenderValues
from smtp_admin.suppression.reasons import CODE as SUPPRESSED
from smtp_admin.translation import joined, known
from smtp_admin.transports.outcome import Outcome

#: What became of a mail where there is nothing to explain.
_FINE = frozenset({"sending", "sent", "delivered", "cancelled"})


@dataclass(frozen=True, slots=True)
class Explanation:
    """The likely causes, most likely first, and what the provider's customers should know.

    Attributes:
        unrecognised: the server's words, where the table of replies does not know them.
        report: then, what to send to whoever runs the server.
    """

    causes: tuple[Cause, ...]
    notes: tuple[str, ...] = ()
    unrecognised: str = ""
    report: str = ""

    @property
    def hint(self) -> str:
        """The first cause and what to do about it."""
        return joined((self.causes[0].what, self.causes[0].do))

    def as_json(self) -> list[dict[str, str]]:
        """The causes for a script; the notes are for people."""
        return [{"key": one.key, "cause": one.what, "do": one.do} for one in self.causes]


def explain_pause(session: Session, sender: ResolvedSender) -> Explanation | None:
    """Why *sender* paused itself; ``None`` if it did not."""
    if not sender.pause_code:
        return None
    return _explain(session, sender, sender.pause_code, sender.pause_cause, sender.pause_reply)


def explain_delivery(
    session: Session,
    state: str,
    last_code: str,
    *,
    cause: str = "",
    uncertains: int = 0,
    reply: str = "",
    sender: ResolvedSender | None = None,
) -> Explanation | None:
    """Why a delivery is in *state*; ``None`` where nothing is wrong, or it only waits its turn.

    Args:
        cause: the key that was written down with it, and *reply* the server's words.
        sender: its sender, if that is still known.
    """
    if state in _FINE or (state == "queued" and not last_code):
        return None
    if state == "suppressed" and last_code not in {"", SUPPRESSED}:
        return None  # a limit kept it back, and the mail itself says which
    code = code_of_delivery(state, last_code, uncertains)
    # Where the state says more than the code, so it does than what was behind the code.
    # What was kept back no server saw, whatever one said of an earlier attempt.
    named = (cause, reply) if code == last_code and code != SUPPRESSED else ("", "")
    return _explain(session, sender, code, *named)


def explain_followed(session: Session, found: Followed) -> Explanation | None:
    """Why a mail that somebody follows is where it is; ``None`` as above."""
    if found.state in _FINE:
        return None  # before its sender is looked up
    return explain_delivery(
        session,
        found.state,
        found.code,
        cause=found.cause,
        uncertains=found.uncertains,
        reply=found.reply,
        sender=load_sender_by_id(session, found.sender_id),
    )


def explain_refusal(outcome: Outcome, values: SenderValues) -> Explanation:
    """Why a mail that was tried at once with *values* was not taken."""
    said = str(outcome.reply or "")
    return explain(outcome.code, outcome.cause, said, values, outcome.facts)


def _explain(
    session: Session, sender: ResolvedSender | None, code: str, cause: str, reply: str
) -> Explanation:
    known = background(session, sender, code) if sender else NOTHING
    return explain(code, cause, reply, sender.values if sender else None, known)


def explain(
    code: str,
    cause: str,
    said: str,
    values: SenderValues | None,
    named: Mapping[str, str] = NOTHING,
) -> Explanation:
    """What a failure with this code comes from, by what was written down of it.

    Args:
        cause: the key that was written down with it, and *said* the server's words.
        values: of its sender, where they are known, and *named* what else is.
    """
    found = diagnose(facts_about(code, cause=cause, said=said, values=values, named=named))
    notes = provider_notes(values.host if values else "", said)
    report = refusal_text(code, said, values) if found.unrecognised else ""
    return Explanation(found.causes, notes, found.unrecognised, report)


def provider_notes(host: str, reply: str) -> tuple[str, ...]:
    """What the provider of *host* has announced that explains this refusal."""
    provider = provider_of_host(host)
    if provider is None or not reply:
        return ()
    found = [known(note.text) for note in provider.notes_on(reply, now().date())]
    return tuple(dict.fromkeys(found))
