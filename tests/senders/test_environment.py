"""The environment wins over the page, and never meets a stored password."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, combinations
from typing import Any

import pytest

from smtp_admin.errors import InvalidInput
from smtp_admin.senders.environment import read_overrides
from smtp_admin.senders.fields import all_fields, fields_of
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.senders.values import SenderValues
from smtp_admin.transports.driver import Driver
from tests.app import ACME_ADMIN, ADMIN, HostApp, started_with
from tests.credentials.logins import key_pair

PAGE = "/smtp-admin/system"
HTML = {"Accept": "text/html"}
STORED = "stored-word"
GIVEN = "given-word"
CERTIFICATE, KEY = key_pair()

#: Every variable: field, value in the environment, value that it means.
NAMES: dict[str, tuple[str, str, Any]] = {
    "SMTP_OAUTH_CLIENT_SECRET_UNTIL": ("oauth_secret_until", "2027-11-30", "2027-11-30"),
    "SMTP_HOST": ("host", "Env.Example", "env.example"),
    "SMTP_PORT": ("port", "2525", 2525),
    "SMTP_USERNAME": ("username", "env-login", "env-login"),
    "SMTP_USER": ("username", "env-user", "env-user"),
    "SMTP_PASSWORD": ("password", GIVEN, GIVEN),
    "SMTP_PASS": ("password", GIVEN, GIVEN),
    "SMTP_FROM_EMAIL": ("from_email", "env@env.example", "env@env.example"),
    "SMTP_FROM": ("from_email", "from@env.example", "from@env.example"),
    "SMTP_FROM_NAME": ("from_name", "Env", "Env"),
    "SMTP_SECURITY": ("security", "none", "none"),
    "SMTP_SECURE": ("security", "true", "ssl"),
    "MAX_EMAILS_PER_HOUR": ("max_per_hour", "77", 77),
    "SMTP_MAILGUN_REGION": ("mailgun_region", "EU", "eu"),
    "SMTP_MAILGUN_DOMAIN": ("mailgun_domain", "MG.env.example", "mg.env.example"),
    "SMTP_MAILGUN_KEY": ("mailgun_key", "env-key-0123456789", "env-key-0123456789"),
    "SMTP_SES_REGION": ("ses_region", "EU-North-1", "eu-north-1"),
    "SMTP_SES_KEY_ID": ("ses_key_id", "AKIA0123456789ABCDEF", "AKIA0123456789ABCDEF"),
    "SMTP_SES_SECRET": ("ses_secret", "env/secret+0123456789", "env/secret+0123456789"),
    "SMTP_SES_CONFIGURATION_SET": ("ses_configuration_set", "events", "events"),
    "SMTP_SIGN_IN": ("sign_in", "microsoft_app", "microsoft_app"),
    "SMTP_OAUTH_TENANT": ("oauth_tenant", "tenant.env.example", "tenant.env.example"),
    "SMTP_OAUTH_CLIENT_ID": ("oauth_client_id", "env-client", "env-client"),
    "SMTP_OAUTH_CLIENT_SECRET": ("oauth_secret", "env~client~secret", "env~client~secret"),
    "SMTP_OAUTH_CERTIFICATE": ("oauth_certificate", CERTIFICATE, CERTIFICATE),
    "SMTP_OAUTH_KEY": ("oauth_key", KEY, KEY),
    "SMTP_OAUTH_AUTHORITY": ("oauth_authority", "https://in.env.example", "https://in.env.example"),
    "SMTP_OAUTH_TOKEN_URL": (
        "oauth_token_url",
        "https://in.env.example/t",
        "https://in.env.example/t",
    ),
    "SMTP_OAUTH_AUTHORIZE_URL": (
        "oauth_authorize_url",
        "https://in.env.example/a",
        "https://in.env.example/a",
    ),
    "SMTP_OAUTH_SCOPE": ("oauth_scope", "mail.send", "mail.send"),
    "SMTP_OAUTH_MECHANISM": ("oauth_mechanism", "xoauth2", "xoauth2"),
}
#: The fields of whose drivers they are, other than SMTP's.
OTHERS = {
    "mailgun_region": "mailgun", "mailgun_domain": "mailgun", "ses_region": "ses",
    "ses_key_id": "ses",
}  # fmt: skip
#: Without the fields that choose the driver they say nothing.
ALONE = (
    "password", "mailgun_key", "ses_secret", "ses_configuration_set", "oauth_secret", "oauth_key"
)  # fmt: skip

WRONG: dict[str, str] = {
    "SMTP_OAUTH_CLIENT_SECRET_UNTIL": "soon",
    "SMTP_HOST": "http://x",
    "SMTP_PORT": "many",
    "SMTP_USERNAME": "a\nb",
    "SMTP_USER": "x" * 321,
    "SMTP_PASSWORD": "a word with its line end\n",
    "SMTP_PASS": "*****",
    "SMTP_FROM_EMAIL": "nobody",
    "SMTP_FROM": "a@b@c",
    "SMTP_FROM_NAME": "x" * 65,
    "SMTP_SECURITY": "yes",
    "SMTP_SECURE": "maybe",
    "MAX_EMAILS_PER_HOUR": "0",
    "SMTP_MAILGUN_REGION": "moon",
    "SMTP_MAILGUN_DOMAIN": "https://mg.env.example",
    "SMTP_MAILGUN_KEY": "short",
    "SMTP_SES_REGION": "Frankfurt",
    "SMTP_SES_KEY_ID": "ASIA0123456789ABCDEF",
    "SMTP_SES_SECRET": "short",
    "SMTP_SES_CONFIGURATION_SET": "a b",
    "SMTP_SIGN_IN": "by magic",
    "SMTP_OAUTH_TENANT": "common",
    "SMTP_OAUTH_CLIENT_ID": "a b",
    "SMTP_OAUTH_CLIENT_SECRET": "two\nlines",
    "SMTP_OAUTH_CERTIFICATE": KEY,
    "SMTP_OAUTH_KEY": "no key",
    "SMTP_OAUTH_AUTHORITY": "http://in.env.example",
    "SMTP_OAUTH_TOKEN_URL": "in.env.example",
    "SMTP_OAUTH_AUTHORIZE_URL": "https://in.env.example/#a",
    "SMTP_OAUTH_SCOPE": "señal",
    "SMTP_OAUTH_MECHANISM": "plain",
}


@pytest.fixture
def made(new_app: Callable[..., HostApp]) -> Iterator[HostApp]:
    """An app whose system sender has a stored password, inside its context."""
    one = new_app()
    one.actor = ADMIN
    with one.app.app_context():
        one.save_sender(
            "", password=STORED, username="login", host="saved.example", port=587, security="tls"
        )
        yield one


def within(made: HostApp, environment: Mapping[str, str], prefix: str = "") -> ResolvedSender:
    """The system's sender as it is when the app starts in *environment*."""
    config = dataclasses.replace(made.installation.config, env_prefix=prefix)
    here = started_with(made.installation, environment=environment, config=config)
    made.app.extensions["smtp_admin"] = here
    return load_sender(made.db.session(), "")


