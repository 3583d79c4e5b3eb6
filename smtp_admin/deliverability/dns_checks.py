"""What DNS says now of one domain: a status and a sentence for each of SPF, DKIM, DMARC and MX.

What could not be looked up is ``unknown``, never ``missing``: nobody should publish a second
record because a name server was slow.
"""

from smtp_admin.deliverability import dmarc, spf
from smtp_admin.deliverability.dkim import key_problem
from smtp_admin.deliverability.dns_records import Check, Sending, Status, Subject
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.hostname import clean_host, ip_literal
from smtp_admin.smtp.nameserver import LookupFailed, NameService
from smtp_admin.translation import gettext, joined

_MOST_MX_LOOKED_UP = 3
_MOST_SELECTORS = 6
_ALL_OTHERS = gettext("End it with “~all” or “-all”.")


def _look_for(what: str) -> str:
    return gettext(
        "Send a test mail and look for “%(what)s=pass” in its Authentication-Results.", what=what
    )


def check_spf(sending: Sending, names: NameService, limit: Deadline) -> Check:
    """Whether the record of the envelope's domain can be used, and lets the provider send."""
    domain = sending.envelope
    try:
        report = spf.follow(domain, names, limit)
    except LookupFailed as failure:
        return _unknown("spf", failure)
    if not sending.own_envelope and not sending.envelope_domain:
        message = gettext(
            "%(provider)s uses its own envelope sender, so the SPF record of %(domain)s does not "
            "count for its mail.",
            provider=sending.provider or gettext("The provider"),
            domain=domain,
        )
        return Check("spf", "ok", "spf_elsewhere", message, "", report.texts)
    broken = _broken_spf(domain, report)
    status, code, message, hint = broken or _judge_spf(sending, report)
    return Check("spf", status, code, message, hint, report.texts)


def _broken_spf(domain: str, report: spf.Report) -> tuple[Status, str, str, str] | None:
    """Why receivers cannot use the record at all, or ``None``."""
    if not report.texts:
        message = gettext(
            "%(domain)s has no SPF record, so DNS does not say who may send.", domain=domain
        )
        return "missing", "spf_missing", message, gettext("Publish the record below.")
    if len(report.texts) > 1:
        message = gettext(
            "%(domain)s has %(texts)s SPF records. Receivers then use none of them.",
            domain=domain,
            texts=len(report.texts),
        )
        return "warning", "spf_several", message, gettext("Merge them into one record, as below.")
    if report.problems:
        more = (
            gettext("There are %(number)s more.", number=len(report.problems) - 1)
            if len(report.problems) > 1
            else ""
        )
        hint = gettext("Until you fix it, receivers treat the whole record as broken.")
        return "warning", "spf_invalid", joined((report.problems[0], more)), hint
    if report.lookups > spf.MOST_LOOKUPS:
        message = gettext(
            "The record needs %(lookups)s lookups; receivers give up after "
            "%(most)s, and treat it as broken.",
            lookups=report.lookups,
            most=spf.MOST_LOOKUPS,
        )
        hint = gettext("Remove includes of services that no longer send for you.")
        return "warning", "spf_too_many_lookups", message, hint
    return None


def _judge_spf(sending: Sending, report: spf.Report) -> tuple[Status, str, str, str]:
    valid = gettext(
        "The record is valid (%(lookups)s of %(most)s lookups)",
        lookups=report.lookups,
        most=spf.MOST_LOOKUPS,
    )
    provider = sending.provider or sending.include
    if report.everybody:
        message = gettext("The record allows everyone to send for this domain.")
        return "warning", "spf_everybody", message, _ALL_OTHERS
    if sending.include and sending.include not in report.senders:
        if report.depends:
            message = gettext(
                "%(valid)s. Whether %(provider)s may send depends on each mail (%(depends)s).",
                valid=valid,
                provider=provider,
                depends=", ".join(report.depends)[:200],
            )
            return "unknown", "spf_depends", message, _look_for("spf")
        message = gettext(
            "%(valid)s, but “include:%(include)s” is missing: %(provider)s may not send.",
            valid=valid,
            include=sending.include,
            provider=provider,
        )
        return (
            "warning",
            "spf_provider_missing",
            message,
            gettext("Replace it with the record below."),
        )
    if report.ending in {"", "?"}:
        message = gettext(
            "%(valid)s, but does not say what to do with mail from other servers.", valid=valid
        )
        return "warning", "spf_neutral", message, _ALL_OTHERS
    if sending.include:
        return (
            "ok",
            "spf_ok",
            gettext("%(valid)s and lets %(provider)s send.", valid=valid, provider=provider),
            "",
        )
    message = gettext(
        "%(valid)s. The check does not know whether your mail server is in it.", valid=valid
    )
    return "ok", "spf_valid", message, _look_for("spf")


