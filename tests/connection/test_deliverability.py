"""What DNS says of a domain, all together, and its DKIM keys; and what to copy into it."""

import base64
import time
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from smtp_admin.deliverability.check import Sending, check, records_to_copy
from smtp_admin.smtp.nameserver import NameService
from tests.connection.examining import DOMAIN, PROVIDER, Records, about, copied, examine
from tests.servers.dns import DNSServer, Fail, Silence, Step, Then

Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

# DKIM


def published(key: Key) -> str:
    raw = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(raw).decode()


def of_bits(number: int) -> rsa.RSAPublicKey:
    """A public key of RSA; nobody has the private one, which takes long to find."""
    return rsa.RSAPublicNumbers(65537, 2**number - 1).public_key()


RSA = published(of_bits(2048))
EDWARDS = ed25519.Ed25519PrivateKey.generate().public_key()
KEYS = {
    "rsa": RSA,
    "spaced": f"{RSA[:60]} {RSA[60:]}",
    "cut": RSA[:-20],
    "short": published(of_bits(1024)),
    "curve": published(ec.generate_private_key(ec.SECP256R1()).public_key()),
    "edwards": base64.b64encode(EDWARDS.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode(),
}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("v=DKIM1; k=rsa; p={rsa}", "dkim_ok"),
        ("p={spaced}", "dkim_ok"),
        ("v=DKIM1; p={short}", "dkim_ok"),
        ("v=DKIM1; k=ed25519; p={edwards}", "dkim_ok"),
        ("v=DKIM1; p=", "dkim_invalid"),
        ("v=DKIM1; p={cut}", "dkim_invalid"),
        ("v=DKIM1; p={rsa};t=s:y", "dkim_invalid"),
        ("v=DKIM1; p={curve}", "dkim_invalid"),
        ("v=DKIM1; k=ed25519; p=AAAA", "dkim_invalid"),
        ("v=DKIM1; p=not base64", "dkim_invalid"),
        ("v=spf1 -all", "dkim_invalid"),
    ],
)
def test_dkim_key(text: str, code: str) -> None:
    place = f"s1._domainkey.{DOMAIN}"
    found = examine({(place, "TXT"): [text.format(**KEYS)]}, selectors=["s0", "s1"])
    assert about(found, "dkim").code == code, about(found, "dkim").message
    assert (copied(found, "dkim") is None) == (code == "dkim_ok")


def test_dkim_key_behind_an_alias() -> None:
    """Most providers have a CNAME set up, which leads to a key of theirs."""
    records: Records = {
        (f"s1._domainkey.{DOMAIN}", "CNAME"): ["acme.dkim.known.example."],
        ("acme.dkim.known.example", "TXT"): [f"p={RSA}"],
    }
    found = examine(records, selectors=["s1"])
    assert about(found, "dkim").status == "ok"
    assert about(found, "alignment").code == "alignment_dkim"


def test_dkim_missing() -> None:
    found = examine({(DOMAIN, "MX"): ["0 ."]}, selectors=["s1"], dkim_hint="Look at Known, DKIM.")
    assert (about(found, "dkim").status, about(found, "dkim").hint) == (
        "missing",
        "Look at Known, DKIM.",
    )
    record = copied(found, "dkim")
    assert record is not None
    assert (record.name, record.note) == (f"s1._domainkey.{DOMAIN}", "Look at Known, DKIM.")


def test_dkim_under_an_unknown_name() -> None:
    found = examine({})
    assert (about(found, "dkim").status, about(found, "dkim").code) == (
        "unknown",
        "dkim_selector_unknown",
    )
    assert copied(found, "dkim") is not None


# Together


def good() -> dict[tuple[str, str], Step | Then]:
    return {
        (DOMAIN, "TXT"): [f"v=spf1 include:{PROVIDER} ~all"],
        (PROVIDER, "TXT"): ["v=spf1 ip4:192.0.2.0/24 -all"],
        (f"s1._domainkey.{DOMAIN}", "TXT"): [f"p={RSA}"],
        (f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=reject; rua=mailto:d@acme.example"],
        (DOMAIN, "MX"): ["10 mx.acme.example."],
        ("mx.acme.example", "A"): ["192.0.2.1"],
    }


def test_all_is_well() -> None:
    found = examine(good(), spf_include=PROVIDER, selectors=["s1"])
    assert found.status == "ok", found.checks
    assert found.records == ()
    assert 0 <= (datetime.now(UTC) - found.checked_at).total_seconds() < 60
    assert found.as_json()["checked_at"].endswith("Z")


@pytest.mark.parametrize("step", [Fail(), Fail("REFUSED"), Silence()], ids=repr)
def test_dns_that_fails_is_unknown_and_never_missing(step: Step) -> None:
    """Nobody is told to publish a second record because a name server was away."""
    began = time.monotonic()
    found = examine(
        dict.fromkeys(good(), step), patience=0.8, spf_include=PROVIDER, selectors=["s1"]
    )
    assert time.monotonic() - began < 30
    assert {one.status for one in found.checks} == {"unknown"}
    assert {one.code for one in found.checks} == {"dns_failed", "alignment_unknown"}
    assert found.records == ()
    assert found.status == "unknown"


@pytest.mark.parametrize("broken", sorted(good()))
def test_one_question_that_fails_leaves_the_others(broken: tuple[str, str]) -> None:
    records = good() | {broken: Fail()}
    found = examine(records, spf_include=PROVIDER, selectors=["s1"])
    statuses = [one.status for one in found.checks]
    assert statuses.count("unknown") == 1
    assert statuses.count("ok") == 4


def test_spf_chain_that_breaks_off_is_unknown() -> None:
    found = examine(good() | {(PROVIDER, "TXT"): Silence()}, patience=0.8, spf_include=PROVIDER)
    assert about(found, "spf").code == "dns_failed"
    assert PROVIDER in about(found, "spf").message


def test_overall_deadline() -> None:
    with DNSServer(dict.fromkeys(good(), Silence())) as server:
        began = time.monotonic()
        found = check(
            Sending(f"a@{DOMAIN}", selectors=["s1"]),
            NameService((server.address,), 30),
            overall_seconds=0.6,
        )
        assert time.monotonic() - began < 15
    assert found.status == "unknown"


def test_neither_spf_nor_dkim() -> None:
    records = good()
    records[DOMAIN, "TXT"] = ["v=spf1 -all"]
    records[f"s1._domainkey.{DOMAIN}", "TXT"] = ["p="]
    found = examine(records, spf_include=PROVIDER, selectors=["s1"])
    assert about(found, "alignment").code == "alignment_fails"
    assert found.status == "warning"


@pytest.mark.parametrize("address", ["", "a", "a@b", "a@127.0.0.1"])
def test_no_address(address: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        check(Sending(address), NameService((("127.0.0.1", 1),)))


def test_records_without_asking_dns() -> None:
    sending = Sending(f"robot@{DOMAIN}", "Known", f"include:{PROVIDER}")
    records = records_to_copy(sending)
    assert [(one.subject, one.name) for one in records] == [
        ("spf", DOMAIN),
        ("dkim", f"selector._domainkey.{DOMAIN}"),
        ("dmarc", f"_dmarc.{DOMAIN}"),
    ]
    assert records[2].value == f"v=DMARC1; p=none; rua=mailto:postmaster@{DOMAIN}"
    assert "Known" in records[1].note
