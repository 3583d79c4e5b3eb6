"""Every ``SMTP_ADMIN_*`` key: its default, what it takes, what it refuses, and how it says so."""

import dataclasses
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import FlaskGroup
from flask_sqlalchemy import SQLAlchemy

from smtp_admin import ConfigError, Host, SMTPAdmin
from smtp_admin.config import KEYS, PROTECTED, Config, Rate, read_config
from smtp_admin.encryption import generate_key
from smtp_admin.sandbox_rule import Sandbox
from tests.app import TestHost
from tests.servers.certificates import CertificateFactory

KEY = generate_key()
OTHER = generate_key()
#: What strangers can have sent is limited without a setting.
LIMITED = {
    name: (Rate(int(words.partition(" ")[0]), 3600),)
    for name, words in PROTECTED.items()
    if name != "magic_link"
}
WEBHOOK_SECRET = "whsec_bm9ydGh3aW5kIHNpZ25zIGl0cyBhbGVydHMgMTIz"

#: key → value given → value read.
GOOD: list[tuple[str, Any, Any]] = [
    ("SECRET_KEYS", [], ()),
    ("SECRET_KEYS", [KEY, OTHER], (KEY, OTHER)),
    ("SECRET_KEYS", f" {KEY} , {OTHER} ", (KEY, OTHER)),
    ("SECRET_KEYS", "", ()),
    ("REDIS_URL", "redis://redis.example:6380/2", "redis://redis.example:6380/2"),
    ("REDIS_URL", "rediss://:word@redis.example/0", "rediss://:word@redis.example/0"),
    ("REDIS_URL", "unix:///run/redis.sock", "unix:///run/redis.sock"),
    ("APP_NAME", "Northwind", "Northwind"),
    ("LAYOUT", "host/layout.html", "host/layout.html"),
    ("URL_PREFIX", "/mail/admin", "/mail/admin"),
    ("ENV_PREFIX", "SETGET_", "SETGET_"),
    ("ENV_PREFIX", "", ""),
    ("APP_NAME", 4711, "4711"),
    ("ALLOWED_PORTS", 2525, frozenset({2525})),
    ("ALLOWED_PORTS", [587], frozenset({587})),
    ("ALLOWED_PORTS", (25, 26), frozenset({25, 26})),
    ("ALLOWED_PORTS", {2525}, frozenset({2525})),
    ("ALLOWED_PORTS", range(25, 27), frozenset({25, 26})),
    ("ALLOWED_PORTS", "25, 587", frozenset({25, 587})),
    ("ALLOWED_NETWORKS", ["10.1.2.0/24"], (ip_network("10.1.2.0/24"),)),
    ("ALLOWED_NETWORKS", "10.1.2.0/24,fd00::/8", (ip_network("10.1.2.0/24"),
                                                 ip_network("fd00::/8"))),
    ("CONNECT_TIMEOUT", 2, 2.0),
    ("CONNECT_TIMEOUT", "2.5", 2.5),
    ("CA_FILE", None, None),
    ("CA_FILE", "", None),
    ("EHLO_NAME", "app.example.com", "app.example.com"),
    ("TEST_LIMIT", "5 per hour", Rate(5, 3600)),
    ("TEST_LIMIT", "5 in 2 days", Rate(5, 172800)),
    ("PARTNER_TEST_LIMIT", "50 per hour", Rate(50, 3600)),
    ("CHANGE_LIMIT", "50 per hour", Rate(50, 3600)),
    ("TEST_MAIL_LIMIT", "1 per second", Rate(1, 1)),
    ("TESTS_AT_ONCE", "12", 12),
    ("API_LIMIT", "10 per second", Rate(10, 1)),
    ("EVENT_LIMIT", "10 per second", Rate(10, 1)),
    ("EVENT_DAY_LIMIT", "500", 500),
    ("IMPORT_SUPPRESSIONS", "no", False),
    ("QUEUE_LIMIT", "500", 500),
    ("BATCH_LIMIT", "500", 500),
    ("RECIPIENT_LIMITS", {"news": "1 per day, 3 per hour", "magic_link": ""}, MappingProxyType(
        LIMITED | {"password_reset": (Rate(5, 3600),), "news": (Rate(1, 86400), Rate(3, 3600))})),
    ("MESSAGE_LIMIT", 1024, 1024),
    ("RETRY_ATTEMPTS", 0, 0),
    ("RETRY_DELAY", 0.5, 0.5),
    ("RETRY_FACTOR", "1", 1.0),
    ("PUBLIC_URL", "", ""),
    ("PUBLIC_URL", "https://panel.example.com/", "https://panel.example.com"),
    ("PUBLIC_URL", "http://127.0.0.1:5000/a/b", "http://127.0.0.1:5000/a/b"),
    ("PUBLIC_URL", "https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ("SANDBOX", "", None),
    ("SANDBOX", " redirect: Dev+1@Example.com ", Sandbox(redirect="Dev+1@Example.com")),
    ("SANDBOX", "allow:Me@Example.com, *@example.org,@x.example,",
     Sandbox(allow=("me@example.com", "@example.org", "@x.example"))),
    ("KEEP_DAYS", 3650, 3650),
    ("PARTNER_DRIVERS", ["smtp", "mailgun"], ("smtp", "mailgun")),
    ("PARTNER_DRIVERS", "smtp, ses", ("smtp", "ses")),
    ("PARTNER_DRIVERS", [], ()),
    ("SENDMAIL", "/usr/lib/sendmail -oi '-C/etc/a file'", ("/usr/lib/sendmail", "-oi",
                                                         "-C/etc/a file")),
    ("SENDMAIL", ["/opt/my mail/sendmail", "-oi"], ("/opt/my mail/sendmail", "-oi")),
    ("API_ENDPOINTS", {"mailgun": "https://proxy.example.com/{region}/"},
     MappingProxyType({"mailgun": "https://proxy.example.com/{region}"})),
    ("API_ENDPOINTS", {"mailgun": "http://localhost:8080"},
     MappingProxyType({"mailgun": "http://localhost:8080"})),
    ("MEMORY_DRIVER", True, True),
    ("MEMORY_DRIVER", " Yes ", True),
    ("MEMORY_DRIVER", "0", False),
    ("MEMORY_DRIVER", "", False),
    ("ALERT_EMAILS", "ops@example.com, a.b+c@x.example.org", ("ops@example.com",
                                                             "a.b+c@x.example.org")),
    ("ALERT_EMAILS", [], ()),
    ("ALERT_DEAD_LETTERS", "25", 25),
    ("ALERT_WEBHOOK", "", ""),
    ("ALERT_WEBHOOK", "https://hooks.example.com/services/T0/B0/x?y=1",
     "https://hooks.example.com/services/T0/B0/x?y=1"),
    ("ALERT_WEBHOOK", "http://[2001:db8::1]:8080/hook", "http://[2001:db8::1]:8080/hook"),
    ("ALERT_WEBHOOK_SECRET", "", ""),
    ("ALERT_WEBHOOK_SECRET", WEBHOOK_SECRET, WEBHOOK_SECRET),
    ("ALERT_WEBHOOK_BODY", '{"text": {{ text | json }}}', '{"text": {{ text | json }}}'),
    ("WEEKLY_SUMMARY", "no", False),
    ("SUMMARY_EMAILS", ["ada@example.com"], ("ada@example.com",)),
    ("METRICS_TOKEN", "", ""),
    ("METRICS_TOKEN", "a-token-of-16-signs", "a-token-of-16-signs"),
]  # fmt: skip

NOT_TEXT: tuple[Any, ...] = (None, 1, True, 1.5, b"text", [], {}, object())
NOT_WHOLE: tuple[Any, ...] = (
    None, "", "x", "1.5", 1.5, True, [], {}, "-1", "+1", "1_0", "١", "1e3", float("nan"), 10**400,
)  # fmt: skip
NOT_NUMBER: tuple[Any, ...] = (
    None, "", "x", True, [], {}, "nan", "inf", float("nan"), float("inf"), -1, 10**400,
)  # fmt: skip
NOT_A_RATE: tuple[Any, ...] = (
    *NOT_TEXT, "", "30", "0 per hour", "1 per 0 hours", "-1 per hour", "many per hour",
    "30 per 10 fortnights", "30/10 minutes", "1 per hour\n2 per hour",
)  # fmt: skip

NO_ADDRESSES: tuple[Any, ...] = (
    None, 1, True, [1], {}, b"a@example.com", object(), "nobody", "a@b", ["a@example.com", "x"],
    "Ada <ada@example.com>", "a@example.com\r\nX: y", "a b@example.com",
)  # fmt: skip

BAD: dict[str, tuple[Any, ...]] = {
    "SECRET_KEYS": (None, 1, [1], {}, b"key", ["short"], [KEY, KEY[:-2]], "ключ", [KEY + KEY]),
    "REDIS_URL": (*NOT_TEXT, "nonsense", "http://redis.example", "127.0.0.1:6379"),
    "APP_NAME": (None, True, 1.5, b"text", [], {}, object(), "two\nlines", "=?utf-8?q?x?=", "\x00"),
    "LAYOUT": NOT_TEXT,
    "URL_PREFIX": (*NOT_TEXT, "", "/", "mail", "/mail/", "/<partner>"),
    "ENV_PREFIX": (*NOT_TEXT, "SET-GET", "SET GET", "Ü_", "X_\n"),
    "ALLOWED_PORTS": (None, 0, True, ["x"], [0], [65536], [25.5], [True], [None], {}, "25;26",
                      b"\x19", object()),
    "ALLOWED_NETWORKS": (None, 1, [1], "x", ["10.1.2.3/24"], ["10.0.0.0/33"], {}, object()),
    "CONNECT_TIMEOUT": (*NOT_NUMBER, 0, 0.09, 61),
    "CA_FILE": ("/nowhere/ca.pem", "/", __file__, 5, 1.5, [], {}, object(), "a\0b"),
    "EHLO_NAME": (*NOT_TEXT, "two words", "-x", "x-", "ümlaut.example", "a\r\nb", "a" * 254),
    "TEST_LIMIT": NOT_A_RATE,
    "PARTNER_TEST_LIMIT": NOT_A_RATE,
    "CHANGE_LIMIT": NOT_A_RATE,
    "TEST_MAIL_LIMIT": NOT_A_RATE,
    "API_LIMIT": NOT_A_RATE,
    "EVENT_LIMIT": NOT_A_RATE,
    "EVENT_DAY_LIMIT": (*NOT_WHOLE, 0, 1_000_000_001),
    "TESTS_AT_ONCE": (*NOT_WHOLE, 0, 1001),
    "QUEUE_LIMIT": (*NOT_WHOLE, 0, 100_000_001),
    "BATCH_LIMIT": (*NOT_WHOLE, 0, 100_000_001),
    "RECIPIENT_LIMITS": (None, 1, True, "5 per hour", ["news"], {1: "5 per hour"},
                         {"news": "often"}, {"news": 5}, {"news": "0 per hour"}, object()),
    "MESSAGE_LIMIT": (*NOT_WHOLE, 1023, 1024**3 + 1),
    "RETRY_ATTEMPTS": (*NOT_WHOLE, -1, 101),
    "RETRY_DELAY": (*NOT_NUMBER, 0, 86401),
    "RETRY_FACTOR": (*NOT_NUMBER, 0.5, 101),
    "PUBLIC_URL": (*NOT_TEXT, "panel.example.com", "ftp://x.example", "https://", "https://a b",
                   "https://x.example/?a", "javascript:alert(1)", "https://u:p@x.example",
                   "https://:80", "https://x:99999", "https://x:0", "https://[::1", "https://a:b:c",
                   "https://x.example/" + "a" * 400),
    "SANDBOX": (*NOT_TEXT, "dev@example.com", "redirect:", "redirect", "redirect:dev", "allow:",
                "allow: ,", "redirect:a@example.com,b@example.com", "redirect:*@example.com",
                "redirect:@example.com", "redirect:Dev <dev@example.com>", "allow:*", "allow:*@*",
                "allow:example.com", "allow:@localhost", "allow:a@example.com;b@example.com",
                "allow:ü@example.com", "redirect:-a@example.com", "redirect:a..b@example.com",
                "hold", "Redirect:a@example.com", "redirect:a@example.com\r\nX: y"),
    "KEEP_DAYS": (*NOT_WHOLE, 0, 3651),
    "PARTNER_DRIVERS": (None, 1, True, [1], {}, b"smtp", object()),
    "SENDMAIL": (None, "", [], 1, True, {}, "sendmail", "./sendmail", "sendmail -oi", ["-t"],
                 "/usr/sbin/sendmail 'no end", [1], b"/usr/sbin/sendmail"),
    "API_ENDPOINTS": (None, "", "https://x.example", [], 1, {"mailgun": ""}, {1: "https://x.example"},
                      {"mailgun": "http://x.example"}, {"mailgun": "x.example"},
                      {"mailgun": "https://u:p@x.example"}, {"mailgun": "https://x.example?a=b"},
                      {"mailgun": "https://"}, {"mailgun": "file:///etc/passwd"}),
    "MEMORY_DRIVER": (None, "maybe", 1, 0, 1.5, [], {}, "on", "ｔｒｕｅ"),
    "ALERT_EMAILS": NO_ADDRESSES,
    "ALERT_DEAD_LETTERS": (*NOT_WHOLE, 0, 1_000_001),
    "ALERT_WEBHOOK": (*NOT_TEXT, "hooks.example.com", "ftp://x.example", "https://", "https://a b",
                      "https://u:p@x.example", "https://x:99999", "https://x:0", "https://[::1",
                      "javascript:alert(1)", "https://x.example/\r\nHost: y", "https://ü.example/",
                      "https://x.example/" + "a" * 2000),
    "ALERT_WEBHOOK_SECRET": (*NOT_TEXT, "whsec_", "whsec_short", WEBHOOK_SECRET[6:],
                             WEBHOOK_SECRET + "!", "whsec_" + "A" * 100),
    "ALERT_WEBHOOK_BODY": NOT_TEXT,
    "IMPORT_SUPPRESSIONS": (None, "maybe", 1, 0, 1.5, [], {}, "on"),
    "WEEKLY_SUMMARY": (None, "maybe", 1, 0, 1.5, [], {}, "on"),
    "SUMMARY_EMAILS": NO_ADDRESSES,
    "METRICS_TOKEN": (*NOT_TEXT, "short", "a token with spaces", "ein-Schlüssel-mit-ü", "x" * 201,
                      "a-token-of-16-signs\n"),
}  # fmt: skip


def read(mapping: Mapping[str, Any]) -> Config:
    return read_config(mapping, app_name="the app")


def test_tables_are_complete() -> None:
    names = {key.name for key in KEYS}
    assert set(BAD) == names
    assert {name for name, _, _ in GOOD} == names
    assert {field.name.upper() for field in dataclasses.fields(Config)} == names
    assert all(len(key.help) > 10 for key in KEYS)


def test_defaults() -> None:
    config = read({})
    assert config.secret_keys == ()
    assert config.app_name == "the app"
    assert config.url_prefix == "/smtp-admin"
    assert config.allowed_ports == {25, 465, 587, 2525}
    assert config.allowed_networks == ()
    assert config.test_limit == Rate(30, 600)
    assert (config.queue_limit, config.retry_attempts) == (10_000, 3)
    assert (config.retry_delay, config.retry_factor) == (30.0, 4.0)


@pytest.mark.parametrize(
    ("name", "given", "expected"), GOOD, ids=[f"{name}-{n}" for n, (name, *_) in enumerate(GOOD)]
)
def test_good_values(name: str, given: Any, expected: Any) -> None:
    found = getattr(read({f"SMTP_ADMIN_{name}": given}), name.lower())
    assert found == expected
    assert type(found) is type(expected)


#: key → what its file says, what is read.
SECRETS: dict[str, tuple[str, Any]] = {
    "SECRET_KEYS": (f"{KEY},{OTHER}", (KEY, OTHER)),
    "REDIS_URL": ("redis://:a-word@redis.example/0", "redis://:a-word@redis.example/0"),
    "ALERT_WEBHOOK": ("https://hooks.example.com/T0", "https://hooks.example.com/T0"),
    "ALERT_WEBHOOK_SECRET": (WEBHOOK_SECRET, WEBHOOK_SECRET),
    "METRICS_TOKEN": ("a-token-of-16-signs", "a-token-of-16-signs"),
}


def test_secrets_are_those_that_may_be_files() -> None:
    assert set(SECRETS) == {key.name for key in KEYS if key.secret}


@pytest.mark.parametrize("end", ["", "\n", "\r\n", " \n\n"])
@pytest.mark.parametrize("name", SECRETS)
def test_secret_from_a_file(tmp_path: Path, name: str, end: str) -> None:
    text, expected = SECRETS[name]
    file = tmp_path / "secret"
    file.write_bytes((text + end).encode())
    for path in (file, str(file)):
        config = read({f"SMTP_ADMIN_{name}_FILE": path, f"SMTP_ADMIN_{name}": ""})
        assert getattr(config, name.lower()) == expected


@pytest.mark.parametrize("name", SECRETS)
def test_secret_and_its_file_are_not_both_given(tmp_path: Path, name: str) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRETS[name][0])
    given = {f"SMTP_ADMIN_{name}": SECRETS[name][0], f"SMTP_ADMIN_{name}_FILE": str(file)}
    with pytest.raises(ConfigError, match=f"SMTP_ADMIN_{name} and SMTP_ADMIN_{name}_FILE are both"):
        read(given)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe", b"\0", b"x" * 70_000])
