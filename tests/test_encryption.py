"""Sealed secrets open with their key, for their owner and destination, and for nothing else."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.encryption import Keyring, generate_key, key_bytes
from smtp_admin.errors import KeyMissing, SecretError, SecretUnreadable

OLD, NEW, STRANGE = generate_key(), generate_key(), generate_key()
OWNER = "acme"
PLACE: tuple[str | int | bool, ...] = ("smtp", "mail.example", 587, "tls", True, "login")
SECRET = "pässwörd 密 \U0001f511"

#: One change at each place of the destination.
MOVED: list[tuple[str | int | bool, ...]] = [
    ("sendmail", "mail.example", 587, "tls", True, "login"),
    ("smtp", "evil.example", 587, "tls", True, "login"),
    ("smtp", "mail.example", 25, "tls", True, "login"),
    ("smtp", "mail.example", 587, "none", True, "login"),
    ("smtp", "mail.example", 587, "tls", False, "login"),
    ("smtp", "mail.example", 587, "tls", True, "other"),
    ("smtp", "mail.example", 587, "tls", 1, "login"),
    ("smtp", "mail.example", "587", "tls", True, "login"),
    ("smtp", "mail.example", 587, "tls", True),
    (),
]


def seal(ring: Keyring, secret: str = SECRET) -> str:
    return ring.seal(secret, owner=OWNER, destination=PLACE)


def open_(ring: Keyring, token: str) -> str:
    return ring.open(token, owner=OWNER, destination=PLACE)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(max_size=20))
def test_round_trip(secret: str, owner: str) -> None:
    ring = Keyring([NEW])
    token = ring.seal(secret, owner=owner, destination=PLACE)
    assert ring.open(token, owner=owner, destination=PLACE) == secret


def test_same_secret_twice_looks_different() -> None:
    ring = Keyring([NEW])
    assert len({seal(ring) for _ in range(200)}) == 200


def test_secret_is_not_in_the_token() -> None:
    token = seal(Keyring([NEW]), "a-plain-secret")
    body = base64.urlsafe_b64decode(token.rpartition(".")[2])
    assert b"a-plain-secret" not in body
    assert "a-plain-secret" not in token


@pytest.mark.parametrize("place", MOVED, ids=repr)
def test_another_destination_does_not_open(place: tuple[str | int | bool, ...]) -> None:
    ring = Keyring([NEW])
    with pytest.raises(SecretUnreadable):
        ring.open(seal(ring), owner=OWNER, destination=place)


@pytest.mark.parametrize("owner", ["", "globex", "ACME", "acme "])
def test_another_owner_does_not_open(owner: str) -> None:
    ring = Keyring([NEW])
    with pytest.raises(SecretUnreadable):
        ring.open(seal(ring), owner=owner, destination=PLACE)


def test_owner_and_destination_do_not_run_together() -> None:
    """What moves a letter from one field to the next must not give the same binding."""
    ring = Keyring([NEW])
    token = ring.seal(SECRET, owner="a", destination=("bc", "d"))
    for owner, place in (("ab", ("c", "d")), ("a", ("b", "cd")), ("a", ("bc,d",))):
        with pytest.raises(SecretUnreadable):
            ring.open(token, owner=owner, destination=place)


def test_rotation() -> None:
    before = seal(Keyring([OLD]))
    both = Keyring([NEW, OLD])
    assert open_(both, before) == SECRET
    assert not both.is_current(before)
    after = seal(both, open_(both, before))
    assert both.is_current(after)
    assert open_(Keyring([NEW]), after) == SECRET
    with pytest.raises(KeyMissing):
        open_(Keyring([NEW]), before)


def test_order_decides_which_key_seals() -> None:
    assert open_(Keyring([OLD]), seal(Keyring([OLD, NEW]))) == SECRET
    with pytest.raises(KeyMissing):
        open_(Keyring([NEW]), seal(Keyring([OLD, NEW])))


def test_missing_key_says_which_and_what_to_do() -> None:
    token = seal(Keyring([OLD]))
    fingerprint = token.split(".")[1]
    with pytest.raises(KeyMissing) as caught:
        open_(Keyring([STRANGE]), token)
    assert fingerprint in caught.value.message
    assert "SMTP_ADMIN_SECRET_KEYS" in caught.value.message
    assert caught.value.hint


def test_no_keys() -> None:
    ring = Keyring([])
    assert not ring
    with pytest.raises(KeyMissing, match="No key") as caught:
        seal(ring)
    assert "keys generate" in caught.value.hint
    with pytest.raises(KeyMissing):
        open_(ring, seal(Keyring([OLD])))


def test_every_changed_byte_is_noticed() -> None:
    ring = Keyring([NEW])
    kind, fingerprint, body = seal(ring).split(".")
    raw = base64.urlsafe_b64decode(body)
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        token = f"{kind}.{fingerprint}.{base64.urlsafe_b64encode(changed).decode()}"
        with pytest.raises(SecretUnreadable):
            open_(ring, token)


@pytest.mark.parametrize(
    "token",
    ["", "v1", "v1.", "v1..", "v2.x.y", "gAAAAAB", "v1.{f}.", "v1.{f}.!", "v1.{f}.é", "v1.{f}.AAAA",
     "V1.{f}.{b}", "v1.{f}.{b}\N{EM DASH}"],
)  # fmt: skip
def test_damaged_tokens_fail_as_secrets(token: str) -> None:
    ring = Keyring([NEW])
    _, fingerprint, body = seal(ring).split(".")
    with pytest.raises(SecretError):
        open_(ring, token.format(f=fingerprint, b=body))


def test_cut_off_tokens_do_not_open() -> None:
    ring = Keyring([NEW])
    token = seal(ring)
    for length in range(len(token)):
        with pytest.raises(SecretError):
            open_(ring, token[:length])


def test_errors_do_not_carry_secrets() -> None:
    ring = Keyring([NEW])
    token = seal(ring)
    with pytest.raises(SecretUnreadable) as caught:
        ring.open(token, owner="x", destination=PLACE)
    shown = f"{caught.value!r} {caught.value.message} {caught.value.hint}"
    assert token not in shown
    assert SECRET not in shown


def test_repr_without_keys() -> None:
    shown = repr(Keyring([NEW, OLD]))
    assert NEW not in shown
    assert OLD not in shown
    assert key_bytes(NEW).hex() not in shown
    assert repr(Keyring([])) == "<Keyring empty>"


def test_generated_keys() -> None:
    keys = {generate_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key_bytes(key)) == 32 for key in keys)


def test_bad_keys_are_refused() -> None:
    for text in ("", "x", "é", OLD[:-1], OLD[:-4], "=" * 44, "!" * 44):
        with pytest.raises(ValueError, match=r"base64|bytes long"):
            key_bytes(text)


def test_two_keys_run_together_are_refused() -> None:
    """A comma forgotten between them: the second key would be ignored without a word."""
    with pytest.raises(ValueError, match=r"base64|bytes long"):
        key_bytes(OLD + NEW)


def test_spaces_around_a_key_are_no_matter() -> None:
    ring: Any = Keyring([f" {OLD}\n"])
    assert open_(Keyring([OLD]), seal(ring)) == SECRET
