"""Read a mail that came back: a delivery status first, then plain words, then a second opinion.

Nothing that anybody can put into a mail makes this raise, or take long.
"""

import re
from collections.abc import Iterable, Sequence
from email.message import Message

from smtp_admin.events.bounces import status, words
from smtp_admin.events.bounces.mime import (
    MOST_BYTES,
    Part,
    head_of,
    kind_of,
    parameter_of,
    parts_of,
    value_of,
)
from smtp_admin.events.bounces.opinion import second_opinion
from smtp_admin.events.bounces.report import By, Reading, Report

_RETURNED_MAIL = frozenset({"message/rfc822", "message/global", "message/partial"})
_RETURNED_HEAD = frozenset(
    {"text/rfc822-headers", "message/rfc822-headers", "message/global-headers"}
)
_TEXTS = frozenset({"text/plain", "text/html"})
_OTHER_REPORTS = {
    "disposition-notification": "It says whether a mail was read.",
    "feedback-report": "It is a complaint of a feedback loop, which comes by webhooks.",
    "tlsrpt": "It is a report about encryption.",
}
_ADDRESSED = (
    "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Delivered-To", "To",
    "X-Rcpt-To", "Apparently-To",
)  # fmt: skip
_MOST_ADDRESSES = 20
_RETURN_PATH = re.compile(r"^Return-Path:(.{0,400})", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(r"[^\s<>,;:()\"]{1,64}@[^\s<>,;:()\"]{1,253}")
_ID = re.compile(r"<([^<>\s]{3,250})>")


def read(content: bytes) -> Reading:
    """What *content*, a mail as it came, says about mail that was sent."""
    content = content[:MOST_BYTES]
    head, _ = head_of(content)
    parts = list(parts_of(content))
    reports, by, why = _judged(head, parts, content)
    return Reading(
        reports=tuple(reports),
        by=by,
        why=why,
        message_ids=_returned_ids(parts),
        addresses=_addressed(head, parts),
        own_id=_bare(value_of(head, "Message-ID")),
        at=status.time_in(value_of(head, "Date")),
    )


def _judged(head: Message, parts: Sequence[Part], content: bytes) -> tuple[list[Report], By, str]:
    kind = (
        parameter_of(head, "report-type").lower() if kind_of(head).startswith("multipart") else ""
    )
    if kind in _OTHER_REPORTS:
        return [], "status", _OTHER_REPORTS[kind]
    if any(one.kind in status.KINDS for one in parts):
        reports = status.reports_of(parts)
        if reports:
            return _explained(reports, parts), "status", ""
        return [], "status", "It reports no failure and no delay."
    if not words.is_from_a_system(head):
        return [], "words", "It is no report of a mail server: an answer, or a mail of a person."
    for notice in _notices(parts):
        reports = words.reports_in(head, notice)
        if reports and reports[0].recipients:
            return reports, "words", ""
    reports = second_opinion(content)
    if reports:
        return reports, "second opinion", ""
    for notice in _notices(parts):
        if reports := words.reports_in(head, notice):
            return reports, "words", ""
    return [], "words", "It names no failure that is known here."


def _explained(reports: list[Report], parts: Sequence[Part]) -> list[Report]:
    """*reports*, with the server's words from the text where a single one has none of its own."""
    only = reports[0] if len(reports) == 1 else None
    if only is None or only.words or only.kind != "bounced":
        return reports
    for notice in _notices(parts):
        blocks = words.said_of(notice)
        said = next((blocks[one] for one in blocks if one.lower() in _lower(only.recipients)), "")
        if said:
            return [words.with_words(only, said)]
    return reports


def _lower(addresses: Iterable[str]) -> set[str]:
    return {one.lower() for one in addresses}


def _notices(parts: Iterable[Part]) -> list[str]:
    """What the server says, the plainest first."""
    texts = [one for one in parts if one.kind in _TEXTS]
    texts.sort(key=lambda one: one.kind == "text/html")
    return [words.notice_in(one)[0] for one in texts[:3]]


def _returned_ids(parts: Iterable[Part]) -> tuple[str, ...]:
    """Message-IDs of what came back; that of the report itself, and of answers, are no such."""
    found: list[str] = []
    for one in parts:
        if one.kind in _RETURNED_MAIL:
            inside, _ = head_of(one.body)
            found += _ID.findall(value_of(inside, "Message-ID"))
        elif one.kind in _RETURNED_HEAD:
            found += words.ids_in(one.text + "\n")
        elif one.kind in status.KINDS:
            fields = status.fields_of_report(one.text)
            for name in ("x-original-message-id", "original-message-id"):
                found += [each for value in fields.get(name, ()) for each in _ID.findall(value)]
        elif one.kind in _TEXTS:
            found += words.ids_in(words.notice_in(one)[1])
    return tuple(dict.fromkeys(found))[:5]


def _addressed(head: Message, parts: Iterable[Part]) -> tuple[str, ...]:
    """Where the report was sent, and the envelope sender of what came back."""
    values = [str(each) for name in _ADDRESSED for each in (head.get_all(name) or ())[:5]]
    for one in parts:
        if one.kind in _RETURNED_MAIL:
            values.append(value_of(head_of(one.body)[0], "Return-Path"))
        elif one.kind in _RETURNED_HEAD:
            values += re.findall(
                r"^Return-Path:(.{0,400})$", one.text, re.IGNORECASE | re.MULTILINE
            )[:2]
    found = [each for value in values for each in _ADDRESS.findall(value[:2000])]
    return tuple(dict.fromkeys(found))[:_MOST_ADDRESSES]


def _bare(text: str) -> str:
    found = _ID.search(text)
    return found[1] if found else ""