def test_file_that_holds_no_secret(tmp_path: Path, name: str, content: bytes | None) -> None:
    """Not there, empty, or something else: named, and never shown."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read({f"SMTP_ADMIN_{name}_FILE": str(file)})
    assert f"SMTP_ADMIN_{name}" in str(caught.value)
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize("path", [1, True, ["/etc/secret"], b"/etc/secret", {"a": 1}, "a\0b", "/"])
def test_something_else_than_a_path(path: Any) -> None:
    with pytest.raises(ConfigError, match="SMTP_ADMIN_REDIS_URL"):
        read({"SMTP_ADMIN_REDIS_URL_FILE": path})


@pytest.mark.parametrize("name", [key.name for key in KEYS if not key.secret])
def test_only_secrets_come_from_files(tmp_path: Path, name: str) -> None:
    file = tmp_path / "value"
    file.write_text("x")
    with pytest.raises(ConfigError, match=f"SMTP_ADMIN_{name}_FILE is not known"):
        read({f"SMTP_ADMIN_{name}_FILE": str(file)})


def test_ca_file(certificates: CertificateFactory) -> None:
    for value in (certificates.ca_file, str(certificates.ca_file)):
        assert read({"SMTP_ADMIN_CA_FILE": value}).ca_file == certificates.ca_file


@pytest.mark.parametrize(
    ("name", "given"),
    [
        pytest.param(name, value, id=f"{name}-{number}")
        for name, values in BAD.items()
        for number, value in enumerate(values)
    ],
)
def test_bad_values_are_named(name: str, given: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        read({f"SMTP_ADMIN_{name}": given})
    assert f"SMTP_ADMIN_{name}" in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("SMTP_ADMIN_SECRET_KEY", "SMTP_ADMIN_SECRET_KEYS"),
        ("SMTP_ADMIN_REDIS", "SMTP_ADMIN_REDIS_URL"),
        ("SMTP_ADMIN_QUEUELIMIT", "SMTP_ADMIN_QUEUE_LIMIT"),
    ],
)
def test_unknown_key_is_refused_with_a_suggestion(wrong: str, right: str) -> None:
    with pytest.raises(ConfigError, match=rf"{wrong} is not known; {right}\?"):
        read({wrong: "x"})


def test_unknown_key_without_a_neighbour() -> None:
    with pytest.raises(ConfigError, match=r"SMTP_ADMIN_ZZZZZZZZZZZZZZ is not known\."):
        read({"SMTP_ADMIN_ZZZZZZZZZZZZZZ": 1})


def test_all_complaints_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read({"SMTP_ADMIN_KEEP_DAYS": 0, "SMTP_ADMIN_LAYOUT": 1, "SMTP_ADMIN_NONE": 1})
    for name in ("KEEP_DAYS", "LAYOUT", "NONE"):
        assert f"SMTP_ADMIN_{name}" in str(caught.value)


def test_other_keys_are_left_alone() -> None:
    read({"SMTP_HOST": 1, "SECRET_KEY": None, "MAIL_SERVER": object()})


def test_complaints_do_not_repeat_secrets() -> None:
    secret = KEY[:-4]
    with pytest.raises(ConfigError) as caught:
        read({"SMTP_ADMIN_SECRET_KEYS": [secret]})
    assert secret not in str(caught.value)


def test_config_is_frozen() -> None:
    config = read({})
    for field in dataclasses.fields(Config):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, field.name, None)
        value = getattr(config, field.name)  # nothing inside can change either
        hash(tuple(value.items()) if isinstance(value, MappingProxyType) else value)


def test_repr_without_secrets() -> None:
    config = read(
        {
            "SMTP_ADMIN_SECRET_KEYS": [KEY],
            "SMTP_ADMIN_REDIS_URL": "redis://:redis-word@redis.example/0",
            "SMTP_ADMIN_ALERT_WEBHOOK": "https://hooks.example.com/webhook-word",
            "SMTP_ADMIN_ALERT_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "SMTP_ADMIN_METRICS_TOKEN": "metrics-word-of-16",
        }
    )
    for secret in (KEY, "webhook-word", WEBHOOK_SECRET, "metrics-word"):
        assert secret not in repr(config)
    assert "redis-word" not in repr(config)
    assert "queue_limit=10000" in repr(config)


def make(monkeypatch: pytest.MonkeyPatch, **config: Any) -> Flask:
    monkeypatch.setenv("SMTP_PASSWORD", "environment-word")
    app = Flask("tests.app")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SECRET_KEY="x")
    app.config.update({f"SMTP_ADMIN_{name}": value for name, value in config.items()})
    db = SQLAlchemy()
    db.init_app(app)
    SMTPAdmin(host=Host()).init_app(app, db)
    return app


def test_installation_repr_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds the whole environment, other programs' secrets too; reports of errors print it."""
    app = make(monkeypatch, SECRET_KEYS=[KEY], REDIS_URL="redis://:redis-word@127.0.0.1/0")
    shown = repr(app.extensions["smtp_admin"])
    assert "environment-word" not in shown
    assert "redis-word" not in shown
    assert KEY not in shown