def secret(
    made: HostApp,
    sender: ResolvedSender,
    values: SenderValues | None = None,
    name: str = "password",
) -> str:
    """What would be logged in with where *values* lead."""
    wanted = values or sender.values
    one = next(field for field in fields_of(wanted.driver) if field.name == name)
    return sender.secret_for(one, wanted, made.installation.keyring)


def input_of(page: str, field: str) -> str:
    found = re.search(rf'<(input|select)[^>]*name="{field}"[^>]*>', page)
    assert found
    return found[0]


def test_every_variable_is_here() -> None:
    assert set(NAMES) == {one.name for field in all_fields() for one in field.variables}


@pytest.mark.parametrize("prefix", ["", "SETGET_"])
@pytest.mark.parametrize("name", NAMES)
def test_variable_wins_and_locks(made: HostApp, name: str, prefix: str) -> None:
    field, text, expected = NAMES[name]
    other = "" if prefix else "SETGET_"
    sender = within(made, {prefix + name: text, other + name: "not mine"}, prefix)
    assert sender.problems == ()
    assert sender.locked[field] == prefix + name
    if field not in ALONE:
        assert getattr(sender.values, field) == expected
    untouched = {"host", "port", "security", "username", "from_email"} - {field}
    if field in OTHERS:
        assert sender.values.driver == OTHERS[field]
        untouched = {"from_email"}
    saved = within(made, {})
    assert saved.locked == {}
    for one in untouched:
        assert getattr(sender.values, one) == getattr(saved.values, one)


