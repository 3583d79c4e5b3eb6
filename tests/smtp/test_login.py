"""The lines of a login (RFC 4954), whatever it is made of."""

import base64
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.smtp.login import converse
from smtp_admin.smtp.reply import Reply

#: "AUTH X " and the line end take 9 of 512 bytes; 503 letters are left, which base64 cannot fill.
FITS, DOES_NOT = b"f" * 375, b"d" * 376


class Script:
    """A login with these answers, and a server with these replies."""

    def __init__(
        self, initial: bytes | None, answers: Iterable[bytes | None], replies: Iterable[str]
    ) -> None:
        self.initial = initial
        self._answers = iter(answers)
        self._replies: Iterator[str] = iter(replies)
        self.asked: list[bytes] = []
        self.lines: list[str] = []
        self.shown: list[str] = []

    def answer(self, challenge: bytes) -> bytes | None:
        self.asked.append(challenge)
        return next(self._answers)

    def say(self, words: str, secret: str) -> Reply:
        self.lines.append(f"{words} {secret}".strip())
        self.shown.append(words)
        code, _, text = next(self._replies).partition(" ")
        return Reply(int(code), (text,))

    def run(self) -> tuple[int, bool]:
        reply, given_up = converse("X", self, self.say)
        return reply.code, given_up


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def test_a_short_first_response_goes_along() -> None:
    script = Script(FITS, [], ["235 yes"])
    assert script.run() == (235, False)
    assert script.lines == [f"AUTH X {encoded(FITS)}"]
    assert script.shown == ["AUTH X"]


def test_a_long_first_response_follows() -> None:
    script = Script(DOES_NOT, [], ["334 ", "235 yes"])
    assert script.run() == (235, False)
    assert script.lines == ["AUTH X", encoded(DOES_NOT)]
    assert script.shown == ["AUTH X", ""]
    assert script.asked == [], "it answers nothing"


@given(st.binary(max_size=2000))
def test_no_command_is_longer_than_servers_must_take(initial: bytes) -> None:
    script = Script(initial, [], ["334 ", "235 yes"] if len(initial) > len(FITS) else ["235 yes"])
    assert script.run() == (235, False)
    assert len(script.lines[0]) + 2 <= 512
    said = script.lines[-1].removeprefix("AUTH X ")
    assert base64.b64decode("" if said == "=" else said) == initial


def test_a_long_first_response_that_is_refused_at_once_is_never_sent() -> None:
    script = Script(DOES_NOT, [], ["504 no"])
    assert script.run() == (504, False)
    assert script.lines == ["AUTH X"]


def test_an_empty_first_response_is_said() -> None:
    script = Script(b"", [], ["235 yes"])
    assert script.run() == (235, False)
    assert script.lines == ["AUTH X ="]


def test_challenges_are_answered_without_their_base64() -> None:
    script = Script(None, [b"one", b""], [f"334 {encoded(b'who?')}", "334 not base64", "235 yes"])
    assert script.run() == (235, False)
    assert script.lines == ["AUTH X", encoded(b"one"), ""]
    assert script.asked == [b"who?", b"not base64"]


def test_a_login_without_an_answer_is_cancelled() -> None:
    script = Script(None, [b"one", None], ["334 ", "334 ", "501 cancelled"])
    assert script.run() == (501, True)
    assert script.lines == ["AUTH X", encoded(b"one"), "*"]


def test_a_cancelled_login_is_none_whatever_the_server_says() -> None:
    script = Script(None, [None], ["334 ", "235 welcome"])
    assert script.run() == (235, True)


def test_a_server_without_end_is_left() -> None:
    script = Script(None, [b"again"] * 99, ["334 "] * 99)
    assert script.run() == (334, True)
    assert script.lines[-1] == "*"
    assert len(script.lines) < 15


@pytest.mark.parametrize("last", ["235 yes", "535 no"])
def test_the_last_answer_may_be_the_right_one(last: str) -> None:
    script = Script(None, [b"again"] * 8, ["334 "] * 8 + [last])
    assert script.run() == (int(last[:3]), False)