def test_init_app_stops_at_a_wrong_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="SMTP_ADMIN_KEEP_DAYS"):
        make(monkeypatch, KEEP_DAYS="soon")


def test_later_changes_have_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(monkeypatch, KEEP_DAYS=7)
    app.config["SMTP_ADMIN_KEEP_DAYS"] = 1
    assert app.extensions["smtp_admin"].config.keep_days == 7


def test_init_app_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(monkeypatch)
    with pytest.raises(ConfigError, match="already"):
        SMTPAdmin(host=Host()).init_app(app, SQLAlchemy())


def test_a_command_line_shows_the_sentence_and_no_traceback() -> None:
    def create_app() -> Flask:
        app = Flask("shop")
        app.config.update(SECRET_KEY="x", SMTP_ADMIN_KEEP_DAYS=0)
        SMTPAdmin(host=TestHost()).init_app(app, SQLAlchemy())
        return app

    result = CliRunner().invoke(FlaskGroup(create_app=create_app), ["smtp-admin", "status"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.partition(": ")[2] == (
        "The configuration of smtp_admin is wrong: "
        "SMTP_ADMIN_KEEP_DAYS must be a whole number from 1 to 3650.\n"
    )


def test_what_a_sandbox_lets_out() -> None:
    some = Sandbox(allow=("me@example.com", "@example.org"))
    for recipient in ("me@example.com", "Me@EXAMPLE.com", "you@example.org", "You@Example.org"):
        assert some.lets_out(recipient), recipient
    for recipient in ("you@example.com", "me@example.com.evil.example", "x@sub.example.org",
                      "me@example.com@evil.example", "example.org", "me@xexample.org"):  # fmt: skip
        assert not some.lets_out(recipient), recipient
    assert Sandbox(redirect="dev@example.com").lets_out("anybody@example.net")
