"""Every field of the table is in all that follows the table, and so is one that is added."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from werkzeug.test import TestResponse

from smtp_admin.cli.field_options import field_options, option_name
from smtp_admin.connection.copy_report import report_text
from smtp_admin.connection.probe import TestResult
from smtp_admin.connection.request import read_request
from smtp_admin.diagnosis.report import NOT_SHOWN
from smtp_admin.senders import fields as fields_module
from smtp_admin.senders.environment import read_overrides
from smtp_admin.senders.fields import all_fields, drivers_with, fields_of
from smtp_admin.senders.models import SenderRevision
from smtp_admin.senders.resolve import ResolvedSender, load_sender
from smtp_admin.smtp.report import Report
from smtp_admin.transports import registry
from smtp_admin.transports.fields import Field, Variable
from smtp_admin.transports.smtp.driver import DRIVER as SMTP
from tests.app import ADMIN, HostApp, make_app, started_with
from tests.cli.toy import FIELDS as OF_PIGEONS
from tests.cli.toy import toy_driver
from tests.credentials.logins import key_pair
from tests.sender_fields import PAGE as DOCS
from tests.sender_fields import between_markers, render
from tests.servers.certificates import CertificateFactory
from tests.servers.databases import sqlite_url
from tests.servers.redis_server import RedisServer

JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html"}
PAGE = "/smtp-admin/partners/acme"


#: What nobody has yet: of SMTP, a secret of SMTP, and of every sender.
PROXY = Field(
    "proxy", "Way round", lambda text: text.strip().lower(), help="Through which gate.",
    place="more", destination=True, option="--proxy", variables=(Variable("PROXY_GATE"),),
)  # fmt: skip
PROXY_WORD = Field(
    "proxy_word", "Word at the gate", str, help="What opens it.", kind="secret", place="more",
    variables=(Variable("PROXY_WORD"),),
)  # fmt: skip
CAMPAIGN = Field(
    "campaign", "Name of the campaign", str.strip, help="For the reports.", option="--campaign",
    variables=(Variable("CAMPAIGN"),),
)  # fmt: skip
ADDED = (PROXY, PROXY_WORD, CAMPAIGN)

#: Two texts for each field, as people write them; certificates and keys are made.
TEXTS: dict[str, tuple[str, str]] = {
    "driver": ("smtp", "twin"),
    "host": ("127.0.0.1", " LOCALHOST "),
    "port": ("2525", " 2587 "),
    "security": ("none", "StartTLS"),
    "username": ("u", " other "),
    "password": ("first word ", " second word"),
    "verify_tls": ("true", "false"),
    "mailgun_region": ("us", "EU"),
    "mailgun_domain": ("mg.acme.example", " News.ACME.example "),
    "mailgun_key": ("first-key-0123456789", "second-key-0123456789"),
    "ses_region": ("eu-central-1", " US-East-1 "),
    "ses_configuration_set": ("events", "other"),
    "ses_key_id": ("AKIA0123456789ABCDEF", "AKIA9876543210ABCDEF"),
    "ses_secret": ("first/secret+0123456789", "second/secret+0123456789"),
    "ehlo_name": ("app.acme.example", "mail.acme.example"),
    "sign_in": ("password", "google_service"),
    "oauth_tenant": ("acme.example", "other.example"),
    "oauth_client_id": ("4711", " 4712 "),
    "oauth_secret": ("s3cr3t-4711", "s3cr3t-4712"),
    "oauth_secret_until": ("2027-11-30", " 2027-12-01 "),
    "oauth_authority": ("https://login.example", "https://login.example:8443"),
    "oauth_token_url": ("https://login.example/t", "https://login.example/token?x=1"),
    "oauth_authorize_url": ("https://login.example/a", "https://login.example/authorize"),
    "oauth_scope": ("mail", "mail  offline"),
    "oauth_mechanism": ("xoauth2", "OAuthBearer"),
    "from_email": ("noreply@acme.example", "News@ACME.example"),
    "from_name": ("Acme", "Acme  News"),
    "reply_to": ("a@acme.example", "b@acme.example"),
    "envelope_from": ("a@acme.example", "b@acme.example"),
    "bounce_address": ("a@acme.example", "b@mail.acme.example"),
    "max_connections": ("3", "4"),
    "max_per_hour": ("1000", "2000"),
    "max_per_day": ("10000", "20000"),
    "headers": ("X-Stream: a", "X-Stream: b\nX-Other: c"),
    "archive_to": ("a@acme.example", "b@acme.example"),
    "fallbacks": ("", "system"),
    "proxy": ("east", "WEST"),
    "proxy_word": ("open", "sesame"),
    "campaign": ("spring", "autumn"),
    "tower": ("north", "south"),
    "birds": ("4", "5"),
    "by_night": ("true", "false"),
    "call": ("coo coo", "coo coo coo"),
}
MADE = {
    "ca_certificate", "client_certificate", "client_key", "oauth_certificate", "oauth_key",
}  # fmt: skip
#: How the sender signs in, where a secret is only called for then.
SIGNS_IN = {"oauth_secret": "microsoft_app", "oauth_key": "google_service"}
NAMES = [one.name for one in (*all_fields(), *ADDED, *OF_PIGEONS)]


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """The table with fields and drivers that this test adds, and nothing else of the code knows."""
    more = replace(SMTP, fields=(*SMTP.fields, PROXY, PROXY_WORD))
    with pytest.MonkeyPatch.context() as patch, toy_driver():
        patch.setitem(registry._drivers, "smtp", more)
        patch.setattr(fields_module, "COMMON", (*fields_module.COMMON, CAMPAIGN))
        registry.register(replace(more, name="twin", label="Twin of SMTP"))
        yield
        registry.forget("twin")


@pytest.fixture(scope="module")
def texts(certificates: CertificateFactory) -> Mapping[str, tuple[str, str]]:
    """Two texts for every field; both keys belong to both certificates."""
    pair = certificates.client("app.acme.example")
    first, key = pair.certfile.read_text(), pair.keyfile.read_text()
    authority = certificates.ca_file.read_text()
    shown, own = key_pair()
    return TEXTS | {
        "ca_certificate": (authority, f"{authority}{first}"),
        "client_certificate": (first, f"{first}{authority}"),
        "client_key": (key, _written_otherwise(key)),
        "oauth_certificate": (shown, f"{shown}{authority}"),
        "oauth_key": (own, _written_otherwise(own)),
    }


def _written_otherwise(key: str) -> str:
    """The same key in the other of the two usual forms."""
    forms = serialization.PrivateFormat
    form = forms.TraditionalOpenSSL if "BEGIN PRIVATE KEY" in key else forms.PKCS8
    loaded = serialization.load_pem_private_key(key.encode(), None)
    return loaded.private_bytes(
        serialization.Encoding.PEM, form, serialization.NoEncryption()
    ).decode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[HostApp]:
    """One app for all fields, inside its context."""
    redis_server.start()
    made = make_app(
        sqlite_url(tmp_path_factory.mktemp("table")),
        {"REDIS_URL": redis_server.url, "TEST_LIMIT": "10000 per minute"},
    )
    made.actor = ADMIN
    with made.app.app_context():
        yield made


@dataclass(frozen=True)
class Saved:
    """A field that was saved with one value and then with another, on its page.

    Attributes:
        first: the number of the revision with the first value; the next one has the second.
        base: field → text of everything that was entered at first.
    """

    site: HostApp
    field: Field
    driver: str
    one: str
    two: str
    first: int
    base: Mapping[str, str]

    @property
    def before(self) -> Any:
        """The value that the first text means."""
        return self.field.clean(self.one)

    @property
    def after(self) -> Any:
        """The value that the second one means."""
        return self.field.clean(self.two)

    def sender(self) -> ResolvedSender:
        """As it is now."""
        self.site.db.session.rollback()
        return load_sender(self.site.db.session(), "acme")

    def value(self, sender: ResolvedSender) -> Any:
        """This field's of *sender*, opened where it is a secret."""
        if not self.field.secret:
            return sender.values[self.field.name]
        found = sender.secrets_for(sender.values, self.site.installation.keyring)
        return found[self.field.name]

    def get(self, path: str, **headers: str) -> TestResponse:
        """A page of the sender."""
        return self.site.client.get(f"{PAGE}{path}", headers=headers or JSON)


