"""Which program hands mail over, whether it can be started, and whose it is.

Nothing here runs it: what an unknown program does with a question is unknown too. Some take any
option and send what stands on their standard input, even if that is nothing.
"""

import errno
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smtp_admin.translation import gettext
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict

#: Passes by itself: too many processes or open files, too little memory, a program being replaced.
_PASSING = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY}
_OPERATOR = gettext("The platform's operator sets it: SMTP_ADMIN_SENDMAIL.")
HINT = gettext(
    "SMTP_ADMIN_SENDMAIL must be the full path of the program, usually "
    "/usr/sbin/sendmail. It is part of a mail server such as Postfix or "
    "Exim, or of msmtp."
)


@dataclass(frozen=True, slots=True)
class Kind:
    """Whose program it is, as far as its place tells.

    Attributes:
        verifies: the arguments before an address that it then checks, and sends nothing; empty
            where it cannot, or where nobody knows.
        why_not: what to say where it cannot.
    """

    name: str
    verifies: tuple[str, ...] = ()
    why_not: str = gettext("only known to be safe with Exim and Sendmail")


_POSTFIX = Kind(
    gettext("Postfix"), why_not=gettext("Postfix would mail a report instead of answering")
)
_KINDS = (
    (re.compile(r"/exim4?$|/exim[-.\w]*$"), Kind(gettext("Exim"), ("-bv", "--"))),
    (
        re.compile(r"/sm\.bin/sendmail$|/libexec/sendmail/sendmail$|/sendmail\.sendmail$"),
        Kind(gettext("Sendmail"), ("-bv", "--")),
    ),
    (re.compile(r"/sendmail\.postfix$"), _POSTFIX),
    (re.compile(r"/msmtp$"), Kind("msmtp")),
    (re.compile(r"/smtpctl$"), Kind("OpenSMTPD")),
    (re.compile(r"/(?:dma|ssmtp|nullmailer-\w+)$"), Kind(gettext("a relay without a queue check"))),
)


def problem_with(program: Sequence[str]) -> str:
    """Why it cannot be started, in a sentence; empty if it can."""
    if not program or not program[0]:
        return gettext("No mail program is configured. %(operator)s", operator=_OPERATOR)
    path = program[0]
    if not Path(path).is_absolute():
        return gettext(
            "The mail program needs its full path, not %(path)s. %(operator)s",
            path=repr(path[:100]),
            operator=_OPERATOR,
        )
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return gettext("There is no program %(path)s. %(operator)s", path=path, operator=_OPERATOR)
    except OSError as error:
        return gettext(
            "The program %(path)s cannot be reached (%(strerror)s). %(operator)s",
            path=path,
            strerror=error.strerror,
            operator=_OPERATOR,
        )
    if not stat.S_ISREG(found.st_mode):
        return gettext("%(path)s is not a program. %(operator)s", path=path, operator=_OPERATOR)
    if not os.access(path, os.X_OK):
        return gettext("This app may not run %(path)s. %(operator)s", path=path, operator=_OPERATOR)
    return ""


def of_start(program: Sequence[str], error: OSError) -> Outcome:
    """What it means that it could not be started: there is nothing wrong with the mail."""
    if error.errno in _PASSING:
        return _released(
            SenderHealth.DOWN,
            "program_failed",
            gettext(
                "The mail program could not be started right now (%(strerror)s).",
                strerror=error.strerror,
            ),
        )
    sentence = problem_with(program) or (
        gettext(
            "%(program)s cannot be started (%(strerror)s): it is not a program "
            "for this machine, or a script without a valid first line. "
            "%(operator)s",
            program=program[0],
            strerror=error.strerror,
            operator=_OPERATOR,
        )
    )
    return _released(SenderHealth.MISCONFIGURED, "program_missing", sentence)


def without_path(program: Sequence[str]) -> Outcome | None:
    """The outcome where no whole path is configured, for nothing is looked for; else ``None``."""
    if program and Path(program[0]).is_absolute():
        return None
    return _released(SenderHealth.MISCONFIGURED, "program_missing", problem_with(program))


def kind_of(path: str) -> Kind:
    """Whose program is behind *path*, by where that leads."""
    real = Path(path).resolve()
    for pattern, kind in _KINDS:
        if pattern.search(str(real)):
            return kind
    if (real.parent / "postfix").exists():
        return _POSTFIX
    return Kind("")


def _released(health: SenderHealth, code: str, sentence: str) -> Outcome:
    return Outcome(Verdict.RELEASED, health, sentence, code=code, opening=True)
