"""The memory driver: mail stays in the process, within bounds, and everybody is told so."""

from collections.abc import Iterator

import pytest

from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.report import Report
from smtp_admin.transports import memory
from smtp_admin.transports.base import Outgoing
from smtp_admin.transports.driver import Trial
from smtp_admin.transports.outcome import Outcome, Verdict
from tests.transports.contract.sink import surroundings
from tests.transports.sending import ACCEPTED, PERMANENT, deliver, mail, mails, verdicts


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    memory.clear()
    yield
    memory.clear()


def test_what_is_kept() -> None:
    deliver(memory.MemoryTransport(), mails(2))
    deliver(memory.MemoryTransport(), [Outgoing(9, "", "sam@example.com", b"x")])
    kept = memory.kept_mails()
    assert [one.recipient.partition("@")[0] for one in kept] == ["r0", "r1", "sam"]
    assert [one.mail_from for one in kept] == ["sender@acme.example"] * 2 + [""]
    assert [one.content for one in kept] == [*(one.content for one in mails(2)), b"x"]
    kept.clear()
    assert len(memory.kept_mails()) == 3, "what was read is a copy"
    memory.clear()
    assert not memory.kept_mails()


def test_number_is_bounded() -> None:
    deliver(memory.MemoryTransport(), mails(memory.MOST_MAILS + 5))
    kept = memory.kept_mails()
    assert len(kept) == memory.MOST_MAILS
    assert kept[0].recipient == "r5@example.com"


def test_size_is_bounded() -> None:
    large = memory.MOST_BYTES // 4
    deliver(memory.MemoryTransport(), [mail(key, b"x" * large) for key in range(9)])
    assert [one.recipient for one in memory.kept_mails()] == [
        f"r{key}@example.com" for key in range(5, 9)
    ]
    deliver(
        memory.MemoryTransport(),
        [
            mail(10, b"x" * (memory.MOST_BYTES + 1)),
        ],
    )
    assert [one.recipient for one in memory.kept_mails()] == ["r10@example.com"], "the newest stays"
    deliver(memory.MemoryTransport(), mails(1))
    assert [one.recipient for one in memory.kept_mails()] == ["r0@example.com"]


def test_a_hosts_test_can_have_mail_refused() -> None:
    memory.answer_with(
        lambda mail: Outcome(Verdict.PERMANENT if "r1@" in mail.recipient else ACCEPTED)
    )
    found = deliver(memory.MemoryTransport(), mails(3))
    assert verdicts(found) == {0: ACCEPTED, 1: PERMANENT, 2: ACCEPTED}
    assert len(memory.kept_mails()) == 2
    memory.clear()
    assert verdicts(deliver(memory.MemoryTransport(), mails(2))) == {0: ACCEPTED, 1: ACCEPTED}


def test_everybody_is_told() -> None:
    assert memory.DRIVER.keeps_mail
    setup = memory.DRIVER.read({}, {})
    trial = Trial(setup, "a@acme.example", surroundings(), Report(), Deadline(5))
    memory.DRIVER.test(trial)
    assert [step.name for step in trial.report.steps] == [*memory.DRIVER.steps]
    assert "No mail is sent" in trial.report.steps[-1].detail
    assert [one.code for one in trial.cautions] == ["kept_not_sent"]
    assert "nothing is sent" in setup.place
