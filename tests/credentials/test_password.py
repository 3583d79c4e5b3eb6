"""A password: which mechanism serves it, what of it can be compared, and what is never shown."""

import base64
import pickle
from collections.abc import Sequence

import pytest

from smtp_admin.credentials.none import NoLogin
from smtp_admin.credentials.password import Password
from tests.setups import smtp_setup

SECRET = "pässword-canary-4711"
WHO = Password("mia@acme.example", SECRET)


@pytest.mark.parametrize(
    ("offered", "encrypted", "chosen"),
    [
        (["LOGIN", "PLAIN", "CRAM-MD5"], True, "PLAIN"),
        (["CRAM-MD5", "LOGIN"], True, "LOGIN"),
        (["XOAUTH2", "CRAM-MD5"], True, "CRAM-MD5"),
        (["LOGIN", "PLAIN", "CRAM-MD5"], False, "CRAM-MD5"),
        (["LOGIN", "PLAIN"], False, "PLAIN"),
        (["LOGIN"], False, "LOGIN"),
        (["XOAUTH2", "GSSAPI"], True, ""),
        ([], False, ""),
    ],
)
def test_it_is_sent_only_where_nobody_else_reads(
    offered: Sequence[str], encrypted: bool, chosen: str
) -> None:
    """Over plain text, the way that does not send it comes first; else the standard one."""
    served = WHO.mechanisms(encrypted=encrypted)
    assert next((one for one in served if one in offered), "") == chosen


def test_plain_says_both_at_once() -> None:
    exchange = WHO.exchange("PLAIN")
    assert exchange.initial == f"\0mia@acme.example\0{SECRET}".encode()
    assert exchange.answer(b"and?") is None


def test_login_says_one_after_the_other() -> None:
    exchange = WHO.exchange("LOGIN")
    assert exchange.initial is None
    said = [exchange.answer(b"whatever is asked") for _ in range(3)]
    assert said == [b"mia@acme.example", SECRET.encode(), None]


def test_cram_md5_answers_as_its_standard_does() -> None:
    """The example of RFC 2195 section 2."""
    exchange = Password("tim", "tanstaaftanstaaf").exchange("CRAM-MD5")
    assert exchange.initial is None
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    assert exchange.answer(challenge) == b"tim b913a602c7eda7a495b4e6e7334d3890"
    assert exchange.answer(challenge) is None


def test_each_conversation_is_its_own() -> None:
    first, second = WHO.exchange("LOGIN"), WHO.exchange("LOGIN")
    assert first.answer(b"") == second.answer(b"") == b"mia@acme.example"


def test_the_same_login_has_the_same_identity() -> None:
    assert Password("mia", "a").identity == Password("mia", "a").identity
    different = {Password("mia", "a").identity, Password("mia", "b").identity,
                 Password("tom", "a").identity, NoLogin().identity}  # fmt: skip
    assert len(different) == 4


@pytest.mark.parametrize("secret", ["", SECRET, "x" * 1000])
def test_an_identity_does_not_hold_the_password(secret: str) -> None:
    identity = Password("mia", secret).identity
    seen = pickle.dumps(identity) + repr(identity).encode()
    if secret:
        assert secret.encode() not in seen
        assert base64.b64encode(secret.encode()) not in seen


def test_nothing_shows_the_password() -> None:
    setup = smtp_setup("mail.acme.example", 587, "tls", WHO.username, SECRET, client_key="a key")
    for text in (repr(WHO), str(WHO), repr(setup), repr(setup.settings)):
        assert SECRET not in text
        assert "a key" not in text


def test_where_nobody_logs_in() -> None:
    nobody = NoLogin()
    assert (nobody.username, nobody.secrets) == ("", ())
    assert nobody.mechanisms(encrypted=True) == nobody.mechanisms(encrypted=False) == ()
    with pytest.raises(LookupError):
        nobody.exchange("PLAIN")