def check_dkim(sending: Sending, names: NameService, limit: Deadline) -> Check:
    """Whether there is a usable key under the names that the provider uses."""
    if not sending.selectors:
        message = gettext(
            "Only the provider knows the name of the DKIM key, so the check cannot look it up."
        )
        return Check("dkim", "unknown", "dkim_selector_unknown", message, _look_for("dkim"))
    places = [f"{one}._domainkey.{sending.domain}" for one in sending.selectors[:_MOST_SELECTORS]]
    found: list[str] = []
    good: list[str] = []
    problems: list[str] = []
    for place in places:
        try:
            texts = names.txt(place, limit).records
        except LookupFailed as failure:
            return _unknown("dkim", failure)
        found += texts
        for problem in map(key_problem, texts):
            if problem:
                problems.append(joined((place, problem), ": "))
            else:
                good.append(place)
    hint = sending.dkim_hint or gettext(
        "Switch DKIM on at your provider and copy the record shown there."
    )
    if problems:
        return Check("dkim", "warning", "dkim_invalid", problems[0], hint, tuple(found))
    if not good:
        message = gettext("There is no DKIM key at %(places)s.", places=", ".join(places))
        return Check("dkim", "missing", "dkim_missing", message, hint)
    message = gettext("There is a DKIM key at %(places)s.", places=", ".join(good))
    return Check("dkim", "ok", "dkim_ok", message, "", tuple(found))


_ASKS: dict[dmarc.Policy, str] = {
    "none": gettext("does not yet ask receivers to do anything about forged mail"),
    "quarantine": gettext("asks receivers to put forged mail in the spam folder"),
    "reject": gettext("asks receivers to refuse forged mail"),
}


def check_dmarc(
    domain: str, names: NameService, limit: Deadline
) -> tuple[Check, dmarc.Standing | None]:
    """What receivers are asked to do with mail that neither SPF nor DKIM vouches for."""
    try:
        standing = dmarc.find(domain, names, limit)
    except LookupFailed as failure:
        return _unknown("dmarc", failure), None
    record = standing.record
    if standing.several and (record is None or standing.several == domain):
        message = gettext(
            "%(several)s has several DMARC records. Receivers then use none of them.",
            several=standing.several,
        )
        return Check(
            "dmarc", "warning", "dmarc_several", message, gettext("Keep one of them.")
        ), standing
    if record is None:
        message = gettext(
            "%(domain)s has no DMARC record. Gmail, Yahoo and Microsoft require "
            "one from bulk senders.",
            domain=domain,
        )
        return Check(
            "dmarc", "missing", "dmarc_missing", message, gettext("Publish the record below.")
        ), standing
    return _judge_dmarc(domain, record), standing


def _judge_dmarc(domain: str, record: dmarc.Record) -> Check:
    own = record.domain == domain
    policy = (record.policy if own else record.subdomains) or "none"
    where = "" if own else gettext("The record of %(domain)s applies. ", domain=record.domain)
    found = (record.text,)
    if record.problems:
        message = gettext(
            "%(where)sThe DMARC record has a mistake: %(problems)s",
            where=where,
            problems=record.problems[0],
        )
        return Check("dmarc", "warning", "dmarc_invalid", message, gettext("Correct it."), found)
    says = gettext(
        "%(where)sThe policy “%(policy)s” %(asks)s", where=where, policy=policy, asks=_ASKS[policy]
    )
    if record.testing:
        message = gettext("%(says)s, but is marked as a test.", says=says)
        hint = gettext("Remove “t=y” or “pct=0” when the reports show that your own mail passes.")
        return Check("dmarc", "warning", "dmarc_testing", message, hint, found)
    if policy == "none" and not record.reports:
        hint = gettext("Add “rua=mailto:…” to see who sends in your name.")
        return Check(
            "dmarc",
            "warning",
            "dmarc_blind",
            gettext("%(says)s, but nobody gets reports.", says=says),
            hint,
            found,
        )
    hint = ""
    if policy == "none":
        hint = gettext("When the reports show that your own mail passes, change it to quarantine.")
    return Check("dmarc", "ok", f"dmarc_{policy}", says + ".", hint, found)


def related(domain: str, envelope: str, names: NameService, limit: Deadline) -> bool | None:
    """Whether two domains belong to one organization (RFC 9989); ``None`` if DNS does not say."""
    if domain == envelope:
        return True
    try:
        first = dmarc.find(domain, names, limit).organization
        return first == dmarc.find(envelope, names, limit).organization
    except LookupFailed:
        return None


