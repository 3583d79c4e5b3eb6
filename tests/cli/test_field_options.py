"""Every field of the table is an option of the wizard, and so is one that a host's driver adds."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from smtp_admin.cli.field_options import option_name, option_names
from smtp_admin.senders.fields import COMMON, DRIVER, all_fields, fields_of
from smtp_admin.transports.fields import Field
from smtp_admin.transports.registry import drivers
from tests.app import HostApp
from tests.cli.site import saved, sender_of
from tests.cli.toy import toy_driver
from tests.credentials.logins import key_pair
from tests.servers.certificates import CertificateFactory

#: What is given for a field, and what is saved then, where it is not the same text.
GIVEN: dict[str, tuple[str, Any]] = {
    "driver": ("smtp", "smtp"),
    "from_name": ("Acme", "Acme"),
    "max_connections": ("7", 7),
    "max_per_hour": ("80", 80),
    "max_per_day": ("500", 500),
    "headers": ("X-Stream: outbound", (("X-Stream", "outbound"),)),
    "fallbacks": ("system", ("system",)),
    "host": ("mail.other.example", "mail.other.example"),
    "port": ("2525", 2525),
    "oauth_secret_until": ("2027-11-30", "2027-11-30"),
    "security": ("ssl", "ssl"),
    "username": ("mia", "mia"),
    "verify_tls": ("", False),
    "ehlo_name": ("app.acme.example", "app.acme.example"),
    "sign_in": ("microsoft_app", "microsoft_app"),
    "oauth_tenant": ("acme.example", "acme.example"),
    "oauth_authority": ("https://login.example", "https://login.example"),
    "oauth_token_url": ("https://login.example/t", "https://login.example/t"),
    "oauth_authorize_url": ("https://login.example/a", "https://login.example/a"),
    "oauth_mechanism": ("XOAUTH2", "xoauth2"),
    "mailgun_region": ("eu", "eu"),
    "ses_region": ("eu-north-1", "eu-north-1"),
    "ses_configuration_set": ("events", "events"),
    "ses_key_id": ("AKIA9876543210ABCDEF", "AKIA9876543210ABCDEF"),
    "mailgun_domain": ("mg.other.example", "mg.other.example"),
}
BASE = ("--no-input", "--no-test", "--partner", "acme", "--from-email", "noreply@acme.example")
OF_SMTP = ("--host", "mail.acme.example")
OF_SES = (
    "--driver", "ses", "--ses-region", "eu-central-1", "--ses-key-id", "AKIA0123456789ABCDEF",
)  # fmt: skip
OF_MAILGUN = ("--driver", "mailgun", "--mailgun-domain", "mg.acme.example")


@pytest.fixture
def site(new_app: Callable[..., HostApp]) -> Iterator[HostApp]:
    """An app without any settings."""
    made = new_app()
    with made.app.app_context():
        yield made


@pytest.fixture
def pigeons() -> Iterator[None]:
    """A driver of the host's."""
    with toy_driver():
        yield


def run(site: HostApp, *words: str, **more: Any) -> Result:
    result = site.app.test_cli_runner().invoke(args=["smtp-admin", "wizard", *words], **more)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def files(tmp_path: Path, certificates: CertificateFactory) -> dict[str, Path]:
    """A file for each field that is given as one."""
    pair = certificates.valid()
    password = tmp_path / "password"
    password.write_text("geheim\n")
    secret, key = tmp_path / "secret", tmp_path / "key"
    secret.write_text("a/secret+of/forty+letters\n")
    key.write_text("a-sending-key-0123456789\n")
    shown, own = tmp_path / "app.pem", tmp_path / "app.key"
    shown.write_text(key_pair()[0])
    own.write_text(key_pair()[1])
    return {"oauth_secret": secret, "oauth_certificate": shown, "oauth_key": own,
            "password": password, "mailgun_key": key, "ses_secret": secret,
            "client_certificate": pair.certfile, "client_key": pair.keyfile,
            "ca_certificate": certificates.ca_file}  # fmt: skip


