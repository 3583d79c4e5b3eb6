"""SPF: what a record and all that it includes mean, and the record to copy."""

import time
from typing import Any

import pytest

from smtp_admin.deliverability.check import Deliverability, Sending, records_to_copy
from tests.connection.examining import DOMAIN, PROVIDER, Records, about, copied, examine
from tests.servers.dns import Step, Then


def spf(text: str, *more: str, others: Records | None = None, **sending: Any) -> Deliverability:
    """The result for a domain with this SPF record, and a provider whose own is in order."""
    own = {PROVIDER: "v=spf1 ip4:192.0.2.0/24 -all"}
    records: dict[tuple[str, str], Step | Then] = {
        (name, "TXT"): [record] for name, record in own.items()
    }
    records[DOMAIN, "TXT"] = [text, *more, "unrelated=1"]
    records |= dict(others or {})
    return examine(records, **({"spf_include": PROVIDER} | sending))


def chain(count: int) -> dict[tuple[str, str], Step | Then]:
    """Names that include one after the other."""
    return {
        (f"s{number}.example", "TXT"): [
            f"v=spf1 include:s{number + 1}.example -all" if number < count else "v=spf1 -all"
        ]
        for number in range(1, count + 1)
    }


WRITTEN = [
    (f"v=spf1 include:{PROVIDER} ~all", "ok", "spf_ok"),
    (f"v=spf1 a mx ip6:2001:db8::/32 +include:{PROVIDER.upper()}. -all", "ok", "spf_ok"),
    (f"V=SPF1 redirect={PROVIDER}", "ok", "spf_ok"),
    (f"v=spf1 include:{PROVIDER} exp=why.acme.example x-note=1 -all", "ok", "spf_ok"),
    ("v=spf1 mx -all", "warning", "spf_provider_missing"),
    (f"v=spf1 -all include:{PROVIDER}", "warning", "spf_provider_missing"),
    (f"v=spf1 ?include:{PROVIDER} -all", "warning", "spf_provider_missing"),
    (f"v=spf1 -include:{PROVIDER} ~all", "warning", "spf_provider_missing"),
    (f"v=spf1 ~all redirect={PROVIDER}", "warning", "spf_provider_missing"),
    ("v=spf1 exists:%{i}.acme.example include:%{d2}.known.example -all", "unknown", "spf_depends"),
    (f"v=spf1 include:{PROVIDER} +all", "warning", "spf_everybody"),
    (f"v=spf1 include:{PROVIDER} all", "warning", "spf_everybody"),
    (f"v=spf1 ip4:0.0.0.0/0 include:{PROVIDER} -all", "warning", "spf_everybody"),
    (f"v=spf1 include:{PROVIDER} ?all", "warning", "spf_neutral"),
    (f"v=spf1 include:{PROVIDER}", "warning", "spf_neutral"),
    ("v=spf1", "warning", "spf_provider_missing"),
    (f"v=spf1 include:{PROVIDER} include:gone.example -all", "warning", "spf_invalid"),
    (f"v=spf1 include:{PROVIDER} redirect=gone.example", "warning", "spf_invalid"),
    (f"v=spf1 include:{DOMAIN} -all", "warning", "spf_invalid"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "status", "code"), WRITTEN)
def test_spf_record(text: str, status: str, code: str) -> None:
    found = about(spf(text), "spf")
    assert (found.status, found.code) == (status, code), found.message
    assert found.found == (text,)


MALFORMED = [
    "include", "include:", "include:localhost", "includes:a.example", "ip4:1.2.3", "ip4:1.2.3.4/33",
    "ip4:1.2.3.4/255.0.0.0", "ip4:2001:db8::1", "ip6:1.2.3.4", "ip4", "a:", "a/33", "a//129", "a/x",
    "all:x.example", "ptr:", "exists", "-", "~", "foo", "http://x", "redirect=", "mx:a",
    "redirect=a.example redirect=b.example", "exists:%{z}.example", "exists:%i.example",
    "include:a.example/24", "ip4:1.2.3.4,5.6.7.8", "“all”", "include: a.example", "-all.",
]  # fmt: skip


@pytest.mark.parametrize("term", MALFORMED)
def test_spf_record_that_receivers_reject(term: str) -> None:
    found = about(spf(f"v=spf1 {term} -all"), "spf")
    assert (found.status, found.code) == ("warning", "spf_invalid"), found.message
    assert DOMAIN in found.message