def post(site: HostApp, texts: Mapping[str, str], revision: int) -> None:
    """Save what was entered as a browser does: a box without a tick says nothing."""
    form = {name: text for name, text in texts.items() if (name, text) not in UNTICKED}
    answer = site.client.post(PAGE, data=form | {"revision": str(revision)}, headers=HTML)
    complaints = re.findall(r'complaint" id="[^>]*>([^<]*)', answer.text)
    assert answer.status_code == 303, complaints


UNTICKED = {("verify_tls", "false"), ("by_night", "false")}


@pytest.fixture(scope="module", params=NAMES)
def saved(
    request: pytest.FixtureRequest, site: HostApp, texts: Mapping[str, tuple[str, str]]
) -> Saved:
    """Each field in turn."""
    name: str = request.param
    driver = "smtp" if name == "driver" else drivers_with(name)[0]
    fields = {one.name: one for one in fields_of(driver)}
    one, two = texts[name]
    base = {each: texts[each][0] for each in fields} | {"driver": driver, name: one}
    if name in SIGNS_IN:
        base["sign_in"] = SIGNS_IN[name]
    elif "oauth_key" in base and name != "sign_in":
        base["oauth_key"] = base["client_key"]  # to check one of RSA each time takes a while
    number = load_sender(site.db.session(), "acme").revision
    post(site, base, number)
    post(site, base | {name: two}, number + 1)
    return Saved(site, fields[name], driver, one, two, number + 1, base)