@pytest.mark.parametrize(
    ("first", "second"),
    [("SMTP_USERNAME", "SMTP_USER"), ("SMTP_PASSWORD", "SMTP_PASS"),
     ("SMTP_FROM_EMAIL", "SMTP_FROM"), ("SMTP_SECURITY", "SMTP_SECURE")],
)  # fmt: skip
def test_first_of_two_names_counts(first: str, second: str) -> None:
    field, text, expected = NAMES[first]
    found = read_overrides({second: NAMES[second][1], first: text}, "")
    assert (found.secrets if field == "password" else found.values)[field] == expected
    assert found.variables[field] == first
    assert read_overrides({second: NAMES[second][1], first: ""}, "").variables[field] == second


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", "ssl"), ("True", "ssl"), (" 1 ", "ssl"), ("yes", "ssl"), ("false", "tls"),
     ("FALSE", "tls"), ("0", "tls"), ("no", "tls")],
)  # fmt: skip
def test_smtp_secure(text: str, expected: str) -> None:
    assert read_overrides({"SMTP_SECURE": text}, "").values["security"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("none", "none"), ("SSL", "ssl"), ("tls", "tls"), ("StartTLS", "tls")],
)
def test_smtp_security(text: str, expected: str) -> None:
    assert read_overrides({"SMTP_SECURITY": text}, "").values["security"] == expected


def test_other_partners_have_no_environment(made: HostApp) -> None:
    within(made, {name: text for name, (_, text, _) in NAMES.items()})
    partner = load_sender(made.db.session(), "acme")
    assert (partner.locked, partner.values.host) == ({}, "")
    assert not partner.has_secret("password")


def test_other_senders_of_the_system_have_no_environment(made: HostApp) -> None:
    made.save_sender("", key="news", host="news.example", username="u", password=STORED)
    within(made, {name: text for name, (_, text, _) in NAMES.items()})
    other = load_sender(made.db.session(), "", "news")
    assert (other.locked, other.values.host) == ({}, "news.example")
    assert secret(made, other) == STORED


def test_environment_alone_is_enough(new_app: Callable[..., HostApp]) -> None:
    empty = new_app()
    with empty.app.app_context():
        sender = within(
            empty,
            {"SMTP_HOST": "env.example", "SMTP_FROM": "a@env.example", "SMTP_USER": "u",
             "SMTP_PASS": GIVEN, "SMTP_SECURE": "true", "SMTP_PORT": "465"},
        )  # fmt: skip
        assert sender.configured
        assert (sender.values.host, sender.values.port) == ("env.example", 465)
        assert secret(empty, sender) == GIVEN


SETTABLE = ("SMTP_HOST", "SMTP_PORT", "SMTP_SECURITY", "SMTP_USERNAME", "SMTP_PASSWORD",
            "MAX_EMAILS_PER_HOUR")  # fmt: skip


def test_stored_password_never_meets_an_environment_host(made: HostApp) -> None:
    """Every set of variables, every destination that could be asked for: what comes out."""
    saved = within(made, {}).values
    came_out: dict[frozenset[str], set[str]] = {}
    for names in chain.from_iterable(combinations(SETTABLE, n) for n in range(len(SETTABLE) + 1)):
        sender = within(made, {name: NAMES[name][1] for name in names})
        found = came_out.setdefault(frozenset(names), set())
        for place in {
            saved,
            sender.values,
            sender.values.replace(host=saved.host),
            sender.values.replace(host="evil.example"),
            saved.replace(host="env.example"),
            saved.replace(verify_tls=False),
        }:
            try:
                password = secret(made, sender, place)
            except InvalidInput:
                continue
            found.add(password)
            expected = saved if password == STORED else sender.values
            assert place.destination == expected.destination
    for present, found in came_out.items():
        if "SMTP_PASSWORD" in present:
            assert found == {GIVEN}
        elif present & {"SMTP_HOST", "SMTP_PORT", "SMTP_SECURITY", "SMTP_USERNAME"}:
            assert found == set()
        else:
            assert found == {STORED}


def test_locked_fields_on_the_page(made: HostApp) -> None:
    within(made, {"SETGET_SMTP_HOST": "env.example", "SETGET_SMTP_SECURE": "true"}, "SETGET_")
    page = made.client.get(PAGE, headers=HTML).text
    for field, name in (("host", "SMTP_HOST"), ("security", "SMTP_SECURE"),
                        ("password", "SMTP_PASSWORD")):  # fmt: skip
        assert "disabled" in input_of(page, field)
        assert f"<code>SETGET_{name}</code>" in page
    for field in ("port", "username", "from_email"):
        assert "disabled" not in input_of(page, field)
    assert 'value="env.example"' in input_of(page, "host")
    assert STORED not in page


