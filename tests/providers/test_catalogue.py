"""The data file of providers is complete and consistent, and so are the pages about it."""

import dataclasses
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from smtp_admin.config import KEYS
from smtp_admin.pages.sender_form import sender_form
from smtp_admin.providers.catalogue import (
    is_free_mail,
    knowledge,
    provider,
    provider_behind,
    provider_of_address,
    provider_of_host,
    provider_of_mx,
    providers,
    receiver_of,
)
from smtp_admin.providers.provider import Knowledge, Limit, Note, Port, Provider, Region, Rule
from smtp_admin.providers.reading import read_folder, read_general, read_provider
from smtp_admin.senders.cleaning import clean_headers, clean_limit
from smtp_admin.smtp.hostname import clean_host
from smtp_admin.transports.smtp.fields import SECURITY_LABELS
from tests.test_docs import rows

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "smtp_admin/providers"
FILES = {file.stem: file.read_text("utf-8") for file in FOLDER.glob("*.toml")}
PROMISED = [
    "gmail", "microsoft365", "yahoo", "sendgrid", "mailgun", "ses", "postmark", "sparkpost",
    "mailtrap", "cpanel",
]  # fmt: skip
USUAL = {25: "tls", 465: "ssl", 587: "tls", 2465: "ssl", 2525: "tls", 2587: "tls"}
#: Documented by the provider, although it is used nowhere else.
UNUSUAL = {("mailtrap", 465, "tls")}

each_provider = pytest.mark.parametrize("one", providers(), ids=lambda one: one.key)


def get(key: str) -> Provider:
    found = provider(key)
    assert found is not None
    return found


def hosts_of(one: Provider) -> list[str]:
    """Every host that its preset can fill in."""
    if one.regions:
        return [one.host_for(region=region.key) for region in one.regions]
    return [one.host_for(domain="acme.example")]


# --- The file ------------------------------------------------------------------------------------


@each_provider
def test_headers_can_be_entered_as_they_are_offered(one: Provider) -> None:
    for header in one.headers:
        assert clean_headers(f"{header.name}: {header.example}") == ((header.name, header.example),)
        assert header.help.endswith(".")


def test_every_provider_that_was_promised_is_there() -> None:
    assert [one.key for one in providers()] == PROMISED
    assert provider("nobody") is None
    assert re.fullmatch(r"20\d\d-[01]\d", knowledge().as_of)


@each_provider
def test_ports_go_with_their_security(one: Provider) -> None:
    for offered in one.ports:
        pair = (one.key, offered.port, offered.security)
        assert USUAL[offered.port] == offered.security or pair in UNUSUAL
    assert len({offered.port for offered in one.ports}) == len(one.ports)


@each_provider
def test_a_preset_can_be_dialled_by_default(one: Provider) -> None:
    (allowed,) = [key.default for key in KEYS if key.name == "ALLOWED_PORTS"]
    assert one.port in allowed
    assert one.security != "none"


@each_provider
def test_hosts_are_clean_and_recognised(one: Provider) -> None:
    assert bool(one.host) != bool(one.regions)
    for host in hosts_of(one):
        assert clean_host(host) == host
        assert provider_of_host(host) == (None if one.kind == "own" else one)
    assert len({region.key for region in one.regions}) == len(one.regions)
    assert all(region.label for region in one.regions)


@pytest.mark.parametrize("one", knowledge().known, ids=lambda one: one.key)
def test_names_are_clean_and_recognised(one: Provider) -> None:
    """Its own, and nobody else's."""
    for patterns, whose in (
        ((*one.hosts, *one.family), provider_behind),
        (one.hosts if one.kind != "known" else (), provider_of_host),
        (one.mx, provider_of_mx),
        ((*one.mx, *one.incoming), receiver_of),
    ):
        for host in [pattern.replace("*", "x") for pattern in patterns]:
            assert clean_host(host) == host
            assert whose(f"{host.upper()}.") == one
    if one.kind != "own":
        assert one.hosts
        assert one.family
        assert one.says