#: Fields that one does not go without the other.
TOGETHER = (("username", "password"), ("client_certificate", "client_key"),
            ("username", "sign_in", "oauth_tenant", "oauth_client_id", "oauth_secret"),
            ("username", "sign_in", "oauth_tenant", "oauth_client_id", "oauth_certificate",
             "oauth_key"))  # fmt: skip


def words_for(one: Field, files: Mapping[str, Path]) -> list[str]:
    """How a command line says a field."""
    if one.kind == "flag":
        return [f"--no-{one.option.removeprefix('--')}"]
    if one.secret:
        return [option_name(one), str(files[one.name])]
    if one.name in files:
        return [one.option, f"@{files[one.name]}"]
    return [one.option, GIVEN.get(one.name, ("other@acme.example", None))[0]]


@pytest.mark.parametrize("one", all_fields(), ids=lambda one: one.name)
def test_every_field_can_be_set(site: HostApp, one: Field, files: dict[str, Path]) -> None:
    assert option_name(one), f"{one.name} needs an option"
    having = next(each.name for each in drivers() if one in fields_of(each.name))
    pair = next((names for names in TOGETHER if one.name in names), (one.name,))
    fields = [each for each in fields_of(having) if each.name in pair]
    words = [word for each in fields for word in words_for(each, files)]
    places = {"smtp": OF_SMTP, "mailgun": OF_MAILGUN, "ses": OF_SES}
    place = [*places.get(having, ("--driver", having))]
    for each in fields_of(having):
        # A key belongs to each of these; a password only to a login.
        if having != "smtp" and each.secret and each is not one:
            place += [option_name(each), str(files[each.name])]
    result = run(site, *BASE, *place, *words)
    assert result.exit_code == 0, result.output
    sender = sender_of(site, "acme")
    if one.secret:
        assert sender.has_secret(one.name)
    elif one.name in files:
        assert sender.values[one.name].strip() == files[one.name].read_text().strip()
    else:
        assert sender.values[one.name] == GIVEN.get(one.name, ("", "other@acme.example"))[1]
    # The same once more is what is saved already.
    assert "Nothing was changed" in run(site, *BASE, *place, *words).output


@pytest.mark.parametrize("one", all_fields(), ids=lambda one: one.name)
def test_every_field_is_in_the_help(site: HostApp, one: Field) -> None:
    shown = run(site, "--help").output
    assert f"  {option_name(one)} " in shown
    assert " ".join(one.label.split()) in " ".join(shown.split())


def test_options_are_told_apart() -> None:
    names = list(option_names().values())
    assert len(names) == len(set(names))
    assert all(name.startswith("--") for name in names)
    assert {one.name for one in (DRIVER, *COMMON)} <= option_names().keys()


def test_a_drivers_own_fields_are_options_at_once(
    site: HostApp, pigeons: None, tmp_path: Path
) -> None:
    shown = " ".join(run(site, "--help").output.split())
    assert "With Pigeon post:" in shown
    for words in ("--tower TEXT Tower. Where the pigeons live.", "--birds NUMBER",
                  "--by-night / --no-by-night", "--call-file FILE"):  # fmt: skip
        assert words in shown
    missing = run(site, "--no-input", "--driver", "pigeon", "--partner", "acme")
    assert missing.exit_code == 2
    for words in ("--tower: Give --tower.", "--call-file: Give --call-file.", "--from-email"):
        assert words in missing.output
    call = tmp_path / "call"
    call.write_text("coo\n")
    result = run(site, *BASE, "--driver", "pigeon", "--tower", "north", "--birds", "12",
                 "--by-night", "--call-file", str(call), "--json")  # fmt: skip
    assert result.exit_code == 0
    settings = json.loads(result.stdout)["settings"]
    assert (settings["driver"], settings["tower"], settings["birds"]) == ("pigeon", "north", 12)
    assert settings["by_night"] is True
    assert "call" not in settings
    (revision,) = saved(site)
    assert revision.fields | {"tower": "north", "birds": 12, "by_night": True} == revision.fields
    # The test is the driver's own.
    tested = run(site, "--no-input", "--partner", "acme", "--birds", "13")
    assert (tested.exit_code, "✓ whistle" in tested.output) == (0, True), tested.output
    wrong = run(site, *BASE, "--tower", "north east", "--birds", "100")
    assert wrong.exit_code == 2
    assert "--tower: A tower has one word." in wrong.output
    assert "--birds: From 1 to 99 birds." in wrong.output


