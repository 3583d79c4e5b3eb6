"""Which senders have a list at their provider, and where its key goes."""

from typing import Any

import pytest

from smtp_admin.senders.resolve import load_sender
from smtp_admin.suppression.provider_lists import removing
from smtp_admin.suppression.provider_lists.lifted import Lifted, Lifting
from smtp_admin.suppression.provider_lists.table import account_of, accounts_of
from tests.servers.certificates import CertificateFactory
from tests.servers.provider_api import ProviderAPI
from tests.suppression.conftest import Opened
from tests.suppression.lifting import MIA, lift, stop
from tests.suppression.providers import WRONG_KEY, Mailgun, Postmark, SendGrid

SG = WRONG_KEY["sendgrid"]


@pytest.mark.parametrize(
    "values",
    [
        {"host": "smtp.sendgrid.net.evil.example", "username": "apikey", "password": SG},
        {"host": "mail.example.com", "username": "apikey", "password": SG},
        {"host": "smtp.sendgrid.net", "username": "apikey", "password": "no key"},
        {"host": "smtp.sendgrid.net", "username": ""},
        {"host": "smtp.postmarkapp.com", "username": "PM-T-1", "password": "a secret key"},
        {"host": "smtp.mailgun.org", "username": "p@mg.acme.example", "password": "secret"},
        {"host": "email-smtp.us-east-1.amazonaws.com", "username": "AKIA1", "password": "x"},
        {"driver": "ses-role", "ses_region": "eu-central-1"},
        {"driver": "memory"},
    ],
)  # fmt: skip
def test_other_senders_have_none(opened: Opened, values: dict[str, Any]) -> None:
    host = opened()
    host.save_sender(**values)
    stop(host, MIA)
    assert accounts_of(host.db.session(), "acme") == []
    assert lift(host, MIA) == []


def test_each_key_has_one_place(opened: Opened) -> None:
    host = opened()
    places = {}
    for host_name, user, password in (
        ("smtp.sendgrid.net", "apikey", SendGrid.secret),
        ("smtp.eu.sendgrid.net", "apikey", SendGrid.secret),
        ("SMTP.Postmarkapp.com.", Postmark.secret.upper(), Postmark.secret),
        ("smtp-broadcasts.postmarkapp.com", Postmark.secret, Postmark.secret),
    ):
        host.save_sender(host=host_name, port=587, security="tls", username=user, password=password)
        found = account_of(load_sender(host.db.session(), "acme"))
        assert found is not None
        assert found.endpoint.scheme == "https"
        places[host_name] = (found.endpoint.authority, found.lists[0].first.split("?")[0])
    assert places == {
        "smtp.sendgrid.net": ("api.sendgrid.com", "/v3/suppression/bounces"),
        "smtp.eu.sendgrid.net": ("api.eu.sendgrid.com", "/v3/suppression/bounces"),
        "SMTP.Postmarkapp.com.": (
            "api.postmarkapp.com", "/message-streams/outbound/suppressions/dump",
        ),
        "smtp-broadcasts.postmarkapp.com": (
            "api.postmarkapp.com", "/message-streams/broadcast/suppressions/dump",
        ),
    }  # fmt: skip
    host.save_sender(
        host="smtp.postmarkapp.com", port=587, security="tls", username=Postmark.secret,
        password=Postmark.secret, headers=(("X-PM-Message-Stream", "alerts/1"),),
    )  # fmt: skip
    found = account_of(load_sender(host.db.session(), "acme"))
    assert found is not None
    assert found.lists[0].first == "/message-streams/alerts%2F1/suppressions/dump"


def test_two_senders_of_one_account_are_asked_once(opened: Opened) -> None:
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider, provider)
        provider.put(MIA)
        stop(host, MIA)
        (told,) = lift(host, MIA)
        assert told["message"] == "Also removed at Mailgun."


def test_the_system_s_list_is_no_partner_s(opened: Opened) -> None:
    provider = Mailgun()
    with provider.api.server:
        host = opened(provider)
        provider.save(host, partner_id="")
        lifted = Lifting(1, (Lifted(MIA, "all", "bounce"),), None)
        assert removing.remove_at_providers(host.db.session(), "globex", lifted) == ()
        assert provider.api.server.connections == 0
        (told,) = removing.remove_at_providers(host.db.session(), "", lifted)
        assert told.status == "absent"


@pytest.mark.parametrize(
    ("saved_for", "environment", "has_one"),
    [
        ("smtp.sendgrid.net", "", True),
        ("mail.example.com", "smtp.sendgrid.net", False),
        ("smtp.sendgrid.net", "mail.example.com", False),
    ],
)
def test_a_key_that_was_saved_for_another_server_goes_nowhere(
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    saved_for: str,
    environment: str,
    has_one: bool,
) -> None:
    if environment:
        monkeypatch.setenv("SMTP_HOST", environment)
    host = opened()
    host.save_sender("", host=saved_for, port=587, security="tls", username="apikey", password=SG)
    assert bool(accounts_of(host.db.session(), "")) == has_one


def test_only_over_a_certificate_that_is_trusted(
    opened: Opened, certificates: CertificateFactory
) -> None:
    provider = SendGrid()
    context = certificates.server_context(certificates.valid("localhost"))
    with provider.api.server, ProviderAPI(provider.api.server.answering, context) as encrypted:
        where = {"API_ENDPOINTS": {"sendgrid": encrypted.url}}
        host = opened(**where)
        provider.save(host)
        provider.put(MIA)
        stop(host, MIA)
        (told,) = lift(host, MIA)
        assert told["status"] == "failed"
        assert "its certificate cannot be trusted" in told["message"]
        assert encrypted.calls == []
        host = opened(**where, CA_FILE=str(certificates.ca_file))
        provider.save(host)
        stop(host, MIA)
        (told,) = lift(host, MIA)
        assert told["message"] == "Also removed at SendGrid."