@each_provider
def test_domains_are_clean_and_its_own(one: Provider) -> None:
    for domain in one.domains:
        exact = domain.replace("*", "acme")
        assert clean_host(exact) == exact
        assert provider_of_address(f"sam@{exact}") == one
        assert domain not in knowledge().free_mail
        assert is_free_mail(domain.upper()) is True


def test_lists_are_clean() -> None:
    for names in (knowledge().free_mail, knowledge().brands):
        assert len(set(names)) == len(names)
    assert all(clean_host(name) == name and "." in name for name in knowledge().free_mail)
    assert all(re.fullmatch(r"[a-z]+", name) for name in knowledge().brands)


@each_provider
def test_limits_can_be_a_senders_limits(one: Provider) -> None:
    for limit in one.limits:
        numbers = [n for n in (limit.per_hour, limit.per_day, limit.connections) if n is not None]
        assert numbers
        assert all(clean_limit(str(number)) == number for number in numbers)
        assert limit.who
        assert re.fullmatch(r"https://[^\s]+", limit.source)


@each_provider
def test_sentences_are_sentences(one: Provider) -> None:
    texts = [one.password, one.from_address, one.dns, *one.steps]
    texts += [rule.message for rule in one.rules] + [note.text for note in one.notes]
    for text in texts:
        assert re.fullmatch(r"(?:[A-Z“]|cPanel)[^\n]*\.”?", text), text
        assert "  " not in text
    assert all((one.label, one.login, one.steps))
    assert re.fullmatch(r"https://[^\s]+", one.page)


@each_provider
def test_the_rest_is_consistent(one: Provider) -> None:
    assert one.authentication
    assert len(set(one.authentication)) == len(one.authentication)
    assert bool(one.spf_include) == (one.spf_at != "none")
    for rule in one.rules:
        assert [bool(rule.must), bool(rule.must_not), bool(rule.same_as)].count(True) == 1
        assert rule.same_as != rule.field
        for pattern in (rule.must, rule.must_not, *rule.when.values()):
            re.compile(pattern)
    for note in one.notes:
        assert note.field in sender_form("smtp")
        assert not (note.since and note.until) or note.since <= note.until
        assert all(re.fullmatch(r"[45]\d\d [45]\.\d+\.\d+", text) for text in note.replies)


def test_a_code_has_one_meaning() -> None:
    """The same code is an error everywhere or advice everywhere, and beside the same field."""
    meanings: dict[str, set[tuple[str, bool]]] = {}
    for one in providers():
        for rule in one.rules:
            assert re.fullmatch(r"[a-z][a-z0-9_]+", rule.code)
            meanings.setdefault(rule.code, set()).add((rule.field, rule.certain))
    doubled = {code for code, found in meanings.items() if len(found) > 1}
    assert doubled == {"postmark_token_twice"}  # beside either of the two fields
    notes = [note.code for one in providers() for note in one.notes]
    assert len(set(notes)) == len(notes)
    assert not set(notes) & meanings.keys()


def test_every_field_of_the_model_is_used() -> None:
    """What no provider needs would only be in the way of who adds one."""
    made: list[Any] = [knowledge(), *knowledge().known]
    for one in knowledge().known:
        made += [*one.regions, *one.ports, *one.limits, *one.rules, *one.notes]
    for kind in (Knowledge, Provider, Region, Port, Limit, Rule, Note):
        for field in dataclasses.fields(kind):
            if field.name in {"replies", "causes"}:
                continue  # their tables read them
            assert any(getattr(it, field.name) for it in made if type(it) is kind), field.name