def test_a_field_of_another_way_is_refused_by_name(site: HostApp, pigeons: None) -> None:
    result = run(site, *BASE, *OF_SMTP, "--tower", "north")
    assert result.exit_code == 2
    assert "--tower: SMTP has no such field. It goes with --driver pigeon." in result.output
    result = run(site, *BASE, "--driver", "pigeon", "--tower", "north", "--host", "x.example")
    assert "--host: Pigeon post has no such field. It goes with --driver smtp." in result.output
    result = run(site, *BASE, "--driver", "pigeon", "--tower", "north", "--preset", "gmail")
    assert "--preset: A preset is a server for SMTP." in result.output
    assert saved(site) == []


def test_unknown_and_unavailable_drivers(site: HostApp, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(site, *BASE, "--driver", "carrier")
    assert result.exit_code == 2
    assert "--driver: There is no driver 'carrier'. There are: smtp" in result.output
    monkeypatch.setattr(site.app, "testing", False)
    result = run(site, *BASE, "--driver", "memory")
    assert result.exit_code == 2
    assert "--driver: memory cannot be used here." in result.output


def test_a_preset_leads_back_to_smtp(site: HostApp) -> None:
    assert run(site, *BASE, "--driver", "sendmail").exit_code == 0
    assert sender_of(site, "acme").values.driver == "sendmail"
    result = run(site, *BASE, "--preset", "mailgun")
    assert result.exit_code == 0, result.output
    values = sender_of(site, "acme").values
    assert (values.driver, values.host) == ("smtp", "smtp.mailgun.org")


def test_texts_of_several_lines(site: HostApp, tmp_path: Path) -> None:
    several = tmp_path / "headers"
    several.write_text("X-One: 1\nX-Two: 2\n")
    result = run(site, *BASE, *OF_SMTP, "--headers", f"@{several}", "--headers", "X-Three: 3")
    assert result.exit_code == 0, result.output
    names = [name for name, _ in sender_of(site, "acme").values.headers]
    assert names == ["X-One", "X-Two", "X-Three"]
    assert run(site, *BASE, "--headers", "").exit_code == 0
    assert sender_of(site, "acme").values.headers == ()
    for path in (tmp_path, tmp_path / "nowhere"):
        wrong = run(site, *BASE, "--ca-certificate", f"@{path}")
        assert wrong.exit_code == 2
        assert "--ca-certificate: The file" in wrong.output
        assert "cannot be read" in wrong.output
    wrong = run(site, *BASE, "--ca-certificate", f"@{several}")
    assert (wrong.exit_code, "certificate in PEM form" in wrong.output) == (2, True)


def test_a_certificate_needs_its_key(
    site: HostApp, files: dict[str, Path], certificates: CertificateFactory
) -> None:
    other = certificates.expired().keyfile
    words = (*BASE, *OF_SMTP, "--client-certificate", f"@{files['client_certificate']}")
    result = run(site, *words)
    assert result.exit_code == 2
    assert "--client-key-file: Give --client-key-file." in result.output
    result = run(site, *words, "--client-key-file", str(other))
    assert result.exit_code == 2, result.output
    assert "--client-" in result.output
    assert saved(site) == []


def test_who_steps_in_must_be_there(site: HostApp) -> None:
    result = run(site, *BASE, *OF_SMTP, "--fallbacks", "backup")
    assert result.exit_code == 2
    assert "--fallbacks: There is no sender 'backup' here." in result.output
    assert saved(site) == []


def test_a_password_without_a_login(site: HostApp) -> None:
    result = run(site, *BASE, *OF_SMTP, "--password-stdin", input="geheim")
    assert result.exit_code == 2
    assert "--username: Enter the login that belongs to this password." in result.output
