"""DMARC: which record applies to a domain, and what it asks for. MX: whether answers come back."""

import pytest

from smtp_admin.deliverability import dmarc
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.nameserver import LookupFailed, NameService
from tests.connection.examining import DOMAIN, Records, about, copied, examine
from tests.servers.dns import DNSServer, Fail, Query, Step, Then

REPORTS = "rua=mailto:d@acme.example"


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        (f"v=DMARC1; p=reject; {REPORTS}", "ok", "dmarc_reject"),
        ("v=DMARC1;p=quarantine", "ok", "dmarc_quarantine"),
        (f" v = DMARC1 ; P = None ; {REPORTS},mailto:x@y.example!10m", "ok", "dmarc_none"),
        ("v=DMARC1; p=none", "warning", "dmarc_blind"),
        ("v=DMARC1; p=reject; t=y", "warning", "dmarc_testing"),
        ("v=DMARC1; p=reject; pct=0", "warning", "dmarc_testing"),
        (f"v=DMARC1; {REPORTS}", "warning", "dmarc_invalid"),
        ("v=DMARC1; p=rejected", "warning", "dmarc_invalid"),
        ("v=DMARC1; p=reject, rua=mailto:a@b.example", "warning", "dmarc_invalid"),
        ("v=DMARC1; p=reject; rua=d@acme.example", "warning", "dmarc_invalid"),
        ("v=DMARC1; p=reject; nonsense", "warning", "dmarc_invalid"),
        ("v=DMARC1", "warning", "dmarc_invalid"),
        ("v=dmarc1; p=reject", "missing", "dmarc_missing"),
        ("v=DMARC10; p=reject", "missing", "dmarc_missing"),
        ("p=reject; v=DMARC1", "missing", "dmarc_missing"),
        ("v=spf1 -all", "missing", "dmarc_missing"),
    ],
)
def test_dmarc_record(text: str, status: str, code: str) -> None:
    result = examine({(f"_dmarc.{DOMAIN}", "TXT"): [text]})
    found = about(result, "dmarc")
    assert (found.status, found.code) == (status, code), found.message
    assert (copied(result, "dmarc") is None) == (status != "missing")


def test_several_dmarc_records_count_as_none() -> None:
    texts = ["v=DMARC1; p=reject", "v=DMARC1; p=none"]
    found = about(examine({(f"_dmarc.{DOMAIN}", "TXT"): texts}), "dmarc")
    assert (found.status, found.code) == ("warning", "dmarc_several")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("v=DMARC1; p=reject", "dmarc_reject"),
        ("v=DMARC1; p=reject; sp=quarantine", "dmarc_quarantine"),
        ("v=DMARC1; p=none; sp=reject", "dmarc_reject"),
    ],
)
def test_record_of_the_organization(text: str, code: str) -> None:
    found = about(
        examine({(f"_dmarc.{DOMAIN}", "TXT"): [text]}, from_email=f"a@news.mail.{DOMAIN}"), "dmarc"
    )
    assert (found.status, found.code) == ("ok", code)
    assert found.message.startswith(f"The record of {DOMAIN} applies.")


# domain, records by name, the name of the record that applies, the organization
WALKS: list[tuple[str, dict[str, str], str | None, str]] = [
    ("acme.example", {}, None, "acme.example"),
    ("a.acme.example", {}, None, "a.acme.example"),
    ("a.acme.example", {"acme.example": "p=none"}, "acme.example", "acme.example"),
    ("a.acme.example", {"a.acme.example": "p=none"}, "a.acme.example", "a.acme.example"),
    (
        "a.acme.example",
        {"a.acme.example": "p=none", "acme.example": "p=reject"},
        "a.acme.example",
        "acme.example",
    ),
    (
        "a.b.acme.example",
        {"b.acme.example": "p=none", "acme.example": "p=reject"},
        "acme.example",
        "acme.example",
    ),
    (
        "a.b.acme.example",
        {"b.acme.example": "p=none; psd=n", "acme.example": "p=reject"},
        "b.acme.example",
        "b.acme.example",
    ),
    (
        "a.acme.gov.example",
        {"gov.example": "p=reject; psd=y"},
        "gov.example",
        "acme.gov.example",
    ),
    (
        "a.acme.gov.example",
        {"acme.gov.example": "p=none", "gov.example": "p=reject; psd=y"},
        "acme.gov.example",
        "acme.gov.example",
    ),
    ("acme.example", {"example": "p=reject; psd=y"}, "example", "acme.example"),
    (
        "gov.example",
        {"gov.example": "p=none; psd=y", "example": "p=reject"},
        "gov.example",
        "gov.example",
    ),
    (
        "a.b.c.d.e.f.g.h.i.example",
        {"c.d.e.f.g.h.i.example": "p=reject", "d.e.f.g.h.i.example": "p=none"},
        "d.e.f.g.h.i.example",
        "d.e.f.g.h.i.example",
    ),
]