# --- Reading it ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("general", "as_of =", "asof =", r"general\.toml: unknown key: asof"),
        ("general", 'as_of = "2026-11"\n', "", r"general\.toml: missing key: as_of"),
        ("general", "as_of =", "known = []\nas_of =", r"general\.toml: unknown key: known"),
        ("gmail", "port = 587", "port = 587\nprot = 25", r"gmail\.toml: unknown key: prot"),
        ("gmail", 'label = "Gmail', 'lable = "Gmail', r"gmail\.toml: unknown key: lable"),
        ("gmail", "port = 587\nsecurity", "security", r"gmail\.toml: missing key: port"),
        ("gmail", "port = 587", 'port = "587"', r"gmail\.toml\.port: '587' is not allowed here"),
        ("gmail", "port = 587", "port = true", r"gmail\.toml\.port: True is not allowed here"),
        (
            "gmail",
            'security = "tls"',
            'security = "starttls"',
            r"\.security: 'starttls' is not allowed",
        ),
        ("gmail", 'kind = "mailbox"', 'kind = "shop"', r"gmail\.toml\.kind: 'shop' is not allowed"),
        ("gmail", "per_day = 500", "per_week = 500", r"limits\[1\]: unknown key: per_week"),
        (
            "gmail",
            "per_day = 500",
            "per_day = 500.0",
            r"limits\[1\]\.per_day: 500\.0 is not allowed",
        ),
        (
            "gmail",
            "certain = true",
            "certain = 1",
            r"gmail\.toml\.rules\[2\]\.certain: 1 is not allowed",
        ),
        (
            "gmail",
            'field = "username"',
            'field = "host"',
            r"rules\[1\]\.field: 'host' is not allowed",
        ),
        ("gmail", "when = { username", "when = { port", r"rules\[3\]\.when: 'port' is not allowed"),
        (
            "gmail",
            "when = { username = '.+@.+' }",
            "when = []",
            r"rules\[3\]\.when: \[\] is not allowed",
        ),
        ("gmail", "{ port = 465,", "{ pots = 465,", r"other_ports\[1\]: unknown key: pots"),
        (
            "microsoft365",
            "until = 2026-12-31",
            'until = "soon"',
            r"notes\[1\]\.until: 'soon' is not allowed",
        ),
        ("gmail", "domains = [", "domains = [7, ", r"gmail\.toml\.domains\[1\]: 7 is not allowed"),
        ("gmail", "steps = [", "steps = [[], ", r"gmail\.toml\.steps\[1\]: \[\] is not allowed"),
        ("gmail", "port = 587", 'port = 587\nkey = "g"', r"gmail\.toml: the key of a provider is"),
        ("yahoo", "[[limits]]", "[limits]", r"yahoo\.toml\.limits: \{.*is not allowed"),
        ("zoho", 'kind = "known"', 'kind = "mailbox"', r"zoho\.toml: missing key: authentication"),
    ],
)
def test_what_is_not_known_is_refused(file: str, old: str, new: str, complaint: str) -> None:
    assert old in FILES[file]
    changed = FILES[file].replace(old, new, 1)
    with pytest.raises(ValueError, match=complaint):
        read_general(changed) if file == "general" else read_provider(file, changed)


def test_the_files_themselves_are_read() -> None:
    assert read_folder(FOLDER) == knowledge()
    assert {one.key for one in knowledge().known} == FILES.keys() - {"general"}


