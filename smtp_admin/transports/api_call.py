"""What drivers share that send by calling a provider's API."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from smtp_admin.http.connection import Answer, CallBroken
from smtp_admin.http.endpoint import Endpoint
from smtp_admin.replies.meaning import NOTHING_KNOWN, Context
from smtp_admin.replies.table import Table
from smtp_admin.smtp.address import clean_address
from smtp_admin.smtp.failure import Code, SMTPFailure
from smtp_admin.smtp.redaction import Redactor, printable
from smtp_admin.smtp.reply import Reply
from smtp_admin.smtp.report import Report, StepResult
from smtp_admin.translation import gettext
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict
from smtp_admin.transports.verdicts import (
    STRANGE,
    code_of,
    of_answer,
    of_broken_call,
    strange_answer,
)

#: After a call that has left, its answer is waited for so long. Giving up early sends twice.
ANSWER_SECONDS = 60.0
#: A mail that a provider cannot digest is that mail's affair; so many in a row are the provider's.
FAULTS_IN_A_ROW = 3
_LONGEST_WORDS, _LONGEST_ID = 400, 255
_LEAST_PAUSE, _MOST_PAUSE = 1.0, 12 * 3600.0
_REACHING = frozenset({"dns", "connect", "tls", "certificate"})
#: What is behind a connection that could not be made; the words for mail servers do not fit.
_CAUSES: Mapping[Code, str] = {
    "dns_failed": "api_name",
    "connection_refused": "api_unreachable",
    "unreachable": "api_unreachable",
    "timeout": "api_unreachable",
    "connection_lost": "api_unreachable",
    "destination_not_allowed": "api_address",
    "tls_failed": "api_encryption",
    "certificate_error": "api_encryption",
}


def explained(failure: SMTPFailure) -> SMTPFailure:
    """*failure*, to reach an API, with the cause that it has for an API."""
    if failure.step in _REACHING and failure.cause != "name_service_away":
        failure.cause = _CAUSES.get(failure.code, failure.cause)
    return failure


def reply_of(status: int, words: str, redact: Redactor) -> Reply:
    """An answer as a reply, for the table of replies and for people."""
    return Reply(status, (redact(printable(" ".join(words.split())))[:_LONGEST_WORDS],))


def seconds_to_wait(answer: Answer) -> float | None:
    """What ``Retry-After`` asks for (RFC 9110 section 10.2.3), if it does."""
    text = answer.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time()
        except ValueError:
            return None
    return min(max(seconds, _LEAST_PAUSE), _MOST_PAUSE)


def unusable(mail: Outgoing) -> Outcome | None:
    """The refusal of an address that an API could read as several, or ``None``."""
    try:
        if mail.mail_from:
            clean_address(mail.mail_from)
    except ValueError as error:
        return Outcome(Verdict.PERMANENT, reason=str(error), code="sender_refused")
    try:
        clean_address(mail.recipient)
    except ValueError as error:
        return Outcome(
            Verdict.PERMANENT, reason=str(error), code="recipient_refused", bad_address=True
        )
    return None


def document_of(answer: Answer) -> dict[str, Any] | None:
    """The JSON object of an answer, or ``None``."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def id_in(answer: Answer, name: str) -> str | None:
    """What the provider calls a mail from now on, which the answer has under *name*, if it does."""
    found = (document_of(answer) or {}).get(name)
    usable = isinstance(found, str) and found and found.isprintable()
    return str(found)[:_LONGEST_ID] if usable else None


def not_accepted(answer: Answer, reply: Reply, replies: Table, context: Context) -> Outcome:
    """What it means that an answer to a mail has another status than an acceptance."""
    if reply.positive:
        return strange_answer(reply)
    return of_answer(reply, replies, context, pause=seconds_to_wait(answer))


def mark_unreached(report: Report, steps: Iterable[str], endpoint: Endpoint) -> None:
    """Add the steps of a test that were not reached."""
    have = {step.name for step in report.steps}
    plain = {"tls", "certificate"} if endpoint.scheme == "http" else set()
    for name in steps:
        if name not in have | plain:
            report.steps.append(StepResult(name, "skipped", 0.0, gettext("not reached")))


class Faults:
    """Counts the faults that a provider reports one after the other."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def weigh(self, outcome: Outcome) -> Outcome:
        """*outcome*, or the sender's failure where it is one too many."""
        fault = outcome.verdict is Verdict.TEMPORARY and outcome.code == "server_refused"
        self._in_a_row = self._in_a_row + 1 if fault else 0
        if self._in_a_row < FAULTS_IN_A_ROW:
            return outcome
        self._in_a_row = 0
        return replace(outcome, verdict=Verdict.RELEASED, health=SenderHealth.DOWN)


def refused(
    step: str, reply: Reply, replies: Table, context: Context = NOTHING_KNOWN
) -> SMTPFailure:
    """The failure of a test by an answer, as the table judges it for sending too."""
    if not (reply.temporary or reply.permanent):
        return SMTPFailure("not_api", step, STRANGE, reply=reply)
    judged = replies.judge("api", reply, context)
    return SMTPFailure(
        code_of(judged),
        step,
        judged.reason,
        reply=reply,
        cause=judged.cause,
        facts=judged.facts,
    )


def broken(step: str, call: CallBroken) -> SMTPFailure:
    """The failure of a test whose call broke off."""
    outcome = of_broken_call(call.code, sent=call.sent)
    return SMTPFailure(call.code, step, outcome.reason, cause=outcome.cause)
