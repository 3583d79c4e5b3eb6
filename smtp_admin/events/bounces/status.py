"""A delivery status (RFC 3464, in other letters RFC 6533): who was meant, and what became of it.

Servers write it with mistakes: fields of the recipient in the first group, no blank lines between
groups, one group in a part of its own. So a group begins wherever a recipient is named again.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from smtp_admin.events.bounces.mime import Part
from smtp_admin.events.bounces.report import Report, Told
from smtp_admin.events.bounces.verdict import bounce_of, code_in

KINDS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_MOST_RECIPIENTS, _MOST_LINES = 100, 4000
_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,60})[ \t]*:[ \t]*(.*)")
_STATUS = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})")
_TYPED = re.compile(r"^\s*(?:rfc ?822|utf-8|smtp|x-[\w-]+)\s*;\s*", re.IGNORECASE)
_ADDRESS = re.compile(r"<?([^\s<>,;()]{1,128}@[^\s<>,;()]{1,254}?)>?\.?(?=[\s,;()>]|$)")
_NAMES = ("original-recipient", "final-recipient", "x-actual-recipient")
_ACTIONS: Mapping[str, Told | None] = {
    "failed": "bounced",
    "failure": "bounced",
    "delayed": "deferred",
    "delivered": "delivered",
    # It left for somewhere else, or became several: neither is an end.
    "relayed": None,
    "expanded": None,
}
_BY_CLASS: Mapping[str, Told] = {"5": "bounced", "4": "deferred"}
Fields = Mapping[str, Sequence[str]]


def reports_of(parts: Iterable[Part]) -> list[Report]:
    """What all the parts of this kind say, one report for each recipient that something befell."""
    found: list[Report] = []
    for part in parts:
        if part.kind in KINDS:
            for group in groups_in(part.text):
                one = _report(group)
                if one is not None and len(found) < _MOST_RECIPIENTS:
                    found.append(one)
    return found


def groups_in(text: str) -> Iterator[Fields]:
    """The fields about each recipient; those about the whole report are no group."""
    group: dict[str, list[str]] = {}
    for name, value in _fields(text):
        # A blank line, or a recipient that is named after the last one's fields.
        if _belongs_to_next(name, group):
            if any(one in group for one in (*_NAMES, "action")):
                yield group
            group = {}
        if name:
            group.setdefault(name, []).append(value)
    if any(one in group for one in (*_NAMES, "action")):
        yield group


def fields_of_report(text: str) -> Fields:
    """Every field of the part, whoever it is about."""
    found: dict[str, list[str]] = {}
    for name, value in _fields(text):
        if name:
            found.setdefault(name, []).append(value)
    return found


def _belongs_to_next(name: str, group: Fields) -> bool:
    if not name:
        return True
    seen = "action" in group or "status" in group
    return name in _NAMES and (name in group or seen)


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """Names in small letters, and their unfolded values; an empty name is a blank line."""
    name, lines = "", list[str]()
    for line in text.split("\n", _MOST_LINES)[:_MOST_LINES]:
        if line[:1] in " \t" and line.strip() and name:
            lines.append(line.strip()[:1000])
            continue
        if name:
            yield name, " ".join(lines)[:2000]
            name = ""
        found = _FIELD.match(line[:2000])
        if found:
            name, lines = found[1].lower(), [found[2].strip()]
        elif not line.strip():
            yield "", ""
    if name:
        yield name, " ".join(lines)[:2000]


def _report(group: Fields) -> Report | None:
    status_found = _STATUS.search(_first(group, "status"))
    status = status_found[0] if status_found else ""
    action = re.match(r"[a-z]*", _first(group, "action").lower())
    word = action[0] if action else ""
    if word in _ACTIONS:
        what = _ACTIONS[word]
    elif status_found:
        what = _BY_CLASS.get(status_found[1])
    else:
        what = None
    if what is None:
        return None
    words = " ".join(
        one
        for name in ("diagnostic-code", "x-supplementary-info", "x-display-name", "x-notes-info")
        for one in group.get(name, ())
        if name != "x-display-name"
    )
    return Report(
        what,
        tuple(_recipients(group)),
        bounce_of(status, words) if what == "bounced" else "",
        code_in(status, words),
        _TYPED.sub("", words).strip(),
    )


def _recipients(group: Fields) -> Iterator[str]:
    seen = set[str]()
    for name in _NAMES:
        for value in group.get(name, ()):
            bare = _xtext(_TYPED.sub("", value))
            found = _ADDRESS.search(bare)
            if found and found[1].lower() not in seen:
                seen.add(found[1].lower())
                yield found[1]


def _xtext(text: str) -> str:
    """Undo the ``+2B`` by which Original-Recipient may write letters (RFC 3461, section 4)."""
    return re.sub(r"\+([2-7][0-9A-F])(?=[^\s]*@)", lambda found: chr(int(found[1], 16)), text)


def time_in(text: str) -> datetime | None:
    """A time as mail writes it, aware; ``None`` where it is none."""
    try:
        found = parsedate_to_datetime(text[:100])
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _first(group: Fields, name: str) -> str:
    return next(iter(group.get(name, ())), "")