# --- Whose is it? --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("smtp.gmail.com", "gmail"), ("SMTP.Gmail.com.", "gmail"),
        ("smtp-relay.gmail.com", None), ("smtp.gmail.com.evil.example", None),
        ("xsmtp.gmail.com", None), ("smtpxgmail.com", None),
        ("smtp.office365.com", "microsoft365"), ("smtp-mail.outlook.com", "microsoft365"),
        ("acme-example.mail.protection.outlook.com", None),
        ("smtp.mail.yahoo.com", "yahoo"), ("smtp.mail.yahoo.co.jp", None),
        ("smtp.eu.sendgrid.net", "sendgrid"), ("smtp.eu.mailgun.org", "mailgun"),
        ("email-smtp.eu-central-1.amazonaws.com", "ses"),
        ("email-smtp.me-west-9.amazonaws.com", "ses"),  # a region that is newer than the file
        ("email-smtp.eu.west.amazonaws.com", None), ("email-smtp..amazonaws.com", None),
        ("smtp-broadcasts.postmarkapp.com", "postmark"),
        ("smtp.eu.sparkpostmail.com", "sparkpost"),
        ("sandbox.smtp.mailtrap.io", "mailtrap"), ("live.smtp.mailtrap.io", None),
        ("mail.acme.example", None), ("192.0.2.1", None), ("", None),
    ],
)  # fmt: skip
def test_provider_of_host(host: str, key: str | None) -> None:
    found = provider_of_host(host)
    assert (found.key if found else None) == key


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("sam@gmail.com", "gmail"), ("sam@GoogleMail.com", "gmail"), ("sam@mail.gmail.com", None),
        ("sam@outlook.com", "microsoft365"), ("sam@acme.onmicrosoft.com", "microsoft365"),
        ("sam@onmicrosoft.com", None), ("sam@yahoo.co.uk", "yahoo"), ("sam@yahoo.co.jp", None),
        ("sam@acme.example", None), ("sam", None), ("", None),
    ],
)  # fmt: skip
def test_provider_of_address(address: str, key: str | None) -> None:
    found = provider_of_address(address)
    assert (found.key if found else None) == key


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("ASPMX.L.Google.com.", "gmail"), ("alt4.aspmx.l.google.com", "gmail"),
        ("smtp.google.com", "gmail"), ("aspmx2.googlemail.com", "gmail"), ("l.google.com", None),
        ("acme-example.mail.protection.outlook.com", "microsoft365"),
        ("acme-example.x-v1.mx.microsoft", "microsoft365"), ("smtp.office365.com", None),
        ("outlook-com.olc.protection.outlook.com", None),  # the personal addresses
        ("mail.acme.example", None), ("", None),
    ],
)  # fmt: skip
def test_provider_of_mx(host: str, key: str | None) -> None:
    found = provider_of_mx(host)
    assert (found.key if found else None) == key


def test_free_mail_is_where_anybody_can_have_an_address() -> None:
    assert all(map(is_free_mail, ["gmail.com", "GMX.de", "yahoo.co.jp", "hotmail.fr"]))
    assert not any(
        map(is_free_mail, ["acme.example", "acme.onmicrosoft.com", "mail.gmail.com", ""])
    )


def test_host_for() -> None:
    assert get("gmail").host_for(domain="acme.example") == "smtp.gmail.com"
    assert get("mailgun").host_for() == "smtp.mailgun.org"
    assert get("mailgun").host_for(region="eu") == "smtp.eu.mailgun.org"
    assert get("ses").host_for(region="eu-west-3") == "email-smtp.eu-west-3.amazonaws.com"
    assert get("cpanel").host_for(domain="acme.example") == "mail.acme.example"
    assert get("cpanel").host_for() == ""
    with pytest.raises(KeyError):
        get("ses").host_for(region="eu-south-1")


def test_who_wants_oauth2() -> None:
    assert [one.key for one in providers() if one.authentication[0] == "oauth2"] == ["microsoft365"]
    assert all("password" in one.authentication for one in providers())


# --- Notes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "code"),
    [
        (date(2026, 11, 21), "microsoft365_passwords_end"),
        (date(2026, 12, 31), "microsoft365_passwords_end"),
        (date(2027, 1, 1), "microsoft365_passwords_off"),
    ],
)
def test_microsofts_note_changes_with_the_year(day: date, code: str) -> None:
    one = get("microsoft365")
    assert [note.code for note in one.notes_at(day)] == [code]
    assert [note.code for note in one.notes_on("550 5.7.30 Basic auth…", day)] == [code]
    assert [note.code for note in one.notes_on("535 5.7.139", day)] == [code]
    for other in ("535 5.7.3 Authentication unsuccessful", "550 5.7.301 x", "550 5.7.60 x", ""):
        assert one.notes_on(other, day) == ()


