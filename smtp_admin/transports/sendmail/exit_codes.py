"""What a mail program's exit status means for the mail, and for the sender.

The numbers are those of ``sysexits.h``; what real programs mean by them is the reason in each row.
The first row that fits counts.
"""

import re
from dataclasses import dataclass

from smtp_admin.replies.meaning import NOTHING_KNOWN, Context
from smtp_admin.replies.table import Table
from smtp_admin.smtp.reply import Reply
from smtp_admin.translation import gettext, joined
from smtp_admin.transports import verdicts
from smtp_admin.transports.outcome import Outcome, SenderHealth, Verdict
from smtp_admin.transports.sendmail.process import Ending

_ACCEPTED, _PERMANENT, _TEMPORARY, _RELEASED = (
    Verdict.ACCEPTED, Verdict.PERMANENT, Verdict.TEMPORARY, Verdict.RELEASED,
)  # fmt: skip
_FINE, _DOWN, _MISCONFIGURED = (
    SenderHealth.FINE, SenderHealth.DOWN, SenderHealth.MISCONFIGURED,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One meaning of some statuses.

    Attributes:
        statuses: empty for any but success.
        name: in ``sysexits.h``; empty for what is not in there.
        sentence: for people.
        why: the reason for the decision.
        says: a pattern that must be in what the program said.
        bad_address: the recipient's address itself is wrong.
        cause: the key of what is behind it, where the code alone says too little.
    """

    statuses: tuple[int, ...]
    name: str
    verdict: Verdict
    health: SenderHealth
    code: str
    sentence: str
    why: str
    says: str = ""
    bad_address: bool = False
    cause: str = ""

    def fits(self, status: int, said: str) -> bool:
        """Whether this is the meaning of *status*, given what the program said."""
        if self.statuses and status not in self.statuses:
            return False
        return not self.says or bool(re.search(self.says, said, re.IGNORECASE))


#: These alone say too little: where the program passes on what a server replied, that decides.
_CATCH_ALL = {1, 69}
_SETUP = gettext("The mail program of this machine is not set up properly.")
_REFUSED = gettext("The mail program does not allow this app to send.")
_TROUBLE = gettext("The mail system of this machine has a problem.")

TABLE: tuple[Row, ...] = (
    Row(
        (0,), "EX_OK", _ACCEPTED, _FINE, "", "",
        "It has taken the mail and answers for it from now on.",
    ),
    Row(
        (), "", _PERMANENT, _FINE, "too_large",
        gettext("The mail is too large for the mail system of this machine."),
        "Postfix says so with 75 or 69, Exim with 1, others with 65: the words are clear, the "
        "number is not. It stays too large.",
        says=r"message (?:file )?too (?:big|large)|message (?:size )?exceeds",
    ),
    Row(
        (68,), "EX_NOHOST", _RELEASED, _DOWN, "program_failed", _TROUBLE,
        "msmtp means the server it relays to, not the recipient's.",
        says=r"cannot locate host",
    ),
    Row(
        (75, 77), "", _RELEASED, _MISCONFIGURED, "program_refused", _REFUSED,
        "Postfix's authorized_submit_users; it ends with 75 whatever the failure is.",
        says=r"not allowed to submit mail",
    ),
    Row(
        (75,), "", _RELEASED, _MISCONFIGURED, "program_failed", _SETUP,
        "Postfix again: an argument that it does not know, or settings that it cannot read.",
        says=r"fatal: (?:usage|unsupported|open [^ ]*/main\.cf)",
        cause="mail_program_setup",
    ),
    Row(
        (64,), "EX_USAGE", _RELEASED, _MISCONFIGURED, "program_failed", _SETUP,
        "It does not understand its arguments; they are the same for the next mail.",
        cause="mail_program_setup",
    ),
    Row(
        (65,), "EX_DATAERR", _PERMANENT, _FINE, "message_refused",
        gettext("The mail program refused the mail."),
        "It dislikes what is in this mail, and will again.",
    ),
    Row(
        (66,), "EX_NOINPUT", _RELEASED, _MISCONFIGURED, "program_failed", _SETUP,
        "A file of its own cannot be read (msmtp: a certificate); the mail came by standard input.",
        cause="mail_program_setup",
    ),
    Row(
        (67,), "EX_NOUSER", _PERMANENT, _FINE, "recipient_refused",
        gettext("The mail program does not know the recipient."),
        "The address is wrong: Sendmail's 550 5.1.1.", bad_address=True,
    ),
    Row(
        (68,), "EX_NOHOST", _PERMANENT, _FINE, "recipient_refused",
        gettext("The mail program does not know the recipient's domain."),
        "Sendmail's 550 5.1.2. Not held against the address: other programs may mean a host of "
        "their own.",
    ),
    Row(
        (69,), "EX_UNAVAILABLE", _RELEASED, _DOWN, "program_failed", _TROUBLE,
        "The catch-all. A mail that meets it again and again is blamed by the queue itself.",
    ),
    Row(
        (70,), "EX_SOFTWARE", _RELEASED, _DOWN, "program_failed", _TROUBLE,
        "A fault in the program, or in Postfix's queue: not the mail's.",
    ),
    Row(
        (71,), "EX_OSERR", _RELEASED, _DOWN, "program_failed", _TROUBLE,
        "No memory, no processes: passes with the load.",
    ),
    Row(
        (72,), "EX_OSFILE", _RELEASED, _MISCONFIGURED, "program_failed", _SETUP,
        "A file of the system is missing or broken; waiting brings it back to nobody.",
        cause="mail_program_setup",
    ),
    Row(
        (73,), "EX_CANTCREAT", _RELEASED, _DOWN, "program_failed", _TROUBLE,
        "It cannot write its queue: usually because a disk is full, which someone will free.",
    ),
    Row(
        (74,), "EX_IOERR", _RELEASED, _DOWN, "program_failed", _TROUBLE,
        "Disk or network failed while it worked.",
    ),
    Row(
        (75,), "EX_TEMPFAIL", _TEMPORARY, _FINE, "server_refused",
        gettext("The mail program asked to try again later."),
        "It has not taken the mail: Sendmail, which keeps such mail in its queue, ends with 0. "
        "Postfix ends so on nearly any trouble, so several in a row mean the sender.",
    ),
    Row(
        (76,), "EX_PROTOCOL", _RELEASED, _DOWN, "program_failed", _TROUBLE,
        "The server behind it talks nonsense (msmtp: no encryption was agreed on).",
    ),
    Row(
        (77,), "EX_NOPERM", _RELEASED, _MISCONFIGURED, "program_refused",
        _REFUSED,
        "No right to send: msmtp's refused login, a wrapper's own rule. True for every mail.",
    ),
    Row(
        (78,), "EX_CONFIG", _RELEASED, _MISCONFIGURED, "program_failed", _SETUP,
        "Its own settings are wrong.",
        cause="mail_program_setup",
    ),
    Row(
        (126, 127), "", _RELEASED, _MISCONFIGURED, "program_missing",
        gettext("The mail program calls another one that is missing or may not be run."),
        "How a script ends whose command was not found, or is not executable.",
    ),
    Row(
        (), "", _RELEASED, _DOWN, "program_failed",
        gettext("The mail program failed without giving a reason."),
        "1 is all that Exim and most scripts know. Nothing was taken; a mail that meets it again "
        "and again is blamed by the queue itself.",
    ),
)  # fmt: skip

_SHELL_SIGNAL = 128
_LAST_SIGNAL = 64
# At the beginning of a line, as msmtp passes it on, or with an enhanced code behind it.
_REPLY = re.compile(
    r"(?:^\s*|server message: +|(?<!\d)(?=\d{3}[ -][45]\.\d{1,3}\.\d{1,3}\b))"
    r"([45]\d\d)[ -](\S.*)"
)
_SAID = 200


def judge(ending: Ending, replies: Table, context: Context = NOTHING_KNOWN) -> Outcome:
    """What it means that the program ended like this.

    Args:
        replies: judges what a server said that the program passes on.
    """
    if ending.status == 0 and (ending.taken or not ending.cut):
        return Outcome(Verdict.ACCEPTED)
    if ending.cut:
        return _of_cut(ending)
    if ending.status is None or _by_shell(ending.status):
        number = ending.signal or (ending.status or _SHELL_SIGNAL) - _SHELL_SIGNAL
        return _broken(
            ending,
            "program_failed",
            gettext("The mail program was killed (signal %(number)s).", number=number),
        )
    reply = reply_in(ending.said)
    if reply is not None and ending.status in _CATCH_ALL:
        about_address = (reply.enhanced or "").startswith("5.1.")
        return verdicts.of_reply("rcpt" if about_address else "dot", reply, replies, context)
    row = meaning(ending.status, ending.said)
    return Outcome(
        row.verdict,
        row.health,
        _in_full(row.sentence, ending),
        reply,
        row.code,
        bad_address=row.bad_address,
        cause=row.cause,
    )


def meaning(status: int, said: str = "") -> Row:
    """The row of the table for *status* and what the program said with it."""
    return next(row for row in TABLE if row.fits(status, said))


def reply_in(said: str) -> Reply | None:
    """The refusal of a server that the program passes on, or ``None``."""
    for line in said.splitlines():
        found = _REPLY.search(line)
        if found is not None:
            return Reply(int(found[1]), (found[2].strip()[:_SAID],))
    return None


def _of_cut(ending: Ending) -> Outcome:
    if ending.cut == "aborted":
        # What the engine takes for its own doing.
        return _broken(
            ending, "connection_lost", gettext("The mail program was stopped by this worker.")
        )
    if ending.cut == "flood":
        return _broken(ending, "program_failed", gettext("The mail program's output did not end."))
    return _broken(ending, "timeout", gettext("The mail program did not end in time."))


def _broken(ending: Ending, code: str, sentence: str) -> Outcome:
    """Before it had read the last byte it can have sent nothing; after that, nobody knows."""
    verdict = Verdict.UNCERTAIN if ending.taken else Verdict.RELEASED
    return Outcome(verdict, SenderHealth.DOWN, _in_full(sentence, ending), code=code)


def _by_shell(status: int) -> bool:
    """Whether a shell script ended because its command was killed."""
    return _SHELL_SIGNAL < status <= _SHELL_SIGNAL + _LAST_SIGNAL


def _in_full(sentence: str, ending: Ending) -> str:
    words = [sentence] if sentence else []
    if ending.status:
        name = meaning(ending.status, ending.said).name
        number = f"{ending.status} ({name})" if name else str(ending.status)
        words.append(gettext("It ended with %(number)s.", number=number))
    if line := ending.first_line:
        words.append(gettext("It said: “%(first_line)s”", first_line=line))
    return joined(words)
