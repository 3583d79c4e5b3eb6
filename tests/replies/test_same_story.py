"""The connection test says what sending will do: both are told the same, over a real conversation.

For each row, at each of its steps, one server gives the reply to both.
"""

import ssl
import tomllib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smtp_admin.providers.catalogue import replies
from smtp_admin.replies.meaning import OPENING, Context, Judgement, Login, SenderHealth, Step
from smtp_admin.replies.row import Row
from smtp_admin.replies.table import FILE, Table
from tests.examples import examples
from tests.replies.judging import example_of, reply_of
from tests.replies.talking import RECIPIENT, SENDER, Talk, server_with
from tests.servers.certificates import CertificateFactory
from tests.servers.scripted import ScriptedServer

#: Of a conversation over SMTP; the drivers that call an API have tests of their own.
ROWS = tuple(row for row in replies().rows if row.steps != ("api",))


@pytest.fixture(scope="module")
def context(certificates: CertificateFactory) -> ssl.SSLContext:
    return certificates.server_context(certificates.valid())


def _tell_both(step: Step, text: str, known: Context, context: ssl.SSLContext) -> None:
    login: Login = known.login or "given"
    if step == "auth" and login != "token":
        login = "given"
    with server_with(step, text, login, context) as server:
        _compare(server, step, text, known, login)


def _compare(server: ScriptedServer, step: Step, text: str, known: Context, login: Login) -> None:
    talk = Talk(server, login)
    security, recipient, sender = _envelope(step, known)
    talk.hold(security, recipient, sender)
    talk.tell_the_same(step, _judged(step, text, known, login))


def _envelope(step: Step, known: Context) -> tuple[Any, str, str]:
    security = "tls" if step == "starttls" else "none"
    return security, known.recipient or RECIPIENT, known.sender or SENDER


def _judged(step: Step, text: str, known: Context, login: Login) -> Judgement:
    _, recipient, sender = _envelope(step, known)
    at_hand: Login = login if step not in OPENING or login in {"given", "token"} else "none"
    context = Context(recipient, sender, "127.0.0.1", at_hand)
    return replies().judge(step, reply_of(text), context)


@pytest.mark.parametrize("step", ["greeting", "ehlo", "auth", "mail", "rcpt"])
def test_a_difference_would_be_noticed(step: Step, context: ssl.SSLContext) -> None:
    """So what follows does not pass because nothing is compared."""
    row = next(
        one
        for one in ROWS
        if example_of(one)[0] == step
        and one.verdict
        and replies().judge(step, reply_of(example_of(one)[1]), one.given).test == "failed"
    )
    text, login = example_of(row)[1], row.given.login or "given"
    reasons = tomllib.loads(FILE.read_text("utf-8"))["reasons"]
    others = [replace(one, cause=f"not_{one.cause}") if one is row else one for one in ROWS]
    with server_with(step, text, login, context) as server:
        talk = Talk(server, login)
        talk.hold(*_envelope(step, row.given), tested_by=Table(others, reasons))
        judged = _judged(step, text, row.given, login)
        assert judged.row == row.key
        with pytest.raises(AssertionError):
            talk.tell_the_same(step, judged)
        talk.hold(*_envelope(step, row.given))
        talk.tell_the_same(step, judged)
        others_said: tuple[dict[str, Any], ...] = (
            {"cause": "x"}, {"code": "x"}, {"pause": 1.0}, {"test": "warning"},
            {"health": SenderHealth.FINE},
        )  # fmt: skip
        for other in others_said:
            with pytest.raises(AssertionError):
                talk.tell_the_same(step, replace(judged, **other))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_each_row_at_each_of_its_steps(row: Row, context: ssl.SSLContext) -> None:
    _, text = example_of(row)
    for step in row.steps:
        _tell_both(step, text, row.given, context)


_WORDS = sorted({word for row in ROWS for word in example_of(row)[1].split()[1:]})


@given(
    st.sampled_from(["greeting", "ehlo", "auth", "mail", "rcpt", "data", "dot"]),
    st.integers(400, 599),
    st.lists(st.sampled_from(_WORDS), min_size=1, max_size=10),
)
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_server_says(
    context: ssl.SSLContext, step: Step, code: int, words: list[str]
) -> None:
    _tell_both(step, f"{code} {' '.join(words)}", Context(), context)
