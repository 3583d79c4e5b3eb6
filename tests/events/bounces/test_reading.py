"""What is read in mail that came back: every format, and nothing that is not there."""

import time
import tracemalloc
from collections.abc import Callable
from email import message_from_bytes

import pytest
from flufl.bounce import all_failures
from hypothesis import given, settings
from hypothesis import strategies as st

from smtp_admin.events.bounces import opinion
from smtp_admin.events.bounces.reading import read
from smtp_admin.events.bounces.report import Report
from tests.events.bounces.corpus_status import STATUS
from tests.events.bounces.corpus_words import NOTHING, WORDS
from tests.events.bounces.letters import MIA, OURS, Letter, group, head, plain, report
from tests.examples import examples

ALL = (*STATUS, *WORDS, *NOTHING)
_SECONDS = 2.0


@pytest.mark.parametrize("letter", ALL, ids=lambda one: one.name)
def test_verdict(letter: Letter) -> None:
    found = read(letter.content)
    assert {
        (one.recipients or ("",))[0]: (one.kind, one.bounce, one.code) for one in found.reports
    } == letter.says
    assert bool(found.why) is not bool(letter.says)
    assert (OURS in found.message_ids) is (f"Message-ID: <{OURS}>" in letter.text)
    assert "report-1@mx.example.net" not in found.message_ids


def test_there_are_enough() -> None:
    assert len({one.name for one in ALL}) == len(ALL) >= 60


def test_another_judge_agrees() -> None:
    """flufl.bounce names the same recipients wherever it says anything, but for what is noted."""
    spoke = 0
    for letter in ALL:
        try:
            passing, final = all_failures(message_from_bytes(letter.content))
        except IndexError:  # its own, on mail without headers
            assert letter in NOTHING
            continue
        theirs = {(_text(one), "deferred") for one in passing}
        theirs |= {(_text(one), "bounced") for one in final}
        ours = {(one, said[0]) for one, said in letter.says.items() if said[0] != "delivered"}
        spoke += bool(theirs)
        if letter.judge:
            assert theirs != ours, f"{letter.name}: there is nothing to explain"
        elif theirs:
            assert theirs == ours, letter.name
    assert spoke >= 60


def _text(address: bytes | str) -> str:
    return address.decode() if isinstance(address, bytes) else address


def test_second_opinion_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """A format that only flufl.bounce knows: who failed is believed, why is not known."""
    letter = plain(
        "postmaster@mx.example.net",
        "Mail System Error - Returned Mail",
        "----- Failed Recipients -----\n\nThis Message was undeliverable due to the following "
        "reason:\n\nYour message was not delivered.\n\nUser name: x <mia@example.org>\n",
    )
    asked: list[bytes] = []

    def second_opinion(content: bytes) -> list[Report]:
        asked.append(content)
        return [Report("bounced", (MIA,))]

    monkeypatch.setattr("smtp_admin.events.bounces.reading.second_opinion", second_opinion)
    read(STATUS[0].content)
    read(WORDS[0].content)
    read(NOTHING[0].content)
    assert not asked
    unclear = letter.replace("x <mia@example.org>", "x")
    found = read(unclear.encode())
    assert asked
    assert found.by == "second opinion"
    assert [(one.recipients, one.bounce) for one in found.reports] == [((MIA,), "")]


def test_second_opinion_never_fails(caplog: pytest.LogCaptureFixture) -> None:
    assert opinion.is_there()
    assert opinion.second_opinion(b"") == []  # at which a detector stumbles
    assert not caplog.records
    assert opinion.second_opinion(STATUS[0].content) == [Report("bounced", (MIA,))]


def _nested(levels: int, inside: str) -> str:
    opened = [
        f'Content-Type: multipart/mixed; boundary="n{number}"\n\n--n{number}\n'
        for number in range(levels)
    ]
    closed = "".join(f"\n--n{number}--\n" for number in reversed(range(levels)))
    return head("MAILER-DAEMON@mx.example.net", "failure") + "".join(opened) + inside + closed


_STATUS_PART = "Content-Type: message/delivery-status\n\n" + group("failed", "5.1.1")


def _notice(text: str, *more: str, kind: str = "text/plain") -> str:
    return plain("mailer-daemon@mx.example.net", "failed", text, *more, kind=kind)


_PIECES = "multipart/mixed; boundary*0*=''%FF; boundary*1=a; boundary*99999=b"
HOSTILE: dict[str, Callable[[], str]] = {
    "200 nested parts": lambda: _nested(200, _STATUS_PART),
    "20000 nested parts": lambda: _nested(20_000, _STATUS_PART),
    "100000 parts": lambda: _nested(1, "\n--n0\n".join(["\nx"] * 100_000)),
    "50 MB": lambda: WORDS[0].text + "x" * 50_000_000,
    "a header of 10 MB": lambda: "Subject: " + "x" * 10_000_000 + "\n\nbody",
    "100000 headers": lambda: "X: y\n" * 100_000 + "\nbody",
    "100000 recipients": lambda: report(group("failed", "5.1.1") * 100_000),
    "100000 addresses": lambda: _notice("a@b.example: 550 x\n" * 100_000),
    "a line of addresses": lambda: _notice("a@b.example," * 100_000),
    "spaces": lambda: _notice(" " * 1_000_000),
    "scripts": lambda: _notice("<script" * 100_000, kind="text/html"),
    "brackets": lambda: _notice("<" * 1_000_000, kind="text/html"),
    "boundaries": lambda: _nested(1, "--n0\n" * 200_000),
    "said without end": lambda: report(group("failed", "5.0.0", "smtp; " + "said: 550 " * 50_000)),
    "at signs": lambda: report(group("failed", "5.0.0", to="@" * 500_000)),
    "parts in punycode": lambda: (
        head(
            "MAILER-DAEMON@mx.example.net", "failure", "Content-Type: multipart/mixed; boundary=n0"
        )
        + ("\n--n0\nContent-Type: text/plain; charset=PunyCode\n\nabc-" + "b" * 110_000) * 9
    ),
    "no such character set": lambda: _notice("x", kind="text/plain; charset=\u00e4\u0000"),
    "broken base64": lambda: _notice("=" * 999 + "A", "Content-Transfer-Encoding: base64"),
    "a type of nothing": lambda: _notice("x", kind=";;;=\"*0*=''"),
    "continued parameters": lambda: _notice("x", kind=_PIECES),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_is_bounded(name: str) -> None:
    content = HOSTILE[name]().encode("utf-8", "surrogateescape")
    tracemalloc.start()
    began = time.process_time()
    try:
        found = read(content)
        assert time.process_time() - began < _SECONDS * 3  # tracing slows it down
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()
    assert len(found.reports) <= 100


def test_a_returned_mail_proves_nothing() -> None:
    """A status inside the mail that came back is about another mail, which may be anybody's."""
    inner = report(group("failed", "5.1.1", to="noah@example.org")).replace("b1", "b2")
    found = read(report(group("failed", "5.1.1")).replace("The text.", inner).encode())
    assert [one.recipients for one in found.reports] == [(MIA,)]


@settings(max_examples=examples(150))
@given(st.data())
def test_damaged_mail_never_raises(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(ALL)).content)
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 40)))
        content[start:end] = data.draw(st.binary(max_size=12))
    found = read(bytes(content))
    assert all(one.kind in {"bounced", "deferred", "delivered"} for one in found.reports)
