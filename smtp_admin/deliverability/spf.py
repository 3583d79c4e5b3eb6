"""What the SPF record of a domain says (RFC 7208): read, and followed through its includes.

No mail is judged here. The question is whether receivers can use the record at all, how many
lookups it costs them, and who may send by it.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.nameserver import NameService
from smtp_admin.translation import gettext

#: More lookups than this and receivers treat the record as broken (RFC 7208 section 4.6.4).
MOST_LOOKUPS = 10
_MOST_FOLLOWED = 25
_COSTS_A_LOOKUP = {"include", "a", "mx", "ptr", "exists", "redirect"}
_NEEDS_DOMAIN = {"include", "exists", "redirect", "exp"}
_MECHANISMS = {"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"}
_VERSION = re.compile(r"v=spf1(?: |\Z)", re.IGNORECASE)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE)
_DIRECTIVE = re.compile(r"([+?~-]?)([a-z][a-z0-9_.-]*)(?::([^/]*))?((?:/.*)?)", re.IGNORECASE)
_MACRO = re.compile(r"%\{[slodiphcrtv][0-9]{0,3}r?[.+,/_=-]*\}|%[%_-]", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+\.?", re.IGNORECASE)
_PREFIXES = re.compile(r"(?:/([0-9]{1,2}))?(?://([0-9]{1,3}))?")
_BITS_4, _BITS_6 = 32, 128


@dataclass(frozen=True, slots=True)
class Term:
    """One term: ``~include:example.com`` is ``~``, ``include``, ``example.com``.

    Attributes:
        qualifier: ``+`` (also where none is written), ``-``, ``~`` or ``?``.
        value: the domain or network; empty where there is none.
        text: as it is written.
        modifier: whether it is written with ``=``.
    """

    qualifier: str
    name: str
    value: str
    text: str
    modifier: bool = False

    @property
    def domain(self) -> str:
        """The domain to ask, or ``""`` if there is none or it depends on the mail (a macro)."""
        return "" if "%" in self.value else self.value.lower().removesuffix(".")


@dataclass(slots=True)
class Report:
    """What a record means, with everything that it includes.

    Attributes:
        texts: the SPF records of the domain itself.
        problems: why receivers would treat it as broken; empty if they would not.
        lookups: how many a receiver needs at most; counted up to a limit.
        senders: the domains whose senders may send, by include or redirect.
        ending: the qualifier of the ``all`` that applies in the end, or ``""``.
        everybody: whether anybody at all may send.
        depends: terms that cannot be followed, since they depend on the single mail.
    """

    texts: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)
    lookups: int = 0
    senders: set[str] = field(default_factory=set)
    ending: str = ""
    everybody: bool = False
    depends: list[str] = field(default_factory=list)


def records_of(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Those of *texts* that are SPF records."""
    return tuple(text for text in texts if _VERSION.match(text))


def parse(text: str) -> list[Term]:
    """The terms of the record *text*.

    Raises:
        ValueError: receivers would reject it; says which term, and why.
    """
    terms = [parse_term(word) for word in text.split()[1:]]
    for modifier in ("redirect", "exp"):
        if sum(one.modifier and one.name == modifier for one in terms) > 1:
            raise ValueError(gettext("“%(modifier)s=” is in it twice.", modifier=modifier))
    return terms


def follow(domain: str, names: NameService, overall: Deadline) -> Report:
    """Read the record of *domain* and everything that it includes.

    Raises:
        LookupFailed: DNS did not answer, so nothing can be said.
    """
    report = Report(texts=records_of(names.txt(domain, overall).records))
    if len(report.texts) == 1:
        walk = _Walk(report, names, overall)
        report.ending = walk.visit(domain, report.texts[0], (domain,), passing=True)
        report.everybody = report.everybody or report.ending == "+"
    return report


