"""From what a person notices to what it may be, with what is known of their own sender beside it.

Who writes "mail arrives late" has no error to start from. So each symptom of the table of causes
is shown with this sender's evidence, and the causes that the evidence makes likely come first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from smtp_admin.delivery.refusals import Refusal
from smtp_admin.diagnosis.background import background
from smtp_admin.diagnosis.causes import NOTHING, Cause, Facts, Row
from smtp_admin.diagnosis.diagnose import facts_about
from smtp_admin.diagnosis.explanation import Explanation, explain
from smtp_admin.diagnosis.table import Causes, Symptom, causes
from smtp_admin.monitor.evidence import Evidence, gather
from smtp_admin.providers.catalogue import knowledge
from smtp_admin.senders.pauses import BY_HAND
from smtp_admin.senders.resolve import ResolvedSender
from smtp_admin.translation import gettext, joined, number

#: Groups of causes that only a sender with a host of its own can have.
_OF_HOSTS = frozenset({"settings", "network", "encryption", "login"})
#: What a sign means, as a reason for a cause.
_BECAUSE = {
    "unset": gettext("Mail waits, but there is no sender."),
    "paused": gettext("The sender is paused."),
    "limit": gettext("The limit of this sender is used up."),
    "provider_limit": gettext("The provider's limit is used up."),
    "stuck": gettext("Mail waits, but none was sent in the last hour."),
    "unknown": gettext("There are mails with an unknown outcome."),
    "spf": gettext("DNS has no matching SPF record."),
    "dkim": gettext("DNS has no matching DKIM key."),
    "dmarc": gettext("DNS has no matching DMARC record."),
}


@dataclass(frozen=True, slots=True)
class Failed:
    """A kind of failure of the last 24 hours, with its explanation."""

    refusal: Refusal
    explanation: Explanation

    @property
    def cause(self) -> Cause:
        """The likeliest one."""
        return self.explanation.causes[0]


@dataclass(frozen=True, slots=True)
class Likely:
    """A cause that the evidence points to, and why it does."""

    cause: Cause
    because: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A symptom, what of the evidence belongs to it, and what it may be.

    Attributes:
        failed: the failures that show it, the newest first.
        likely: what the evidence points to; the rest are ``others``.
    """

    symptom: Symptom
    failed: tuple[Failed, ...]
    likely: tuple[Likely, ...]
    others: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Troubleshooting:
    """All symptoms of one sender."""

    evidence: Evidence
    symptoms: tuple[Shown, ...]

    def as_json(self) -> dict[str, Any]:
        """As the page shows it."""
        return {
            "evidence": self.evidence.as_json(),
            "symptoms": [_as_json(one) for one in self.symptoms],
        }


def troubleshoot(session: Session, sender: ResolvedSender) -> Troubleshooting:
    """Every symptom with the evidence of *sender*; the number of queries is always the same."""
    evidence = gather(session, sender)
    known = sender if sender.configured else None
    named = background(session, sender) if known else NOTHING
    values = known.values if known else None
    facts = facts_about("", values=values, named=named)
    failed = tuple(
        Failed(one, explain(one.code, one.cause, one.reply, values, named))
        for one in evidence.refusals
    )
    table = causes()
    rows = [row for row in table.rows if row.symptoms and _can_be(row, facts, known)]
    return Troubleshooting(
        evidence, tuple(_shown(one, table, rows, facts, evidence, failed) for one in table.symptoms)
    )


def _can_be(row: Row, facts: Facts, sender: ResolvedSender | None) -> bool:
    """Whether *row* can be a cause with this sender's settings at all."""
    if sender is not None and not sender.values.host and row.group in _OF_HOSTS:
        return False
    return _may_be_of(row.provider, facts) and row.concerns(facts)


def _may_be_of(provider: str, facts: Facts) -> bool:
    """Whether the server may be this provider's: by its host, or as a panel on one's own server."""
    if not provider or facts.provider:
        return provider in ("", facts.provider)
    return any(one.key == provider and one.kind == "own" for one in knowledge().known)


def _shown(
    symptom: Symptom,
    table: Causes,
    rows: Sequence[Row],
    facts: Facts,
    evidence: Evidence,
    failed: Sequence[Failed],
) -> Shown:
    mine = [row for row in rows if symptom.key in row.symptoms]
    seen = tuple(one for one in failed if _belongs(symptom, table, one.refusal.code, one.cause.key))
    likely: dict[str, Likely] = {}
    paused = tuple(_paused(symptom, table, evidence))
    for found in (*paused, *map(_failed, seen)):
        likely.setdefault(found.cause.key, found)
    # That it is paused says no more once it stands there what for.
    signs_left = evidence.signs - {"paused"} if paused else evidence.signs
    for row in mine:
        signs = [sign for sign in row.seen if sign in signs_left]
        if signs:
            reason = joined(_BECAUSE[sign] for sign in signs)
            likely.setdefault(row.key, Likely(row.cause(facts), reason))
    others = tuple(row.cause(facts) for row in mine if row.key not in likely)
    return Shown(symptom, seen, tuple(likely.values()), others)


def _belongs(symptom: Symptom, table: Causes, code: str, cause: str) -> bool:
    """Whether a failure with this code and cause shows *symptom*."""
    row = table.by_key.get(cause)
    return code in symptom.codes or (row is not None and symptom.key in row.symptoms)


def _paused(symptom: Symptom, table: Causes, evidence: Evidence) -> Iterator[Likely]:
    """Why the sender paused itself, where that shows *symptom* or is one of its causes."""
    card = evidence.card
    code = card.sender.pause_code
    if card.explanation is None or code == BY_HAND:
        return
    cause = card.explanation.causes[0]
    waits = any("paused" in row.seen and symptom.key in row.symptoms for row in table.rows)
    if waits or _belongs(symptom, table, code, cause.key):
        yield Likely(cause, gettext("The sender paused because of this."))


def _failed(one: Failed) -> Likely:
    count = one.refusal.count
    times = "once" if count == 1 else gettext("%(count)s times", count=number(count))
    return Likely(one.cause, gettext("Seen %(times)s in the last 24 hours.", times=times))


def _as_json(one: Shown) -> Mapping[str, Any]:
    return {
        "key": one.symptom.key,
        "title": one.symptom.title,
        "means": one.symptom.means,
        "first": one.symptom.first,
        "failures": [
            {
                "code": each.refusal.code,
                "cause": each.cause.key,
                "count": each.refusal.count,
                "last_at": _time(each.refusal.at),
                "message": each.refusal.error,
                "reply": each.refusal.reply,
                "recognised": not each.explanation.unrecognised,
            }
            for each in one.failed
        ],
        "likely": [
            {
                "key": each.cause.key,
                "cause": each.cause.what,
                "do": each.cause.do,
                "because": each.because,
            }
            for each in one.likely
        ],
        "others": [{"key": each.key, "cause": each.what, "do": each.do} for each in one.others],
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