def test_nothing_of_the_table_is_left_out() -> None:
    fields = {one.name for one in all_fields()}
    assert fields == set(NAMES)
    assert set(NAMES) <= TEXTS.keys() | MADE


def test_form_saves_it(saved: Saved) -> None:
    sender = saved.sender()
    assert sender.revision == saved.first + 1
    assert saved.value(sender) == saved.after != saved.before
    assert saved.field.clean(saved.field.text(saved.after)) == saved.after


def test_form_shows_it(saved: Saved) -> None:
    page = saved.get("", **HTML).text
    name = saved.field.name
    if name == "driver":
        assert re.search(r'<input id="driver" name="driver" type="hidden" value="twin"', page)
        return
    control = re.search(rf'<(input|select|textarea)[^>]*name="{name}"[^>]*>(?:[^<]*</text)?', page)
    if name == "fallbacks":  # one more sender is needed before there is anything to choose
        assert saved.field.label in page
        return
    assert control, "there is no control of this name"
    if saved.field.secret:
        assert not re.search(r'value="[^"]', control[0])
        for line in (*saved.one.splitlines(), *saved.two.splitlines()):
            assert escape(line.strip()) not in page.replace("-----", "") or "-----" in line
    elif saved.field.kind == "flag":
        assert ("checked" in control[0]) is saved.after
    elif saved.field.kind == "choice":
        assert re.search(rf'<option value="{saved.after}" selected', page)
    else:
        text = escape(saved.field.text(saved.after), quote=False)
        assert text.strip() in control[0]
    assert escape(saved.field.label) in page.replace("&#39;", "&#x27;")


def test_json_of_a_test_takes_it(saved: Saved) -> None:
    sender, keyring = saved.sender(), saved.site.installation.keyring
    given = {**saved.base, "driver": saved.driver, saved.field.name: saved.two}
    request = read_request(given, sender, keyring, ADMIN)
    found = (request.secrets if saved.field.secret else request.values)[saved.field.name]
    assert found == saved.after
    if not saved.field.secret and saved.field.name not in NOT_SHOWN:
        report = report_text(TestResult(request, Report(), 0.0))
        if saved.after not in ("", ()):
            assert f"  {saved.field.title}: {saved.field.words(saved.after)}\n" in report


def test_revision_stores_it(saved: Saved) -> None:
    session = saved.site.db.session()
    rows = session.query(SenderRevision).order_by(SenderRevision.number)
    revision = rows.filter(SenderRevision.number == saved.first + 1).one()
    name = saved.field.name
    if saved.field.secret:
        assert set(revision.secrets[name]) == {"sealed", "set_at"}
        assert saved.two.strip() not in str(revision.secrets)
        assert name not in revision.fields
    elif saved.field.column:
        assert getattr(revision, name) == saved.after
        assert name not in revision.fields
    else:
        assert name in revision.fields
        assert not hasattr(revision, name)


def test_environment_holds_it(saved: Saved, tmp_path: Path) -> None:
    name = saved.field.name
    for variable in saved.field.variables:
        clean = variable.clean or saved.field.clean
        text = "true" if variable.clean else saved.two
        file = tmp_path / variable.name
        file.write_text(f"{text}\n")
        for environment in ({variable.name: text}, {f"{variable.name}_FILE": str(file)}):
            (word,) = environment
            found = read_overrides({f"X_{key}": it for key, it in environment.items()}, "X_")
            assert found.problems == ()
            assert (found.secrets if saved.field.secret else found.values)[name] == clean(text)
            assert found.locked[name] == f"X_{word}"
            assert found.moves_destination is saved.field.destination
        wrong = read_overrides({variable.name: "a\0b"}, "")
        assert wrong.locked[name] == variable.name
        page = _system_page(saved.site, {variable.name: text}, saved.driver)
        assert f"Set by <code>{variable.name}</code> in the environment." in page
        assert not saved.field.secret or text not in page