@pytest.mark.parametrize(("domain", "records", "applies", "organization"), WALKS)
def test_walk_up_the_name(
    domain: str, records: dict[str, str], applies: str | None, organization: str
) -> None:
    zone: dict[tuple[str, str], Step | Then] = {
        (f"_dmarc.{name}", "TXT"): [f"v=DMARC1; {text}"] for name, text in records.items()
    }
    with DNSServer(zone) as server:
        found = dmarc.find(domain, NameService((server.address,), 5.0), Deadline(20))
        assert (found.record.domain if found.record else None) == applies
        assert found.organization == organization
        assert len(server.queries) <= 8


def test_long_name_is_asked_for_eight_times() -> None:
    domain = ".".join("abcdefghijkl") + ".example"
    with DNSServer() as server:
        dmarc.find(domain, NameService((server.address,), 5.0), Deadline(20))
        assert len(server.queries) == 8
        assert server.queries[0] == Query(f"_dmarc.{domain}", "TXT", "udp")
        assert server.queries[1].name == "_dmarc.g.h.i.j.k.l.example"
        assert server.queries[-1].name == "_dmarc.example"


def test_failure_above_does_not_matter_where_the_domain_has_its_own() -> None:
    own: Records = {
        (f"_dmarc.a.{DOMAIN}", "TXT"): ["v=DMARC1; p=reject"],
        (f"_dmarc.{DOMAIN}", "TXT"): Fail(),
    }
    with DNSServer(own) as server:
        names = NameService((server.address,), 5.0)
        found = dmarc.find(f"a.{DOMAIN}", names, Deadline(20))
        assert found.record is not None
        with pytest.raises(LookupFailed):
            dmarc.find(f"b.{DOMAIN}", names, Deadline(20))


# MX


@pytest.mark.parametrize(
    ("records", "status", "code"),
    [
        ({(DOMAIN, "MX"): ["1 m.example."], ("m.example", "AAAA"): ["2001:db8::1"]}, "ok", "mx_ok"),
        (
            {
                (DOMAIN, "MX"): ["1 gone.example.", "2 m.example."],
                ("m.example", "A"): ["192.0.2.1"],
            },
            "ok",
            "mx_ok",
        ),
        ({(DOMAIN, "MX"): ["0 ."]}, "warning", "mx_null"),
        ({(DOMAIN, "MX"): ["1 gone.example."]}, "warning", "mx_dead"),
        ({(DOMAIN, "MX"): ["1 192.0.2.1."]}, "warning", "mx_dead"),
        ({(DOMAIN, "A"): ["192.0.2.1"]}, "warning", "mx_implicit"),
        ({(DOMAIN, "TXT"): ["x"]}, "missing", "mx_missing"),
        ({}, "missing", "domain_missing"),
        ({(DOMAIN, "MX"): Fail()}, "unknown", "dns_failed"),
        ({(DOMAIN, "MX"): ["1 m.example."], ("m.example", "A"): Fail()}, "unknown", "dns_failed"),
    ],
)
def test_answers_can_come_back(records: Records, status: str, code: str) -> None:
    found = about(examine(records), "mx")
    assert (found.status, found.code) == (status, code), found.message
