"""What the exit status of a mail program means, and its words."""

import pytest

from smtp_admin.providers.catalogue import replies
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict
from smtp_admin.transports.sendmail.exit_codes import TABLE, judge, meaning
from smtp_admin.transports.sendmail.process import Ending
from tests.transports.programs import READ, MakeProgram, one, through
from tests.transports.sending import (
    ACCEPTED,
    PERMANENT,
    RELEASED,
    TEMPORARY,
    deliver,
    mails,
    verdicts,
)

FINE, DOWN, MISCONFIGURED = SenderHealth.FINE, SenderHealth.DOWN, SenderHealth.MISCONFIGURED
EXPECTED = {
    1: (RELEASED, DOWN, "program_failed"),
    2: (RELEASED, DOWN, "program_failed"),
    64: (RELEASED, MISCONFIGURED, "program_failed"),
    65: (PERMANENT, FINE, "message_refused"),
    66: (RELEASED, MISCONFIGURED, "program_failed"),
    67: (PERMANENT, FINE, "recipient_refused"),
    68: (PERMANENT, FINE, "recipient_refused"),
    69: (RELEASED, DOWN, "program_failed"),
    70: (RELEASED, DOWN, "program_failed"),
    71: (RELEASED, DOWN, "program_failed"),
    72: (RELEASED, MISCONFIGURED, "program_failed"),
    73: (RELEASED, DOWN, "program_failed"),
    74: (RELEASED, DOWN, "program_failed"),
    75: (TEMPORARY, FINE, "server_refused"),
    76: (RELEASED, DOWN, "program_failed"),
    77: (RELEASED, MISCONFIGURED, "program_refused"),
    78: (RELEASED, MISCONFIGURED, "program_failed"),
    126: (RELEASED, MISCONFIGURED, "program_missing"),
    127: (RELEASED, MISCONFIGURED, "program_missing"),
    255: (RELEASED, DOWN, "program_failed"),
}


@pytest.mark.parametrize(("status", "expected"), EXPECTED.items())
def test_each_status(
    program: MakeProgram, status: int, expected: tuple[Verdict, SenderHealth, str]
) -> None:
    outcome = one(through(program(f"{READ}echo 'queue: not today' >&2\nexit {status}")))
    assert (outcome.verdict, outcome.health, outcome.code) == expected
    assert f"ended with {status}" in outcome.reason
    assert "queue: not today" in outcome.reason
    assert outcome.bad_address is (status == 67)
    assert not outcome.opening


def test_the_table_gives_every_status_a_meaning_and_a_reason() -> None:
    for status in range(256):
        row = meaning(status)
        assert (row.verdict is ACCEPTED) == (status == 0)
    for row in TABLE:
        assert row.why
        # Whatever stops the stream says what is wrong with the sender, and nothing else does.
        assert (row.verdict is RELEASED) == (row.health is not FINE)


SAID = [
    (75, "sendmail: fatal: a@b.example(0): message file too big", PERMANENT, FINE, "too_large"),
    (1, "exim: message too big: size limit is 50M", PERMANENT, FINE, "too_large"),
    (75, "sendmail: fatal: User www(33) is not allowed to submit mail", RELEASED, MISCONFIGURED,
     "program_refused"),
    (75, "sendmail: fatal: usage: sendmail [options]", RELEASED, MISCONFIGURED, "program_failed"),
    (75, "sendmail: fatal: open /etc/postfix/main.cf: No such file", RELEASED, MISCONFIGURED,
     "program_failed"),
    (68, "msmtp: cannot locate host smtp.acme.example", RELEASED, DOWN, "program_failed"),
    (69, "msmtp: server message: 550 5.1.1 no such user", PERMANENT, FINE, "recipient_refused"),
    (69, "msmtp: server message: 451 4.3.0 later", TEMPORARY, FINE, "server_refused"),
    (69, "msmtp: server message: 421 4.7.0 rate limit", RELEASED, SenderHealth.LIMITED,
     "rate_limited"),
    (1, "554 5.7.1 looks like spam", PERMANENT, FINE, "message_refused"),
    (1, "gave up after 500 seconds", RELEASED, DOWN, "program_failed"),
    (70, "550 5.1.1 no such user", RELEASED, DOWN, "program_failed"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "said", "verdict", "health", "code"), SAID)
def test_its_words_count_where_the_number_says_too_little(
    status: int, said: str, verdict: Verdict, health: SenderHealth, code: str
) -> None:
    outcome = judge(Ending(status, 0, "", taken=True, said=f"\n{said}\n"), replies())
    assert (outcome.verdict, outcome.health, outcome.code) == (verdict, health, code)


def test_several_that_ask_for_later_in_a_row_mean_the_sender(program: MakeProgram) -> None:
    """Postfix ends with 75 whatever is wrong: a whole queue must not run out of attempts."""
    transport = through(program(f"{READ}exit 75"))
    found = deliver(transport, mails(5))
    assert verdicts(found) == {0: TEMPORARY, 1: TEMPORARY, 2: RELEASED}
    assert found[2].health is DOWN
    assert verdicts(deliver(transport, mails(1))) == {0: TEMPORARY}, "it begins anew"


def test_only_in_a_row(program: MakeProgram) -> None:
    transport = through(program(f'{READ}case "$6" in r[25]@*) exit 0;; esac\nexit 75'))
    expected = [TEMPORARY, TEMPORARY, ACCEPTED, TEMPORARY, TEMPORARY, ACCEPTED]
    assert [*verdicts(deliver(transport, mails(6))).values()] == expected


def test_success_is_success_whatever_it_says(program: MakeProgram) -> None:
    found = one(through(program(f"{READ}echo 550 5.1.1 no; echo fatal >&2")))
    assert found == Outcome(ACCEPTED)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\n\nsendmail: fatal: no\nmore", "sendmail: fatal: no"),
        ("postdrop: warning: odd\nsendmail: fatal: no", "sendmail: fatal: no"),
        ("postdrop: warning: odd\n", "postdrop: warning: odd"),
        ("Traceback (most recent call last):\n  File x\nKeyError: 'a'", "KeyError: 'a'"),
        ("a\x1b[31mb\x00c\u202e", "a\ufffd[31mb\ufffdc\ufffd"),
        ("x" * 300, "x" * 199 + "…"),
        ("", ""),
    ],
)
def test_what_is_shown_of_its_words(said: str, shown: str) -> None:
    ending = Ending(74, 0, "", taken=True, said=said)
    assert ending.first_line == shown
    assert (f"“{shown}”" in judge(ending, replies()).reason) == bool(shown)