def _system_page(site: HostApp, environment: Mapping[str, str], driver: str) -> str:
    """The system's tab, by this driver, where the app was started with these variables."""
    before = site.installation
    site.app.extensions["smtp_admin"] = started_with(before, environment=environment)
    try:
        return site.client.get(f"/smtp-admin/system?driver={driver}", headers=HTML).text
    finally:
        site.app.extensions["smtp_admin"] = before


def test_history_tells_it(saved: Saved) -> None:
    entries = saved.get("/history").get_json()["revisions"]
    entry = next(one for one in entries if one["number"] == saved.first + 1)
    _is_the_change(saved, entry["changes"])
    page = saved.get("/history", **HTML).text
    assert escape(saved.field.title) in page.replace("&#39;", "&#x27;")


def test_comparison_tells_it(saved: Saved) -> None:
    query = f"?from={saved.first}&to={saved.first + 1}"
    _is_the_change(saved, saved.get(f"/history{query}").get_json()["changes"])
    there_and_back = f"?from={saved.first + 1}&to={saved.first}"
    found = saved.get(f"/history{there_and_back}").get_json()["changes"]
    assert saved.field.name in {one["field"] for one in found}
    page = saved.get(f"/history{query}", **HTML)
    assert page.status_code == 200
    assert escape(saved.field.title) in page.text.replace("&#39;", "&#x27;")


def _is_the_change(saved: Saved, changes: list[dict[str, Any]]) -> None:
    """This field alone, but for the secrets, which were entered again."""
    secrets = {one.name for one in all_fields() if one.secret}
    by_name = {one["field"]: one for one in changes}
    assert by_name.keys() - secrets == {saved.field.name} - secrets
    words = saved.field.words
    change = {"field": saved.field.name, "old": None, "new": "changed"}
    if not saved.field.secret:
        change |= {"old": words(saved.before), "new": words(saved.after)}
    assert by_name[saved.field.name] == change


def test_wizard_has_an_option_for_it(saved: Saved) -> None:
    option = option_name(saved.field)
    assert option.startswith("--")
    assert option in {word for one in field_options() for word in one.opts}


def test_wizard_saves_it(saved: Saved, tmp_path: Path) -> None:
    """On top of what is saved; whoever moves the destination gives the secrets again."""
    before = saved.sender().revision
    words = ["--driver", saved.driver]
    for one in fields_of(saved.driver):
        text = saved.one if one.name == saved.field.name else saved.base[one.name]
        if one.secret:
            file = tmp_path / one.name
            file.write_text(f"{text}\n")
            words += [option_name(one), str(file)]
        elif one.name == saved.field.name and one.name != "driver":
            words += _said(one, text, tmp_path)
    run = saved.site.app.test_cli_runner().invoke(
        args=["smtp-admin", "wizard", "--no-input", "--no-test", "--partner", "acme", *words]
    )
    assert run.exit_code == 0, run.output
    sender = saved.sender()
    assert sender.revision == before + 1
    assert saved.value(sender) == saved.before


def _said(one: Field, text: str, folder: Path) -> list[str]:
    if one.kind == "flag":
        return [one.option if one.clean(text) else f"--no-{one.option.removeprefix('--')}"]
    if one.kind == "lines":
        file = folder / one.name
        file.write_text(text)
        return [one.option, f"@{file}"]
    return [one.option, text]


def test_rollback_brings_it_back(saved: Saved) -> None:
    """To the one of the two values that is not in use."""
    sender = saved.sender()
    to_second = saved.value(sender) != saved.after
    number, expected = (saved.first + 1, saved.after) if to_second else (saved.first, saved.before)
    plan = saved.get(f"/rollback?number={number}").get_json()
    assert plan["possible"], plan["obstacle"]
    assert saved.field.name in {one["field"] for one in plan["changes"]}
    page = saved.get(f"/rollback?number={number}", **HTML).text
    assert escape(saved.field.title) in page.replace("&#39;", "&#x27;")
    answer = saved.site.client.post(
        f"{PAGE}/rollback", data={"number": number, "revision": sender.revision}, headers=JSON
    )
    assert answer.status_code == 200, answer.text
    assert saved.value(saved.sender()) == expected


def test_docs_list_it(saved: Saved) -> None:
    """The pages are of what comes along; a field that is added stands in them when written anew."""
    added = {one.name for one in ADDED}
    if saved.driver == "pigeon":
        assert f"`{saved.field.name}`" not in render(), "a host's driver is for its own docs"
        return
    page = render() if saved.field.name in added else between_markers(DOCS.read_text("utf-8"))
    (row,) = (line for line in page.splitlines() if line.startswith(f"| `{saved.field.name}` |"))
    for text in (saved.field.label, saved.field.help, option_name(saved.field)):
        assert text in row
    for variable in saved.field.variables:
        assert f"`{variable.name}`" in row