def test_environment_password_is_not_on_the_page(made: HostApp) -> None:
    within(made, {"SMTP_PASSWORD": GIVEN})
    page = made.client.get(PAGE, headers=HTML).text
    assert GIVEN not in page
    assert "<code>SMTP_PASSWORD</code>" in page


def test_locked_field_cannot_be_posted(made: HostApp) -> None:
    within(made, {"SMTP_HOST": "env.example", "SMTP_PASSWORD": GIVEN})
    answer = made.client.post(
        PAGE,
        data={"host": "evil.example", "port": "25", "security": "none", "username": "me",
              "password": "typed", "from_email": "x@acme.example", "revision": "1"},
    )  # fmt: skip
    assert answer.status_code == 303
    sender = within(made, {})
    assert (sender.values.host, sender.values.port) == ("env.example", 25)
    assert not sender.has_secret("password")  # neither the typed nor the environment's was stored
    given = within(made, {"SMTP_HOST": "env.example", "SMTP_PASSWORD": GIVEN})
    assert secret(made, given) == GIVEN


def test_locked_field_cannot_be_tested_elsewhere(made: HostApp) -> None:
    """The connection test must not carry the environment's password to another host either."""
    within(made, {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": "1", "SMTP_PASSWORD": GIVEN})
    answer = made.client.post(
        f"{PAGE}/test-connection",
        json={"host": "evil.example", "port": 2, "security": "tls", "username": "login"},
    )
    assert answer.json
    assert answer.json["connection"]["host"] == "127.0.0.1"
    assert answer.json["connection"]["port"] == 1
    within(made, {"SMTP_PASSWORD": GIVEN})
    answer = made.client.post(
        f"{PAGE}/test-connection",
        json={"host": "127.0.0.1", "port": 2, "security": "tls", "username": "login"},
    )
    assert answer.json
    assert answer.json["error"]["code"] == "password_required"


@pytest.mark.parametrize("name", WRONG)
def test_wrong_value_is_named_and_stops_sending(made: HostApp, name: str) -> None:
    sender = within(made, {f"SETGET_{name}": WRONG[name]}, "SETGET_")
    (problem,) = sender.problems
    assert problem.startswith(f"SETGET_{name}: ")
    if "PASS" in name:
        assert WRONG[name].strip() not in problem.replace("asterisks", "")
    page = made.client.get(PAGE, headers=HTML)
    assert page.status_code == 200
    assert f"SETGET_{name}: " in page.text
    assert "no mail is sent" in page.text
    assert "Not usable" in made.client.get("/smtp-admin/", headers=HTML).text
    made.plugin.send_message(_mail(), partner_id="")
    made.db.session.commit()
    made.work()
    status = made.client.get("/api/email/status?partner_id=").json
    assert status
    assert (status["pending"], status["dead"], status["sent"]) == (1, 0, 0)


def test_wrong_password_variable_does_not_show_it(made: HostApp) -> None:
    sender = within(made, {"SMTP_PASSWORD": "word\nwith a line"})
    shown = f"{sender!r} {sender.problems} {made.client.get(PAGE, headers=HTML).text}"
    assert "with a line" not in shown


def test_a_hosts_driver_with_the_same_variables_takes_nothing_over(twin: Driver) -> None:
    found = read_overrides({"SMTP_HOST": "env.example", "SMTP_PORT": "many"}, "")
    assert found.values == {"driver": "smtp", "host": "env.example"}
    assert found.problems == ("SMTP_PORT: A port is a whole number from 1 to 65535.",)


def test_read_once_at_start(made: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_HOST", "late.example")
    assert load_sender(made.db.session(), "").values.host == "saved.example"


def test_partner_admin_sees_nothing_of_it(made: HostApp) -> None:
    within(made, {name: text for name, (_, text, _) in NAMES.items()})
    made.actor = ACME_ADMIN
    page = made.client.get("/smtp-admin/partners/acme", headers=HTML).text
    for word in ("env-login", "env.example:", GIVEN, "SMTP_HOST"):
        assert word not in page


def _mail() -> Any:
    from smtp_admin import Message

    return Message("Hello", ["you@else.example"], "Hello")
