"""What DMARC says of a domain (RFC 9989, which follows RFC 7489): its policy, and whose it is.

Which domain an address finally belongs to is decided as RFC 9989 does it: by walking up the name
and looking for DMARC records, at most eight of them. No list of public suffixes is needed, which
would be out of date in every installation. Without any record a domain stands for itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.nameserver import LookupFailed, NameService
from smtp_admin.translation import gettext

Policy = Literal["none", "quarantine", "reject"]
_POLICIES: dict[str, Policy] = {"none": "none", "quarantine": "quarantine", "reject": "reject"}
_VERSION = re.compile(r"\s*v\s*=\s*DMARC1\s*(?:;|\Z)")
_MOST_LABELS = 8
_REPORT = re.compile(r"mailto:[^@\s,;!]+@[^@\s,;!]+(?:![0-9]+[kmgt]?)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """A DMARC record.

    Attributes:
        domain: whose it is, without the ``_dmarc``.
        policy: what receivers are asked to do; ``None`` if that is missing or misspelt.
        subdomains: the same for names below.
        reports: where reports are sent, ``mailto:`` included.
        strict_spf: whether the envelope's domain must be the same to the letter.
        psd: ``y`` for the domain of a registry, ``n`` for one that says it is none, else ``u``.
        testing: whether receivers are asked not to act on it yet.
        problems: what is wrong with it.
    """

    domain: str
    text: str
    policy: Policy | None
    subdomains: Policy | None
    reports: tuple[str, ...] = ()
    strict_spf: bool = False
    psd: str = "u"
    testing: bool = False
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How DMARC applies to one domain.

    Attributes:
        record: the one that applies, or ``None``.
        organization: the domain it finally belongs to.
        several: the domain that has more than one record, which counts as none; or ``""``.
    """

    record: Record | None
    organization: str
    several: str = ""


def parse(domain: str, text: str) -> Record:
    """The record *text* of *domain*; what is unknown in it is passed over, as receivers do."""
    tags: dict[str, str] = {}
    problems = []
    for part in text.split(";"):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if equals:
            tags.setdefault(name.lower(), value)
        elif part.strip():
            problems.append(
                gettext("“%(part)s” is not of the form name=value.", part=part.strip()[:80])
            )
    policy = _POLICIES.get(tags.get("p", "").lower())
    if policy is None:
        said = (
            gettext("“p=%(policy)s” is not known", policy=tags["p"][:80])
            if "p" in tags
            else gettext("it has no policy (p=)")
        )
        problems.append(gettext("%(said)s; some receivers then ignore the record.", said=said))
    reports = [address.strip() for address in tags.get("rua", "").split(",") if address.strip()]
    problems += [
        gettext(
            "“%(address)s” is not a report address. It should start with mailto:.",
            address=address[:80],
        )
        for address in reports
        if not _REPORT.fullmatch(address)
    ]
    return Record(
        domain=domain,
        text=text,
        policy=policy,
        subdomains=_POLICIES.get(tags.get("sp", "").lower(), policy),
        reports=tuple(reports),
        strict_spf=tags.get("aspf", "r").lower() == "s",
        psd=tags.get("psd", "u").lower(),
        testing=tags.get("t", "n").lower() == "y" or tags.get("pct") == "0",
        problems=tuple(problems),
    )


def find(domain: str, names: NameService, overall: Deadline) -> Standing:
    """Which record applies to *domain*, and to which organization it belongs.

    Raises:
        LookupFailed: DNS did not answer where the answer is needed.
    """
    found: list[Record] = []
    several = ""
    organization = ""
    previous = domain
    for name in _upwards(domain):
        try:
            texts = names.txt(f"_dmarc.{name}", overall).records
        except LookupFailed:
            if found and found[0].domain == domain:
                break  # its own record applies, whatever stands above
            raise
        texts = tuple(text for text in texts if _VERSION.match(text))
        if len(texts) > 1:
            several = several or name
        if len(texts) == 1:
            record = parse(name, texts[0])
            found.append(record)
            if record.psd in {"y", "n"}:
                organization = name if record.psd == "n" else previous
                break
        previous = name
    organization = organization or (found[-1].domain if found else domain)
    return Standing(_applying(domain, organization, found), organization, several)


def _applying(domain: str, organization: str, found: list[Record]) -> Record | None:
    """The domain's own record, else its organization's, else that of the registry above."""
    for wanted in (domain, organization):
        for record in found:
            if record.domain == wanted:
                return record
    return found[-1] if found and found[-1].psd == "y" else None


def _upwards(domain: str) -> Iterator[str]:
    """The domain, then the names above it: eight at most, so long names skip the middle."""
    labels = domain.split(".")
    yield domain
    if len(labels) > _MOST_LABELS:
        labels = labels[-_MOST_LABELS:]
    for start in range(1, len(labels)):
        yield ".".join(labels[start:])