@pytest.mark.parametrize(
    "text", ["v=spf10 -all", "v=spf1-all", "spf1 -all", "v=spf2.0/pra -all", ""]
)
def test_text_that_is_no_spf_record(text: str) -> None:
    found = spf(text)
    assert (about(found, "spf").status, about(found, "spf").code) == ("missing", "spf_missing")
    record = copied(found, "spf")
    assert record is not None
    assert record.value == f"v=spf1 include:{PROVIDER} ~all"
    assert (record.name, record.type, record.replaces) == (DOMAIN, "TXT", ())


@pytest.mark.parametrize(
    ("count", "status", "code"),
    [(10, "ok", "spf_ok"), (11, "warning", "spf_too_many_lookups"),
     (40, "warning", "spf_too_many_lookups")],
)  # fmt: skip
def test_ten_lookups(count: int, status: str, code: str) -> None:
    """RFC 7208 section 4.6.4; the eleventh makes the whole record an error."""
    found = about(
        spf("v=spf1 include:s1.example -all", others=chain(count), spf_include="s2.example"), "spf"
    )
    assert (found.status, found.code) == (status, code), found.message
    assert f"{min(count, 26)} " in found.message


@pytest.mark.parametrize("term", ["a", "mx", "ptr", "a:x.example", "exists:x.example"])
def test_what_counts_as_a_lookup(term: str) -> None:
    ten = " ".join([term] * 9)
    assert about(spf(f"v=spf1 {ten} include:{PROVIDER} -all"), "spf").status == "ok"
    eleven = f"v=spf1 {ten} {term} include:{PROVIDER} -all"
    assert about(spf(eleven), "spf").code == "spf_too_many_lookups"


def test_what_does_not_count_as_a_lookup() -> None:
    many = " ".join(f"ip4:192.0.2.{number}" for number in range(40))
    assert about(spf(f"v=spf1 {many} include:{PROVIDER} -all"), "spf").status == "ok"
    after = " ".join(["mx"] * 20)
    assert about(spf(f"v=spf1 include:{PROVIDER} -all {after}"), "spf").status == "ok"


def test_include_deep_in_the_chain() -> None:
    others: Records = {("all.example", "TXT"): [f"v=spf1 include:{PROVIDER} ~all"]}
    found = about(spf("v=spf1 include:all.example -all", others=others), "spf")
    assert found.code == "spf_ok"
    assert "2 of 10 lookups" in found.message


def test_included_record_that_allows_everybody() -> None:
    others: Records = {("open.example", "TXT"): ["v=spf1 +all"]}
    text = f"v=spf1 include:{PROVIDER} include:open.example -all"
    assert about(spf(text, others=others), "spf").code == "spf_everybody"
    refused = f"v=spf1 include:{PROVIDER} ~include:open.example -all"
    assert about(spf(refused, others=others), "spf").code == "spf_ok"


def test_included_name_with_two_records() -> None:
    others: Records = {("two.example", "TXT"): ["v=spf1 -all", "v=spf1 ~all"]}
    found = about(spf("v=spf1 include:two.example -all", others=others), "spf")
    assert found.code == "spf_invalid"
    assert "more than one" in found.message


def test_includes_in_a_circle_end() -> None:
    others: Records = {
        ("a.example", "TXT"): ["v=spf1 include:b.example -all"],
        ("b.example", "TXT"): ["v=spf1 include:a.example -all"],
    }
    found = about(spf("v=spf1 include:a.example -all", others=others), "spf")
    assert "back to itself" in found.message


def test_endless_record_is_bounded() -> None:
    """A stranger's record of the largest size, every word of it an include."""
    others: dict[tuple[str, str], Step | Then] = {
        (f"i{number}.example", "TXT"): ["v=spf1 -all"] for number in range(3000)
    }
    text = "v=spf1 " + " ".join(f"include:i{number}.example" for number in range(3000))
    began = time.monotonic()
    found = about(spf(text, others=others), "spf")
    assert found.code == "spf_too_many_lookups"
    assert time.monotonic() - began < 30
    assert max(map(len, found.as_json()["found"])) <= 1000


