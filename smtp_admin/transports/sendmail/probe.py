"""The test of a sender that sends by a mail program: all that sending does, but no mail.

The program is looked at, and asked about an address only where it is known to answer and to send
nothing: Postfix's would mail a report, and some others send whatever their standard input holds.
"""

from smtp_admin.smtp.address import clean_address
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.reply import Reply
from smtp_admin.translation import gettext, number, said_by
from smtp_admin.transports.driver import Caution, Trial
from smtp_admin.transports.outcome import SenderHealth
from smtp_admin.transports.sendmail import exit_codes
from smtp_admin.transports.sendmail.process import Ending, run
from smtp_admin.transports.sendmail.program import HINT, Kind, kind_of, problem_with

STEPS = {
    "validate": gettext("Settings"),
    "program": gettext("Program"),
    "verify": gettext("Address check"),
}
_ANSWER_SECONDS = 5.0


def test(trial: Trial) -> None:
    """Run the steps.

    Raises:
        SMTPFailure: at the first that fails.
    """
    program = trial.surroundings.sendmail
    trial.report.run("validate", lambda: (_envelope_sender(trial.sender_address), None))
    trial.report.run("program", lambda: (_look_at(program), None))
    kind = kind_of(program[0])
    if not trial.sender_address:
        trial.report.skip("verify", gettext("there is no address to ask about"))
    elif not kind.verifies:
        trial.report.skip("verify", kind.why_not)
    else:
        trial.report.run("verify", lambda: _ask(trial, kind))


def _envelope_sender(address: str) -> str:
    if not address:
        return gettext("envelope sender: none, so bounces are lost")
    try:
        return gettext("envelope sender %(clean_address)s", clean_address=clean_address(address))
    except ValueError as error:
        raise SMTPFailure("invalid_input", "validate", said_by(error)) from error


def _look_at(program: tuple[str, ...]) -> str:
    problem = problem_with(program)
    if problem:
        raise SMTPFailure("program_missing", "program", problem, hint=HINT)
    name = kind_of(program[0]).name
    return f"{program[0]}{f', {name}' if name else ''}"


def _ask(trial: Trial, kind: Kind) -> tuple[str, Reply | None]:
    """Whether the mail system would take mail for the envelope sender, as bounces are."""
    seconds = Deadline(_ANSWER_SECONDS, trial.overall).remaining()
    program = trial.surroundings.sendmail
    try:
        ending = run(
            (*program, *kind.verifies, trial.sender_address), b"", reading=seconds, ending=seconds
        )
    except OSError as error:
        raise SMTPFailure(
            "program_missing",
            "program",
            gettext(
                "%(program)s cannot be started: %(why)s.", program=program[0], why=error.strerror
            ),
            hint=HINT,
        ) from error  # fmt: skip
    if ending.cut:
        return (
            gettext(
                "%(name)s gave no answer in %(seconds)s seconds; mail can still be sent",
                name=kind.name,
                seconds=number(seconds),
            ),
            None,
        )
    if ending.status == 0:
        return ending.first_line or gettext("it can deliver to this address"), None
    return _no_way(trial, kind, ending), None


def _no_way(trial: Trial, kind: Kind, ending: Ending) -> str:
    """What else it may mean: its own trouble fails the test, a bad address does not."""
    status = ending.status
    # Exim has numbers of its own here: 1 for "not now", 2 for "never".
    row = None if status is None or kind.name == "Exim" else exit_codes.meaning(status)
    if row is not None and row.health is SenderHealth.MISCONFIGURED:
        raise SMTPFailure(
            "program_failed",
            "verify",
            row.sentence,
            hint=gettext("It said: “%(first_line)s”", first_line=ending.first_line),
            cause=row.cause,
        )
    trial.cautions.append(
        Caution(
            "sender_undeliverable",
            gettext(
                "%(name)s cannot deliver to %(sender_address)s, so bounces may be lost.",
                name=kind.name,
                sender_address=trial.sender_address,
            ),
        )
    )
    return ending.first_line or gettext("it ended with %(status)s", status=status)
