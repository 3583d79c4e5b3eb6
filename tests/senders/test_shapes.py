"""What can be judged about a login before dialling: every rule of every provider, and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.providers.catalogue import providers
from smtp_admin.providers.provider import Provider
from smtp_admin.providers.shape import broken_rules, check_shape, tidy_password
from tests.providers.test_catalogue import each_provider, get

TOKEN, OTHER_TOKEN = "8f1c2a9e-0b4d-4c7e-9a51-3d2e6f708192", "11111111-2222-3333-4444-555555555555"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SES_PASSWORD = "BExampleExampleExampleExampleExampleExampl04"
SENDGRID_KEY = "SG." + "a" * 22 + "." + "b" * 43
LOGIN, FROM = "sam@acme.example", "noreply@acme.example"

#: (provider, code, field) → what breaks the rule, and what does not: login, password, from address.
RULES: dict[tuple[str, str, str], tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]] = {
    ("gmail", "login_not_an_address", "username"): (
        [("sam", "", FROM), ("sam@", "", FROM)],
        [("sam@gmail.com", "", FROM), ("", "", FROM)],
    ),
    ("gmail", "gmail_app_password", "password"): (
        [(LOGIN, "hunter2", LOGIN), (LOGIN, "abcdefghijklmno", LOGIN),
         (LOGIN, "abcdefghijklmnopq", LOGIN), (LOGIN, "abcdefghijklmno1", LOGIN),
         (LOGIN, "äbcdefghijklmnop", LOGIN)],
        [(LOGIN, "abcdefghijklmnop", LOGIN), (LOGIN, "abcd efgh ijkl mnop", LOGIN),
         (LOGIN, "abcd\u00a0efgh\u00a0ijkl\u00a0mnop ", LOGIN), (LOGIN, "", LOGIN)],
    ),
    ("gmail", "from_not_login", "from_email"): (
        [(LOGIN, "", FROM)],
        [(LOGIN, "", LOGIN), ("Sam@Acme.example", "", LOGIN), ("sam", "", FROM), (LOGIN, "", ""),
         ("", "", FROM)],
    ),
    ("microsoft365", "microsoft365_login", "username"): (
        [("sam", "", FROM), ("ACME\\sam", "", FROM)], [(LOGIN, "", FROM), ("", "", FROM)],
    ),
    ("microsoft365", "outlook_personal", "username"): (
        [("sam@outlook.com", "", ""), ("sam@Hotmail.co.uk", "", ""), ("sam@live.de", "", "")],
        [(LOGIN, "", ""), ("sam@outlook.acme.example", "", ""), ("sam@live.example", "", ""),
         ("outlook.com@acme.example", "", "")],
    ),
    ("microsoft365", "from_not_login", "from_email"): ([(LOGIN, "", FROM)], [(LOGIN, "", LOGIN)]),
    ("yahoo", "login_not_an_address", "username"): ([("sam", "", "")], [("sam@yahoo.com", "", "")]),
    ("yahoo", "yahoo_app_password", "password"): (
        [("sam@yahoo.com", "hunter2", "")],
        [("sam@yahoo.com", "abcd efgh ijkl mnop", ""), ("sam@yahoo.com", "", "")],
    ),
    ("yahoo", "from_not_login", "from_email"): (
        [("sam@yahoo.com", "", FROM)], [("sam@yahoo.com", "", "sam@yahoo.com")],
    ),
    ("sendgrid", "sendgrid_login", "username"): (
        [("sam", SENDGRID_KEY, FROM), ("APIKEY", "", FROM), ("apikeys", "", FROM),
         (SENDGRID_KEY, "", FROM)],
        [("apikey", SENDGRID_KEY, FROM), ("", "", FROM)],
    ),
    ("sendgrid", "sendgrid_key", "password"): (
        [("apikey", "hunter2", FROM), ("apikey", "SG", FROM), ("apikey", "SG.", FROM),
         ("apikey", "sg.abc", FROM)],
        [("apikey", SENDGRID_KEY, FROM), ("apikey", f" {SENDGRID_KEY} ", FROM),
         ("apikey", "", FROM)],
    ),
    ("sendgrid", "sendgrid_key_cut", "password"): (
        [("apikey", SENDGRID_KEY[:-1], FROM), ("apikey", "SG.x", FROM)],
        [("apikey", SENDGRID_KEY, FROM), ("apikey", "hunter2", FROM)],
    ),
    ("mailgun", "mailgun_login", "username"): (
        [("postmaster", "", FROM), ("api", "", FROM)], [("postmaster@mg.acme.example", "", FROM)],
    ),
    ("mailgun", "mailgun_api_key", "password"): (
        [(LOGIN, "key-" + "0af9" * 8, FROM)], [(LOGIN, "key-word", FROM), (LOGIN, "a b", FROM)],
    ),
    ("ses", "ses_temporary_key", "username"): (
        [("ASIAIOSFODNN7EXAMPLE", "", FROM)],
        [("AKIAIOSFODNN7EXAMPLE", "", FROM), (LOGIN, "", FROM)],
    ),
    ("ses", "ses_login", "username"): (
        [(LOGIN, "", FROM), ("akiaiosfodnn7example", "", FROM), ("AKIA", "", FROM)],
        [("AKIAIOSFODNN7EXAMPLE", "", FROM), ("ASIAIOSFODNN7EXAMPLE", "", FROM), ("", "", FROM)],
    ),
    ("ses", "ses_iam_secret", "password"): (
        [("AKIAIOSFODNN7EXAMPLE", SECRET, FROM), ("AKIAIOSFODNN7EXAMPLE", SECRET + "\t", FROM)],
        [("AKIAIOSFODNN7EXAMPLE", SES_PASSWORD, FROM), ("AKIAIOSFODNN7EXAMPLE", "x" * 39, FROM),
         ("AKIAIOSFODNN7EXAMPLE", "", FROM)],
    ),
    ("ses", "ses_password_length", "password"): (
        [("AKIAIOSFODNN7EXAMPLE", SES_PASSWORD[:-1], FROM), ("AKIAIOSFODNN7EXAMPLE", "x", FROM),
         ("AKIAIOSFODNN7EXAMPLE", "=" * 44, FROM)],
        [("AKIAIOSFODNN7EXAMPLE", SES_PASSWORD, FROM), ("AKIAIOSFODNN7EXAMPLE", SECRET, FROM)],
    ),
    ("postmark", "postmark_login", "username"): (
        [(LOGIN, TOKEN, FROM)], [(TOKEN, TOKEN, FROM), ("PM-T-outbound-x", "y", FROM)],
    ),
    ("postmark", "postmark_token_twice", "password"): (
        [(TOKEN, "hunter2", FROM), (TOKEN, OTHER_TOKEN, FROM)],
        [(TOKEN, TOKEN, FROM), (TOKEN, TOKEN.upper(), FROM), (TOKEN, "", FROM),
         ("PM-T-outbound-x", "y", FROM)],
    ),
    ("postmark", "postmark_token_twice", "username"): (
        [("acme", TOKEN, FROM), (OTHER_TOKEN, TOKEN, FROM)],
        [(TOKEN, TOKEN, FROM), ("PM-T-outbound-x", TOKEN, FROM), ("", TOKEN, FROM),
         (LOGIN, TOKEN, FROM), ("acme", "y", FROM)],
    ),
    ("postmark", "postmark_secret_key", "password"): (
        [("PM-T-outbound-x", TOKEN, FROM)],
        [("PM-T-outbound-x", "veMVOaC_djTx", FROM), (TOKEN, TOKEN, FROM)],
    ),
    ("sparkpost", "sparkpost_login", "username"): (
        [("smtp_injection", "", FROM), (LOGIN, "", FROM)],
        [("SMTP_Injection", "", FROM), ("SMTP_Injection:X-MSYS-SUBACCOUNT=7", "", FROM)],
    ),
    ("sparkpost", "sparkpost_key", "password"): (
        [("SMTP_Injection", "hunter2", FROM)], [("SMTP_Injection", "0af9" * 10, FROM)],
    ),
    ("mailtrap", "mailtrap_login", "username"): (
        [("api", "", FROM), (LOGIN, "", FROM)], [("0123456789abcd", "", FROM), ("", "", FROM)],
    ),
    ("cpanel", "login_not_an_address", "username"): ([("sam", "", "")], [(LOGIN, "", "")]),
}  # fmt: skip


def test_every_rule_is_tried() -> None:
    there = [(one.key, rule.code, rule.field) for one in providers() for rule in one.rules]
    assert sorted(RULES) == sorted(there)
    assert all(bad and good for bad, good in RULES.values())


@pytest.mark.parametrize("rule", RULES, ids="-".join)
def test_rule(rule: tuple[str, str, str]) -> None:
    key, code, field = rule
    one = get(key)
    (itself,) = [it for it in one.rules if (it.code, it.field) == (code, field)]
    bad, good = RULES[rule]
    for entered in bad:
        assert itself in broken_rules(one, *entered), entered
        assert (itself.message in check_shape(one, *entered).get(field, [])) is itself.certain
    for entered in good:
        assert itself not in broken_rules(one, *entered), entered
        assert itself.message not in check_shape(one, *entered).get(field, [])


@pytest.mark.parametrize(
    ("key", "entered"),
    [
        ("gmail", (LOGIN, "abcd efgh ijkl mnop", LOGIN)),
        ("microsoft365", (LOGIN, "any word: 7", LOGIN)),
        ("yahoo", ("sam@yahoo.com", "abcdefghijklmnop", "sam@yahoo.com")),
        ("sendgrid", ("apikey", SENDGRID_KEY, FROM)),
        ("mailgun", ("postmaster@mg.acme.example", "any word", FROM)),
        ("ses", ("AKIAIOSFODNN7EXAMPLE", SES_PASSWORD, FROM)),
        ("postmark", (TOKEN, TOKEN, FROM)),
        ("postmark", ("PM-B-broadcast-x_y", "veMVOaC_djTxgea2-mpbkPBv", FROM)),
        ("sparkpost", ("SMTP_Injection", "0af9" * 10, FROM)),
        ("mailtrap", ("0123456789abcd", "0123456789abcd", FROM)),
        ("cpanel", (LOGIN, "any word", FROM)),
    ],
)
def test_what_a_provider_gives_out_breaks_no_rule(key: str, entered: tuple[str, str, str]) -> None:
    assert broken_rules(get(key), *entered) == ()


@each_provider
def test_nothing_is_judged_where_nothing_was_entered(one: Provider) -> None:
    """An empty password stands for the stored one."""
    assert broken_rules(one, "", "", "") == ()
    assert check_shape(one, "", "", "") == {}


def test_an_unknown_provider_judges_nothing() -> None:
    assert check_shape(None, "x", "y", "z") == {}
    assert tidy_password(None, " a b ") == " a b "


def test_all_mistakes_at_once() -> None:
    found = check_shape(get("sendgrid"), "sam", "hunter2", FROM)
    assert found.keys() == {"username", "password"}


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_no_text_breaks_a_rules_pattern_and_none_is_repeated(
    username: str, password: str, from_email: str
) -> None:
    for one in providers():
        for texts in check_shape(one, username, password, from_email).values():
            assert len(password) < 8 or password not in "".join(texts)


@pytest.mark.parametrize("word", ["abcd efgh ijkl mnop", " abcd\u00a0efgh\tijkl mnop "])
def test_spaces_go_where_none_can_be(word: str) -> None:
    for one in providers():
        tidied = tidy_password(one, word)
        assert tidied == (word if one.spaces else "abcdefghijklmnop")
        assert tidy_password(one, tidied) == tidied
