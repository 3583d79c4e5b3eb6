"""The test of a sender that sends by a mail program."""

from pathlib import Path

import pytest

from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report
from smtp_admin.transports.driver import Trial
from smtp_admin.transports.sendmail.driver import DRIVER
from smtp_admin.transports.sendmail.program import kind_of
from tests.servers.postfix_queue import SENDMAIL
from tests.transports.contract.sink import surroundings
from tests.transports.programs import MakeProgram

ADDRESS = "sender@acme.example"


def trial(*command: str, sender: str = ADDRESS, seconds: float = 20) -> Trial:
    setup = DRIVER.read({}, {})
    return Trial(setup, sender, surroundings(sendmail=command), Report(), Deadline(seconds))


def steps(tried: Trial) -> list[tuple[str, str]]:
    return [(step.name, step.status) for step in tried.report.steps]


def test_a_program_of_nobody_we_know_is_only_looked_at(program: MakeProgram) -> None:
    """What it does with a question is unknown: some send whatever they are given."""
    path = program("touch $0.ran")
    tried = trial(str(path))
    DRIVER.test(tried)
    assert steps(tried) == [("validate", "ok"), ("program", "ok"), ("verify", "skipped")]
    assert ADDRESS in tried.report.steps[0].detail
    assert not Path(f"{path}.ran").exists()
    assert [*DRIVER.steps] == [name for name, _ in steps(tried)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("exim4", "Exim"),
        ("exim-4.96-2", "Exim"),
        ("sm.bin/sendmail", "Sendmail"),
        ("libexec/sendmail/sendmail", "Sendmail"),
        ("sendmail.postfix", "Postfix"),
        ("msmtp", "msmtp"),
        ("smtpctl", "OpenSMTPD"),
        ("exim4-wrapper.py.bak/other", ""),
    ],
)
def test_whose_it_is_tells_where_its_link_leads(
    program: MakeProgram, tmp_path: Path, name: str, kind: str
) -> None:
    path = program("exit 0", name)
    link = tmp_path / "usr-sbin-sendmail"
    link.symlink_to(path)
    assert kind_of(str(link)).name == kind


@pytest.mark.skipif(not SENDMAIL.exists(), reason="There is no mail program.")
def test_postfix_is_not_asked_for_it_would_send_a_mail() -> None:
    tried = trial(str(SENDMAIL))
    DRIVER.test(tried)
    verify = tried.report.steps[-1]
    assert (verify.name, verify.status) == ("verify", "skipped")
    assert "Postfix would mail a report" in verify.detail


def test_exim_is_asked(program: MakeProgram) -> None:
    path = program('echo "$@ verified"', "exim4")
    tried = trial(str(path), "-C", "/etc/other")
    DRIVER.test(tried)
    assert steps(tried)[-1] == ("verify", "ok")
    assert tried.report.steps[-1].detail == f"-C /etc/other -bv -- {ADDRESS} verified"
    assert not tried.cautions


@pytest.mark.parametrize("status", [1, 2])
def test_an_address_without_a_way_is_a_caution(program: MakeProgram, status: int) -> None:
    """Mail from it can be sent; bounces to it may get lost."""
    path = program(f"echo {ADDRESS} failed to verify: Unrouteable address; exit {status}", "exim4")
    tried = trial(str(path))
    DRIVER.test(tried)
    assert [one.code for one in tried.cautions] == ["sender_undeliverable"]
    assert ADDRESS in tried.cautions[0].message
    assert "Unrouteable" in tried.report.steps[-1].detail


def test_a_mail_system_that_is_set_up_wrongly_fails(program: MakeProgram) -> None:
    path = program("echo 'fatal: cannot open sendmail.cf' >&2; exit 78", "sm.bin/sendmail")
    with pytest.raises(SMTPFailure) as failed:
        DRIVER.test(trial(str(path)))
    assert (failed.value.code, failed.value.step) == ("program_failed", "verify")
    assert "sendmail.cf" in failed.value.hint


def test_no_answer_is_no_failure(program: MakeProgram) -> None:
    tried = trial(str(program("sleep 60", "exim4")), seconds=0.2)
    DRIVER.test(tried)
    assert steps(tried)[-1] == ("verify", "ok")
    assert "no answer" in tried.report.steps[-1].detail


def test_no_address_to_ask_about(program: MakeProgram) -> None:
    tried = trial(str(program("exit 0", "exim4")), sender="")
    DRIVER.test(tried)
    assert steps(tried)[-1] == ("verify", "skipped")


def test_a_wrong_address_fails_before_anything(program: MakeProgram) -> None:
    with pytest.raises(SMTPFailure) as failed:
        DRIVER.test(trial(str(program("exit 0")), sender="-X@acme.example"))
    assert (failed.value.code, failed.value.step) == ("invalid_input", "validate")


def test_what_cannot_be_started(program: MakeProgram, tmp_path: Path) -> None:
    closed = program("exit 0")
    closed.chmod(0o600)
    paths = [str(tmp_path / "nothing"), str(closed), str(tmp_path), "sendmail"]
    for command in [*([path] for path in paths), []]:
        tried = trial(*command)
        with pytest.raises(SMTPFailure) as failed:
            DRIVER.test(tried)
        assert (failed.value.code, failed.value.step) == ("program_missing", "program")
        assert "SMTP_ADMIN_SENDMAIL" in f"{failed.value}"
        assert failed.value.hint
        assert steps(tried)[-1] == ("program", "failed")


def test_a_program_that_no_longer_starts_when_it_is_asked(
    program: MakeProgram, tmp_path: Path
) -> None:
    odd = program("", "exim4")
    odd.write_text("not a program")
    with pytest.raises(SMTPFailure) as failed:
        DRIVER.test(trial(str(odd)))
    assert failed.value.code == "program_missing"
