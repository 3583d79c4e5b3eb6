"""Sealed secrets open with their key, for their owner and destination, and for nothing else."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.encryption import Keyring, generate_key, key_bytes
from smtp_admin.errors import KeyMissing, SecretError, SecretUnreadable
from tests.first_format import first_format as seal_as_before

OLD, NEW, STRANGE = generate_key(), generate_key(), generate_key()
Place = list[list[str | int | bool]]
PLACE: Place = [
    ["driver", "smtp"], ["host", "mail.example"], ["port", 587], ["security", "tls"],
    ["username", "login"], ["verify_tls", True],
]  # fmt: skip
#: Whose, which of their senders, which secret, for where.
WHOLE: tuple[Any, ...] = ("acme", 7, "password", PLACE)
#: The same in the words of the first version.
FIRST: tuple[Any, ...] = ("acme", ["smtp", "mail.example", 587, "tls", True, "login"])
SECRET = "pässwörd 密 \U0001f511"


def moved(name: str, value: str | int | bool) -> Place:
    """The destination with one other value."""
    return [[one, value if one == name else before] for one, before in PLACE]


#: One change at each place of the destination.
MOVED: list[Place] = [
    moved("driver", "sendmail"),
    moved("host", "evil.example"),
    moved("port", 25),
    moved("security", "none"),
    moved("verify_tls", False),
    moved("username", "other"),
    moved("verify_tls", 1),
    moved("port", "587"),
    PLACE[:-1],
    [*PLACE, ["ca_certificate", ""]],
    PLACE[::-1],
    [["driver", "smtp"], ["hosts", "mail.example"], *PLACE[2:]],
    [],
]
#: The rest of what a secret is bound to, with one change each.
OWNERS: list[tuple[str, int, str]] = [
    ("", 7, "password"), ("globex", 7, "password"), ("ACME", 7, "password"),
    ("acme ", 7, "password"), ("acme", 8, "password"), ("acme", 7, "client_key"),
    ("acme", 7, "Password"),
]  # fmt: skip


def first_format(key: str) -> str:
    return seal_as_before(key, SECRET, FIRST)


def seal(ring: Keyring, secret: str = SECRET) -> str:
    return ring.seal(secret, WHOLE)


def open_(ring: Keyring, token: str) -> str:
    return ring.open(token, WHOLE, FIRST)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(max_size=20))
def test_round_trip(secret: str, owner: str) -> None:
    ring = Keyring([NEW])
    binding = (owner, 7, "password", PLACE)
    assert ring.open(ring.seal(secret, binding), binding) == secret


def test_same_secret_twice_looks_different() -> None:
    ring = Keyring([NEW])
    assert len({seal(ring) for _ in range(200)}) == 200


def test_secret_is_not_in_the_token() -> None:
    token = seal(Keyring([NEW]), "a-plain-secret")
    body = base64.urlsafe_b64decode(token.rpartition(".")[2])
    assert b"a-plain-secret" not in body
    assert "a-plain-secret" not in token


@pytest.mark.parametrize("place", MOVED, ids=repr)
def test_another_destination_does_not_open(place: Place) -> None:
    ring = Keyring([NEW])
    with pytest.raises(SecretUnreadable):
        ring.open(seal(ring), ("acme", 7, "password", place), FIRST)


@pytest.mark.parametrize("owner", OWNERS, ids=repr)
def test_another_owner_sender_or_secret_does_not_open(owner: tuple[str, int, str]) -> None:
    ring = Keyring([NEW])
    with pytest.raises(SecretUnreadable):
        ring.open(seal(ring), (*owner, PLACE), FIRST)


def test_parts_of_the_binding_do_not_run_together() -> None:
    """What moves a letter from one field to the next must not give the same binding."""
    ring = Keyring([NEW])
    token = ring.seal(SECRET, ("a", 1, "bc", [["d", "e"]]))
    others: list[tuple[Any, ...]] = [
        ("ab", 1, "c", [["d", "e"]]), ("a", 1, "b", [["cd", "e"]]), ("a", 1, "bc", [["de"]]),
        ("a", 1, "bc", [["d"], ["e"]]), ("a", 1, "bc", "d", "e"), ("a1", "bc", [["d", "e"]]),
        ("a", "1", "bc", [["d", "e"]]), ("a", 1, "bc,d", [["e"]]),
    ]  # fmt: skip
    for binding in others:
        with pytest.raises(SecretUnreadable):
            ring.open(token, binding)


def test_the_first_format_still_opens_and_counts_as_old() -> None:
    ring = Keyring([NEW, OLD])
    for key in (NEW, OLD):
        token = first_format(key)
        assert open_(ring, token) == SECRET
        assert not ring.is_current(token)
    assert ring.is_current(seal(ring))


@pytest.mark.parametrize("place", range(7))
def test_the_first_format_is_bound_as_it_was(place: int) -> None:
    """Whose, and each of the six values, as they were written."""
    owner, values = FIRST[0], list(FIRST[1])
    if place == 0:
        owner = "globex"
    else:
        values[place - 1] = {bool: 1, int: "587"}.get(type(values[place - 1]), "other")
    with pytest.raises(SecretUnreadable):
        Keyring([NEW]).open(first_format(NEW), WHOLE, (owner, values))


def test_one_format_cannot_pass_for_the_other() -> None:
    """Somebody who can write the row must not choose by which rule it is opened."""
    ring = Keyring([NEW])
    for token, name in ((seal(ring), "v1"), (first_format(NEW), "v2")):
        renamed = f"{name}.{token.partition('.')[2]}"
        for binding in (WHOLE, FIRST):
            with pytest.raises(SecretUnreadable):
                ring.open(renamed, binding, binding)
    with pytest.raises(SecretUnreadable):
        ring.open(first_format(NEW), FIRST, WHOLE)


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
    ["", "v1", "v1.", "v1..", "v3.x.y", "gAAAAAB", "v1.{f}.", "v1.{f}.!", "v1.{f}.é", "v1.{f}.AAAA",
     "V1.{f}.{b}", "v1.{f}.{b}\N{EM DASH}", "v2", "v2.", "v2..", "v3.{f}.{b}", "v2.{f}.",
     "v2.{f}.!", "v2.{f}.é", "v2.{f}.AAAA", "V2.{f}.{b}", "v2.{f}.{b}\N{EM DASH}"],
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
        ring.open(token, ("x", 7, "password", PLACE), FIRST)
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