class _Walk:
    """Goes through a record as a receiver does whose sender matches nothing."""

    def __init__(self, report: Report, names: NameService, overall: Deadline) -> None:
        self._report = report
        self._names = names
        self._overall = overall
        self._known: dict[str, tuple[str, ...]] = {}

    def visit(self, domain: str, text: str, way: tuple[str, ...], *, passing: bool) -> str:
        """Visit one record; returns the qualifier of the ``all`` that ends it.

        Args:
            way: the domains that lead here, this one included.
            passing: whether who matches here may send, seen from the beginning.
        """
        report = self._report
        try:
            terms = parse(text)
        except ValueError as error:
            report.problems.append(
                gettext(
                    "The record of %(domain)s is malformed: %(error)s", domain=domain, error=error
                )
            )
            return ""
        for term in _in_effect(terms):
            if term.name in _COSTS_A_LOOKUP:
                report.lookups += 1
            if term.name == "all":
                return term.qualifier
            if term.name == "include":
                may_send = passing and term.qualifier == "+"
                ending = self._enter(term, way, passing=may_send)
                report.everybody = report.everybody or (may_send and ending == "+")
            elif term.name == "redirect":
                return self._enter(term, way, passing=passing)
            elif term.text.endswith("/0") and passing and term.qualifier == "+":
                report.everybody = True
        return ""

    def _enter(self, term: Term, way: tuple[str, ...], *, passing: bool) -> str:
        report = self._report
        target = term.domain
        if not target:
            report.depends.append(term.text)
            return ""
        if report.lookups > _MOST_FOLLOWED:
            return ""
        if passing:
            report.senders.add(target)
        if target in way:
            report.problems.append(
                gettext(
                    "“%(text)s” in the record of %(way)s leads back to itself.",
                    text=term.text,
                    way=way[-1],
                )
            )
            return ""
        if target not in self._known:
            self._known[target] = records_of(self._names.txt(target, self._overall).records)
        found = self._known[target]
        if len(found) != 1:
            how = gettext("no SPF record") if not found else gettext("more than one SPF record")
            report.problems.append(
                gettext(
                    "“%(text)s” in the record of %(way)s leads to %(target)s, which has %(how)s.",
                    text=term.text,
                    way=way[-1],
                    target=target,
                    how=how,
                )
            )
            return ""
        return self.visit(target, found[0], (*way, target), passing=passing)


def _in_effect(terms: list[Term]) -> Iterator[Term]:
    """The terms that a receiver comes to: nothing after ``all``, then ``redirect``."""
    for term in terms:
        if not term.modifier:
            yield term
            if term.name == "all":
                return
    yield from (term for term in terms if term.modifier and term.name == "redirect")


def parse_term(word: str) -> Term:
    """The term that *word* spells.

    Raises:
        ValueError: receivers would reject it; says why.
    """
    modifier = _MODIFIER.fullmatch(word)
    if modifier:
        name = modifier[1].lower()
        if name in _NEEDS_DOMAIN:
            _check_domain(word, modifier[2])
        return Term("+", name, modifier[2], word, modifier=True)
    found = _DIRECTIVE.fullmatch(word)
    if not found or found[2].lower() not in _MECHANISMS:
        raise ValueError(gettext("“%(word)s” is not known.", word=word[:80]))
    name, value, rest = found[2].lower(), found[3], found[4]
    if name in {"ip4", "ip6"}:
        # The colons of an IPv6 address stand where other terms have a domain.
        value = word.partition(":")[2]
        _check_network(word, name, value)
    elif name in {"a", "mx"}:
        if value is not None:
            _check_domain(word, value)
        _check_prefixes(word, rest)
    elif rest or (name == "all" and value is not None):
        raise ValueError(gettext("“%(word)s” has too much text after its name.", word=word[:80]))
    elif name in _NEEDS_DOMAIN or value is not None:
        _check_domain(word, value or "")
    return Term(found[1] or "+", name, value or "", word)


def _check_domain(word: str, domain: str) -> None:
    plain = _MACRO.sub("x", domain)
    fits = _NAME.fullmatch(plain) if plain == domain else "%" not in plain and plain.isprintable()
    if not fits:
        raise ValueError(gettext("“%(word)s” names no domain.", word=word[:80]))


def _check_prefixes(word: str, rest: str) -> None:
    found = _PREFIXES.fullmatch(rest)
    if not found or int(found[1] or 0) > _BITS_4 or int(found[2] or 0) > _BITS_6:
        raise ValueError(gettext("“%(word)s” has a wrong prefix length.", word=word[:80]))


def _check_network(word: str, name: str, value: str) -> None:
    kind = ipaddress.IPv4Network if name == "ip4" else ipaddress.IPv6Network
    prefix = value.partition("/")[2]
    try:
        kind(value, strict=False)
    except ValueError:
        raise ValueError(
            gettext("“%(word)s” is no %(name)s network.", word=word[:80], name=name)
        ) from None
    if "/" in value and not prefix.isdigit():
        raise ValueError(gettext("“%(word)s” is no %(name)s network.", word=word[:80], name=name))