def check_alignment(
    sending: Sending, about_spf: Check, about_dkim: Check, *, aligned: bool | None
) -> Check:
    """Whether SPF or DKIM will pass for the very domain that people see, as DMARC wants.

    Args:
        aligned: whether the envelope's domain counts for the From address; ``None`` if unknown.
    """
    domain, envelope = sending.domain, sending.envelope
    if about_spf.code == "spf_elsewhere":
        aligned = False
        how = gettext(
            "%(provider)s uses its own envelope sender",
            provider=sending.provider or gettext("The provider"),
        )
    elif envelope == domain:
        how = gettext(
            "The envelope sender has the domain of the From address, %(domain)s", domain=domain
        )
    else:
        how = gettext(
            "The envelope sender is of %(envelope)s, the From address of %(domain)s",
            envelope=envelope,
            domain=domain,
        )
    if about_dkim.status == "ok":
        message = gettext(
            "There is a DKIM key for %(domain)s, by which DMARC passes.", domain=domain
        )
        return Check("alignment", "ok", "alignment_dkim", message)
    if aligned and about_spf.code == "spf_ok":
        hint = gettext("Switch DKIM on as well: mail that is forwarded fails SPF.")
        return Check(
            "alignment",
            "ok",
            "alignment_spf",
            gettext("%(how)s, and SPF passes for it.", how=how),
            hint,
        )
    by_spf = aligned is not False and (
        aligned is None or about_spf.status == "unknown" or about_spf.code == "spf_valid"
    )
    if by_spf or about_dkim.status == "unknown":
        message = gettext(
            "%(how)s. Whether SPF or DKIM passes for %(domain)s cannot be checked from here.",
            how=how,
            domain=domain,
        )
        hint = _look_for("dmarc")
        return Check("alignment", "unknown", "alignment_unknown", message, hint)
    message = gettext(
        "%(how)s, but neither SPF nor DKIM passes for %(domain)s, so DMARC fails.",
        how=how,
        domain=domain,
    )
    hint = gettext("Correct SPF or DKIM. One of them is enough for DMARC.")
    return Check("alignment", "warning", "alignment_fails", message, hint)


def check_mx(domain: str, names: NameService, limit: Deadline) -> Check:
    """Whether answers and bounces can come back."""
    try:
        answer = names.mx(domain, limit)
        hosts = [one.host for one in answer.records]
        found = tuple(f"{one.preference} {one.host or '.'}" for one in answer.records)
        if not answer.exists:
            message = gettext("There is no domain %(domain)s in DNS.", domain=domain)
            hint = gettext("Check the spelling and that the domain is still registered.")
            return Check("mx", "missing", "domain_missing", message, hint)
        if not hosts:
            return _without_mx(domain, names, limit)
        if not any(hosts):
            message = gettext(
                "%(domain)s says that it accepts no mail, so replies and bounces are lost.",
                domain=domain,
            )
            hint = gettext("Use a From address that can receive replies.")
            return Check("mx", "warning", "mx_null", message, hint, found)
        for host in hosts[:_MOST_MX_LOOKED_UP]:
            if _has_address(host, names, limit):
                message = gettext("Replies and bounces go to %(host)s.", host=host)
                return Check("mx", "ok", "mx_ok", message, "", found)
    except LookupFailed as failure:
        return _unknown("mx", failure)
    message = gettext(
        "The MX records of %(domain)s point to hosts that do not exist, so "
        "replies and bounces are lost.",
        domain=domain,
    )
    hint = gettext("An MX record must name a host with an address. It cannot be an IP address.")
    return Check("mx", "warning", "mx_dead", message, hint, found)


def _without_mx(domain: str, names: NameService, limit: Deadline) -> Check:
    hint = gettext("Publish an MX record.")
    if names.addresses(domain, limit).records:
        message = gettext(
            "%(domain)s has no MX record. Replies go to its own address, if it accepts mail.",
            domain=domain,
        )
        return Check("mx", "warning", "mx_implicit", message, hint)
    message = gettext(
        "%(domain)s has no MX record, so replies and bounces are lost. Many "
        "receivers refuse mail from such a domain.",
        domain=domain,
    )
    return Check("mx", "missing", "mx_missing", message, hint)


def _has_address(host: str, names: NameService, limit: Deadline) -> bool:
    try:
        name = clean_host(host)
    except ValueError:
        return False
    return ip_literal(name) is None and bool(names.addresses(name, limit).records)


def _unknown(subject: Subject, failure: LookupFailed) -> Check:
    return Check(subject, "unknown", failure.code, failure.message, failure.hint)
