"""The SPF, DKIM and DMARC records that a domain should have, ready to copy.

A domain has one SPF record. So the one to copy holds everything that is valid now, and what is
missing: a record to add beside it would make receivers ignore both.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from smtp_admin.deliverability import spf
from smtp_admin.smtp.address import clean_address, domain_of
from smtp_admin.smtp.hostname import ip_literal
from smtp_admin.translation import gettext

Subject = Literal["spf", "dkim", "dmarc", "alignment", "mx"]
Status = Literal["ok", "warning", "missing", "unknown"]
_INSIDE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip
_INSIDE_NOTE = gettext(
    "“v=spf1 ip4:ADDRESS ~all”, with the public IP address of your server. Its own address is "
    "private and not visible outside."
)
_MOST_SHOWN = 5
_LONGEST_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Sending:
    """The way that mail takes, as far as DNS has to know it.

    Attributes:
        from_email: the From address, which is also the envelope sender.
        provider: its name, for people.
        spf_include: what the provider wants in the SPF record, with or without ``include:``.
        host: the mail server; stands in the SPF record where no provider is known.
        selectors: of the provider's DKIM keys, where they are the same for everybody.
        dkim_hint: where the provider shows its DKIM records.
        envelope_domain: the domain of the envelope sender, where the provider puts another one.
        own_envelope: off if the provider uses its own envelope sender, whatever it is.
    """

    from_email: str
    provider: str = ""
    spf_include: str = ""
    host: str = ""
    selectors: Sequence[str] = ()
    dkim_hint: str = ""
    envelope_domain: str = ""
    own_envelope: bool = True

    @property
    def domain(self) -> str:
        """The domain of the From address.

        Raises:
            ValueError: it is no address.
        """
        return domain_of(clean_address(self.from_email))

    @property
    def envelope(self) -> str:
        """The domain whose SPF record counts."""
        return self.envelope_domain.lower() or self.domain

    @property
    def include(self) -> str:
        """The domain that the provider wants included, alone."""
        return self.spf_include.strip().lower().removeprefix("include:").removesuffix(".")


@dataclass(frozen=True, slots=True)
class Check:
    """What DNS says of one subject.

    Attributes:
        code: which case it is, stable over versions.
        found: the records as they are.
    """

    subject: Subject
    status: Status
    code: str
    message: str
    hint: str = ""
    found: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As the page shows it."""
        return {
            "subject": self.subject,
            "status": self.status,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "found": _shown(self.found),
        }


@dataclass(frozen=True, slots=True)
class Record:
    """A record to copy into the DNS of the domain.

    Attributes:
        value: empty where only the provider, or whoever runs the server, knows it.
        note: what to know about it.
        replaces: what it takes the place of; empty if it is new.
    """

    subject: Subject
    name: str
    type: str
    value: str
    note: str
    replaces: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As the page shows it."""
        return {
            "subject": self.subject,
            "name": self.name,
            "type": self.type,
            "value": self.value,
            "note": self.note,
            "replaces": _shown(self.replaces),
        }


def records_to_copy(sending: Sending, checks: Sequence[Check] = ()) -> tuple[Record, ...]:
    """The records that would make mail of *sending* believed.

    Args:
        checks: what DNS says now. What is right, or could not be looked up, is left out.

    Raises:
        ValueError: the From address is none.
    """
    now = {one.subject: one for one in checks}
    wanted = [
        record
        for record in (
            _spf(sending, now["spf"].found if "spf" in now else ()),
            _dkim(sending),
            _dmarc(sending.domain),
        )
        if record is not None
    ]
    return tuple(one for one in wanted if _needed(one, now.get(one.subject)))


def _needed(record: Record, now: Check | None) -> bool:
    if now is None or now.status == "missing" or now.code == "dkim_selector_unknown":
        return True
    # A DMARC record with a mistake is to be mended; the beginner's one would undo its policy.
    return now.status == "warning" and record.subject != "dmarc"


def _spf(sending: Sending, now: Sequence[str]) -> Record | None:
    value = merged_spf(sending, now)
    if not value and not now and _stands_inside(sending):
        return Record("spf", sending.envelope, "TXT", "", _INSIDE_NOTE)
    if not value or list(now) == [value]:
        return None
    note = (
        gettext(
            "A domain has only one SPF record. This one replaces the existing one "
            "and keeps its valid parts."
        )
        if now
        else gettext(
            "A domain has only one SPF record. If other services send for you "
            "too, add them before “~all”."
        )
    )
    return Record("spf", sending.envelope, "TXT", value, note, tuple(now))


def merged_spf(sending: Sending, now: Sequence[str]) -> str:
    """One record with everything valid of *now* and what the provider wants; ``""`` if unknown."""
    kept: list[spf.Term] = []
    for text in now:
        for word in text.split()[1:]:
            try:
                term = spf.parse_term(word)
            except ValueError:
                continue
            if term.text.lower() not in {one.text.lower() for one in kept}:
                kept.append(term)
    endings = [one.qualifier for one in kept if one.name == "all" and not one.modifier]
    redirects = [one.value for one in kept if one.name == "redirect" and one.modifier]
    words = [one.text for one in kept if one.name not in {"all", "redirect"}]
    # Of one record, the redirect stays what it is; of several, only an include can stand for it.
    stays = len(redirects) == 1 and not endings
    words += [] if stays else [f"include:{value}" for value in redirects if not endings]
    wanted = _wanted(sending, now)
    if wanted and wanted not in {word.lower().removeprefix("+") for word in words}:
        words.append(wanted)
    if not words and not redirects:
        return ""
    if stays:
        words.append(f"redirect={redirects[0]}")
    else:
        # Of several endings the milder one counts, and none that lets everybody through.
        words.append("-all" if set(endings) == {"-"} else "~all")
    return " ".join(["v=spf1", *words])


def _wanted(sending: Sending, now: Sequence[str]) -> str:
    if not sending.own_envelope and not sending.envelope_domain:
        return ""
    if sending.include:
        return f"include:{sending.include}"
    if not sending.host or now:
        return ""
    if _stands_inside(sending):
        return ""
    address = ip_literal(sending.host)
    return f"ip{address.version}:{address}" if address else f"a:{sending.host}"


def _stands_inside(sending: Sending) -> bool:
    """Whether nobody outside sees the server's address: its mail comes from another one."""
    if sending.include or not sending.own_envelope:
        return False
    address = ip_literal(sending.host) if sending.host else None
    inside = address is not None and any(
        address.version == one.version and address in one for one in _INSIDE
    )
    return inside or sending.host == "localhost"


def _dkim(sending: Sending) -> Record:
    maker = sending.provider or gettext("Your provider")
    hint = gettext(
        "%(maker)s creates the key, and shows the record to copy when you switch on DKIM.",
        maker=maker,
    )
    selector = sending.selectors[0] if sending.selectors else "selector"
    name = f"{selector}._domainkey.{sending.domain}"
    return Record("dkim", name, "TXT or CNAME", "", sending.dkim_hint or hint)


def _dmarc(domain: str) -> Record:
    note = gettext(
        "Enter a mailbox that someone reads. “p=none” only collects reports. "
        "When they show that your own mail passes, change it to quarantine, "
        "then to reject."
    )
    value = f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"
    return Record("dmarc", f"_dmarc.{domain}", "TXT", value, note)


def _shown(texts: Sequence[str]) -> list[str]:
    """Not more than a page can bear: a stranger's name server may answer with 64 kB."""
    return [text[:_LONGEST_SHOWN] for text in texts[:_MOST_SHOWN]]