def test_a_note_may_hold_for_ever() -> None:
    for day in (date(2000, 1, 1), date(2100, 1, 1)):
        assert [note.code for note in get("mailtrap").notes_at(day)] == ["mailtrap_development"]


# --- The pages about them ------------------------------------------------------------------------

PAGES = {path.stem: path.read_text("utf-8") for path in (ROOT / "docs/providers").glob("*.md")}
INDEX = (ROOT / "docs/providers.md").read_text("utf-8")


def table(text: str, title: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    return rows(text.partition(f"\n## {title}\n")[2].partition("\n## ")[0])


def test_each_provider_has_a_page_and_the_index_names_it() -> None:
    assert PAGES.keys() == set(PROMISED)
    linked = re.findall(r"^- \[(.*)\]\(providers/(.*)\.md\)$", INDEX, re.MULTILINE)
    assert linked == [(one.label, one.key) for one in providers()]
    for text in (*PAGES.values(), INDEX):
        # Who has a driver of their own has two ways to describe.
        assert text.count("\n") < (125 if "## Over the API" in text else 80)


@each_provider
def test_the_page_says_what_the_preset_fills_in(one: Provider) -> None:
    page = PAGES[one.key]
    entered = dict(table(page, "What to enter"))
    assert page.startswith(f"# {one.label}\n")
    first, *others = [f"{it.port} with {SECURITY_LABELS[it.security]}" for it in one.ports]
    assert entered["Port and Security"] == first + ("; also " if others else "") + ", ".join(others)
    assert entered["Login"] == one.login
    assert entered["Password"] == one.password
    assert entered["From address"] == one.from_address
    if one.key == "ses":
        assert entered["Host"].startswith("`email-smtp.<region>.amazonaws.com`")
        documented = re.search(
            r"^Regions with an SMTP server: (.*?)\.\n", page, re.MULTILINE | re.DOTALL
        )
        assert documented
        assert re.findall(r"`(.*?)`", documented[1]) == [region.key for region in one.regions]
        for region in one.regions:
            assert region.host == f"email-smtp.{region.key}.amazonaws.com"
    else:
        written = [host.replace("acme.example", "<your domain>") for host in hosts_of(one)]
        assert re.findall(r"`(.*?)`", entered["Host"]) == written
    assert all(text in " ".join(page.split()) for text in (*one.steps, one.dns))


@each_provider
def test_the_page_has_the_same_limits(one: Provider) -> None:
    def written(number: int | None) -> str:
        return "" if number is None else f"{number:,}"

    assert table(PAGES[one.key], "Limits") == [
        [it.who, written(it.per_hour), written(it.per_day), written(it.connections), it.source]
        for it in one.limits
    ]


@each_provider
def test_the_page_explains_refusals_and_names_its_sources(one: Provider) -> None:
    page = PAGES[one.key]
    refusals = table(page, "What its refusals mean")
    assert len(refusals) >= 2
    assert all(reply and meaning for reply, meaning in refusals)
    explained = " ".join(reply for reply, _ in refusals)
    assert all(reply in explained for note in one.notes for reply in note.replies)
    assert f"As of {knowledge().as_of}." in page
    assert f"<{one.page}>" in page
    assert one.spf_include in page
    for target in re.findall(r"\]\((?!https)([^)#]+)", page):
        assert (ROOT / "docs/providers" / target).exists()


def test_the_code_holds_no_provider() -> None:
    """Another provider needs no code."""
    code = "".join(file.read_text("utf-8") for file in FOLDER.glob("*.py"))
    assert not [one.key for one in providers() if re.search(rf"[\"']{one.key}[\"']", code)]
