"""What somebody may have meant who entered another host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.providers.catalogue import knowledge
from smtp_admin.providers.nearby import fitting_name, meant_host, outgoing_of, slips_between


@pytest.mark.parametrize(
    ("host", "meant"),
    [
        ("smtp.gmial.com", "smtp.gmail.com"), ("SMTP.Gmial.com.", "smtp.gmail.com"),
        ("smtp.gmai.com", "smtp.gmail.com"), ("smtp.gmail.cm", "smtp.gmail.com"),
        ("smpt.office365.com", "smtp.office365.com"), ("smtp.ofice356.com", "smtp.office365.com"),
        ("smtp.sendgird.net", "smtp.sendgrid.net"), ("smtp.mailgun.com", "smtp.mailgun.org"),
        ("smtp.sendgrid.com", "smtp.sendgrid.net"), ("smtp.mail.me.co", "smtp.mail.me.com"),
        # Right ones, other people's, and what is too far away to tell.
        ("smtp.gmail.com", ""), ("smtp.mail.com", ""), ("smtp.mail.ru", ""), ("smtp.zoho.eu", ""),
        ("email-smtp.eu-west-9.amazonaws.com", ""), ("mail.acme.example", ""), ("gmail.com", ""),
        ("smtp-relay.gmail.com", ""), ("aspmx.l.google.com", ""), ("192.0.2.1", ""), ("", ""),
    ],
)  # fmt: skip
def test_meant_host(host: str, meant: str) -> None:
    assert meant_host(host) == meant


def test_no_known_server_is_a_slip_of_another() -> None:
    for one in knowledge().known:
        for server in one.servers:
            assert meant_host(server) == ""


@pytest.mark.parametrize(
    ("host", "names", "fitting"),
    [
        ("smtp.mailgun.com", ["*.mailgun.org", "mailgun.org"], "smtp.mailgun.org"),
        ("mail.acme.exmaple", ["www.acme.example", "mail.acme.example"], "mail.acme.example"),
        ("mail.acme.example", ["server7.hoster.example", "hoster.example"], ""),
        ("mail.acme.example", ["mail.acme.example"], ""),
        ("mail.acme.example", [], ""),
    ],
)
def test_fitting_name(host: str, names: list[str], fitting: str) -> None:
    assert fitting_name(host, names) == fitting


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("acme-example.mail.protection.outlook.com", "smtp.office365.com, port 587"),
        ("alt1.aspmx.l.google.com", "smtp.gmail.com, port 587"),
        ("mxb.eu.mailgun.org", "smtp.mailgun.org or smtp.eu.mailgun.org, port 587"),
        ("mx00.gmx.net", "mail.gmx.net"),
    ],
)
def test_outgoing_of(host: str, place: str) -> None:
    found = outgoing_of(host)
    assert found is not None
    assert found[1] == place


def test_outgoing_of_others() -> None:
    assert outgoing_of("smtp.office365.com") is None
    assert outgoing_of("mx.acme.example") is None


@given(st.text("abc.", max_size=8), st.text("abc.", max_size=8))
def test_slips(one: str, other: str) -> None:
    found = slips_between(one, other, 9)
    assert found == slips_between(other, one, 9)
    assert (found == 0) == (one == other)
    assert abs(len(one) - len(other)) <= found <= max(len(one), len(other))
    assert slips_between(one, other, 2) == min(found, 2)