def test_several_records_are_put_together() -> None:
    found = spf("v=spf1 mx include:old.example ?all", "v=spf1 mX ip4:192.0.2.7 -all")
    assert about(found, "spf").code == "spf_several"
    record = copied(found, "spf")
    assert record is not None
    assert record.value == f"v=spf1 mX ip4:192.0.2.7 include:old.example include:{PROVIDER} ~all"
    assert len(record.replaces) == 2


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("v=spf1 mx -all", f"v=spf1 mx include:{PROVIDER} -all"),
        ("v=spf1 mx +all", f"v=spf1 mx include:{PROVIDER} ~all"),
        ("v=spf1 redirect=o.example", f"v=spf1 include:{PROVIDER} redirect=o.example"),
        ("v=spf1 mx ip4:9 foo -all", f"v=spf1 mx include:{PROVIDER} -all"),
        (f"v=spf1 include:{PROVIDER} ?all", f"v=spf1 include:{PROVIDER} ~all"),
        (f"v=spf1 -all include:{PROVIDER}", f"v=spf1 include:{PROVIDER} -all"),
    ],
)
def test_record_to_copy_keeps_what_is_valid(now: str, then: str) -> None:
    others: Records = {("o.example", "TXT"): ["v=spf1 -all"]}
    record = copied(spf(now, others=others), "spf")
    assert record is not None
    assert (record.value, record.replaces) == (then, (now,))
    again = about(spf(record.value, others=others), "spf")
    assert again.code == "spf_ok", "who copies it is done"


def test_record_that_is_right_is_not_copied_again() -> None:
    for text in (f"v=spf1 include:{PROVIDER} ~all", f"v=spf1 redirect={PROVIDER}"):
        assert copied(spf(text), "spf") is None


def test_spf_without_a_known_provider() -> None:
    found = spf("v=spf1 mx -all", spf_include="", host="mail.acme.example")
    assert (about(found, "spf").status, about(found, "spf").code) == ("ok", "spf_valid")
    assert about(found, "alignment").status == "unknown"


@pytest.mark.parametrize(
    ("host", "value"),
    [
        ("mail.acme.example", "v=spf1 a:mail.acme.example ~all"),
        ("192.0.2.1", "v=spf1 ip4:192.0.2.1 ~all"),
        ("2001:db8::1", "v=spf1 ip6:2001:db8::1 ~all"),
    ],
)
def test_server_of_ones_own(host: str, value: str) -> None:
    records = records_to_copy(Sending(f"a@{DOMAIN}", host=host))
    assert (records[0].subject, records[0].value) == ("spf", value)


@pytest.mark.parametrize("host", ["10.1.2.3", "127.0.0.1", "fd00::25", "localhost"])
def test_a_private_address_is_nothing_to_publish(host: str) -> None:
    first = records_to_copy(Sending(f"a@{DOMAIN}", host=host))[0]
    assert (first.subject, first.value) == ("spf", "")
    assert "public IP address" in first.note
    # A provider's include is the same wherever the mail is handed over.
    first = records_to_copy(Sending(f"a@{DOMAIN}", host=host, spf_include=PROVIDER))[0]
    assert first.value == f"v=spf1 include:{PROVIDER} ~all"


def test_provider_with_an_envelope_sender_of_its_own() -> None:
    found = examine({(DOMAIN, "TXT"): ["v=spf1 -all"]}, own_envelope=False, spf_include=PROVIDER)
    assert (about(found, "spf").status, about(found, "spf").code) == ("ok", "spf_elsewhere")
    assert copied(found, "spf") is None


def test_spf_of_the_sending_domain() -> None:
    """Some providers put a subdomain there: then its record counts."""
    records: Records = {
        ("mg.acme.example", "TXT"): [f"v=spf1 include:{PROVIDER} ~all"],
        (PROVIDER, "TXT"): ["v=spf1 -all"],
        (f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=reject"],
    }
    given: dict[str, Any] = {
        "envelope_domain": "mg.acme.example",
        "spf_include": f"include:{PROVIDER}",
    }
    found = examine(records, **given)
    assert about(found, "spf").code == "spf_ok"
    assert about(found, "alignment").code == "alignment_spf"
    strict = {**records, (f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=reject; aspf=s"]}
    assert about(examine(strict, **given), "alignment").status == "unknown"
